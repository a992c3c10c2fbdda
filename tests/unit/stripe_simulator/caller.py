"""Calls the simulator's core as an HTTP client would, without a socket."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from infra.stripe_simulator import DEFAULT_KEY, Request, Response, StripeSimulator

EVENTS = "/v1/billing/meter_events"
ADJUSTMENTS = "/v1/billing/meter_event_adjustments"
METERS = "/v1/billing/meters"


@dataclass(frozen=True)
class Answer:
    """A response, its JSON reached by path."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    def at(self, *path: str | int) -> object:
        found: object = json.loads(self.response.body)
        for step in path:
            if isinstance(step, int):
                assert isinstance(found, list)
                found = found[step]
            else:
                assert isinstance(found, dict)
                found = found.get(step)
        return found

    def text(self, *path: str | int) -> str:
        found = self.at(*path)
        assert isinstance(found, str)
        return found

    def column(self, key: str, *path: str | int) -> list[object]:
        """The values of `key` in a list of objects; by default the list's `data`."""
        found = self.at(*(path or ("data",)))
        assert isinstance(found, list)
        return [item[key] for item in found]


class Caller:
    def __init__(self, simulator: StripeSimulator, key: str | None = DEFAULT_KEY) -> None:
        self.simulator = simulator
        self.key = key

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        return self._call("GET", path, query=urlencode(params or {}))

    def delete(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        return self._call("DELETE", path, query=urlencode(params or {}))

    def post(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Answer:
        headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
        return self._call("POST", path, body=urlencode(params or {}), headers=headers)

    def send(
        self,
        identifier: str = "event-1",
        *,
        value: str = "5",
        customer: str = "cus_a",
        event_name: str = "storage-usage",
        timestamp: int | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Post a meter event."""
        params = {
            "event_name": event_name,
            "identifier": identifier,
            "payload[stripe_customer_id]": customer,
            "payload[value]": value,
        }
        if timestamp is not None:
            params["timestamp"] = str(timestamp)
        return self.post(EVENTS, params, idempotency_key=idempotency_key)

    def cancel(self, identifier: str, event_name: str = "storage-usage") -> Answer:
        params = {"event_name": event_name, "type": "cancel", "cancel[identifier]": identifier}
        return self.post(ADJUSTMENTS, params)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if self.key is not None:
            sent["authorization"] = f"Bearer {self.key}"
        request = Request(method, path, query.encode(), body.encode(), sent)
        return Answer(self.simulator.handle(request))
