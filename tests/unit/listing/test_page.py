"""A page is read exactly, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.listing.bucket import listing_xml
from worker.listing.errors import WrongPage
from worker.listing.page import Entry, read_page

ENTRIES = [("p/a", 1), ("p/b", 5 * 2**40), ("p/c", 0)]
GOOD = listing_xml(ENTRIES, prefix="p/")


def test_three_integers_and_the_edges() -> None:
    page = read_page(GOOD, "p/")

    assert (page.objects, page.total_bytes, page.token) == (3, 5 * 2**40 + 1, None)
    assert (page.first_key, page.last_key) == ("p/a", "p/c")
    assert list(page.entries()) == [Entry(*entry) for entry in ENTRIES]
    assert page.last_written() == datetime(2026, 10, 12, 17, 50, 30, tzinfo=UTC)


def test_a_page_without_objects() -> None:
    page = read_page(listing_xml([], prefix="p/"), "p/")

    assert (page.objects, page.total_bytes, page.first_key, page.token) == (0, 0, None, None)
    assert page.last_written() is None
    assert list(page.entries()) == []


def test_an_empty_page_may_lead_to_another() -> None:
    assert read_page(listing_xml([], prefix="p/", token="more"), "p/").token == "more"


def test_what_a_page_says_of_itself_may_stand_behind_its_entries() -> None:
    head, entries, tail = (
        GOOD[: GOOD.index(b"<Name>")],
        GOOD[GOOD.index(b"<Contents>") : -len(b"</ListBucketResult>")],
        GOOD[GOOD.index(b"<Name>") : GOOD.index(b"<Contents>")] + b"</ListBucketResult>",
    )

    assert read_page(head + entries + tail, "p/").objects == 3


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize(
    "key",
    [
        "p/<Size>7</Size>",
        "p/ze>7</Size>",
        "p/</Contents><Contents>",
        "p/&amp;&lt;",
        "p/&#49;",
        "p/a+b c%20d",
        "p/\x01\x1f\n\t\r",
        "p/\x80\x9f",
        "p/日本\U0001f600",
        "p/" + "é" * 511,
    ],
)
def test_a_key_is_what_it_was(key: str, *, encoded: bool) -> None:
    page = read_page(listing_xml([(key, 7)], prefix="p/", encoded=encoded), "p/")

    assert (page.objects, page.total_bytes) == (1, 7)
    assert page.first_key == page.last_key == key
    assert list(page.entries()) == [Entry(key, 7)]


@pytest.mark.parametrize("token", ["&amp;", "<Size>1</Size>", "a+b/c=", "%2B", "\x01", "é"])
def test_a_token_is_what_it_was(token: str) -> None:
    assert read_page(listing_xml(ENTRIES, prefix="p/", token=token), "p/").token == token


ERROR = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no listing"),
        (b"<html>proxy</html>", "no listing"),
        (ERROR, "no listing"),
        (b"<ListBucketResults>" + GOOD[200:], "no listing"),
        (GOOD[:-1], "cut"),
        (GOOD[: GOOD.index(b"<Contents>")], "cut"),
        (GOOD[: GOOD.rindex(b"<Size>")], "cut"),
        (listing_xml(ENTRIES, prefix="p/", KeyCount="2"), "KeyCount 2"),
        (listing_xml(ENTRIES, prefix="p/", KeyCount="4"), "KeyCount 4"),
        (listing_xml([], prefix="p/", KeyCount="1"), "KeyCount 1"),
        (listing_xml(ENTRIES, prefix="p/", KeyCount=""), "no KeyCount"),
        (listing_xml(ENTRIES, prefix="p/", KeyCount="-3"), "no KeyCount"),
        (GOOD.replace(b"<KeyCount>3</KeyCount>", b""), "no KeyCount"),
        (GOOD.replace(b"<Name>", b"<KeyCount>3</KeyCount><Name>"), "KeyCount twice"),
        (GOOD.replace(b"<Size>0</Size>", b"<Size>-1</Size>"), "holds 2 sizes"),
        (GOOD.replace(b"<Size>0</Size>", b"<Size>1.5</Size>"), "holds 2 sizes"),
        (GOOD.replace(b"<Size>0</Size>", b"<Size/>"), "holds 2 sizes"),
        (listing_xml(ENTRIES, prefix="p/", IsTruncated="true"), "no NextContinuationToken"),
        (
            listing_xml(ENTRIES, prefix="p/", token="t", IsTruncated="false"),
            "a NextContinuationToken",
        ),
        (listing_xml(ENTRIES, prefix="p/", token="", IsTruncated="true"), "no NextContinu"),
        (listing_xml(ENTRIES, prefix="p/", IsTruncated="yes"), "whether"),
        (listing_xml(ENTRIES, prefix="q/"), "not about p/"),
        (listing_xml([], prefix="q/"), "not about p/"),
        (listing_xml([("other", 1)], Prefix=""), "not lie under"),
        (listing_xml([("p/a", 1), ("q", 1)], Prefix=""), "not lie under"),
        (GOOD.replace(b"<Key>p/a</Key>", b"<Key>p/%FF</Key>"), "UTF-8"),
        (GOOD.replace(b"<Key>", b"<Name>").replace(b"</Key>", b"</Name>"), "no keys"),
    ],
)
def test_a_wrong_page_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(WrongPage, match=said):
        read_page(body, "p/")


def test_every_cut_is_noticed() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(WrongPage):
            read_page(GOOD[:length], "p/")


@pytest.mark.parametrize(
    "body",
    [
        GOOD.replace(b"<Key>p/b</Key>", b""),
        GOOD.replace(b"<Key>p/b</Key>", b"<Key>p/b</Key><Key>p/bb</Key>"),
        GOOD.replace(b"<Size>1</Size>", b"").replace(
            b"<Size>0</Size>", b"<Size>0</Size><Size>1</Size>"
        ),
    ],
)
def test_entries_that_are_no_entries_are_refused(body: bytes) -> None:
    page = read_page(body, "p/")
    with pytest.raises(WrongPage):
        list(page.entries())


@pytest.mark.parametrize(
    "body",
    [
        GOOD.replace(b"<LastModified>2026-10-12T17:50:30.000Z</LastModified>", b"", 1),
        GOOD.replace(b"2026-10-12T17:50:30.000Z", b"yesterday", 1),
    ],
)
def test_times_that_are_no_times_are_refused(body: bytes) -> None:
    page = read_page(body, "p/")
    with pytest.raises(WrongPage):
        page.last_written()


def test_the_keys_of_a_page_and_the_sizes_of_its_first() -> None:
    page = read_page(listing_xml(ENTRIES), "")

    assert page.keys() == [key for key, _ in ENTRIES]
    assert page.sizes_of_first(0) == []
    assert page.sizes_of_first(len(ENTRIES) - 1) == [size for _, size in ENTRIES[:-1]]
    assert read_page(listing_xml([]), "").keys() == []


def test_keys_and_sizes_that_do_not_belong_together_are_refused() -> None:
    more_keys = read_page(
        listing_xml([("a", 1), ("b", 2)]).replace(b"<Key>a</Key>", b"<Key>a</Key><Key>a</Key>"), ""
    )
    with pytest.raises(WrongPage, match="2 sizes stand beside 3 keys"):
        more_keys.keys()

    elsewhere = read_page(
        listing_xml([("a", 1), ("b", 2), ("c", 3)])
        .replace(b"<Size>1</Size>", b"")
        .replace(b"<Size>3</Size>", b"<Size>3</Size><Size>1</Size>"),
        "",
    )
    with pytest.raises(WrongPage, match="2 objects have 1 sizes"):
        elsewhere.sizes_of_first(2)
