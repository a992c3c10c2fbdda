"""The errors.

BillingError
└── DeadLetterError
    ├── UnknownLetter       no letter that can be seen has this id
    ├── AmbiguousLetter     several have
    ├── BadLetterFile       a file of letters cannot be written, or read
    ├── BadManifest         a replay's manifest cannot be written, read, or does not fit
    │   └── ManifestInUse   the replay that writes it still runs
    └── SendingFailed       the process that sends copies could not, or ended
"""

from __future__ import annotations

from worker.errors import BillingError


class DeadLetterError(BillingError):
    """The root: what the dead-letter commands raise on purpose."""


class UnknownLetter(DeadLetterError):  # noqa: N818 - reads as what the id is
    """No letter that can be seen has this id."""


class AmbiguousLetter(DeadLetterError):  # noqa: N818 - reads as what the id is
    """The id, or its beginning, fits several letters."""


class BadLetterFile(DeadLetterError):  # noqa: N818 - reads as what the file is
    """A file of letters cannot be written or read; says which line and why."""


class BadManifest(DeadLetterError):  # noqa: N818 - reads as what the file is
    """A replay's manifest cannot be written or read, or belongs to another replay."""


class ManifestInUse(BadManifest):
    """The replay that writes it still runs."""


class SendingFailed(DeadLetterError):  # noqa: N818 - reads as what happened
    """The process that sends copies could not, or ended before its work did."""
