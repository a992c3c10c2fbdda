"""Sending a meter event, or cancelling one, and reading Stripe's answer.

https://docs.stripe.com/api/billing/meter-event/create
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import stripe
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from producers.instant import epoch_seconds
from worker.ledger.answer import Accepted, Answer, Door, TurnedAway, Unclear
from worker.stripe_api.api_key import KeyUnavailable
from worker.stripe_api.connection import describe

if TYPE_CHECKING:
    from worker.circuit import Circuit
    from worker.ledger.item import LedgerItem
    from worker.stripe_api.connection import StripeConnection

CUSTOMER_KEY = "stripe_customer_id"
VALUE_KEY = "value"
# The only trace of a duplicate: its `code` is null.
_DUPLICATE = "already exists with identifier"
_DOORS = {
    401: Door.BAD_KEY,
    403: Door.FORBIDDEN,
    409: Door.CONFLICT,
    429: Door.THROTTLED,
}
_BAD_REQUEST = 400
_TIMED_OUT_ON_THE_WAY = 408
_SERVER_ERRORS = 500


class MeterEvents(Protocol):
    """What the settlement needs of Stripe."""

    def send(self, item: LedgerItem, token: str) -> Answer:
        """Make one call for a claimed item; never raises for what Stripe or the network did."""
        ...


class StripeMeterEvents:
    """Sends meter events through the official library.

    Args:
        connection: gives the client.
        circuit: is told of every answer.
    """

    def __init__(self, connection: StripeConnection, circuit: Circuit) -> None:
        self._connection = connection
        self._circuit = circuit

    def send(self, item: LedgerItem, token: str) -> Answer:
        """Send a claimed item under its identifier, or cancel the event that it names.

        One HTTP call, no retry.

        Args:
            item: as the claim left it.
            token: makes the idempotency key a fresh one: under a used key Stripe replays the
                saved answer, a 500 included (https://docs.stripe.com/api/idempotent_requests).
        """
        try:
            keyed = self._connection.keyed_client()
        except KeyUnavailable as error:
            return self._noted(TurnedAway(Door.BAD_KEY, str(error)))
        if keyed.account is None or item.fact.account.contradicts(keyed.account):
            return TurnedAway(Door.NOT_SENT, "the key changed between the claim and the call")
        try:
            _call(keyed.client, item, {"idempotency_key": f"{item.identifier}:{token}"})
        except stripe.StripeError as error:
            answer = read_answer(error)
            if isinstance(answer, TurnedAway) and answer.door is Door.BAD_KEY:
                self._connection.refused(keyed)
            return self._noted(answer)
        return self._noted(Accepted())

    def _noted(self, answer: Answer) -> Answer:
        """Tell the circuit what an answer says of Stripe and of the key."""
        match answer:
            case Accepted():
                self._circuit.succeeded()
            case TurnedAway(door=Door.BAD_KEY | Door.FORBIDDEN, reason=reason):
                self._circuit.trip(reason)
            case TurnedAway(door=Door.NOT_SENT, reason=reason) | Unclear(reason=reason):
                self._circuit.failed(reason)
            case TurnedAway():
                self._circuit.succeeded()
        return answer


def _call(client: stripe.StripeClient, item: LedgerItem, options: stripe.RequestOptions) -> None:
    fact = item.fact
    if fact.correction is not None and fact.correction.cancels is not None:
        # https://docs.stripe.com/api/billing/meter-event-adjustment/create
        client.v1.billing.meter_event_adjustments.create(
            {
                "event_name": fact.event_name,
                "type": "cancel",
                "cancel": {"identifier": fact.correction.cancels},
            },
            options,
        )
        return
    client.v1.billing.meter_events.create(
        {
            "event_name": fact.event_name,
            "identifier": item.identifier,
            "timestamp": epoch_seconds(fact.stamped_at),
            "payload": {CUSTOMER_KEY: fact.customer_id, VALUE_KEY: str(fact.value)},
        },
        options,
    )


def read_answer(error: stripe.StripeError) -> Answer:
    """What an error of the library says about the event it was raised for."""
    status, reason = error.http_status, describe(error)
    if status is None:
        return _unanswered(error, reason)
    if status == _BAD_REQUEST and _DUPLICATE in (error.user_message or "").lower():
        return Accepted(duplicate=True)
    if isinstance(error, stripe.IdempotencyError):
        return Unclear(reason)
    if error.error is None or not error.error.type:
        # Not Stripe's own words: a proxy on the way, and Stripe may have the event all the same.
        return Unclear(reason)
    if isinstance(error, stripe.RateLimitError):
        return TurnedAway(Door.THROTTLED, reason)
    if status in _DOORS:
        return TurnedAway(_DOORS[status], reason)
    if _BAD_REQUEST <= status < _SERVER_ERRORS and status != _TIMED_OUT_ON_THE_WAY:
        return TurnedAway(Door.INVALID, reason)
    return Unclear(reason)


def _unanswered(error: stripe.StripeError, reason: str) -> Answer:
    """A call without an answer: not sent at all only where no connection came about."""
    cause = error.__cause__
    if isinstance(cause, (NewConnectionError, ConnectTimeoutError, NameResolutionError)):
        return TurnedAway(Door.NOT_SENT, reason)
    return Unclear(reason)
