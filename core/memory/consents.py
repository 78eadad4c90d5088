"""Consents after the fact: what a source may be used for, and contacts who want no part in it.

What is taken back is taken back at once: facts, drafts on show, and adapters that learned from it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from core.errors import BadInput
from core.ids import MessageId, OwnerId, SourceId
from core.memory.forgetting import Forgotten, retire_adapters
from core.memory.references import FoundContact
from core.memory.traces import drop_statements, read_again, withdraw_drafts
from core.storage.database import Connection

UNTRAINED = "Consent to learn from a message that it learned from was withdrawn."
CLOSED = "its source may no longer be drafted from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source and what it may be used for."""

    id: SourceId
    kind: str
    platform: str
    name: str
    may_draft: bool
    may_profile: bool
    may_train: bool
    may_leave: bool
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the owner says about a source; None leaves a consent as it is."""

    draft: bool | None = None
    profile: bool | None = None
    training: bool | None = None
    leave: bool | None = None

    @property
    def any(self) -> bool:
        return (self.draft, self.profile, self.training, self.leave) != (None, None, None, None)


@dataclass(slots=True, kw_only=True)
class Withdrawn:
    """How many rows of each kind went with a consent."""

    facts: int = 0
    commitments: int = 0
    drafts: int = 0
    training_examples: int = 0
    adapters_retired: int = 0


async def list_sources(connection: Connection, owner_id: OwnerId) -> list[Source]:
    """Every source, the oldest first."""
    async with connection.cursor(row_factory=class_row(Source)) as cursor:
        await cursor.execute(
            """
            SELECT s.id, s.kind, s.platform, s.name, s.may_draft, s.may_profile, s.may_train, s.may_leave,
                   (SELECT count(*) FROM messages m WHERE m.owner_id = s.owner_id AND m.source_id = s.id) AS messages
            FROM sources s WHERE s.owner_id = %s ORDER BY s.id""",
            [owner_id],
        )
        return await cursor.fetchall()


async def find_source(connection: Connection, owner_id: OwnerId, text: str) -> Source:
    """The source of that number, name or platform. Raises `BadInput` when it is not exactly one."""
    wanted = text.strip().casefold()
    sources = await list_sources(connection, owner_id)
    for fits in (
        [source for source in sources if str(source.id) == wanted],
        [source for source in sources if source.name.casefold() == wanted != ""],
        [source for source in sources if wanted in (source.platform, f"{source.kind} {source.platform}")],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            shown = ", ".join(f"{each.kind} {each.platform} {each.name} ({each.id})" for each in fits)
            raise BadInput(f"'{text}' may be {shown}: give the number in brackets.")
    raise BadInput(f"No source is called '{text}': 'locum memory consents' lists them.")


async def change_consents(
    connection: Connection, owner_id: OwnerId, source: Source, wishes: Wishes
) -> tuple[Source, Withdrawn]:
    """The source as it stands now, and what went with the consents that were withdrawn."""
    await connection.execute(
        """
        UPDATE sources SET may_draft = coalesce(%s, may_draft), may_profile = coalesce(%s, may_profile),
                           may_train = coalesce(%s, may_train), may_leave = coalesce(%s, may_leave)
        WHERE owner_id = %s AND id = %s""",
        [wishes.draft, wishes.profile, wishes.training, wishes.leave, owner_id, source.id],
    )
    now = await find_source(connection, owner_id, str(source.id))
    gone = Withdrawn()
    messages = await _messages_of(connection, owner_id, source)
    if source.may_draft and not now.may_draft:
        gone.drafts = await withdraw_drafts(connection, owner_id, messages, CLOSED)
    if source.may_profile and not now.may_profile:
        await _drop_profiling(connection, owner_id, source, gone)
    elif now.may_profile and not source.may_profile:
        await read_again(connection, owner_id, messages)
    if source.may_train and not now.may_train:
        await _unlearn(connection, owner_id, messages, gone)
    await _note(
        connection,
        owner_id,
        "consents.changed",
        {
            "source": source.id,
            "may_draft": now.may_draft,
            "may_profile": now.may_profile,
            "may_train": now.may_train,
            "may_leave": now.may_leave,
            **asdict(gone),
        },
    )
    return now, gone


async def _messages_of(connection: Connection, owner_id: OwnerId, source: Source) -> list[MessageId]:
    cursor = await connection.execute(
        "SELECT id FROM messages WHERE owner_id = %s AND source_id = %s", [owner_id, source.id]
    )
    return [MessageId(int(row[0])) for row in await cursor.fetchall()]


async def _drop_profiling(connection: Connection, owner_id: OwnerId, source: Source, gone: Withdrawn) -> None:
    """What is known of others from this source: facts, their promises, summaries, topics, ways of writing.

    What the owner said of themselves is no profile of anybody, and stays. A fact that other sources tell
    too is read from those again; one in the owner's own words stays while such a source stays.
    """
    values = {"owner": owner_id, "source": source.id}
    await connection.execute(
        """
        UPDATE sessions s SET extracted_at = NULL
        FROM facts f
        JOIN fact_sources t ON t.owner_id = f.owner_id AND t.fact_id = f.id
        JOIN messages m ON m.owner_id = t.owner_id AND m.id = t.message_id AND m.source_id <> %(source)s
        WHERE f.owner_id = %(owner)s AND f.subject_kind <> 'owner'
          AND EXISTS (SELECT FROM fact_sources x JOIN messages y ON y.owner_id = x.owner_id AND y.id = x.message_id
                      WHERE x.owner_id = f.owner_id AND x.fact_id = f.id AND y.source_id = %(source)s)
          AND s.owner_id = m.owner_id AND s.chat_id = m.chat_id
          AND m.sent_at BETWEEN s.started_at AND s.ended_at""",
        values,
    )
    cursor = await connection.execute(
        """
        DELETE FROM facts f WHERE f.owner_id = %(owner)s AND f.subject_kind <> 'owner'
          AND EXISTS (SELECT FROM fact_sources t JOIN messages m ON m.owner_id = t.owner_id AND m.id = t.message_id
                      WHERE t.owner_id = f.owner_id AND t.fact_id = f.id AND m.source_id = %(source)s)
          AND (f.corrected_at IS NULL OR NOT EXISTS (
              SELECT FROM fact_sources t
              JOIN messages m ON m.owner_id = t.owner_id AND m.id = t.message_id
              JOIN sources o ON o.owner_id = m.owner_id AND o.id = m.source_id
              WHERE t.owner_id = f.owner_id AND t.fact_id = f.id AND o.may_profile))""",
        values,
    )
    gone.facts = cursor.rowcount
    await connection.execute(
        """
        DELETE FROM fact_edits e USING facts f, fact_sources t, messages m
        WHERE e.owner_id = %(owner)s AND f.owner_id = e.owner_id AND f.id = e.fact_id AND f.subject_kind <> 'owner'
          AND t.owner_id = f.owner_id AND t.fact_id = f.id
          AND m.owner_id = t.owner_id AND m.id = t.message_id AND m.source_id = %(source)s""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM fact_sources t USING facts f, messages m
        WHERE t.owner_id = %(owner)s AND f.owner_id = t.owner_id AND f.id = t.fact_id AND f.subject_kind <> 'owner'
          AND m.owner_id = t.owner_id AND m.id = t.message_id AND m.source_id = %(source)s""",
        values,
    )
    cursor = await connection.execute(
        """
        DELETE FROM commitments c WHERE c.owner_id = %(owner)s AND NOT c.by_owner AND EXISTS (
            SELECT FROM commitment_sources t JOIN messages m ON m.owner_id = t.owner_id AND m.id = t.message_id
            WHERE t.owner_id = c.owner_id AND t.commitment_id = c.id AND m.source_id = %(source)s)""",
        values,
    )
    gone.commitments = cursor.rowcount
    await connection.execute(
        """
        DELETE FROM summary_sources t USING messages m
        WHERE t.owner_id = %(owner)s AND m.owner_id = t.owner_id AND m.id = t.message_id
          AND m.source_id = %(source)s""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM topic_sources t USING messages m
        WHERE t.owner_id = %(owner)s AND m.owner_id = t.owner_id AND m.id = t.message_id
          AND m.source_id = %(source)s""",
        values,
    )
    # Every version: each measured how they write. The next one is made without this source.
    await connection.execute(
        """
        DELETE FROM profiles p WHERE p.owner_id = %(owner)s AND p.contact_id IN (
            SELECT a.contact_id FROM contact_accounts a
            JOIN messages m ON m.owner_id = a.owner_id AND m.sender_id = a.id
            WHERE a.owner_id = %(owner)s AND m.source_id = %(source)s)""",
        values,
    )


async def _unlearn(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId], gone: Withdrawn
) -> None:
    """Adapters that learned from the messages retire, and their examples go."""
    counts = Forgotten()
    await retire_adapters(connection, owner_id, messages, counts, UNTRAINED)
    gone.training_examples, gone.adapters_retired = counts.training_examples, counts.adapters_retired


async def opt_out(connection: Connection, owner_id: OwnerId, contact: FoundContact) -> Withdrawn:
    """The contact is left out from now on: of profiles, of training, of what is stored anew.

    What was said stays, and what was concluded from it goes. Doing it again changes nothing.
    """
    await connection.execute(
        "UPDATE contacts SET opted_out_at = coalesce(opted_out_at, now()) WHERE owner_id = %s AND id = %s",
        [owner_id, contact.id],
    )
    messages = await _said_by(connection, owner_id, contact)
    stated = await drop_statements(connection, owner_id, messages, contact_id=contact.id)
    gone = Withdrawn(facts=stated.facts, commitments=stated.commitments)
    await connection.execute(
        "DELETE FROM profiles WHERE owner_id = %s AND contact_id = %s", [owner_id, contact.id]
    )
    await _unlearn(connection, owner_id, messages, gone)
    await _note(connection, owner_id, "contact.opted_out", {"contact": contact.id, **asdict(gone)})
    return gone


async def opt_in(connection: Connection, owner_id: OwnerId, contact: FoundContact) -> None:
    """The contact is no longer left out; what they said is read again."""
    await connection.execute(
        "UPDATE contacts SET opted_out_at = NULL WHERE owner_id = %s AND id = %s", [owner_id, contact.id]
    )
    await read_again(connection, owner_id, await _said_by(connection, owner_id, contact))
    await _note(connection, owner_id, "contact.opted_in", {"contact": contact.id})


async def _said_by(connection: Connection, owner_id: OwnerId, contact: FoundContact) -> list[MessageId]:
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m
        JOIN contact_accounts a ON a.owner_id = m.owner_id AND a.id = m.sender_id
        WHERE m.owner_id = %s AND a.contact_id = %s""",
        [owner_id, contact.id],
    )
    return [MessageId(int(row[0])) for row in await cursor.fetchall()]


async def _note(connection: Connection, owner_id: OwnerId, action: str, subject: dict[str, object]) -> None:
    await connection.execute(
        "INSERT INTO audit (owner_id, actor, action, subject) VALUES (%s, 'owner', %s, %s)",
        [owner_id, action, Jsonb(subject)],
    )
