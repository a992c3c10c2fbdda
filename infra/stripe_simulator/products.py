"""Products.

Source: https://docs.stripe.com/api/products
"""

from dataclasses import dataclass, replace

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.errors import ApiError, not_found
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.paging import PAGING, page


@dataclass(frozen=True, slots=True)
class Product:
    """A product. Times are epoch seconds."""

    id: str
    name: str
    created: int
    livemode: bool
    description: str | None
    unit_label: str | None
    metadata: dict[str, str]
    active: bool = True

    def json(self) -> Json:
        """Stripe's JSON form."""
        return {
            "id": self.id,
            "object": "product",
            "active": self.active,
            "created": self.created,
            "description": self.description,
            "livemode": self.livemode,
            "metadata": self.metadata,
            "name": self.name,
            "type": "service",
            "unit_label": self.unit_label,
            "updated": self.created,
        }


class Products:
    """All products."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._products: dict[str, Product] = {}

    def create(self, call: Call) -> Json:
        """`POST /v1/products`; the caller may choose the id."""
        return self.make(call).json()

    def make(self, call: Call) -> Product:
        """A new product from the call's parameters."""
        form = call.form
        form.only("id", "name", "description", "unit_label", "metadata", "active")
        identity = form.text("id") or self._ids.next("prod")
        if identity in self._products:
            raise ApiError(
                400,
                f"Product already exists: {identity}",
                code="resource_already_exists",
                param="id",
            )
        product = Product(
            id=identity,
            name=form.required("name"),
            created=call.now,
            livemode=call.livemode,
            description=form.text("description"),
            unit_label=form.text("unit_label"),
            metadata=form.mapping("metadata"),
            active=form.boolean("active") is not False,
        )
        self._products[product.id] = product
        return product

    def update(self, call: Call) -> Json:
        """`POST /v1/products/{id}`: name, activity, metadata."""
        form = call.form
        form.only("name", "active", "metadata")
        product = self.get(call.args[0])
        active = form.boolean("active")
        changed = replace(
            product,
            name=form.text("name") or product.name,
            active=product.active if active is None else active,
            metadata={**product.metadata, **form.mapping("metadata")},
        )
        self._products[product.id] = changed
        return changed.json()

    def retrieve(self, call: Call) -> Json:
        """`GET /v1/products/{id}`."""
        return self.get(call.args[0]).json()

    def list(self, call: Call) -> Json:
        """`GET /v1/products`, by activity and ids."""
        call.form.only("active", "ids", *PAGING)
        active, ids = call.form.boolean("active"), call.form.texts("ids")
        found = [
            product
            for product in reversed(self._products.values())
            if active in (None, product.active) and (not ids or product.id in ids)
        ]
        return page(found, call)

    def get(self, identity: str, *, param: str = "id") -> Product:
        """The product, or Stripe's refusal."""
        product = self._products.get(identity)
        if product is None:
            raise not_found("product", identity, param=param)
        return product
