"""Whether DynamoDB and S3 can be used, as every call to them tells.

The SDK has retried by the time a failure is seen here: what is left is an outage, or throttling
that lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from worker.lease import check_lease
from worker.listing.errors import SlowedDown, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from botocore.awsrequest import AWSResponse
    from botocore.client import BaseClient

    from worker.aws import AwsClients
    from worker.circuit import Circuit
    from worker.listing.page import Page
    from worker.listing.query import PageQuery, Pages

_SERVER_ERRORS = 500
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html and
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class WatchedClient:
    """Tells a circuit what became of each call of a client, while it is entered.

    Args:
        client: the client; every thread's calls count.
        circuit: is told.
    """

    def __init__(self, client: BaseClient, circuit: Circuit) -> None:
        self._events = client.meta.events
        self._service = client.meta.service_model.service_id.hyphenize()
        self._circuit = circuit

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._events.register(f"after-call.{self._service}", self._answered)
        self._events.register(f"after-call-error.{self._service}", self._unanswered)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        self._events.unregister(f"after-call.{self._service}", self._answered)
        self._events.unregister(f"after-call-error.{self._service}", self._unanswered)

    def _answered(
        self, http_response: AWSResponse, parsed: Mapping[str, Mapping[str, str]], **_: object
    ) -> None:
        code = parsed.get("Error", {}).get("Code", "")
        if http_response.status_code >= _SERVER_ERRORS or code in _THROTTLED:
            self._circuit.failed(f"HTTP {http_response.status_code} {code}".strip())
        else:
            self._circuit.succeeded()

    def _unanswered(self, exception: Exception, **_: object) -> None:
        if isinstance(exception, (HTTPClientError, NoConnection)):
            self._circuit.failed(f"{type(exception).__name__}: {exception}")


class WatchedPages:
    """Pages of a listing, each of which tells the circuit whether S3 can be used.

    A listing may take hours, so each page is also where it ends once the message is another's.

    Args:
        pages: fetches them.
        circuit: S3's.
    """

    def __init__(self, pages: Pages, circuit: Circuit) -> None:
        self._pages = pages
        self._circuit = circuit

    def fetch(self, query: PageQuery) -> Page:
        """The page, checked.

        Raises:
            ListingFailed: it could not be had.
            LeaseLost: the message in hand is another worker's by now.
        """
        check_lease()
        try:
            page = self._pages.fetch(query)
        except (SlowedDown, Unreachable) as error:
            self._circuit.failed(str(error))
            raise
        self._circuit.succeeded()
        return page


def is_outage(error: Exception) -> bool:
    """Whether a call came to nothing for want of the service, not for what was asked of it."""
    match error:
        case ClientError():
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return status >= _SERVER_ERRORS or error.response["Error"]["Code"] in _THROTTLED
        case HTTPClientError() | NoConnection() | SlowedDown() | Unreachable():
            return True
    return False


def dynamodb_probe(clients: AwsClients, table: str) -> Callable[[], str | None]:
    """Asks for an item that nobody has."""
    return lambda: _problem(
        lambda: clients.dynamodb.get_item(TableName=table, Key={"fact": {"S": "probe"}})
    )


def s3_probe(clients: AwsClients, bucket: str, prefix: str) -> Callable[[], str | None]:
    """Lists one key."""
    return lambda: _problem(
        lambda: clients.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    )


def _problem(ask: Callable[[], object]) -> str | None:
    """Why a service cannot be used; a refusal is an answer."""
    try:
        ask()
    except ClientError as error:
        if is_outage(error):
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return f"HTTP {status} {error.response['Error']['Code']}"
    except BotoCoreError as error:
        return f"{type(error).__name__}: {error}"
    return None
