"""Past days: rebuilt from object versions where the bucket keeps them, else marked as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from producers.messages import SizeCustomer
from worker.measuring.incomplete_uploads import IncompleteUploads
from worker.measuring.object_versions import ObjectVersions
from worker.outcome import Done
from worker.usage import CustomerUsage, Measure, Source, Usage

if TYPE_CHECKING:
    from datetime import date

    from infra.stripe_simulator import SettableClock
    from tests.integration.scenario import Scenario

KEY = "service/input/cus_A/run-1/a"


@pytest.fixture
def versioned(scenario: Scenario, wall: SettableClock) -> Scenario:
    """A bucket that keeps versions, two days after what is done to it now: S3's clock is real."""
    scenario.stack.clients.s3.put_bucket_versioning(
        Bucket=scenario.stack.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    wall.set(datetime.now(UTC) + timedelta(days=2))
    return scenario


def size(scenario: Scenario, day: date, **changes: str) -> dict[str, object]:
    body = SizeCustomer(customer_id="cus_A", date=day).body()
    worker = scenario.installation(**changes)  # type: ignore[arg-type] # settings by name
    assert isinstance(scenario.handle(body, worker=worker), Done)
    (row,) = [row for row in scenario.days_of("cus_A") if row["date"] == str(day)]
    return dict(row)


def remove(scenario: Scenario) -> None:
    scenario.stack.clients.s3.delete_object(Bucket=scenario.stack.bucket, Key=KEY)


def test_a_past_day_is_rebuilt_from_versions(versioned: Scenario) -> None:
    versioned.upload(KEY, 5)
    versioned.upload(KEY, 7)
    versioned.upload("service/output/cus_A/run-1/b", 11)
    versioned.upload("service/input/cus_AB/run-1/c", 1_000)
    today = versioned.wall().date()

    tomorrow_of_the_files = size(versioned, today - timedelta(days=1))
    before_the_files = size(versioned, today - timedelta(days=3))

    assert tomorrow_of_the_files["totalStorageBytes"] == 18
    assert tomorrow_of_the_files["totalStorageBytesInput"] == 7
    assert tomorrow_of_the_files["totalFileCount"] == 2
    assert before_the_files["totalStorageBytes"] == 0
    for row in (tomorrow_of_the_files, before_the_files):
        assert (row["measuredFrom"], row["measuredOn"]) == ("versions", str(today))


def test_without_versions_today_stands_in_and_the_row_says_so(
    scenario: Scenario, wall: SettableClock
) -> None:
    wall.set(datetime.now(UTC) + timedelta(days=2))
    scenario.upload(KEY, 5)
    today = scenario.wall().date()

    row = size(scenario, today - timedelta(days=10))

    assert (row["totalStorageBytes"], row["measuredFrom"]) == (5, "objects")


def test_a_lifecycle_rule_that_may_have_removed_versions(versioned: Scenario) -> None:
    versioned.stack.clients.s3.put_bucket_lifecycle_configuration(
        Bucket=versioned.stack.bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "short",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
                }
            ]
        },
    )
    s3, bucket = versioned.stack.clients.s3, versioned.stack.bucket
    versions = ObjectVersions(s3, bucket, versioned.clock)
    now = versioned.wall()

    assert versions.reach(now - timedelta(days=2))
    assert not versions.reach(now - timedelta(days=4))


def test_what_there_is_never_replaces_what_there_was(scenario: Scenario) -> None:
    daily, now = scenario.worker.daily, scenario.wall()
    day = now.date() - timedelta(days=5)

    def record(held: int, source: Source) -> bool:
        usage = CustomerUsage(Usage(held, 1), Usage(0, 0))
        return daily.record("cus_A", day, Measure(usage, source), now)

    assert record(1, Source.OBJECTS)
    assert record(2, Source.OBJECTS)
    assert record(3, Source.VERSIONS)
    assert not record(4, Source.OBJECTS)
    assert record(5, Source.VERSIONS)
    (row,) = scenario.days_of("cus_A")
    assert (row["totalStorageBytes"], row["measuredFrom"]) == (5, "versions")


def test_all_versions_are_counted_where_the_biller_says_so(versioned: Scenario) -> None:
    versioned.upload(KEY, 5)
    versioned.upload(KEY, 7)
    remove(versioned)

    today = versioned.wall().date()

    assert size(versioned, today)["totalStorageBytes"] == 0
    assert size(versioned, today, object_versions="all")["totalStorageBytes"] == 12


def test_incomplete_uploads_are_counted_where_the_biller_says_so(scenario: Scenario) -> None:
    s3, bucket = scenario.stack.clients.s3, scenario.stack.bucket
    upload = s3.create_multipart_upload(Bucket=bucket, Key=KEY)["UploadId"]
    for number, part in enumerate((b"12345", b"678"), start=1):
        s3.upload_part(Bucket=bucket, Key=KEY, UploadId=upload, PartNumber=number, Body=part)
    scenario.upload("service/input/cus_A/run-1/whole", 100)
    today = scenario.wall().date()

    assert size(scenario, today)["totalStorageBytes"] == 100
    counted = size(scenario, today, incomplete_uploads="counted")

    assert (counted["totalStorageBytes"], counted["totalFileCount"]) == (108, 1)
    s3.abort_multipart_upload(Bucket=bucket, Key=KEY, UploadId=upload)
    assert IncompleteUploads(s3, bucket).usage("service/input/cus_A/") == Usage(0, 0)
