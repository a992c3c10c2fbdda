"""The end: with every fault gone and days passed, each fact is billed once or visibly is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.guard import COUNTED, Guard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.dynamodb import DynamoDB
    from tests.simulation.expression_language import Item
    from tests.simulation.sqs import SQS
    from tests.simulation.workload import Expected, Workload

_STATUS = {
    **dict.fromkeys(COUNTED, "billed"),
    "rejected": "failed",
    "refused": "failed",
}
# Nobody has to do anything about these.
_ENDED = frozenset({"confirmed", "invoiced", "rejected", "refused", "manual", "skipped"})


def check(guard: Guard, database: DynamoDB, sqs: SQS, workload: Workload) -> None:
    """Report every fact that vanished, waits, or is billed otherwise than the ledger says."""
    ledger = database["siftbeam-billing-ledger"].items
    bodies = [message.body for queue in sqs.queues.values() for message in queue.messages.values()]
    for expected in workload.expected:
        if (expected.key,) not in ledger and not _mentioned(expected, bodies):
            guard.report("never vanishes", expected.key, "neither an item nor a message")
    for (key,), item in ledger.items():
        if not key.startswith("cursor#"):
            _check_item(guard, key, item)
            if item["kind"]["S"] == "storage-usage":
                _check_rows(guard, database, item)
    _check_reports(guard, ledger)
    for name, queue in sqs.queues.items():
        if queue.messages and not name.endswith("-dlq"):
            waiting = [message.body for message in queue.messages.values()][:3]
            guard.report("nothing waits for ever", name, f"{len(queue.messages)}: {waiting}")


def _mentioned(expected: Expected, bodies: list[str]) -> bool:
    return any(all(word in body for word in expected.mentions) for body in bodies)


def _check_item(guard: Guard, key: str, item: Item) -> None:
    state, value = str(item["state"]["S"]), int(str(item["value"]["N"]))
    live = len(guard.live(key))
    if state not in _ENDED:
        guard.report("nothing waits for ever", key, f"{state}, {item}")
    if state in COUNTED and live != (1 if value else 0):
        guard.report("counted means counted", key, f"{state}, Stripe counts {live}")
    if state in {"rejected", "skipped", "planned", "refused"} and live:
        guard.report("not counted means not counted", key, f"{state}, Stripe counts {live}")
    if state in {"rejected", "manual", "skipped", "refused"} and "lastError" not in item:
        guard.report("a reason", key, f"{state} without one")


def _check_reports(guard: Guard, ledger: Mapping[tuple[str, ...], Item]) -> None:
    """A refusal that Stripe reported sticks to the generation that it names."""
    for key, events in guard.counted.items():
        item = ledger[key,]
        for event in events:
            current = event.identifier == item["identifier"]["S"]
            if event.reported and current and item["state"]["S"] != "refused":
                guard.report("reports act", key, f"reported, it is {item['state']['S']}")


def _check_rows(guard: Guard, database: DynamoDB, item: Item) -> None:
    customer, month = str(item["customerId"]["S"]), str(item["subject"]["S"])
    wanted = _STATUS.get(str(item["state"]["S"]), "pending")
    days = item["days"]["L"]
    assert isinstance(days, list)
    daily = database["siftbeam-storage-usage-daily"].items
    for day in days:
        row = daily[customer, f"{month}-{int(day['N']):02d}"]
        if row["billingStatus"]["S"] != wanted:
            guard.report(
                "rows follow the ledger",
                f"daily {customer} {row['date']['S']}",
                f"{row['billingStatus']['S']}, the ledger says {item['state']['S']}",
            )
    for (owner, _), row in daily.items():
        billed = row["billingStatus"]["S"] != "pending"
        if owner == customer and row["billingMonth"]["S"] == month and billed:
            number = str(row["date"]["S"])[-2:].lstrip("0")
            if {"N": number} not in days:
                guard.report("only what was counted is marked", f"daily {owner}", str(row))
    found = database["siftbeam-storage-usage-monthly"].items.get((customer, month))
    about = f"monthly {customer} {month}"
    if found is None:
        guard.report("rows follow the ledger", about, "there is none")
    elif found["billingStatus"]["S"] != wanted:
        guard.report(
            "rows follow the ledger",
            about,
            f"{found['billingStatus']['S']}, the ledger says {item['state']['S']}",
        )
    elif found["stripeMeterAmount"]["N"] != item["value"]["N"]:
        guard.report("rows follow the ledger", about, "another amount")
