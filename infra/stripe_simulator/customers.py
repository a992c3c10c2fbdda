"""Customers.

Source: https://docs.stripe.com/api/customers
"""

from dataclasses import dataclass, field, replace

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.errors import ControlError, not_found
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.paging import PAGING, page


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer. Times are epoch seconds."""

    id: str
    created: int
    livemode: bool
    name: str | None = None
    email: str | None = None
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    deleted: bool = False

    def json(self) -> Json:
        """Stripe's JSON form; little is left of a deleted one."""
        if self.deleted:
            return {"id": self.id, "object": "customer", "deleted": True}
        return {
            "id": self.id,
            "object": "customer",
            "created": self.created,
            "description": self.description,
            "email": self.email,
            "livemode": self.livemode,
            "metadata": self.metadata,
            "name": self.name,
        }


class Customers:
    """All customers, deleted ones too: Stripe still answers for them."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._customers: dict[str, Customer] = {}

    def create(self, call: Call) -> Json:
        """`POST /v1/customers`."""
        form = call.form
        form.only("name", "email", "description", "metadata")
        customer = Customer(
            id=self._ids.next("cus"),
            created=call.now,
            livemode=call.livemode,
            name=form.text("name"),
            email=form.text("email"),
            description=form.text("description"),
            metadata=form.mapping("metadata"),
        )
        self._customers[customer.id] = customer
        return customer.json()

    def retrieve(self, call: Call) -> Json:
        """`GET /v1/customers/{id}`; a deleted one answers `deleted: true`."""
        customer = self._customers.get(call.args[0])
        if customer is None:
            raise not_found("customer", call.args[0])
        return customer.json()

    def delete(self, call: Call) -> Json:
        """`DELETE /v1/customers/{id}`."""
        customer = self.get(call.args[0])
        self._customers[customer.id] = replace(customer, deleted=True)
        return self._customers[customer.id].json()

    def list(self, call: Call) -> Json:
        """`GET /v1/customers`, by email; deleted ones are not listed."""
        call.form.only("email", *PAGING)
        email = call.form.text("email")
        found = [
            customer
            for customer in reversed(self._customers.values())
            if not customer.deleted and email in (None, customer.email)
        ]
        return page(found, call)

    def get(self, identity: str, *, param: str = "id") -> Customer:
        """A customer that is not deleted, or Stripe's refusal."""
        customer = self._customers.get(identity)
        if customer is None or customer.deleted:
            raise not_found("customer", identity, param=param)
        return customer

    def known(self, identity: str) -> bool:
        """Whether it exists, deleted or not."""
        return identity in self._customers

    def usable(self, identity: str) -> bool:
        """Whether it exists and is not deleted."""
        customer = self._customers.get(identity)
        return customer is not None and not customer.deleted

    def put(self, customer: Customer) -> None:
        """Add one under a given id, as only the control endpoints can.

        Raises:
            ControlError: The id is taken.
        """
        if customer.id in self._customers:
            raise ControlError(f"customer {customer.id} exists already; seed it once")
        self._customers[customer.id] = customer
