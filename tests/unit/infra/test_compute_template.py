"""What the compute and the observability template promise, read from the files themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra.stack import template_path
from tests.image_steps import REPOSITORY, steps
from tests.unit.infra.templates import Resource, read_template
from worker.doctor.alarms import ALARMS as ALARM_NAMES
from worker.metrics import NAMESPACE, Metric
from worker.settings import Settings

COMPUTE, DATA = read_template("compute"), read_template("data")
OBSERVABILITY, OPERATORS = read_template("observability"), read_template("operators")
CONTAINER: Resource = COMPUTE["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"][
    0
]
IMAGE = {
    step.keyword: step.argument
    for step in steps((REPOSITORY / "Dockerfile").read_text())
    if step.stage == "worker"
}
# Set by hand or not at all in production; each with the reason.
NOT_IN_THE_TEMPLATE = {
    "stripe_api_key",  # local work only: the secret is the way
    "stripe_api_base",  # Stripe's own
    "visibility_seconds",  # fits the queues of the data template
    "claim_seconds",  # the protocol's
    "drain_seconds",  # fits StopTimeout
    # What `preview`, `report` and `stripe setup` reckon in; the worker sends bytes.
    "currency",
    "storage_price",
    "storage_unit",
    "file_price",
    "log_format",  # CloudWatch takes JSON, the default
}


def alarms(template: Resource) -> dict[str, Resource]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


ALARMS = alarms(COMPUTE) | alarms(OBSERVABILITY)


class TestNames:
    @pytest.mark.parametrize(
        "other",
        [COMPUTE, OBSERVABILITY, OPERATORS],
        ids=["compute", "observability", "operators"],
    )
    def test_what_several_stacks_ask_for_has_one_default(self, other: Resource) -> None:
        for name in DATA["Parameters"].keys() & other["Parameters"].keys():
            assert DATA["Parameters"][name]["Default"] == other["Parameters"][name]["Default"], name

    def test_the_settings_are_the_workers_own_with_the_workers_defaults(self) -> None:
        given = {}
        for each in CONTAINER["Environment"]:
            variable = each["Fn::If"][1] if "Fn::If" in each else each
            name = variable["Name"]
            if name.startswith("SIFTBEAM_"):
                parameter = COMPUTE["Parameters"][variable["Value"]["Ref"]]
                given[name.removeprefix("SIFTBEAM_").lower()] = str(parameter["Default"])
        assert given.keys() == Settings.model_fields.keys() - NOT_IN_THE_TEMPLATE
        defaults = Settings.model_construct()
        for name, value in given.items():
            assert value == str(getattr(defaults, name) or ""), name

    def test_no_secret_is_handed_over_in_the_environment(self) -> None:
        assert "Secrets" not in CONTAINER
        text = template_path("compute").read_text(encoding="utf-8")
        assert not re.search(r"(?:sk|rk)_(?:live|test)_|whsec_|AKIA|STRIPE_API_KEY", text)

    @pytest.mark.parametrize("logical", ALARMS)
    def test_an_alarm_reads_a_metric_that_there_is(self, logical: str) -> None:
        alarm = ALARMS[logical]
        if alarm["Namespace"] == NAMESPACE:
            assert alarm["MetricName"] in list(Metric)
            assert "Dimensions" not in alarm, "the worker writes them without dimensions"
            return
        assert alarm["Namespace"] == "AWS/SQS"
        (dimension,) = alarm["Dimensions"]
        assert dimension["Value"]["Fn::Sub"] in {
            resource["Properties"]["QueueName"]["Fn::Sub"]
            for resource in DATA["Resources"].values()
            if resource["Type"] == "AWS::SQS::Queue"
        }

    def test_the_dashboard_shows_metrics_that_there_are(self) -> None:
        body = OBSERVABILITY["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
        widgets = json.loads(body)["widgets"]
        shown = set()
        for widget in widgets[1:]:
            namespace = ""
            for namespace_or_dot, metric, *_ in widget["properties"]["metrics"]:
                namespace = namespace if namespace_or_dot == "." else namespace_or_dot
                if namespace == NAMESPACE:
                    shown.add(metric)
        assert shown <= set(Metric)
        assert re.findall(r"\$\{(\w+)\.Arn\}", body) == list(alarms(OBSERVABILITY))

    def test_the_doctor_looks_for_every_alarm(self) -> None:
        names = {alarm["AlarmName"]["Fn::Sub"] for alarm in alarms(OBSERVABILITY).values()}
        assert names == {f"${{QueuePrefix}}{name}" for name in ALARM_NAMES}

    @pytest.mark.parametrize("logical", alarms(OBSERVABILITY))
    def test_an_alarm_names_its_runbook_and_tells_somebody(self, logical: str) -> None:
        alarm = ALARMS[logical]
        assert (REPOSITORY / alarm["AlarmDescription"].split()[-1]).is_file()
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]

    @pytest.mark.parametrize("name", ["data", "compute", "observability", "operators"])
    def test_a_template_can_be_sent_as_it_is(self, name: str) -> None:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
        assert template_path(name).stat().st_size <= 51_200


class TestCostBounds:
    # https://aws.amazon.com/cloudwatch/pricing/: ten alarm metrics and ten custom metrics are free.
    def test_at_most_ten_alarm_metrics(self) -> None:
        assert all("Metrics" not in alarm for alarm in ALARMS.values())
        assert len(ALARMS) <= 10

    def test_at_most_ten_custom_metrics(self) -> None:
        assert len(Metric) <= 10

    def test_nothing_that_costs_by_the_hour_while_nothing_runs(self) -> None:
        kinds = {
            resource["Type"]
            for resource in COMPUTE["Resources"].values()
            if "Condition" not in resource
        }
        assert not kinds & {
            "AWS::EC2::NatGateway",
            "AWS::EC2::VPCEndpoint",
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
        }


class TestTask:
    def test_it_can_write_to_one_place_and_is_nobody_special(self) -> None:
        assert CONTAINER["ReadonlyRootFilesystem"] is True
        assert CONTAINER["Privileged"] is False
        assert CONTAINER["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
        assert CONTAINER["User"] == IMAGE["USER"] == "10001:10001"
        (mount,) = CONTAINER["MountPoints"]
        # A volume keeps the mode of the image's own directory only where the image declares it.
        assert json.loads(IMAGE["VOLUME"]) == [mount["ContainerPath"]]

    def test_it_is_asked_for_its_health_as_the_image_is(self) -> None:
        check = CONTAINER["HealthCheck"]
        command = json.loads(IMAGE["HEALTHCHECK"].split(" CMD ")[1])
        assert check["Command"] == ["CMD", *command]
        options = dict(re.findall(r"--(\S+)=(\d+)", IMAGE["HEALTHCHECK"]))
        assert options == {
            "interval": str(check["Interval"]),
            "timeout": str(check["Timeout"]),
            "start-period": str(check["StartPeriod"]),
            "retries": str(check["Retries"]),
        }

    def test_the_drain_fits_into_the_time_that_ecs_gives(self) -> None:
        (longest,) = (
            each.le
            for each in Settings.model_fields["drain_seconds"].metadata
            if hasattr(each, "le")
        )
        assert longest < CONTAINER["StopTimeout"] <= 120
        assert IMAGE["STOPSIGNAL"] == "SIGTERM"

    def test_all_tasks_together_stay_within_stripes_rate(self) -> None:
        defaults = {name: each.get("Default") for name, each in COMPUTE["Parameters"].items()}
        assert defaults["StripeShare"] * defaults["MaxTasks"] <= 100

    def test_nothing_connects_to_it(self) -> None:
        group = COMPUTE["Resources"]["SecurityGroup"]["Properties"]
        assert "SecurityGroupIngress" not in group
        (out,) = group["SecurityGroupEgress"]
        assert (out["FromPort"], out["ToPort"], out["IpProtocol"]) == (443, 443, "tcp")
        assert "PortMappings" not in CONTAINER

    def test_logs_end(self) -> None:
        assert COMPUTE["Resources"]["LogGroup"]["Properties"]["RetentionInDays"] == {
            "Ref": "LogRetentionDays"
        }


class TestScaling:
    TARGET: Resource = COMPUTE["Resources"]["ScalableTarget"]["Properties"]

    def test_it_begins_at_zero_and_scaling_alone_counts_tasks(self) -> None:
        assert self.TARGET["MinCapacity"] == 0
        assert "DesiredCount" not in COMPUTE["Resources"]["Service"]["Properties"]

    def test_every_wake_is_followed_by_leave_to_sleep(self) -> None:
        actions = {
            each["ScheduledActionName"]: each["ScalableTargetAction"]["MinCapacity"]
            for each in self.TARGET["ScheduledActions"]
        }
        wakes = [name for name, capacity in actions.items() if capacity == 1]
        assert sorted(wakes) == ["daily-wake", "monthly-wake", "review-wake"]
        assert all(actions[name.replace("wake", "sleep")] == 0 for name in wakes)

    @pytest.mark.parametrize("job", ["Daily", "Monthly"])
    def test_the_wakes_are_the_ticks_own_times(self, job: str) -> None:
        schedules = {
            each["ScheduledActionName"]: each["Schedule"]
            for each in self.TARGET["ScheduledActions"]
        }
        assert schedules[f"{job.lower()}-wake"] == {"Ref": f"{job}Schedule"}
        # The defaults of both stacks are one, which TestNames says.
        assert f"{job}Schedule" in DATA["Parameters"]

    def test_the_reconciliation_and_the_sweep_find_a_worker(self) -> None:
        review = COMPUTE["Parameters"]["ReviewSchedule"]["Default"].strip("cron()").split()
        for job in ("Reconcile", "Sweep"):
            tick = DATA["Parameters"][f"{job}Schedule"]["Default"].strip("cron()").split()
            assert any(int(hour) >= int(tick[1]) for hour in review[1].split(","))

    def test_it_sleeps_only_when_the_worker_itself_counts_nothing_left(self) -> None:
        alarm = ALARMS["IdleAlarm"]
        assert alarm["MetricName"] == Metric.MESSAGES_WAITING
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == (
            "LessThanOrEqualToThreshold",
            0,
        )
        assert alarm["Statistic"] == "Maximum"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == [{"Ref": "ScaleInPolicy"}]
        policy = COMPUTE["Resources"]["ScaleInPolicy"]["Properties"]
        steps_in = policy["StepScalingPolicyConfiguration"]
        assert steps_in["AdjustmentType"] == "ExactCapacity"
        assert [each["ScalingAdjustment"] for each in steps_in["StepAdjustments"]] == [0]

    @pytest.mark.parametrize(
        ("logical", "threshold", "default"),
        [
            ("FilesWaitingAlarm", "FilesWaiting", 1000),
            ("FilesOldAlarm", "FilesOldestSeconds", 3600),
        ],
    )
    def test_files_wake_it_by_number_and_by_age(
        self, logical: str, threshold: str, default: int
    ) -> None:
        alarm = ALARMS[logical]
        assert alarm["Threshold"] == {"Ref": threshold}
        assert COMPUTE["Parameters"][threshold]["Default"] == default
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == [{"Ref": "ScaleOutPolicy"}]

    def test_an_alarm_rings_well_after_a_worker_should_have_come(self) -> None:
        parameters = OBSERVABILITY["Parameters"]
        wakes = COMPUTE["Parameters"]["FilesOldestSeconds"]["Default"]
        assert parameters["FilesWaitSeconds"]["Default"] >= 2 * wakes
        # From the wake at 18:00 to the one at 01:00, and a start.
        assert parameters["TicksWaitSeconds"]["Default"] > 7 * 3600


def test_every_runbook_is_linked() -> None:
    index = (REPOSITORY / "docs/runbooks/README.md").read_text()
    for page in Path(REPOSITORY / "docs/runbooks").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index
