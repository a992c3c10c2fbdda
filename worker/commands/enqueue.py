"""``enqueue``: the producers by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from producers.billing_month import BillingMonth
from producers.identity import check_customer_id, check_run_id
from producers.messages import FileProcessed
from worker.commands.opening import open_installation
from worker.commands.options import (
    read_day,
    read_ended_month,
    read_instant,
    read_known_customer,
)
from worker.commands.printing import AsJson, console, counted, errors, print_json
from worker.ledger.fact import file_key, storage_key

if TYPE_CHECKING:
    from datetime import date

    from producers.fan_out import FanOutCount
    from worker.operator_installation import OperatorInstallation

app = typer.Typer(no_args_is_help=True, help="Put messages on the queues, as the schedules would.")
Customer = Annotated[str | None, typer.Option(help="Only this customer.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count, and send nothing.")]


@app.command()
def daily(
    date: Annotated[
        str | None, typer.Option(help="The day, YYYY-MM-DD, UTC. Default: today.")
    ] = None,
    customer: Customer = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Size every customer's storage: one message per customer."""
    installation = open_installation()
    day = read_day(date, installation.clock.now())
    only = read_known_customer(customer, installation.known_customers)
    count = installation.jobs(dry_run=dry_run).daily(day, only)
    _report(count, f"daily sizing of {day}", dry_run=dry_run, as_json=as_json)


@app.command()
def monthly(
    month: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the last that ended.")
    ] = None,
    customer: Customer = None,
    through: Annotated[
        str | None,
        typer.Option(help="The last day of a customer who leaves, YYYY-MM-DD; with --customer."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Bill a month that has ended: one message per customer with daily rows in it."""
    if through is not None and (customer is None or month is not None):
        raise typer.BadParameter(
            "names the last day of one customer: give --customer, and no --month",
            param_hint="--through",
        )
    installation = open_installation()
    only = read_known_customer(customer, installation.known_customers)
    if through is not None and only is not None:
        last = read_day(through, installation.clock.now(), "--through")
        _must_be_billable(installation, only, BillingMonth.of(last), last)
        count = installation.jobs(dry_run=dry_run).leave(only, last)
        _report(count, f"billing of {customer} through {last}", dry_run=dry_run, as_json=as_json)
        return
    billed = read_ended_month(month, installation.clock.now())
    if only is not None:
        _must_be_billable(installation, only, billed, billed.last_day)
    count = installation.jobs(dry_run=dry_run).monthly(billed, only)
    _report(count, f"monthly billing of {billed}", dry_run=dry_run, as_json=as_json)


@app.command("file-processed")
def file_processed(
    key: Annotated[str | None, typer.Option(help="One output's key in the bucket.")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Every completed run without a fact since then, 2026-10-01T00:00:00Z."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Bill processing runs that no event told of: one by its key, or all since an instant."""
    if (key is None) == (since is None):
        raise typer.BadParameter("give either --key or --since", param_hint="--key / --since")
    installation = open_installation()
    if since is not None:
        start = read_instant(since, "--since")
        count = installation.jobs(dry_run=dry_run).sweep(start)
        _report(count, f"completed runs since {since}", dry_run=dry_run, as_json=as_json)
        return
    one = key or ""
    output = installation.prefixes.output(one)
    if output is None:
        raise typer.BadParameter(
            f"{one!r} is no output of a run; expected "
            f"{installation.prefixes.products}<customerId>/<processingHistoryId>/<file>",
            param_hint="--key",
        )
    try:
        check_customer_id(output.customer_id)
        check_run_id(output.run_id)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--key") from None
    # As S3's own event would have said it: the usage belongs to the month of its output.
    written_at = installation.listing.last_written(one)
    if written_at is None:
        _must_have_left_a_trace(installation, output.run_id, one)
        written_at = installation.clock.now()
    message = FileProcessed(bucket=installation.settings.bucket, key=one, event_time=written_at)
    count = installation.fan_out(dry_run=dry_run).completions([message])
    _report(count, one, dry_run=dry_run, as_json=as_json)


def _must_be_billable(
    installation: OperatorInstallation, customer: str, month: BillingMonth, last: date
) -> None:
    """Wrong usage where the message could only die of having nothing to average."""
    if installation.ledger.find(storage_key(customer, str(month))) is not None:
        return
    if any(row.day <= last for row in installation.daily.month(customer, month)):
        return
    until = "" if last == month.last_day else f" up to {last}"
    raise typer.BadParameter(
        f"{customer} has no daily row in {month}{until}; "
        f"`enqueue daily --customer {customer} --date YYYY-MM-DD` measures a day that has passed",
        param_hint="--customer",
    )


def _must_have_left_a_trace(installation: OperatorInstallation, run_id: str, key: str) -> None:
    """Wrong usage where neither bucket, history nor ledger has heard of a run."""
    if (
        installation.history.find(run_id) is None
        and installation.ledger.find(file_key(run_id)) is None
    ):
        raise typer.BadParameter(
            f"nothing lies at {key!r} in {installation.settings.bucket}, and neither the "
            f"history nor the ledger knows the run {run_id!r}",
            param_hint="--key",
        )


def _report(count: FanOutCount, what: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "what": what,
                "dryRun": dry_run,
                "messages": count.sent,
                "refused": count.refused,
                "refusedExamples": list(count.examples),
            }
        )
    else:
        verb = "would be enqueued" if dry_run else "enqueued"
        console.print(f"{what}: {counted(count.sent, 'message')} {verb}")
        for example in count.examples:
            errors.print(f"left out: {example}")
    if count.refused:
        raise typer.Exit(1)
