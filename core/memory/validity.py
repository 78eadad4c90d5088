"""When something was true: what all tellings of it come to, in whatever order they were heard.

A slot (home city, employer, diet) has one value at a time: a telling of another value ends the one before,
and so does a telling that it is over. What stands outside slots is a slot of its own, with one value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.ids import FactId, MessageId

Moment = tuple[datetime, datetime]
"""Since when something is true, then when it was said: what orders two tellings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One time that a value was told."""

    key: str
    since: datetime
    until: datetime | None
    """When it is over by its own words; None: until further notice."""
    said_at: datetime
    messages: tuple[MessageId, ...]
    statement: str
    confidence: float
    fact_id: FactId
    """The row that holds this telling so far."""

    @property
    def moment(self) -> Moment:
        return self.since, self.said_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One time that a value was told to be over, by that fact."""

    key: str
    since: datetime
    said_at: datetime
    fact_id: FactId

    @property
    def moment(self) -> Moment:
        return self.since, self.said_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One value and when it held: from `since`, up to but without `until` (None: still)."""

    key: str
    since: datetime
    until: datetime | None
    tellings: tuple[Telling, ...]
    ended_by: FactId | None = None
    """The fact that says it is over; None where the next value ends it, or nothing does."""


def timeline(tellings: Iterable[Telling], endings: Sequence[Ending] = ()) -> tuple[Span, ...]:
    """The values of a slot in order, none overlapping the next; the same for every order of arrival."""
    runs: list[list[Telling]] = []
    for telling in sorted(tellings, key=lambda each: (each.moment, each.key, each.messages)):
        last = runs[-1][-1] if runs else None
        if last and last.key == telling.key and not _ended_between(last, telling, endings):
            runs[-1].append(telling)
        else:
            runs.append([telling])
    following = [*(run[0].since for run in runs[1:]), None][: len(runs)]
    return tuple(_span(run, after, endings) for run, after in zip(runs, following, strict=True))


def _ended_between(earlier: Telling, later: Telling, endings: Sequence[Ending]) -> bool:
    return any(
        ending.key == later.key and earlier.moment < ending.moment <= later.moment for ending in endings
    )


def _span(run: Sequence[Telling], after: datetime | None, endings: Sequence[Ending]) -> Span:
    since, last = run[0].since, run[-1]
    told = None if any(each.until is None for each in run) else max(each.until for each in run if each.until)
    over = min(
        (each for each in endings if each.key == last.key and each.moment > last.moment),
        key=lambda each: (each.moment, each.fact_id),
        default=None,
    )
    until = min((each for each in (told, after, over.since if over else None) if each), default=None)
    ended = over is not None and until == over.since and until != after
    return Span(
        key=last.key,
        since=since,
        until=None if until is None else max(since, until),
        tellings=tuple(run),
        ended_by=over.fact_id if over and ended else None,
    )


DOUBT_LEFT_BY_A_RETELLING = 0.6
"""Each further telling leaves this share of the doubt."""
MOST_CONFIDENT = 0.99


def confidence(tellings: Sequence[Telling]) -> float:
    """How sure so many tellings make: the surest of them, and less doubt with each other time it was said."""
    times = len({(each.said_at, each.messages) for each in tellings})
    doubt = 1 - max(each.confidence for each in tellings)
    return min(MOST_CONFIDENT, 1 - doubt * DOUBT_LEFT_BY_A_RETELLING ** (times - 1))
