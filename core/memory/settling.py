"""The rows of one slot brought to what all its tellings come to: one row a span, linked to what replaced it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from psycopg.rows import class_row

from core.ids import AudienceId, ContactId, FactId, MessageId, OwnerId
from core.memory.validity import Ending, Span, Telling, confidence, timeline
from core.storage.database import Connection

SAME = 1e-6
"""Confidences nearer than this are one: they are stored as float4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What can hold one value at a time: a slot of a subject in one audience; outside slots, one key."""

    audience_id: AudienceId
    contact_id: ContactId | None
    kind: str
    name: str
    """Empty: outside slots, where `key` is all that it can hold."""
    key: str
    hearsay: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    fact_id: FactId
    key: str
    message_id: MessageId
    since: datetime
    until: datetime | None
    said_at: datetime
    statement: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    id: FactId
    statement: str
    confidence: float
    valid_from: datetime
    valid_to: datetime | None
    superseded_by: FactId | None
    corrected_at: datetime | None
    decided: bool
    """Whether the owner corrected, pinned or hid it: such a row is the first to be kept."""


def _values(owner_id: OwnerId, slot: Slot) -> dict[str, object]:
    return {
        "owner": owner_id,
        "audience": slot.audience_id,
        "contact": slot.contact_id,
        "subject_kind": "owner" if slot.contact_id is None else "contact",
        "kind": slot.kind,
        "slot": slot.name,
        "key": slot.key,
        "hearsay": slot.hearsay,
    }


async def settle(connection: Connection, owner_id: OwnerId, slot: Slot) -> None:
    """Recompute the slot from its tellings. Call it with the owner's facts locked (`storing.lock_facts`)."""
    rows = {row.id: row for row in await _rows(connection, owner_id, slot)}
    tellings = await _tellings(connection, owner_id, slot)
    spans = timeline(tellings, await _endings(connection, owner_id, slot, rows))
    held, moved = await _rows_for(connection, owner_id, spans, rows)
    for place, (span, fact_id) in enumerate(zip(spans, held, strict=True)):
        after = held[place + 1] if place + 1 < len(held) and span.until == spans[place + 1].since else None
        successor = (span.ended_by or after) if span.until is not None else None
        await _bring(connection, owner_id, fact_id, rows.get(fact_id), span, successor, anew=fact_id in moved)


async def _rows(connection: Connection, owner_id: OwnerId, slot: Slot) -> list[_Row]:
    async with connection.cursor(row_factory=class_row(_Row)) as cursor:
        await cursor.execute(
            """
            SELECT id, statement, confidence, valid_from, nullif(valid_to, 'infinity') AS valid_to,
                   superseded_by, corrected_at, corrected_at IS NOT NULL OR pinned OR hidden AS decided
            FROM facts
            WHERE owner_id = %(owner)s AND audience_id = %(audience)s AND subject_kind = %(subject_kind)s
              AND contact_id IS NOT DISTINCT FROM %(contact)s AND kind = %(kind)s AND slot = %(slot)s
              AND (%(slot)s <> '' OR value_key = %(key)s AND (hearsay = %(hearsay)s OR corrected_at IS NOT NULL))
            ORDER BY id""",
            _values(owner_id, slot),
        )
        return await cursor.fetchall()


async def _tellings(connection: Connection, owner_id: OwnerId, slot: Slot) -> list[Telling]:
    async with connection.cursor(row_factory=class_row(_Source)) as cursor:
        await cursor.execute(
            """
            SELECT f.id AS fact_id, f.value_key AS key, s.message_id,
                   coalesce(s.true_from, f.valid_from) AS since,
                   CASE WHEN s.told IS NULL THEN
                       CASE WHEN NOT EXISTS (
                           SELECT FROM facts n WHERE n.owner_id = f.owner_id AND n.id = f.superseded_by
                           AND n.slot = f.slot AND n.slot <> '') THEN nullif(f.valid_to, 'infinity') END
                   ELSE s.true_until END AS until,
                   coalesce(s.told_at, m.sent_at) AS said_at, coalesce(s.told, f.statement) AS statement,
                   coalesce(s.told_confidence, f.base_confidence) AS confidence
            FROM facts f
            JOIN fact_sources s ON s.owner_id = f.owner_id AND s.fact_id = f.id
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            WHERE f.owner_id = %(owner)s AND f.audience_id = %(audience)s AND f.subject_kind = %(subject_kind)s
              AND f.contact_id IS NOT DISTINCT FROM %(contact)s AND f.kind = %(kind)s AND f.slot = %(slot)s
              AND (%(slot)s <> ''
                   OR f.value_key = %(key)s AND (f.hearsay = %(hearsay)s OR f.corrected_at IS NOT NULL))
            ORDER BY f.id, said_at, since, statement, s.message_id""",
            _values(owner_id, slot),
        )
        sources = await cursor.fetchall()
    return [
        _telling(list(together))
        for _, together in groupby(
            sources, key=lambda each: (each.fact_id, each.said_at, each.since, each.statement)
        )
    ]


def _telling(sources: Sequence[_Source]) -> Telling:
    """The messages that make one telling together."""
    first = sources[0]
    return Telling(
        key=first.key,
        since=first.since,
        until=first.until,
        said_at=first.said_at,
        messages=tuple(sorted(each.message_id for each in sources)),
        statement=first.statement,
        confidence=first.confidence,
        fact_id=first.fact_id,
    )


async def _endings(
    connection: Connection, owner_id: OwnerId, slot: Slot, rows: dict[FactId, _Row]
) -> list[Ending]:
    """What says that a value of the slot is over; of plans, where that one alone can be meant.

    Hearsay ends hearsay only, and nothing said before the owner corrected a value ends that value.
    """
    corrected = max((row.corrected_at for row in rows.values() if row.corrected_at), default=None)
    cursor = await connection.execute(
        """
        SELECT e.id, CASE WHEN e.kind = 'plan' THEN %(key)s ELSE e.ends_key END,
               coalesce(s.true_from, e.valid_from) AS since, coalesce(s.told_at, e.valid_from) AS said_at
        FROM facts e
        JOIN fact_sources s ON s.owner_id = e.owner_id AND s.fact_id = e.id
        WHERE e.owner_id = %(owner)s AND e.audience_id = %(audience)s AND e.subject_kind = %(subject_kind)s
          AND e.contact_id IS NOT DISTINCT FROM %(contact)s AND e.kind = %(kind)s
          AND e.ends_slot = %(slot)s AND (NOT e.hearsay OR %(hearsay)s)
          AND CASE WHEN e.kind <> 'plan' THEN %(slot)s <> '' OR e.ends_key = %(key)s
              ELSE e.ends_key = ANY (regexp_split_to_array(%(key)s, '[^[:alnum:]]+')) AND (
                  SELECT count(DISTINCT p.value_key) FROM facts p
                  JOIN fact_sources t ON t.owner_id = p.owner_id AND t.fact_id = p.id
                  WHERE p.owner_id = e.owner_id AND p.audience_id = e.audience_id
                    AND p.subject_kind = e.subject_kind AND p.contact_id IS NOT DISTINCT FROM e.contact_id
                    AND p.kind = 'plan' AND p.ends_key IS NULL
                    AND e.ends_key = ANY (regexp_split_to_array(p.value_key, '[^[:alnum:]]+'))
                    AND coalesce(t.true_from, p.valid_from) < coalesce(s.true_from, e.valid_from)
                    AND coalesce(t.true_until, 'infinity') > coalesce(s.true_from, e.valid_from)) = 1 END
        ORDER BY since, said_at, e.id""",
        _values(owner_id, slot),
    )
    return [
        Ending(fact_id=FactId(row[0]), key=str(row[1]), since=row[2], said_at=row[3])
        for row in await cursor.fetchall()
        if corrected is None or row[3] > corrected
    ]


async def rivals(connection: Connection, owner_id: OwnerId, slot: Slot) -> list[str]:
    """The keys of plans that share with this one a word that something ended: they are settled together."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT p.value_key FROM facts e
        JOIN facts p ON p.owner_id = e.owner_id AND p.audience_id = e.audience_id AND p.kind = 'plan'
                    AND p.subject_kind = e.subject_kind AND p.contact_id IS NOT DISTINCT FROM e.contact_id
                    AND p.ends_key IS NULL
                    AND e.ends_key = ANY (regexp_split_to_array(p.value_key, '[^[:alnum:]]+'))
        WHERE e.owner_id = %(owner)s AND e.audience_id = %(audience)s AND e.subject_kind = %(subject_kind)s
          AND e.contact_id IS NOT DISTINCT FROM %(contact)s AND e.kind = 'plan' AND e.ends_key IS NOT NULL
          AND (e.ends_key = %(key)s OR e.ends_key = ANY (regexp_split_to_array(%(key)s, '[^[:alnum:]]+')))
        ORDER BY p.value_key""",
        _values(owner_id, slot),
    )
    return [str(row[0]) for row in await cursor.fetchall()]


async def _rows_for(
    connection: Connection, owner_id: OwnerId, spans: Sequence[Span], rows: dict[FactId, _Row]
) -> tuple[list[FactId], set[FactId]]:
    """A row for each span: one that holds some of its tellings, a new one where each is another span's.

    Tellings are moved to the rows of their spans; the rows that lost or gained one come second.
    """
    taken: set[FactId] = set()
    held: dict[int, FactId] = {}
    by_decision = sorted(
        range(len(spans)), key=lambda at: not any(rows[t.fact_id].decided for t in spans[at].tellings)
    )
    for at in by_decision:
        having = sorted(
            {each.fact_id for each in spans[at].tellings}, key=lambda id_: (not rows[id_].decided, id_)
        )
        free = [fact_id for fact_id in having if fact_id not in taken]
        held[at] = free[0] if free else await _copy(connection, owner_id, having[0])
        taken.add(held[at])
    moved: dict[tuple[FactId, FactId], list[MessageId]] = defaultdict(list)
    for at, span in enumerate(spans):
        for telling in span.tellings:
            if telling.fact_id != held[at]:
                moved[telling.fact_id, held[at]] += telling.messages
    for (old, new), messages in moved.items():
        await _move(connection, owner_id, old, new, messages)
    return [held[at] for at in range(len(spans))], {fact_id for pair in moved for fact_id in pair}


async def _copy(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> FactId:
    """A second row of the same value, for another time that it held."""
    cursor = await connection.execute(
        """
        INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, slot, value_key, statement, confidence,
                           base_confidence, hearsay, audience_id, valid_from, pinned, hidden, extractor, language)
        SELECT owner_id, subject_kind, contact_id, subject, kind, slot, value_key, statement, confidence,
               base_confidence, hearsay, audience_id, valid_from, pinned, hidden, extractor, language
        FROM facts WHERE owner_id = %s AND id = %s RETURNING id""",
        [owner_id, fact_id],
    )
    row = await cursor.fetchone()
    assert row is not None, "it was just read, and facts are locked"  # noqa: S101 -- for the type checker
    return FactId(row[0])


async def _move(
    connection: Connection, owner_id: OwnerId, old: FactId, new: FactId, messages: Sequence[MessageId]
) -> None:
    await connection.execute(
        """
        INSERT INTO fact_sources (owner_id, fact_id, message_id, told, told_at, true_from, true_until, told_confidence)
        SELECT owner_id, %s, message_id, told, told_at, true_from, true_until, told_confidence FROM fact_sources
        WHERE owner_id = %s AND fact_id = %s AND message_id = ANY (%s)
        ON CONFLICT DO NOTHING""",
        [new, owner_id, old, messages],
    )
    await connection.execute(
        "DELETE FROM fact_sources WHERE owner_id = %s AND fact_id = %s AND message_id = ANY (%s)",
        [owner_id, old, messages],
    )


async def _bring(
    connection: Connection,
    owner_id: OwnerId,
    fact_id: FactId,
    row: _Row | None,
    span: Span,
    successor: FactId | None,
    *,
    anew: bool,
) -> None:
    """The row as the span has it; words and certainty that the owner decided stay.

    Written where it differs from `row`, and always with `anew`: then the row has changed since it was read.
    """
    corrected = row is not None and row.corrected_at is not None
    statement = row.statement if row and corrected else span.tellings[0].statement
    sure = row.confidence if row and corrected else confidence(span.tellings)
    if (
        row
        and not anew
        and (row.statement, row.valid_from, row.valid_to, row.superseded_by)
        == (statement, span.since, span.until, successor)
        and abs(row.confidence - sure) < SAME
    ):
        return
    await connection.execute(
        """
        UPDATE facts SET statement = %s, confidence = %s, base_confidence = %s, valid_from = %s,
                         valid_to = coalesce(%s::timestamptz, 'infinity'), superseded_by = %s
        WHERE owner_id = %s AND id = %s""",
        [
            statement, sure, max(each.confidence for each in span.tellings), span.since, span.until, successor,
            owner_id, fact_id,
        ],
    )  # fmt: skip
