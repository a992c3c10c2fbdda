"""The guard: watches every write to the ledger and the rows, and every event that Stripe takes."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tests.simulation.violations import Violation
from tests.simulation.weather import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.simulation.operators import Item
    from tests.simulation.scheduler import Scheduler
    from tests.simulation.stripe_world import CountedEvent, StripeWorld
    from tests.simulation.tables import DynamoDB, Key

# The longest that a machine stalls, twice.
_LONGEST_STALL = 8 * HOUR
COUNTED = frozenset({"sent", "confirmed", "invoiced"})
STUCK = frozenset({"rejected", "refused", "manual"})
_UNKNOWN = {"NULL": True}
_FROZEN = (
    *("kind", "customerId", "customerEvent", "subject", "eventName", "value", "timestamp"),
    *("livemode", "account", "origin", "createdAt", "days", "totalBytes", "peakBytes"),
    *("corrects", "correction", "correctedBy", "correctedWhy", "cancels"),
)
# The protocol's diagram. A state to itself is a note of when to look again.
_MOVES = {
    "planned": {"sending", "sent", "manual", "refused", "planned"},
    "sending": {"sending", "sent", "planned", "unknown", "rejected", "manual", "refused"},
    "unknown": {"sending", "sent", "manual", "refused", "unknown"},
    "sent": {"sent", "confirmed", "manual", "refused", "invoiced"},
    "confirmed": {"invoiced", "refused"},
    "invoiced": {"refused"},
    "rejected": {"refused", "planned", "rejected"},
    "refused": {"planned", "refused"},
    "manual": {"refused", "planned", "sent", "manual"},
    "skipped": set(),
}
_ROW_MOVES = {
    "pending": {"pending", "billed", "failed"},
    "billed": {"billed", "failed"},
    "failed": {"failed", "billed"},
}


class Guard:
    """Collects violations and stops the run at the first.

    Args:
        scheduler: time, and what is stopped.
        database: whose ledger and rows are watched.
        stripe: what it took.
        tolerated: rules whose violation is noted and does not end the run.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        database: DynamoDB,
        stripe: StripeWorld,
        tolerated: frozenset[str] = frozenset(),
    ) -> None:
        self._tolerated = tolerated
        self.violations: list[Violation] = []
        self.moves: Counter[str] = Counter()
        self.facts: dict[str, str] = {}
        self.counted: defaultdict[str, list[CountedEvent]] = defaultdict(list)
        self.stuck_since: dict[str, float] = {}
        self.restored = False
        self._scheduler = scheduler
        self._stripe = stripe
        self._ledger = database["siftbeam-billing-ledger"]
        self._daily = database["siftbeam-storage-usage-daily"]
        monthly = database["siftbeam-storage-usage-monthly"]
        self._ledger.watch = self._fact_moved
        self._daily.watch = self._daily_row_moved
        monthly.watch = self._monthly_row_moved

    def report(self, rule: str, about: str, text: str) -> None:
        """Note a violation; the run ends, unless the rule's is tolerated."""
        self.violations.append(Violation(rule, about, text, self._scheduler.now))
        if rule not in self._tolerated:
            self._scheduler.stopped = True

    def event_taken(self, event: CountedEvent) -> None:
        """Stripe took an event: one per fact, claimed before, and as it was frozen."""
        key = self.facts.get(event.identifier)
        if key is None:
            self.report("nobody's event", event.identifier, "no fact has this identifier")
            return
        item = self._ledger.items.get((key,))
        if item is None:
            if not self.restored:
                self.report("claim before the call", key, "taken while there is no item")
            self._take(key, event)
            return
        earlier = event.identifier != item["identifier"]["S"]
        if "firstAttemptAt" not in item and not earlier and not self.restored:
            self.report("claim before the call", key, f"taken while {item['state']['S']}")
        frozen = (
            str(item["customerId"]["S"]),
            str(item["eventName"]["S"]),
            int(str(item["value"]["N"])),
            int(str(item["timestamp"]["N"])),
        )
        seen = (event.customer, event.event_name, event.value, event.timestamp)
        if frozen != seen and not self.restored:
            self.report("billed as frozen", key, f"frozen {frozen}, taken {seen}")
        self._check_in_time(key, event, item)
        self._take(key, event)

    def _check_in_time(self, key: str, event: CountedEvent, item: Item) -> None:
        """Nothing is first sent after its invoice is final; a machine may stall after asking."""
        invoice = self._stripe.invoice(event.customer, event.timestamp)
        if invoice is not None and invoice.finalized_at is not None and not self.restored:
            first = int(str(item.get("firstAttemptAt", {}).get("N", 0)))
            if first > invoice.finalized_at + _LONGEST_STALL:
                self.report("on an invoice or not sent", key, f"{event}, {invoice}")

    def _take(self, key: str, event: CountedEvent) -> None:
        live = self.live(key)
        self.counted[key].append(event)
        if live:
            self.report("billed twice", key, f"{[e.identifier for e in (*live, event)]}")

    def live(self, key: str) -> list[CountedEvent]:
        """The events of a fact that Stripe counts."""
        return [event for event in self.counted[key] if event.refused_at is None]

    def _fact_moved(self, old: Item | None, new: Item, who: str) -> None:
        key = str(new["fact"]["S"])
        if "state" not in new:
            # A cursor, or the operator's controls.
            return
        identifier = str(new["identifier"]["S"])
        if new["state"]["S"] in STUCK and (old is None or old["state"] != new["state"]):
            self.stuck_since[key] = self._scheduler.now
        if old is None:
            owner = self.facts.setdefault(identifier, key)
            if owner != key:
                self.report("identifiers are unique", key, f"{identifier} is {owner}'s")
            return
        self.facts[identifier] = key
        self._check_resend(key, old, new)
        self._check_frozen(key, old, new, who)
        before, after = str(old["state"]["S"]), str(new["state"]["S"])
        self.moves[f"{before} to {after}"] += 1
        if after == "invoiced" and before != after:
            self._check_invoiced(key)
        fence, raised = int(str(old["fence"]["N"])), int(str(new["fence"]["N"]))
        if raised <= fence:
            self.report("every transition raises the fence", key, f"{who}: {fence} to {raised}")
        if after not in _MOVES[before]:
            self.report("moves", key, f"{who}: {before} to {after}")
        if after == "planned" and (
            "firstAttemptAt" in new or (before == "sending" and old["attempts"]["N"] != "1")
        ):
            self.report("an open attempt is kept", key, f"{who}: planned after an open attempt")
        if after == "rejected" != before and old["attempts"]["N"] != "1":
            self.report("an open attempt is kept", key, f"{who}: rejected after an open attempt")

    def _check_resend(self, key: str, old: Item, new: Item) -> None:
        """Nobody sends anew what Stripe would not count; the answer may be a day old."""
        customer = str(new["customerId"]["S"])
        gone = self._stripe.deleted(customer)
        late = self._scheduler.now > self._stripe.ends_at(customer) + DAY
        if gone and late and old["generation"] != new["generation"]:
            self.report("a deleted customer is not billed anew", key, customer)

    def _check_frozen(self, key: str, old: Item, new: Item, who: str) -> None:
        changed = [name for name in _FROZEN if old.get(name) != new.get(name)]
        if old.get("account", _UNKNOWN) == _UNKNOWN and "account" in changed:
            # The first claim freezes the account, where Stripe could not be asked before.
            changed.remove("account")
        if changed:
            self.report("frozen", key, f"{who} changed {changed}")

    def _check_invoiced(self, key: str) -> None:
        """What the ledger calls invoiced came before its invoice was final."""
        for event in self.live(key):
            invoice = self._stripe.invoice(event.customer, event.timestamp)
            if invoice is None or not self._stripe.reaches(event, invoice):
                self.report("invoiced means on the invoice", key, f"{event}, {invoice}")

    def _daily_row_moved(self, old: Item | None, new: Item, who: str) -> None:
        about = f"daily {new['customerId']['S']} {new['date']['S']}"
        status = self._row_status(about, old, new, who)
        left = old is not None and old["billingStatus"]["S"] != "pending"
        if left and old is not None and old["totalStorageBytes"] != new["totalStorageBytes"]:
            self.report("sizing leaves billed rows alone", about, who)
        if status == "billed":
            self._ledger_led(about, self._owner(new), new)

    def _owner(self, row: Item) -> str:
        """The fact that a daily row follows: its month's, or the correction that added it."""
        month = f"storage-usage#{row['customerId']['S']}#{row['billingMonth']['S']}"
        return next(
            (
                key
                for key, days in corrected_days(self._ledger.items, month)
                if int(str(row["date"]["S"])[-2:]) in days
            ),
            month,
        )

    def _monthly_row_moved(self, old: Item | None, new: Item, who: str) -> None:
        customer, month = str(new["customerId"]["S"]), str(new["billingMonth"]["S"])
        about = f"monthly {customer} {month}"
        status = self._row_status(about, old, new, who)
        if status != "billed":
            return
        key = f"storage-usage#{customer}#{month}"
        item = self._ledger_led(about, key, new)
        if item is None:
            return
        days = item["days"]["L"]
        assert isinstance(days, list)
        for day in days:
            row = self._daily.items[customer, f"{month}-{int(day['N']):02d}"]
            if row["billingStatus"]["S"] == "pending":
                self.report("daily rows before the monthly row", about, str(row["date"]["S"]))
                return

    def _row_status(self, about: str, old: Item | None, new: Item, who: str) -> str:
        status = str(new["billingStatus"]["S"])
        before = "pending" if old is None else str(old["billingStatus"]["S"])
        if status not in _ROW_MOVES[before]:
            self.report("rows never go back", about, f"{who}: {before} to {status}")
        return status

    def _ledger_led(self, about: str, key: str, row: Item) -> Item | None:
        """Whether the ledger said ``billed`` before a row does."""
        item = self._ledger.items.get((key,))
        if item is None:
            self.report("the ledger first", about, "no such fact")
            return None
        fence, state = int(str(item["fence"]["N"])), str(item["state"]["S"])
        followed = int(str(row.get("ledgerFence", {}).get("N", 0)))
        if self.restored:
            return item
        if followed > fence or (followed == fence and state not in COUNTED):
            self.report("the ledger first", about, f"follows {followed}, it is {fence} {state}")
            return None
        return item


def corrected_days(facts: Mapping[Key, Item], month: str) -> Iterator[tuple[str, frozenset[int]]]:
    """The corrections of a month's fact that add days to it, with these."""
    number = 1
    while (item := facts.get((f"correction#{month}#{number}",))) is not None:
        days = item.get("days", {}).get("L", [])
        assert isinstance(days, list)
        yield str(item["fact"]["S"]), frozenset(int(day["N"]) for day in days)
        number += 1
