"""Reading what is new: closed sessions become facts, commitments, profiles. Once, and resumably.

Each session is committed alone: killed in the middle, the next run goes on where this one stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from core.clock import Clock, SystemClock
from core.ids import ChatId, ContactId, OwnerId
from core.memory.extract.claims import Claim, Extracted, Extractor, Person, Promise, Said, Session
from core.memory.extract.local import LocalExtractor
from core.memory.extract.teacher import TeacherExtractor
from core.memory.profiling import refresh_profiles
from core.memory.sessions import SessionRow, cut_chat, unread_sessions
from core.memory.storing import lock_facts, store_claim, store_promise
from core.models.faces import Generator
from core.storage.database import Connection, Database

log = structlog.get_logger()

Progress = Callable[[int, int], None]
"""Called with sessions read and sessions to read."""


@dataclass(slots=True, kw_only=True)
class ExtractionReport:
    """What one run did."""

    sessions_cut: int = 0
    sessions_read: int = 0
    messages_read: int = 0
    claims: int = 0
    facts: int = 0
    """Rows that the claims became or joined; the same row counts once."""
    commitments: int = 0
    refused: int = 0
    """Statements of a teacher that did not hold against their sources."""
    invalid: int = 0
    """Answers of a teacher that were no answer, after one retry."""
    profiles_written: int = 0
    fact_ids: set[int] = field(default_factory=set[int], repr=False)


async def extract_new(
    database: Database,
    owner_id: OwnerId,
    *,
    teacher: Generator | None = None,
    teacher_outside: bool = True,
    on_progress: Progress | None = None,
    clock: Clock | None = None,
) -> ExtractionReport:
    """Read every closed session that is new or has changed; run twice, it finds nothing the second time.

    A teacher on another machine reads no session in which one line may not leave this one: that is read
    here, by rules.
    """
    report = ExtractionReport()
    local = LocalExtractor()
    extractor: Extractor = TeacherExtractor(teacher) if teacher else local
    now = (clock or SystemClock()).now()
    for chat_id in await _chats(database, owner_id):
        async with database.owner(owner_id) as connection:
            report.sessions_cut += await cut_chat(connection, owner_id, chat_id, now=now)
    async with database.owner(owner_id) as connection:
        waiting = await unread_sessions(connection, owner_id)
    for done, row in enumerate(waiting):
        stays = teacher is not None and teacher_outside and await _stays_here(database, owner_id, row)
        await _read_one(database, owner_id, row, local if stays else extractor, report)
        if on_progress:
            on_progress(done + 1, len(waiting))
    if waiting:
        report.profiles_written = await refresh_profiles(database, owner_id)
    report.facts = len(report.fact_ids)
    log.info(
        "facts.extracted",
        owner_id=owner_id,
        sessions=report.sessions_read,
        claims=report.claims,
        facts=report.facts,
        commitments=report.commitments,
    )
    return report


async def _chats(database: Database, owner_id: OwnerId) -> list[ChatId]:
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute("SELECT id FROM chats WHERE owner_id = %s ORDER BY id", [owner_id])
        return [ChatId(row[0]) for row in await cursor.fetchall()]


async def _stays_here(database: Database, owner_id: OwnerId, row: SessionRow) -> bool:
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT EXISTS (
                SELECT FROM sessions s
                JOIN messages m ON m.owner_id = s.owner_id AND m.chat_id = s.chat_id
                               AND m.sent_at BETWEEN s.started_at AND s.ended_at
                JOIN sources o ON o.owner_id = m.owner_id AND o.id = m.source_id
                WHERE s.owner_id = %s AND s.id = %s AND NOT o.may_leave)""",
            [owner_id, row.id],
        )
        found = await cursor.fetchone()
    return bool(found and found[0])


async def _read_one(
    database: Database, owner_id: OwnerId, row: SessionRow, extractor: Extractor, report: ExtractionReport
) -> None:
    async with database.owner(owner_id) as connection:
        session = await read_session(connection, owner_id, row)
    extracted = await extractor.extract(session)  # outside any transaction: a teacher may take minutes
    async with database.owner(owner_id) as connection:
        await lock_facts(connection, owner_id)
        await _store(connection, owner_id, session, extracted, extractor=extractor.name, report=report)
        await connection.execute(
            """
            UPDATE sessions SET extracted_at = now(), extractor = %s
            WHERE owner_id = %s AND id = %s AND message_count = %s""",
            [extractor.name, owner_id, row.id, row.message_count],
        )
    report.sessions_read += 1
    report.messages_read += len(session.said)
    report.refused += extracted.refused
    report.invalid += extracted.invalid


async def _store(
    connection: Connection,
    owner_id: OwnerId,
    session: Session,
    extracted: Extracted,
    *,
    extractor: str,
    report: ExtractionReport,
) -> None:
    unchanged = await _still_there(connection, owner_id, session)
    for claim in extracted.claims:
        if unchanged.issuperset(claim.sources) and _may_be_kept(claim, session):
            report.claims += 1
            fact_id = await store_claim(connection, owner_id, claim, extractor=extractor)
            if fact_id is not None:
                report.fact_ids.add(fact_id)
    for promise in extracted.promises:
        if unchanged.issuperset(promise.sources) and _may_be_promised(promise, session):
            report.commitments += 1
            await store_promise(connection, owner_id, promise, extractor=extractor)


async def _still_there(connection: Connection, owner_id: OwnerId, session: Session) -> set[int]:
    """Messages that say the same as when they were read; an edit meanwhile has the session read again."""
    cursor = await connection.execute(
        "SELECT id, text FROM messages WHERE owner_id = %s AND id = ANY (%s)",
        [owner_id, [said.message_id for said in session.said]],
    )
    texts = {int(row[0]): str(row[1]) for row in await cursor.fetchall()}
    return {said.message_id for said in session.said if texts.get(said.message_id) == said.text}


def _known(contact_id: ContactId | None, session: Session) -> bool:
    return any(person.contact_id == contact_id for person in session.people)


def _may_be_kept(claim: Claim, session: Session) -> bool:
    """Facts about a contact need a source that may be profiled, and a contact who has not opted out."""
    if claim.subject.contact_id is None:
        return True
    sources = {said.message_id: said for said in session.said}
    return _known(claim.subject.contact_id, session) and all(
        sources[message_id].may_profile for message_id in claim.sources
    )


def _may_be_promised(promise: Promise, session: Session) -> bool:
    """What the owner promises is the owner's; what a contact promises needs the same consent as a fact."""
    sources = {said.message_id: said for said in session.said}
    return _known(promise.contact_id, session) and (
        promise.by.contact_id is None or all(sources[each].may_profile for each in promise.sources)
    )


async def read_session(connection: Connection, owner_id: OwnerId, row: SessionRow) -> Session:
    """A session with whom its names may mean. Only words that people typed: never what Locum wrote."""
    owner, zone = await _owner(connection, owner_id)
    people = await _people(connection, owner_id)
    by_id = {person.contact_id: person for person in people}
    counterpart = await _counterpart(connection, owner_id, row.chat_id)
    cursor = await connection.execute(
        """
        SELECT m.id, a.contact_id, coalesce(p.display_name, m.sender_name), m.text, m.sent_at, m.audience_id,
               s.may_profile
        FROM messages m
        JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
        LEFT JOIN contact_accounts a ON a.owner_id = m.owner_id AND a.id = m.sender_id
        LEFT JOIN contacts p ON p.owner_id = a.owner_id AND p.id = a.contact_id
        WHERE m.owner_id = %s AND m.chat_id = %s AND m.sent_at BETWEEN %s AND %s
          AND ((m.origin = 'typed' AND m.sender_id IS NULL) OR (m.origin = 'contact' AND p.id IS NOT NULL))
          AND m.deleted_at IS NULL AND m.text <> '' AND NOT m.automatic AND NOT m.forwarded
          AND p.opted_out_at IS NULL
        ORDER BY m.sent_at, m.id""",
        [owner_id, row.chat_id, row.started_at, row.ended_at],
    )
    said = tuple(
        Said(
            message_id=message_id,
            speaker=owner if contact_id is None else by_id[contact_id],
            addressee=None if counterpart is None else by_id[counterpart] if contact_id is None else owner,
            text=text,
            sent_at=sent_at,
            audience_id=audience_id,
            may_profile=may_profile,
        )
        for message_id, contact_id, _, text, sent_at, audience_id, may_profile in await cursor.fetchall()
    )
    return Session(chat_id=row.chat_id, said=said, people=(owner, *people), time_zone=zone)


async def owner_of(connection: Connection, owner_id: OwnerId) -> str:
    """What the owner is called in statements."""
    return (await _owner(connection, owner_id))[0].name


async def _owner(connection: Connection, owner_id: OwnerId) -> tuple[Person, ZoneInfo]:
    cursor = await connection.execute(
        """
        SELECT coalesce(nullif(o.display_name, ''), (
                   SELECT m.sender_name FROM messages m WHERE m.owner_id = o.id AND m.sender_id IS NULL
                   AND m.origin = 'typed' AND m.sender_name <> '' ORDER BY m.id DESC LIMIT 1), o.handle),
               o.time_zone
        FROM owners o WHERE o.id = %s""",
        [owner_id],
    )
    row = await cursor.fetchone()
    assert row is not None, "owners are made before they are worked for"  # noqa: S101 -- for the type checker
    try:
        zone = ZoneInfo(str(row[1]))
    except ZoneInfoNotFoundError:
        zone = ZoneInfo("UTC")
    return Person(contact_id=None, name=str(row[0])), zone


async def _people(connection: Connection, owner_id: OwnerId) -> tuple[Person, ...]:
    cursor = await connection.execute(
        """
        SELECT id, display_name FROM contacts
        WHERE owner_id = %s AND opted_out_at IS NULL AND merged_into IS NULL ORDER BY id""",
        [owner_id],
    )
    return tuple(Person(contact_id=ContactId(row[0]), name=str(row[1])) for row in await cursor.fetchall())


async def _counterpart(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> ContactId | None:
    """The other side of a direct chat; None in company, and where they opted out."""
    cursor = await connection.execute(
        """
        SELECT m.contact_id FROM chat_members m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        JOIN contacts p ON p.owner_id = m.owner_id AND p.id = m.contact_id
        WHERE m.owner_id = %s AND m.chat_id = %s AND c.kind = 'direct' AND p.opted_out_at IS NULL
        GROUP BY m.contact_id""",
        [owner_id, chat_id],
    )
    rows = await cursor.fetchall()
    return ContactId(rows[0][0]) if len(rows) == 1 else None
