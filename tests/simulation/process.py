"""A simulated process: its clock, its calls, and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

if TYPE_CHECKING:
    import random
    from collections import Counter
    from collections.abc import Callable

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


class Crashed(BaseException):
    """The process is gone: nothing of it runs any more, and no call of it has an effect."""


class Process:
    """One process of the worker. Everything it does to the world goes through :meth:`call`.

    Args:
        name: for the history.
        scheduler: time.
        rng: chance.
        weather: what goes wrong.
        history: what happened.
        reached: counts what did.
    """

    def __init__(
        self,
        name: str,
        *,
        scheduler: Scheduler,
        rng: random.Random,
        weather: Weather,
        history: History,
        reached: Counter[str],
    ) -> None:
        self.name = name
        self.scheduler = scheduler
        self.rng = rng
        self.weather = weather
        self.history = history
        self.reached = reached
        self.alive = True
        self.handling = False
        self.stalled_until = 0.0
        self._skew = rng.uniform(-weather.skew, weather.skew)

    def now(self) -> datetime:
        """The wall clock of this machine, as wrong as it is."""
        self._pause()
        return _EPOCH + timedelta(seconds=self.scheduler.now + self._skew)

    def monotonic(self) -> float:
        """Seconds that have passed; a stalled machine's clock goes on."""
        self._pause()
        return self.scheduler.now

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
        self.reached["crash"] += 1
        self.history.note(self.scheduler.now, self.name, what, "CRASHED")
        raise Crashed

    def travel(self, what: str, longest: float | None = None) -> None:
        """Let time pass on the way to a call's effect, or back; the process may die on it."""
        weather, rng = self.weather, self.rng
        draw = rng.random()
        if draw >= weather.crash + weather.stall + weather.slow:
            seconds = 0.001 + 0.02 * rng.random()
        elif draw < weather.crash:
            self.check()
            self.crash(what)
            return
        elif draw < weather.crash + weather.stall:
            seconds = weather.longest_stall * rng.random() ** 2
            if longest is not None:
                seconds = min(seconds, longest)
            self.stalled_until = self.scheduler.now + seconds
            self.reached["stall"] += 1
            self.history.note(self.scheduler.now, self.name, what, f"stalls for {seconds:.0f} s")
        else:
            seconds = 5 * rng.random()
        self.scheduler.sleep(seconds)
        if not self.alive:
            raise Crashed

    def _pause(self) -> None:
        """A machine may stop between two instructions: here, where it looks at its clock."""
        weather = self.weather
        if weather.stall and self.handling and self.rng.random() < weather.stall:
            seconds = weather.longest_stall * self.rng.random() ** 2
            self.stalled_until = self.scheduler.now + seconds
            self.reached["stall"] += 1
            self.history.note(
                self.scheduler.now, self.name, "(between two calls)", f"stalls for {seconds:.0f} s"
            )
            self.sleep(seconds)

    def call(self, service: str, what: str, effect: Callable[[], T]) -> T:
        """Call AWS as botocore does: retried when throttled, and when an answer was lost.

        Raises:
            botocore.exceptions.ClientError: what ``effect`` raises, or throttled at last.
            botocore.exceptions.ReadTimeoutError: no answer came, though it may have taken effect.
        """
        weather, rng = self.weather, self.rng
        error: ClientError | ReadTimeoutError | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sleep(rng.random() * 2**attempt)
            self.travel(what)
            draw = rng.random()
            if draw < weather.throttled:
                code = _THROTTLES[service]
                error = ClientError({"Error": {"Code": code, "Message": "slow down"}}, what)
                self._note(what, code)
                continue
            if draw < weather.throttled + weather.lost_answer:
                self._lose(what, effect)
                error = ReadTimeoutError(endpoint_url=f"https://{service}.invalid/")
                continue
            try:
                answer = effect()
            except ClientError as refusal:
                self._note(what, refusal.response["Error"]["Code"])
                self._return(what)
                raise
            self._note(what, "")
            self._return(what)
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

    def _return(self, what: str) -> None:
        # Most answers come back before anybody else acts; the others leave a gap to act in.
        if self.rng.random() < 0.3:
            self.travel(what)

    def _note(self, what: str, result: str) -> None:
        if self.history.kept:
            self.history.note(self.scheduler.now, self.name, what, result)
