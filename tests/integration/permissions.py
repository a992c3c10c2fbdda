"""The permissions that calls need, and those that a policy grants."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.integration.conftest import session_of
from tests.unit.infra.templates import Resource, read_template
from worker.aws import AwsClients
from worker.listing.address import BucketAddress
from worker.listing.wire import Answer, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import boto3
    import pytest

    from tests.integration.conftest import DataStack

# Where the action is not named as the operation is. The batches have no actions of their own:
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
_ACTIONS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListParts": "s3:ListMultipartUploadParts",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:GetBucketInventoryConfiguration": "s3:GetInventoryConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
}
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
_KNOWS_PREFIX = {"s3:ListBucket", "s3:ListBucketVersions"}
# Where the SDK names a service otherwise than IAM does.
_SERVICES = {"secrets-manager": "secretsmanager", "eventbridge": "events"}
# What SQS does on the caller's behalf:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
_OF_A_MOVE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_STATEMENT = re.compile(r'(INSERT|UPDATE) (?:INTO )?"([^"]+)"')
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "region", "AWS::AccountId": "account"}


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """An action on a resource, as IAM judges it; ``prefix`` is the listing's, where it is one."""

    action: str
    resource: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Denial:
    """What is refused: an action on a resource, or every call, whose signature is not taken.

    Args:
        need: the action and resource; None for every call.
    """

    need: Need | None = None

    @property
    def code(self) -> str:
        """As the service calls it."""
        if self.need is None:
            return "UnrecognizedClientException"
        short = self.need.action.startswith(("s3:", "sqs:", "cloudwatch:"))
        return "AccessDenied" if short else "AccessDeniedException"

    def strikes(self, need: Need) -> bool:
        return self.need is None or (
            (self.need.action, self.need.resource) == (need.action, need.resource)
        )

    def words(self, need: Need) -> tuple[str, str]:
        """Code and message, as AWS words them."""
        if self.need is None:
            return self.code, "The security token included in the request is invalid."
        arn = f"arn:aws:{need.resource.replace(':', ':ap-northeast-1:000000000000:', 1)}"
        return self.code, (
            f"User: arn:aws:iam::000000000000:user/ana is not authorized to perform: {need.action} "
            f"on resource: {arn} because no identity-based policy allows the {need.action} action"
        )


@dataclass(frozen=True, slots=True)
class Status:
    """The part of an HTTP answer that the SDK looks at."""

    status_code: int


@dataclass(slots=True)
class Recorder:
    """Clients that write down what each of their calls needs.

    The listing signs its own requests, so its signature is watched instead.
    """

    stack: DataStack
    patch: pytest.MonkeyPatch
    calls: Counter[Need] = field(default_factory=Counter)
    denial: Denial | None = None
    # The emulator is one server: a long poll finds no more than a short one.
    waits: bool = True
    # By operation: what the emulator cannot answer.
    stand_ins: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = field(
        default_factory=dict
    )
    _asked: threading.local = field(default_factory=threading.local)

    def clients(self) -> AwsClients:
        session = self.session()
        url = self.stack.aws.url
        return AwsClients(
            s3=session.client("s3", endpoint_url=url),
            sqs=session.client("sqs", endpoint_url=url),
            dynamodb=session.client("dynamodb", endpoint_url=url),
            secrets=session.client("secretsmanager", endpoint_url=url),
            credentials=session.get_credentials(),
        )

    def session(self) -> boto3.Session:
        session = session_of(self.stack.aws)
        # The first for every call, made or only presigned, with what the caller said; the second
        # when it is made.
        session.events.register("provide-client-params", self._ask)
        session.events.register("before-call", self._call)  # type: ignore[arg-type]  # the stubs forget that a handler may answer
        signed = BucketAddress.signed

        def watched(address: BucketAddress, target: str) -> Mapping[str, str]:
            prefix = parse_qs(urlsplit(target).query).get("prefix", [""])[0]
            self.calls[Need("s3:ListBucket", f"s3:{self.stack.bucket}", prefix)] += 1
            return signed(address, target)

        get = Wire.get

        def answered(wire: Wire, target: str, headers: Mapping[str, str]) -> Answer:
            need = Need("s3:ListBucket", f"s3:{self.stack.bucket}")
            if self.denial is None or not self.denial.strikes(need):
                return get(wire, target, headers)
            code, message = self.denial.words(need)
            document = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            return Answer(403, document.encode())

        self.patch.setattr(BucketAddress, "signed", watched)
        self.patch.setattr(Wire, "get", answered)
        return session

    def _ask(self, params: dict[str, Any], **_: object) -> None:
        if not self.waits and "WaitTimeSeconds" in params:
            params["WaitTimeSeconds"] = 0
        self._asked.params = params

    def _call(self, event_name: str, **_: object) -> tuple[Status, Mapping[str, Any]] | None:
        service, operation = event_name.split(".")[1:]
        needed = _needs(_SERVICES.get(service, service), operation, self._asked.params)
        self.calls.update(needed)
        for need in needed:
            if self.denial is not None and self.denial.strikes(need):
                code, message = self.denial.words(need)
                if operation.startswith("Head"):  # an answer without a body
                    code, message = "403", "Forbidden"
                error = {"Code": code, "Message": message}
                return Status(403), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}
        stand_in = self.stand_ins.get(operation)
        return None if stand_in is None else (Status(200), stand_in(self._asked.params))

    def made(self, action: str, resource: str) -> int:
        """How many calls of an action there were on resources whose name ends so."""
        return sum(
            count
            for need, count in self.calls.items()
            if need.action == action and need.resource.endswith(resource)
        )


def _needs(service: str, operation: str, params: Mapping[str, Any]) -> list[Need]:
    named = f"{service}:{operation}"
    if named == "dynamodb:BatchExecuteStatement":
        return [_of_statement(each) for each in params["Statements"]]
    if named == "sqs:StartMessageMoveTask":
        source = f"sqs:{params['SourceArn'].rsplit(':', 1)[-1]}"
        target = f"sqs:{params['DestinationArn'].rsplit(':', 1)[-1]}"
        of_source = [Need(action, source) for action in (named, *_OF_A_MOVE)]
        return [*of_source, Need("sqs:SendMessage", target)]
    return [Need(_ACTIONS.get(named, named), *each) for each in _resources(service, params)]


def _of_statement(statement: Mapping[str, Any]) -> Need:
    """What one PartiQL write of a batch needs.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html
    """
    found = _STATEMENT.match(statement["Statement"])
    assert found is not None, statement
    return Need(f"dynamodb:PartiQL{found[1].title()}", f"dynamodb:table/{found[2]}")


def _resources(service: str, params: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The ARN's last part of each resource that a call names, as in the policies."""
    match service:
        case "sqs":
            place = params.get("QueueUrl") or params.get("SourceArn") or "*"
            name = params.get("QueueName") or re.split("[/:]", place)[-1]
            yield (f"sqs:{name}",)
        case "dynamodb":
            for table in params.get("RequestItems", {}) or [params["TableName"]]:
                index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
                yield (f"dynamodb:table/{table}{index}",)
        case "s3":
            key = f"/{params['Key']}" if "Key" in params else ""
            yield (f"s3:{params['Bucket']}{key}", str(params.get("Prefix", "")))
        case "secretsmanager":
            yield (f"secretsmanager:secret:{params['SecretId']}-AbCdEf",)
        case "events":
            yield (f"events:rule/{params.get('Name') or params['Rule']}",)
        case "sns":
            yield (f"sns:{params['TopicArn'].rsplit(':', 1)[-1]}",)
        case "ecs" if "services" in params:
            for name in params["services"]:
                yield (f"ecs:service/{params['cluster']}/{name}",)
        case _:
            yield (f"{service}:*",)


@dataclass(frozen=True, slots=True)
class Grant:
    """One action of one statement, on any of its resources."""

    statement: str
    action: str
    resources: tuple[str, ...]
    prefixes: tuple[str, ...]

    def covers(self, need: Need) -> bool:
        return (
            need.action == self.action
            and any(fnmatchcase(need.resource, resource) for resource in self.resources)
            and (
                not self.prefixes
                or any(fnmatchcase(need.prefix, prefix) for prefix in self.prefixes)
            )
        )


def grants(template_name: str, logical: str, parameters: Mapping[str, str]) -> list[Grant]:
    """What a role or a managed policy of a template grants.

    Args:
        template_name: `compute` or `operators`.
        logical: its name in the template.
        parameters: the template's, where they are not the default.
    """
    template = read_template(template_name)
    values = (
        {name: str(each.get("Default", "")) for name, each in template["Parameters"].items()}
        | _PSEUDO
        | dict(parameters)
    )
    properties = template["Resources"][logical]["Properties"]
    documents = [each["PolicyDocument"] for each in properties.get("Policies", [])]
    documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
    found = []
    for statement in (each for document in documents for each in document["Statement"]):
        assert statement["Effect"] == "Allow"
        condition: Resource = statement.get("Condition", {})
        assert set(condition) <= {"StringLike"}
        prefixes = condition.get("StringLike", {}).get("s3:prefix", [])
        for action in _several(statement["Action"]):
            assert "*" not in action, f"{statement['Sid']} grants {action}"
            # On an action that knows no such key the condition is never met: it denies.
            assert not prefixes or action in _KNOWS_PREFIX, f"{action} has no s3:prefix"
            found.append(
                Grant(
                    statement["Sid"],
                    action,
                    tuple(_last_part(each, values) for each in _several(statement["Resource"])),
                    tuple(_filled(each, values) for each in prefixes),
                )
            )
    return found


def _several(value: Any) -> list[Any]:  # noqa: ANN401 - a template's one or many
    return value if isinstance(value, list) else [value]


def _filled(value: Resource | str, values: Mapping[str, str]) -> str:
    text = value if isinstance(value, str) else str(value["Fn::Sub"])
    for name, each in values.items():
        text = text.replace(f"${{{name}}}", each)
    return text


def _last_part(value: Resource | str, values: Mapping[str, str]) -> str:
    """`arn:aws:sqs:region:account:name` as `sqs:name`."""
    text = _filled(value, values)
    if text == "*":
        return text
    _, _, service, _, _, name = text.split(":", 5)
    return f"{service}:{name}"
