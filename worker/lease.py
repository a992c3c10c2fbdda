"""The lease of the message in hand: nothing is committed for it once it is lost.

Whoever handles a message does so within :func:`held_by`; what commits (a claim, a call to Stripe, a
row) asks :func:`check_lease` just before. Without a message in hand, as in an operator's command,
there is nothing to lose.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from worker.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Iterator


class LeaseLost(BillingError):  # noqa: N818 - says what happened
    """Another worker may have the message by now: nothing more is done for this receipt of it."""


class Lease(Protocol):
    """What is known of a message's lease."""

    @property
    def lost(self) -> str | None:
        """Why the message is no longer this worker's; None while it is."""
        ...


_in_hand: ContextVar[Lease | None] = ContextVar("lease_in_hand", default=None)


@contextmanager
def held_by(lease: Lease) -> Iterator[None]:
    """Handle a message under its lease."""
    token = _in_hand.set(lease)
    try:
        yield
    finally:
        _in_hand.reset(token)


def lease_lost() -> str | None:
    """Why the message in hand is no longer this worker's; None while it is."""
    lease = _in_hand.get()
    return None if lease is None else lease.lost


def check_lease() -> None:
    """Go on only while the message in hand is this worker's.

    Raises:
        LeaseLost: it no longer is.
    """
    reason = lease_lost()
    if reason is not None:
        raise LeaseLost(reason)
