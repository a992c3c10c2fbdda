"""The cast: seven customers, each with what usually goes wrong, and three processing runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.prefixes import TRIGGER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producers.billing_month import BillingMonth
    from worker.prefixes import Prefixes

MUSEUM = "cus_Museum"
ATELIER = "cus_Atelier"
ATELIER_B = "cus_AtelierB"
NEWCOMER = "cus_Newcomer"
ORBITER = "cus_Orbiter"
PRINTER = "cus_Printer"
STRANGER = "cus_Stranger"
CUSTOMERS = (MUSEUM, ATELIER, ATELIER_B, NEWCOMER, ORBITER, PRINTER, STRANGER)
KNOWN_TO_STRIPE = tuple(customer for customer in CUSTOMERS if customer != STRANGER)
MISSING_DAY = 12
MUSEUM_OBJECTS = 2_500
_TITLES = ("写真 {:04}.tif", "plan + détail {:04}.pdf", "Übersicht {:04}.csv", "a=b&c {:04}.txt")
# What was held on the earlier days, and what came to it each day: sums that divide by no month.
_EARLIER_BYTES = {
    MUSEUM: 3_126_251,
    ATELIER: 700_001,
    ATELIER_B: 800_003,
    NEWCOMER: 0,
    ORBITER: 2_748_779_069_447,
    PRINTER: 450_450,
    STRANGER: 90_001,
}
_DAILY_GROWTH = 977


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the bucket: its key, and its size in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class EarlierDay:
    """A daily row from before the story begins."""

    customer_id: str
    day: int
    total_bytes: int

    @property
    def objects(self) -> int:
        """How many objects held them: one, or none where there are no bytes."""
        return 1 if self.total_bytes else 0


@dataclass(frozen=True, slots=True)
class CastRun:
    """A processing run of the application.

    Args:
        run_id: the processing-history id.
        customer_id: whose.
        inputs: file names and sizes in bytes.
        outputs: file names.
        input_is_gone: whether its input has been removed before the run is billed.
    """

    run_id: str
    customer_id: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[str, ...]
    input_is_gone: bool = False

    @property
    def billable_bytes(self) -> int:
        """What is to be billed: the files' bytes, the trigger's left out."""
        return sum(size for name, size in self.inputs if name != TRIGGER)

    def input_objects(self, prefixes: Prefixes) -> Iterator[StoredObject]:
        """The uploads."""
        folder = prefixes.run_uploads(self.customer_id, self.run_id)
        return (StoredObject(folder + name, size) for name, size in self.inputs)

    def output_objects(self, prefixes: Prefixes) -> Iterator[StoredObject]:
        """The products."""
        folder = prefixes.run_products(self.customer_id, self.run_id)
        return (StoredObject(folder + name, 1_024) for name in self.outputs)


ONE_OUTPUT = CastRun(
    "run-atelier-7f3a",
    ATELIER,
    inputs=(("scans + negatives.zip", 262_144), ("메모.txt", 333), (TRIGGER, 64)),
    outputs=("résumé + 写真.csv",),
)
THREE_OUTPUTS = CastRun(
    "run-atelierb-19c4",
    ATELIER_B,
    inputs=(("négatif 01.raw", 131_072), ("négatif 02.raw", 131_071), (TRIGGER, 64)),
    outputs=("page 1.pdf", "page 2.pdf", "page 3.pdf"),
)
INPUT_GONE = CastRun(
    "run-printer-b28d",
    PRINTER,
    inputs=(("poster A0.ps", 98_765),),
    outputs=("poster A0.pdf",),
    input_is_gone=True,
)
RUNS = (ONE_OUTPUT, THREE_OUTPUTS, INPUT_GONE)


def uploads(prefixes: Prefixes) -> Iterator[StoredObject]:
    """What lies in the bucket before the first sizing: the one lost input is missing."""
    museum = prefixes.uploaded(MUSEUM)
    for number in range(MUSEUM_OBJECTS):
        title = _TITLES[number % len(_TITLES)].format(number)
        yield StoredObject(f"{museum}catalogue + 目録/{title}", number + 1)
    yield StoredObject(prefixes.uploaded(ORBITER) + "moved away.txt", 41)
    yield StoredObject(prefixes.uploaded(PRINTER) + "fonts/Garamond.otf", 420_420)
    yield StoredObject(prefixes.uploaded(STRANGER) + "hello.txt", 90_001)
    for run in RUNS:
        if not run.input_is_gone:
            yield from run.input_objects(prefixes)


def earlier_days(month: BillingMonth) -> Iterator[EarlierDay]:
    """The rows of every day but the last: what a month of daily ticks would have written."""
    for customer in CUSTOMERS:
        for day in month.days[:-1]:
            if customer == PRINTER and day.day == MISSING_DAY:
                continue
            base = _EARLIER_BYTES[customer]
            yield EarlierDay(customer, day.day, base + (day.day * _DAILY_GROWTH if base else 0))
