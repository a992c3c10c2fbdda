"""The end: with every fault gone and days passed, each fact is billed once or visibly is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.instant import from_epoch
from tests.simulation.guard import COUNTED, STUCK, Guard, corrected_days
from tests.simulation.letters import Letters
from worker.reconciliation.finding import FindingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.operators import Item
    from tests.simulation.sqs import SQS
    from tests.simulation.stripe_world import StripeWorld
    from tests.simulation.tables import DynamoDB
    from tests.simulation.workload import Expected, Workload
    from worker.reconciliation.line import Line
    from worker.reconciliation.report import Report

_STATUS = {
    **dict.fromkeys(COUNTED, "billed"),
    "rejected": "failed",
    "refused": "failed",
}
# Nobody has to do anything about these.
_ENDED = frozenset({"confirmed", "invoiced", "rejected", "refused", "manual", "skipped"})


class FinalCheck:
    """Reports every fact that vanished, waits, or is billed otherwise than the ledger says.

    Args:
        guard: takes the reports.
        database: the ledger and the rows.
        sqs: the queues.
        workload: what should have been billed.
        stripe: what it shows, and to whom it sends no invoice any more.
    """

    def __init__(
        self,
        guard: Guard,
        database: DynamoDB,
        sqs: SQS,
        workload: Workload,
        stripe: StripeWorld,
    ) -> None:
        self._stripe = stripe
        self._guard = guard
        self._database = database
        self._sqs = sqs
        self._workload = workload
        self._facts = {
            key: item
            for (key,), item in database["siftbeam-billing-ledger"].items.items()
            if "state" in item
        }

    def check(self, audits: Sequence[Report]) -> None:
        """Look at everything.

        Args:
            audits: what the product's own reconciliation says at the end.
        """
        self._check_expected()
        letters = Letters(self._guard, self._sqs)
        for key, item in self._facts.items():
            self._check_item(key, item)
            letters.check(key, item)
            if "corrects" in item:
                continue
            if item["kind"]["S"] == "storage-usage":
                self._check_daily_rows(item)
                self._check_monthly_row(item)
            else:
                self._check_run(item)
        self._check_reports()
        self._check_queues()
        for audit in audits:
            self._check_money(audit)

    def _check_expected(self) -> None:
        bodies = [
            message.body
            for queue in self._sqs.queues.values()
            for message in queue.messages.values()
        ]
        for expected in self._workload.expected:
            if expected.key in self._facts or _mentioned(expected, bodies):
                continue
            # A restored ledger may not know what Stripe counts, and what only S3 told of is lost.
            if not self._guard.restored:
                self._guard.report("never vanishes", expected.key, "neither an item nor a message")

    def _check_queues(self) -> None:
        for name, queue in self._sqs.queues.items():
            if queue.messages and not name.endswith("-dlq"):
                waiting = [message.body for message in queue.messages.values()][:3]
                text = f"{len(queue.messages)}: {waiting}"
                self._guard.report("nothing waits for ever", name, text)

    def _check_item(self, key: str, item: Item) -> None:
        guard = self._guard
        state, value = str(item["state"]["S"]), int(str(item["value"]["N"]))
        live = len(guard.live(key))
        if state not in _ENDED or "openShard" in item:
            guard.report("nothing waits for ever", key, f"{state}, {item}")
        if self._is_cancelled(item):
            # With its cancellation it is nothing, whichever of the two Stripe refused.
            return
        if state in COUNTED and live != (1 if value else 0):
            guard.report("counted means counted", key, f"{state}, Stripe counts {live}")
        if state in {"rejected", "skipped", "planned", "refused"} and live:
            guard.report("not counted means not counted", key, f"{state}, Stripe counts {live}")
        if state in {"rejected", "manual", "skipped", "refused"} and "lastError" not in item:
            guard.report("a reason", key, f"{state} without one")

    def _is_cancelled(self, item: Item) -> bool:
        """Whether a fact and the cancellation of its event both count, and come to nothing."""
        for other in self._facts.values():
            for event, cancellation in ((item, other), (other, item)):
                if cancellation.get("cancels") == event["identifier"]:
                    pair = (event, cancellation)
                    shown = sum(
                        counted.value
                        for each in pair
                        for counted in self._guard.live(str(each["fact"]["S"]))
                    )
                    return shown == 0 and all(each["state"]["S"] in COUNTED for each in pair)
        return False

    def _check_reports(self) -> None:
        """A refusal that Stripe reported sticks to the generation that it names."""
        for key, events in self._guard.counted.items():
            item = self._facts.get(key)
            if item is None or self._is_cancelled(item):
                continue
            for event in events:
                current = event.identifier == item["identifier"]["S"]
                if event.reported and current and item["state"]["S"] != "refused":
                    self._guard.report("reports act", key, f"reported, it is {item['state']['S']}")

    def _check_daily_rows(self, item: Item) -> None:
        customer, month = str(item["customerId"]["S"]), str(item["subject"]["S"])
        wanted = _STATUS.get(str(item["state"]["S"]), "pending")
        days = item["days"]["L"]
        assert isinstance(days, list)
        daily = self._database["siftbeam-storage-usage-daily"].items
        for day in days:
            row = daily[customer, f"{month}-{int(day['N']):02d}"]
            self._check_row("daily", row, wanted, item)
        known = {int(day["N"]) for day in days}
        ledger = self._database["siftbeam-billing-ledger"].items
        for key, added in corrected_days(ledger, str(item["fact"]["S"])):
            if known & added:
                self._guard.report("a day is billed once", key, f"{known & added}")
            known |= added
            told = self._facts[key]
            wanted = _STATUS.get(str(told["state"]["S"]), "pending")
            for number in added:
                self._check_row("daily", daily[customer, f"{month}-{number:02d}"], wanted, told)
        for (owner, _), row in daily.items():
            billed = row["billingStatus"]["S"] != "pending"
            unknown = int(str(row["date"]["S"])[-2:]) not in known
            if owner == customer and row["billingMonth"]["S"] == month and billed and unknown:
                about = f"daily {owner}"
                self._guard.report("only what was counted is marked", about, str(row))

    def _check_monthly_row(self, item: Item) -> None:
        customer, month = str(item["customerId"]["S"]), str(item["subject"]["S"])
        row = self._database["siftbeam-storage-usage-monthly"].items.get((customer, month))
        about = f"monthly {customer} {month}"
        if row is None:
            self._guard.report("rows follow the ledger", about, "there is none")
            return
        self._check_row("monthly", row, _STATUS.get(str(item["state"]["S"]), "pending"), item)
        if row["stripeMeterAmount"]["N"] != item["value"]["N"]:
            self._guard.report("rows follow the ledger", about, "another amount")

    def _check_run(self, item: Item) -> None:
        """The application's row of a run tells why nobody could bill it, and nothing else."""
        run_id = str(item["subject"]["S"])
        row = self._database["siftbeam-processing-history"].items.get((run_id,))
        if row is None or self._guard.restored:
            return
        wanted = item["lastError"] if item["state"]["S"] in STUCK else None
        said = row.get("stripeMeterError")
        if said != wanted:
            text = f"{said}, the ledger says {item['state']['S']}: {wanted}"
            self._guard.report("rows follow the ledger", f"run {run_id}", text)

    def _check_row(self, kind: str, row: Item, wanted: str, item: Item) -> None:
        status = row["billingStatus"]["S"]
        # A row never goes back to pending: it says what it said before its fact became a person's,
        # and a failed one so until its resend has ended.
        before = "billed" if "sentAt" in item else "failed"
        stays = wanted == "pending" and status == before and item["state"]["S"] == "manual"
        resent = wanted == "pending" and status == "failed" and item["generation"]["N"] != "1"
        if status == wanted or stays or resent or self._guard.restored:
            return
        about = f"{kind} {row['customerId']['S']} {row.get('date', row['billingMonth'])['S']}"
        text = f"{status}, the ledger says {item['state']['S']}"
        self._guard.report("rows follow the ledger", about, text)

    def _check_money(self, audit: Report) -> None:
        """The report's money is Stripe's; what they differ by waits for a person, by name."""
        for line in audit.lines:
            about = f"{line.customer_id} {line.event_name} {audit.month}"
            if line.stripe_bytes is None:
                self._guard.report("the report is complete", about, str(line.problem))
                continue
            truly = open_bytes = ledger = 0
            for key in {*self._facts, *self._guard.counted}:
                item = self._facts.get(key)
                counted = sum(
                    event.value
                    for event in self._guard.live(key)
                    if _concerns(event.customer, event.event_name, event.timestamp, line, audit)
                )
                truly += counted
                if item is None or item["state"]["S"] not in COUNTED:
                    open_bytes += counted
                elif _item_concerns(item, line, audit):
                    ledger += int(str(item["value"]["N"]))
            self._check_findings(line, audit)
            hidden = self._stripe.hides(line.customer_id)
            if line.stripe_bytes != (0 if hidden else truly) or line.ledger_bytes != ledger:
                text = f"reported {line.ledger_bytes} and {line.stripe_bytes}, {ledger} and {truly}"
                self._guard.report("the report tells the truth", about, text)
            if truly != ledger + open_bytes:
                text = f"ledger {ledger}, open {open_bytes}, Stripe {truly}"
                self._guard.report("money in the report is money in Stripe", about, text)

    def _check_findings(self, line: Line, audit: Report) -> None:
        """Who left is named with every counted fact that no invoice bills any more."""
        ends_at = self._stripe.ends_at(line.customer_id)
        named = {
            fact.fact.key
            for finding in line.findings
            if finding.kind is FindingKind.SUBSCRIPTION_ENDED
            for fact in finding.facts
        }
        billed = any(
            other.ledger_bytes for other in audit.lines if other.customer_id == line.customer_id
        )
        for key, item in self._facts.items():
            late = int(str(item["timestamp"]["N"])) >= ends_at and int(str(item["value"]["N"])) > 0
            counted = item["state"]["S"] in COUNTED
            if (
                billed
                and late
                and counted
                and _item_concerns(item, line, audit)
                and key not in named
            ):
                self._guard.report("who is on no invoice is named", key, str(line.findings))


def _item_concerns(item: Item, line: Line, audit: Report) -> bool:
    customer, event_name = str(item["customerId"]["S"]), str(item["eventName"]["S"])
    return _concerns(customer, event_name, int(str(item["timestamp"]["N"])), line, audit)


def _concerns(customer: str, event_name: str, timestamp: int, line: Line, audit: Report) -> bool:
    at = from_epoch(timestamp)
    mine = customer == line.customer_id and event_name == line.event_name
    return mine and audit.period.start <= at < audit.period.end


def _mentioned(expected: Expected, bodies: list[str]) -> bool:
    return any(all(word in body for word in expected.mentions) for body in bodies)
