"""One listing in a process of its own: ``python -m bench.listing.client NAME URL IN_FLIGHT KEYS``.

Prints the processor seconds that went into starting, then objects, bytes and the seconds it took.
"""

from __future__ import annotations

import importlib
import random
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKET, PREFIX = "bench", "service/input/cus_bench/"
_OURS = "ours"


def _client(url: str) -> tuple[Any, Any]:
    boto3 = importlib.import_module("boto3")
    config = importlib.import_module("botocore.config").Config(
        signature_version="s3v4", s3={"addressing_style": "path"}
    )
    session = boto3.Session("AKIABENCH", "a-secret", region_name="ap-northeast-1")
    return session, session.client("s3", endpoint_url=url, config=config, verify=False)


def ours(url: str, in_flight: int, _keys: int) -> Callable[[], tuple[int, int]]:
    """This project's listing."""
    from worker.clock import SystemClock  # noqa: PLC0415 - only this contender starts with it
    from worker.listing.address import BucketAddress  # noqa: PLC0415 - as above
    from worker.listing.listing import S3Listing  # noqa: PLC0415 - as above
    from worker.listing.pressure import Pressure  # noqa: PLC0415 - as above
    from worker.listing.s3_pages import S3Pages  # noqa: PLC0415 - as above

    session, s3 = _client(url)
    pages = S3Pages(
        lambda: BucketAddress(s3, session.get_credentials(), BUCKET),
        pressure=Pressure(in_flight),
        clock=SystemClock(),
        chance=random.random,
        in_flight=in_flight,
    )
    listing = S3Listing(pages, in_flight)

    def run() -> tuple[int, int]:
        usage = listing.usage(PREFIX)
        return usage.objects, usage.total_bytes

    return run


def boto3(url: str, _in_flight: int, keys: int) -> Callable[[], tuple[int, int]]:
    """boto3's paginator, up to so many keys: it takes its time."""
    _, s3 = _client(url)

    def run() -> tuple[int, int]:
        objects = total = 0
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=PREFIX, PaginationConfig={"MaxItems": keys}
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                objects += 1
                total += entry["Size"]
        return objects, total

    return run


def obstore(url: str, _in_flight: int, _keys: int) -> Callable[[], tuple[int, int]]:
    """Obstore's listing without asyncio, by Arrow tables."""
    library, stores = importlib.import_module("obstore"), importlib.import_module("obstore.store")
    store = stores.S3Store(
        BUCKET,
        endpoint=url,
        region="ap-northeast-1",
        access_key_id="AKIABENCH",
        secret_access_key="a-secret",  # noqa: S106 - the server checks none
        client_options={"allow_http": True, "allow_invalid_certificates": True},
    )

    def run() -> tuple[int, int]:
        objects = total = 0
        for entries in library.list(store, prefix=PREFIX.rstrip("/"), chunk_size=1000):
            objects += len(entries)
            total += sum(entry["size"] for entry in entries)
        return objects, total

    return run


def main() -> None:
    """Run one."""
    name, url, in_flight, keys = sys.argv[1:5]
    run = {_OURS: ours, "boto3": boto3, "obstore": obstore}[name](url, int(in_flight), int(keys))
    started, began = time.process_time(), time.perf_counter()
    objects, total = run()
    print(started, objects, total, time.perf_counter() - began)


if __name__ == "__main__":
    main()
