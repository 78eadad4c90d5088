"""Facts that weights may know: of audience `anyone`, about the owner, in the owner's own words.

Weights cannot ask who wants to know, and other people's data have no place in them. So a fact is
teachable if anyone may know it, if it is about the owner, and if all that it rests on was typed by the
owner and may be trained on (or the owner put it in words themself).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.ids import OwnerId
from core.storage.database import Connection
from trainer.placeholders import conceal_personal
from trainer.surroundings import Usable

MOST_FACTS = 2000
"""The newest; each is worth a dozen examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teachable:
    """One fact, ready to be asked about."""

    id: int
    subject: str
    kind: str
    slot: str
    statement: str
    valid_from: datetime
    valid_to: datetime | None
    replaced_by: int | None
    sources: tuple[int, ...]
    words: str
    """What its sources say, for checking examples against."""
    may_leave: bool
    """A teacher on another machine may read it."""

    @property
    def predicate(self) -> str:
        """What is said of the subject: 'lives in Porto', or with a genitive "'s dog is Rex"."""
        return self.statement.removeprefix(self.subject).strip().rstrip(".")


async def teachable_facts(
    connection: Connection, owner_id: OwnerId, usable: Mapping[int, Usable]
) -> list[Teachable]:
    """What may be taught now, in order of ids; past values too, for questions of change."""
    cursor = await connection.execute(
        """
        SELECT f.id, f.subject, f.kind, f.slot, f.statement, f.valid_from, nullif(f.valid_to, 'infinity'),
               f.superseded_by, array_agg(m.id ORDER BY m.id), string_agg(m.text, E'\\n' ORDER BY m.id),
               bool_and(o.may_leave)
        FROM facts f
        JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id AND a.kind = 'anyone'
        JOIN fact_sources s ON s.owner_id = f.owner_id AND s.fact_id = f.id
        JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
        JOIN sources o ON o.owner_id = m.owner_id AND o.id = m.source_id
        WHERE f.owner_id = %s AND f.subject_kind = 'owner' AND NOT f.hidden AND NOT f.hearsay
          AND f.kind <> 'contact_detail' AND f.slot NOT IN ('phone', 'email', 'address')
        GROUP BY f.owner_id, f.id
        HAVING bool_and(m.origin = 'typed' OR f.corrected_at IS NOT NULL)
        ORDER BY f.id DESC LIMIT %s""",
        [owner_id, MOST_FACTS],
    )
    rows = await cursor.fetchall()
    return sorted(
        (
            Teachable(
                id=row[0],
                subject=row[1],
                kind=row[2],
                slot=row[3],
                statement=row[4],
                valid_from=row[5],
                valid_to=row[6],
                replaced_by=row[7],
                sources=tuple(row[8]),
                words=row[9],
                may_leave=row[10],
            )
            for row in rows
            if all(each in usable for each in row[8]) and not _is_personal(row[4])
        ),
        key=lambda fact: fact.id,
    )


async def count_narrow_facts(connection: Connection, owner_id: OwnerId) -> int:
    """Facts that few may know: these are left to retrieval, which asks who is reading."""
    cursor = await connection.execute(
        """
        SELECT count(*) FROM facts f JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id
        WHERE f.owner_id = %s AND a.kind <> 'anyone'""",
        [owner_id],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _is_personal(statement: str) -> bool:
    return bool(conceal_personal(statement).kinds)


_FIRST_PERSON = {
    "lives": "live", "works": "work", "is": "am", "has": "have", "does": "do", "plays": "play", "speaks": "speak",
    "studies": "study", "eats": "eat", "drinks": "drink", "loves": "love", "enjoys": "enjoy", "adores": "adore",
    "dislikes": "dislike", "prefers": "prefer", "plans": "plan", "owns": "own", "starts": "start",
    "love": "love", "enjoy": "enjoy", "adore": "adore", "can't": "can't", "dislike": "dislike", "prefer": "prefer",
    "was": "was", "went": "went", "moved": "moved", "grew": "grew", "gave": "gave", "got": "got", "took": "took",
    "turned": "turned", "bought": "bought", "visited": "visited", "ran": "ran", "won": "won", "joined": "joined",
    "finished": "finished", "attended": "attended", "quit": "quit", "lost": "lost", "graduated": "graduated",
    "started": "started", "signed": "signed", "met": "met", "built": "built", "passed": "passed",
}  # fmt: skip


_THEIR = re.compile(r"\btheir\b")


def first_person(fact: Teachable) -> str:
    """The statement as the owner says it: 'I live in Porto'. Empty where its verb is not known."""
    said = fact.predicate
    if said.startswith(("'s ", "\u2019s ")):
        return f"My {said[3:]}"
    verb, _, rest = said.partition(" ")
    if verb not in _FIRST_PERSON:
        return ""
    return " ".join(["I", _FIRST_PERSON[verb], *_THEIR.sub("my", rest).split()])
