"""A slot has one value at a time, whatever is told, in whatever order."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.ids import FactId, MessageId
from core.memory.validity import MOST_CONFIDENT, Ending, Span, Telling, confidence, timeline

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.integers(0, 12)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def telling(key: str, since: int, said: int, message: int, lasts: int | None = None) -> Telling:
    return Telling(
        key=key,
        since=day(since),
        until=None if lasts is None else day(since + lasts),
        said_at=day(max(since, said)),
        messages=(MessageId(message),),
        statement=f"{key} since {since}",
        confidence=0.5 + message % 5 / 10,
        fact_id=FactId(message),
    )


TELLINGS = st.lists(
    st.tuples(st.sampled_from("abc"), DAYS, DAYS, st.none() | st.integers(0, 6)), max_size=14
).map(lambda drawn: [telling(*each[:3], number, each[3]) for number, each in enumerate(drawn, start=1)])
LASTING = st.lists(st.tuples(st.sampled_from("abc"), DAYS), max_size=14).map(
    lambda drawn: [telling(key, since, since, number) for number, (key, since) in enumerate(drawn, start=1)]
)
ENDINGS = st.lists(st.tuples(st.sampled_from("abc"), DAYS), max_size=4).map(
    lambda drawn: [
        Ending(key=key, since=day(since), said_at=day(since), fact_id=FactId(100 + number))
        for number, (key, since) in enumerate(drawn)
    ]
)


def holds_at(span: Span, moment: datetime) -> bool:
    return span.since <= moment and (span.until is None or moment < span.until)


@given(TELLINGS, ENDINGS)
def test_values_never_overlap_and_at_most_one_is_open(tellings: list[Telling], endings: list[Ending]) -> None:
    spans = timeline(tellings, endings)
    for earlier, later in pairwise(spans):
        assert earlier.until is not None
        assert earlier.since <= earlier.until <= later.since


@given(TELLINGS, ENDINGS, st.randoms())
def test_the_order_of_arrival_does_not_matter(
    tellings: list[Telling], endings: list[Ending], random: object
) -> None:
    before = timeline(tellings, endings)
    shuffle = getattr(random, "shuffle")  # noqa: B009 -- hypothesis types it as object
    shuffle(tellings)
    shuffle(endings)
    assert timeline(tellings, endings) == before


@given(TELLINGS, ENDINGS)
def test_every_telling_is_kept_once_and_told_twice_changes_nothing_that_holds(
    tellings: list[Telling], endings: list[Ending]
) -> None:
    spans = timeline(tellings, endings)
    kept = [each for span in spans for each in span.tellings]
    assert sorted(kept, key=lambda each: each.messages) == tellings
    twice = timeline([*tellings, *tellings], endings)
    assert [(each.key, each.since, each.until) for each in twice] == [
        (each.key, each.since, each.until) for each in spans
    ]


@given(LASTING)
def test_without_an_end_there_is_no_gap_and_the_last_value_is_open(tellings: list[Telling]) -> None:
    spans = timeline(tellings)
    assert all(earlier.until == later.since for earlier, later in pairwise(spans))
    assert all(span.until is None for span in spans[-1:])
    assert all(earlier.key != later.key for earlier, later in pairwise(spans))


@given(LASTING)
def test_the_last_value_told_of_a_moment_holds_then(tellings: list[Telling]) -> None:
    spans = timeline(tellings)
    last = {
        each.since: each.key
        for each in sorted(tellings, key=lambda each: (each.moment, each.key, each.messages))
    }
    for moment, key in last.items():
        (then,) = [span for span in spans if holds_at(span, moment)]
        assert then.key == key


def test_what_has_ended_begins_again_when_it_is_told_again() -> None:
    over = Ending(key="a", since=day(3), said_at=day(3), fact_id=FactId(9))
    first, second = timeline([telling("a", 1, 1, 1), telling("a", 5, 5, 2)], [over])
    assert (first.until, first.ended_by) == (day(3), FactId(9))
    assert (second.since, second.until, second.ended_by) == (day(5), None, None)


def test_an_end_of_something_else_ends_nothing() -> None:
    over = Ending(key="b", since=day(3), said_at=day(3), fact_id=FactId(9))
    (span,) = timeline([telling("a", 1, 1, 1)], [over])
    assert span.until is None


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8, unique=True))
def test_each_further_telling_makes_it_surer_and_none_makes_it_certain(days: list[int]) -> None:
    tellings = [telling("a", each, each, each) for each in days]
    grown = [confidence(tellings[: count + 1]) for count in range(len(tellings))]
    assert all(earlier < later or later == MOST_CONFIDENT for earlier, later in pairwise(grown))
    assert grown[-1] <= MOST_CONFIDENT
