"""The now card: where the owner is, whether they can be reached, until when, and what comes next."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from core.audience import Reader
from core.ids import OwnerId
from core.memory.profiles import KnownFact, known_facts
from core.storage.database import Connection

Availability = Literal["away", "busy", "around", "unknown"]

AWAY = re.compile(r"\b(?:away|out of office|on vacation|on holiday|on leave|travell?ing|out all day)\b")
BUSY = re.compile(r"\b(?:in the office|on call|working)\b")
AROUND = re.compile(r"\b(?:home|at home|off work|off|working from home)\b")
DAY = re.compile(r"\b(\d{4})-(\d\d)(?:-(\d\d))?\b")

COMING = timedelta(days=14)
MOST_COMING = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NowCard:
    """What is known of a moment. Every part is a fact, with its messages."""

    at: datetime
    whereabouts: KnownFact | None
    """Where the owner said to be; None where nothing holds at this moment."""
    availability: Availability
    until: datetime | None
    """When the whereabouts end; None: not said."""
    home: KnownFact | None
    """Where the owner lives: the best guess where no whereabouts are known."""
    coming: tuple[KnownFact, ...]
    """Plans and whereabouts of the next two weeks, in order."""


async def read_now(
    connection: Connection, *, owner_id: OwnerId, reader: Reader, at: datetime, zone: ZoneInfo
) -> NowCard:
    """The card as this reader may know it."""
    facts = await known_facts(
        connection, owner_id=owner_id, reader=reader, subject_kind="owner", as_of=at, limit=500
    )
    today = at.astimezone(zone).date()
    here = [fact for fact in facts if fact.kind == "whereabouts" and fact.valid_to and not fact.hearsay]
    holding = [fact for fact in here if _begun(fact, today)]
    whereabouts = max(holding, key=lambda fact: (fact.valid_from, fact.fact_id), default=None)
    coming = [
        fact
        for fact in facts
        if fact.kind in ("plan", "whereabouts") and fact.valid_to and fact.valid_to <= at + COMING
        and fact is not whereabouts and (fact.kind == "plan" or not _begun(fact, today))
    ]  # fmt: skip
    return NowCard(
        at=at,
        whereabouts=whereabouts,
        availability=availability(whereabouts),
        until=whereabouts.valid_to if whereabouts else None,
        home=next((fact for fact in facts if fact.slot == "home_city"), None),
        coming=tuple(sorted(coming, key=lambda fact: (fact.valid_to or at, fact.fact_id))[:MOST_COMING]),
    )


def availability(whereabouts: KnownFact | None) -> Availability:
    """What being there says about being reached; nothing where nothing is said."""
    if whereabouts is None:
        return "unknown"
    told = whereabouts.statement
    if AWAY.search(told):
        return "away"
    if AROUND.search(told):
        return "around"
    return "busy" if BUSY.search(told) else "unknown"


def _begun(fact: KnownFact, today: date) -> bool:
    """Whether its day has come: a fact is known from when it was told, which may be days before.

    "Away until" a day has begun when it was told.
    """
    days = [date(int(year), int(month), int(day or 1)) for year, month, day in DAY.findall(fact.statement)]
    return not days or "until" in fact.statement or min(days) <= today
