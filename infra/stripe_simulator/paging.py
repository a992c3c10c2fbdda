"""Lists as Stripe pages them: newest first, with object ids for cursors.

Source: https://docs.stripe.com/api/pagination
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from infra.stripe_simulator.calls import Call
from infra.stripe_simulator.errors import invalid, not_found
from infra.stripe_simulator.messages import Json

PAGING = ("limit", "starting_after", "ending_before")
_LARGEST_PAGE = 100


class Listed(Protocol):
    """Something with an id and Stripe's JSON form."""

    @property
    def id(self) -> str:
        """Stripe's id."""
        ...

    def json(self) -> Json:
        """Stripe's JSON form."""
        ...


T = TypeVar("T", bound=Listed)


def page(newest_first: Sequence[T], call: Call, form_of: Callable[[T], Json] | None = None) -> Json:
    """One page of `newest_first`, as the call's `limit` and cursors ask.

    `form_of` gives an object's JSON form; by default its own.
    """
    limit = call.form.integer("limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= _LARGEST_PAGE:
        raise invalid(f"Invalid limit: {limit}. Limit can range between 1 and 100.", "limit")
    after, before = call.form.text("starting_after"), call.form.text("ending_before")
    if after and before:
        raise invalid(
            "You cannot parameterize both starting_after and ending_before.", "ending_before"
        )
    if before:
        end = _position(newest_first, before, "ending_before")
        start = max(0, end - limit)
        more = start > 0
    else:
        start = _position(newest_first, after, "starting_after") + 1 if after else 0
        end = start + limit
        more = end < len(newest_first)
    return {
        "object": "list",
        "url": call.path,
        "has_more": more,
        "data": [
            item.json() if form_of is None else form_of(item) for item in newest_first[start:end]
        ],
    }


def _position(items: Sequence[Listed], identity: str, param: str) -> int:
    for position, item in enumerate(items):
        if item.id == identity:
            return position
    raise not_found("object", identity, param=param)
