"""S3: the same few objects under every prefix.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.stand_in.answer import XML, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIZE = 1_000
_ENTRY = (
    "<Contents><Key>{prefix}file-{number:05d}.csv</Key>"
    "<LastModified>2026-10-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>"
    "<Size>1000</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


class Objects:
    """The bucket: ``each`` objects of 1,000 bytes under whatever prefix is asked for."""

    def __init__(self) -> None:
        self.each = 1

    def answer(self, query: Mapping[str, Sequence[str]]) -> Answer:
        """One page that holds everything."""
        prefix = query.get("prefix", [""])[0]
        entries = "".join(_ENTRY.format(prefix=prefix, number=n) for n in range(self.each))
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>siftbeam</Name><Prefix>{prefix}</Prefix><KeyCount>{self.each}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        )
        return Answer(body.encode(), content_type=XML)
