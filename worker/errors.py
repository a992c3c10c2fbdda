"""The errors.

BillingError
├── Temporary            the same call may succeed later
└── Permanent            it never will; a person has to change something
"""

from __future__ import annotations


class BillingError(Exception):
    """The root: whatever this worker raises on purpose."""


class Temporary(BillingError):  # noqa: N818 - the name says what to do about it
    """Something that others depend on did not answer, or said to come back."""


class Permanent(BillingError):  # noqa: N818 - the name says what to do about it
    """Retrying cannot help; the message says what a person has to change."""
