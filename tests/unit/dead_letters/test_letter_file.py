"""A file of letters is whole, whatever the disk does, and nobody's but its owner's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from producers.queues import Queue
from tests.unit.dead_letters.full_disk import room_for
from worker.dead_letters.errors import BadLetterFile
from worker.dead_letters.letter import Letter
from worker.dead_letters.letter_file import LetterFile, read_letters

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def letter(body: str) -> Letter:
    return Letter.read(Queue.SCHEDULE, {"MessageId": body, "ReceiptHandle": "r", "Body": body}, NOW)


def test_what_a_full_disk_took_before_can_be_imported(tmp_path: Path) -> None:
    path = tmp_path / "letters"
    with LetterFile(path) as file:
        file.write([letter("first"), letter("second")])
        size = path.stat().st_size
        with room_for(size + 30), pytest.raises(BadLetterFile, match="File too large"):
            file.write([letter("third")])

    assert [each.body for each in read_letters(path)] == ["first", "second"]
    assert path.stat().st_size == size


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    with LetterFile(tmp_path / "letters"):
        assert (tmp_path / "letters").stat().st_mode & 0o777 == 0o600
