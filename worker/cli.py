"""``siftbeam-billing``: the one console script.

Exit codes: 0 done, 1 something needs a person, 2 wrong usage.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer
from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import InfraError
from producers.outbox import EnqueueFailed
from worker.commands import dlq, enqueue, local, stripe
from worker.commands.adjust import adjust
from worker.commands.advice import describe
from worker.commands.audit import audit
from worker.commands.control import exclude, include, pause, resume
from worker.commands.cost import cost
from worker.commands.demo import demo
from worker.commands.doctor import doctor
from worker.commands.health import health
from worker.commands.preview import preview
from worker.commands.printing import errors
from worker.commands.provision import provision
from worker.commands.reconcile import reconcile
from worker.commands.report import report
from worker.commands.resend import resend
from worker.commands.resolve import resolve
from worker.commands.status import status
from worker.commands.work import work
from worker.consumer.consumer import SideThreadDied
from worker.errors import BillingError
from worker.redaction import redacted
from worker.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="siftbeam-billing",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Metered storage billing: S3 usage to Stripe Billing Meters, exactly once.",
)
app.command("demo")(demo)
app.add_typer(local.app, name="local")
app.command("worker")(work)
app.command("health")(health)
app.add_typer(enqueue.app, name="enqueue")
app.add_typer(dlq.app, name="dlq")
app.command("preview")(preview)
app.command("reconcile")(reconcile)
app.command("report")(report)
app.command("audit")(audit)
app.add_typer(stripe.app, name="stripe")
app.command("status")(status)
app.command("doctor")(doctor)
app.command("resolve")(resolve)
app.command("resend")(resend)
app.command("adjust")(adjust)
app.command("pause")(pause)
app.command("resume")(resume)
app.command("exclude")(exclude)
app.command("include")(include)
app.command("cost")(cost)
app.command("provision")(provision)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; what went wrong is one line on standard error."""
    try:
        app(args=None if arguments is None else list(arguments))
    except SettingsError as error:
        _end(f"wrong setting: {error}", 2)
    except (
        BillingError,
        BotoCoreError,
        ClientError,
        EnqueueFailed,
        InfraError,
        SideThreadDied,
    ) as error:
        _end(describe(error), 1)


def _end(message: str, code: int) -> None:
    errors.print(
        redacted(f"siftbeam-billing: {message}"), style="red", soft_wrap=True, markup=False
    )
    sys.exit(code)
