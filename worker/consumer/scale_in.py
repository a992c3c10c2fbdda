"""Scale-in protection: while work is long, ECS is asked to stop another task, or to wait.

Best effort: what is interrupted comes again, so a protection that cannot be had is no error.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
import urllib3

if TYPE_CHECKING:
    from worker.clock import Clock
    from worker.consumer.side_job import Vitals

_log = structlog.get_logger()
_PATH = "/task-protection/v1/state"
# Shorter work is done well within the drain.
_LONG_WORK_SECONDS = 120.0
# A worker that is killed while protected holds a scale-in up for no longer than this.
_EXPIRES_MINUTES = 30
_RENEWED_AFTER_SECONDS = _EXPIRES_MINUTES * 60 / 2
_TIMEOUT = urllib3.Timeout(total=5.0, connect=2.0)
_REFUSED = 400


class ScaleInProtection:
    """Asks the ECS agent for protection while a message has been in hand for two minutes.

    Args:
        agent_uri: ``ECS_AGENT_URI``, which ECS sets in every container.
        clock: the time.
    """

    name = "scale-in"
    pause = 15.0

    def __init__(self, agent_uri: str, clock: Clock) -> None:
        self._url = agent_uri.rstrip("/") + _PATH
        self._clock = clock
        self._http = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)
        self._asked_at: float | None = None
        self._complained = False

    def run(self, vitals: Vitals) -> None:
        """Ask for protection, renew it, or give it up."""
        now = self._clock.monotonic()
        if vitals.longest_in_hand >= _LONG_WORK_SECONDS:
            if self._asked_at is None or now - self._asked_at >= _RENEWED_AFTER_SECONDS:
                body = {"ProtectionEnabled": True, "ExpiresInMinutes": _EXPIRES_MINUTES}
                if self._put(body):
                    self._asked_at = now
        elif self._asked_at is not None and self._put({"ProtectionEnabled": False}):
            self._asked_at = None

    def _put(self, body: dict[str, bool | int]) -> bool:
        """Whether the agent agreed; one that does not is asked again at the next run."""
        try:
            answer = self._http.request("PUT", self._url, json=body)
        except urllib3.exceptions.HTTPError as error:
            problem = type(error).__name__
        else:
            if answer.status < _REFUSED:
                _log.info("scale-in protection", action="scale_in_protection", asked=body)
                self._complained = False
                return True
            problem = f"HTTP {answer.status} {answer.data[:300].decode(errors='replace')}"
        if not self._complained:
            _log.warning(
                "no scale-in protection; long work may be interrupted and comes again",
                action="scale_in_protection_failed",
                error=problem,
            )
        self._complained = True
        return False
