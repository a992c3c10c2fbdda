"""The scenario: what one run is about, apart from chance's own faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from producers.billing_month import BillingMonth
from tests.simulation.fates import BAD_KEY, DARK, OUTAGE, REFUSING, UNSEEN, Spell
from tests.simulation.weather import DAY, HOUR, Bounds, Weather

if TYPE_CHECKING:
    import random

    from tests.simulation.faults import Schedule

Mode = Literal["on", "shadow", "verify"]
_MONTHS = ("2026-10", "2027-02", "2026-12")
# Long enough for 23 hours of resending, a day of asking, two days of waiting for the summaries.
_CALM = 6 * DAY
_NEVER = 400 * DAY


@dataclass(frozen=True, slots=True)
class Busy:
    """A time in which a share of all runs begin. Epoch seconds."""

    start: float
    end: float
    share: float


@dataclass(frozen=True, slots=True)
class Restore:
    """The ledger's table is put back to what it was. Epoch seconds."""

    backed_up_at: float
    restored_at: float


@dataclass(slots=True)
class Scenario:
    """What one run is about. Instants are epoch seconds.

    Args:
        months: the months that end in it.
        start: when it begins.
        clears_at: when every fault ends.
        until: when it ends.
        final_after: seconds from a month's end until its invoices are final.
        modes: what ``SEND`` says, from each instant on.
        bill_from: ``BILL_FROM``.
        restore: whether, and when, the ledger is restored from a backup.
        deploys: when every worker is stopped.
        acts: when the operator acts.
        workers: how many there are.
        busy: when many runs begin.
        spells: times in which calls to Stripe fare alike.
    """

    months: tuple[BillingMonth, ...]
    start: float
    clears_at: float
    until: float
    final_after: float
    busy: Busy
    modes: tuple[tuple[float, Mode], ...] = ((0.0, "on"),)
    bill_from: float | None = None
    restore: Restore | None = None
    deploys: tuple[float, ...] = ()
    acts: tuple[float, ...] = ()
    workers: int = 1
    spells: list[Spell] = field(default_factory=list)

    @classmethod
    def drawn(
        cls, rng: random.Random, weather: Weather, schedule: Schedule, bounds: Bounds
    ) -> Scenario:
        """The scenario of one run."""
        first = BillingMonth.parse(rng.choice(_MONTHS))
        months: tuple[BillingMonth, ...] = (first,)
        if rng.random() < 0.08:
            months = (first, BillingMonth.containing(first.end))
        start = first.end.timestamp() - rng.uniform(1.5, 3.5) * DAY
        clears_at = months[-1].end.timestamp() + rng.uniform(1.0, 3.0) * DAY
        scenario = cls(
            months=months,
            start=start,
            clears_at=clears_at,
            until=clears_at + _CALM,
            final_after=rng.choice((_NEVER, _NEVER, 72 * HOUR, rng.uniform(1, 40) * HOUR)),
            busy=Busy(start + DAY, start + DAY + 90.0, share=0.3),
            workers=rng.randint(1, 4),
        )
        scenario._draw_spells(rng, weather, schedule)
        scenario._draw_modes(rng, schedule, keeps_ledger=bounds.keeps_ledger)
        scenario._draw_acts(rng, schedule)
        return scenario

    def mode_at(self, now: float) -> Mode:
        """What ``SEND`` says at an instant."""
        return next(mode for since, mode in reversed(self.modes) if since <= now)

    def _draw_spells(self, rng: random.Random, weather: Weather, schedule: Schedule) -> None:
        kinds = (
            ("outage", OUTAGE, 0.3, 1.4 * DAY),
            ("short outage", OUTAGE, 0.3, HOUR),
            ("dark", DARK, 0.3, 2 * DAY),
            ("bad key", BAD_KEY, 0.2, 5 * HOUR),
            ("refusing", REFUSING, 0.1, 2 * HOUR),
        )
        for name, fates, share, longest in kinds:
            drawn, begins, lasts = rng.random(), rng.random(), longest * rng.random()
            if drawn < share and schedule.takes(f"spell: {name}"):
                at = self.start + begins * (self.clears_at - self.start)
                self.spells.append(Spell(at, min(at + lasts, self.clears_at), fates))
        if rng.random() < 0.2:
            self._draw_brink(rng, weather, schedule)

    def _draw_brink(self, rng: random.Random, weather: Weather, schedule: Schedule) -> None:
        """Events are taken unseen; Stripe is back when their identifiers are nearly forgotten."""
        begins = rng.uniform(self.start, self.clears_at - DAY)
        dark = begins + rng.uniform(0.2, 2.0) * HOUR
        light = begins + rng.choice((rng.uniform(21.5, 24.0), rng.uniform(23.0, 40.0))) * HOUR
        often = rng.random() < 0.5
        self.busy = Busy(begins, dark, share=0.8)
        if often:
            weather.stall, weather.longest_stall = 0.02, 4 * HOUR
        if schedule.takes("spell: taken unseen, then dark for a day"):
            self.spells.append(Spell(begins, dark, UNSEEN))
            self.spells.append(Spell(dark, min(light, self.clears_at), DARK))

    def _draw_modes(self, rng: random.Random, schedule: Schedule, *, keeps_ledger: bool) -> None:
        drawn, when = rng.random(), rng.uniform(self.start, self.clears_at)
        earlier = rng.uniform(0.1, 30.0) * HOUR
        if not keeps_ledger:
            self.restore = Restore(max(self.start, when - earlier), when)
            self.modes = ((0.0, "on"), (when, "verify"))
        elif drawn < 0.06 and schedule.takes("SEND=verify"):
            self.modes = ((0.0, "verify"),)
        elif drawn < 0.12 and schedule.takes("SEND=shadow, then on"):
            self.modes = ((0.0, "shadow"), (when, "on"))
        elif drawn < 0.16 and schedule.takes("SEND=on, then shadow, then on"):
            self.modes = ((0.0, "on"), (when, "shadow"), (when + earlier, "on"))
        if rng.random() < 0.06 and schedule.takes("BILL_FROM"):
            self.bill_from = float(int(self.start + rng.random() * 2 * DAY))

    def _draw_acts(self, rng: random.Random, schedule: Schedule) -> None:
        def instants(name: str, count: int) -> tuple[float, ...]:
            drawn = [rng.uniform(self.start, self.clears_at) for _ in range(count)]
            return tuple(
                at for number, at in enumerate(drawn) if schedule.takes(f"{name} {number + 1}")
            )

        self.deploys = instants("deploy", rng.choice((0, 0, 1, 3)))
        calm = tuple(self.clears_at + hours * HOUR for hours in (1.0, 30.0, 80.0))
        self.acts = tuple(sorted(instants("operator", rng.choice((0, 1, 4, 15))) + calm))
