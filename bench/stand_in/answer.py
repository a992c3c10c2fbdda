"""What a service of the stand-in answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

JSON_1_0 = "application/x-amz-json-1.0"
JSON = "application/json"
XML = "application/xml"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, body and its type."""

    body: bytes
    status: int = 200
    content_type: str = JSON_1_0


def as_json(content: dict[str, Any], status: int = 200, content_type: str = JSON_1_0) -> Answer:
    """A JSON object as an answer."""
    return Answer(json.dumps(content, separators=(",", ":")).encode(), status, content_type)


def fault(code: str, message: str, **more: Any) -> Answer:  # noqa: ANN401 - JSON
    """An error as AWS's JSON protocols spell it."""
    return as_json({"__type": code, "message": message, **more}, 400)
