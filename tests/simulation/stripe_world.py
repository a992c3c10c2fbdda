"""Stripe: what it counted, what it tells, and how the line to it fails.

https://docs.stripe.com/api/billing/meter-event/create
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

import requests
import stripe
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from producers.instant import epoch_seconds, from_epoch
from tests.simulation.weather import DAY, HOUR, MINUTE
from worker.ledger.answer import Accepted, Answer
from worker.ledger.fact import StripeAccount
from worker.stripe_api.connection import StripeUnavailable
from worker.stripe_api.error_reports import ErrorReport, NamedRefusal
from worker.stripe_api.meter_events import read_answer

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tests.simulation.process import Process
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather
    from worker.ledger.item import LedgerItem

ACCOUNT = StripeAccount("acct_simulation", livemode=False)
# The protocol assumes that a request lands within half an hour or never. A part of it is the
# machine's stall before the request leaves, the rest the way.
LONGEST_STALL = 20 * MINUTE
LONGEST_WAY = 10 * MINUTE
OLDEST = 35 * DAY
NEWEST = 5 * MINUTE
_TIMEOUT = 10.0
_GRACE = timedelta(hours=1)


@dataclass(slots=True)
class CountedEvent:
    """An event that Stripe took. Times are epoch seconds."""

    identifier: str
    customer: str
    event_name: str
    value: int
    timestamp: int
    received_at: float
    shows_at: float
    refused_at: float | None = None
    reported: bool = False


class StripeWorld:
    """What Stripe knows.

    Args:
        scheduler: time.
        rng: chance.
        weather: how late summaries are.
    """

    def __init__(self, scheduler: Scheduler, rng: random.Random, weather: Weather) -> None:
        self.scheduler = scheduler
        self.events: list[CountedEvent] = []
        self.reports: list[ErrorReport] = []
        self.fates: Counter[str] = Counter()
        self.on_accept: Callable[[CountedEvent], None] | None = None
        self._rng = rng
        self._weather = weather
        self._newest: dict[str, CountedEvent] = {}
        self._of: defaultdict[tuple[str, str], list[CountedEvent]] = defaultdict(list)

    def take(self, item: LedgerItem) -> stripe.StripeError | None:
        """An event arrives; returns what Stripe would answer instead of 200."""
        fact, now = item.fact, self.scheduler.now
        timestamp = epoch_seconds(fact.stamped_at)
        if timestamp < now - OLDEST:
            return _invalid("The event timestamp cannot be more than 35 days in past.")
        if timestamp > now + NEWEST:
            return _invalid("The event timestamp cannot be more than 5 minutes in the future.")
        if fact.exceeds_stripe:
            return _invalid("The value in the event payload can have at most 15 digits.")
        earlier = self._newest.get(item.identifier)
        if earlier is not None and now - earlier.received_at < DAY:
            return _invalid(f"An event already exists with identifier {item.identifier}.")
        late = 0.0
        if self._weather.late_summary and self._rng.random() < self._weather.late_summary:
            late = self._weather.latest_summary * self._rng.random()
        event = CountedEvent(
            identifier=item.identifier,
            customer=fact.customer_id,
            event_name=fact.event_name,
            value=fact.value,
            timestamp=timestamp,
            received_at=now,
            shows_at=now + late,
        )
        self.events.append(event)
        self._newest[item.identifier] = event
        self._of[event.customer, event.event_name].append(event)
        if self.on_accept is not None:
            self.on_accept(event)
        if self._weather.refusals and self._rng.random() < self._weather.refusals:
            delay = HOUR * self._rng.random() ** 3
            self.scheduler.at(now + delay, lambda: self.refuse(event))
        return None

    def refuse(self, event: CountedEvent) -> None:
        """Stop counting an event that was taken, and report it some time later."""
        now = self.scheduler.now
        event.refused_at = now
        refusal = NamedRefusal(event.identifier, "meter_event_customer_not_found: unknown customer")

        def report() -> None:
            event.reported = True
            self.reports.append(
                ErrorReport(
                    id=f"evt_{len(self.reports) + 1}",
                    created=from_epoch(int(self.scheduler.now)),
                    named=(refusal,),
                    unnamed=0,
                )
            )

        self.scheduler.at(now + 2 * HOUR * self._rng.random() ** 2, report)

    def summed(self, event_name: str, customer: str, start: int, end: int) -> int:
        """What summaries show, which may lag behind what was taken."""
        now = self.scheduler.now
        return sum(
            event.value
            for event in self._of.get((customer, event_name), ())
            if start <= event.timestamp < end and event.shows_at <= now and event.refused_at is None
        )


class Fate(Enum):
    """What becomes of one call."""

    ANSWERED = auto()
    ACCEPTED_THEN_500 = auto()
    ACCEPTED_THEN_HANGS = auto()
    ACCEPTED_THEN_RESET = auto()
    DROPPED = auto()
    HANGS = auto()
    NOT_CONNECTED = auto()
    LANDS_LATE = auto()
    THROTTLED = auto()
    CONFLICT = auto()
    BAD_KEY = auto()
    FORBIDDEN = auto()
    SERVER_ERROR = auto()
    INVALID = auto()


ACCEPTS = frozenset(
    {
        Fate.ANSWERED,
        Fate.ACCEPTED_THEN_500,
        Fate.ACCEPTED_THEN_HANGS,
        Fate.ACCEPTED_THEN_RESET,
    }
)
# Half of the faults leave the event taken and the worker in the dark: that is where money is lost.
_FATES = (
    *(Fate.ACCEPTED_THEN_500,) * 3,
    *(Fate.ACCEPTED_THEN_HANGS,) * 3,
    *(Fate.ACCEPTED_THEN_RESET,) * 3,
    *(Fate.LANDS_LATE,) * 3,
    *(Fate.DROPPED,) * 2,
    *(Fate.THROTTLED,) * 3,
    *(Fate.CONFLICT,) * 2,
    Fate.HANGS,
    Fate.NOT_CONNECTED,
    Fate.BAD_KEY,
    Fate.FORBIDDEN,
    Fate.SERVER_ERROR,
    *(Fate.INVALID,) * 2,
)
_OUTAGE = (
    Fate.DROPPED,
    Fate.HANGS,
    Fate.NOT_CONNECTED,
    Fate.SERVER_ERROR,
    Fate.LANDS_LATE,
    Fate.ACCEPTED_THEN_HANGS,
)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which every call has one of these fates. Epoch seconds."""

    start: float
    end: float
    fates: tuple[Fate, ...]


OUTAGE_FATES = _OUTAGE
# Nothing gets through: what was taken before stays unseen until it is too late to ask by sending.
UNSEEN_FATES = (Fate.ACCEPTED_THEN_HANGS, Fate.ACCEPTED_THEN_500)
DARK_FATES = (Fate.DROPPED, Fate.HANGS, Fate.SERVER_ERROR)
BAD_KEY_FATES = (Fate.BAD_KEY,)
REFUSING_FATES = (Fate.INVALID,)


class StripeLine:
    """One process's line to Stripe; decides the fate of each call.

    Args:
        process: whose.
        spells: outages, and times of a wrong key.
    """

    def __init__(self, process: Process, spells: Sequence[Spell]) -> None:
        self.process = process
        self._spells = spells

    def fate(self, *, reads: bool = False) -> Fate:
        """The fate of a call that arrives now; where events are taken unseen, reads succeed."""
        process = self.process
        now = process.scheduler.now
        for spell in self._spells:
            spared = reads and spell.fates is UNSEEN_FATES
            if spell.start <= now < spell.end and not spared:
                return process.rng.choice(spell.fates)
        chance = process.weather.stripe_faults
        if chance and process.rng.random() < chance:
            return process.rng.choice(_FATES)
        return Fate.ANSWERED

    def leave(self, what: str, lands: Callable[[], object]) -> None:
        """Send a request on its way; a process that dies here may have sent it all the same."""
        process = self.process
        weather, rng = process.weather, process.rng
        if weather.crash and rng.random() < weather.crash:
            if rng.random() < 0.5:
                self.late(lands)
            process.crash(what)
        process.travel(what, LONGEST_STALL)

    def late(self, lands: Callable[[], object]) -> None:
        """Let a request arrive after its worker gave up on it."""
        process = self.process
        scheduler = process.scheduler
        way = LONGEST_WAY * process.rng.random()
        scheduler.at(scheduler.now + way, lands)

    def answer_travels(self, fate: Fate, what: str) -> None:
        """Let the time pass until the worker knows, or gives up."""
        if fate in {Fate.ACCEPTED_THEN_HANGS, Fate.HANGS, Fate.LANDS_LATE}:
            self.process.sleep(_TIMEOUT)
        self.process.travel(what)


class MeterEventLine:
    """Sends meter events and asks for sums, as the settlement sees it, without HTTP.

    The official library and the project's own Stripe simulator take its place in some runs.

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
        error = _error_of(fate, refusal)
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

    def counted(self, event_name: str, customer_id: str, start: datetime, end: datetime) -> int:
        """Bytes counted for a customer from ``start`` (inclusive) to ``end`` (exclusive)."""
        what = f"stripe summaries {event_name} {customer_id}"
        self._ask(what)
        found = self._world.summed(
            event_name, customer_id, epoch_seconds(start), epoch_seconds(end)
        )
        self._line.process.travel(what)
        self._line.process.history.note(
            self._world.scheduler.now, self._line.process.name, what, str(found)
        )
        return found

    def final_for(
        self,
        customer_id: str,
        event_name: str,  # noqa: ARG002 - the seam's shape
        stamped_at: datetime,
        now: datetime,
    ) -> str | None:
        """The final invoice that usage would miss: here every invoice stays a draft."""
        if now >= stamped_at + _GRACE:
            self._ask(f"stripe invoices {customer_id}")
        return None

    def since(self, instant: datetime) -> Iterator[ErrorReport]:
        """The reports made at or after an instant, newest first."""
        self._ask("stripe error reports")
        return iter([found for found in reversed(self._world.reports) if found.created >= instant])

    def fetch(self, event_id: str) -> ErrorReport:
        """One report by its id."""
        self._ask(f"stripe error report {event_id}")
        return next(found for found in self._world.reports if found.id == event_id)

    def _ask(self, what: str) -> None:
        self._line.process.travel(what)
        fate = self._line.fate(reads=True)
        self._line.process.history.note(
            self._world.scheduler.now, self._line.process.name, what, fate.name
        )
        if fate is not Fate.ANSWERED:
            raise StripeUnavailable(f"{what}: not available")


def _invalid(message: str) -> stripe.StripeError:
    return _refusal(stripe.InvalidRequestError, message, None, http_status=400)


def _error_of(  # noqa: PLR0911 - a row of the table each
    fate: Fate, refusal: stripe.StripeError | None
) -> stripe.StripeError | None:
    """The error that the official library would raise; None for a 200."""
    match fate:
        case Fate.ANSWERED:
            return refusal
        case Fate.ACCEPTED_THEN_500 | Fate.SERVER_ERROR:
            return stripe.APIError("An unknown error occurred", http_status=500)
        case Fate.THROTTLED:
            return _refusal(stripe.RateLimitError, "Too many requests", http_status=429)
        case Fate.CONFLICT:
            return _refusal(stripe.APIError, "lock_timeout", http_status=409)
        case Fate.BAD_KEY:
            return _refusal(stripe.AuthenticationError, "Invalid API Key", http_status=401)
        case Fate.FORBIDDEN:
            return _refusal(stripe.PermissionError, "The key may not do that", http_status=403)
        case Fate.INVALID:
            return _invalid("No active meter found with that event name.")
        case Fate.NOT_CONNECTED:
            return _not_connected()
        case _:
            return _made(stripe.APIConnectionError, "The connection was lost")


def _made(
    kind: Callable[..., stripe.StripeError], *arguments: object, **named: object
) -> stripe.StripeError:
    """An error of the library, whose constructors carry no types."""
    return kind(*arguments, **named)


def _refusal(
    kind: Callable[..., stripe.StripeError], message: str, *arguments: object, http_status: int
) -> stripe.StripeError:
    """A refusal in Stripe's own words: with its error object, as a proxy's page has none."""
    body = {"error": {"type": "invalid_request_error", "message": message}}
    return _made(kind, message, *arguments, http_status=http_status, json_body=body)


def _not_connected() -> stripe.StripeError:
    refused = NewConnectionError(HTTPConnection("stripe.invalid"), "refused")
    cause = requests.exceptions.ConnectionError(_MaxRetries(refused))
    error = _made(stripe.APIConnectionError, "No connection came about")
    error.__cause__ = cause
    return error


class _MaxRetries(Exception):  # noqa: N818 - urllib3's shape: it carries its reason
    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason
