"""What of the data template stands here at all: a wrong region or prefix is one fault."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from worker.doctor.check import ACCOUNT, NotChecked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


class Deployment:
    """Looks for anything of ours. Each question is asked once; safe between threads.

    Args:
        sqs: the client.
        dynamodb: the client.
        queue_prefix: what our queues' names begin with.
        tables: our tables' names.
    """

    def __init__(
        self, sqs: SQSClient, dynamodb: DynamoDBClient, queue_prefix: str, tables: Sequence[str]
    ) -> None:
        self._sqs = sqs
        self._dynamodb = dynamodb
        self._queue_prefix = queue_prefix
        self._tables = tuple(tables)

    @cached_property
    def queue_urls(self) -> tuple[str, ...]:
        """Every queue with our prefix."""
        pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=self._queue_prefix)
        return tuple(url for page in pages for url in page.get("QueueUrls", ()))

    @cached_property
    def has_tables(self) -> bool:
        """Whether any of our tables is there."""
        return any(map(self._has_table, self._tables))

    @property
    def first_table(self) -> str:
        """The table that speaks for all where none is there."""
        return self._tables[0]

    def expect_queues(self) -> None:
        """Go on only where there is a queue of ours.

        Raises:
            NotChecked: there is none, which the account's check says.
        """
        if not self.queue_urls:
            raise NotChecked(f"nothing of ours is here, see {ACCOUNT}")

    def expect_tables(self, asking: str) -> None:
        """Go on only where there is a table of ours, or for the first of them.

        Raises:
            NotChecked: there is none, which the first table's check says.
        """
        if asking != self.first_table and not self.has_tables:
            raise NotChecked(f"none of our tables is here, see table {self.first_table}")

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account and region; there is a queue of ours.

        Args:
            service: as ARNs name it.
            resource: the ARN's last part.
        """
        _, partition, _, region, account, _ = self._known_arn.split(":", 5)
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    @property
    def account(self) -> str:
        """The account's number."""
        return self._known_arn.split(":")[4]

    @cached_property
    def _known_arn(self) -> str:
        self.expect_queues()
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self.queue_urls[0], AttributeNames=["QueueArn"]
        )
        return answer["Attributes"]["QueueArn"]

    def _has_table(self, name: str) -> bool:
        try:
            self._dynamodb.describe_table(TableName=name)
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return False
        return True
