"""How each figure is computed, in words: what stands below a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.price import GIB

if TYPE_CHECKING:
    from worker.price import PriceList
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """A figure's name, and where it comes from."""

    term: str
    text: str


def method(settings: Settings, prices: PriceList) -> tuple[Explanation, ...]:
    """The explanations, under the settings that hold now."""
    return (
        Explanation(
            "Daily rows",
            f"Once a day the objects under {settings.input_prefix} and {settings.output_prefix} "
            "of each customer are listed to the end and their sizes summed"
            + _counted(settings)
            + " Nothing is estimated: a day whose listing failed has no row. A day measured later "
            "says so, and whether it was rebuilt from object versions.",
        ),
        Explanation("Average storage", _average(settings)),
        Explanation("Storage amount", _storage(prices)),
        Explanation(
            "Bytes processed",
            "The bytes of a run's input files in S3 when the run is first billed, triggers and "
            "folder markers left out. A run is billed once, in the month of its first output.",
        ),
        Explanation(
            "File amount",
            f"All bytes processed in the month times {prices.currency.sign}"
            f"{prices.file.amount:f} per byte, rounded once, a half up.",
        ),
        Explanation("What is billed", _billed(settings)),
        Explanation(
            "Prices",
            "Those of this installation's settings. Where a customer has a price of their own in "
            "Stripe, that one holds.",
        ),
    )


def _counted(settings: Settings) -> str:
    versions = (
        ", current versions only"
        if settings.object_versions == "current"
        else ", every version that S3 stores (SIFTBEAM_OBJECT_VERSIONS=all)"
    )
    uploads = (
        ", incomplete multipart uploads left out."
        if settings.incomplete_uploads == "ignored"
        else ", with the parts of incomplete multipart uploads "
        "(SIFTBEAM_INCOMPLETE_UPLOADS=counted)."
    )
    return versions + uploads


def _average(settings: Settings) -> str:
    if settings.average_over == "calendar":
        return (
            "The sum of the month's recorded days divided by all days of the month, while it runs "
            "by those so far (SIFTBEAM_AVERAGE_OVER=calendar), in whole bytes, a half to the even "
            "one. A day without a row counts as nothing held, and is named. Of a month that was "
            "frozen under another policy that one holds: its statement says so."
        )
    return (
        "The sum of the month's recorded days divided by their number, in whole bytes, a half to "
        "the even one. A day without a row is not in it, and is named."
    )


def _storage(prices: PriceList) -> str:
    price = prices.storage
    sign = price.currency.sign
    if price.unit_bytes == 1:
        return (
            f"The average in bytes times {sign}{price.amount:f} per byte-month, rounded once, a "
            "half up."
        )
    return (
        f"The average divided by {GIB:,} bytes (1 GiB), a part of one counting as a whole, times "
        f"{sign}{price.amount:f} per GiB-month."
    )


def _billed(settings: Settings) -> str:
    stamp = (
        "23:59:00 UTC on the month's last day"
        if settings.event_timestamp == "month_end"
        else "the time of billing"
    )
    text = (
        f"The average is frozen in the ledger when the month is billed, and sent to Stripe's meter "
        f"{settings.storage_event_name} once, stamped {stamp}. Rows that change or come later do "
        "not change it: they are named."
    )
    if settings.send == "shadow":
        text += " This installation records and sends nothing (SIFTBEAM_SEND=shadow)."
    if settings.bill_from is not None:
        text += f" What is stamped before {settings.bill_from:%Y-%m-%d %H:%M} UTC is not billed."
    return text
