"""The simulator's core: requests in, responses out, on whatever clock it is given."""

import heapq
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from threading import RLock

from infra.stripe_simulator.api import Api
from infra.stripe_simulator.books import Books
from infra.stripe_simulator.errors import ApiError
from infra.stripe_simulator.faults import (
    AcceptThen500,
    AcceptThenHang,
    AcceptThenReset,
    Delay,
    Drop,
    Fault,
    Faults,
    HangWithoutAccepting,
    LateAccept,
    Outage,
    Rule,
    Status,
)
from infra.stripe_simulator.journal import Journal, Seen
from infra.stripe_simulator.messages import Deliver, Hang, Request, Reset, Response
from infra.stripe_simulator.received import Received
from infra.stripe_simulator.seed import Planted, Seed, plant
from infra.stripe_simulator.settings import Settings
from infra.stripe_simulator.truth import Truth, tell


class StripeSimulator:
    """Stripe Billing's meters in memory. Safe to share between threads.

    Args:
        clock: Tells the time, UTC and aware. Nothing in the core reads another.
        settings: To start from, and to return to on `reset`.
    """

    def __init__(self, clock: Callable[[], datetime], settings: Settings | None = None) -> None:
        self.clock = clock
        self._first_settings = settings or Settings()
        self._lock = RLock()
        self.reset()

    def handle(self, request: Request) -> Response:
        """Answer a request to the API.

        The response says how it is delivered; whoever carries it acts that out, and calls
        `finished` after a delayed one.
        """
        with self._lock:
            now = self._settle()
            try:
                received = self._api.receive(request)
            except ApiError as error:
                return self._api.refusal(error, request)
            fault = self._faults.pick(request, received.identifier, received.customer)
            if fault is None:
                response = self._api.serve(received, now)
            else:
                response = self._strike(fault, received, now)
            self._journal.note(received, response, now)
            return response

    def finished(self, response: Response) -> None:
        """A delayed response was delivered: its call is no longer in progress."""
        if response.call is not None:
            with self._lock:
                self._api.end(response.call)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._books.settings

    def change_settings(self, /, **changes: object) -> Settings:
        """Change some settings, from the next request on.

        Raises:
            pydantic.ValidationError: A setting is unknown or out of range.
        """
        with self._lock:
            self._settle()
            self._books.settings = self._books.settings.changed(changes)
            return self._books.settings

    def add_faults(self, *rules: Rule) -> None:
        """Put fault rules in force, after those that are."""
        with self._lock:
            self._faults.add(*rules)

    def clear_faults(self) -> None:
        """Take all fault rules out of force; late acceptances still happen."""
        with self._lock:
            self._faults.clear()

    def faults(self) -> tuple[Rule, ...]:
        """The rules in force, used up ones included."""
        with self._lock:
            return self._faults.rules()

    def seed(self, seed: Seed) -> Planted:
        """Plant meters, prices, customers and subscriptions, in the first key's mode.

        Raises:
            ControlError: Something is there already, or does not fit.
        """
        with self._lock:
            self._settle()
            livemode = any(key.livemode for key in self.settings.api_keys[:1])
            return plant(seed, self._books, self.clock(), livemode=livemode)

    def refuse(self, identifier: str, code: str = "meter_event_customer_not_found") -> None:
        """Refuse an accepted event from now on; the error report follows.

        Args:
            identifier: The event's.
            code: Stripe's; `no_meter` makes the report a `no_meter_found`.

        Raises:
            ControlError: No event that counts has that identifier.
        """
        with self._lock:
            self._books.events.refuse(identifier, code, int(self._settle()))

    def truth(self, customer: str | None = None, event_name: str | None = None) -> Truth:
        """What really happened, about everybody or about one customer or event name."""
        with self._lock:
            self._settle()
            return tell(self._books, customer, event_name)

    def requests(self) -> tuple[Seen, ...]:
        """The requests to the API, oldest first (the latest 200,000)."""
        with self._lock:
            return self._journal.seen()

    def reset(self) -> None:
        """Forget everything; the settings are those of the beginning. The clock stays."""
        with self._lock:
            self._books = Books(self._first_settings)
            self._api = Api(self._books)
            self._faults = Faults()
            self._journal = Journal()
            self._late: list[tuple[float, int, Request]] = []
            self._postponed = 0

    def _settle(self) -> float:
        """Do all that time has brought; returns the time in epoch seconds."""
        now = self.clock().timestamp()
        while self._late and self._late[0][0] <= now:
            due, _, request = heapq.heappop(self._late)
            self._books.advance(int(due))
            received = self._api.receive(request)
            self._journal.note(received, self._api.serve(received, due), due, late=True)
        self._books.advance(int(now))
        return now

    def _strike(self, fault: Fault, received: Received, now: float) -> Response:
        match fault:
            case Drop():
                return _lost(Reset())
            case HangWithoutAccepting(seconds=seconds):
                return _lost(Hang(seconds))
            case LateAccept(seconds=seconds):
                self._postponed += 1
                heapq.heappush(self._late, (now + seconds, self._postponed, received.request))
                return _lost(Reset())
            case Outage(status=status):
                if status is None:
                    return _lost(Reset())
                error = ApiError(status, "Stripe is unavailable.", kind="api_error")
                return self._api.refusal(error, received.request)
            case Status():
                return self._answer_instead(fault, received, now)
            case _:
                return self._accept(fault, received, now)

    def _accept(
        self,
        fault: AcceptThen500 | AcceptThenHang | AcceptThenReset | Delay,
        received: Received,
        now: float,
    ) -> Response:
        """Let the request take effect, then spoil its answer."""
        broken = isinstance(fault, AcceptThen500)
        response = self._api.serve(received, now, broken=broken)
        match fault:
            case AcceptThen500():
                return response
            case AcceptThenHang(seconds=seconds):
                return replace(response, delivery=Hang(seconds))
            case AcceptThenReset():
                return replace(response, delivery=Reset())
            case Delay(seconds=seconds):
                if response.status in {409, 429}:
                    return response  # turned away: it never was in progress
                call = self._api.begin(received, now + seconds)
                return replace(response, delivery=Deliver(seconds), call=call)

    def _answer_instead(self, fault: Status, received: Received, now: float) -> Response:
        error = ApiError(
            fault.status,
            fault.message,
            kind=fault.type,
            code=fault.code,
            param=fault.param,
            headers=fault.headers,
        )
        response = self._api.refusal(error, received.request)
        if fault.saved:
            self._api.save(received, response, now)
        return response


def _lost(delivery: Hang | Reset) -> Response:
    return Response(0, {}, b"", delivery)
