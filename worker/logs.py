"""The logs: one line per event, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

if TYPE_CHECKING:
    from structlog.typing import Processor

    from worker.settings import Settings

# These write requests, and with them credentials and signed URLs, at DEBUG.
_QUIET = ("boto3", "botocore", "s3transfer", "stripe", "urllib3", "requests")


def configure_logs(settings: Settings) -> None:
    """Send structured lines to standard error: JSON for machines, or text for people."""
    # Without local variables: the Stripe library's frames hold the key.
    tracebacks = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    renderer: list[Processor] = (
        [tracebacks, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
