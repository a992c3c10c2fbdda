"""What a minute's sum says of one fact: judged against brute force over all that may be true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ledger.fact import Correction, Fact, FactKind, StripeAccount
from worker.ledger.item import LedgerItem, State
from worker.ledger.presence import SUMMARIES_LAG, Presence, all_counted, presence_of

NOON = datetime(2026, 10, 5, 12, 0, 30, tzinfo=UTC)
# Corrections take bytes away.
SIGNED = st.integers(-9, 9).filter(bool)


def an_item(run: str, value: int, state: State = State.UNKNOWN) -> LedgerItem:
    return LedgerItem(
        fact=Fact(
            kind=FactKind.FILE,
            customer_id="cus_A",
            subject=run,
            event_name="file_processed",
            value=value,
            stamped_at=NOON,
            account=StripeAccount("acct_1", livemode=False),
            origin="{}",
        ),
        state=state,
        generation=1,
        fence=3,
        attempts=1,
        retries=0,
        created_at=NOON,
    )


@pytest.mark.parametrize(
    ("others", "observed", "expected"),
    [
        ([], 5, Presence.PRESENT),
        ([], 0, Presence.ABSENT),
        ([], 4, Presence.UNDECIDED),
        ([(7, State.CONFIRMED)], 12, Presence.PRESENT),
        ([(7, State.CONFIRMED)], 7, Presence.ABSENT),
        ([(7, State.SENT)], 12, Presence.PRESENT),
        ([(7, State.SENT)], 5, Presence.PRESENT),
        ([(7, State.SENT)], 7, Presence.UNDECIDED),
        ([(7, State.UNKNOWN)], 0, Presence.UNDECIDED),
        ([(5, State.UNKNOWN)], 5, Presence.UNDECIDED),
        ([(5, State.UNKNOWN)], 10, Presence.PRESENT),
        ([(2, State.UNKNOWN), (3, State.UNKNOWN)], 5, Presence.UNDECIDED),
        ([(7, State.PLANNED)], 7, Presence.UNDECIDED),
        ([(7, State.REJECTED), (9, State.SKIPPED)], 0, Presence.ABSENT),
        ([(7, State.REFUSED)], 0, Presence.ABSENT),
    ],
)
def test_a_fact_is_judged_by_its_minute(
    others: list[tuple[int, State]], observed: int, expected: Presence
) -> None:
    item = an_item("run", 5)
    minute = [item, *(an_item(f"other-{n}", v, s) for n, (v, s) in enumerate(others))]

    assert presence_of(item, minute, observed, now=NOON) is expected


@given(
    value=SIGNED,
    certain=st.lists(SIGNED, max_size=3),
    possible=st.lists(SIGNED, max_size=5),
    taken=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_a_judgement_is_never_wrong_about_what_really_was_taken(
    value: int, certain: list[int], possible: list[int], taken: list[bool]
) -> None:
    item = an_item("run", value)
    minute = [
        item,
        *(an_item(f"certain-{n}", v, State.CONFIRMED) for n, v in enumerate(certain)),
        *(an_item(f"possible-{n}", v, State.UNKNOWN) for n, v in enumerate(possible)),
    ]
    present, *others = taken
    observed = sum(certain) + value * present
    observed += sum(v for v, yes in zip(possible, others, strict=False) if yes)

    judged = presence_of(item, minute, observed, now=NOON)

    assert judged is not (Presence.ABSENT if present else Presence.PRESENT)
    worlds = {
        here
        for here, *rest in product([True, False], repeat=1 + len(possible))
        if sum(certain) + value * here + sum(v for v, y in zip(possible, rest, strict=True) if y)
        == observed
    }
    if judged is Presence.PRESENT:
        assert worlds == {True}


def test_facts_that_were_never_sent_here_may_be_there_after_a_restore() -> None:
    item, neighbour = an_item("run", 5, State.PLANNED), an_item("other", 7, State.PLANNED)

    assert presence_of(item, [item, neighbour], 12, now=NOON) is Presence.UNDECIDED
    assert presence_of(item, [item, neighbour], 12, now=NOON, restored=True) is Presence.PRESENT
    assert presence_of(item, [item, neighbour], 7, now=NOON, restored=True) is Presence.ABSENT


def test_more_open_facts_than_can_be_told_apart_are_left_alone() -> None:
    item = an_item("run", 1)
    minute = [item, *(an_item(f"other-{n}", 1) for n in range(40))]

    assert presence_of(item, minute, 41, now=NOON) is Presence.PRESENT
    assert presence_of(item, minute, 40, now=NOON) is Presence.UNDECIDED


def test_a_day_is_confirmed_only_by_the_sum_of_everything_in_it() -> None:
    facts = [an_item("a", 5, State.SENT), an_item("b", 7, State.UNKNOWN)]

    assert all_counted(facts, 12)
    assert not all_counted(facts, 5)
    assert not all_counted([*facts, replace(an_item("c", -5), state=State.SENT)], 7)
    assert not all_counted([], 0)


def a_cancellation(event: LedgerItem, state: State) -> LedgerItem:
    item = an_item(event.fact.subject, -event.fact.value, state)
    correction = Correction(event.fact.key, 0, "someone", "a mistake", cancels=event.identifier)
    return replace(item, fact=replace(item.fact, correction=correction))


@pytest.mark.parametrize("state", [State.SENT, State.CONFIRMED])
@pytest.mark.parametrize(
    ("others", "observed", "expected"),
    [
        ([], 0, Presence.PRESENT),
        ([], 5, Presence.UNDECIDED),
        ([], -5, Presence.UNDECIDED),
        ([(7, State.CONFIRMED)], 7, Presence.PRESENT),
        ([(7, State.SENT)], 7, Presence.PRESENT),
        ([(5, State.SENT)], 5, Presence.UNDECIDED),
    ],
)
def test_an_event_and_its_cancellation_are_nothing_in_the_sum(
    state: State, others: list[tuple[int, State]], observed: int, expected: Presence
) -> None:
    event = an_item("run", 5, state)
    cancellation = a_cancellation(event, State.SENT)
    minute = [
        event,
        cancellation,
        *(an_item(f"other-{n}", v, s) for n, (v, s) in enumerate(others)),
    ]

    for item in (event, cancellation):
        assert presence_of(item, minute, observed, now=NOON + SUMMARIES_LAG) is expected
        early = NOON + SUMMARIES_LAG / 2
        assert presence_of(item, minute, observed, now=early) is Presence.UNDECIDED


def test_an_event_whose_cancellation_stripe_has_not_taken_is_judged_alone() -> None:
    event = an_item("run", 5, State.SENT)
    minute = [event, a_cancellation(event, State.PLANNED)]

    assert presence_of(event, minute, 5, now=NOON) is Presence.PRESENT


def test_a_cancellation_with_an_open_fate_is_shown_by_what_is_missing() -> None:
    event = an_item("run", 5, State.CONFIRMED)
    cancellation = a_cancellation(event, State.UNKNOWN)

    assert presence_of(cancellation, [event, cancellation], 0, now=NOON) is Presence.PRESENT
    assert presence_of(cancellation, [event, cancellation], 5, now=NOON) is Presence.ABSENT
