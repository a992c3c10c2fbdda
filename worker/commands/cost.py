"""``cost``: the monthly AWS bill of a workload, item by item."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from worker.commands.printing import AsJson, console, print_json, print_table
from worker.cost import prices
from worker.cost.awake import starts_a_month, task_hours
from worker.cost.bill import bill
from worker.cost.sketch import sketch
from worker.cost.workload import DAYS, Workload

if TYPE_CHECKING:
    from worker.commands.printing import JsonValue
    from worker.cost.bill import Bill, Line

_CENTS = Decimal("0.01")
_FINE = Decimal("0.0001")


def cost(
    customers: Annotated[int, typer.Option(min=1, help="Customers.")] = 100,
    objects: Annotated[int, typer.Option(min=0, help="Objects that one customer holds.")] = 1000,
    files: Annotated[int, typer.Option(min=0, help="Processing runs a day, all together.")] = 10,
    writes: Annotated[
        int | None,
        typer.Option(min=0, help="Objects written to the bucket a day. Default: three a run."),
    ] = None,
    wait: Annotated[
        int,
        typer.Option(min=60, help="Seconds a run may wait for a worker (FilesOldestSeconds)."),
    ] = 3600,
    *,
    as_json: AsJson = False,
) -> None:
    """Reckon the monthly AWS bill, item by item. Nothing is asked of AWS."""
    workload = Workload(customers, objects, files, writes, wait)
    ours = bill(workload)
    if as_json:
        print_json(_json(workload, ours))
        return
    print_table(
        f"{customers:,} customers, {objects:,} objects each, {files:,} runs a day; {DAYS} days in "
        f"{prices.REGION}, list prices of {prices.AS_OF} without taxes",
        ("item", "used", "", "free tier", "without"),
        [
            *map(_row, ours.lines),
            ("total", "", "", _dollars(ours.total, _CENTS), _dollars(ours.total_full, _CENTS)),
        ],
    )
    console.print(
        f"A task runs {_short(task_hours(workload))} of {DAYS * 24} hours, started "
        f"{_short(starts_a_month(workload))} times. docs/cost.md says what is assumed."
    )
    theirs, whole = sketch(workload), sketch(workload, every_page=True)
    console.print(
        f"The Step Functions sketch, for storage alone: {_dollars(theirs.total, _CENTS)}; "
        f"{_dollars(whole.total, _CENTS)} if it listed every page."
    )


def _row(line: Line) -> tuple[str, ...]:
    used = _short(line.quantity)
    return line.price.item, used, line.price.unit, _dollars(line.dollars), _dollars(line.full)


def _short(quantity: Decimal) -> str:
    places = Decimal(1) if quantity >= 100 or quantity == quantity.to_integral() else _FINE  # noqa: PLR2004
    return f"{quantity.quantize(places, ROUND_HALF_UP):,}"


def _dollars(amount: Decimal, places: Decimal = _FINE) -> str:
    return f"${amount.quantize(places, ROUND_HALF_UP):,}"


def _json(workload: Workload, ours: Bill) -> dict[str, JsonValue]:
    return {
        "region": prices.REGION,
        "pricesOf": prices.AS_OF.isoformat(),
        "days": DAYS,
        "customers": workload.customers,
        "objectsPerCustomer": workload.objects,
        "runsPerDay": workload.files,
        "bucketWritesPerDay": workload.bucket_writes,
        "taskHours": _plain(task_hours(workload)),
        "items": [
            {
                "item": line.price.item,
                "quantity": _plain(line.quantity),
                "unit": str(line.price.unit),
                "dollars": _plain(line.dollars),
                "dollarsWithoutFreeTier": _plain(line.full),
                "priceFrom": line.price.page,
            }
            for line in ours.lines
        ],
        "total": _plain(ours.total),
        "totalWithoutFreeTier": _plain(ours.total_full),
        "sketch": {
            "total": _plain(sketch(workload).total),
            "totalListingEveryPage": _plain(sketch(workload, every_page=True).total),
        },
    }


def _plain(amount: Decimal) -> str:
    """Exact enough, as text: money is no float."""
    return f"{amount.quantize(Decimal('0.000001'), ROUND_HALF_UP):f}"
