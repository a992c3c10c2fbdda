"""A manifest's reader knows of each letter what the writer knew, wherever the writer stopped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from producers.queues import Queue
from tests.unit.dead_letters.full_disk import room_for
from worker.dead_letters.errors import BadManifest, ManifestInUse
from worker.dead_letters.manifest import Header, Manifest, read_manifest
from worker.dead_letters.manifest_shelf import ManifestShelf
from worker.dead_letters.replay_order import ReplayOrder

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
URL = "https://sqs/siftbeam-schedule-dlq"


class LeapingClock:
    """A clock on which waiting takes no time."""

    def __init__(self) -> None:
        self.waited = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.waited

    def sleep(self, seconds: float) -> None:
        self.waited += seconds


def header(**changes: object) -> Header:
    order = ReplayOrder(queues=(Queue.SCHEDULE,), limit=5, force=True)
    made = Header(order=order, dead_letter_urls=(URL,), begun_at=NOW, sqs_time=None)
    return made.model_copy(update=changes)


def written(path: Path) -> None:
    with Manifest.begin(path, header(), LeapingClock()) as manifest:
        manifest.journal.intend(["a", "b", "c", "d"], NOW)
        manifest.journal.sent({"a": "copy-a", "b": "copy-b"})
        manifest.journal.unsent(["c"])
        manifest.journal.deleted(["a"])


def test_what_is_open_is_known_again(tmp_path: Path) -> None:
    written(tmp_path / "m")

    with Manifest.resume(tmp_path / "m", LeapingClock()) as manifest:
        progress = manifest.progress
        assert manifest.header == header()
        assert progress.doubtful == {"d"}
        assert progress.undeleted == {"b"}
        assert progress.copies == {"copy-a", "copy-b"}
        assert progress.last_at == NOW
        assert not progress.finished
        manifest.journal.finish()

    assert read_manifest(tmp_path / "m")[1].finished


def test_wherever_a_crash_cuts_the_file_nothing_sent_is_taken_for_unsent(tmp_path: Path) -> None:
    written(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole) + 1):
        path = tmp_path / f"cut{end}"
        path.write_bytes(whole[:end])
        with Manifest.resume(path, LeapingClock()) as manifest:
            before = manifest.progress
            manifest.journal.intend(["later"], NOW)
        _, after = read_manifest(path)

        # The line of the sending stands or it does not; then the letters are in doubt.
        if b'"intended"' in whole[first:end] and whole[first:end].count(b"\n"):
            assert before.doubtful | before.undeleted >= {"b", "d"}
        assert after.doubtful == before.doubtful | {"later"}


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    written(tmp_path / "m")

    with pytest.raises(BadManifest, match="name a new file with --manifest"):
        Manifest.begin(tmp_path / "m", header(), LeapingClock())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("no JSON\n", "is no manifest"),
        ('{"version": 2}\n', "is no manifest"),
        (header().model_dump_json(by_alias=True) + '\n{"unheard": 1}\n', "line 2"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "m").write_text(text)

    with pytest.raises(BadManifest, match=complaint):
        Manifest.resume(tmp_path / "m", LeapingClock())


def test_no_two_processes_write_one(tmp_path: Path) -> None:
    with (
        Manifest.begin(tmp_path / "m", header(), LeapingClock()),
        pytest.raises(ManifestInUse, match="still runs"),
    ):
        Manifest.resume(tmp_path / "m", LeapingClock())


def test_the_shelf_gives_back_what_was_interrupted_here(tmp_path: Path) -> None:
    shelf = ManifestShelf.of_user({"XDG_STATE_HOME": str(tmp_path)})
    assert list(shelf.unfinished([URL], NOW)) == []
    path = shelf.place(NOW)
    written(path)
    path.with_name("empty.jsonl").touch()

    assert [found for found, _ in shelf.unfinished([URL], NOW)] == [path]
    assert list(shelf.unfinished(["https://sqs/elsewhere"], NOW)) == []
    with Manifest.resume(path, LeapingClock()) as manifest:
        manifest.journal.finish()
    assert list(shelf.unfinished([URL], NOW)) == []


def test_what_sqs_has_forgotten_holds_up_nobody(tmp_path: Path) -> None:
    shelf = ManifestShelf.of_user({"XDG_STATE_HOME": str(tmp_path)})
    old = header(begun_at=datetime(2026, 10, 1, tzinfo=UTC))
    with Manifest.begin(shelf.place(NOW), old, LeapingClock()):
        pass

    assert list(shelf.unfinished([URL], NOW)) == []


def test_a_full_disk_says_so_before_anything_is_sent(tmp_path: Path) -> None:
    written(tmp_path / "m")
    size = (tmp_path / "m").stat().st_size
    for room in range(size, size + 12):
        path = tmp_path / f"room{room}"
        path.write_bytes((tmp_path / "m").read_bytes())
        with (
            Manifest.resume(path, LeapingClock()) as manifest,
            room_for(room),
            pytest.raises(BadManifest, match="cannot be written"),
        ):
            manifest.journal.intend(["not-sent"], NOW)

        # The same command goes on once there is room.
        with Manifest.resume(path, LeapingClock()) as manifest:
            manifest.journal.intend(["sent-later"], NOW)
        assert read_manifest(path)[1].doubtful == {"d", "sent-later"}


def test_a_manifest_that_has_no_room_for_its_first_line_is_not_begun(tmp_path: Path) -> None:
    with room_for(10), pytest.raises(BadManifest, match="cannot be written"):
        Manifest.begin(tmp_path / "m", header(), LeapingClock())


def test_the_shelf_knows_a_manifest_that_lies_elsewhere(tmp_path: Path) -> None:
    shelf = ManifestShelf.of_user({"XDG_STATE_HOME": str(tmp_path / "state")})
    elsewhere = tmp_path / "mine"
    written(elsewhere)
    shelf.remember(elsewhere, NOW)

    ((path, left),) = shelf.unfinished([URL], NOW)
    assert path.resolve() == elsewhere
    assert left == header()

    elsewhere.unlink()
    assert list(shelf.unfinished([URL], NOW)) == []


def test_a_shelf_that_cannot_be_made_holds_up_nobody(tmp_path: Path) -> None:
    written(tmp_path / "mine")
    (tmp_path / "file").touch()

    ManifestShelf.of_user({"XDG_STATE_HOME": str(tmp_path / "file")}).remember(
        tmp_path / "mine", NOW
    )
