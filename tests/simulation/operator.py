"""The operator: replays dead letters days later, sends anew, repairs, asks for all that waits."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from producers.billing_month import BillingMonth
from producers.outbox import EnqueueFailed
from producers.queues import Queue
from tests.simulation.process import Crashed
from tests.simulation.weather import MINUTE
from worker.adjusting import Decision
from worker.controls import Control, Kind
from worker.dead_letters.replay_order import ReplayOrder
from worker.errors import BillingError
from worker.ledger.codec import decode_item
from worker.ledger.fact import FactKind
from worker.ledger.item import COUNTED, STUCK, LedgerItem, State
from worker.reconciliation.period import Period
from worker.reconciliation.repair import repair
from worker.reconciliation.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.guard import Guard
    from tests.simulation.installation import SimulatedInstallation
    from tests.simulation.process import Process
    from tests.simulation.tables import Table
    from worker.ledger.corrections import Corrected

_DECISION = Decision("an operator", "a test")
_ADJUSTED = 0.08
_SETTLED = 0.5
_ENDED = 0.6


class Operator:
    """A person at a command line, whose commands may break off at any call.

    Args:
        process: the machine.
        install: its parts, anew for each command.
        ledger: what a person sees of the facts.
        guard: knows what Stripe counts.
        at: when to act, epoch seconds.
        resends: whether facts are sent anew.
        adjusts: whether they are corrected and cancelled.
        controls_until: until when sending is paused and customers are excluded now and then, and
            from when on nothing is any more, epoch seconds; None for never.
    """

    def __init__(
        self,
        process: Process,
        install: Callable[[], SimulatedInstallation],
        ledger: Table,
        guard: Guard,
        at: Sequence[float],
        *,
        resends: bool,
        adjusts: bool,
        controls_until: float | None,
    ) -> None:
        self._process = process
        self._install = install
        self._ledger = ledger
        self._guard = guard
        self._at = at
        self._resends = resends
        self._adjusts = adjusts
        self._controls_until = controls_until
        self._settling = random.Random(f"{process.seed} to rows")  # noqa: S311 - has to repeat
        self._controlling = random.Random(f"{process.seed} controls")  # noqa: S311 - has to repeat
        self._commands = (
            self._control,
            self._resend,
            self._adjust,
            self._adjust_to_rows,
            self._replay,
            self._resolve,
            self._reconcile,
        )

    def run(self) -> None:
        """Act at each of the times."""
        for when in self._at:
            now = self._process.scheduler.now
            if when > now:
                self._process.scheduler.sleep(when - now)
            for command in self._commands:
                try:
                    command(self._install())
                except (BotoCoreError, ClientError, BillingError, EnqueueFailed):
                    continue
                except Crashed:
                    self._process.alive = True

    def _control(self, installation: SimulatedInstallation) -> None:
        """`pause`, `resume`, `exclude`, `include`."""
        if self._controls_until is None:
            return
        now, rng, table = installation.clock.now(), self._controlling, installation.controls
        in_force = table.read()
        over = self._process.scheduler.now >= self._controls_until
        for kind, customers in (
            (Kind.PAUSE, [*in_force.paused, *([] if in_force.everybody is None else [None])]),
            (Kind.EXCLUDE, [*in_force.excluded]),
        ):
            for customer in customers:
                if over or rng.random() < _ENDED:
                    table.end(kind, customer)
        if over:
            return
        kind, customer = rng.choice(
            ((Kind.PAUSE, None), (Kind.PAUSE, "cus_A"), (Kind.EXCLUDE, "cus_AB"))
        )
        table.put(kind, customer, Control(_DECISION.by, _DECISION.why, now))
        self._process.faults.reached[f"{kind} {customer or 'everybody'}"] += 1

    def _replay(self, installation: SimulatedInstallation) -> None:
        """`dlq replay`, now and then with `--force`."""
        order = ReplayOrder(queues=tuple(Queue), force=self._process.rng.random() < 0.3)
        installation.dead_letters.replay(order, lambda _: None)

    def _resolve(self, installation: SimulatedInstallation) -> None:
        """`resolve --all`."""
        if self._process.rng.random() < 0.5:
            installation.jobs().resolve(None)

    def _reconcile(self, installation: SimulatedInstallation) -> None:
        """`reconcile --repair`."""
        if self._process.rng.random() < 0.5:
            report = reconciled(installation)
            repair(report, installation.jobs(), installation.clock)

    def _resend(self, installation: SimulatedInstallation) -> None:
        """`resend`, for facts that were looked at some minutes ago."""
        process = self._process
        if not self._resends:
            return
        seen = [item for item in self._items(STUCK) if process.rng.random() < 0.7]
        process.sleep(process.rng.random() * 20 * MINUTE)
        for item in seen:
            try:
                checked = installation.resending.check(item.fact.key, item.generation)
                process.sleep(process.rng.random() ** 3 * 10 * MINUTE)
                installation.resending.resend(checked)
            except BillingError:
                continue
            process.faults.reached["resend"] += 1

    def _adjust(self, installation: SimulatedInstallation) -> None:
        """`adjust`: more bytes, fewer, all of them back, or the event cancelled."""
        rng = self._process.rng
        if not self._adjusts:
            return
        for item in self._items(COUNTED):
            draw, value = rng.random(), item.fact.value
            if draw > _ADJUSTED or value == 0:
                continue
            adjusting = installation.adjusting
            try:
                adjustment = (
                    adjusting.cancellation(item.fact.key, _DECISION)
                    if draw < _ADJUSTED / 2
                    else adjusting.correction(
                        item.fact.key, rng.choice((-value, -1, 1000)), _DECISION
                    )
                )
                self._process.sleep(rng.random() ** 3 * 10 * MINUTE)
                adjusting.begin(adjustment)
            except BillingError:
                continue
            cancels = adjustment.fact.correction is not None and adjustment.fact.value == -value
            self._process.faults.reached["taken back" if cancels else "corrected"] += 1

    def _adjust_to_rows(self, installation: SimulatedInstallation) -> None:
        """`adjust --from-rows`, of months to which a day was added."""
        if not self._adjusts:
            return
        for item in self._items(COUNTED):
            if item.fact.correction is not None or item.fact.kind is not FactKind.STORAGE:
                continue
            if self._settling.random() > _SETTLED:
                continue
            try:
                adjustment = installation.adjusting.to_rows(item.fact.key, _DECISION)
                if adjustment.standing is None:
                    self._check_known(adjustment.corrected)
                installation.adjusting.begin(adjustment)
            except BillingError:
                continue
            self._process.faults.reached["settled to its rows"] += 1

    def _check_known(self, corrected: Corrected) -> None:
        """What a month comes to is known: Stripe counts nothing that the ledger does not."""
        for part in corrected.parts:
            if not part.counted and self._guard.live(part.fact.key):
                text = f"{part.fact.key} is {part.state}, and Stripe counts it"
                self._guard.report("settled on what is known", corrected.item.fact.key, text)

    def _items(self, states: frozenset[State]) -> list[LedgerItem]:
        return [
            decode_item(item)  # type: ignore[arg-type]  # the same shape
            for item in self._ledger.items.values()
            if "state" in item and item["state"]["S"] in states
        ]


def reconciled(installation: SimulatedInstallation, month: BillingMonth | None = None) -> Report:
    """What `reconcile` says of a month; by default of the last that ended."""
    now = installation.clock.now()
    month = month or BillingMonth.ended_before(now)
    period = Period.of(month, now)
    parts = installation.reconciliation
    lines = [line for each in parts.compare(period, parts.customers(month)) for line in each]
    return Report(month, period, tuple(lines), parts.missing(month))
