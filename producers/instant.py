"""Instants as text and as seconds: UTC, aware, and written with a ``Z``."""

from datetime import UTC, datetime


class NotAnInstant(ValueError):  # noqa: N818 - reads as what the text is
    """The text is not an ISO 8601 instant with an offset, such as ``2026-10-31T01:00:00Z``."""


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant that names its offset; the answer is in UTC.

    Raises:
        NotAnInstant: no ISO 8601 text, or one without an offset (whose hour would be a guess).
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise NotAnInstant(
            f"{text!r} is not an ISO 8601 instant; write 2026-10-31T01:00:00Z"
        ) from None
    if instant.tzinfo is None:
        raise NotAnInstant(f"{text!r} names no offset; write it in UTC with a final Z")
    return instant.astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """Write an aware instant in UTC with milliseconds and ``Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_seconds(instant: datetime) -> int:
    """Whole seconds since 1970-01-01T00:00Z, rounded down."""
    return int(instant.timestamp() // 1)


def from_epoch(seconds: int) -> datetime:
    """The aware UTC instant of whole seconds since 1970."""
    return datetime.fromtimestamp(seconds, tz=UTC)
