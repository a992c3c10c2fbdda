"""Everything the simulator holds, wired together."""

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.customers import Customers
from infra.stripe_simulator.error_reports import ErrorReports
from infra.stripe_simulator.invoices import Invoices
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.meter_events import MeterEvents
from infra.stripe_simulator.meters import Meters
from infra.stripe_simulator.prices import Prices
from infra.stripe_simulator.products import Products
from infra.stripe_simulator.settings import Settings
from infra.stripe_simulator.subscriptions import Subscriptions
from infra.stripe_simulator.summaries import Summaries


class Books:
    """The collections, and what time does to them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        ids = Ids()

        def current() -> Settings:
            return self.settings

        self.ids = ids
        self.meters = Meters(ids)
        self.customers = Customers(ids)
        self.products = Products(ids)
        self.prices = Prices(ids, self.meters, self.products)
        self.reports = ErrorReports(ids, current)
        self.events = MeterEvents(ids, self.meters, self.customers, self.reports)
        self.summaries = Summaries(self.meters, self.customers, self.events, current)
        self.invoices = Invoices(ids, self.meters, self.events, current)
        self.subscriptions = Subscriptions(ids, self.customers, self.prices, self.invoices.open)

    def advance(self, now: int) -> None:
        """Do what is due by `now` (epoch seconds) in the order of its time."""
        while True:
            ends = self.subscriptions.next_end()
            finals = self.invoices.next_final()
            reports = self.reports.due()
            due = min((at for at in (ends, finals, reports) if at is not None), default=None)
            if due is None or due > now:
                return
            if due == ends:
                self.subscriptions.turn(due)
            elif due == finals:
                self.invoices.finalize_due(due)
            else:
                self.reports.report()

    def delete_customer(self, call: Call) -> Json:
        """`DELETE /v1/customers/{id}`, which ends the customer's subscriptions too.

        Source: https://docs.stripe.com/api/customers/delete
        """
        deleted = self.customers.delete(call)
        self.subscriptions.end_all_of(call.args[0], call.now)
        return deleted

    def preview(self, call: Call) -> Json:
        """`POST /v1/invoices/create_preview` for a subscription."""
        call.form.only("subscription", "customer")
        identity = call.form.required("subscription")
        return self.invoices.preview(self.subscriptions.get(identity, param="subscription"), call)


def account(call: Call) -> Json:
    """`GET /v1/account` (https://docs.stripe.com/api/accounts/retrieve)."""
    return {
        "id": call.account,
        "object": "account",
        "business_type": "company",
        "charges_enabled": True,
        "country": "JP",
        "default_currency": "jpy",
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Stripe simulator", "timezone": "Etc/UTC"}},
        "type": "standard",
    }
