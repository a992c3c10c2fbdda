"""Batches, as SQS takes them: ten messages, and not too many bytes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
BATCH = 10

T = TypeVar("T")


def by_tens(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, ten at a time."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch
