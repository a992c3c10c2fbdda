"""Stripe: an account, and meter events that are all taken.

https://docs.stripe.com/api/billing/meter-event/create
"""

from __future__ import annotations

from urllib.parse import parse_qs

from bench.stand_in.answer import JSON, Answer, as_json


class Meters:
    """Takes every event; an identifier that comes twice is answered as Stripe does."""

    def __init__(self) -> None:
        self.identifiers: set[str] = set()

    def answer(self, path: str, body: bytes) -> Answer:
        """Answer a call."""
        if path == "/v1/account":
            return as_json({"id": "acct_bench", "object": "account"}, content_type=JSON)
        if path != "/v1/billing/meter_events":
            return _refusal(f"Unrecognized request URL ({path})", 404)
        fields = {name: found[0] for name, found in parse_qs(body.decode()).items()}
        identifier = fields["identifier"]
        if identifier in self.identifiers:
            return _refusal(f"An event already exists with identifier {identifier}.", 400)
        self.identifiers.add(identifier)
        return as_json(
            {
                "object": "billing.meter_event",
                "created": 1_790_000_000,
                "event_name": fields["event_name"],
                "identifier": identifier,
                "livemode": True,
                "payload": {
                    "value": fields["payload[value]"],
                    "stripe_customer_id": fields["payload[stripe_customer_id]"],
                },
                "timestamp": int(fields["timestamp"]),
            },
            content_type=JSON,
        )


def _refusal(message: str, status: int) -> Answer:
    return as_json({"error": {"message": message, "type": "invalid_request_error"}}, status, JSON)
