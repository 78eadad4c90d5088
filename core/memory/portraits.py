"""Portraits: all that is known of a contact, or of the owner, put together for one reader, with its sources.

A profile (`profiles`) is facts and style, as prompts use it. A portrait adds who the contact is to the owner,
what the two talk about, what is open between them, and what was said last.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from psycopg.rows import class_row

from core.audience import Reader
from core.ids import ChatId, ContactId, MessageId, OwnerId
from core.memory.profiles import Profile, Style, read_profile
from core.memory.topics import KnownTopic, known_topics
from core.storage.database import Connection

MOST_TOPICS, MOST_COMMITMENTS, MOST_SAID = 8, 20, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """Something that one of the two said they would do."""

    commitment_id: int
    contact_id: ContactId
    by_owner: bool
    statement: str
    due_at: datetime | None
    source_ids: list[MessageId]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSaid:
    """One of the contact's latest messages."""

    message_id: MessageId
    chat_id: ChatId
    text: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A contact (or with `profile.contact_id` None the owner), as one reader may know them."""

    profile: Profile
    version: int | None
    """Of the profile; None where none was written yet, and for readers other than the owner."""
    relation: str
    """Who they are to the owner, in the owner's words; for the owner alone."""
    circle: str
    topics: tuple[KnownTopic, ...]
    commitments: tuple[Commitment, ...]
    last_said: tuple[LastSaid, ...]
    """Newest first."""


async def read_portrait(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    contact_id: ContactId | None,
    as_of: datetime | None = None,
) -> Portrait | None:
    """The portrait for this reader; None when there is nothing to tell, or nobody of that id.

    As of an earlier day it is what was known then, alone: topics, what is open and what was said last are of today.
    """
    profile = await read_profile(
        connection, owner_id=owner_id, reader=reader, contact_id=contact_id, as_of=as_of
    )
    if profile is None:
        return None
    relation, circle, version = await _standing(connection, owner_id, contact_id)
    own = reader.kind == "owner"
    earlier = Portrait(
        profile=profile if own or _is_theirs(reader, contact_id) else _without_style(profile),
        version=version if own and as_of is None else None,
        relation=relation if own else "",
        circle=circle if own else "",
        topics=(),
        commitments=(),
        last_said=(),
    )
    if as_of is not None:
        return earlier
    return replace(
        earlier,
        topics=tuple(
            await known_topics(
                connection, owner_id=owner_id, reader=reader, contact_id=contact_id, limit=MOST_TOPICS
            )
        ),
        commitments=tuple(
            await known_commitments(connection, owner_id=owner_id, reader=reader, contact_id=contact_id)
        ),
        last_said=tuple(
            await last_said(connection, owner_id=owner_id, reader=reader, contact_id=contact_id)
            if contact_id is not None
            else ()
        ),
    )


def _is_theirs(reader: Reader, contact_id: ContactId | None) -> bool:
    """How the two write is measured on what only they have read."""
    return reader.kind == "contact" and reader.id == contact_id


def _without_style(profile: Profile) -> Profile:
    return replace(profile, style=Style(), their_style=None)


async def _standing(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId | None
) -> tuple[str, str, int | None]:
    cursor = await connection.execute(
        """
        SELECT coalesce(max(c.relation), ''), coalesce(max(c.circle), ''), max(p.version)
        FROM (SELECT %(owner)s::bigint AS owner_id, %(contact)s::bigint AS contact_id) w
        LEFT JOIN contacts c ON c.owner_id = w.owner_id AND c.id = w.contact_id AND c.opted_out_at IS NULL
        LEFT JOIN profiles p ON p.owner_id = w.owner_id AND p.contact_id IS NOT DISTINCT FROM w.contact_id""",
        {"owner": owner_id, "contact": contact_id},
    )
    row = await cursor.fetchone()
    return (str(row[0]), str(row[1]), row[2]) if row else ("", "", None)


async def known_commitments(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    contact_id: ContactId | None = None,
    limit: int = MOST_COMMITMENTS,
) -> list[Commitment]:
    """What is open between the owner and the contact (None: anybody), as this reader may know it, by due date."""
    async with connection.cursor(row_factory=class_row(Commitment)) as cursor:
        await cursor.execute(
            """
            SELECT commitment_id, contact_id, by_owner, statement, due_at, source_ids
            FROM known_commitments(%s, %s, %s, %s, %s)""",
            [owner_id, reader.kind, reader.id, contact_id, limit],
        )
        return await cursor.fetchall()


async def last_said(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    contact_id: ContactId,
    limit: int = MOST_SAID,
) -> list[LastSaid]:
    """What the contact said last, as far as this reader may read it, newest first.

    Nothing from sources that may not be profiled, and nothing of a contact who opted out.
    """
    async with connection.cursor(row_factory=class_row(LastSaid)) as cursor:
        await cursor.execute(
            "SELECT message_id, chat_id, text, sent_at FROM last_said(%s, %s, %s, %s, %s)",
            [owner_id, reader.kind, reader.id, contact_id, limit],
        )
        return await cursor.fetchall()
