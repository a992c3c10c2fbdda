"""The two names that money hangs on: a customer's, and a processing run's.

Both travel in S3 keys, ledger keys and Stripe identifiers, so what they may hold is the
intersection of what all of these take. Stripe's identifiers end at 100 characters
(https://docs.stripe.com/api/billing/meter-event/create); the longest we build is
``storage-usage:<customer>:<YYYY-MM>:g<generation>``.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

_CUSTOMER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RUN = re.compile(r"[A-Za-z0-9_-]{1,90}")


def check_customer_id(text: str) -> str:
    """Return ``text`` if it can be a customer's id.

    Raises:
        ValueError: empty, longer than 64 characters, or with others than ``A-Z a-z 0-9 _ -``.
    """
    if _CUSTOMER.fullmatch(text) is None:
        raise ValueError(
            f"{text[:80]!r} is not a customer id: 1 to 64 of the characters A-Z a-z 0-9 _ -"
        )
    return text


def check_run_id(text: str) -> str:
    """Return ``text`` if it can be a processing-history id.

    Raises:
        ValueError: empty, longer than 90 characters, or with others than ``A-Z a-z 0-9 _ -``.
    """
    if _RUN.fullmatch(text) is None:
        raise ValueError(
            f"{text[:120]!r} is not a processing-history id: "
            "1 to 90 of the characters A-Z a-z 0-9 _ -"
        )
    return text


CustomerId = Annotated[str, AfterValidator(check_customer_id)]
RunId = Annotated[str, AfterValidator(check_run_id)]
