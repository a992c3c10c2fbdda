"""The tally of an inventory's files: bytes and objects by customer, added up by DuckDB.

A hundred million keys are tens of gigabytes, so DuckDB works on one file at a time, within a bound
of memory, and keeps only sums; what does not fit it puts into the folder it is given
(https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads.html).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.inventory.errors import AuditNotInstalled, InventoryRefused
from worker.inventory.manifest import Format
from worker.usage import CustomerUsage, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from worker.inventory.manifest import Manifest
    from worker.prefixes import Prefixes

_MEMORY = "512MiB"
# Each takes memory of its own.
_THREADS = 4
_ROWS_AT_ONCE = 10_000
# Every field stands in quotes, and there is no head.
_CSV = """
read_csv($path, columns=$columns, header=false, auto_detect=false, delim=',', quote='"',
         escape='"', compression='gzip')
"""
_TALLY = """
CREATE TABLE tally (
    place VARCHAR, owner VARCHAR, bytes HUGEINT, objects BIGINT,
    entries BIGINT, strangers BIGINT, nameless BIGINT, unsized BIGINT, file INTEGER
)
"""
# A key without a slash behind its folder belongs to nobody: its owner is NULL.
_ADD = """
INSERT INTO tally
WITH listed AS (
    SELECT bucket, {key} AS key, TRY_CAST(size AS BIGINT) AS size, {counts} AS counts FROM {file}
), placed AS (
    SELECT *,
        CASE WHEN starts_with(key, $uploads) THEN 'uploaded'
             WHEN starts_with(key, $products) THEN 'produced' ELSE 'elsewhere' END AS place,
        CASE WHEN starts_with(key, $uploads) THEN substr(key, length($uploads) + 1)
             WHEN starts_with(key, $products) THEN substr(key, length($products) + 1) END AS rest
    FROM listed
)
SELECT place,
    CASE WHEN contains(rest, '/') THEN split_part(rest, '/', 1) END AS owner,
    coalesce(sum(size) FILTER (counts), 0),
    count(*) FILTER (counts),
    count(*),
    count(*) FILTER (bucket IS DISTINCT FROM $bucket),
    count(*) FILTER (key IS NULL OR counts IS NULL),
    count(*) FILTER (counts AND (size IS NULL OR size < 0)),
    $number
FROM placed GROUP BY ALL
"""
_WRONG = """
SELECT sum(strangers), sum(nameless), sum(unsized) FROM tally WHERE file = $number
"""
_OWNERS = """
SELECT owner,
    coalesce(sum(bytes) FILTER (place = 'uploaded'), 0),
    coalesce(sum(objects) FILTER (place = 'uploaded'), 0),
    coalesce(sum(bytes) FILTER (place = 'produced'), 0),
    coalesce(sum(objects) FILTER (place = 'produced'), 0)
FROM tally WHERE place <> 'elsewhere' GROUP BY owner
"""
_ELSEWHERE = """
SELECT coalesce(sum(bytes), 0), coalesce(sum(objects), 0) FROM tally WHERE place = 'elsewhere'
"""
_ENTRIES = "SELECT coalesce(sum(entries), 0) FROM tally"


class Counted(StrEnum):
    """Which of an inventory's entries count, as an expression on its columns."""

    EVERYTHING = "true"
    CURRENT = "CAST(is_latest AS BOOLEAN) AND NOT CAST(is_delete_marker AS BOOLEAN)"
    EVERY_VERSION = "NOT CAST(is_delete_marker AS BOOLEAN)"


@dataclass(frozen=True, slots=True)
class Holding:
    """What the inventory lists of one owner.

    Args:
        owner: the folder below a prefix that should be a customer's; None for what lies in none.
        usage: bytes and objects, by prefix.
    """

    owner: str | None
    usage: CustomerUsage


class Tally:
    """Adds up files.

    Args:
        connection: of DuckDB.
        manifest: of the files.
        prefixes: where customers' objects lie.
        every_version: whether versions that are no longer current count too.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        manifest: Manifest,
        prefixes: Prefixes,
        *,
        every_version: bool,
    ) -> None:
        self._connection = connection
        self._manifest = manifest
        self._prefixes = prefixes
        self._counted = _counted(manifest, every_version=every_version)
        self._files = 0

    def add(self, path: Path, name: str) -> None:
        """Add up one file.

        Raises:
            InventoryRefused: it is not what the manifest says; names the file.
        """
        key, file = "key", "read_parquet($path, binary_as_string=true)"
        values: dict[str, object] = {"path": str(path)}
        if self._manifest.format is Format.CSV:
            # URL-encoded; a blank may have become a plus, and a plus never stays one.
            key, file = "url_decode(replace(key, '+', ' '))", _CSV
            values |= {"columns": dict.fromkeys(self._manifest.columns, "VARCHAR")}
        self._run(
            _ADD.format(key=key, file=file, counts=self._counted),
            {
                **values,
                "uploads": self._prefixes.uploads,
                "products": self._prefixes.products,
                "bucket": self._manifest.source_bucket,
                "number": self._files,
            },
            name,
        )
        self._refuse_wrong(name)
        self._files += 1

    def owners(self) -> Iterator[Holding]:
        """What is listed under both prefixes, by owner, in no order."""
        found = self._connection.execute(_OWNERS)
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            for owner, uploaded, uploads, produced, products in rows:
                usage = CustomerUsage(Usage(uploaded, uploads), Usage(produced, products))
                yield Holding(owner, usage)

    def elsewhere(self) -> Usage:
        """What is listed under neither prefix: no storage of customers."""
        total, objects = self._one(_ELSEWHERE)
        return Usage(total, objects)

    def entries(self) -> int:
        """How many lines there were, those that do not count among them."""
        return self._one(_ENTRIES)[0]

    def _refuse_wrong(self, name: str) -> None:
        strangers, nameless, unsized = self._one(_WRONG, {"number": self._files})
        for wrong, what in (
            (strangers, f"of another bucket than {self._manifest.source_bucket}"),
            (nameless, "without a key, or that do not say whether they are current"),
            (unsized, "without a size"),
        ):
            if wrong:
                raise InventoryRefused(f"{name} has {wrong:,} entries {what}")

    def _one(self, query: str, values: Mapping[str, object] | None = None) -> Sequence[int]:
        row = self._connection.execute(query, values).fetchone()
        # Sums of no rows at all are NULL.
        return [0 if value is None else value for value in row or ()]

    def _run(self, query: str, values: Mapping[str, object], name: str) -> None:
        import duckdb  # noqa: PLC0415 - optional; there is a connection, so it is there

        try:
            self._connection.execute(query, values)
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise InventoryRefused(
                f"{name} cannot be read as the manifest says: {reason}"
            ) from None


@contextmanager
def database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in a folder: bounded in memory, and with no way out of that folder.

    Raises:
        AuditNotInstalled: DuckDB is not there.
    """
    try:
        import duckdb  # noqa: PLC0415 - the optional extra
    except ImportError:
        raise AuditNotInstalled from None
    connection = duckdb.connect(
        folder / "tally.duckdb",
        config={
            "memory_limit": _MEMORY,
            "threads": _THREADS,
            "temp_directory": str(folder / "spilled"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    try:
        allowed = str(folder).replace("'", "''")
        connection.execute(f"SET allowed_directories = ['{allowed}']")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        connection.execute(_TALLY)
        yield connection
    finally:
        connection.close()


def _counted(manifest: Manifest, *, every_version: bool) -> Counted:
    if manifest.has_versions:
        return Counted.EVERY_VERSION if every_version else Counted.CURRENT
    if every_version:
        raise InventoryRefused(
            "SIFTBEAM_OBJECT_VERSIONS is all, and the inventory lists current versions only: "
            "configure one of all versions"
        )
    return Counted.EVERYTHING
