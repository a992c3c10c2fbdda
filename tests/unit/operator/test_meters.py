from dataclasses import replace

import pytest

from worker.doctor.check import Standing
from worker.doctor.meters import judge
from worker.stripe_api.meters import Meter

GOOD = Meter(
    id="mtr_1",
    event_name="storage-usage",
    active=True,
    formula="sum",
    customer_key="stripe_customer_id",
    value_key="value",
)


def test_an_active_meter_that_sums_is_well() -> None:
    (verdict,) = judge([replace(GOOD, id="mtr_0", active=False), GOOD], "storage-usage", "X")

    assert verdict.standing is Standing.OK
    assert "mtr_1" in verdict.detail


@pytest.mark.parametrize(
    ("meter", "says"),
    [
        (replace(GOOD, formula="count"), "aggregates by 'count', and has to be 'sum'"),
        (replace(GOOD, customer_key="who"), "finds the customer under 'who', and has to be"),
        (replace(GOOD, value_key="bytes"), "finds the value under 'bytes', and has to be"),
        (replace(GOOD, window="day"), "takes one event as the whole of each 'day'"),
        (replace(GOOD, active=False), "archived (mtr_1)"),
        (replace(GOOD, event_name="other"), "no meter with the event name storage-usage"),
    ],
)
def test_a_meter_that_would_count_something_else(meter: Meter, says: str) -> None:
    troubles = [
        verdict
        for verdict in judge([meter], "storage-usage", "SIFTBEAM_STORAGE_EVENT_NAME")
        if verdict.standing is not Standing.OK
    ]

    (trouble,) = troubles
    assert trouble.standing is Standing.FAILED
    assert says in trouble.detail
    assert trouble.remedy
