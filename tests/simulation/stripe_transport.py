"""The official library's way to the simulator of Stripe's API, with the fates of the simulation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import stripe

from infra.stripe_simulator import (
    Request,
    Seed,
    SeedCustomer,
    SeedMeter,
    StripeSimulator,
)
from tests.simulation.fates import ACCEPTS, Fate
from tests.simulation.stripe_line import EVENT_NAMES
from tests.simulation.stripe_refusals import not_connected
from tests.simulation.stripe_world import CountedEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulation.scheduler import Scheduler
    from tests.simulation.stripe_line import StripeLine

_CUSTOMERS = ("cus_A", "cus_AB", "cus_C", "cus_D")
_EVENTS, _CANCELLATIONS = "/v1/billing/meter_events", "/v1/billing/meter_event_adjustments"
_STATUS = {
    Fate.ACCEPTED_THEN_500: 500,
    Fate.SERVER_ERROR: 500,
    Fate.THROTTLED: 429,
    Fate.CONFLICT: 409,
    Fate.BAD_KEY: 401,
    Fate.FORBIDDEN: 403,
    Fate.INVALID: 400,
}


class LibraryWorld:
    """The simulator of Stripe's API on virtual time.

    Args:
        scheduler: the time.
        on_accept: is told of every meter event that is taken.
    """

    def __init__(self, scheduler: Scheduler, on_accept: Callable[[CountedEvent], None]) -> None:
        self.scheduler = scheduler
        self._on_accept = on_accept
        self._taken: dict[str, CountedEvent] = {}
        self._simulator = StripeSimulator(lambda: datetime.fromtimestamp(scheduler.now, tz=UTC))
        self._simulator.seed(
            Seed(
                meters=tuple(
                    SeedMeter(event_name=name, unit_amount=Decimal(1)) for name in EVENT_NAMES
                ),
                customers=tuple(SeedCustomer(id=customer) for customer in _CUSTOMERS),
            )
        )

    def answer(self, request: Request) -> tuple[bytes, int, Mapping[str, str]]:
        """Let a request arrive."""
        response = self._simulator.handle(request)
        self._simulator.finished(response)
        if request.method == "POST" and response.status == 200:
            self._note(request)
        return response.body, response.status, response.headers

    def _note(self, request: Request) -> None:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if request.path == _CANCELLATIONS:
            # The fact that cancels has the identifier of no event: it is not followed here.
            self._taken[form["cancel[identifier]"]].refused_at = self.scheduler.now
        if request.path != _EVENTS:
            return
        event = CountedEvent(
            identifier=form["identifier"],
            customer=form["payload[stripe_customer_id]"],
            event_name=form["event_name"],
            value=int(form["payload[value]"]),
            timestamp=int(form["timestamp"]),
            received_at=self.scheduler.now,
            shows_at=self.scheduler.now,
        )
        self._taken[event.identifier] = event
        self._on_accept(event)


class SimulatedTransport(stripe.HTTPClient):
    """Carries one process's requests.

    Args:
        line: decides the fate of each.
        world: answers.
    """

    name = "simulated"

    def __init__(self, line: StripeLine, world: LibraryWorld) -> None:
        super().__init__()
        self._line = line
        self._world = world

    def _should_retry(self, *_: object, **__: object) -> bool:
        # The library's own waits are the machine's, not the virtual clock's.
        return False

    def request(  # type: ignore[override]  # the library's own two signatures disagree
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: object = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Answer, refuse, or lose the connection, as fate will have it."""
        asked, body = urlsplit(url), str(post_data or "")
        request = Request(
            method.upper(),
            asked.path,
            asked.query.encode(),
            body.encode(),
            {name.lower(): value for name, value in (headers or {}).items()},
        )
        line, process = self._line, self._line.process
        what = f"stripe {request.method} {request.path} {body[:60]}"
        reads = request.method == "GET"
        line.leave(what, lambda: None if reads else self._world.answer(request))
        fate = line.fate(reads=reads)
        if reads and fate is not Fate.ANSWERED:
            fate = Fate.HANGS
        answer = self._world.answer(request) if fate in ACCEPTS else None
        if fate is Fate.LANDS_LATE:
            line.late(lambda: self._world.answer(request))
        process.history.note(process.scheduler.now, process.name, what, fate.name)
        process.faults.reached[fate.name.lower()] += 1
        line.answer_travels(fate, what)
        if fate is Fate.ANSWERED and answer is not None:
            return answer
        if fate is Fate.NOT_CONNECTED:
            raise not_connected()
        if fate in _STATUS:
            kind = "api_error" if _STATUS[fate] == 500 else "invalid_request_error"
            error = {"error": {"type": kind, "message": fate.name}}
            return json.dumps(error).encode(), _STATUS[fate], {}
        lost: Callable[[str], Exception] = stripe.APIConnectionError
        raise lost("The connection was lost")

    def close(self) -> None:
        """Nothing is open."""
