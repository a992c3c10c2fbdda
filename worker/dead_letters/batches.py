"""Batches, as SQS takes them: ten messages, and not too many bytes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
BATCH = 10
_LOT = 160

T = TypeVar("T")


def by_tens(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, ten at a time."""
    return _several(items, BATCH)


def in_lots(items: Iterable[T]) -> Iterator[list[T]]:
    """The items, as many at a time as go in parallel."""
    return _several(items, _LOT)


def _several(items: Iterable[T], most: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, most)):
        yield batch
