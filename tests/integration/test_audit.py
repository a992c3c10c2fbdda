"""Rows against an inventory: they agree, they differ, nobody pays, and an inventory that lies."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from tests.integration.inventory import (
    BEGAN_AT,
    CONFIGURATION,
    Configuration,
    Entry,
    Inventory,
    entries_of,
)
from tests.integration.scenario import size_body
from worker.cli import app
from worker.commands import audit as audit_command
from worker.inventory.errors import AuditNotInstalled, InventoryRefused
from worker.inventory.location import ManifestLocation
from worker.outcome import Done

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Unpack

    from tests.integration.scenario import Changes, Scenario

_ASKED = "before-send.s3.GetBucketInventoryConfiguration"
DAY = "2026-11-01"
HELD = {
    "service/input/cus_A/run-1/a b+c%20.csv": 70,
    "service/input/cus_A/run-1/_trigger.json": 2,
    "service/output/cus_A/run-1/日本.json": 30,
    "service/input/cus_AB/run-2/x": 1_000,
    "service/output/cus_AB/": 0,
}


@dataclass(frozen=True)
class Ran:
    code: int
    output: str
    errors: str

    @property
    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.output)
        return found


class Auditor:
    """Customers with files and rows, an inventory, and the command."""

    def __init__(self, scenario: Scenario, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scenario = scenario
        self.s3 = scenario.stack.clients.s3
        self.folder = folder
        self.inventory = Inventory(scenario.stack.bucket, f"{scenario.stack.bucket}-reports")
        self.configuration = Configuration()
        self.installation = scenario.worker
        scenario.wall.set(datetime(2026, 11, 1, 1, tzinfo=UTC))
        self.s3.create_bucket(
            Bucket=self.inventory.destination,
            CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"},
        )
        monkeypatch.setattr(audit_command, "open_installation", lambda: self.installation)

    def use(self, **changes: Unpack[Changes]) -> None:
        self.installation = self.scenario.installation(**changes)

    def size(self) -> None:
        """Upload, and let the worker write the rows."""
        self.scenario.customers("cus_A", "cus_AB")
        for key, size in HELD.items():
            self.scenario.upload(key, size)
        for customer in ("cus_A", "cus_AB"):
            assert isinstance(self.scenario.handle(size_body(customer, DAY)), Done)

    def deliver(self, *files: list[Entry]) -> None:
        self.inventory.deliver(self.s3, self.folder, *(files or (entries_of(HELD),)))

    def run(self, *arguments: str) -> Ran:
        result = CliRunner().invoke(
            app, ["audit", "--inventory", self.inventory.uri, *arguments], env={"COLUMNS": "200"}
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    def refused(self, *arguments: str) -> str:
        with pytest.raises(InventoryRefused) as refusal:
            self.run(*arguments)
        return str(refusal.value)


@pytest.fixture
def auditor(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Auditor]:
    made = Auditor(scenario, tmp_path, monkeypatch)
    events = made.s3.meta.events
    events.register(_ASKED, made.configuration)  # type: ignore[arg-type]  # the stubs forget that a handler may answer
    yield made
    events.unregister(_ASKED, made.configuration)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("file_format", ["Parquet", "CSV"])
@pytest.mark.parametrize("versions", [False, True])
def test_rows_of_a_sizing_agree_with_an_inventory(
    auditor: Auditor, file_format: str, *, versions: bool
) -> None:
    auditor.size()
    auditor.inventory.file_format, auditor.inventory.versions = file_format, versions
    listed = entries_of(HELD)
    auditor.deliver(listed[:2], listed[2:])

    ran = auditor.run("--json")

    assert ran.code == 0
    found = ran.json
    assert (found["agree"], found["differ"], found["entries"]) == (2, 0, 5)
    assert found["rowBytes"] == found["inventoryBytes"] == 1_102
    assert (found["date"], found["createdAt"]) == (DAY, "2026-11-01T00:02:00.000Z")


def test_what_differs_is_named_with_its_part_and_its_size(auditor: Auditor) -> None:
    auditor.size()
    auditor.deliver(
        [*entries_of(HELD), Entry("service/output/cus_A/run-9/late", 500)],
    )

    ran = auditor.run()

    assert ran.code == 1
    assert "1 customers agree, 1 do not" in ran.output
    line = next(line for line in ran.output.splitlines() if "cus_A " in line)
    assert "102" in line
    assert "602" in line
    assert "+500 bytes, +1 objects" in line


def test_a_customer_without_a_row_and_a_row_without_objects_differ(auditor: Auditor) -> None:
    auditor.scenario.customers("cus_unsized", "cus_gone", "cus_empty")
    auditor.scenario.day("cus_gone", DAY, 40)
    auditor.scenario.day("cus_empty", DAY, 0, billingStatus="billed")
    auditor.deliver([Entry("service/input/cus_unsized/r/f", 9)])

    found = auditor.run("--json").json

    assert found["lines"] == [
        _line("cus_gone", 40, 0, {"status": "pending"}),
        _line("cus_unsized", None, 9, None),
    ]
    assert found["agree"] == 1


def test_folders_of_nobody_are_unbilled_bytes(auditor: Auditor) -> None:
    auditor.size()
    auditor.deliver(
        [
            *entries_of(HELD),
            Entry("service/input/cus_left/r/f", 5_000_000_000_000),
            Entry("service/output/cus_left/r/f", 7),
            Entry("service/input/loose", 3),
            Entry("service/input/", 0),
            Entry("service/input//f", 2),
            Entry("service/input/nothing-in-it/", 0),
            Entry("logs/2026/x", 11),
        ]
    )

    ran = auditor.run("--json")

    assert ran.code == 1
    assert ran.json["differ"] == 0
    assert ran.json["unbilled"] == {
        "prefixes": 4,
        "bytes": 5_000_000_000_012,
        "objects": 5,
        "largest": [
            {"prefix": "service/input/cus_left/", "bytes": 5_000_000_000_000, "objects": 1},
            {"prefix": "service/output/cus_left/", "bytes": 7, "objects": 1},
            {"prefix": "service/input/", "bytes": 3, "objects": 2},
            {"prefix": "service/input//", "bytes": 2, "objects": 1},
        ],
    }
    assert ran.json["elsewhere"] == {"bytes": 11, "objects": 1}
    assert "5,000,000,000,012 bytes in 4 folders" in auditor.run().output


def test_who_has_left_and_still_has_a_row_is_known(auditor: Auditor) -> None:
    auditor.scenario.day("cus_left", DAY, 9, billingStatus="failed")
    auditor.deliver([Entry("service/input/cus_left/r/f", 9)])

    assert auditor.run().code == 0


@pytest.mark.parametrize(
    ("tolerance", "code"), [("499", 1), ("500", 0), ("83%", 1), ("83.1%", 0), ("0", 1)]
)
def test_a_tolerance_is_bytes_or_a_share_of_the_larger(
    auditor: Auditor, tolerance: str, code: int
) -> None:
    auditor.size()
    auditor.deliver([*entries_of(HELD), Entry("service/output/cus_A/run-9/late", 500)])

    assert auditor.run("--tolerance", tolerance).code == code


@pytest.mark.parametrize("tolerance", ["-1", "1.5", "101%", "much", "NaN", "1e400%", "%"])
def test_a_tolerance_that_is_none_is_wrong_usage(auditor: Auditor, tolerance: str) -> None:
    assert auditor.run("--tolerance", tolerance).code == 2


@pytest.mark.parametrize("file_format", ["Parquet", "CSV"])
@pytest.mark.parametrize(("policy", "held"), [("current", 10), ("all", 15)])
def test_the_policy_says_which_versions_count(
    auditor: Auditor, file_format: str, policy: str, held: int
) -> None:
    auditor.scenario.customers("cus_A")
    auditor.scenario.day("cus_A", DAY, held)
    auditor.use(object_versions=policy)
    auditor.inventory.file_format, auditor.inventory.versions = file_format, True
    auditor.deliver(
        [
            Entry("service/input/cus_A/r/kept", 10),
            Entry("service/input/cus_A/r/kept", 4, latest=False),
            Entry("service/input/cus_A/r/removed", None),
            Entry("service/input/cus_A/r/removed", 1, latest=False),
        ]
    )

    assert auditor.run().code == 0


def test_versions_that_are_billed_have_to_be_listed(auditor: Auditor) -> None:
    auditor.use(object_versions="all")
    auditor.deliver()

    assert "current versions only" in auditor.refused()


def test_uploads_under_way_are_billed_and_never_listed(auditor: Auditor) -> None:
    auditor.size()
    auditor.use(incomplete_uploads="counted")
    auditor.deliver()

    assert "no parts of uploads under way" in auditor.run().output


# --- An inventory that proves nothing -------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"sourceBucket": "another"}, "is of another, and SIFTBEAM_BUCKET is"),
        ({"fileFormat": "ORC"}, "written as ORC, which cannot be read here"),
        ({"files": []}, "names no file"),
        ({"files": None}, "not one of S3 Inventory: files"),
        ({"creationTimestamp": "soon"}, "creationTimestamp"),
        ({"creationTimestamp": "99999999999999999"}, "creationTimestamp"),
        ({"creationTimestamp": "1793600000000"}, "still to come"),
        ({"files": [{"key": "a", "size": 1, "MD5checksum": "short"}]}, "files.0.MD5checksum"),
        ({"files": [{"key": "a", "size": 1, "MD5checksum": "0" * 32}] * 2}, "names a file twice"),
        ({"fileSchema": "message s3.inventory { required binary key (UTF8); }"}, "bucket, size"),
    ],
)
def test_a_manifest_that_cannot_serve_is_refused(
    auditor: Auditor, said: dict[str, object], reason: str
) -> None:
    auditor.inventory.manifest = said
    auditor.deliver()

    assert reason in auditor.refused()


@pytest.mark.parametrize("file_format", ["Parquet", "CSV"])
def test_an_inventory_without_sizes_is_refused(auditor: Auditor, file_format: str) -> None:
    auditor.inventory.file_format, auditor.inventory.without = file_format, ("Size",)
    auditor.deliver()

    assert "configure the inventory with the optional field Size" in auditor.refused()


def test_a_schema_with_half_of_the_versions_is_refused(auditor: Auditor) -> None:
    auditor.inventory.versions, auditor.inventory.without = True, ("IsDeleteMarker",)
    auditor.deliver()

    assert "one of IsLatest and IsDeleteMarker without the other" in auditor.refused()


@pytest.mark.parametrize("name", ["manifest.json", "manifest.checksum", "data"])
def test_a_file_that_is_missing_is_named(auditor: Auditor, name: str) -> None:
    auditor.deliver()
    inventory = auditor.inventory
    key = inventory.data() if name == "data" else inventory.key.replace("manifest.json", name)
    auditor.s3.delete_object(Bucket=inventory.destination, Key=key)

    assert f"s3://{inventory.destination}/{key} is not there" in auditor.refused()


def test_a_manifest_that_is_not_its_checksums_is_refused(auditor: Auditor) -> None:
    auditor.inventory.checksum = "0" * 32
    auditor.deliver()

    assert "cut or changed" in auditor.refused()


def test_a_data_file_that_was_changed_is_refused(auditor: Auditor) -> None:
    auditor.deliver()
    inventory = auditor.inventory
    bucket, key = inventory.destination, inventory.data()
    body = auditor.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    auditor.s3.put_object(Bucket=bucket, Key=key, Body=body[:-1])
    assert "it was cut or changed" in auditor.refused()

    flipped = body[:-1] + bytes([body[-1] ^ 1])
    auditor.s3.put_object(Bucket=bucket, Key=key, Body=flipped)
    assert "it was changed" in auditor.refused()


@pytest.mark.parametrize("file_format", ["Parquet", "CSV"])
@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry("service/input/cus_A/r/f", 1, bucket="another"), "1 entries of another bucket"),
        (Entry("service/input/cus_A/r/f", None), "1 entries without a size"),
        (Entry("service/input/cus_A/r/f", -1), "1 entries without a size"),
    ],
)
def test_entries_that_cannot_be_are_refused(
    auditor: Auditor, file_format: str, entry: Entry, reason: str
) -> None:
    auditor.inventory.file_format = file_format
    auditor.deliver(entries_of(HELD), [entry])

    said = auditor.refused()

    assert reason in said
    assert auditor.inventory.data(1) in said


@pytest.mark.parametrize(
    ("file_format", "schema"),
    [
        ("CSV", "Bucket, Key, Size"),
        ("CSV", "Bucket, Key, Size, LastModifiedDate, ETag"),
        (
            "Parquet",
            "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); \
            optional boolean is_latest; optional boolean is_delete_marker; optional int64 size; }",
        ),
    ],
)
def test_files_that_do_not_fit_the_schema_are_refused(
    auditor: Auditor, file_format: str, schema: str
) -> None:
    auditor.inventory.file_format = file_format
    auditor.inventory.manifest = {"fileSchema": schema}
    auditor.deliver()

    said = auditor.refused()

    assert "cannot be read as the manifest says" in said
    assert auditor.inventory.data() in said


# --- Of another time, or of a part ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("began_at", "day"),
    [
        (datetime(2026, 10, 30, 21, 32, tzinfo=UTC), "2026-10-31"),
        (datetime(2026, 10, 30, 12, 59, tzinfo=UTC), "2026-10-30"),
        (datetime(2026, 10, 30, 13, tzinfo=UTC), "2026-10-31"),
        # The measure of the 1st of November is nearer, and still to come.
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), "2026-10-31"),
    ],
)
def test_the_day_is_the_one_measured_nearest(
    auditor: Auditor, began_at: datetime, day: str
) -> None:
    auditor.scenario.wall.set(datetime(2026, 11, 1, 0, 59, tzinfo=UTC))
    auditor.inventory.began_at = began_at
    auditor.deliver()

    assert auditor.run("--json").json["date"] == day


def test_a_stale_inventory_is_refused(auditor: Auditor) -> None:
    auditor.inventory.began_at = BEGAN_AT - timedelta(days=2)
    auditor.deliver()

    said = auditor.refused("--date", "2026-11-01")

    assert "2 days, 0:58:00 from the measure of 2026-11-01" in said
    assert "--date 2026-10-30" in said
    assert auditor.run("--date", "2026-11-01", "--within", "49").code == 1


@pytest.mark.parametrize("prefix", ["service/input/", "service/input/cus_A", "other/"])
def test_an_inventory_of_a_part_is_refused(auditor: Auditor, prefix: str) -> None:
    auditor.configuration.prefix = prefix
    auditor.deliver()

    assert f"lists only what begins with {prefix}" in auditor.refused()


def test_a_filter_that_leaves_both_prefixes_in_serves(auditor: Auditor) -> None:
    auditor.size()
    auditor.configuration.prefix = "service/"
    auditor.deliver()

    assert auditor.run().code == 0


def test_what_cannot_be_known_to_be_whole_is_refused_unless_a_person_knows(
    auditor: Auditor,
) -> None:
    auditor.size()
    auditor.deliver()
    auditor.configuration.status = 403
    assert "AccessDenied; this needs s3:GetInventoryConfiguration" in auditor.refused()

    auditor.configuration.status, auditor.configuration.id = 200, ""
    assert f"configuration {CONFIGURATION} of" in auditor.refused()

    assert auditor.run("--whole").code == 0


def test_a_manifest_that_was_moved_tells_no_configuration(auditor: Auditor) -> None:
    auditor.deliver()
    reports, key = auditor.inventory.destination, auditor.inventory.key
    for name in (key, key.replace(".json", ".checksum")):
        auditor.s3.copy_object(
            Bucket=reports,
            Key=f"kept/{name.rpartition('/')[2]}",
            CopySource={"Bucket": reports, "Key": name},
        )

    with pytest.raises(InventoryRefused, match="does not lie where S3 delivers"):
        auditor.installation.audit.manifest(
            ManifestLocation(reports, "kept/manifest.json"), whole=False
        )


def test_without_the_extra_the_command_names_it(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor.deliver()
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(AuditNotInstalled, match=r"pip install 'siftbeam-billing\[audit\]'"):
        auditor.run()


def test_as_a_command_of_its_own(auditor: Auditor) -> None:
    now = datetime.now(UTC)
    auditor.scenario.customers("cus_A")
    auditor.scenario.day("cus_A", now.date().isoformat(), 1)
    auditor.inventory.began_at = now - timedelta(minutes=5)
    auditor.deliver()
    asked = ("audit", "--inventory", auditor.inventory.uri, "--date", now.date().isoformat())

    refused = auditor.scenario.cli(*asked)
    assert refused.returncode == 1
    assert "nor therefore what it lists" in refused.stderr

    ran = auditor.scenario.cli(*asked, "--whole")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "Not in agreement" in ran.stdout
    assert auditor.scenario.cli("audit", "--inventory", "s3://b/x.json").returncode == 2


def _line(
    customer: str, row_bytes: int | None, listed: int, row: dict[str, object] | None
) -> dict[str, object]:
    nothing: dict[str, object] = {"bytes": 0, "objects": 0}
    unsaid: dict[str, object] = {"bytes": None, "objects": None}
    unmarked = {"input": unsaid, "output": unsaid, "measuredOn": None, "measuredFrom": None}
    return {
        "customerId": customer,
        "rowBytes": row_bytes,
        "inventoryBytes": listed,
        "difference": listed - (row_bytes or 0),
        "row": None if row is None else unmarked | row,
        "input": {"bytes": listed, "objects": 1} if listed else nothing,
        "output": nothing,
    }
