"""What Locum knows about a contact, as its owner may read it: everything, with the sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from bots.console.board import (
    Memory,
    RememberedFact,
    RememberedSession,
    RememberedTopic,
    RememberedVersion,
)
from core.audience import Reader
from core.bot import Evidence
from core.ids import ContactId, FactId, MessageId, OwnerId
from core.memory.facts import Fact, list_facts, read_fact
from core.memory.profile_versions import list_versions, read_diff
from core.memory.profiles import Style, read_profile
from core.memory.summaries import known_summaries
from core.memory.topics import Month, known_topics, read_timeline
from core.storage.database import Connection

MOST_FACTS = 60
MOST_TOPICS, MOST_SESSIONS, MOST_VERSIONS = 8, 5, 5
MOST_MONTHS = 12

BY = {"local": "an extract", "teacher": "by a model", "owner": "in your words"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    id: MessageId
    message_id: str
    chat_title: str
    sender: str
    sent_at: datetime
    text: str


async def read_memory(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> Memory:
    """What holds, what held, how the owner writes to them, and what was promised."""
    facts = await list_facts(connection, owner_id, about="contact", contact_id=contact_id, limit=MOST_FACTS)
    over = await _over(connection, owner_id, contact_id)
    sources = await _sources(
        connection, owner_id, [source for fact in [*facts, *over] for source in fact.source_ids]
    )
    profile = await read_profile(connection, owner_id=owner_id, reader=Reader.owner(), contact_id=contact_id)
    return Memory(
        manner=manner(profile.style) if profile else "",
        facts=tuple(_remembered(fact, sources) for fact in facts if not fact.hidden),
        earlier=tuple(_remembered(fact, sources) for fact in over),
        hidden=tuple(_remembered(fact, sources) for fact in facts if fact.hidden),
        open_commitments=await _commitments(connection, owner_id, contact_id),
        topics=await _topics(connection, owner_id, contact_id),
        sessions=await _sessions(connection, owner_id, contact_id),
        versions=await _versions(connection, owner_id, contact_id),
    )


async def _topics(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId
) -> tuple[RememberedTopic, ...]:
    topics = await known_topics(
        connection, owner_id=owner_id, reader=Reader.owner(), contact_id=contact_id, limit=MOST_TOPICS
    )
    return tuple(
        [
            RememberedTopic(
                topic_id=topic.topic_id,
                name=topic.name,
                description=topic.description,
                messages=topic.messages,
                pinned=topic.pinned,
                last_seen=topic.last_seen,
                timeline=without_gaps(await read_timeline(connection, owner_id, topic.topic_id)),
            )
            for topic in topics
        ]
    )


def without_gaps(timeline: Sequence[Month]) -> tuple[tuple[str, int], ...]:
    """The latest months of a timeline, those in which nothing was said too."""
    counts = {month.month: month.messages for month in timeline}
    if not counts:
        return ()
    year, month = (int(part) for part in max(counts).split("-"))
    first = min(counts)
    months: list[str] = []
    while len(months) < MOST_MONTHS and (name := f"{year:04}-{month:02}") >= first:
        months.append(name)
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return tuple((name, counts.get(name, 0)) for name in reversed(months))


async def _sessions(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId
) -> tuple[RememberedSession, ...]:
    found = await known_summaries(
        connection, owner_id=owner_id, reader=Reader.owner(), contact_id=contact_id, limit=MOST_SESSIONS
    )
    sources = await _sources(connection, owner_id, [each for session in found for each in session.quoted_ids])
    return tuple(
        RememberedSession(
            summary_id=session.summary_id,
            summary=session.summary,
            version=session.version,
            by=BY.get(session.extractor, session.extractor),
            sources=tuple(sources[each] for each in session.quoted_ids if each in sources),
        )
        for session in found
    )


async def _versions(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId
) -> tuple[RememberedVersion, ...]:
    versions = await list_versions(connection, owner_id, contact_id)
    diffs = [
        (at, await read_diff(connection, owner_id, contact_id, number))
        for number, at in versions[:MOST_VERSIONS]
    ]
    return tuple(
        RememberedVersion(
            version=diff.newer,
            created_at=at,
            added=tuple(line.statement for line in diff.added),
            removed=tuple(line.statement for line in diff.removed),
            changed=tuple(f"{what}: {before} → {after}" for what, before, after in diff.changed),
        )
        for at, diff in diffs
    )


def manner(style: Style) -> str:
    """How the owner writes to somebody, in a sentence; empty while there is too little to tell."""
    if style.messages < 5:  # noqa: PLR2004 -- fewer say nothing about a habit
        return ""
    habits = [f"about {style.mean_words:.0f} words a message"]
    habits += ["mostly in lower case"] if style.lowercase_share > 0.5 else []  # noqa: PLR2004 -- mostly
    habits += ["often with emoji"] if style.emoji_per_message > 0.3 else []  # noqa: PLR2004 -- one in three
    habits += [f"opening with “{style.greeting}”"] if style.greeting else []
    return f"You write to them with {', '.join(habits)}."


def _remembered(fact: Fact, sources: Mapping[MessageId, Evidence]) -> RememberedFact:
    return RememberedFact(
        fact_id=fact.id,
        statement=fact.statement,
        kind=fact.kind,
        since=fact.valid_from,
        until=fact.valid_to,
        hearsay=fact.hearsay,
        pinned=fact.pinned,
        hidden=fact.hidden,
        corrected=fact.corrected_at is not None,
        sources=tuple(sources[source] for source in fact.source_ids if source in sources),
    )


async def _over(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> list[Fact]:
    """Facts that were true once, those that ended last first."""
    cursor = await connection.execute(
        """
        SELECT id FROM facts
        WHERE owner_id = %s AND contact_id = %s AND NOT hidden AND valid_to <= now()
        ORDER BY valid_to DESC, id DESC LIMIT 20""",
        [owner_id, contact_id],
    )
    return [await read_fact(connection, owner_id, FactId(row[0])) for row in await cursor.fetchall()]


async def _sources(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId]
) -> Mapping[MessageId, Evidence]:
    async with connection.cursor(row_factory=class_row(_Source)) as cursor:
        await cursor.execute(
            """
            SELECT m.id, m.platform_message_id AS message_id,
                   coalesce(nullif(c.title, ''), c.platform_chat_id) || ' · ' || initcap(a.platform)
                       AS chat_title,
                   m.sender_name AS sender, m.sent_at, m.text
            FROM messages m
            JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
            WHERE m.owner_id = %s AND m.id = ANY (%s)""",
            [owner_id, list(messages)],
        )
        rows = await cursor.fetchall()
    return {
        row.id: Evidence(
            message_id=row.message_id,
            chat_title=row.chat_title,
            sender=row.sender,
            sent_at=row.sent_at,
            text=row.text,
        )
        for row in rows
    }


async def _commitments(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> tuple[str, ...]:
    cursor = await connection.execute(
        """
        SELECT statement FROM commitments WHERE owner_id = %s AND contact_id = %s AND state = 'open'
        ORDER BY due_at NULLS LAST, id LIMIT 20""",
        [owner_id, contact_id],
    )
    return tuple(str(row[0]) for row in await cursor.fetchall())
