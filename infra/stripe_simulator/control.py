"""The control endpoints under `/_simulator/`: JSON, no key; Stripe has nothing like them."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from urllib.parse import parse_qs

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from infra.stripe_simulator.clock import AdjustableClock
from infra.stripe_simulator.errors import ControlError
from infra.stripe_simulator.faults import Rule
from infra.stripe_simulator.messages import Request, Response, encode
from infra.stripe_simulator.seed import Seed
from infra.stripe_simulator.simulator import StripeSimulator

_RULES = TypeAdapter(tuple[Rule, ...])
_CHANGES = TypeAdapter(dict[str, object])


class _ClockChange(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    now: AwareDatetime | None = None
    advance_seconds: float = 0


class _Refusal(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    identifier: str
    code: str = "meter_event_customer_not_found"


def answer(simulator: StripeSimulator, request: Request) -> Response:
    """Answer any request: the control endpoints here, all others by the core."""
    if not request.path.startswith("/_simulator/"):
        return simulator.handle(request)
    endpoint = ENDPOINTS.get((request.method, request.path))
    if endpoint is None:
        text = f"no {request.method} {request.path}; see docs/stripe-simulator.md"
        return _json(404, encode({"error": text}).encode())
    try:
        body = endpoint(simulator, request)
    except ValidationError as error:
        problems = error.json(include_url=False, include_input=False)
        return _json(400, f'{{"error":{problems}}}'.encode())
    except ControlError as error:
        return _json(400, encode({"error": str(error)}).encode())
    return _json(200, body)


def _truth(simulator: StripeSimulator, request: Request) -> bytes:
    wanted = {name: values[0] for name, values in parse_qs(request.query.decode()).items()}
    truth = simulator.truth(wanted.get("customer"), wanted.get("event_name"))
    return truth.model_dump_json().encode()


def _requests(simulator: StripeSimulator, _: Request) -> bytes:
    return encode([asdict(seen) for seen in simulator.requests()]).encode()


def _faults(simulator: StripeSimulator, _: Request) -> bytes:
    return _RULES.dump_json(simulator.faults())


def _add_faults(simulator: StripeSimulator, request: Request) -> bytes:
    simulator.add_faults(*_RULES.validate_json(request.body))
    return _RULES.dump_json(simulator.faults())


def _clear_faults(simulator: StripeSimulator, _: Request) -> bytes:
    simulator.clear_faults()
    return b"[]"


def _clock(simulator: StripeSimulator, _: Request) -> bytes:
    return encode({"now": simulator.clock().isoformat()}).encode()


def _move_clock(simulator: StripeSimulator, request: Request) -> bytes:
    change = _ClockChange.model_validate_json(request.body)
    clock = simulator.clock
    if not isinstance(clock, AdjustableClock):
        raise ControlError("this simulator's clock belongs to the program that started it")
    if change.now is not None:
        clock.set(change.now)
    clock.advance(timedelta(seconds=change.advance_seconds))
    return _clock(simulator, request)


def _settings(simulator: StripeSimulator, _: Request) -> bytes:
    return simulator.settings.model_dump_json().encode()


def _change_settings(simulator: StripeSimulator, request: Request) -> bytes:
    changes = _CHANGES.validate_json(request.body)
    return simulator.change_settings(**changes).model_dump_json().encode()


def _seed(simulator: StripeSimulator, request: Request) -> bytes:
    return simulator.seed(Seed.model_validate_json(request.body)).model_dump_json().encode()


def _refuse(simulator: StripeSimulator, request: Request) -> bytes:
    refusal = _Refusal.model_validate_json(request.body)
    simulator.refuse(refusal.identifier, refusal.code)
    return b"{}"


def _reset(simulator: StripeSimulator, _: Request) -> bytes:
    simulator.reset()
    return b"{}"


ENDPOINTS: dict[tuple[str, str], Callable[[StripeSimulator, Request], bytes]] = {
    ("GET", "/_simulator/truth"): _truth,
    ("GET", "/_simulator/requests"): _requests,
    ("GET", "/_simulator/faults"): _faults,
    ("POST", "/_simulator/faults"): _add_faults,
    ("DELETE", "/_simulator/faults"): _clear_faults,
    ("GET", "/_simulator/clock"): _clock,
    ("POST", "/_simulator/clock"): _move_clock,
    ("GET", "/_simulator/settings"): _settings,
    ("POST", "/_simulator/settings"): _change_settings,
    ("POST", "/_simulator/seed"): _seed,
    ("POST", "/_simulator/refuse"): _refuse,
    ("POST", "/_simulator/reset"): _reset,
}


def _json(status: int, body: bytes) -> Response:
    return Response(status, {"Content-Type": "application/json"}, body)
