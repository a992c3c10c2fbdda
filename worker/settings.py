"""The settings, from environment variables that begin with ``SIFTBEAM_``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.stripe_api.api_key import check_key

DEFAULT_REGION = "ap-northeast-1"
STRIPE_API_BASE = "https://api.stripe.com"


class SettingsError(ValueError):
    """An environment variable holds what it may not; says which, and what it may hold."""


def _check_folder(prefix: str) -> str:
    if not prefix or prefix.startswith("/") or not prefix.endswith("/"):
        raise ValueError("must end with a slash and not begin with one, like service/input/")
    return prefix


Folder = Annotated[str, AfterValidator(_check_folder)]


class Settings(BaseSettings):
    """What may differ between deployments. Durations are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="SIFTBEAM_", frozen=True, extra="ignore")

    bucket: str = Field("siftbeam", min_length=3)
    input_prefix: Folder = "service/input/"
    output_prefix: Folder = "service/output/"
    table_prefix: str = "siftbeam-"
    queue_prefix: str = "siftbeam-"
    customer_source: Literal["dynamodb", "stripe"] = "dynamodb"
    stripe_secret_id: str = Field("siftbeam/stripe/api-key", min_length=1)
    stripe_api_key: SecretStr | None = None
    stripe_api_base: str = STRIPE_API_BASE
    stripe_share: int = Field(50, ge=1, le=100)
    storage_event_name: str = Field("storage-usage", min_length=1, max_length=100)
    file_event_name: str = Field("file_processed", min_length=1, max_length=100)
    event_timestamp: Literal["month_end", "now"] = "month_end"
    average_over: Literal["recorded", "calendar"] = "recorded"
    object_versions: Literal["current", "all"] = "current"
    incomplete_uploads: Literal["ignored", "counted"] = "ignored"
    stripe_grace_hours: int = Field(1, ge=0, le=72)
    send: Literal["on", "shadow", "verify"] = "on"
    bill_from: AwareDatetime | None = None
    currency: Literal["usd", "jpy"] = "usd"
    # Dollars: another currency has to name its own.
    storage_price: Decimal = Field(Decimal("0.10"), ge=0, max_digits=18, allow_inf_nan=False)
    storage_unit: Literal["gib", "byte"] = "gib"
    file_price: Decimal = Field(Decimal("0.00001"), ge=0, max_digits=18, allow_inf_nan=False)
    concurrency: int = Field(20, ge=1, le=256)
    visibility_seconds: int = Field(60, ge=2, le=43_200)
    claim_seconds: int = Field(30, ge=1, le=60)
    drain_seconds: int = Field(110, ge=1, le=110)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    @field_validator("stripe_api_key")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        return None if key is None else check_key(key)

    @field_validator("stripe_api_base")
    @classmethod
    def _check_base(cls, base: str) -> str:
        parts = urlsplit(base)
        if parts.scheme not in {"https", "http"} or not parts.netloc or parts.path.strip("/"):
            raise ValueError("must be an http(s) URL without a path")
        return base.rstrip("/")

    @field_validator("bill_from", mode="after")
    @classmethod
    def _in_utc(cls, instant: datetime | None) -> datetime | None:
        return None if instant is None else instant.astimezone(UTC)

    @model_validator(mode="after")
    def _check_prices(self) -> Self:
        named = {"storage_price", "file_price"} <= self.model_fields_set
        if self.currency != "usd" and not named:
            raise ValueError(
                f"SIFTBEAM_CURRENCY is {self.currency}: then SIFTBEAM_STORAGE_PRICE (per "
                "GiB-month) and SIFTBEAM_FILE_PRICE (per byte) have to name the prices in it"
            )
        return self

    @model_validator(mode="after")
    def _check_folders(self) -> Self:
        uploads, products = self.input_prefix, self.output_prefix
        if uploads.startswith(products) or products.startswith(uploads):
            raise ValueError(
                f"SIFTBEAM_INPUT_PREFIX {uploads} and SIFTBEAM_OUTPUT_PREFIX {products} overlap: "
                "what lies in both would be billed twice"
            )
        return self

    @property
    def region(self) -> str:
        """The AWS region: ``AWS_REGION``, else ``AWS_DEFAULT_REGION``, else Tokyo."""
        return (
            os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        )


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: names each wrong variable and what it may hold, never a secret's value.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            # What concerns several variables names them itself.
            "".join(f"SIFTBEAM_{str(part).upper()}: " for part in detail["loc"][:1])
            + detail["msg"].removeprefix("Value error, ")
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise SettingsError(problems) from None
