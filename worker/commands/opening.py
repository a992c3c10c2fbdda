"""Opening the installation that the environment names, for a command to work with."""

from __future__ import annotations

from worker.aws import connect
from worker.clock import SystemClock
from worker.logs import configure_logs
from worker.operator_installation import OperatorInstallation
from worker.settings import load_settings


def open_installation() -> OperatorInstallation:
    """The installation that the environment names.

    Raises:
        SettingsError: a variable holds what it may not.
    """
    settings = load_settings()
    configure_logs(settings)
    return OperatorInstallation(settings, connect(settings), SystemClock())
