"""The listing against boto3's own paginator, on generated buckets of awkward keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.listing.bucket import AWKWARD, ListedBucket
from tests.unit.listing.conftest import BUCKET, SESSION
from worker.listing.listing import S3Listing
from worker.listing.walk import walk
from worker.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3.response import BaseHTTPResponse

# More of them: SIFTBEAM_TEST_BUCKETS=5000.
BUCKETS = int(os.environ.get("SIFTBEAM_TEST_BUCKETS", "500"))
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html: UTF-8, 1,024 bytes.
KEYS = (
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(AWKWARD))
    .map("".join)
    .filter(lambda key: len(key.encode()) <= 1_000)
)
PREFIXES = st.sampled_from(["p/", "service/input/cus_A/", "p%20+&<", "日/"])
SIZES = st.integers(0, 5 * 2**40)


class Answering:
    """Stands where botocore's transport does."""

    def __init__(self) -> None:
        self.bucket = ListedBucket({})

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        asked = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        raw = cast("BaseHTTPResponse", Body(self.bucket.answer(asked)))
        return AWSResponse(request.url, 200, HTTPHeaders(), raw)


class Body:
    """What of a response botocore reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


@settings(max_examples=BUCKETS, deadline=None)
@given(st.data())
def test_the_same_as_boto3s_paginator(data: st.DataObject) -> None:
    prefix = data.draw(PREFIXES)
    objects = data.draw(st.dictionaries(KEYS, SIZES, max_size=12))
    others = data.draw(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), SIZES))
    page = data.draw(st.integers(3, 9))
    ANSWERING.bucket = ListedBucket(
        others | {prefix + key: size for key, size in objects.items()}, page
    )

    listed = [
        (entry["Key"], entry["Size"])
        for found in PAGINATOR.paginate(Bucket=BUCKET, Prefix=prefix)
        for entry in found.get("Contents", ())
    ]
    ours = [
        (entry.key, entry.size)
        for found in walk(ANSWERING.bucket, prefix)
        for entry in found.entries()
    ]

    assert ours == listed
    expected = Usage(sum(size for _, size in listed), len(listed))
    assert S3Listing(ANSWERING.bucket).usage(prefix) == expected


ANSWERING = Answering()
S3 = SESSION.client("s3")
S3.meta.events.register("before-send.s3.ListObjectsV2", ANSWERING)
PAGINATOR = S3.get_paginator("list_objects_v2")
