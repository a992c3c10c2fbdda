"""The work: facts in their tables, and the messages that announce them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from boto3.dynamodb.types import TypeSerializer

from infra.stripe_simulator import Seed, SeedCustomer
from producers.queues import Queue
from tests.integration.scenario import bill_body, file_body, last_month

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef

    from tests.integration.scenario import Cell, Scenario

Each = TypeVar("Each")
_WRITE = TypeSerializer()
_ROWS_A_CALL = 25
_MESSAGES_A_CALL = 10
_THREADS = 8
# The customers of the runs: many runs each, as in life.
_RUNS_A_CUSTOMER = 20


@dataclass(frozen=True, slots=True)
class Announced:
    """A fact, and what must come of it.

    Args:
        identifier: under which Stripe must count it, once.
        customer: whose.
        value: bytes.
        queue: where its messages go.
        body: such a message.
    """

    identifier: str
    customer: str
    value: int
    queue: Queue
    body: str


def plant(scenario: Scenario, count: int, chance: random.Random) -> list[Announced]:
    """So many facts, half of them runs and half months, each with the rows it is reckoned from."""
    month = last_month()
    facts: list[Announced] = []
    days: list[dict[str, Cell]] = []
    runs: list[dict[str, Cell]] = []
    for number in range(count):
        if number % 2:
            customer = f"cus_m{number}"
            held = 2 * chance.randrange(1, 10**12)
            days += [
                {
                    "customerId": customer,
                    "date": f"{month}-{day:02}",
                    "billingMonth": str(month),
                    "billingStatus": "pending",
                    "totalStorageBytes": size,
                }
                for day, size in ((1, 0), (2, held))
            ]
            identifier = f"storage-usage:{customer}:{month}"
            body, queue, value = bill_body(customer, str(month)), Queue.MONTHLY_BILLING, held // 2
        else:
            customer, identifier = f"cus_r{number // _RUNS_A_CUSTOMER}", f"run_{number}"
            # Nothing lies in the bucket any more: the row says how many bytes there were.
            value = chance.randrange(1, 10**9)
            runs.append(
                {
                    "processing-historyId": identifier,
                    "customerId": customer,
                    "status": "completed",
                    "usageAmountBytes": value,
                }
            )
            key = f"service/output/{customer}/{identifier}/out.csv"
            body = file_body(scenario.stack.bucket, key, datetime.now(UTC))
            queue = Queue.FILE_PROCESSED
        facts.append(Announced(identifier, customer, value, queue, body))
    customers = sorted({fact.customer for fact in facts})
    scenario.simulator.seed(Seed(customers=tuple(SeedCustomer(id=each) for each in customers)))
    _write(scenario, "storage-usage-daily", days)
    _write(scenario, "processing-history", runs)
    return facts


def announce(
    scenario: Scenario, facts: list[Announced], messages: int, chance: random.Random
) -> None:
    """Send so many messages, every fact at least once, in no order."""
    sent = facts + [chance.choice(facts) for _ in range(messages - len(facts))]
    chance.shuffle(sent)
    sqs = scenario.stack.clients.sqs
    urls = {queue: scenario.stack.queue_url(queue) for queue in Queue}

    def send(batch: tuple[Announced, ...]) -> None:
        for queue in {fact.queue for fact in batch}:
            bodies = [fact.body for fact in batch if fact.queue is queue]
            answer = sqs.send_message_batch(
                QueueUrl=urls[queue],
                Entries=[
                    {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)
                ],
            )
            assert not answer.get("Failed"), json.dumps(answer["Failed"])

    with ThreadPoolExecutor(2) as crew:
        list(crew.map(send, _chunks(sent, _MESSAGES_A_CALL)))


def _write(scenario: Scenario, table: str, rows: list[dict[str, Cell]]) -> None:
    name, dynamodb = scenario.stack.table(table), scenario.stack.clients.dynamodb

    def write(batch: tuple[dict[str, Cell], ...]) -> None:
        requests: list[WriteRequestTypeDef] = [
            {"PutRequest": {"Item": _item(row)}} for row in batch
        ]
        answer = dynamodb.batch_write_item(RequestItems={name: requests})
        assert not answer.get("UnprocessedItems")

    with ThreadPoolExecutor(_THREADS) as crew:
        list(crew.map(write, _chunks(rows, _ROWS_A_CALL)))


def _item(row: dict[str, Cell]) -> dict[str, AttributeValueTypeDef]:
    return {name: _WRITE.serialize(value) for name, value in row.items()}


def _chunks(items: Iterable[Each], size: int) -> Iterator[tuple[Each, ...]]:
    rest = iter(items)
    while chunk := tuple(islice(rest, size)):
        yield chunk
