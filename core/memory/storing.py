"""From what extraction claims to rows: each telling kept with its sources, each slot settled from its tellings."""

import hashlib
import re
from collections.abc import Iterable

from core.ids import AudienceId, ContactId, FactId, MessageId, OwnerId
from core.memory.extract.claims import Claim, Promise
from core.memory.settling import Slot, rivals, settle
from core.storage.database import Connection

ALIKE = 0.5
"""Statements that share this much of their words say one thing in two wordings."""
WORD = re.compile(r"[^\W_]{3,}")


async def store_claim(
    connection: Connection, owner_id: OwnerId, claim: Claim, *, extractor: str
) -> FactId | None:
    """The fact that holds the claim now: an older one that says the same, or a new row.

    None when the owner forgot that very fact, or has corrected what it contradicts. Call it with
    the owner's facts locked (`lock_facts`).
    """
    if await _is_forgotten(connection, owner_id, claim) or await _is_corrected(connection, owner_id, claim):
        return None
    slot = await _slot_of(connection, owner_id, claim)
    if await _is_decided(connection, owner_id, slot, claim):
        return None
    fact_id = await _holder(connection, owner_id, slot, claim)
    if fact_id is None:
        fact_id = await _insert(connection, owner_id, slot, claim, extractor)
    await _tell(connection, owner_id, fact_id, claim)
    await settle(connection, owner_id, slot)
    await _settle_what_ends(connection, owner_id, slot, claim)
    return await _holding(connection, owner_id, slot, claim)


async def lock_facts(connection: Connection, owner_id: OwnerId) -> None:
    """Until the transaction ends, nobody else changes this owner's facts through extraction."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('facts', %s))", [owner_id])


# ─── What the owner's hand forbids ──────────────────────────────────────────────────────────


async def _is_forgotten(connection: Connection, owner_id: OwnerId, claim: Claim) -> bool:
    """Whether the owner removed that very fact, or one about the same person from the same messages."""
    contact = claim.subject.contact_id
    digests = [
        fact_digest(owner_id, contact, claim.kind, claim.slot, claim.key),
        *(source_digest(owner_id, contact, claim.kind, each) for each in claim.sources),
    ]
    cursor = await connection.execute(
        "SELECT 1 FROM forgotten_facts WHERE owner_id = %s AND digest = ANY (%s)", [owner_id, digests]
    )
    return await cursor.fetchone() is not None


def fact_digest(owner_id: OwnerId, contact_id: ContactId | None, kind: str, slot: str, key: str) -> str:
    """What a removed fact said, so that it is known again and cannot be read."""
    return _digest(str(owner_id), str(contact_id), kind, slot, key)


def source_digest(owner_id: OwnerId, contact_id: ContactId | None, kind: str, message_id: MessageId) -> str:
    """Where a removed fact came from: another extractor words it otherwise, and reads the same message."""
    return _digest(str(owner_id), str(contact_id), "message", kind, str(message_id))


def _digest(*words: str) -> str:
    return hashlib.sha256("\x00".join(words).encode()).hexdigest()


async def _is_corrected(connection: Connection, owner_id: OwnerId, claim: Claim) -> bool:
    """Whether these messages gave a fact that the owner has worded anew, and the claim is its old wording.

    A claim of the same key is no such case: it joins the corrected fact.
    """
    cursor = await connection.execute(
        """
        SELECT e.statement_before, f.kind = %(kind)s AND f.slot = %(slot)s AND f.value_key = %(key)s
        FROM facts f
        JOIN fact_edits e ON e.owner_id = f.owner_id AND e.fact_id = f.id
        WHERE f.owner_id = %(owner)s AND f.contact_id IS NOT DISTINCT FROM %(contact)s
          AND f.corrected_at >= %(said_at)s AND EXISTS (
              SELECT FROM fact_sources s WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
              AND s.message_id = ANY (%(sources)s))""",
        {
            "owner": owner_id,
            "contact": claim.subject.contact_id,
            "kind": claim.kind,
            "slot": claim.slot,
            "key": claim.key,
            "said_at": claim.said_at,
            "sources": list(claim.sources),
        },
    )
    rows = await cursor.fetchall()
    own = {claim.subject.name.casefold(), *claim.subject.name.casefold().split()}
    return not any(same for _, same in rows) and any(
        are_alike(str(before), claim.statement, without=own) for before, _ in rows
    )


def are_alike(one: str, other: str, *, without: Iterable[str] = ()) -> bool:
    """Whether two statements share most of the words of the shorter one, names of their subject aside."""
    first, second = (set(WORD.findall(text.casefold())) - set(without) for text in (one, other))
    least = min(len(first), len(second))
    return least > 0 and len(first & second) / least >= ALIKE


async def _is_decided(connection: Connection, owner_id: OwnerId, slot: Slot, claim: Claim) -> bool:
    """Whether the owner has since corrected what held then to something else."""
    if not slot.name:
        return False
    cursor = await connection.execute(
        """
        SELECT 1 FROM facts
        WHERE owner_id = %(owner)s AND audience_id = %(audience)s AND subject_kind = %(subject_kind)s
          AND contact_id IS NOT DISTINCT FROM %(contact)s AND kind = %(kind)s AND slot = %(slot)s
          AND value_key <> %(key)s AND valid_from <= %(valid_from)s AND valid_to > %(valid_from)s
          AND corrected_at >= %(said_at)s""",
        _values(owner_id, slot, claim) | {"said_at": claim.said_at},
    )
    return await cursor.fetchone() is not None


# ─── Where a claim goes ─────────────────────────────────────────────────────────────────────


async def _slot_of(connection: Connection, owner_id: OwnerId, claim: Claim) -> Slot:
    """The claim's slot, in the audience of the messages, or in the one that the owner chose for the fact."""
    cursor = await connection.execute(
        """
        SELECT f.audience_id FROM facts f
        WHERE f.owner_id = %(owner)s AND f.contact_id IS NOT DISTINCT FROM %(contact)s AND f.kind = %(kind)s
          AND f.slot = %(slot)s AND f.value_key = %(key)s AND EXISTS (
              SELECT FROM fact_sources s WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
              AND s.message_id = ANY (%(sources)s))
        ORDER BY f.audience_id = %(audience)s DESC, f.id LIMIT 1""",
        {
            "owner": owner_id,
            "contact": claim.subject.contact_id,
            "kind": claim.kind,
            "slot": claim.slot,
            "key": claim.key,
            "sources": list(claim.sources),
            "audience": claim.audience_id,
        },
    )
    row = await cursor.fetchone()
    return Slot(
        audience_id=AudienceId(row[0]) if row else claim.audience_id,
        contact_id=claim.subject.contact_id,
        kind=claim.kind,
        name=claim.slot,
        key=claim.key,
        hearsay=claim.hearsay,
    )


async def _holder(connection: Connection, owner_id: OwnerId, slot: Slot, claim: Claim) -> FactId | None:
    """A fact of the same value: the one that rests on these messages, or else the first."""
    cursor = await connection.execute(
        """
        SELECT f.id FROM facts f
        WHERE f.owner_id = %(owner)s AND f.audience_id = %(audience)s AND f.subject_kind = %(subject_kind)s
          AND f.contact_id IS NOT DISTINCT FROM %(contact)s AND f.kind = %(kind)s AND f.slot = %(slot)s
          AND f.value_key = %(key)s AND (f.hearsay = %(hearsay)s OR f.corrected_at IS NOT NULL)
        ORDER BY EXISTS (
            SELECT FROM fact_sources s WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
            AND s.message_id = ANY (%(sources)s)) DESC, f.id LIMIT 1""",
        _values(owner_id, slot, claim) | {"sources": list(claim.sources)},
    )
    row = await cursor.fetchone()
    return FactId(row[0]) if row else None


def _values(owner_id: OwnerId, slot: Slot, claim: Claim) -> dict[str, object]:
    return {
        "owner": owner_id,
        "audience": slot.audience_id,
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
        "ends_slot": claim.ends[0] if claim.ends else None,
        "ends_key": claim.ends[1] if claim.ends else None,
    }


async def _insert(
    connection: Connection, owner_id: OwnerId, slot: Slot, claim: Claim, extractor: str
) -> FactId:
    """A row for the value; when it holds is settled from its tellings."""
    cursor = await connection.execute(
        """
        INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, slot, value_key, statement, confidence,
            base_confidence, hearsay, audience_id, valid_from, ends_slot, ends_key, extractor)
        VALUES (%(owner)s, %(subject_kind)s, %(contact)s, %(subject)s, %(kind)s, %(slot)s, %(key)s,
            %(statement)s, %(confidence)s, %(confidence)s, %(hearsay)s, %(audience)s, %(valid_from)s,
            %(ends_slot)s, %(ends_key)s, %(extractor)s)
        RETURNING id""",
        _values(owner_id, slot, claim) | {"extractor": extractor},
    )
    row = await cursor.fetchone()
    assert row is not None, "an INSERT that returns nothing raises"  # noqa: S101 -- for the type checker
    return FactId(row[0])


async def _tell(connection: Connection, owner_id: OwnerId, fact_id: FactId, claim: Claim) -> None:
    """Keep what the messages say; of two tellings of one value in one message, the earlier in time."""
    await connection.execute(
        """
        INSERT INTO fact_sources AS s (owner_id, fact_id, message_id, told, told_at, true_from, true_until,
                                       told_confidence)
        SELECT %(owner)s, %(fact)s, unnest(%(messages)s::bigint[]), %(told)s, %(told_at)s, %(since)s,
               %(until)s::timestamptz, %(confidence)s
        ON CONFLICT (owner_id, fact_id, message_id) DO UPDATE SET
            told = excluded.told, told_at = excluded.told_at, true_from = excluded.true_from,
            true_until = excluded.true_until, told_confidence = excluded.told_confidence
        WHERE s.told IS NULL OR (excluded.true_from, excluded.told_at, excluded.told COLLATE "C")
                                < (s.true_from, s.told_at, s.told COLLATE "C")""",
        {
            "owner": owner_id,
            "fact": fact_id,
            "messages": list(claim.sources),
            "told": claim.statement,
            "told_at": claim.said_at,
            "since": claim.valid_from,
            "until": claim.valid_to,
            "confidence": claim.confidence,
        },
    )
    if claim.ends:
        await connection.execute(
            "UPDATE facts SET ends_slot = %s, ends_key = %s WHERE owner_id = %s AND id = %s AND ends_key IS NULL",
            [*claim.ends, owner_id, fact_id],
        )


async def _settle_what_ends(connection: Connection, owner_id: OwnerId, slot: Slot, claim: Claim) -> None:
    """The slots whose values this claim is the end of, and plans that it could be mistaken for."""
    if claim.kind == "plan" and not claim.slot:
        word = claim.ends[1] if claim.ends else claim.key
        keys = await rivals(connection, owner_id, _beside(slot, "", word, hearsay=slot.hearsay))
    elif claim.ends:
        keys = [claim.ends[1]]
    else:
        return
    name = claim.ends[0] if claim.ends else ""
    for key in keys:
        for hearsay in (False,) if name else (False, True):
            await settle(connection, owner_id, _beside(slot, name, key, hearsay=hearsay))


def _beside(slot: Slot, name: str, key: str, *, hearsay: bool) -> Slot:
    return Slot(
        audience_id=slot.audience_id,
        contact_id=slot.contact_id,
        kind=slot.kind,
        name=name,
        key=key,
        hearsay=hearsay,
    )


async def _holding(connection: Connection, owner_id: OwnerId, slot: Slot, claim: Claim) -> FactId | None:
    """The fact that the telling has come to stand in."""
    cursor = await connection.execute(
        """
        SELECT f.id FROM facts f
        JOIN fact_sources s ON s.owner_id = f.owner_id AND s.fact_id = f.id AND s.message_id = ANY (%(sources)s)
        WHERE f.owner_id = %(owner)s AND f.audience_id = %(audience)s AND f.subject_kind = %(subject_kind)s
          AND f.contact_id IS NOT DISTINCT FROM %(contact)s AND f.kind = %(kind)s AND f.slot = %(slot)s
          AND f.value_key = %(key)s
        ORDER BY f.id LIMIT 1""",
        _values(owner_id, slot, claim) | {"sources": list(claim.sources)},
    )
    row = await cursor.fetchone()
    return FactId(row[0]) if row else None


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
