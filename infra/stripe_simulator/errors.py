"""What can go wrong.

    SimulatorError
    ├── ApiError       an answer Stripe would give; becomes a response
    └── ControlError   the simulator itself was asked something impossible

Shapes: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-codes
"""

from collections.abc import Mapping


class SimulatorError(Exception):
    """Anything this package raises on purpose."""


class ControlError(SimulatorError):
    """A wrong use of the control endpoints or of the Python methods behind them."""


class ApiError(SimulatorError):
    """A refusal as Stripe words it.

    Args:
        status: HTTP status.
        message: For people.
        kind: Stripe's `error.type`.
        code: Stripe's `error.code`, if it has one.
        param: The parameter at fault, in form notation such as `payload[value]`.
        headers: Headers beyond those every response has.
        executed: Whether the endpoint had begun its work. Only such refusals are
            saved for the idempotency key (https://docs.stripe.com/api/idempotent_requests).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers: Mapping[str, str] = headers or {}
        self.executed = executed


def invalid(message: str, param: str, code: str | None = None) -> ApiError:
    """A parameter is wrong."""
    return ApiError(400, message, param=param, code=code)


def missing(param: str) -> ApiError:
    """A required parameter is absent."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def not_found(noun: str, identity: str, *, param: str = "id") -> ApiError:
    """No such object: 404 when the path names it, 400 when a parameter does."""
    return ApiError(
        404 if param == "id" else 400,
        f"No such {noun}: '{identity}'",
        code="resource_missing",
        param=param,
    )
