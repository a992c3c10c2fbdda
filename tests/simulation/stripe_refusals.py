"""Stripe's refusals and lost connections, as the official library raises them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import stripe
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from tests.simulation.fates import Fate

if TYPE_CHECKING:
    from collections.abc import Callable


def invalid(message: str) -> stripe.StripeError:
    """A 400 with these words."""
    return _refusal(stripe.InvalidRequestError, message, None, http_status=400)


def error_of(  # noqa: PLR0911 - a row of the table each
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
            return invalid("No active meter found with that event name.")
        case Fate.NOT_CONNECTED:
            return not_connected()
        case _:
            return _made(stripe.APIConnectionError, "The connection was lost")


def not_connected() -> stripe.StripeError:
    """No connection came about, so nothing was sent."""
    refused = NewConnectionError(HTTPConnection("stripe.invalid"), "refused")
    error = _made(stripe.APIConnectionError, "No connection came about")
    error.__cause__ = refused
    return error


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
