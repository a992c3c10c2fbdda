"""Whom a queue's policy lets send, in the forms that people and consoles write."""

from __future__ import annotations

import json

import pytest

from worker.doctor.queue_policy import rules_shut_out

ARN = "arn:aws:events:eu-west-1:123456789012:rule/siftbeam-daily"
RULES = {"siftbeam-daily": ARN}


def statement(**said: object) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        **said,
    }


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"Action": ["sqs:ReceiveMessage", "SQS:SendMessage"]},
        {"Action": "sqs:*"},
        {"Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}},
        {"Principal": {"Service": "s3.amazonaws.com"}},
        {"Condition": {"ArnEquals": {"aws:SourceArn": ARN}}},
        {"Condition": {"ArnLike": {"AWS:sourcearn": [ARN[:-5] + "*"]}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
        {"Condition": {"ArnNotEquals": {"aws:SourceArn": ARN + "-too"}}},
        # Not about who sends: taken as met.
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
)
def test_what_lets_a_rule_send(said: dict[str, object]) -> None:
    assert rules_shut_out(json.dumps({"Statement": [statement(**said)]}), RULES) == ()
    assert rules_shut_out(json.dumps({"Statement": statement(**said)}), RULES) == ()


@pytest.mark.parametrize(
    "said",
    [
        {"Effect": "Deny"},
        {"Action": "sqs:ReceiveMessage"},
        {"Principal": {"AWS": "123456789012"}},
        {"Principal": "nobody"},
        {"Condition": {"ArnEquals": {"aws:SourceArn": ARN.replace("daily", "weekly")}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": ["210987654321"]}}},
        {"Condition": {"ArnNotLike": {"aws:SourceArn": "arn:aws:events:*"}}},
    ],
)
def test_what_does_not(said: dict[str, object]) -> None:
    policy = json.dumps({"Statement": [statement(**said)]})

    assert rules_shut_out(policy, RULES) == ("siftbeam-daily",)


@pytest.mark.parametrize("policy", ["", "{}", "{", "[]", "null", '{"Statement": [7]}'])
def test_without_a_policy_that_can_be_read_nobody_may(policy: str) -> None:
    assert rules_shut_out(policy, RULES) == ("siftbeam-daily",)
