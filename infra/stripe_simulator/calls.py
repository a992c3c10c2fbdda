"""One authenticated call on its way through a handler."""

from dataclasses import dataclass
from itertools import count

from infra.stripe_simulator.forms import Form


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler gets.

    Attributes:
        form: The query's or the body's parameters.
        now: Epoch seconds, UTC.
        livemode: From the key's prefix.
        account: The key's account.
        path: The request's path.
        args: The values of the path's placeholders, in order.
    """

    form: Form
    now: int
    livemode: bool
    account: str
    path: str
    args: tuple[str, ...] = ()


class Ids:
    """Object ids from one counter per prefix: the same calls give the same ids."""

    def __init__(self) -> None:
        self._counters: dict[str, count[int]] = {}

    def next(self, prefix: str) -> str:
        """The next id, such as `mtr_sim000001`."""
        counter = self._counters.setdefault(prefix, count(1))
        return f"{prefix}_sim{next(counter):06d}"
