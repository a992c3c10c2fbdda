"""The verdict, from outside: what Stripe counted, against what was planted, and who agrees."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from producers.queues import Queue
from tests.kill.facts import End

if TYPE_CHECKING:
    from infra.stripe_simulator import CountedEvent
    from tests.integration.scenario import Row, Scenario
    from tests.kill.facts import ExpectedFact

_STATES = {
    End.BILLED: {"sent", "confirmed", "invoiced"},
    End.ZERO: {"confirmed"},
    End.REFUSED: {"refused"},
    End.SKIPPED: {"skipped"},
}
_OPEN = {"planned", "sending", "unknown"}
_SENT = {End.BILLED, End.REFUSED}


@dataclass(slots=True)
class Verdict:
    """What came of a campaign.

    Args:
        wrong: what should not be; empty where all is right.
        offers: how often Stripe was offered an event, repeats included.
        events: how many it took.
        dead: dead letters that are left, each for its reason.
    """

    wrong: list[str] = field(default_factory=list)
    offers: int = 0
    events: int = 0
    dead: list[str] = field(default_factory=list)


def open_facts(scenario: Scenario, facts: list[ExpectedFact]) -> list[str]:
    """Facts that the ledger lacks, or that still wait there, or whose refusal is not known yet."""
    states = {row.get("fact"): row.get("state") for row in scenario.rows("billing-ledger")}
    return [
        fact.key
        for fact in facts
        if states.get(fact.key) in _OPEN | {None}
        or (fact.end is End.REFUSED and states[fact.key] != "refused")
    ]


def judge(scenario: Scenario, facts: list[ExpectedFact], month: str) -> Verdict:
    """Look at everything; takes the dead letters off their queues."""
    verdict = Verdict()
    _judge_stripe(scenario, facts, verdict)
    _judge_ledger(scenario, facts, verdict)
    _judge_rows(scenario, facts, month, verdict)
    _judge_queues(scenario, facts, verdict)
    return verdict


def _judge_stripe(scenario: Scenario, facts: list[ExpectedFact], verdict: Verdict) -> None:
    truth = scenario.simulator.truth()
    taken: defaultdict[str, list[CountedEvent]] = defaultdict(list)
    for event in (*truth.counted, *truth.refused, *truth.cancelled):
        taken[event.identifier].append(event)
        verdict.offers += event.offers
        verdict.events += 1
    for fact in facts:
        found = taken.pop(fact.identifier, [])
        wanted = [
            (fact.customer, fact.event_name, str(fact.value), fact.timestamp),
        ] * (fact.end in _SENT)
        told = [(event.customer, event.event_name, event.value, event.timestamp) for event in found]
        if told != wanted:
            verdict.wrong.append(f"{fact.key} ({fact.end}): Stripe has {told}, not {wanted}")
    verdict.wrong += [f"Stripe has {name}, which nothing announced" for name in taken]


def _judge_ledger(scenario: Scenario, facts: list[ExpectedFact], verdict: Verdict) -> None:
    items = {str(row["fact"]): row for row in scenario.rows("billing-ledger")}
    for fact in facts:
        item = items.pop(fact.key, None)
        if item is None:
            verdict.wrong.append(f"{fact.key}: not in the ledger")
            continue
        if item["state"] not in _STATES[fact.end]:
            verdict.wrong.append(f"{fact.key} ({fact.end}): the ledger has {item}")
        frozen = (item["value"], item["timestamp"])
        if fact.end is not End.SKIPPED and frozen != (fact.value, fact.timestamp):
            verdict.wrong.append(f"{fact.key}: frozen as {item}, not {fact.value}")
    more = [key for key in items if not key.startswith("cursor#")]
    verdict.wrong += [f"the ledger has {key}, which nothing announced" for key in more]


def _judge_rows(
    scenario: Scenario, facts: list[ExpectedFact], month: str, verdict: Verdict
) -> None:
    fences = {
        row["fact"]: row["fence"] for row in scenario.rows("billing-ledger") if "fence" in row
    }
    days: defaultdict[str, list[Row]] = defaultdict(list)
    for row in scenario.rows("storage-usage-daily"):
        days[str(row["customerId"])].append(row)
    months = {str(row["customerId"]): row for row in scenario.rows("storage-usage-monthly")}
    runs = {str(row["processing-historyId"]): row for row in scenario.rows("processing-history")}
    for fact in facts:
        if fact.queue is Queue.MONTHLY_BILLING:
            rows = _Month(fact, month, days[fact.customer], months.pop(fact.customer, None))
            verdict.wrong += rows.wrong(fences.get(fact.key))
        else:
            run = runs[fact.identifier]
            if "stripeMeterError" in run or run["theirs"] != "untouched":
                verdict.wrong.append(f"{fact.key}: the run's row says {run}")
    verdict.wrong += [f"a monthly row of {who}, whom nothing announced" for who in months]


@dataclass(frozen=True, slots=True)
class _Month:
    fact: ExpectedFact
    month: str
    days: list[Row]
    row: Row | None

    def wrong(self, fence: object) -> list[str]:
        """What the rows of a customer say otherwise than the ledger."""
        fact, row = self.fact, self.row
        if row is None:
            return [f"{fact.key}: no monthly row"]
        status = "failed" if fact.end is End.REFUSED else "billed"
        event = fact.identifier if fact.end is End.BILLED else None
        told = (row["billingStatus"], row["stripeMeterAmount"], row.get("stripeMeterEventId"))
        found = []
        if told != (status, fact.value, event) or int(str(row["ledgerFence"])) > int(str(fence)):
            found.append(f"{fact.key} ({fact.end}, fence {fence}): the monthly row says {row}")
        for day in self.days:
            wanted = status if day["billingMonth"] == self.month else "pending"
            if day["billingStatus"] != wanted:
                found.append(f"{fact.key} ({fact.end}): a daily row says {day}")
        return found


def _judge_queues(scenario: Scenario, facts: list[ExpectedFact], verdict: Verdict) -> None:
    refused = {body for fact in facts if fact.end is End.REFUSED for body in fact.bodies}
    for queue in Queue:
        waiting = scenario.waiting(queue)
        if waiting:
            verdict.wrong.append(f"{queue} still holds {waiting} messages")
        for letter in scenario.letters(queue):
            verdict.dead.append(letter.error_type)
            # A letter about a refused fact is not replayed: it would only come back.
            expected = letter.error_type == "UnreadableMessage" or (
                letter.error_type in {"Refused", ""} and letter.body in refused
            )
            if not expected:
                verdict.wrong.append(f"a dead letter: {letter.death} {letter.body}")
    if verdict.dead.count("UnreadableMessage") != 1:
        verdict.wrong.append(f"one unreadable message was sent, and dead are {verdict.dead}")
