"""Metered prices.

Source: https://docs.stripe.com/api/prices

An amount is in the currency's minor unit: cents for usd, whole yen for jpy
(https://docs.stripe.com/currencies#zero-decimal).
"""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from infra.stripe_simulator.calls import Call, Ids
from infra.stripe_simulator.errors import ApiError, invalid, missing, not_found
from infra.stripe_simulator.forms import Form
from infra.stripe_simulator.messages import Json
from infra.stripe_simulator.meters import Meters
from infra.stripe_simulator.paging import PAGING, page
from infra.stripe_simulator.products import Products

_MOST_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Transform:
    """`transform_quantity`: usage is divided and rounded before it is priced."""

    divide_by: int
    round: str

    def apply(self, usage: int) -> int:
        """The units of `usage`."""
        units, rest = divmod(usage, self.divide_by)
        return units + 1 if rest and self.round == "up" else units


@dataclass(frozen=True, slots=True)
class Price:
    """A monthly metered price per unit."""

    id: str
    product: str
    currency: str
    unit_amount: Decimal
    meter: str
    transform: Transform | None
    created: int
    livemode: bool
    nickname: str | None
    lookup_key: str | None
    metadata: dict[str, str]
    active: bool = True

    def quantity(self, usage: int) -> int:
        """The units billed; negative usage bills none.

        Source: https://docs.stripe.com/billing/subscriptions/usage-based/meters/configure
        """
        usage = max(usage, 0)
        return usage if self.transform is None else self.transform.apply(usage)

    def amount(self, quantity: int) -> int:
        """Minor units, rounded half up once for the whole line."""
        return int((self.unit_amount * quantity).quantize(Decimal(1), ROUND_HALF_UP))

    def json(self) -> Json:
        """Stripe's JSON form."""
        whole = self.unit_amount == self.unit_amount.to_integral_value()
        return {
            "id": self.id,
            "object": "price",
            "active": self.active,
            "billing_scheme": "per_unit",
            "created": self.created,
            "currency": self.currency,
            "livemode": self.livemode,
            "lookup_key": self.lookup_key,
            "metadata": self.metadata,
            "nickname": self.nickname,
            "product": self.product,
            "recurring": {
                "interval": "month",
                "interval_count": 1,
                "meter": self.meter,
                "trial_period_days": None,
                "usage_type": "metered",
            },
            "tax_behavior": "unspecified",
            "tiers_mode": None,
            "transform_quantity": None
            if self.transform is None
            else {"divide_by": self.transform.divide_by, "round": self.transform.round},
            "type": "recurring",
            "unit_amount": int(self.unit_amount) if whole else None,
            "unit_amount_decimal": format(self.unit_amount, "f"),
        }


class Prices:
    """All prices."""

    def __init__(self, ids: Ids, meters: Meters, products: Products) -> None:
        self._ids = ids
        self._meters = meters
        self._products = products
        self._prices: dict[str, Price] = {}

    def create(self, call: Call) -> Json:
        """`POST /v1/prices`, monthly and metered only."""
        return self.make(call).json()

    def make(self, call: Call) -> Price:
        """A new price from the call's parameters."""
        form = call.form
        form.only(
            "currency",
            "product",
            "product_data",
            "unit_amount",
            "unit_amount_decimal",
            "recurring",
            "transform_quantity",
            "billing_scheme",
            "nickname",
            "lookup_key",
            "metadata",
        )
        currency = form.required("currency").lower()
        lookup_key = form.text("lookup_key")
        if lookup_key and any(price.lookup_key == lookup_key for price in self._prices.values()):
            raise ApiError(
                400, f"A price ({lookup_key}) already uses that lookup key.", param="lookup_key"
            )
        price = Price(
            id=self._ids.next("price"),
            product=self._product(call),
            currency=currency,
            unit_amount=_unit_amount(form),
            meter=self._meter(form.section("recurring")),
            transform=_transform(form),
            created=call.now,
            livemode=call.livemode,
            nickname=form.text("nickname"),
            lookup_key=lookup_key,
            metadata=form.mapping("metadata"),
        )
        self._prices[price.id] = price
        return price

    def update(self, call: Call) -> Json:
        """`POST /v1/prices/{id}`: activity, nickname, metadata."""
        form = call.form
        form.only("active", "nickname", "metadata")
        price = self.get(call.args[0])
        active = form.boolean("active")
        changed = replace(
            price,
            active=price.active if active is None else active,
            nickname=form.text("nickname") or price.nickname,
            metadata={**price.metadata, **form.mapping("metadata")},
        )
        self._prices[price.id] = changed
        return changed.json()

    def retrieve(self, call: Call) -> Json:
        """`GET /v1/prices/{id}`."""
        return self.get(call.args[0]).json()

    def list(self, call: Call) -> Json:
        """`GET /v1/prices`, by product, activity, currency, lookup keys and meter."""
        form = call.form
        form.only("product", "active", "currency", "lookup_keys", "recurring", "type", *PAGING)
        product, active, currency = (
            form.text("product"),
            form.boolean("active"),
            form.text("currency"),
        )
        keys, meter = form.texts("lookup_keys"), form.section("recurring").text("meter")
        found = [
            price
            for price in reversed(self._prices.values())
            if product in (None, price.product)
            and active in (None, price.active)
            and currency in (None, price.currency)
            and (not keys or price.lookup_key in keys)
            and meter in (None, price.meter)
        ]
        return page(found, call)

    def get(self, identity: str, *, param: str = "id") -> Price:
        """The price, or Stripe's refusal."""
        price = self._prices.get(identity)
        if price is None:
            raise not_found("price", identity, param=param)
        return price

    def by_event_name(self) -> dict[str, Price]:
        """The newest active price of each active meter."""
        return {
            meter.event_name: price
            for price in self._prices.values()
            if price.active and (meter := self._meters.get(price.meter)).active
        }

    def _product(self, call: Call) -> str:
        inline = call.form.section("product_data")
        if "name" in inline:
            return self._products.make(replace(call, form=inline)).id
        return self._products.get(call.form.required("product"), param="product").id

    def _meter(self, recurring: Form) -> str:
        recurring.only("interval", "interval_count", "meter", "usage_type")
        if recurring.required("interval") != "month" or recurring.integer("interval_count") not in (
            None,
            1,
        ):
            raise invalid("The simulator bills by the month only.", "recurring[interval]")
        if recurring.choice("usage_type", "metered", "licensed") != "metered":
            raise invalid("The simulator has metered prices only.", "recurring[usage_type]")
        meter = self._meters.get(recurring.required("meter"), param="recurring[meter]")
        if not meter.active:
            raise invalid(f"The meter {meter.id} is inactive.", "recurring[meter]")
        return meter.id


def _unit_amount(form: Form) -> Decimal:
    whole, exact = form.integer("unit_amount"), form.text("unit_amount_decimal")
    if whole is not None and exact is not None:
        raise invalid(
            "You may give only one of unit_amount and unit_amount_decimal.", "unit_amount"
        )
    if whole is not None:
        amount = Decimal(whole)
    elif exact is None:
        raise missing("unit_amount")
    else:
        try:
            amount = Decimal(exact)
        except InvalidOperation:
            raise invalid(f"Invalid decimal: {exact}", "unit_amount_decimal") from None
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or amount < 0 or -exponent > _MOST_DECIMALS:
        raise invalid(
            "The amount must not be negative and has at most 12 decimal places.",
            "unit_amount_decimal",
        )
    return amount


def _transform(form: Form) -> Transform | None:
    if "transform_quantity" not in form:
        return None
    section = form.section("transform_quantity")
    divide_by = section.integer("divide_by")
    rounding = section.choice("round", "up", "down")
    if divide_by is None or divide_by < 1:
        raise missing("transform_quantity[divide_by]")
    if rounding is None:
        raise missing("transform_quantity[round]")
    return Transform(divide_by, rounding)
