"""A billing fact: what is to be billed once, frozen when it is first written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.errors import Permanent

if TYPE_CHECKING:
    from datetime import datetime

# https://docs.stripe.com/api/billing/meter-event/create
LONGEST_VALUE_DIGITS = 15


class LedgerFactError(Permanent):
    """A ledger item lacks what its kind must have: no code of ours writes that."""


class FactKind(StrEnum):
    """Which of the two things a fact bills. Part of the ledger's keys: never renamed."""

    STORAGE = "storage-usage"
    FILE = "file_processed"


@dataclass(frozen=True, slots=True)
class StorageBasis:
    """The daily rows that a month's average was taken from.

    Args:
        days: the days of the month that had a row, ascending.
        total_bytes: their sum.
        peak_bytes: the largest.
        calendar_days: how many days the sum was divided by, where all of the calendar's count;
            None where the recorded ones do.
    """

    days: tuple[int, ...]
    total_bytes: int
    peak_bytes: int
    calendar_days: int | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """What makes a fact the correction of another one, and who decided it.

    Args:
        of: the corrected fact's key.
        number: counts the corrections of that fact from 1; 0 for a cancellation.
        by: who decided.
        why: the reason, for the auditor.
        cancels: the identifier of the meter event to cancel; None where the correction is a meter
            event of its own, with more bytes or fewer.
    """

    of: str
    number: int
    by: str
    why: str
    cancels: str | None = None


@dataclass(frozen=True, slots=True)
class StripeAccount:
    """The Stripe account that a fact belongs to.

    Args:
        id: ``acct_…``, or None where the key may not read its own account, or Stripe was not
            there to be asked.
        livemode: whether the key is a live one.
    """

    id: str | None
    livemode: bool

    def contradicts(self, other: StripeAccount) -> bool:
        """Tell whether the two are certainly not the same account and mode."""
        known = self.id is not None and other.id is not None
        return self.livemode != other.livemode or (known and self.id != other.id)

    def completed_by(self, other: StripeAccount) -> StripeAccount:
        """This account, or the other where this one's id is not known."""
        return other if self.id is None else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is billed: never recomputed once the ledger holds it.

    Args:
        kind: storage of a month, or a processing run.
        customer_id: the Stripe customer.
        subject: the billing month ``YYYY-MM``, or the processing-history id.
        event_name: the meter's event name at the time.
        value: bytes; of a correction, more than were billed or (negative) fewer.
        stamped_at: the meter event's timestamp; UTC, whole seconds.
        account: the Stripe account.
        origin: the message that asked for it, so that it can be asked for again.
        basis: for storage, what the average was taken from; for a correction, what it adds.
        correction: what it corrects; None for what is billed in the first place.
    """

    kind: FactKind
    customer_id: str
    subject: str
    event_name: str
    value: int
    stamped_at: datetime
    account: StripeAccount
    origin: str
    basis: StorageBasis | None = None
    correction: Correction | None = None

    @property
    def key(self) -> str:
        """The ledger's key of this fact."""
        if self.correction is not None:
            if self.correction.cancels is not None:
                return cancellation_key(self.correction.cancels)
            return correction_key(self.correction.of, self.correction.number)
        if self.kind is FactKind.STORAGE:
            return storage_key(self.customer_id, self.subject)
        return file_key(self.subject)

    def identifier(self, generation: int) -> str:
        """The meter event's identifier: the same for every attempt of one generation.

        A cancellation is no event; its identifier only begins its idempotency keys.
        """
        if self.correction is not None and self.correction.cancels is not None:
            first = f"{self.correction.cancels}:cancel"
        else:
            first = self.subject
            if self.kind is FactKind.STORAGE:
                first = f"{FactKind.STORAGE}:{self.customer_id}:{self.subject}"
            if self.correction is not None:
                first = f"{first}:c{self.correction.number}"
        return first if generation == 1 else f"{first}:g{generation}"

    @property
    def exceeds_stripe(self) -> bool:
        """Whether the value has more digits than Stripe takes."""
        return len(str(abs(self.value))) > LONGEST_VALUE_DIGITS


def storage_key(customer_id: str, month: str) -> str:
    """The ledger's key of a customer's month (``YYYY-MM``)."""
    return f"{FactKind.STORAGE}#{customer_id}#{month}"


def file_key(run_id: str) -> str:
    """The ledger's key of a processing run."""
    return f"{FactKind.FILE}#{run_id}"


def correction_key(of: str, number: int) -> str:
    """The ledger's key of a fact's correction, by the fact's key."""
    return f"correction#{of}#{number}"


def cancellation_key(identifier: str) -> str:
    """The ledger's key of the cancellation of a meter event."""
    return f"cancellation#{identifier}"
