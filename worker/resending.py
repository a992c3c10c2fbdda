"""Sending a fact anew, by a person's decision: the next generation, under another identifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from worker.errors import Permanent
from worker.ledger.item import State
from worker.ledger.presence import Presence
from worker.ledger.rules import resent, why_not_resend

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.clock import Clock
    from worker.examination import Examination
    from worker.jobs import Jobs
    from worker.ledger.fact import StripeAccount
    from worker.ledger.item import LedgerItem
    from worker.ledger.store import Ledger

_log = structlog.get_logger()


class NotResent(Permanent):
    """The fact may not be sent anew; says why."""


class Resending:
    """Starts the next generation of a fact where that cannot bill it twice.

    Args:
        ledger: where facts stand.
        examination: asks whether the fact's minute shows it.
        account: says whose key is in use.
        customer_problem: why Stripe would not count a customer's usage, or None.
        jobs: puts the fact on its queue.
        clock: the time.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        examination: Examination,
        account: Callable[[], StripeAccount],
        customer_problem: Callable[[str], str | None],
        jobs: Jobs,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._examination = examination
        self._account = account
        self._customer_problem = customer_problem
        self._jobs = jobs
        self._clock = clock

    def check(self, key: str, generation: int) -> LedgerItem:
        """The fact, if its next generation may begin.

        Raises:
            NotResent: there is no such fact, it moved since it was seen, or it may not be sent.
            StripeUnavailable: Stripe cannot be asked now.
        """
        item = self._ledger.find(key)
        if item is None:
            raise NotResent(f"the ledger has no fact {key}")
        if item.generation != generation:
            raise NotResent(f"{key} is at generation {item.generation} by now, not {generation}")
        if item.fact.account.contradicts(self._account()):
            raise NotResent(f"{key} belongs to another Stripe account than the key in use")
        correction = item.fact.correction
        if correction is not None and correction.cancels is not None:
            raise NotResent(f"{key} is a cancellation; take the bytes away by `adjust --bytes`")
        cancellation = self._ledger.corrected(item).cancellation
        if cancellation is not None and cancellation.state is not State.REJECTED:
            raise NotResent(
                f"{key} cannot be sent anew: {_by(cancellation)} cancelled it "
                f"({cancellation.state}); bill the bytes by `adjust`"
            )
        # Asked always: a fact that Stripe shows is billed, whatever the ledger believes.
        presence = self._examination.presence(item)
        reason = (
            "Stripe's summaries show it: it is billed"
            if presence is Presence.PRESENT
            else why_not_resend(item, presence, self._clock.now())
        ) or self._customer_problem(item.fact.customer_id)
        if reason is not None:
            raise NotResent(f"{key} cannot be sent anew: {reason}")
        return item

    def resend(self, seen: LedgerItem) -> LedgerItem:
        """Begin the next generation of a fact that :meth:`check` passed, and enqueue it.

        Raises:
            LostRace: it moved meanwhile.
        """
        moved = self._ledger.decide(seen, resent(seen, self._clock.now()))
        _log.info(
            "the next generation begins",
            action="fact_resent",
            fact=moved.fact.key,
            identifier=moved.identifier,
        )
        self._jobs.ask_again([moved])
        return moved


def _by(cancellation: LedgerItem) -> str:
    correction = cancellation.fact.correction
    return "somebody" if correction is None else correction.by
