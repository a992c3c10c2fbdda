"""The ledger's pure half: what is frozen reads back, and no walk through the rules bills twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from worker.ledger.answer import Accepted, Answer, Door, TurnedAway, Unclear
from worker.ledger.codec import decode_item, encode_item
from worker.ledger.fact import Fact, FactKind, StorageBasis, StripeAccount
from worker.ledger.item import State
from worker.ledger.rules import (
    RESEND_WINDOW,
    Attempt,
    answered,
    claimed,
    first_item,
    next_step,
    pause,
    skipped_item,
)

if TYPE_CHECKING:
    from worker.tables.attributes import ReadAttributes

NOW = datetime(2026, 11, 1, 0, 5, tzinfo=UTC)
CLAIM = timedelta(seconds=30)
IDS = st.text("abcXYZ019_-", min_size=1, max_size=64)
VALUES = st.integers(0, 10**18)
INSTANTS = st.datetimes(
    datetime(2006, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2100, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
).map(lambda instant: instant.replace(microsecond=0))
BASES = st.builds(
    StorageBasis,
    days=st.lists(st.integers(1, 31), unique=True, min_size=1).map(
        lambda days: tuple(sorted(days))
    ),
    total_bytes=VALUES,
    peak_bytes=VALUES,
    calendar_days=st.none() | st.integers(1, 31),
)
FACTS = st.builds(
    Fact,
    kind=st.sampled_from(FactKind),
    customer_id=IDS,
    subject=IDS,
    event_name=st.text(min_size=1, max_size=20),
    value=VALUES,
    stamped_at=INSTANTS,
    account=st.builds(StripeAccount, st.none() | IDS, livemode=st.booleans()),
    origin=st.text(max_size=50),
    basis=st.none() | BASES,
)
ANSWERS = st.one_of(
    st.just(Accepted()),
    st.builds(TurnedAway, st.sampled_from(Door), st.just("turned away")),
    st.just(Unclear("no answer")),
)


@given(FACTS, INSTANTS)
def test_what_is_frozen_reads_back(fact: Fact, now: datetime) -> None:
    for item in (first_item(fact, now), skipped_item(fact, "not ours", now)):
        # DynamoDB gives back what it was given: the two types differ in what they may be told.
        kept = cast("ReadAttributes", encode_item(item))
        assert decode_item(kept) == item


@given(FACTS)
def test_a_new_fact_is_sent_only_where_stripe_can_take_it(fact: Fact) -> None:
    item = first_item(fact, NOW)

    if fact.value == 0:
        assert item.state is State.CONFIRMED
    elif fact.value >= 10**15:
        assert item.state is State.REJECTED
        assert item.last_error
    else:
        assert item.state is State.PLANNED
    assert isinstance(next_step(item, NOW), Attempt) == (0 < fact.value < 10**15)


@given(
    FACTS.filter(lambda fact: 0 < fact.value < 10**15),
    st.lists(st.tuples(ANSWERS, st.integers(0, 90_000))),
)
def test_no_walk_sends_what_may_have_been_taken_a_day_ago(
    fact: Fact, walk: list[tuple[Answer, int]]
) -> None:
    """An answer that is not certain keeps the clock of the first attempt running."""
    item, now = first_item(fact, NOW), NOW
    open_since: datetime | None = None
    for answer, seconds in walk:
        if not isinstance(next_step(item, now), Attempt):
            break
        assert open_since is None or now < open_since + RESEND_WINDOW
        held = claimed(item, now, CLAIM, item.fact.account)
        moved = answered(held, answer, now, 0.5)
        assert item.fence < held.fence < moved.fence
        assert held.identifier == fact.identifier(1)
        if isinstance(answer, Unclear):
            open_since = open_since or now
        if open_since is not None:
            assert moved.state in {State.SENT, State.UNKNOWN}
            assert moved.first_attempt_at is not None
        item, now = moved, now + timedelta(seconds=seconds)


@given(st.integers(0, 1_000), st.floats(0, 1))
def test_a_pause_doubles_up_to_an_hour(retries: int, jitter: float) -> None:
    assert timedelta(seconds=1) <= pause(retries, jitter) <= timedelta(hours=1)
    assert pause(retries, jitter) <= pause(retries + 1, 1)


@given(IDS, st.integers(1, 99))
def test_identifiers_fit_stripe_and_tell_generations_apart(customer: str, generation: int) -> None:
    fact = Fact(
        kind=FactKind.STORAGE,
        customer_id=customer,
        subject="2026-10",
        event_name="storage-usage",
        value=1,
        stamped_at=NOW,
        account=StripeAccount(None, livemode=False),
        origin="",
    )
    assert len(fact.identifier(generation)) <= 100
    assert len({fact.identifier(number) for number in range(1, generation + 1)}) == generation
