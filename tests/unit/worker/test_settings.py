from datetime import UTC, datetime

import pytest

from worker.settings import Settings, SettingsError, load_settings

PLANTED = "sk_live_planted4242"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load_settings()

    assert settings.bucket == "siftbeam"
    assert (settings.input_prefix, settings.output_prefix) == ("service/input/", "service/output/")
    assert (settings.table_prefix, settings.queue_prefix) == ("siftbeam-", "siftbeam-")
    assert settings.customer_source == "dynamodb"
    assert settings.stripe_secret_id == "siftbeam/stripe/api-key"
    assert settings.stripe_api_key is None
    assert settings.storage_event_name == "storage-usage"
    assert settings.file_event_name == "file_processed"
    assert settings.event_timestamp == "month_end"
    assert (settings.stripe_grace_hours, settings.send, settings.bill_from) == (1, "on", None)
    assert (settings.visibility_seconds, settings.claim_seconds) == (60, 30)
    assert (settings.log_level, settings.log_format) == ("INFO", "json")
    assert settings.region == "ap-northeast-1"


def test_a_region_may_be_named_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert load_settings().region == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert load_settings().region == "us-east-1"


def test_an_instant_is_read_into_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIFTBEAM_BILL_FROM", "2026-11-01T09:00:00+09:00")
    assert load_settings().bill_from == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUCKET", "ab"),
        ("BUCKET", ""),
        ("INPUT_PREFIX", "service/input"),
        ("INPUT_PREFIX", "/service/input/"),
        ("OUTPUT_PREFIX", ""),
        ("CUSTOMER_SOURCE", "postgres"),
        ("CUSTOMER_SOURCE", "DynamoDB"),
        ("STRIPE_SECRET_ID", ""),
        ("STRIPE_API_KEY", ""),
        ("STRIPE_API_KEY", "pk_live_planted4242"),
        ("STRIPE_API_KEY", "planted4242"),
        ("STRIPE_API_KEY", f"{PLANTED} "),
        ("STRIPE_API_BASE", "api.stripe.com"),
        ("STRIPE_API_BASE", "ftp://api.stripe.com"),
        ("STRIPE_API_BASE", "https://"),
        ("STRIPE_API_BASE", "https://api.stripe.com/v1"),
        ("STORAGE_EVENT_NAME", ""),
        ("FILE_EVENT_NAME", "x" * 101),
        ("EVENT_TIMESTAMP", "yesterday"),
        ("STRIPE_GRACE_HOURS", "73"),
        ("STRIPE_GRACE_HOURS", "one"),
        ("SEND", "off"),
        ("BILL_FROM", "2026-11-01"),
        ("BILL_FROM", "2026-11-01T00:00:00"),
        ("CONCURRENCY", "0"),
        ("CONCURRENCY", "8.5"),
        ("VISIBILITY_SECONDS", "43201"),
        ("CLAIM_SECONDS", "0"),
        ("DRAIN_SECONDS", "111"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_names_its_variable_and_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SIFTBEAM_{name}", value)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert f"SIFTBEAM_{name}: " in str(refused.value)
    assert "planted" not in str(refused.value)


def test_what_concerns_several_variables_names_them_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIFTBEAM_CURRENCY", "jpy")

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert str(refused.value).startswith("SIFTBEAM_CURRENCY is jpy")


def test_a_secret_in_the_wrong_variable_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        if name not in {"table_prefix", "queue_prefix", "stripe_secret_id", "bucket"}:
            monkeypatch.setenv(f"SIFTBEAM_{name.upper()}", "planted4242" + "x" * 100)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert "planted" not in str(refused.value)


def test_the_key_is_not_in_what_settings_look_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIFTBEAM_STRIPE_API_KEY", PLANTED)
    assert PLANTED not in repr(load_settings())
