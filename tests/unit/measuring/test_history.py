"""What existed at an instant, against a bucket that remembers everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.measuring.history import NotKept, Version, existing, stored
from worker.usage import Usage

BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
KEYS = ("a", "a/b", "b", "ü", "日本")


@dataclass
class Bucket:
    """A bucket that keeps versions, and what a reader found after each change."""

    versions: list[Version] = field(default_factory=list)
    found: list[tuple[datetime, dict[str, int]]] = field(default_factory=lambda: [(BEGIN, {})])

    def change(self, key: str, size: int | None, at: datetime) -> None:
        now = dict(self.found[-1][1])
        if size is None:
            now.pop(key, None)
        else:
            now[key] = size
        self.versions.append(Version(key, size, at))
        self.found.append((at, now))

    def at(self, instant: datetime) -> Usage:
        held = [held for at, held in self.found if at <= instant][-1]
        return Usage(sum(held.values()), len(held))

    def listed(self) -> list[Version]:
        """As S3 lists them: by the key's bytes, the newest first."""
        newest_first = sorted(self.versions, key=lambda each: each.written_at, reverse=True)
        return sorted(newest_first, key=lambda each: each.key.encode())


CHANGES = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, 5 * 2**40)), max_size=40
)


@given(CHANGES, st.integers(-1, 41))
def test_what_a_reader_would_have_found(
    changes: list[tuple[str, int | None]], looked_after: int
) -> None:
    bucket = Bucket()
    for hour, (key, size) in enumerate(changes, start=1):
        bucket.change(key, size, BEGIN + timedelta(hours=hour))
    instant = BEGIN + timedelta(hours=max(looked_after, 0), minutes=30)

    assert existing(bucket.listed(), instant) == bucket.at(instant)


@given(CHANGES)
def test_all_that_is_stored(changes: list[tuple[str, int | None]]) -> None:
    bucket = Bucket()
    for hour, (key, size) in enumerate(changes, start=1):
        bucket.change(key, size, BEGIN + timedelta(hours=hour))
    sizes = [size for _, size in changes if size is not None]

    assert stored(bucket.listed()) == Usage(sum(sizes), len(sizes))
    half = BEGIN + timedelta(hours=20, minutes=30)
    early = [size for _, size in changes[:20] if size is not None]
    assert stored(bucket.listed(), half) == Usage(sum(early), len(early))


@pytest.mark.parametrize(("latest", "size"), [("put", 5), ("removal", 0), ("neither", 0)])
def test_two_writes_in_one_second(latest: str, size: int) -> None:
    put = Version("a", 5, BEGIN, latest=latest == "put")
    removal = Version("a", None, BEGIN, latest=latest == "removal")

    for listed in ([put, removal], [removal, put]):
        assert existing(listed, BEGIN).total_bytes == size


def test_a_bucket_that_kept_no_versions_yet_cannot_tell() -> None:
    later = Version("a", 5, BEGIN + timedelta(days=2), latest=True, unversioned=True)

    with pytest.raises(NotKept, match="a was written on 2026-10-03 while the bucket kept no"):
        existing([later], BEGIN + timedelta(days=1))
    assert existing([later], BEGIN + timedelta(days=3)) == Usage(5, 1)
