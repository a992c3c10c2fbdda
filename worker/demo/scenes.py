"""The scenes, in their order. Each tells what it does and adds to ``wrong`` what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.messages import Job
from producers.queues import Queue
from worker.dead_letters.replay_order import ReplayOrder
from worker.demo import cast
from worker.demo.letters import see_letters
from worker.demo.setting import complete_run, days_before, introduce_customers, write_days
from worker.demo.verdict import average
from worker.ledger.fact import file_key

if TYPE_CHECKING:
    from worker.demo.narrator import Narrator
    from worker.demo.stage import Stage
    from worker.demo.witness import Witness

_MISSING = "nothing"


def meet_customers(stage: Stage, witness: Witness, narrator: Narrator, wrong: list[str]) -> None:
    """Seven customers upload their files."""
    month, prefixes = stage.month, stage.installation.prefixes
    narrator.scene(f"The customers, on {month.last_day}")
    introduce_customers(stage)
    objects = list(cast.uploads(prefixes))
    with narrator.progress("uploading", len(objects)) as step:
        stage.upload(objects, step)
    earlier = days_before(stage)
    with narrator.progress("earlier days", len(earlier)) as step:
        write_days(stage, earlier, step)
    held = witness.held(cast.MUSEUM)
    if held.objects != cast.MUSEUM_OBJECTS:
        wrong.append(
            f"{cast.MUSEUM}: {held.objects:,} objects in S3, {cast.MUSEUM_OBJECTS:,} were uploaded"
        )
    terabytes = max(row.total_bytes for row in earlier)
    narrator.say(f"{len(objects):,} objects uploaded to s3://{stage.installation.settings.bucket}:")
    for customer, remark in (
        (cast.MUSEUM, f"{held.objects:,} objects, three pages of a listing; + é 写 in the keys"),
        (cast.ATELIER, f"its prefix begins as that of {cast.ATELIER_B} does"),
        (cast.NEWCOMER, "nothing at all"),
        (cast.ORBITER, f"{terabytes:,} bytes until yesterday, 41 bytes today"),
        (cast.PRINTER, f"no row for {month}-{cast.MISSING_DAY}: the sizing failed that day"),
        (cast.STRANGER, "in our table, but unknown to Stripe"),
    ):
        narrator.say(f"{customer:<13} {remark}", indent=5)
    narrator.say(
        f"The {len(earlier)} daily rows before today are written by this demo "
        "(nobody uploads terabytes here); today's and tomorrow's the worker measures."
    )


def size_the_day(stage: Stage, witness: Witness, narrator: Narrator, wrong: list[str]) -> None:
    """The daily tick at 01:00, and the rows against S3."""
    day = stage.month.last_day
    narrator.scene(f"{day} 01:00 UTC: the daily tick")
    stage.leap(hour=1)
    stage.tick(Job.DAILY)
    with narrator.waiting("the worker sizes"):
        stage.drain(Queue.SCHEDULE, Queue.DAILY_SIZING)
    rows = {row.customer_id: row.held for row in witness.days() if row.day == day}
    table: list[tuple[str | int, ...]] = []
    for customer in cast.CUSTOMERS:
        there, row = witness.held(customer), rows.get(customer)
        if row != there:
            wrong.append(f"{customer}: S3 holds {there}, the row of {day} says {row or _MISSING}")
        table.append(
            (
                customer,
                there.objects,
                row.objects if row else _MISSING,
                there.total_bytes,
                row.total_bytes if row else _MISSING,
            )
        )
    narrator.say(
        "One message per customer became one row; the S3 figures are this demo's own sums:"
    )
    narrator.table(("customer", "objects S3", "row", "bytes S3", "row"), table)


def bill_runs(stage: Stage, narrator: Narrator, wrong: list[str]) -> None:
    """Outputs appear; two runs are billed, one cannot be, is mended and replayed."""
    prefixes = stage.installation.prefixes
    narrator.scene(f"{stage.month.last_day} 10:00 UTC: processing runs finish")
    stage.leap(hour=10)
    for run in cast.RUNS:
        complete_run(stage, run)
    outputs = [item for run in cast.RUNS for item in run.output_objects(prefixes)]
    stage.upload(outputs, lambda: None)
    stage.await_messages(Queue.FILE_PROCESSED, len(outputs))
    narrator.say(f"{len(outputs)} outputs in S3 came through EventBridge as messages of their own.")
    with narrator.waiting("the worker bills"):
        stage.drain(Queue.FILE_PROCESSED)
    for run in (cast.ONE_OUTPUT, cast.THREE_OUTPUTS):
        _show_run(stage, run, narrator, wrong)
    _mend(stage, narrator, wrong)


def _mend(stage: Stage, narrator: Narrator, wrong: list[str]) -> None:
    run = cast.INPUT_GONE
    letters = see_letters(stage, Queue.FILE_PROCESSED)
    if len(letters) != 1 or letters[0].death is None:
        wrong.append(f"{run.run_id}: {len(letters)} dead letters, expected one with its reason")
        return
    letter, death = letters[0], letters[0].death
    narrator.say(f"{run.run_id:<20} dead-lettered, {death.error_type}:", style="yellow")
    narrator.say(death.error_message, indent=5)
    stage.leap(hour=10, minute=30)
    stage.upload(run.input_objects(stage.installation.prefixes), lambda: None)
    report = stage.installation.dead_letters.replay(
        ReplayOrder(queues=(Queue.FILE_PROCESSED,), ids=frozenset({letter.message_id})),
        lambda _: None,
    )
    if report.moved != 1:
        wrong.append(f"{run.run_id}: the replay moved {report.moved} letters: {report.notes}")
    with narrator.waiting("the worker bills"):
        stage.drain(Queue.FILE_PROCESSED)
    narrator.say("The input is put back and the letter replayed:")
    _show_run(stage, run, narrator, wrong)
    for left in see_letters(stage, Queue.FILE_PROCESSED):
        reason = left.death.error_message if left.death else "no reason"
        wrong.append(f"{run.run_id}: dead-lettered again: {reason}")


def _show_run(stage: Stage, run: cast.CastRun, narrator: Narrator, wrong: list[str]) -> None:
    item = stage.installation.ledger.find(file_key(run.run_id))
    if item is None:
        wrong.append(f"{run.run_id}: the ledger has no such fact")
        return
    narrator.say(
        f"{run.run_id:<20} {item.fact.value:,} bytes, {len(run.outputs)} "
        f"output{'s' if len(run.outputs) > 1 else ''}, one fact: {item.state}"
    )
    if item.fact.value != run.billable_bytes or not item.counted:
        wrong.append(
            f"{run.run_id}: {item.fact.value:,} bytes {item.state}, expected "
            f"{run.billable_bytes:,} bytes sent"
        )


def bill_the_month(stage: Stage, witness: Witness, narrator: Narrator, wrong: list[str]) -> None:
    """The 1st: the new month is sized, then the old one billed, by a tick that comes twice."""
    first = stage.month.end.date()
    narrator.scene(f"{first}: the month's end")
    stage.leap(days_on=1, hour=1)
    stage.tick(Job.DAILY)
    with narrator.waiting("the worker sizes"):
        stage.drain(Queue.SCHEDULE, Queue.DAILY_SIZING)
    new = sum(1 for row in witness.days() if row.day == first)
    narrator.say(f"01:00  the new month's first {new} rows, none of them to be billed today.")
    stage.leap(days_on=1, hour=2)
    stage.tick(Job.MONTHLY)
    with narrator.waiting("the worker bills"):
        stage.drain(Queue.SCHEDULE, Queue.MONTHLY_BILLING)
    once = witness.offers()
    narrator.say(f"02:00  the monthly tick: {stage.month} billed, Stripe has {len(once)} events.")
    stage.leap(days_on=1, hour=2, minute=10)
    stage.tick(Job.MONTHLY)
    with narrator.waiting("the worker bills"):
        stage.drain(Queue.SCHEDULE, Queue.MONTHLY_BILLING)
    twice = witness.offers()
    narrator.say(
        f"02:10  the same tick again: Stripe has {len(twice)} events, "
        f"each offered {max(twice.values(), default=0)} time at most."
    )
    for identifier, offers in twice.items():
        if offers != 1 or identifier not in once:
            wrong.append(f"{identifier}: offered to Stripe {offers} times, or only the second time")
    _show_months(stage, witness, narrator, wrong)


def _show_months(stage: Stage, witness: Witness, narrator: Narrator, wrong: list[str]) -> None:
    months, rows = witness.months(), witness.days()
    table: list[tuple[str | int, ...]] = []
    for customer in cast.CUSTOMERS:
        row = months.get(customer)
        days = [day for day in rows if day.customer_id == customer and day.day in stage.month.days]
        if row is None:
            wrong.append(f"{customer}: no monthly row")
            continue
        mean = average([day.held.total_bytes for day in days])
        if (row.average, row.amount, row.days, row.status) != (mean, mean, len(days), "billed"):
            wrong.append(
                f"{customer}: the monthly row says {row}; its {len(days)} days give {mean:,}"
            )
        unmarked = sum(1 for day in days if day.status != "billed")
        if unmarked:
            wrong.append(f"{customer}: {unmarked} daily rows of the month are not marked billed")
        table.append((customer, row.days, row.average, row.status, row.meter_status, row.notes))
    wrong.extend(
        f"{day.customer_id}: the row of {day.day} is {day.status} before its month ended"
        for day in rows
        if day.day > stage.month.last_day and day.status != "pending"
    )
    narrator.table(("customer", "days", "average bytes", "billing", "meter", "notes"), table)
