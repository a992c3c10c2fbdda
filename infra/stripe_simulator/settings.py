"""What can be set on the simulator while it runs."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

ACCOUNT = "acct_simulator"
DEFAULT_KEY = "sk_test_simulator"


class ApiKey(BaseModel):
    """A key the simulator accepts.

    Attributes:
        secret: Begins with `sk_test_`, `sk_live_`, `rk_test_` or `rk_live_`.
        account: The account it belongs to. All accounts see the same data.
        permissions: For a restricted key, the resources it may use, such as
            `billing_meter_event_write`; None allows everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret: SecretStr
    account: str = ACCOUNT
    permissions: frozenset[str] | None = None

    @field_validator("secret")
    @classmethod
    def _prefix(cls, secret: SecretStr) -> SecretStr:
        if not secret.get_secret_value().startswith(
            ("sk_test_", "sk_live_", "rk_test_", "rk_live_")
        ):
            raise ValueError("a key begins with sk_test_, sk_live_, rk_test_ or rk_live_")
        return secret

    @property
    def livemode(self) -> bool:
        """True for a live key."""
        return self.secret.get_secret_value()[3:8] == "live_"


class Settings(BaseModel):
    """Everything settable, with Stripe's defaults where Stripe has one.

    Attributes:
        api_keys: The accepted API keys.
        grace_hours: From a period's end to its invoice's finalization
            (https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period).
        summary_delay_seconds: Until an accepted event shows in summaries.
        report_delay_seconds: Until a refused event shows in an error report.
        report_samples: At most so many samples per code in a report.
        live_rate_limit: Meter events per second with a live key; Stripe's is 1000; None is off.
        sandbox_rate_limit: The same with a test key; Stripe's is 25.
        other_rate_limit: Calls per second to everything else; Stripe's is 25 per endpoint.
        concurrency_status: The answer to a second call for one customer and meter.
        concurrency_code: Its `error.code`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_keys: tuple[ApiKey, ...] = Field(
        default=(ApiKey(secret=SecretStr(DEFAULT_KEY)),), exclude=True, repr=False
    )
    grace_hours: int = Field(default=1, ge=0, le=72)
    summary_delay_seconds: int = Field(default=0, ge=0)
    report_delay_seconds: int = Field(default=0, ge=0)
    report_samples: int = Field(default=5, ge=0)
    live_rate_limit: int | None = Field(default=None, ge=1)
    sandbox_rate_limit: int | None = Field(default=None, ge=1)
    other_rate_limit: int | None = Field(default=None, ge=1)
    concurrency_status: Literal[409, 429] = 429
    concurrency_code: Literal["too_many_concurrent_requests", "lock_timeout"] = "lock_timeout"

    def changed(self, changes: dict[str, object]) -> Self:
        """A copy with `changes`, validated. Raises pydantic's ValidationError."""
        return self.model_validate({**dict(self), **changes})
