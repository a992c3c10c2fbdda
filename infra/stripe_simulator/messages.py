"""What goes in and out of the simulator: requests, responses, and how a response travels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"

encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. Header names are in lower case; `path` is without the query."""

    method: str
    path: str
    query: bytes = b""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deliver:
    """The response arrives, after so many seconds."""

    after_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing arrives; after so many seconds the connection is closed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset at once; nothing arrives."""


Delivery: TypeAlias = Deliver | Hang | Reset
AT_ONCE = Deliver()


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response and its fate on the wire, which whoever carries it has to act out.

    `call` is set while the call counts as in progress (a fault `delay`): pass the response to
    `StripeSimulator.finished` once it is delivered, or let the clock pass `after_seconds`.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delivery: Delivery = AT_ONCE
    call: int | None = None
