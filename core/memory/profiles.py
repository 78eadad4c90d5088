"""Profiles of contacts and the owner's biography: renderings of facts, for one reader."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg.rows import class_row
from pydantic import TypeAdapter

from core.audience import Reader
from core.ids import ContactId, FactId, MessageId, OwnerId
from core.storage.database import Connection

MOST_LINES = 24

LEAST_REGISTER = 10
"""Messages of the owner's that make a register of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLine:
    """One thing that is known, in the third person."""

    fact_id: FactId
    statement: str
    kind: str
    sources: tuple[MessageId, ...]
    confidence: float
    hearsay: bool
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one side writes; numbers are means over that side's messages."""

    messages: int = 0
    language: str = ""
    """ISO 639-1; empty when it cannot be told."""
    mean_words: float = 0.0
    messages_per_burst: float = 0.0
    emoji_per_message: float = 0.0
    lowercase_share: float = 0.0
    """Share of messages that have letters, and none of them a capital."""
    formality: float = 0.0
    """Between 0 (lower case, emoji, slang, no punctuation) and 1."""
    greeting: str = ""
    """How a session is mostly opened; empty when mostly without a greeting."""
    reply_latency_seconds: float | None = None
    """Median, within a session; None when this side never replied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known about a contact (or, with `contact_id` None, about the owner)."""

    contact_id: ContactId | None
    name: str
    lines: tuple[ProfileLine, ...]
    style: Style
    """How the owner writes to this contact; for the biography, to everyone."""
    their_style: Style | None
    """How the contact writes to the owner; None for the biography."""
    relation: str = ""
    """In the owner's words, where they said so."""
    circle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStyles:
    """What `profiles.style` holds."""

    owner: Style = Style()
    contact: Style | None = None
    registers: dict[str, Style] = field(default_factory=dict[str, Style])
    """How the owner writes to the contact on each platform, where there are several."""

    def on(self, platform: str | None) -> Style:
        """The owner's style there; of too few messages there, the style everywhere says more."""
        register = self.registers.get(platform or "", Style())
        return register if register.messages >= LEAST_REGISTER else self.owner


STYLES: TypeAdapter[StoredStyles] = TypeAdapter(StoredStyles)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFact:
    """A fact as the SQL function shows it to one reader."""

    fact_id: FactId
    subject_kind: str
    contact_id: ContactId | None
    subject: str
    kind: str
    slot: str
    statement: str
    confidence: float
    hearsay: bool
    pinned: bool
    valid_from: datetime
    valid_to: datetime | None
    """None: until further notice."""
    source_ids: list[MessageId]


async def known_facts(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    subject_kind: str | None = None,
    contact_id: ContactId | None = None,
    as_of: datetime | None = None,
    limit: int = MOST_LINES,
    drafting: bool = False,
) -> list[KnownFact]:
    """What this reader may learn, best first. Hidden facts are left out, for every reader.

    `drafting` leaves out what rests on a source that may not be drafted from.
    """
    async with connection.cursor(row_factory=class_row(KnownFact)) as cursor:
        await cursor.execute(
            """
            SELECT fact_id, subject_kind, contact_id, subject, kind, slot, statement, confidence, hearsay,
                   pinned, valid_from, nullif(valid_to, 'infinity') AS valid_to, source_ids
            FROM known_facts(%s, %s, %s, %s, %s, %s, %s, %s)""",
            [owner_id, reader.kind, reader.id, contact_id, subject_kind, as_of, limit, drafting],
        )
        return await cursor.fetchall()


async def known_facts_of(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    fact_ids: Sequence[FactId],
    as_of: datetime | None = None,
    drafting: bool = False,
) -> list[KnownFact]:
    """Of these facts those that this reader may learn and that hold, best first: see `known_facts`."""
    async with connection.cursor(row_factory=class_row(KnownFact)) as cursor:
        await cursor.execute(
            """
            SELECT fact_id, subject_kind, contact_id, subject, kind, slot, statement, confidence, hearsay,
                   pinned, valid_from, nullif(valid_to, 'infinity') AS valid_to, source_ids
            FROM known_facts_of(%s, %s, %s, NULL, NULL, %s, %s, %s, %s)""",
            [owner_id, reader.kind, reader.id, as_of, len(fact_ids), drafting, list(fact_ids)],
        )
        return await cursor.fetchall()


async def read_profile(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    contact_id: ContactId | None,
    as_of: datetime | None = None,
    drafting: bool = False,
    platform: str | None = None,
) -> Profile | None:
    """The contact's profile (`contact_id` None: the owner's biography), as this reader may know it.

    With `platform`, the style is the register in which the owner writes to the contact there.
    `drafting` leaves out lines that rest on a source that may not be drafted from. None when there is
    nothing to tell, or nobody of that id.
    """
    person = await _person(connection, owner_id, contact_id)
    if person is None:
        return None
    name, styles, relation, circle = person
    facts = await known_facts(
        connection,
        owner_id=owner_id,
        reader=reader,
        subject_kind="owner" if contact_id is None else "contact",
        contact_id=contact_id,
        as_of=as_of,
        drafting=drafting,
    )
    if not facts and styles is None:
        return None
    return Profile(
        contact_id=contact_id,
        name=name,
        lines=tuple(_line(fact) for fact in facts),
        style=styles.on(platform) if styles else Style(),
        their_style=styles.contact if styles else None,
        relation=relation,
        circle=circle,
    )


def _line(fact: KnownFact) -> ProfileLine:
    return ProfileLine(
        fact_id=fact.fact_id,
        statement=fact.statement,
        kind=fact.kind,
        sources=tuple(fact.source_ids),
        confidence=fact.confidence,
        hearsay=fact.hearsay,
        pinned=fact.pinned,
    )


async def _person(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId | None
) -> tuple[str, StoredStyles | None, str, str] | None:
    """The contact's (None: the owner's) name, the latest styles, relation and circle; None for nobody."""
    cursor = await connection.execute(
        """
        SELECT w.name, (
            SELECT p.style FROM profiles p
            WHERE p.owner_id = %(owner)s AND p.contact_id IS NOT DISTINCT FROM %(contact)s
              AND w.opted_out_at IS NULL
            ORDER BY p.version DESC LIMIT 1), w.relation, w.circle
        FROM (
            SELECT display_name AS name, opted_out_at, relation, circle FROM contacts
            WHERE owner_id = %(owner)s AND id = %(contact)s
            UNION ALL
            SELECT coalesce(nullif(display_name, ''), handle), NULL, '', '' FROM owners
            WHERE id = %(owner)s AND %(contact)s::bigint IS NULL
        ) w""",
        {"owner": owner_id, "contact": contact_id},
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return (
        str(row[0]),
        STYLES.validate_python(row[1]) if row[1] is not None else None,
        str(row[2]),
        str(row[3]),
    )
