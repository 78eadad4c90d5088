"""From what extraction claims to rows: merged where known, placed in time where it replaces."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import class_row

from core.ids import ContactId, FactId, MessageId, OwnerId
from core.memory.extract.claims import Claim, Promise
from core.memory.validity import Ignore, Insert, Merge, Span, place
from core.storage.database import Connection

DOUBT_LEFT_BY_A_RETELLING = 0.6
"""Each further telling leaves this share of the doubt."""
MOST_CONFIDENT = 0.99


async def store_claim(
    connection: Connection, owner_id: OwnerId, claim: Claim, *, extractor: str
) -> FactId | None:
    """The fact that holds the claim now: an older one that says the same, or a new row.

    None when the owner forgot that very fact, or has corrected what it contradicts. Call it with
    the owner's facts locked (`lock_facts`).
    """
    if await _is_forgotten(connection, owner_id, claim):
        return None
    fact_id = await _keep(connection, owner_id, claim, extractor)
    if fact_id is not None and claim.ends is not None:
        await _end(connection, owner_id, claim, *claim.ends, by=fact_id)
    return fact_id


async def _keep(connection: Connection, owner_id: OwnerId, claim: Claim, extractor: str) -> FactId | None:
    known = await _same_fact(connection, owner_id, claim)
    if known is not None:
        await _retell(connection, owner_id, known, claim)
        return known
    if not claim.slot:
        return await _insert(
            connection, owner_id, claim, extractor=extractor, valid_to=claim.valid_to, superseded_by=None
        )
    return await _place_in_slot(connection, owner_id, claim, extractor)


async def _end(
    connection: Connection, owner_id: OwnerId, claim: Claim, slot: str, key: str, *, by: FactId
) -> None:
    """Close what the claim says is over; a plan only where one alone can be meant."""
    await connection.execute(
        """
        WITH meant AS (
            SELECT id FROM facts
            WHERE owner_id = %(owner)s AND audience_id = %(audience)s AND subject_kind = %(subject_kind)s
              AND contact_id IS NOT DISTINCT FROM %(contact)s AND kind = %(kind)s AND slot = %(ended_slot)s
              AND id <> %(by)s AND superseded_by IS NULL AND corrected_at IS NULL
              AND valid_from < %(valid_from)s AND valid_to > %(valid_from)s
              AND (value_key = %(ended_key)s
                   OR kind = 'plan' AND %(ended_key)s = ANY (regexp_split_to_array(value_key, '[^[:alnum:]]+'))))
        UPDATE facts SET valid_to = %(valid_from)s, superseded_by = %(by)s
        WHERE owner_id = %(owner)s AND id IN (SELECT id FROM meant)
          AND (kind <> 'plan' OR (SELECT count(*) FROM meant) = 1)""",
        _values(owner_id, claim) | {"ended_slot": slot, "ended_key": key, "by": by},
    )


async def lock_facts(connection: Connection, owner_id: OwnerId) -> None:
    """Until the transaction ends, nobody else changes this owner's facts through extraction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('facts', %s))", [owner_id])


async def _is_forgotten(connection: Connection, owner_id: OwnerId, claim: Claim) -> bool:
    cursor = await connection.execute(
        "SELECT 1 FROM forgotten_facts WHERE owner_id = %s AND digest = %s",
        [owner_id, fact_digest(owner_id, claim.subject.contact_id, claim.kind, claim.slot, claim.key)],
    )
    return await cursor.fetchone() is not None


def fact_digest(owner_id: OwnerId, contact_id: ContactId | None, kind: str, slot: str, key: str) -> str:
    words = "\x00".join((str(owner_id), str(contact_id), kind, slot, key))
    return hashlib.sha256(words.encode()).hexdigest()


async def _same_fact(connection: Connection, owner_id: OwnerId, claim: Claim) -> FactId | None:
    """The fact that already rests on one of these messages, or says the same outside any slot."""
    cursor = await connection.execute(
        """
        SELECT f.id FROM facts f
        WHERE f.owner_id = %(owner)s AND f.audience_id = %(audience)s
          AND f.contact_id IS NOT DISTINCT FROM %(contact)s
          AND f.subject_kind = %(subject_kind)s AND f.kind = %(kind)s AND f.slot = %(slot)s
          AND f.value_key = %(key)s AND (f.hearsay = %(hearsay)s OR f.corrected_at IS NOT NULL)
          AND (%(slot)s = '' OR EXISTS (
              SELECT FROM fact_sources s
              WHERE s.owner_id = f.owner_id AND s.fact_id = f.id AND s.message_id = ANY (%(sources)s)))
        ORDER BY f.id LIMIT 1""",
        _values(owner_id, claim) | {"sources": list(claim.sources)},
    )
    row = await cursor.fetchone()
    return FactId(row[0]) if row else None


def _values(owner_id: OwnerId, claim: Claim) -> dict[str, object]:
    return {
        "owner": owner_id,
        "audience": claim.audience_id,
        "contact": claim.subject.contact_id,
        "subject_kind": "owner" if claim.subject.contact_id is None else "contact",
        "subject": claim.subject.name,
        "kind": claim.kind,
        "slot": claim.slot,
        "key": claim.key,
        "statement": claim.statement,
        "confidence": claim.confidence,
        "hearsay": claim.hearsay,
        "valid_from": claim.valid_from,
    }


async def _retell(connection: Connection, owner_id: OwnerId, fact_id: FactId, claim: Claim) -> None:
    """Add the sources; outside slots the fact also reaches as far back and ahead as its tellings."""
    await _add_sources(connection, owner_id, fact_id, claim.sources)
    await connection.execute(
        """
        UPDATE facts f SET
            confidence = CASE WHEN corrected_at IS NOT NULL THEN confidence ELSE least(%(most)s,
                1 - (1 - base_confidence) * power(%(doubt)s, (
                    SELECT count(*) FROM fact_sources s
                    WHERE s.owner_id = f.owner_id AND s.fact_id = f.id) - 1)) END,
            valid_from = CASE WHEN slot = '' AND corrected_at IS NULL
                         THEN least(valid_from, %(since)s) ELSE valid_from END,
            valid_to = CASE WHEN slot = '' AND corrected_at IS NULL
                       THEN greatest(valid_to, coalesce(%(until)s::timestamptz, 'infinity')) ELSE valid_to END
        WHERE owner_id = %(owner)s AND id = %(fact)s""",
        {
            "owner": owner_id,
            "fact": fact_id,
            "most": MOST_CONFIDENT,
            "doubt": DOUBT_LEFT_BY_A_RETELLING,
            "since": claim.valid_from,
            "until": claim.valid_to,
        },
    )


async def _add_sources(
    connection: Connection, owner_id: OwnerId, fact_id: FactId, sources: Sequence[MessageId]
) -> None:
    await connection.execute(
        """
        INSERT INTO fact_sources (owner_id, fact_id, message_id)
        SELECT %s, %s, unnest(%s::bigint[]) ON CONFLICT DO NOTHING""",
        [owner_id, fact_id, list(sources)],
    )


async def _insert(
    connection: Connection,
    owner_id: OwnerId,
    claim: Claim,
    *,
    extractor: str,
    valid_to: datetime | None,
    superseded_by: FactId | None,
) -> FactId:
    cursor = await connection.execute(
        """
        INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, slot, value_key, statement,
            confidence, base_confidence, hearsay, audience_id, valid_from, valid_to, superseded_by, extractor)
        VALUES (%(owner)s, %(subject_kind)s, %(contact)s, %(subject)s, %(kind)s, %(slot)s, %(key)s,
            %(statement)s, %(confidence)s, %(confidence)s, %(hearsay)s, %(audience)s, %(valid_from)s,
            coalesce(%(valid_to)s::timestamptz, 'infinity'), %(superseded_by)s, %(extractor)s)
        RETURNING id""",
        _values(owner_id, claim)
        | {"valid_to": valid_to, "superseded_by": superseded_by, "extractor": extractor},
    )
    row = await cursor.fetchone()
    assert row is not None, "an INSERT that returns nothing raises"  # noqa: S101 -- for the type checker
    fact_id = FactId(row[0])
    await _add_sources(connection, owner_id, fact_id, claim.sources)
    return fact_id


async def _place_in_slot(
    connection: Connection, owner_id: OwnerId, claim: Claim, extractor: str
) -> FactId | None:
    timeline = await _timeline(connection, owner_id, claim)
    placement = place(timeline, claim.key, claim.valid_from, claim.said_at)
    match placement:
        case Ignore():
            return None
        case Merge(fact_id=fact_id):
            await _retell(connection, owner_id, fact_id, claim)
            await connection.execute(
                "UPDATE facts SET valid_from = %s WHERE owner_id = %s AND id = %s",
                [placement.since, owner_id, fact_id],
            )
        case Insert():
            fact_id = await _insert(
                connection,
                owner_id,
                claim,
                extractor=extractor,
                valid_to=placement.until,
                superseded_by=placement.superseded_by,
            )
    if placement.closes is not None:
        await connection.execute(
            "UPDATE facts SET valid_to = %s, superseded_by = %s WHERE owner_id = %s AND id = %s",
            [placement.since, fact_id, owner_id, placement.closes],
        )
    return fact_id


async def _timeline(connection: Connection, owner_id: OwnerId, claim: Claim) -> list[Span]:
    async with connection.cursor(row_factory=class_row(Span)) as cursor:
        await cursor.execute(
            """
            SELECT id AS fact_id, value_key AS key, valid_from AS since,
                   nullif(valid_to, 'infinity') AS until, superseded_by, corrected_at
            FROM facts
            WHERE owner_id = %(owner)s AND audience_id = %(audience)s AND subject_kind = %(subject_kind)s
              AND contact_id IS NOT DISTINCT FROM %(contact)s AND kind = %(kind)s AND slot = %(slot)s
            ORDER BY valid_from, valid_to, id""",
            _values(owner_id, claim),
        )
        return await cursor.fetchall()


async def store_promise(
    connection: Connection, owner_id: OwnerId, promise: Promise, *, extractor: str
) -> None:
    """The commitment, once, with every message that makes it."""
    cursor = await connection.execute(
        """
        INSERT INTO commitments (owner_id, by_owner, contact_id, statement, value_key, due_at, audience_id,
                                 extractor)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT ON CONSTRAINT one_commitment DO UPDATE SET value_key = excluded.value_key
        RETURNING id""",
        [
            owner_id,
            promise.by.contact_id is None,
            promise.contact_id,
            promise.statement,
            promise.key,
            promise.due_at,
            promise.audience_id,
            extractor,
        ],
    )
    row = await cursor.fetchone()
    assert row is not None, "an INSERT that returns nothing raises"  # noqa: S101 -- for the type checker
    await connection.execute(
        """
        INSERT INTO commitment_sources (owner_id, commitment_id, message_id)
        SELECT %s, %s, unnest(%s::bigint[]) ON CONFLICT DO NOTHING""",
        [owner_id, row[0], list(promise.sources)],
    )
