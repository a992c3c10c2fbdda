"""Opening the installation that the environment names, for a command to work with."""

from __future__ import annotations

from worker.aws import connect
from worker.clock import SystemClock
from worker.installation import Installation
from worker.logs import configure_logs
from worker.settings import load_settings


def open_installation() -> Installation:
    """The installation that the environment names.

    Raises:
        SettingsError: a variable holds what it may not.
    """
    settings = load_settings()
    configure_logs(settings)
    return Installation(settings, connect(settings), SystemClock())
