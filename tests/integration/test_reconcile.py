"""The ledger against Stripe's summaries, invoices and subscriptions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic.alias_generators import to_camel
from structlog.testing import capture_logs
from typer.testing import CliRunner

from infra.stripe_simulator import (
    DEFAULT_KEY,
    Match,
    Outage,
    Rule,
    Seed,
    SeedSubscription,
    Status,
)
from infra.stripe_simulator.settings import ApiKey
from producers.messages import Job, Tick
from producers.queues import Queue
from tests.integration.scenario import bill_body, file_body
from worker.cli import app
from worker.commands import reconcile as reconcile_command
from worker.outcome import DeadLetter, Done

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    import stripe

    from tests.integration.scenario import Row, Scenario
    from worker.installation import Installation

GIB = 1 << 30
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
STORAGE = "storage-usage#cus_A#2026-10"


class _Answer(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, extra="ignore", frozen=True, populate_by_name=True
    )


class FoundFact(_Answer):
    fact: str
    state: str


class Found(_Answer):
    kind: str
    differs: bool
    text: str
    facts: list[FoundFact]


class BilledLine(_Answer):
    invoice: str
    status: str
    quantity: int


class BillFound(_Answer):
    lines: list[BilledLine]
    facts: int
    ledger_bytes: int
    expected_quantity: int | None
    agrees: bool


class Compared(_Answer):
    customer_id: str
    meter: str
    ledger_bytes: int
    difference: int | None
    agrees: bool
    bills: list[BillFound]
    findings: list[Found]


class Mended(_Answer):
    asked_again: int
    months: int
    reports: int
    problem: str | None


class Reconciled(_Answer):
    agree: int
    differ: int
    unanswered: int
    confirmed: int
    invoiced: int
    missing: list[str]
    not_compared: list[str]
    lines: list[Compared]
    advice: list[str]
    repaired: Mended | None

    def line(self, meter: str, customer: str = "cus_A") -> Compared:
        (found,) = [
            each for each in self.lines if (each.customer_id, each.meter) == (customer, meter)
        ]
        return found

    def finding(self, meter: str) -> Found:
        (found,) = self.line(meter).findings
        return found


@dataclass(frozen=True)
class Bookkeeper:
    """One customer, and a month of theirs to be reconciled."""

    scenario: Scenario
    installations: list[Installation]

    @property
    def stripe(self) -> stripe.StripeClient:
        return self.scenario.worker.stripe.keyed_client().client

    def subscribe(self, *, since: datetime = OCTOBER, customer: str = "cus_A") -> str:
        seed = Seed(subscriptions=(SeedSubscription(customer=customer, started=since),))
        return self.scenario.simulator.seed(seed).subscriptions[0]

    def run(self, run_id: str, size: int, at: datetime, customer: str = "cus_A") -> None:
        """A run that finishes, and is billed, at that time."""
        if self.scenario.wall() < at:
            self.scenario.wall.set(at)
        self.scenario.upload(f"service/input/{customer}/{run_id}/in.bin", size)
        key = f"service/output/{customer}/{run_id}/out.bin"
        body = file_body(self.scenario.stack.bucket, key, at)
        assert isinstance(self.scenario.handle(body), Done)

    def bill_storage(self, held: int, customer: str = "cus_A") -> None:
        """October's storage, five minutes into November or when it is."""
        self.scenario.month(customer, "2026-10", [held] * 31)
        if self.scenario.wall() < NOVEMBER:
            self.scenario.wall.set(NOVEMBER + timedelta(minutes=5))
        assert isinstance(self.scenario.handle(bill_body(customer)), Done)

    def october(self) -> None:
        """A month with both meters used: 3 GiB and a byte, and two runs of 730 bytes."""
        self.subscribe()
        self.run("run-1", 700, datetime(2026, 10, 5, 6, 7, 8, tzinfo=UTC))
        self.run("run-2", 30, datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
        self.bill_storage(3 * GIB + 1)

    def reconcile(self, *arguments: str) -> tuple[int, Reconciled]:
        code, output = self.say("--json", *arguments)
        return code, Reconciled.model_validate_json(output)

    def say(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["reconcile", *arguments], env={"COLUMNS": "400"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout

    def fact(self, key: str) -> Row:
        found = self.scenario.fact(key)
        assert found is not None
        return found

    def states(self) -> dict[str, str]:
        rows = self.scenario.rows("billing-ledger")
        return {str(row["fact"]): str(row["state"]) for row in rows if "state" in row}

    def use(self, installation: Installation) -> None:
        self.installations.append(installation)


@pytest.fixture
def books(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Bookkeeper:
    for name, value in scenario.stack.environment().items():
        monkeypatch.setenv(name, value)
    installations: list[Installation] = [scenario.worker]
    monkeypatch.setattr(reconcile_command, "open_installation", lambda: installations[-1])
    scenario.wall.set(OCTOBER)
    scenario.customers("cus_A")
    return Bookkeeper(scenario, installations)


# --- What agrees ----------------------------------------------------------------------------------


def test_a_draft_that_bills_what_the_ledger_says_agrees_and_confirms(books: Bookkeeper) -> None:
    books.october()

    code, answer = books.reconcile()

    assert code == 0
    assert (answer.agree, answer.differ, answer.unanswered) == (2, 0, 0)
    (storage,) = answer.line("storage-usage").bills
    # A byte more than three is a fourth: `round: up`.
    assert (storage.expected_quantity, storage.lines[0].quantity) == (4, 4)
    assert (storage.ledger_bytes, storage.lines[0].status) == (3 * GIB + 1, "draft")
    (files,) = answer.line("file_processed").bills
    assert (files.facts, files.expected_quantity, files.lines[0].quantity) == (2, 730, 730)
    assert (answer.confirmed, answer.invoiced) == (3, 0)
    assert set(books.states().values()) == {"confirmed"}


def test_facts_on_a_final_invoice_become_invoiced_once(books: Bookkeeper) -> None:
    books.october()
    books.reconcile()
    before = books.fact(STORAGE)
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))

    code, answer = books.reconcile()

    assert (code, answer.invoiced) == (0, 3)
    assert set(books.states().values()) == {"invoiced"}
    after = books.fact(STORAGE)
    assert int(str(after["fence"])) == int(str(before["fence"])) + 1
    assert "nextAttemptAt" not in after
    assert after["value"] == before["value"]

    again, answer = books.reconcile()

    assert (again, answer.confirmed, answer.invoiced) == (0, 0, 0)
    assert books.fact(STORAGE) == after


def test_what_is_final_but_unconfirmed_is_confirmed_first_then_invoiced(books: Bookkeeper) -> None:
    books.october()
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))

    code, answer = books.reconcile()

    assert (code, answer.confirmed, answer.invoiced) == (0, 3, 3)


def test_zero_is_on_no_invoice(books: Bookkeeper) -> None:
    books.subscribe()
    books.run("run-1", 0, datetime(2026, 10, 5, tzinfo=UTC))
    books.run("run-2", 7, datetime(2026, 10, 5, tzinfo=UTC))
    books.bill_storage(0)
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))

    code, answer = books.reconcile()

    assert (code, answer.invoiced) == (0, 1)
    assert books.states() == {
        STORAGE: "confirmed",
        "file_processed#run-1": "confirmed",
        "file_processed#run-2": "invoiced",
    }


def test_a_bill_that_began_in_the_month_before_is_compared_over_its_own_time(
    books: Bookkeeper,
) -> None:
    books.scenario.wall.set(datetime(2026, 9, 15, tzinfo=UTC))
    books.subscribe(since=datetime(2026, 9, 15, tzinfo=UTC))
    books.run("run-1", 500, datetime(2026, 9, 20, tzinfo=UTC))
    books.run("run-2", 60, datetime(2026, 10, 5, tzinfo=UTC))
    books.run("run-3", 7, datetime(2026, 10, 25, tzinfo=UTC))
    books.scenario.wall.set(NOVEMBER)

    code, answer = books.reconcile()

    assert code == 0
    files = answer.line("file_processed")
    (bill,) = files.bills
    assert (files.ledger_bytes, bill.ledger_bytes, bill.lines[0].quantity) == (67, 560, 560)
    # The third is on the invoice to come; the first is September's to confirm.
    assert books.states() == {
        "file_processed#run-1": "sent",
        "file_processed#run-2": "invoiced",
        "file_processed#run-3": "confirmed",
    }


def test_the_bills_of_the_months_beside_it_are_not_compared(books: Bookkeeper) -> None:
    september = datetime(2026, 9, 1, tzinfo=UTC)
    books.scenario.wall.set(september)
    books.subscribe(since=september)
    books.run("run-1", 500, datetime(2026, 9, 20, tzinfo=UTC))
    books.run("run-2", 60, datetime(2026, 10, 5, tzinfo=UTC))
    books.run("run-3", 7, datetime(2026, 11, 5, tzinfo=UTC))
    books.scenario.wall.set(datetime(2026, 12, 2, tzinfo=UTC))

    code, answer = books.reconcile("--month", "2026-10")

    assert code == 0
    (bill,) = answer.line("file_processed").bills
    assert (bill.ledger_bytes, bill.agrees) == (60, True)


# --- What differs ---------------------------------------------------------------------------------


def test_a_quantity_off_by_one_gib(books: Bookkeeper) -> None:
    books.subscribe()
    # A stranger's GiB is on the invoice, and cancelled when that was final.
    books.scenario.wall.set(datetime(2026, 10, 31, 22, tzinfo=UTC))
    books.stripe.v1.billing.meter_events.create(
        {
            "event_name": "storage-usage",
            "identifier": "stranger",
            "timestamp": int(datetime(2026, 10, 31, 21, tzinfo=UTC).timestamp()),
            "payload": {"stripe_customer_id": "cus_A", "value": str(GIB)},
        }
    )
    books.bill_storage(3 * GIB)
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))
    books.stripe.v1.billing.meter_event_adjustments.create(
        {"event_name": "storage-usage", "type": "cancel", "cancel": {"identifier": "stranger"}}
    )

    code, answer = books.reconcile()

    assert code == 1
    line = answer.line("storage-usage")
    assert (line.difference, line.agrees) == (0, False)
    finding = answer.finding("storage-usage")
    assert finding.kind == "quantity"
    assert "billed are 4 units" in finding.text
    assert "come to 3" in finding.text
    # Confirmed by the summaries, but on no invoice for certain.
    assert (answer.confirmed, answer.invoiced) == (1, 0)
    assert books.states() == {STORAGE: "confirmed"}
    assert any("bill or credit the difference" in step for step in answer.advice)
    told_code, told = books.say()
    assert told_code == 1
    assert "billed are 4 units" in told


def test_a_fact_that_came_after_its_invoice_was_final_is_named(books: Bookkeeper) -> None:
    books.subscribe()
    books.run("run-1", 700, datetime(2026, 10, 5, tzinfo=UTC))
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))
    # Told a longer grace period than the account has, the worker sends too late.
    misled = books.scenario.installation(stripe_grace_hours=72)
    books.scenario.upload("service/input/cus_A/run-2/in.bin", 30)
    key = "service/output/cus_A/run-2/out.bin"
    body = file_body(books.scenario.stack.bucket, key, datetime(2026, 10, 31, 23, tzinfo=UTC))
    assert isinstance(books.scenario.handle(body, worker=misled), Done)

    code, answer = books.reconcile()

    assert code == 1
    finding = answer.finding("file_processed")
    assert finding.kind == "quantity"
    assert [each.fact for each in finding.facts] == ["file_processed#run-2"]
    assert "make up the difference" in finding.text


def test_a_late_fact_that_hides_in_the_rounding_is_not_called_invoiced(books: Bookkeeper) -> None:
    books.october()
    books.reconcile()
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))
    # Stamped in October, sent after the invoice, and within the same started GiB.
    ledger = books.scenario.worker.ledger
    found = ledger.find(STORAGE)
    assert found is not None
    books.scenario.stack.clients.dynamodb.update_item(
        TableName=books.scenario.stack.table("billing-ledger"),
        Key={"fact": {"S": STORAGE}},
        UpdateExpression="SET sentAt = :late",
        ExpressionAttributeValues={":late": {"N": str(int(books.scenario.wall().timestamp()))}},
    )

    code, answer = books.reconcile()

    assert (code, answer.invoiced) == (0, 2)
    assert books.states()[STORAGE] == "confirmed"


def test_usage_without_a_subscription(books: Bookkeeper) -> None:
    books.bill_storage(GIB)

    code, answer = books.reconcile()

    assert code == 1
    line = answer.line("storage-usage")
    assert line.difference == 0
    finding = answer.finding("storage-usage")
    assert finding.kind == "no_subscription"
    assert [each.fact for each in finding.facts] == [STORAGE]
    assert answer.line("file_processed").findings == []


def test_a_subscription_that_begins_after_the_stamp_bills_nothing_of_it(books: Bookkeeper) -> None:
    books.run("run-1", 10, datetime(2026, 10, 5, tzinfo=UTC))
    books.scenario.wall.set(NOVEMBER)
    books.subscribe(since=datetime(2026, 10, 20, tzinfo=UTC))

    code, answer = books.reconcile()

    assert code == 1
    finding = answer.finding("file_processed")
    assert finding.kind == "no_subscription"
    assert "2026-10-20 00:00 UTC" in finding.text


def test_a_subscription_that_ended_before_the_stamp(books: Bookkeeper) -> None:
    subscription = books.subscribe()
    books.scenario.wall.set(datetime(2026, 10, 20, 8, 30, tzinfo=UTC))
    books.stripe.v1.subscriptions.cancel(subscription)
    books.bill_storage(GIB)

    code, answer = books.reconcile()

    assert code == 1
    finding = answer.finding("storage-usage")
    assert finding.kind == "subscription_ended"
    assert subscription in finding.text
    assert "2026-10-20 08:30 UTC" in finding.text
    assert books.states() == {STORAGE: "confirmed"}


def test_usage_of_a_subscription_that_ended_without_a_last_invoice(books: Bookkeeper) -> None:
    subscription = books.subscribe()
    books.run("run-1", 10, datetime(2026, 10, 5, tzinfo=UTC))
    books.scenario.wall.set(datetime(2026, 10, 20, tzinfo=UTC))
    books.stripe.v1.subscriptions.cancel(subscription)
    # Its invoice may yet come, for a day.
    code, answer = books.reconcile("--month", "2026-10")
    assert (code, answer.line("file_processed").findings) == (0, [])
    books.scenario.wall.set(NOVEMBER)

    code, answer = books.reconcile()

    assert code == 1
    assert answer.finding("file_processed").kind == "not_invoiced"


def test_a_price_change_in_the_period_is_worth_knowing_and_no_difference(
    books: Bookkeeper,
) -> None:
    first = books.subscribe()
    books.run("run-1", 700, datetime(2026, 10, 5, tzinfo=UTC))
    books.scenario.wall.set(datetime(2026, 10, 15, tzinfo=UTC))
    books.stripe.v1.subscriptions.cancel(first, {"invoice_now": True})
    (meter,) = [
        each
        for each in books.stripe.v1.billing.meters.list().data
        if each.event_name == "file_processed"
    ]
    price = books.stripe.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 1,
            "product_data": {"name": "By the hundred"},
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "transform_quantity": {"divide_by": 100, "round": "down"},
        }
    )
    books.stripe.v1.subscriptions.create(
        {
            "customer": "cus_A",
            "items": [{"price": price.id}],
            "billing_cycle_anchor": int(NOVEMBER.timestamp()),
        }
    )
    books.run("run-2", 199, datetime(2026, 10, 20, tzinfo=UTC))
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))

    code, answer = books.reconcile()

    assert code == 0
    line = answer.line("file_processed")
    assert [(b.lines[0].quantity, b.expected_quantity) for b in line.bills] == [(700, 700), (1, 1)]
    finding = answer.finding("file_processed")
    assert (finding.kind, finding.differs) == ("price_change", False)
    assert price.id in finding.text
    assert set(books.states().values()) == {"invoiced"}
    assert "price_change" in books.say()[1]


def test_two_subscriptions_on_one_meter_bill_the_same_usage_twice(books: Bookkeeper) -> None:
    books.subscribe()
    books.subscribe()
    books.run("run-1", 700, datetime(2026, 10, 5, tzinfo=UTC))
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))

    code, answer = books.reconcile()

    assert code == 1
    finding = answer.finding("file_processed")
    assert finding.kind == "billed_twice"
    assert "1,400" in finding.text
    assert books.states() == {"file_processed#run-1": "confirmed"}


def test_a_customer_with_rows_and_no_fact_is_a_difference_of_an_ended_month(
    books: Bookkeeper,
) -> None:
    books.scenario.month("cus_A", "2026-10", [GIB] * 31)
    books.scenario.wall.set(datetime(2026, 10, 31, 12, tzinfo=UTC))
    code, answer = books.reconcile("--month", "2026-10")
    assert (code, answer.missing) == (0, [])
    books.scenario.wall.set(NOVEMBER + timedelta(hours=5))

    code, answer = books.reconcile()

    assert (code, answer.missing) == (1, ["cus_A"])
    assert any("--repair" in step for step in answer.advice)
    books.scenario.put("customers", {"customerId": "cus_B"})
    assert books.reconcile("--customer", "cus_B")[1].missing == []


# --- What may not be read -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/subscriptions"])
def test_what_the_key_may_not_read_is_not_compared_and_no_difference(
    books: Bookkeeper, path: str, status: int
) -> None:
    for number in range(6):
        customer = f"cus_{number}"
        books.scenario.customers(customer)
        books.bill_storage(GIB, customer)
        if path == "/v1/invoices":
            books.subscribe(customer=customer)
    books.scenario.simulator.add_faults(
        Rule(match=Match(path_prefix=path), fault=Status(status=status), times=None)
    )

    code, answer = books.reconcile()

    assert code == 0
    (reason,) = answer.not_compared
    assert path.removeprefix("/v1/") in reason
    asked = [seen for seen in books.scenario.simulator.requests() if seen.path == path]
    assert len(asked) <= 4


def test_a_restricted_key_still_compares_the_summaries(books: Bookkeeper) -> None:
    books.october()
    secret = SecretStr("rk_test_restricted")
    permissions = frozenset({"billing_meter_read", "billing_meter_event_summary_read"})
    books.scenario.simulator.change_settings(
        api_keys=[
            ApiKey(secret=SecretStr(DEFAULT_KEY)),
            ApiKey(secret=secret, permissions=permissions),
        ]
    )
    books.use(books.scenario.installation(stripe_api_key=secret))

    code, answer = books.reconcile()

    assert (code, answer.agree, answer.confirmed) == (0, 2, 3)
    assert len(answer.not_compared) == 2


def test_a_stripe_that_fails_on_invoices_leaves_the_question_open(books: Bookkeeper) -> None:
    books.october()
    books.scenario.simulator.add_faults(
        Rule(match=Match(path_prefix="/v1/invoices"), fault=Status(status=503), times=None)
    )

    code, answer = books.reconcile()

    assert (code, answer.differ, answer.unanswered) == (1, 0, 2)
    assert any("doctor" in step for step in answer.advice)


# --- --repair -------------------------------------------------------------------------------------


def test_repair_does_what_the_rules_allow_and_nothing_else(books: Bookkeeper) -> None:
    scenario = books.scenario
    books.october()
    refused = datetime(2026, 10, 30, tzinfo=UTC)
    # Throttled: planned, due again in seconds. An answer lost: unknown. A 400: rejected.
    for run_id, status in (("run-3", 429), ("run-4", 500), ("run-5", 400)):
        scenario.simulator.add_faults(
            Rule(match=Match(identifier_prefix=run_id), fault=Status(status=status))
        )
        scenario.upload(f"service/input/cus_A/{run_id}/in.bin", 5)
        key = f"service/output/cus_A/{run_id}/out.bin"
        scenario.handle(file_body(scenario.stack.bucket, key, refused))
    scenario.customers("cus_B")
    books.subscribe(customer="cus_B")
    scenario.month("cus_B", "2026-10", [GIB] * 31)
    # Refused later, and reported.
    scenario.simulator.refuse("run-2")
    scenario.wall.advance(timedelta(minutes=10))
    assert not any(scenario.waiting(queue) for queue in Queue)
    before = {row["fact"]: row for row in scenario.rows("billing-ledger")}
    posts = _events_posted(scenario)

    code, answer = books.reconcile("--repair")

    assert code == 1
    assert answer.missing == ["cus_B"]
    assert answer.repaired == Mended(asked_again=3, months=1, reports=1, problem=None)
    # The first was sent weeks ago and no summary shows it for certain: its handler decides.
    files = [json.loads(body) for body in scenario.bodies(Queue.FILE_PROCESSED)]
    assert sorted(body["key"].split("/")[3] for body in files) == ["run-1", "run-3", "run-4"]
    assert scenario.bodies(Queue.MONTHLY_BILLING) == [bill_body("cus_B")]
    assert len(scenario.bodies(Queue.STRIPE_EVENTS)) == 1
    assert scenario.waiting(Queue.DAILY_SIZING) == 0
    assert _events_posted(scenario) == posts
    after = {row["fact"]: row for row in scenario.rows("billing-ledger")}
    for fact, row in before.items():
        for frozen in ("value", "generation", "identifier", "timestamp", "attempts"):
            assert after[fact][frozen] == row[frozen]
    assert books.states() == {
        STORAGE: "confirmed",
        "file_processed#run-1": "sent",
        "file_processed#run-2": "sent",
        "file_processed#run-3": "planned",
        "file_processed#run-4": "unknown",
        "file_processed#run-5": "rejected",
    }
    assert "repaired: 3 due facts enqueued" in books.say("--repair")[1]


def test_repair_leaves_what_is_not_due(books: Bookkeeper) -> None:
    scenario = books.scenario
    books.subscribe()
    scenario.wall.set(datetime(2026, 10, 30, 0, 5, tzinfo=UTC))
    scenario.simulator.add_faults(
        Rule(match=Match(identifier_prefix="run-1"), fault=Status(status=500), times=None)
    )
    scenario.upload("service/input/cus_A/run-1/in.bin", 5)
    key = "service/output/cus_A/run-1/out.bin"
    at = scenario.wall() - timedelta(minutes=5)
    scenario.handle(file_body(scenario.stack.bucket, key, at))
    assert books.states() == {"file_processed#run-1": "unknown"}

    code, answer = books.reconcile("--month", "2026-10", "--repair")

    # Stripe has counted nothing, and the ledger claims nothing: they agree meanwhile.
    assert code == 0
    assert answer.repaired == Mended(asked_again=0, months=0, reports=0, problem=None)
    assert scenario.waiting(Queue.FILE_PROCESSED) == 0


def test_without_repair_nothing_is_enqueued(books: Bookkeeper) -> None:
    books.scenario.month("cus_A", "2026-10", [GIB] * 31)
    books.scenario.wall.set(NOVEMBER + timedelta(hours=5))

    _, answer = books.reconcile()

    assert answer.repaired is None
    assert not any(books.scenario.waiting(queue) for queue in Queue)


# --- The daily tick -------------------------------------------------------------------------------


def tick(
    books: Bookkeeper, at: datetime, worker: Installation | None = None
) -> tuple[Done, list[MutableMapping[str, object]]]:
    """Runs it; returns what came of it and the logs."""
    body = Tick(job=Job.RECONCILE, scheduled_time=at).body()
    with capture_logs() as logs:
        outcome = books.scenario.handle(body, queue=Queue.SCHEDULE, worker=worker)
    assert isinstance(outcome, Done), outcome
    return outcome, list(logs)


def metrics(printed: str) -> Iterator[dict[str, int]]:
    """The metrics of each line, as CloudWatch would take them out."""
    for line in printed.splitlines():
        document = json.loads(line)
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "SiftBeam/Billing"
        assert directive["Dimensions"] == [[]]
        assert isinstance(document["_aws"]["Timestamp"], int)
        yield {each["Name"]: document[each["Name"]] for each in directive["Metrics"]}


def test_the_tick_counts_what_agrees_and_marks_it(
    books: Bookkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    books.october()
    books.scenario.wall.set(NOVEMBER + timedelta(hours=6))

    outcome, logs = tick(books, books.scenario.wall())

    assert "2 customer meters agree, 0 differ" in outcome.note
    assert list(metrics(capsys.readouterr().out)) == [
        {"ReconcileDifference": 0, "ReconcileAgreed": 2}
    ]
    assert [log for log in logs if log["log_level"] != "info"] == []
    assert set(books.states().values()) == {"invoiced"}


def test_the_tick_rings_for_what_differs_and_names_twenty(
    books: Bookkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    books.bill_storage(GIB)
    for number in range(25):
        books.scenario.month(f"cus_{number}", "2026-10", [GIB])
    books.scenario.wall.set(NOVEMBER + timedelta(hours=6))

    _, logs = tick(books, books.scenario.wall())

    (counted,) = metrics(capsys.readouterr().out)
    assert counted["ReconcileDifference"] == 26
    named = [log for log in logs if log.get("action") == "reconcile_difference"]
    assert len(named) == 20
    assert not any(books.scenario.waiting(queue) for queue in Queue)


def test_summaries_that_lag_do_not_ring_on_the_first_day_but_on_the_second(
    books: Bookkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    books.scenario.simulator.change_settings(summary_delay_seconds=40 * 3600)
    books.subscribe()
    books.bill_storage(GIB)
    for day in (1, 2):
        at = NOVEMBER.replace(day=day, hour=6)
        books.scenario.wall.set(at)
        tick(books, at)

    differences = [each["ReconcileDifference"] for each in metrics(capsys.readouterr().out)]
    assert differences == [0, 1]


def test_after_a_week_the_tick_leaves_the_month_alone(
    books: Bookkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    books.bill_storage(GIB)
    for day, looks in ((7, True), (8, False)):
        at = NOVEMBER.replace(day=day, hour=6)
        books.scenario.wall.set(at)
        tick(books, at)
        assert bool(capsys.readouterr().out) is looks


def test_a_stripe_that_is_down_ends_the_tick_with_a_log(
    books: Bookkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    books.october()
    books.scenario.wall.set(NOVEMBER + timedelta(hours=6))
    books.scenario.simulator.add_faults(Rule(match=Match(), fault=Outage(status=503), times=None))

    _, logs = tick(books, books.scenario.wall())

    assert [log["action"] for log in logs if log["log_level"] == "warning"] == [
        "reconcile_incomplete"
    ]
    assert all(each["ReconcileDifference"] == 0 for each in metrics(capsys.readouterr().out))


def test_a_worker_that_never_reached_stripe_compares_nothing_and_is_done(
    books: Bookkeeper, capsys: pytest.CaptureFixture[str]
) -> None:
    books.october()
    books.scenario.wall.set(NOVEMBER + timedelta(hours=6))
    books.scenario.simulator.add_faults(Rule(match=Match(), fault=Outage(status=503), times=None))

    outcome, logs = tick(books, books.scenario.wall(), books.scenario.installation())

    assert "was not compared" in outcome.note
    assert [log["action"] for log in logs] == ["reconcile_incomplete"]
    assert capsys.readouterr().out == ""


def test_a_deserted_fact_is_not_in_the_way(books: Bookkeeper) -> None:
    """A fact that a person has to see to is no difference: Stripe was never given it."""
    books.subscribe()
    books.scenario.month("cus_A", "2026-10", [GIB] * 31)
    books.scenario.wall.set(NOVEMBER + timedelta(hours=2))
    assert isinstance(books.scenario.handle(bill_body("cus_A")), DeadLetter)

    code, answer = books.reconcile()

    assert (code, answer.agree) == (0, 2)
    assert books.states() == {STORAGE: "manual"}


def _events_posted(scenario: Scenario) -> int:
    return sum(seen.path == "/v1/billing/meter_events" for seen in scenario.simulator.requests())
