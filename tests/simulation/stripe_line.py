"""The line to Stripe: how calls fare on it, and what the worker's parts get to see."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from producers.instant import epoch_seconds, from_epoch
from tests.simulation.fates import ACCEPTS, FATES, UNANSWERED, UNSEEN, Fate, Spell
from tests.simulation.stripe_refusals import error_of
from tests.simulation.weather import MINUTE
from worker.ledger.answer import Accepted, Answer
from worker.ledger.fact import StripeAccount
from worker.stripe_api.connection import StripeUnavailable
from worker.stripe_api.invoices import UsageLine
from worker.stripe_api.meter_events import read_answer
from worker.stripe_api.metered_prices import MeteredPrice
from worker.stripe_api.subscriptions import MeteredItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tests.simulation.process import Process
    from tests.simulation.stripe_world import StripeWorld
    from worker.ledger.item import LedgerItem
    from worker.stripe_api.error_reports import ErrorReport

ACCOUNT = StripeAccount("acct_simulation", livemode=False)
# The protocol assumes that a request lands within half an hour or never. A part of it is the
# machine's stall before the request leaves, the rest the way.
LONGEST_STALL = 20 * MINUTE
LONGEST_WAY = 10 * MINUTE
EVENT_NAMES = ("storage-usage", "file_processed")
_TIMEOUT = 10.0
_GRACE = timedelta(hours=1)


class StripeLine:
    """One process's line to Stripe; decides the fate of each call.

    Args:
        process: whose.
        spells: outages, and times of a wrong key.
        longest_way: how long a request may be on the way after its worker gave up, in seconds.
    """

    def __init__(
        self, process: Process, spells: Sequence[Spell], longest_way: float = LONGEST_WAY
    ) -> None:
        self.process = process
        self._spells = spells
        self._longest_way = longest_way

    def fate(self, *, reads: bool = False) -> Fate:
        """The fate of a call that arrives now; where events are taken unseen, reads succeed."""
        process = self.process
        now = process.scheduler.now
        for spell in self._spells:
            spared = reads and spell.fates is UNSEEN
            if spell.start <= now < spell.end and not spared:
                return process.rng.choice(spell.fates)
        faults = process.faults
        if process.weather.stripe_faults and faults.random() < process.weather.stripe_faults:
            size = faults.hit("stripe_faults")
            if size is not None:
                return FATES[int(size * len(FATES))]
        return Fate.ANSWERED

    def leave(self, what: str, lands: Callable[[], object]) -> None:
        """Send a request on its way; a process that dies here may have sent it all the same."""
        process = self.process
        size = process.faults.random()
        if process.weather.crash and process.faults.strike("crash", process.weather.crash):
            if size < 0.5:
                self.late(lands)
            process.crash(what)
        process.travel(what, LONGEST_STALL)

    def late(self, lands: Callable[[], object]) -> None:
        """Let a request arrive after its worker gave up on it."""
        process = self.process
        scheduler = process.scheduler
        scheduler.at(scheduler.now + self._longest_way * process.rng.random(), lands)

    def answer_travels(self, fate: Fate, what: str) -> None:
        """Let the time pass until the worker knows, or gives up."""
        if fate in UNANSWERED:
            self.process.sleep(_TIMEOUT)
        self.process.travel(what)

    def ask(self, what: str) -> None:
        """Ask a question that changes nothing.

        Raises:
            StripeUnavailable: there was no answer.
        """
        process = self.process
        process.travel(what)
        fate = self.fate(reads=True)
        process.history.note(process.scheduler.now, process.name, what, fate.name)
        if fate is not Fate.ANSWERED:
            raise StripeUnavailable(f"{what}: not available")


class StripeSeen:
    """Stripe as the worker's parts see it, without HTTP.

    Some runs have the official library in its place: see ``stripe_transport``.

    Args:
        line: the way to Stripe.
        world: Stripe.
    """

    def __init__(self, line: StripeLine, world: StripeWorld) -> None:
        self._line = line
        self._world = world
        self._account_known = False

    def send(self, item: LedgerItem, token: str) -> Answer:  # noqa: ARG002 - the seam's shape
        """Make one call."""
        process, world = self._line.process, self._world
        what = f"stripe meter_event {item.identifier}"

        def lands() -> None:
            error = world.take(item)
            answer = "taken" if error is None else str(error.user_message)
            process.history.note(world.scheduler.now, "stripe", what, f"lands late: {answer}")

        self._line.leave(what, lands)
        fate = self._line.fate()
        world.fates[fate.name.lower()] += 1
        refusal = world.take(item) if fate in ACCEPTS else None
        if fate is Fate.LANDS_LATE:
            self._line.late(lands)
        process.history.note(
            world.scheduler.now,
            process.name,
            what,
            f"{fate.name} {'' if refusal is None else refusal.user_message}",
        )
        self._line.answer_travels(fate, what)
        error = error_of(fate, refusal)
        return Accepted() if error is None else read_answer(error)

    def account(self) -> StripeAccount:
        """Whose key it is; asked once per process."""
        if not self._account_known:
            self._line.process.travel("stripe account")
            if self._line.fate(reads=True) is not Fate.ANSWERED:
                raise StripeUnavailable("Stripe would not say whose key this is")
            self._account_known = True
        return ACCOUNT

    def likely_account(self) -> StripeAccount:
        """Whose key it is, as far as that is known now."""
        try:
            return self.account()
        except StripeUnavailable:
            return replace(ACCOUNT, id=None)

    def problem(self) -> str | None:
        """Why Stripe cannot be used now, as the circuit asks."""
        self._line.process.travel("stripe probe")
        fate = self._line.fate(reads=True)
        return None if fate is Fate.ANSWERED else fate.name

    def customer_problem(self, customer_id: str) -> str | None:
        """Why usage of a customer would not be counted."""
        self._line.ask(f"stripe customer {customer_id}")
        return f"{customer_id} was deleted" if self._world.deleted(customer_id) else None

    def counted(self, event_name: str, customer_id: str, start: datetime, end: datetime) -> int:
        """Bytes counted for a customer from ``start`` (inclusive) to ``end`` (exclusive)."""
        what = f"stripe summaries {event_name} {customer_id}"
        self._line.ask(what)
        found = self._world.summed(
            event_name, customer_id, epoch_seconds(start), epoch_seconds(end)
        )
        self._line.process.travel(what)
        self._line.process.history.note(
            self._world.scheduler.now, self._line.process.name, what, str(found)
        )
        return found

    def final_for(
        self, customer_id: str, event_name: str, stamped_at: datetime, now: datetime
    ) -> str | None:
        """The final invoice that usage would miss."""
        if now < stamped_at + _GRACE:
            return None
        self._line.ask(f"stripe invoices {customer_id} {event_name}")
        invoice = self._world.invoice(customer_id, epoch_seconds(stamped_at))
        return None if invoice is None or invoice.finalized_at is None else invoice.id

    def usage_lines(
        self, customer_id: str, start: datetime, end: datetime
    ) -> tuple[UsageLine, ...]:
        """The lines whose usage lies between two instants: of one month, as it is asked here."""
        self._line.ask(f"stripe invoices {customer_id} {start:%Y-%m}")
        world = self._world
        invoice = world.invoice(customer_id, epoch_seconds(start))
        if invoice is None or end <= start:
            return ()
        final = invoice.finalized_at
        return tuple(
            UsageLine(
                invoice_id=invoice.id,
                status="draft" if final is None else "open",
                finalized_at=None if final is None else from_epoch(int(final)),
                price=_price(event_name),
                quantity=Decimal(world.billed(event_name, customer_id, invoice)),
                start=from_epoch(int(invoice.start)),
                end=from_epoch(int(invoice.end)),
            )
            for event_name in EVENT_NAMES
        )

    def metered_items(self, customer_id: str) -> tuple[MeteredItem, ...]:
        """Every customer has one subscription, on both meters, since long ago."""
        self._line.ask(f"stripe subscriptions {customer_id}")
        now = from_epoch(int(self._world.scheduler.now))
        ends_at = self._world.ends_at(customer_id)
        ended = self._world.scheduler.now >= ends_at
        return tuple(
            MeteredItem(
                subscription_id=f"sub_{customer_id}",
                status="canceled" if ended else "active",
                price=_price(event_name),
                started_at=now - timedelta(days=400),
                ended_at=from_epoch(int(ends_at)) if ended else None,
                period_start=now.replace(day=1, hour=0, minute=0, second=0),
            )
            for event_name in EVENT_NAMES
        )

    def since(self, instant: datetime) -> Iterator[ErrorReport]:
        """The reports made at or after an instant, newest first."""
        self._line.ask("stripe error reports")
        return iter([found for found in reversed(self._world.reports) if found.created >= instant])

    def fetch(self, event_id: str) -> ErrorReport:
        """One report by its id."""
        self._line.ask(f"stripe error report {event_id}")
        return next(found for found in self._world.reports if found.id == event_id)


def _price(event_name: str) -> MeteredPrice:
    """Billed byte by byte, so that no byte hides in the rounding."""
    return MeteredPrice(f"price_{event_name}", event_name)
