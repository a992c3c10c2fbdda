"""Pages from S3: signed, fetched, checked, and asked for again where that can help."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import structlog

from worker.lease import check_lease
from worker.listing.errors import (
    ListingFailed,
    PageRefused,
    SlowedDown,
    Unreachable,
    WrongPage,
)
from worker.listing.page import Page, read_page
from worker.listing.wire import Answer, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.clock import Clock
    from worker.listing.address import BucketAddress
    from worker.listing.pressure import Pressure
    from worker.listing.query import PageQuery

_log = structlog.get_logger()
_OK = 200
_TOO_FAST = frozenset({429, 503})
_SERVER_ERROR = 500
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_SLOW_DOWN = frozenset(
    {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded"}
)
_PASSING = frozenset({"InternalError", "RequestTimeout"})
_ADVICE = {
    "AccessDenied": "whoever lists needs s3:ListBucket on the bucket: see docs/security.md",
    "NoSuchBucket": "see SIFTBEAM_BUCKET",
    "PermanentRedirect": "the bucket lies in another region: see AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket lies in another region: see AWS_REGION",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}
_ERROR = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<Error[\s>]")
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")
_SHOWN = 200
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 20.0
_PATIENCE_SECONDS = 600.0


class _Complaint(NamedTuple):
    code: str
    text: str


class S3Pages:
    """Lists a bucket, a page at a time. Safe between threads.

    Args:
        address: where the bucket is, asked for at the first page.
        pressure: how many pages may be in flight.
        clock: waits between attempts.
        chance: a number from 0 to 1, which spreads the waits of many.
        in_flight: the most requests at once.
    """

    def __init__(
        self,
        address: Callable[[], BucketAddress],
        *,
        pressure: Pressure,
        clock: Clock,
        chance: Callable[[], float],
        in_flight: int,
    ) -> None:
        self._address = address
        self._pressure = pressure
        self._clock = clock
        self._chance = chance
        self._in_flight = in_flight
        self._reached: tuple[BucketAddress, Wire] | None = None

    def fetch(self, query: PageQuery) -> Page:
        """The page, checked. Waits out what passes: a busy S3 slows a listing and fails none.

        Raises:
            PageRefused: S3 said no.
            SlowedDown: S3 asked to slow down for ten minutes.
            WrongPage: the same page came wrong five times.
            Unreachable: no whole answer came five times.
            LeaseLost: while it waited, the message in hand became another worker's.
            botocore.exceptions.BotoCoreError: no credentials.
        """
        began = self._clock.monotonic()
        failures = slowed = 0
        while True:
            try:
                return self._attempt(query)
            except SlowedDown:
                slowed += 1
                if self._clock.monotonic() - began > _PATIENCE_SECONDS:
                    raise
            except (WrongPage, Unreachable) as error:
                failures += 1
                if failures == _ATTEMPTS:
                    raise
                _log.warning("a page came wrong", action="page_failed", error=str(error))
            self._pause(failures + slowed)
            check_lease()

    def close(self) -> None:
        """Close the connections."""
        if self._reached is not None:
            self._reached[1].close()

    def _pause(self, attempts: int) -> None:
        pause = min(_PAUSE_SECONDS * 2 ** min(attempts - 1, 10), _LONGEST_PAUSE_SECONDS)
        self._clock.sleep(pause * (0.5 + self._chance() / 2))

    def _attempt(self, query: PageQuery) -> Page:
        address, wire = self._reach()
        target = address.target(query)
        with self._pressure.request() as request:
            answer = wire.get(target, address.signed(target))
            complaint = _complaint(answer)
            request.complained = complaint is not None and _asks_to_slow_down(answer, complaint)
        if complaint is None:
            return read_page(answer.body, query.prefix)
        raise _failure(answer, complaint, slow=request.complained)

    def _reach(self) -> tuple[BucketAddress, Wire]:
        # Two threads may both make one: the second is used, the first is closed when forgotten.
        if self._reached is None:
            address = self._address()
            self._reached = (address, Wire(address.origin, self._in_flight))
        return self._reached


def _complaint(answer: Answer) -> _Complaint | None:
    """What S3 complains about; None where the answer should be a page.

    An error document may come with status 200: S3 sends that before it knows.
    """
    if answer.status == _OK and not _ERROR.match(answer.body):
        return None
    code, message = _CODE.search(answer.body), _MESSAGE.search(answer.body)
    return _Complaint(
        "" if code is None else code[1].decode(errors="replace")[:_SHOWN],
        "no reason given" if message is None else message[1].decode(errors="replace")[:_SHOWN],
    )


def _asks_to_slow_down(answer: Answer, complaint: _Complaint) -> bool:
    return answer.status in _TOO_FAST or complaint.code in _SLOW_DOWN


def _failure(answer: Answer, complaint: _Complaint, *, slow: bool) -> ListingFailed:
    text = f"{complaint.code or 'an error'} (HTTP {answer.status}): {complaint.text}"
    if slow:
        return SlowedDown(text)
    if answer.status >= _SERVER_ERROR or complaint.code in _PASSING:
        return Unreachable(text)
    advice = _ADVICE.get(complaint.code)
    return PageRefused(text if advice is None else f"{text}; {advice}")
