"""The errors of a listing. A partial sum is never returned: whatever is wrong with a page raises.

ListingFailed            the message is tried again
├── WrongPage            a page that cannot be what S3 means: nothing in it was counted
│   └── RepeatedToken    S3 leads in a circle
├── PageRefused          S3 said no, such as AccessDenied or NoSuchBucket
├── SlowedDown           S3 asked to slow down for longer than a listing waits
└── Unreachable          no answer, or only cut ones
"""

from __future__ import annotations

from worker.errors import Temporary


class ListingFailed(Temporary):
    """A prefix could not be listed to its end; nothing of it was written."""


class WrongPage(ListingFailed):
    """An answer that is no whole page of a listing."""


class RepeatedToken(WrongPage):
    """A continuation token came a second time."""


class SlowedDown(ListingFailed):
    """S3 kept asking to slow down."""


class Unreachable(ListingFailed):
    """S3 could not be reached, or its answers were cut."""


class PageRefused(ListingFailed):
    """S3 answered with an error that waiting does not mend."""
