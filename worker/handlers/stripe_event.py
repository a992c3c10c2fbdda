"""Stripe's error reports: facts that were taken and then not counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.late_refusals import Noted
from worker.outcome import DeadLetter, Done, Outcome

if TYPE_CHECKING:
    from producers.messages import StripeEvent
    from worker.jobs import Jobs
    from worker.late_refusals import LateRefusals
    from worker.stripe_api.error_reports import ErrorReports

_EXAMPLES = 5


class StripeEventHandler:
    """Moves the facts that a report names.

    Args:
        reports: gives the report.
        refusals: finds and moves the facts.
        jobs: asks for them again, so that their rows follow.
    """

    def __init__(self, *, reports: ErrorReports, refusals: LateRefusals, jobs: Jobs) -> None:
        self._reports = reports
        self._refusals = refusals
        self._jobs = jobs

    def handle(self, message: StripeEvent) -> Outcome:
        """Act on one report; doing it again changes nothing.

        Raises:
            StripeUnavailable: the report cannot be had now.
        """
        noted = Noted()
        self._refusals.note(self._reports.fetch(message.event_id), noted)
        self._jobs.ask_again(noted.refused)
        if noted.unmatched:
            return DeadLetter(
                f"report {message.event_id} names {len(noted.unmatched)} identifiers that no fact "
                f"here has: {', '.join(noted.unmatched[:_EXAMPLES])}; were they sent by another "
                "system?",
                error_type="UnmatchedRefusal",
            )
        return Done(
            f"{len(noted.refused)} refused, {noted.older} of earlier generations, "
            f"{noted.unnamed} not named"
        )
