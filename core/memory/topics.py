"""Topics as they are read and as their owner has them: named interests and concerns, with their timeline."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.audience import Reader
from core.errors import BadInput
from core.ids import AudienceId, ContactId, MessageId, OwnerId, TopicId
from core.memory.topic_names import keep_version
from core.storage.database import Connection

UNKNOWN = "There is no topic {}: 'locum memory topics' lists them."


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTopic:
    """A topic as the SQL function shows it to one reader."""

    topic_id: TopicId
    theme_id: TopicId | None
    """The eldest topic about the same thing, said to others; told to the owner alone."""
    audience_id: AudienceId
    name: str
    description: str
    version: int
    pinned: bool
    messages: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTopic:
    """A topic as its owner sees it, hidden ones too."""

    id: TopicId
    theme_id: TopicId | None
    name: str
    description: str
    version: int
    audience: str
    """In words: whom it was said to."""
    extractor: str
    named_by_owner: bool
    pinned: bool
    hidden: bool
    owner_only: bool
    messages: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """How much was said about it in one calendar month."""

    month: str
    """YYYY-MM, in UTC."""
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLine:
    """One of its messages."""

    message_id: MessageId
    chat_title: str
    sender: str
    sent_at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicVersion:
    """What it was called before."""

    version: int
    name: str
    description: str
    extractor: str
    replaced_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicHistory:
    """A topic with all that stands behind it."""

    topic: OwnTopic
    timeline: tuple[Month, ...]
    lines: tuple[TopicLine, ...]
    """The newest, newest first."""
    versions: tuple[TopicVersion, ...]
    related: tuple[OwnTopic, ...]
    """About the same thing, said to others."""


async def known_topics(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    contact_id: ContactId | None = None,
    query: str = "",
    limit: int = 50,
    drafting: bool = False,
) -> list[KnownTopic]:
    """The topics that this reader may learn of, pinned ones first, then the newest.

    With `contact_id`, those that the contact spoke of, or the owner in a direct chat with them.
    """
    async with connection.cursor(row_factory=class_row(KnownTopic)) as cursor:
        await cursor.execute(
            """
            SELECT topic_id, theme_id, audience_id, name, description, version, pinned, messages, first_seen,
                   last_seen
            FROM known_topics(%s, %s, %s, %s, %s, %s, %s)""",
            [owner_id, reader.kind, reader.id, contact_id, query, limit, drafting],
        )
        return await cursor.fetchall()


async def list_topics(connection: Connection, owner_id: OwnerId, *, limit: int = 500) -> list[OwnTopic]:
    """The owner's own view: pinned first, then the newest."""
    async with connection.cursor(row_factory=class_row(OwnTopic)) as cursor:
        await cursor.execute(
            """
            SELECT t.id, t.theme_id, t.name, t.description, t.version,
                   coalesce((SELECT string_agg(p.display_name, ', ' ORDER BY p.display_name, p.id)
                             FROM audience_members m
                             JOIN contacts p ON p.owner_id = m.owner_id AND p.id = m.contact_id
                             WHERE m.owner_id = a.owner_id AND m.audience_id = a.id),
                            c.title, a.kind) AS audience, t.extractor,
                   t.named_by_owner, t.pinned, t.hidden, t.owner_only, t.messages, t.first_seen, t.last_seen
            FROM topics t
            JOIN audiences a ON a.owner_id = t.owner_id AND a.id = t.audience_id
            LEFT JOIN chats c ON c.owner_id = a.owner_id AND c.id = a.chat_id
            WHERE t.owner_id = %s AND t.name <> '' AND t.messages > 0
            ORDER BY t.pinned DESC, t.last_seen DESC, t.id LIMIT %s""",
            [owner_id, limit],
        )
        return await cursor.fetchall()


async def read_topic(connection: Connection, owner_id: OwnerId, topic_id: TopicId) -> OwnTopic:
    """One topic. Raises `BadInput` when there is none of that number."""
    async with connection.cursor(row_factory=class_row(OwnTopic)) as cursor:
        await cursor.execute(
            """
            SELECT t.id, t.theme_id, t.name, t.description, t.version,
                   coalesce((SELECT string_agg(p.display_name, ', ' ORDER BY p.display_name, p.id)
                             FROM audience_members m
                             JOIN contacts p ON p.owner_id = m.owner_id AND p.id = m.contact_id
                             WHERE m.owner_id = a.owner_id AND m.audience_id = a.id),
                            c.title, a.kind) AS audience, t.extractor,
                   t.named_by_owner, t.pinned, t.hidden, t.owner_only, t.messages, t.first_seen, t.last_seen
            FROM topics t
            JOIN audiences a ON a.owner_id = t.owner_id AND a.id = t.audience_id
            LEFT JOIN chats c ON c.owner_id = a.owner_id AND c.id = a.chat_id
            WHERE t.owner_id = %s AND t.id = %s AND t.name <> ''""",
            [owner_id, topic_id],
        )
        topic = await cursor.fetchone()
    if topic is None:
        raise BadInput(UNKNOWN.format(topic_id))
    return topic


async def read_topic_history(
    connection: Connection, owner_id: OwnerId, topic_id: TopicId, *, lines: int = 20
) -> TopicHistory:
    """A topic, its timeline, its newest messages, what it was called before, and its like said to others."""
    topic = await read_topic(connection, owner_id, topic_id)
    related = [
        other
        for other in await list_topics(connection, owner_id)
        if other.id != topic.id and (other.theme_id or other.id) == (topic.theme_id or topic.id)
    ]
    return TopicHistory(
        topic=topic,
        timeline=await read_timeline(connection, owner_id, topic_id),
        lines=await _newest(connection, owner_id, topic_id, lines),
        versions=await _versions(connection, owner_id, topic_id),
        related=tuple(related),
    )


async def read_timeline(connection: Connection, owner_id: OwnerId, topic_id: TopicId) -> tuple[Month, ...]:
    """Months in which something was said about it, oldest first; for the owner's eyes."""
    async with connection.cursor(row_factory=class_row(Month)) as cursor:
        await cursor.execute(
            """
            SELECT to_char(m.sent_at, 'YYYY-MM') AS month, count(*)::integer AS messages
            FROM topic_sources s JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            WHERE s.owner_id = %s AND s.topic_id = %s GROUP BY 1 ORDER BY 1""",
            [owner_id, topic_id],
        )
        return tuple(await cursor.fetchall())


async def _newest(
    connection: Connection, owner_id: OwnerId, topic_id: TopicId, limit: int
) -> tuple[TopicLine, ...]:
    async with connection.cursor(row_factory=class_row(TopicLine)) as cursor:
        await cursor.execute(
            """
            SELECT m.id AS message_id, c.title AS chat_title, m.sender_name AS sender, m.sent_at, m.text
            FROM topic_sources s
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            WHERE s.owner_id = %s AND s.topic_id = %s ORDER BY m.sent_at DESC, m.id DESC LIMIT %s""",
            [owner_id, topic_id, limit],
        )
        return tuple(await cursor.fetchall())


async def _versions(connection: Connection, owner_id: OwnerId, topic_id: TopicId) -> tuple[TopicVersion, ...]:
    async with connection.cursor(row_factory=class_row(TopicVersion)) as cursor:
        await cursor.execute(
            """
            SELECT version, name, description, extractor, replaced_at FROM topic_versions
            WHERE owner_id = %s AND topic_id = %s ORDER BY version""",
            [owner_id, topic_id],
        )
        return tuple(await cursor.fetchall())


async def rename_topic(
    connection: Connection, owner_id: OwnerId, topic_id: TopicId, name: str, description: str | None = None
) -> OwnTopic:
    """The topic in the owner's words, which no later naming changes; whom it is known to stays."""
    wording = " ".join(name.split())
    if not wording:
        raise BadInput("Give the name as it should be, or 'locum memory topic ID --delete' to remove it.")
    await read_topic(connection, owner_id, topic_id)
    await keep_version(connection, owner_id, topic_id)
    await connection.execute(
        """
        UPDATE topics SET name = %(name)s, named_by_owner = true, extractor = 'owner',
            description = coalesce(%(description)s, description),
            described_by_owner = described_by_owner OR %(description)s IS NOT NULL
        WHERE owner_id = %(owner)s AND id = %(topic)s""",
        {
            "owner": owner_id,
            "topic": topic_id,
            "name": wording,
            "description": None if description is None else " ".join(description.split()),
        },
    )
    return await read_topic(connection, owner_id, topic_id)


async def pin_topic(
    connection: Connection, owner_id: OwnerId, topic_id: TopicId, *, pinned: bool
) -> OwnTopic:
    """The topic, first among its like or no longer."""
    await connection.execute(
        "UPDATE topics SET pinned = %s WHERE owner_id = %s AND id = %s", [pinned, owner_id, topic_id]
    )
    return await read_topic(connection, owner_id, topic_id)


async def hide_topic(
    connection: Connection, owner_id: OwnerId, topic_id: TopicId, *, hidden: bool
) -> OwnTopic:
    """The topic, kept and used nowhere, or no longer so."""
    await connection.execute(
        "UPDATE topics SET hidden = %s WHERE owner_id = %s AND id = %s", [hidden, owner_id, topic_id]
    )
    return await read_topic(connection, owner_id, topic_id)


async def delete_topic(connection: Connection, owner_id: OwnerId, topic_id: TopicId) -> None:
    """Without its name and words for good: what is said about it later does not bring it back.

    Its messages stay; 'locum memory forget' removes messages.
    """
    await read_topic(connection, owner_id, topic_id)
    await connection.execute(
        "DELETE FROM topic_versions WHERE owner_id = %s AND topic_id = %s", [owner_id, topic_id]
    )
    await connection.execute(
        """
        UPDATE topics SET name = '', description = '', named_by_owner = false, described_by_owner = false,
            pinned = false, deleted_at = now()
        WHERE owner_id = %s AND id = %s""",
        [owner_id, topic_id],
    )
