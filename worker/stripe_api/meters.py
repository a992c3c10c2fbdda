"""Stripe's billing meters: https://docs.stripe.com/api/billing/meter/object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import stripe

from worker.stripe_api.connection import StripeUnavailable, describe
from worker.stripe_api.creating import creating
from worker.stripe_api.meter_events import CUSTOMER_KEY, VALUE_KEY

if TYPE_CHECKING:
    from worker.stripe_api.connection import StripeConnection

_PAGE = 100
_RETRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A meter, as far as billing depends on it.

    Args:
        id: Stripe's id of it.
        event_name: which events it counts.
        active: whether it takes events; an archived one refuses them.
        formula: what it makes of them: ``sum``, ``count`` or ``last``.
        customer_key: the payload key that names the customer.
        value_key: the payload key that holds the value; None where it takes none.
        window: ``hour`` or ``day`` where it takes one event of each as the whole of it.
    """

    id: str
    event_name: str
    active: bool
    formula: str
    customer_key: str
    value_key: str | None
    window: str | None = None


def stripe_meters(connection: StripeConnection) -> tuple[Meter, ...]:
    """Every meter of the account, archived ones too, paged to the end.

    Raises:
        StripeUnavailable: a page was refused or did not come.
        KeyUnavailable: there is no key.
    """
    client = connection.keyed_client().client
    try:
        page = client.v1.billing.meters.list({"limit": _PAGE}, {"max_network_retries": _RETRIES})
        return tuple(
            Meter(
                id=meter.id,
                event_name=meter.event_name,
                active=meter.status == "active",
                formula=meter.default_aggregation.formula,
                customer_key=meter.customer_mapping.event_payload_key,
                value_key=meter.value_settings.event_payload_key,
                window=meter.event_time_window,
            )
            for meter in page.auto_paging_iter()
        )
    except stripe.StripeError as error:
        raise StripeUnavailable(f"Stripe's meters: {describe(error)}") from None


def create_meter(connection: StripeConnection, event_name: str, display_name: str) -> str:
    """A new meter that sums what we send; returns its id.

    Raises:
        NotCreated: Stripe refused, or did not answer.
    """
    client = connection.keyed_client().client
    with creating(f"meter {event_name}"):
        return client.v1.billing.meters.create(
            {
                "display_name": display_name,
                "event_name": event_name,
                "default_aggregation": {"formula": "sum"},
                "customer_mapping": {"type": "by_id", "event_payload_key": CUSTOMER_KEY},
                "value_settings": {"event_payload_key": VALUE_KEY},
            },
            {"max_network_retries": _RETRIES},
        ).id
