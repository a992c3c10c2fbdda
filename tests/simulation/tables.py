"""DynamoDB's tables: items, and indexes that lag behind them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from botocore.exceptions import ClientError

from tests.simulation.operators import ExpressionError, Item, Value, normal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulation.faults import Faults
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather

LEDGER = "siftbeam-billing-ledger"
Key: TypeAlias = "tuple[str, ...]"
Watch: TypeAlias = "Callable[[Item | None, Item, str], None]"


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index that projects everything.

    Args:
        name: its name.
        hash_key: the attribute of its hash key.
        range_key: the attribute of its range key, if it has one.
        types: of both, ``S`` or ``N``.
    """

    name: str
    hash_key: str
    range_key: str | None
    types: Mapping[str, str]


class Table:
    """One table.

    Args:
        name: its full name.
        key: its key's attributes: the hash key, and perhaps a range key.
        indexes: its global secondary indexes.
        scheduler: time, for the lag of indexes.
        faults: what goes wrong with it.
        weather: how often.
    """

    def __init__(
        self,
        name: str,
        key: tuple[str, ...],
        indexes: tuple[Index, ...],
        *,
        scheduler: Scheduler,
        faults: Faults,
        weather: Weather,
    ) -> None:
        self.name = name
        self.key = key
        self.items: dict[Key, Item] = {}
        self.watch: Watch | None = None
        self.indexes = {index.name: index for index in indexes}
        self._scheduler = scheduler
        self._faults = faults
        self._weather = weather
        self._under_hash: defaultdict[str, dict[Key, Item]] = defaultdict(dict)
        self._images: dict[str, defaultdict[str, dict[Key, Item]]] = {
            name: defaultdict(dict) for name in self.indexes
        }
        self._shown: dict[str, dict[Key, str]] = {name: {} for name in self.indexes}
        self._before: dict[Key, tuple[float, Item | None]] = {}
        self._settled: dict[Key, float] = {}

    def key_of(self, attributes: Mapping[str, Value]) -> Key:
        """The key of an item, as text."""
        try:
            key = tuple([str(attributes[name]["S"]) for name in self.key])
        except KeyError:
            key = ()
        if not key or "" in key:
            raise invalid(f"{self.name}: no key in {attributes}")
        return key

    def read(self, key: Key, *, consistent: bool) -> Item | None:
        """One item; an eventually consistent read may miss what was just written."""
        found = self.items.get(key)
        weather = self._weather
        if not consistent and weather.stale_read and key in self._before:
            written_at, before = self._before[key]
            recent = self._scheduler.now - written_at < 1 + weather.index_lag
            if recent and self._faults.strike("stale_read", weather.stale_read):
                return before
        return found

    def write(self, key: Key, new: Item, who: str) -> None:
        """Put an item in place of what is there."""
        old = self.items.get(key)
        for index in self.indexes.values():
            _check_index_types(index, new)
        new = {name: normal(value) for name, value in new.items()}
        self.items[key] = self._under_hash[key[0]][key] = new
        now = self._scheduler.now
        self._before[key] = (now, old)
        if self.watch is not None:
            self.watch(old, new, who)
        if self.indexes:
            self._propagate(key, now)

    def partition(self, hash_value: str) -> dict[Key, Item]:
        """All items under one hash key."""
        return self._under_hash.get(hash_value, {})

    def index_image(self, index: str, hash_value: str) -> dict[Key, Item]:
        """What an index shows under one hash key."""
        return self._images[index].get(hash_value, {})

    def restore(self, items: Mapping[Key, Item]) -> None:
        """Become an earlier state of oneself, as a table restored from a backup is."""
        self.items = dict(items)
        self._under_hash.clear()
        self._before.clear()
        self._settled.clear()
        for key, item in items.items():
            self._under_hash[key[0]][key] = item
        for index in self.indexes.values():
            self._images[index.name].clear()
            self._shown[index.name].clear()
            for key, item in items.items():
                self._show(index, key, item)

    def _propagate(self, key: Key, now: float) -> None:
        """Show a write in the indexes, later: in the order of the writes to one item."""
        due = now + self._weather.index_lag * self._faults.random() ** 4
        due = max(due, self._settled.get(key, 0.0))
        self._settled[key] = due
        new = self.items[key]

        def show() -> None:
            if key in self.items:
                for index in self.indexes.values():
                    self._show(index, key, new)

        self._scheduler.at(due, show)

    def _show(self, index: Index, key: Key, item: Item) -> None:
        shown, images = self._shown[index.name], self._images[index.name]
        before = shown.pop(key, None)
        if before is not None:
            del images[before][key]
        if index.hash_key in item and (index.range_key is None or index.range_key in item):
            under = shown[key] = str(item[index.hash_key]["S"])
            images[under][key] = item


def _check_index_types(index: Index, item: Item) -> None:
    for name, kind in index.types.items():
        if name in item and not item[name].get(kind):
            raise ExpressionError(f"type mismatch for index key {name}, expected {kind}")


class DynamoDB:
    """All tables."""

    def __init__(self, tables: tuple[Table, ...]) -> None:
        self.tables = {table.name: table for table in tables}

    def __getitem__(self, name: str) -> Table:
        """A table by its full name."""
        if name not in self.tables:
            raise refusal("ResourceNotFoundException", f"{name}: no such table")
        return self.tables[name]


def invalid(message: str) -> ClientError:
    """A request that makes no sense."""
    return refusal("ValidationException", message)


def refusal(code: str, message: str) -> ClientError:
    """An error as botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "DynamoDB")
