"""What the operators' template promises, read from the file itself."""

from __future__ import annotations

import json

import pytest

from tests.unit.infra.templates import read_template

TEMPLATE = read_template("operators")
POLICIES = [
    logical
    for logical, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::IAM::ManagedPolicy"
]
NAMES = {
    "AWS::Partition": "aws-us-gov",
    "AWS::Region": "ap-northeast-1",
    "AWS::AccountId": "0" * 12,
    "QueuePrefix": "q" * 40,
    "TablePrefix": "t" * 40,
    "BucketName": "b" * 63,
    "StripeSecretName": "s" * 200,
    "InventoryLocation": "i" * 200,
}
# White space is not counted:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LARGEST = 6_144


@pytest.mark.parametrize("logical", POLICIES)
def test_a_policy_fits_into_what_iam_takes_also_with_long_names(logical: str) -> None:
    document = TEMPLATE["Resources"][logical]["Properties"]["PolicyDocument"]
    text = json.dumps(document, separators=(",", ":")).replace('{"Fn::Sub":', "").replace('"}', '"')
    for name, value in NAMES.items():
        text = text.replace(f"${{{name}}}", value)

    assert "${" not in text
    assert len(text) <= LARGEST


@pytest.mark.parametrize("logical", POLICIES)
def test_a_policy_names_its_actions_and_only_allows(logical: str) -> None:
    document = TEMPLATE["Resources"][logical]["Properties"]["PolicyDocument"]
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert "*" not in str(statement["Action"])


def test_every_policy_is_an_output() -> None:
    assert {each["Value"]["Ref"] for each in TEMPLATE["Outputs"].values()} == set(POLICIES)
