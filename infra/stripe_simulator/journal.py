"""The requests that were made, for whoever wants to look."""

from collections import deque
from dataclasses import dataclass

from infra.stripe_simulator.messages import Deliver, Response
from infra.stripe_simulator.received import Received

_KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that was made.

    Attributes:
        at: Epoch seconds.
        status: None if nothing was sent.
        delivery: `deliver`, `hang` or `reset`; `late` for one that took effect late.
    """

    at: int
    method: str
    path: str
    identifier: str | None
    customer: str | None
    idempotency_key: str | None
    status: int | None
    delivery: str


class Journal:
    """The latest 200,000 requests, oldest first. It never holds a key."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=_KEPT)

    def note(
        self, received: Received, response: Response, at: float, *, late: bool = False
    ) -> None:
        """Write one down."""
        arrived = isinstance(response.delivery, Deliver) and not late
        self._seen.append(
            Seen(
                at=int(at),
                method=received.request.method,
                path=received.request.path,
                identifier=received.identifier,
                customer=received.customer,
                idempotency_key=received.idempotency_key,
                status=response.status if arrived else None,
                delivery="late" if late else response.delivery.__class__.__name__.lower(),
            )
        )

    def seen(self) -> tuple[Seen, ...]:
        """All of them."""
        return tuple(self._seen)
