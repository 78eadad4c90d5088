"""When a single-valued thing (home city, employer, diet) had which value: intervals that never overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.ids import FactId


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One value of a slot and when it held: from `since`, up to but without `until` (None: still)."""

    fact_id: FactId
    key: str
    since: datetime
    until: datetime | None
    superseded_by: FactId | None = None
    corrected_at: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """The value is known: its telling joins that fact, which holds from `since`."""

    fact_id: FactId
    since: datetime
    closes: FactId | None = None
    """The fact that ends at `since`, where the telling moves a beginning into an older interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """A new value: it holds from `since` until `until`, and ends the fact `closes`."""

    since: datetime
    until: datetime | None
    closes: FactId | None
    superseded_by: FactId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """The owner has said otherwise since."""


Placement = Merge | Insert | Ignore


def place(timeline: Sequence[Span], key: str, since: datetime, said_at: datetime) -> Placement:
    """Where a telling of `key`, true since `since` and said at `said_at`, belongs in a slot's timeline.

    `timeline` is in order of `since` and without overlaps; so it stays. What was told before the
    owner corrected the fact in force does not change it.
    """
    holding = next((span for span in reversed(timeline) if span.holds_at(since)), None)
    after = next((span for span in timeline if span.since > since), None)
    if holding and holding.key == key:
        return Merge(fact_id=holding.fact_id, since=holding.since)
    if holding and holding.corrected_at and said_at <= holding.corrected_at:
        return Ignore()
    if after and after.key == key:
        return Merge(fact_id=after.fact_id, since=since, closes=holding.fact_id if holding else None)
    return Insert(
        since=since,
        until=holding.until if holding else after.since if after else None,
        closes=holding.fact_id if holding else None,
        superseded_by=holding.superseded_by if holding else after.fact_id if after else None,
    )
