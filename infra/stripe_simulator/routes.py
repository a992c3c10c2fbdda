"""The route table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from infra.stripe_simulator.books import Books, account
from infra.stripe_simulator.calls import Call
from infra.stripe_simulator.errors import ApiError
from infra.stripe_simulator.messages import Json

Handler: TypeAlias = Callable[[Call], Json]

METER_EVENTS = "/v1/billing/meter_events"


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint; `{}` in the path stands for one segment.

    `permission` is what a restricted key needs.
    """

    method: str
    path: str
    permission: str
    handler: Handler


def table(books: Books) -> tuple[Route, ...]:
    """Every endpoint of the API."""
    meters, events, prices = books.meters, books.events, books.prices
    products, customers = books.products, books.customers
    subscriptions, invoices = books.subscriptions, books.invoices
    return (
        Route("GET", "/v1/account", "account_read", account),
        Route("POST", METER_EVENTS, "billing_meter_event_write", events.create),
        Route(
            "POST",
            "/v1/billing/meter_event_adjustments",
            "billing_meter_event_adjustment_write",
            events.cancel,
        ),
        Route("POST", "/v1/billing/meters", "billing_meter_write", meters.create),
        Route("GET", "/v1/billing/meters", "billing_meter_read", meters.list),
        Route("GET", "/v1/billing/meters/{}", "billing_meter_read", meters.retrieve),
        Route("POST", "/v1/billing/meters/{}", "billing_meter_write", meters.update),
        Route("POST", "/v1/billing/meters/{}/deactivate", "billing_meter_write", meters.deactivate),
        Route("POST", "/v1/billing/meters/{}/reactivate", "billing_meter_write", meters.reactivate),
        Route(
            "GET",
            "/v1/billing/meters/{}/event_summaries",
            "billing_meter_event_summary_read",
            books.summaries.list,
        ),
        Route("POST", "/v1/products", "product_write", products.create),
        Route("GET", "/v1/products", "product_read", products.list),
        Route("GET", "/v1/products/{}", "product_read", products.retrieve),
        Route("POST", "/v1/products/{}", "product_write", products.update),
        Route("POST", "/v1/prices", "price_write", prices.create),
        Route("GET", "/v1/prices", "price_read", prices.list),
        Route("GET", "/v1/prices/{}", "price_read", prices.retrieve),
        Route("POST", "/v1/prices/{}", "price_write", prices.update),
        Route("POST", "/v1/customers", "customer_write", customers.create),
        Route("GET", "/v1/customers", "customer_read", customers.list),
        Route("GET", "/v1/customers/{}", "customer_read", customers.retrieve),
        Route("DELETE", "/v1/customers/{}", "customer_write", books.delete_customer),
        Route("POST", "/v1/subscriptions", "subscription_write", subscriptions.create),
        Route("GET", "/v1/subscriptions", "subscription_read", subscriptions.list),
        Route("GET", "/v1/subscriptions/{}", "subscription_read", subscriptions.retrieve),
        Route("POST", "/v1/subscriptions/{}", "subscription_write", subscriptions.update),
        Route("DELETE", "/v1/subscriptions/{}", "subscription_write", subscriptions.cancel),
        Route("POST", "/v1/invoices/create_preview", "invoice_read", books.preview),
        Route("GET", "/v1/invoices", "invoice_read", invoices.list),
        Route("GET", "/v1/invoices/{}", "invoice_read", invoices.retrieve),
        Route("GET", "/v1/invoices/{}/lines", "invoice_read", invoices.list_lines),
        Route("POST", "/v1/invoices/{}/finalize", "invoice_write", invoices.finalize),
        Route("GET", "/v2/core/events", "event_read", books.reports.list),
        Route("GET", "/v2/core/events/{}", "event_read", books.reports.retrieve),
    )


class Router:
    """Finds the endpoint of a request."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._exact = {(route.method, route.path): route for route in routes}
        self._patterns = [(route, route.path.split("/")) for route in routes if "{}" in route.path]

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]]:
        """The endpoint and the path's variable segments.

        Raises:
            ApiError: 404, there is none.
        """
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact, ()
        segments = path.split("/")
        for route, pattern in self._patterns:
            if (
                route.method == method
                and len(pattern) == len(segments)
                and all(
                    part in ("{}", given) for part, given in zip(pattern, segments, strict=True)
                )
            ):
                pairs = zip(pattern, segments, strict=True)
                return route, tuple(given for part, given in pairs if part == "{}")
        raise ApiError(
            404,
            f"Unrecognized request URL ({method}: {path}). "
            "Please see https://docs.stripe.com or the simulator's documentation.",
        )
