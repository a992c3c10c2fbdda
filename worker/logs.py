"""The logs: one line per event, on standard error, and nothing secret in it.

What libraries log comes out in the same form. They are kept to their warnings whatever the level,
since they write requests at DEBUG; and every text passes :mod:`worker.redaction`.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from typing import TYPE_CHECKING, TextIO, cast

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from worker.redaction import redacted, redacted_in

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict, Processor, WrappedLogger

    from worker.settings import Settings

# These write requests, and with them credentials and signed URLs, at DEBUG.
_QUIET = ("boto3", "botocore", "s3transfer", "stripe", "urllib3", "requests")


class _StandardError(io.TextIOBase):
    """Standard error as it is when a line is written, whoever has replaced it since."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(settings: Settings) -> None:
    """Send structured lines to standard error: JSON for machines, or text for people."""
    # Without local variables: the Stripe library's frames hold the key.
    tracebacks = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    known: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_blanks,
    ]
    last: list[Processor] = (
        [tracebacks, _redact, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [
            _redacting(
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
                )
            )
        ]
    )
    structlog.configure(
        processors=[*known, *last],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )
    _take_in_libraries(known, last)
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed


def _take_in_libraries(known: list[Processor], last: list[Processor]) -> None:
    handler = logging.StreamHandler(_StandardError())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*known, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_blanks(_: object, __: str, event: EventDict) -> EventDict:
    """Leave out what a message's context has a place for and nothing was put there."""
    return {name: value for name, value in event.items() if value is not None}


def _redact(_: object, __: str, event: EventDict) -> EventDict:
    return {name: redacted_in(value) for name, value in event.items()}


def _redacting(renderer: structlog.dev.ConsoleRenderer) -> Processor:
    """A renderer whose line is redacted: it renders the traceback itself."""

    def render(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return redacted(renderer(logger, name, event))

    return render


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger().critical(
        "the process ends on a defect", action="process_crashed", exc_info=(kind, error, trace)
    )


def _thread_crashed(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit or arguments.exc_value is None:
        return
    structlog.get_logger().critical(
        "a thread ended on a defect",
        action="thread_crashed",
        thread=None if arguments.thread is None else arguments.thread.name,
        exc_info=(arguments.exc_type, arguments.exc_value, arguments.exc_traceback),
    )
