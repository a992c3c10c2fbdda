"""The examination: what Stripe's summaries say of facts that were sent, or whose fate is open.

Sent facts are confirmed by whole days, one call each; only where a day does not agree are its
minutes asked for one by one. Everything else that an examination can bring about concerns rows and
dead letters, so it is done by the handler of the fact's own message.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import structlog

from producers.billing_month import BillingMonth
from worker.ledger.fact import FactKind
from worker.ledger.item import LedgerItem, State
from worker.ledger.presence import Presence, all_counted, presence_of
from worker.ledger.rules import examined, found_by_summaries, left_to_a_person, postponed
from worker.ledger.store import LostRace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date

    from worker.clock import Clock
    from worker.lagging_rows import LaggingRows
    from worker.ledger.fact import Fact, StripeAccount
    from worker.ledger.store import Ledger
    from worker.stripe_api.summaries import Summaries

_log = structlog.get_logger()
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# By then the nightly sweep has frozen anew whatever a restored ledger had forgotten.
VERIFIED_WITHIN = timedelta(hours=30)


@dataclass(slots=True)
class Examined:
    """What an examination of sent facts came to.

    Args:
        confirmed: facts that the summaries showed.
        undecided: facts to be looked at again later.
    """

    confirmed: int = 0
    undecided: int = 0


@dataclass(frozen=True, slots=True)
class _Day:
    """One customer's facts of one kind and event name on one day (UTC)."""

    customer_id: str
    kind: FactKind
    event_name: str
    day: date

    @property
    def start(self) -> datetime:
        return datetime.combine(self.day, time.min, tzinfo=UTC)


class Examination:
    """Asks the summaries and moves what they decide.

    Args:
        ledger: where facts stand.
        summaries: what Stripe counted.
        account: says whose key is in use; facts of another account are left alone.
        lagging: asks again for facts whose rows do not say that they count.
        clock: the time.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        summaries: Summaries,
        account: Callable[[], StripeAccount],
        lagging: LaggingRows,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._summaries = summaries
        self._account = account
        self._lagging = lagging
        self._clock = clock

    def confirm(self, items: Iterable[LedgerItem]) -> Examined:
        """Confirm the sent facts that the summaries show; the others are looked at again later.

        Raises:
            StripeUnavailable: the summaries cannot be had now; what was confirmed before stands.
            NoMeter: Stripe has no such meter.
            EnqueueFailed: SQS would not take a fact whose rows lag; likewise.
        """
        result = Examined()
        days: dict[_Day, list[LedgerItem]] = defaultdict(list)
        for item in items:
            if not item.fact.account.contradicts(self._account()):
                days[_day_of(item)].append(item)
        for day, sent in days.items():
            for item, presence in self._judge_day(day, sent):
                if presence is Presence.PRESENT and self._lagging.catch_up(item):
                    # Confirming closes it, so its rows come first; the next tick looks again.
                    result.undecided += 1
                    continue
                try:
                    moved = self._decide(item, presence)
                except LostRace:
                    moved = item
                if moved.state is State.CONFIRMED:
                    result.confirmed += 1
                else:
                    result.undecided += 1
        return result

    def decide(self, item: LedgerItem) -> LedgerItem:
        """Ask about one fact whose time is over; returns it as it then stands.

        Raises:
            StripeUnavailable: the summaries cannot be had now; nothing was moved.
            NoMeter: Stripe has no such meter.
            LostRace: another worker moved the item meanwhile.
        """
        return self._decide(item, self.presence(item))

    def verify(self, item: LedgerItem) -> LedgerItem | None:
        """Ask about a fact that was never sent, before its first call; None where it may be sent.

        A restored ledger freezes a fact anew that it had sent, perhaps with another timestamp: so
        every minute is asked about in which the fact may have stood. What cannot be told yet, for
        other facts that the ledger forgot, is asked again for a day and is then a person's.

        Raises:
            StripeUnavailable: the summaries cannot be had now; nothing may be sent.
            NoMeter: Stripe has no such meter.
            LostRace: another worker moved the item meanwhile.
        """
        now = self._clock.now()
        presence = self._presence(item, *_minute_of(item.fact), restored=True)
        if presence is Presence.PRESENT:
            return self._ledger.decide(item, found_by_summaries(item, now))
        window = _where_it_may_stand(item.fact, now)
        if presence is Presence.ABSENT and window is not None:
            presence = self._presence(item, *window, restored=True)
        if presence is Presence.ABSENT:
            return None
        if presence is Presence.PRESENT:
            # Not believed yet: a neighbour that the index does not show explains it as well. The
            # day's sum confirms it, or two days on it is a person's.
            return self._ledger.decide(item, found_by_summaries(item, now))
        if now < item.created_at + VERIFIED_WITHIN:
            return self._ledger.decide(item, postponed(item, now))
        return self._ledger.decide(
            item,
            left_to_a_person(
                item, "Stripe counted something about its time that the ledger cannot explain", now
            ),
        )

    def presence(self, item: LedgerItem) -> Presence:
        """Whether the minute that a fact is stamped in shows it.

        Raises:
            StripeUnavailable: the summaries cannot be had now.
            NoMeter: Stripe has no such meter.
        """
        return self._presence(item, *_minute_of(item.fact))

    def _presence(
        self, item: LedgerItem, start: datetime, end: datetime, *, restored: bool = False
    ) -> Presence:
        # The sum first, the facts after it: a fact that is sent in between is then only one more
        # that may be in the sum, never one that explains too much.
        day = _day_of(item)
        shown = self._counted(day, start, end)
        neighbours = self._facts(day, start, end)
        return presence_of(item, neighbours, shown, now=self._clock.now(), restored=restored)

    def _judge_day(
        self, day: _Day, sent: Sequence[LedgerItem]
    ) -> Iterator[tuple[LedgerItem, Presence]]:
        shown = self._counted(day, day.start, day.start + DAY)
        if all_counted(self._facts(day, day.start, day.start + DAY), shown):
            yield from ((item, Presence.PRESENT) for item in sent)
            return
        for item in sent:
            yield item, self.presence(item)

    def _counted(self, day: _Day, start: datetime, end: datetime) -> int:
        return self._summaries.counted(day.event_name, day.customer_id, start, end)

    def _facts(self, day: _Day, start: datetime, end: datetime) -> list[LedgerItem]:
        return [
            item
            for item in self._ledger.stamped_between(day.customer_id, day.kind, start, end)
            if item.fact.event_name == day.event_name
        ]

    def _decide(self, item: LedgerItem, presence: Presence) -> LedgerItem:
        moved = self._ledger.decide(item, examined(item, presence, self._clock.now()))
        if moved.state is State.MANUAL:
            _log.error(
                "a fact needs a person",
                action="fact_manual",
                fact=item.fact.key,
                identifier=item.identifier,
                reason=moved.last_error,
            )
        return moved


def _minute_of(fact: Fact) -> tuple[datetime, datetime]:
    minute = fact.stamped_at.replace(second=0, microsecond=0)
    return minute, minute + MINUTE


def _where_it_may_stand(fact: Fact, now: datetime) -> tuple[datetime, datetime] | None:
    """The minutes in which an earlier freezing may have stamped a fact; None for its own alone."""
    minute, after = _minute_of(fact)
    if fact.correction is not None:
        return None
    if fact.kind is FactKind.FILE:
        # Any of the run's outputs may have been the first, or the sweep.
        return minute - DAY, after + DAY
    month = BillingMonth.parse(fact.subject)
    if fact.stamped_at < month.end:
        return None
    # Stamped with the time of its freezing.
    return month.end, max(now.replace(second=0, microsecond=0), minute) + MINUTE


def _day_of(item: LedgerItem) -> _Day:
    fact = item.fact
    day = fact.stamped_at.astimezone(UTC).date()
    return _Day(fact.customer_id, fact.kind, fact.event_name, day)
