"""A listing that may be long: it saves how far it got, and goes on where another was killed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from worker.lease import check_lease
from worker.listing.checkpoint import Checkpoint
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from worker.clock import Clock
    from worker.listing.checkpoint import Checkpoints
    from worker.listing.division import Division
    from worker.listing.survey import Survey

_log = structlog.get_logger()
# Below that many pages, starting anew costs less than remembering.
_LONG_PAGES = 50
_SAVE_SECONDS = 10.0
# A figure is what lay in S3 while it was listed; older parts would make it one of no time at all.
_OLDEST = timedelta(hours=6)


class Measuring(Protocol):
    """Sums up whole prefixes for a day's measure."""

    def usage(self, prefix: str, day: date) -> Usage:
        """Bytes and objects under a prefix."""
        ...

    def written(self, prefix: str) -> None:
        """The measure of a prefix is recorded."""
        ...


class _Resumed(Exception):  # noqa: N818 - no error: another beginning
    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint.prefix)
        self.checkpoint = checkpoint


class LongListing:
    """Lists prefixes of any length, for one message at a time.

    Args:
        survey: lists.
        checkpoints: remember.
        clock: the time.
        holder: a random name, another one for each message.
    """

    def __init__(
        self, *, survey: Survey, checkpoints: Checkpoints, clock: Clock, holder: Callable[[], str]
    ) -> None:
        self._survey = survey
        self._checkpoints = checkpoints
        self._clock = clock
        self._holder = holder()
        self._saved: set[str] = set()

    def usage(self, prefix: str, day: date) -> Usage:
        """Bytes and objects under a prefix.

        Raises:
            ListingFailed: a page could not be had, or another worker took the listing over.
            LeaseLost: the message in hand is another worker's by now.
        """
        division = self._survey.division(prefix)
        try:
            return self._run(division, _Log(self, day))
        except _Resumed as resumed:
            found = resumed.checkpoint
        division = self._survey.division(prefix)
        division.resume(Usage(found.total_bytes, found.objects), found.pages, found.left)
        _log.info(
            "a listing goes on where it was left",
            action="listing_resumed",
            prefix=prefix,
            objects=found.objects,
            began_at=found.began_at.isoformat(),
        )
        self._saved.add(prefix)
        return self._run(division, _Log(self, day, found))

    def written(self, prefix: str) -> None:
        """The measure of a prefix is recorded: its checkpoint has served."""
        if prefix in self._saved:
            self._saved.discard(prefix)
            self._checkpoints.close(prefix, self._holder)

    def _run(self, division: Division, log: _Log) -> Usage:
        ended = self._survey.run(division, log.after_page)
        if ended.prefix in self._saved:
            log.save(ended)
        return ended.usage

    def look(self, prefix: str, day: date) -> None:
        """Go on from a checkpoint of that day, if there is a young one.

        Raises:
            _Resumed: there is.
        """
        found = self._checkpoints.take_over(prefix, self._holder)
        if found is not None and found.day == day and self._clock.now() - found.began_at <= _OLDEST:
            raise _Resumed(found)

    def save(self, checkpoint: Checkpoint) -> None:
        """Remember how far a listing got."""
        self._checkpoints.save(checkpoint, self._holder)
        if checkpoint.prefix not in self._saved:
            self._saved.add(checkpoint.prefix)
            self._checkpoints.announce(checkpoint.prefix)

    @property
    def clock(self) -> Clock:
        """The time."""
        return self._clock


class _Log:
    """Of one listing: what happens after each page."""

    def __init__(self, listing: LongListing, day: date, found: Checkpoint | None = None) -> None:
        self._listing = listing
        self._day = day
        self._looked = found is not None
        self._began_at = listing.clock.now() if found is None else found.began_at
        self._saved_at = listing.clock.monotonic()

    def after_page(self, division: Division) -> None:
        """Stop for a lost lease; look for a checkpoint once; save one now and then."""
        check_lease()
        if division.pages < _LONG_PAGES:
            return
        if not self._looked:
            self._looked = True
            self._listing.look(division.prefix, self._day)
            self.save(division)
        elif self._listing.clock.monotonic() - self._saved_at >= _SAVE_SECONDS:
            self.save(division)

    def save(self, division: Division) -> None:
        """Remember how far it got; nothing where keys come in no order to go on in."""
        self._saved_at = self._listing.clock.monotonic()
        if division.ordered:
            now = self._listing.clock.now()
            self._listing.save(Checkpoint.of(division, self._day, self._began_at, now))
