"""What every test begins with: logs that no test before it has set up."""

from __future__ import annotations

import logging
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def untouched_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a command run in this process sets up; no logger keeps it for good."""
    configured, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", partial(_uncached, configure))
    yield
    configure(**configured)
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


def _uncached(configure: Callable[..., None], **settings: object) -> None:
    configure(**{**settings, "cache_logger_on_first_use": False})
