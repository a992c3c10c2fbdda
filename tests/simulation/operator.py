"""The operator: replays dead letters days later, sends anew, repairs, asks for all that waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from producers.billing_month import BillingMonth
from producers.outbox import EnqueueFailed
from producers.queues import Queue
from tests.simulation.process import Crashed
from tests.simulation.weather import MINUTE
from worker.dead_letters.replay_order import ReplayOrder
from worker.errors import BillingError
from worker.ledger.codec import decode_item
from worker.ledger.item import STUCK, LedgerItem
from worker.reconciliation.period import Period
from worker.reconciliation.repair import repair
from worker.reconciliation.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.installation import SimulatedInstallation
    from tests.simulation.process import Process
    from tests.simulation.tables import Table


class Operator:
    """A person at a command line, whose commands may break off at any call.

    Args:
        process: the machine.
        install: its parts, anew for each command.
        ledger: what a person sees of the facts.
        at: when to act, epoch seconds.
        resends: whether facts are sent anew.
    """

    def __init__(
        self,
        process: Process,
        install: Callable[[], SimulatedInstallation],
        ledger: Table,
        at: Sequence[float],
        *,
        resends: bool,
    ) -> None:
        self._process = process
        self._install = install
        self._ledger = ledger
        self._at = at
        self._resends = resends

    def run(self) -> None:
        """Act at each of the times."""
        for when in self._at:
            now = self._process.scheduler.now
            if when > now:
                self._process.scheduler.sleep(when - now)
            for command in (self._resend, self._replay, self._resolve, self._reconcile):
                try:
                    command(self._install())
                except (BotoCoreError, ClientError, BillingError, EnqueueFailed):
                    continue
                except Crashed:
                    self._process.alive = True

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
        seen = [item for item in self._stuck() if process.rng.random() < 0.7]
        process.sleep(process.rng.random() * 20 * MINUTE)
        for item in seen:
            try:
                checked = installation.resending.check(item.fact.key, item.generation)
                process.sleep(process.rng.random() ** 3 * 10 * MINUTE)
                installation.resending.resend(checked)
            except BillingError:
                continue
            process.faults.reached["resend"] += 1

    def _stuck(self) -> list[LedgerItem]:
        return [
            decode_item(item)  # type: ignore[arg-type]  # the same shape
            for item in self._ledger.items.values()
            if "state" in item and item["state"]["S"] in STUCK
        ]


def reconciled(installation: SimulatedInstallation, month: BillingMonth | None = None) -> Report:
    """What `reconcile` says of a month; by default of the last that ended."""
    now = installation.clock.now()
    month = month or BillingMonth.ended_before(now)
    period = Period.of(month, now)
    parts = installation.reconciliation
    lines = [line for each in parts.compare(period, parts.customers(month)) for line in each]
    return Report(month, period, tuple(lines), parts.missing(month))
