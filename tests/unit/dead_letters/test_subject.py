from __future__ import annotations

import json

import pytest

from worker.dead_letters.subject import Subject, read_subject
from worker.prefixes import Prefixes

PREFIXES = Prefixes("service/input/", "service/output/")


def record(customer: str) -> dict[str, object]:
    return {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-10-31T12:00:00Z",
        "s3": {
            "bucket": {"name": "siftbeam"},
            "object": {"key": f"service/output/{customer}/run/a+b.csv"},
        },
    }


@pytest.mark.parametrize(
    ("content", "kind", "customer", "messages"),
    [
        (
            {"kind": "size_customer", "version": 1, "customerId": "cus_A", "date": "2026-10-31"},
            "size_customer",
            "cus_A",
            1,
        ),
        ({"Records": [record("cus_A")]}, "file_processed", "cus_A", 1),
        ({"Records": [record("cus_A"), record("cus_B")]}, "file_processed", "several", 2),
        ({"Event": "s3:TestEvent"}, "file_processed", None, 0),
        (
            {
                "source": "aws.partner/stripe.com/x",
                "detail-type": "invoice.paid",
                "detail": {"id": "e"},
            },
            "stripe_event",
            None,
            0,
        ),
    ],
)
def test_what_a_body_is_about(
    content: dict[str, object], kind: str, customer: str | None, messages: int
) -> None:
    subject = read_subject(json.dumps(content), PREFIXES)

    assert (subject.kind, subject.customer, len(subject.messages)) == (kind, customer, messages)
    assert subject.problem is None


@pytest.mark.parametrize(
    ("body", "kind", "customers"),
    [
        ("no JSON", "unreadable", ()),
        ("[]", "unreadable", ()),
        ('{"kind": "later", "version": 1, "customerId": "cus_A"}', "later", ("cus_A",)),
        ('{"kind": "size_customer", "version": 2, "customerId": 7}', "size_customer", ()),
        ('{"kind": "\\u001b[31m"}', "unreadable", ()),
    ],
)
def test_what_no_worker_can_read_still_has_a_kind(
    body: str, kind: str, customers: tuple[str, ...]
) -> None:
    subject = read_subject(body, PREFIXES)

    assert subject == Subject(kind=kind, customers=customers, problem=subject.problem)
    assert subject.problem
