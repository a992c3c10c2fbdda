"""How each figure is computed is told under the settings that hold."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from worker.price import price_list
from worker.report.method import method
from worker.settings import Settings

USUAL = Settings()


def told(settings: Settings) -> dict[str, str]:
    return {each.term: each.text for each in method(settings, price_list(settings))}


@pytest.mark.parametrize(
    ("changes", "term", "said"),
    [
        ({"average_over": "calendar"}, "Average storage", "SIFTBEAM_AVERAGE_OVER=calendar"),
        ({"object_versions": "all"}, "Daily rows", "SIFTBEAM_OBJECT_VERSIONS=all"),
        ({"incomplete_uploads": "counted"}, "Daily rows", "SIFTBEAM_INCOMPLETE_UPLOADS=counted"),
        ({"storage_unit": "byte"}, "Storage amount", "$0.00000000009313 per byte-month"),
        ({"storage_price": Decimal("0.20")}, "Storage amount", "$0.20 per GiB-month"),
        ({"file_price": Decimal("0.5")}, "File amount", "$0.5 per byte"),
        ({"event_timestamp": "now"}, "What is billed", "the time of billing"),
        ({"send": "shadow"}, "What is billed", "SIFTBEAM_SEND=shadow"),
        (
            {"bill_from": datetime(2026, 11, 1, tzinfo=UTC)},
            "What is billed",
            "before 2026-11-01 00:00 UTC is not billed",
        ),
    ],
)
def test_a_setting_changes_what_is_told_of_its_figure_alone(
    changes: dict[str, object], term: str, said: str
) -> None:
    usual, now = told(USUAL), told(USUAL.model_copy(update=changes))

    assert said in now[term]
    assert said not in usual[term]
    assert {each for each in now if now[each] != usual[each]} == {term}
