import threading
from collections.abc import Iterator

from botocore.exceptions import ClientError, ConnectionClosedError, NoCredentialsError

from worker.doctor.check import Check, NotChecked, Standing, Verdict, failed, ok, run, warning
from worker.errors import Temporary


def well() -> Iterator[Verdict]:
    yield ok("as it should be")


def silent() -> Iterator[Verdict]:
    return iter(())


def ill() -> Iterator[Verdict]:
    yield ok("exists")
    yield failed("one", "mend one")
    yield warning("two", "mend two")


def raising(error: Exception, name: str = "raising") -> Check:
    def look() -> Iterator[Verdict]:
        yield ok("exists")
        raise error

    return Check(name, look)


def test_findings_come_in_the_checks_order_and_trouble_drowns_what_is_well() -> None:
    findings = run([Check("ill", ill), Check("well", well), Check("silent", silent)])

    assert [(finding.check, finding.verdict.standing) for finding in findings] == [
        ("ill", Standing.FAILED),
        ("ill", Standing.WARNING),
        ("well", Standing.OK),
        ("silent", Standing.OK),
    ]


def test_a_check_that_cannot_run_has_failed_with_why_and_the_others_run() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "DescribeTable")
    findings = run(
        [
            raising(denied),
            raising(ConnectionClosedError(endpoint_url="https://aws.example")),
            raising(Temporary("Stripe is away")),
            raising(KeyError("Shape")),
            Check("well", well),
        ]
    )

    assert [finding.verdict.standing for finding in findings] == [Standing.FAILED] * 4 + [
        Standing.OK
    ]
    details = [finding.verdict.detail for finding in findings]
    assert "DescribeTable: AccessDenied: not you" in details[0]
    assert "allow DescribeTable" in (findings[0].verdict.remedy or "")
    assert "Connection was closed" in details[1]
    assert "Stripe is away" in details[2]
    assert "KeyError" in details[3]


def test_what_holds_for_every_call_to_aws_is_said_once() -> None:
    expired = ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "ListQueues")

    findings = run(
        [
            raising(expired, "AWS account"),
            raising(expired, "queue"),
            raising(NoCredentialsError(), "table"),
        ]
    )

    assert [finding.verdict.standing for finding in findings] == [
        Standing.FAILED,
        Standing.WARNING,
        Standing.WARNING,
    ]
    assert "see AWS account" in findings[1].verdict.detail


def test_a_check_that_another_one_stands_before_only_warns() -> None:
    (finding,) = run([raising(NotChecked("see the secret"))])

    assert finding.verdict.standing is Standing.WARNING
    assert finding.verdict.detail == "not checked: see the secret"


def test_checks_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=10)

    def meeting() -> Iterator[Verdict]:
        together.wait()
        yield ok("met")

    findings = run([Check(str(number), meeting) for number in range(3)])

    assert [finding.verdict.detail for finding in findings] == ["met"] * 3
