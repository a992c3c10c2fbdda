"""The reckoning: every source's figures side by side, and the draft invoices."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from producers.messages import Job
from producers.queues import Queue
from worker.demo import cast
from worker.demo.letters import see_letters
from worker.demo.premises import GRACE_HOURS
from worker.demo.verdict import Account, average, differences, file_price, storage_price
from worker.ledger.fact import file_key, storage_key

if TYPE_CHECKING:
    from worker.demo.narrator import Narrator
    from worker.demo.stage import Stage
    from worker.demo.witness import Witness
    from worker.ledger.item import LedgerItem

_CENTS = 100


def reconcile(stage: Stage, witness: Witness, narrator: Narrator, wrong: list[str]) -> None:
    """Compare, to the byte and to the cent."""
    narrator.scene("Reconciled: what was measured, what we recorded, what Stripe counts")
    stage.leap(days_on=1, hour=3, minute=15)
    stage.tick(Job.RESOLVE)
    with narrator.waiting("the hourly tick asks Stripe"):
        stage.drain(*Queue)
    narrator.say("03:15  the hourly tick has read Stripe's summaries and error reports.")
    storage = [_storage_account(stage, witness, customer) for customer in cast.CUSTOMERS]
    files = [_file_account(stage, witness, customer) for customer in cast.CUSTOMERS]
    for account in storage:
        wrong.extend(differences(account, storage_price(account.measured)))
    for account in files:
        wrong.extend(differences(account, file_price(account.measured)))
    narrator.say(f"{stage.installation.settings.storage_event_name}, the month's average bytes:")
    narrator.table(
        ("customer", "daily rows", "ledger", "Stripe", "fact"),
        [_row(one) for one in storage],
    )
    narrator.say(f"{stage.installation.settings.file_event_name}, the bytes of each run's input:")
    narrator.table(
        ("customer", "S3", "ledger", "Stripe", "fact"),
        [_row(one) for one in files if one.states],
    )
    _show_invoices(storage, files, narrator)
    _show_refused(stage, witness, narrator, wrong)


def _row(account: Account) -> tuple[str | int, ...]:
    states = ", ".join(
        f"{n} {state}" if n > 1 else state for state, n in Counter(account.states).items()
    )
    return (account.customer_id, account.measured, account.ledger, account.counted, states)


def _show_invoices(storage: list[Account], files: list[Account], narrator: Narrator) -> None:
    processed = {account.customer_id: account for account in files}
    rows: list[tuple[str | int, ...]] = []
    whole = 0
    for account in storage:
        line = account.line
        if line is None:
            continue
        run = processed.get(account.customer_id)
        used = run.line if run is not None else None
        total = line.cents + (used.cents if used else 0)
        whole += total
        rows.append(
            (
                account.customer_id,
                line.quantity,
                _money(line.cents),
                used.quantity if used else 0,
                _money(used.cents if used else 0),
                _money(total),
            )
        )
    narrator.say(f"The draft invoices, final in {GRACE_HOURS} hours, {_money(whole)} in all:")
    narrator.table(("customer", "GiB-months", "storage", "bytes processed", "files", "total"), rows)


def _show_refused(stage: Stage, witness: Witness, narrator: Narrator, wrong: list[str]) -> None:
    """The one customer whom Stripe does not know, and that nothing else is left."""
    row = witness.months().get(cast.STRANGER)
    letters = [(queue, letter) for queue in Queue for letter in see_letters(stage, queue)]
    narrator.say(f"{cast.STRANGER}: Stripe took the event and refused it afterwards.", "yellow")
    for queue, letter in letters:
        reason = letter.death.error_message if letter.death is not None else "no reason"
        narrator.say(f"on {stage.installation.queues.dead_letter_name(queue)}: {reason}", indent=5)
        if cast.STRANGER not in reason:
            wrong.append(f"{queue}: a dead letter is left: {reason}")
    if len(letters) != 1:
        wrong.append(f"{cast.STRANGER}: {len(letters)} dead letters, expected one to name it")
    if row is None or row.status != "failed":
        wrong.append(f"{cast.STRANGER}: the monthly row is {row}, expected failed")
    else:
        narrator.say(
            f"its monthly row is {row.status}: a person creates the customer, or not.", indent=5
        )


def _storage_account(stage: Stage, witness: Witness, customer: str) -> Account:
    meter = stage.installation.settings.storage_event_name
    item = stage.installation.ledger.find(storage_key(customer, str(stage.month)))
    days = [
        day.held.total_bytes
        for day in witness.days()
        if day.customer_id == customer and day.day in stage.month.days
    ]
    return Account(
        customer_id=customer,
        meter=meter,
        known=customer in cast.KNOWN_TO_STRIPE,
        measured=average(days),
        facts=1,
        ledger=item.fact.value if item is not None else 0,
        states=(str(item.state),) if item is not None else (),
        counted=witness.counted(customer, meter),
        line=witness.line(customer, meter),
        refused=witness.refused(customer, meter),
    )


def _file_account(stage: Stage, witness: Witness, customer: str) -> Account:
    meter = stage.installation.settings.file_event_name
    runs = [run for run in cast.RUNS if run.customer_id == customer]
    items = [stage.installation.ledger.find(file_key(run.run_id)) for run in runs]
    found: list[LedgerItem] = [item for item in items if item is not None]
    return Account(
        customer_id=customer,
        meter=meter,
        known=customer in cast.KNOWN_TO_STRIPE,
        measured=sum(witness.run_bytes(run) for run in runs),
        facts=len(runs),
        ledger=sum(item.fact.value for item in found),
        states=tuple(str(item.state) for item in found),
        counted=witness.counted(customer, meter),
        refused=witness.refused(customer, meter),
        line=witness.line(customer, meter),
    )


def _money(cents: int) -> str:
    return f"${cents // _CENTS:,}.{cents % _CENTS:02}"
