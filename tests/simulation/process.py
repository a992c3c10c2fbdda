"""A simulated process: its clocks, its calls, and its end."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.faults import Faults
    from tests.simulation.history import History
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.weather import Weather

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# botocore's standard mode, as worker.aws sets it.
_ATTEMPTS = 4
_THROTTLES = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "s3": "SlowDown",
    "sqs": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
}


def refused(code: str, message: str, what: str) -> ClientError:
    """A refusal as botocore raises it: with the status that AWS's JSON services give."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": 400,
                "HTTPHeaders": {},
                "RequestId": "",
                "HostId": "",
                "RetryAttempts": 0,
            },
        },
        what,
    )


class Crashed(BaseException):
    """The process is gone: nothing of it runs any more, and no call of it has an effect."""


class Process:
    """One process of the worker. Everything it does to the world goes through :meth:`call`.

    Args:
        name: for the history.
        seed: the run's.
        scheduler: time.
        weather: how often what goes wrong.
        faults: what does.
        history: what happened.
    """

    def __init__(
        self,
        name: str,
        *,
        seed: int,
        scheduler: Scheduler,
        weather: Weather,
        faults: Faults,
        history: History,
    ) -> None:
        self.name = name
        self.seed = seed
        self.scheduler = scheduler
        self.rng = random.Random(f"{seed} {name}")  # noqa: S311 - has to repeat itself
        self.weather = weather
        self.faults = faults
        self.history = history
        self.alive = True
        self.on_suspension: Callable[[], object] = lambda: None
        self.handling = 0
        self.stalled_until = 0.0
        self._skew = self.rng.uniform(-weather.skew, weather.skew)
        self._stands_still = self.rng.random() < 0.5
        self._stood_still = self._frozen_since = self._frozen_until = 0.0

    def now(self) -> datetime:
        """The wall clock of this machine, as wrong as it is."""
        self._pause()
        return _EPOCH + timedelta(seconds=self.scheduler.now + self._skew)

    def monotonic(self) -> float:
        """Seconds that have passed.

        A stalled machine's clock goes on; that of some machines stands still while they are
        suspended, as Linux's CLOCK_MONOTONIC does (https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
        """
        now = self.scheduler.now
        frozen = min(now, self._frozen_until) - self._frozen_since
        return now - self._stood_still - frozen

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.scheduler.sleep(seconds)
        self.check()

    def check(self) -> None:
        """End here if the process is gone."""
        if not self.alive:
            raise Crashed

    def crash(self, what: str) -> None:
        """The process dies, here."""
        self.alive = False
        self.history.note(self.scheduler.now, self.name, what, "CRASHED")
        raise Crashed

    def travel(self, what: str, longest: float | None = None) -> None:
        """Let time pass on the way to a call's effect, or back; the process may die on it."""
        weather, draw = self.weather, self.faults.random()
        if draw < weather.crash:
            if self.faults.hit("crash") is not None:
                self.check()
                self.crash(what)
        elif draw < weather.crash + weather.stall:
            size = self.faults.hit("stall")
            if size is not None:
                seconds = weather.longest_stall * size**2
                self._stall(what, seconds if longest is None else min(seconds, longest))
                return
        elif draw < weather.crash + weather.stall + weather.slow:
            self.scheduler.sleep(5 * draw / weather.slow)
            self.check()
            return
        self.scheduler.sleep(0.001 + 0.02 * draw)
        if not self.alive:
            raise Crashed

    def _pause(self) -> None:
        """A machine may stop between two instructions: here, where it looks at its clock."""
        if self.handling and self.weather.stall and self.faults.random() < self.weather.stall:
            size = self.faults.hit("stall")
            if size is not None:
                self._stall("(between two calls)", self.weather.longest_stall * size**2)

    def _stall(self, what: str, seconds: float) -> None:
        self.stalled_until = self.scheduler.now + seconds
        self.history.note(self.scheduler.now, self.name, what, f"stalls for {seconds:.0f} s")
        self.sleep(seconds)

    def _suspend(self, what: str, size: float) -> None:
        """The machine is frozen whole, for hours or a day, and then goes on as if nothing were."""
        seconds = self.weather.longest_suspension * size
        self.stalled_until = self.scheduler.now + seconds
        if self._stands_still:
            self._stand_still(seconds)
        self.history.note(self.scheduler.now, self.name, what, f"suspended for {seconds:.0f} s")
        self.on_suspension()
        self.sleep(seconds)

    def _stand_still(self, seconds: float) -> None:
        """Let the monotonic clock stand for so long from now on; it never goes back."""
        now = self.scheduler.now
        if now > self._frozen_until:
            self._stood_still += self._frozen_until - self._frozen_since
            self._frozen_since = now
        self._frozen_until = max(self._frozen_until, now + seconds)

    def call(self, service: str, what: str, effect: Callable[[], T], *, claims: bool = False) -> T:
        """Call AWS as botocore does: retried when throttled, and when an answer was lost.

        Args:
            service: which of AWS's.
            what: for the history.
            effect: what the call does.
            claims: whether it claims a fact: a machine suspended just then does most harm.

        Raises:
            botocore.exceptions.ClientError: what ``effect`` raises, or throttled at last.
            botocore.exceptions.ReadTimeoutError: no answer came, though it may have taken effect.
        """
        weather, faults = self.weather, self.faults
        error: ClientError | ReadTimeoutError | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sleep(self.rng.random() * 2**attempt)
            self.travel(what)
            unanswered = weather.throttled + weather.lost_answer
            if unanswered and (draw := faults.random()) < unanswered:
                throttled = draw < weather.throttled
                if faults.hit("throttled" if throttled else "lost_answer") is not None:
                    if throttled:
                        code = _THROTTLES[service]
                        error = refused(code, "slow down", what)
                        self._note(what, code)
                    else:
                        self._lose(what, effect)
                        error = ReadTimeoutError(endpoint_url=f"https://{service}.invalid/")
                    continue
            try:
                answer = effect()
            except ClientError as refusal:
                self._note(what, refusal.response["Error"]["Code"])
                self._return(what, claims=False)
                raise
            if self.history.kept:
                self._note(what, "")
            self._return(what, claims=claims)
            return answer
        assert error is not None
        raise error

    def _lose(self, what: str, effect: Callable[[], object]) -> None:
        try:
            effect()
        except ClientError as refusal:
            self._note(what, f"{refusal.response['Error']['Code']}, answer lost")
        else:
            self._note(what, "answer lost")
        self.travel(what)

    def _return(self, what: str, *, claims: bool) -> None:
        # Most answers come back before anybody else acts; the others leave a gap to act in.
        if self.rng.random() < 0.3:
            self.travel(what)
        if claims and self.weather.suspension and self.handling:
            draw = self.faults.random()
            if draw < self.weather.suspension:
                size = self.faults.hit("suspension")
                if size is not None:
                    self._suspend(what, size)

    def _note(self, what: str, result: str) -> None:
        if self.history.kept:
            self.history.note(self.scheduler.now, self.name, what, result)
