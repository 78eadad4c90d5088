"""A slot has one value at a time, whatever is told, in whatever order."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.ids import FactId
from core.memory.validity import Ignore, Insert, Merge, Span, place

START = datetime(2026, 1, 1, tzinfo=UTC)
TELLINGS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), max_size=25)


def after(timeline: list[Span], key: str, day: int, number: int) -> list[Span]:
    """The timeline once this was told, as the storing code writes it."""
    since = START + timedelta(days=day)
    spans = {span.fact_id: span for span in timeline}
    placement = place(timeline, key, since, since)
    match placement:
        case Ignore():
            return timeline
        case Merge(fact_id=fact_id):
            spans[fact_id] = _changed(spans[fact_id], since=placement.since)
        case Insert():
            fact_id = FactId(number)
            spans[fact_id] = Span(
                fact_id=fact_id,
                key=key,
                since=placement.since,
                until=placement.until,
                superseded_by=placement.superseded_by,
            )
    if placement.closes is not None:
        spans[placement.closes] = _changed(
            spans[placement.closes], until=placement.since, superseded_by=fact_id
        )
    return sorted(
        spans.values(), key=lambda span: (span.since, span.until or datetime.max.replace(tzinfo=UTC))
    )


def _changed(
    span: Span,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    superseded_by: FactId | None = None,
) -> Span:
    return Span(
        fact_id=span.fact_id,
        key=span.key,
        since=since or span.since,
        until=until or span.until,
        superseded_by=superseded_by or span.superseded_by,
        corrected_at=span.corrected_at,
    )


def told(tellings: list[tuple[int, str]]) -> list[Span]:
    timeline: list[Span] = []
    for number, (day, key) in enumerate(tellings, start=1):
        timeline = after(timeline, key, day, number)
    return timeline


@given(TELLINGS)
def test_values_never_overlap_and_leave_no_gap(tellings: list[tuple[int, str]]) -> None:
    timeline = told(tellings)
    for earlier, later in pairwise(timeline):
        assert earlier.until == later.since
    assert all(span.until is None for span in timeline[-1:])


@given(TELLINGS)
def test_each_closed_value_names_the_one_that_replaced_it(tellings: list[tuple[int, str]]) -> None:
    timeline = told(tellings)
    by_id = {span.fact_id: span for span in timeline}
    for span in timeline:
        if span.until is None:
            assert span.superseded_by is None
        else:
            assert span.superseded_by is not None
            assert by_id[span.superseded_by].since == span.until


@given(TELLINGS)
def test_told_in_order_the_last_value_of_a_moment_holds_then(tellings: list[tuple[int, str]]) -> None:
    in_order = sorted(tellings, key=lambda telling: telling[0])
    timeline = told(in_order)
    for day, key in dict(in_order).items():
        (then,) = [span for span in timeline if span.holds_at(START + timedelta(days=day))]
        assert then.key == key


def test_what_was_said_before_a_correction_does_not_undo_it() -> None:
    corrected = Span(
        fact_id=FactId(1), key="a", since=START, until=None, corrected_at=START + timedelta(days=9)
    )
    day = START + timedelta(days=3)
    assert place([corrected], "b", day, day) == Ignore()
    later = START + timedelta(days=10)
    assert isinstance(place([corrected], "b", later, later), Insert)
