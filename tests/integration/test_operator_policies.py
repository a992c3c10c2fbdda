"""The operators' policies allow what each command does, nothing else; what is denied is told."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from infra.stripe_simulator import DEFAULT_KEY
from tests.integration.breakages import observe
from tests.integration.inventory import Configuration
from tests.integration.operations import AUDIT, KEY, OPERATE, OPERATIONS, READ, Desk, Operation
from tests.integration.permissions import Denial, Grant, Need, Recorder, grants
from worker.cli import app, main
from worker.ledger.item import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_ecs import ECSClient

    from tests.integration.operator import Operator
    from tests.integration.scenario import Scenario

POLICIES = (READ, KEY, OPERATE, AUDIT)
# Granted, and made by no command here; each with the reason.
NOT_SEEN = {
    "sqs:CancelMessageMoveTask": "only where a replay is interrupted while SQS moves a queue",
}
# Where each thing that is denied is one of several findings, with a remedy of its own.
SAYS_MORE = {"doctor", "status --once --json", "resolve", "audit"}


class Moves:
    """SQS's own moving of letters: the emulator has none. A task has ended once it is looked at."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def start(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self._begun[params["SourceArn"]] += 1
        return {"TaskHandle": "a-handle"}

    def listed(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        begun = self._begun[params["SourceArn"]]
        task = {"Status": "COMPLETED", "StartedTimestamp": begun}
        return {"Results": [task] if begun else []}


class Office:
    """An installation whose commands are watched, each begun like a process of its own."""

    def __init__(
        self,
        operator: Operator,
        scenario: Scenario,
        patch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[str],
        directory: Path,
    ) -> None:
        self._operator = operator
        self._capture = capture
        self._scenario = scenario
        stack = scenario.stack
        stack.clients.secrets.put_secret_value(
            SecretId=stack.secret_id, SecretString=json.dumps({"STRIPE_SECRET_KEY": DEFAULT_KEY})
        )
        scenario.simulator.change_settings(grace_hours=72)
        self.recorder = Recorder(stack, patch, waits=False)
        moves = Moves()
        self.recorder.stand_ins = {
            "StartMessageMoveTask": moves.start,
            "ListMessageMoveTasks": moves.listed,
        }
        self._clients = self.recorder.clients()
        self.desk = Desk(scenario, directory, scenario.installation(clients=self._clients))
        session = self.recorder.session()
        session.events.register(
            "before-send.s3.GetBucketInventoryConfiguration",
            Configuration(),  # type: ignore[arg-type]  # the stubs forget that a handler may answer
        )
        patch.setattr("worker.commands.doctor.session_for", lambda _settings: session)
        self._have_a_service(session.client("ecs", endpoint_url=stack.aws.url), stack.name)
        observe(stack)
        # The emulator answers of firings too, if only that it knows of none.
        patch.setattr("worker.commands.doctor.is_emulated", lambda: False)
        # Typer puts the command line together anew for every process; here once is enough.
        patch.setattr("worker.cli.app", get_command(app))
        patch.setenv("XDG_STATE_HOME", str(directory / "state"))
        patch.setenv("COLUMNS", "200")

    @staticmethod
    def _have_a_service(ecs: ECSClient, name: str) -> None:
        ecs.create_cluster(clusterName=f"{name}-billing")
        task = ecs.register_task_definition(
            family=f"{name}-worker",
            containerDefinitions=[{"name": "worker", "image": "worker:1.0"}],
        )["taskDefinition"]["taskDefinitionArn"]
        ecs.create_service(
            cluster=f"{name}-billing",
            serviceName=f"{name}-worker",
            taskDefinition=task,
            desiredCount=0,
        )
        ecs.close()

    def run(self, words: tuple[str, ...], denial: Denial | None = None) -> tuple[int, str]:
        """Exit code, and all it said."""
        self._operator.installation = self._scenario.installation(
            clients=self._clients, stripe_api_key=None, stripe_grace_hours=72
        )
        self._capture.readouterr()
        self.recorder.denial = denial
        code = 0
        try:
            main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            self.recorder.denial = None
        said = self._capture.readouterr()
        return code, said.out + said.err

    def recorded(self, operation: Operation) -> list[Need]:
        """What a command needed that was denied nothing, in the order of the calls."""
        words = operation.words(self.desk)
        self.recorder.calls.clear()
        code, said = self.run(words)
        assert code in operation.codes, (operation.name, said)
        return list(self.recorder.calls)


@pytest.fixture
def office(
    operator: Operator,
    scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Office:
    return Office(operator, scenario, monkeypatch, capsys, tmp_path)


def parameters(scenario: Scenario) -> dict[str, str]:
    named = ("TablePrefix", "QueuePrefix", "BucketName", "StripeSecretName")
    stack = scenario.stack
    return {
        **{name: stack.parameters[name] for name in named},
        "InventoryLocation": f"{stack.bucket}-reports/inventories",
    }


def test_each_command_may_do_what_it_does_and_no_policy_grants_more(
    office: Office, scenario: Scenario
) -> None:
    granted = {name: grants("operators", name, parameters(scenario)) for name in POLICIES}
    denied: dict[str, list[Need]] = {}
    needed: set[Need] = set()
    for operation in OPERATIONS:
        allowed = [each for name in operation.policies for each in granted[name]]
        needs = office.recorded(operation)
        needed.update(needs)
        lacking = [
            need
            for need in needs
            if need.action not in operation.endures and not is_granted(need, allowed)
        ]
        if lacking:
            denied[operation.name] = lacking
    assert denied == {}, "the policies lack what a command needs"

    everything = [each for name in POLICIES for each in granted[name]]
    needless = {
        f"{each.statement}: {each.action}"
        for each in everything
        if not any(
            each.covers(need) and not is_granted(need, without(everything, each)) for need in needed
        )
    }
    assert {name.split(": ")[1] for name in needless} == NOT_SEEN.keys(), needless


def is_granted(need: Need, granted: Iterable[Grant]) -> bool:
    return any(each.covers(need) for each in granted)


def without(granted: list[Grant], one: Grant) -> Iterator[Grant]:
    return (each for each in granted if each is not one)


def test_what_aws_denies_ends_in_one_line_that_names_it(office: Office) -> None:
    problems = []
    for operation in OPERATIONS:
        if operation.variant:
            continue
        # One of each kind of call: what a second queue or table would say is the same.
        kinds = {need.action: need for need in reversed(office.recorded(operation))}
        denials = [Denial(need) for need in reversed(kinds.values())]
        words = operation.words(office.desk)
        for denial in (*denials, Denial()):
            code, said = office.run(words, denial)
            wrong = complaint(operation, denial, code, said)
            if wrong:
                problems.append((operation.name, denial.need or denial.code, wrong, said[-900:]))
            if operation.once:
                words = operation.words(office.desk)

    assert problems == []


def complaint(operation: Operation, denial: Denial, code: int, said: str) -> str | None:
    """What is wrong with how a command ended."""
    if "Traceback" in said:
        return "a traceback"
    if DEFAULT_KEY in said:
        return "the key"
    endured = denial.need is not None and denial.need.action in operation.endures
    if endured and code in operation.codes:
        return None
    if code != 1:
        return f"ended with {code}"
    resource = "" if denial.need is None else denial.need.resource.split(":")[-1]
    wanted = (
        denial.code if denial.need is None else resource.removesuffix("-AbCdEf"),
        *(("docs/security.md",) if denial.need and operation.name not in SAYS_MORE else ()),
    )
    lacking = [word for word in wanted if word not in said]
    return f"does not say {lacking}" if lacking else None


def test_whoever_may_only_read_compares_all_the_same(office: Office, scenario: Scenario) -> None:
    fact = f"storage-usage#{office.desk.billed()}#2026-10"
    words = ("reconcile", "--month", "2026-10", "--json")
    ledger = f"dynamodb:table/{scenario.stack.table('billing-ledger')}"

    code, said = office.run(words, Denial(Need("dynamodb:UpdateItem", ledger)))

    assert code == 0
    assert "what agrees is not written down" in said
    assert state_of(scenario, fact) is State.SENT

    code, said = office.run(words)

    assert code == 0
    assert "not written down" not in said
    assert state_of(scenario, fact) is State.CONFIRMED


def state_of(scenario: Scenario, fact: str) -> State:
    item = scenario.worker.ledger.find(fact)
    assert item is not None
    return item.state
