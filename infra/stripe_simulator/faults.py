"""Faults on demand: rules that pick a request and say what happens to it."""

import random
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from infra.stripe_simulator.messages import Request

_Seconds = Annotated[float, Field(ge=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AcceptThen500(_Frozen):
    """The request takes effect; the answer is a 500, saved for the idempotency key."""

    kind: Literal["accept_then_500"] = "accept_then_500"


class AcceptThenHang(_Frozen):
    """The request takes effect; no answer comes for `seconds`, then the connection closes."""

    kind: Literal["accept_then_hang"] = "accept_then_hang"
    seconds: _Seconds = 60


class AcceptThenReset(_Frozen):
    """The request takes effect; the connection is reset."""

    kind: Literal["accept_then_reset"] = "accept_then_reset"


class Drop(_Frozen):
    """The request has no effect; the connection is reset."""

    kind: Literal["drop"] = "drop"


class HangWithoutAccepting(_Frozen):
    """The request has no effect; no answer comes for `seconds`, then the connection closes."""

    kind: Literal["hang_without_accepting"] = "hang_without_accepting"
    seconds: _Seconds = 60


class Delay(_Frozen):
    """The request takes effect on arrival and counts as in progress; the answer is late."""

    kind: Literal["delay"] = "delay"
    seconds: _Seconds = 1


class LateAccept(_Frozen):
    """The connection is reset; the request takes effect `seconds` later."""

    kind: Literal["late_accept"] = "late_accept"
    seconds: _Seconds = 60


class Status(_Frozen):
    """The request has no effect; the answer is what is given here.

    `Stripe-Should-Retry` and the like go into `headers`. With `saved`, the answer is kept for the
    idempotency key.
    """

    kind: Literal["status"] = "status"
    status: Annotated[int, Field(ge=100, le=599)]
    type: str = "api_error"
    code: str | None = None
    message: str = "Injected by a fault rule."
    param: str | None = None
    headers: dict[str, str] = {}
    saved: bool = False


class Outage(_Frozen):
    """Nothing has an effect until the rule is cleared: resets, or 503 if `status` is set."""

    kind: Literal["outage"] = "outage"
    status: Annotated[int, Field(ge=500, le=599)] | None = None


Fault: TypeAlias = Annotated[
    AcceptThen500
    | AcceptThenHang
    | AcceptThenReset
    | Drop
    | HangWithoutAccepting
    | Delay
    | LateAccept
    | Status
    | Outage,
    Field(discriminator="kind"),
]


class Match(_Frozen):
    """Which requests; everything given must fit.

    `identifier_prefix` looks at a meter event's identifier, `customer` at the customer a request
    names in its payload or as a parameter.
    """

    method: str | None = None
    path_prefix: str | None = None
    identifier_prefix: str | None = None
    customer: str | None = None

    def fits(self, request: Request, identifier: str | None, customer: str | None) -> bool:
        """Whether it is one of them."""
        return (
            self.method in (None, request.method)
            and (self.path_prefix is None or request.path.startswith(self.path_prefix))
            and (
                self.identifier_prefix is None
                or (identifier is not None and identifier.startswith(self.identifier_prefix))
            )
            and self.customer in (None, customer)
        )


class Rule(_Frozen):
    """A fault, for whom, and how often.

    Attributes:
        match: Which requests; all of them by default.
        fault: What happens. As JSON, its kind alone will do: `"drop"`.
        times: How often; None is until cleared. An outage ignores it.
        skip: Let so many matching requests pass first.
        probability: The share of matching requests it strikes, 0 to 1.
        seed: Decides which; the same seed strikes the same ones.
    """

    fault: Fault
    match: Match = Match()
    times: Annotated[int, Field(ge=1)] | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    probability: Annotated[float, Field(ge=0, le=1)] = 1
    seed: int = 0

    @field_validator("fault", mode="before")
    @classmethod
    def _kind_alone(cls, fault: object) -> object:
        return {"kind": fault} if isinstance(fault, str) else fault


class _Armed:
    """A rule and how far it got."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._skip = rule.skip
        self._left = None if isinstance(rule.fault, Outage) else rule.times
        # Chosen by the test's author and repeatable: not a matter of security.
        self._random = random.Random(rule.seed)  # noqa: S311

    def strikes(self) -> bool:
        if self._left == 0:
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self.rule.probability < 1 and self._random.random() >= self.rule.probability:
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Faults:
    """The rules in force. The first that fits and strikes wins."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, *rules: Rule) -> None:
        """Put rules in force, after those that are."""
        self._armed.extend(_Armed(rule) for rule in rules)

    def clear(self) -> None:
        """Take all rules out of force. What they postponed still happens."""
        self._armed.clear()

    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, used up ones included."""
        return tuple(armed.rule for armed in self._armed)

    def pick(self, request: Request, identifier: str | None, customer: str | None) -> Fault | None:
        """What happens to this request."""
        for armed in self._armed:
            if armed.rule.match.fits(request, identifier, customer) and armed.strikes():
                return armed.rule.fault
        return None
