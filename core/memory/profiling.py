"""Writing profiles: versions of what is known of a contact, and of the owner, when that changes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from psycopg.types.json import Jsonb

from core.audience import Reader
from core.ids import ContactId, FactId, OwnerId
from core.memory.profiles import STYLES, StoredStyles, Style, known_facts
from core.memory.sessions import SHORTEST_GAP
from core.memory.style import Written, measure_style
from core.storage.database import Connection, Database

MOST_MESSAGES = 4000
"""How far back a style looks."""

NOTICEABLE = 0.1
"""How far a share, or a size in parts of itself, must move to be worth a new version."""

GROWN = 2
"""How many times as many messages as it was measured on make a style new however little it moved."""


async def refresh_profiles(database: Database, owner_id: OwnerId) -> int:
    """Bring every profile and the biography up to date; how many versions were written."""
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT c.id FROM contacts c
            WHERE c.owner_id = %(owner)s AND c.opted_out_at IS NULL AND c.merged_into IS NULL AND (
                EXISTS (SELECT FROM facts f WHERE f.owner_id = c.owner_id AND f.contact_id = c.id)
                OR EXISTS (SELECT FROM profiles p WHERE p.owner_id = c.owner_id AND p.contact_id = c.id)
                OR EXISTS (SELECT FROM chat_members m JOIN chats h ON h.owner_id = m.owner_id
                           AND h.id = m.chat_id AND h.kind = 'direct'
                           WHERE m.owner_id = c.owner_id AND m.contact_id = c.id))
            ORDER BY c.id""",
            {"owner": owner_id},
        )
        contacts = [ContactId(row[0]) for row in await cursor.fetchall()]
    written = 0
    for contact_id in (None, *contacts):
        async with database.owner(owner_id) as connection:
            written += await refresh_profile(connection, owner_id, contact_id)
    return written


async def refresh_profile(connection: Connection, owner_id: OwnerId, contact_id: ContactId | None) -> bool:
    """Write a new version of the profile if its lines or its style changed; whether it did."""
    facts = await known_facts(
        connection,
        owner_id=owner_id,
        reader=Reader.owner(),
        subject_kind="owner" if contact_id is None else "contact",
        contact_id=contact_id,
    )
    lines = [fact.fact_id for fact in facts]
    styles = await _styles(connection, owner_id, contact_id)
    latest = await _latest(connection, owner_id, contact_id)
    if latest is not None and lines == latest[2] and are_alike(latest[1], styles):
        if styles != latest[1]:
            await _measured_anew(connection, owner_id, contact_id, version=latest[0], styles=styles)
        return False
    if latest is None and not lines and styles == StoredStyles():
        return False
    version = latest[0] + 1 if latest else 1
    await _write(connection, owner_id, contact_id, version=version, styles=styles, lines=lines)
    return True


def are_alike(older: StoredStyles, newer: StoredStyles) -> bool:
    """Whether a style is the same but for what a few messages more always change."""
    sides = [(older.owner, newer.owner), (older.contact or Style(), newer.contact or Style())]
    return older.registers.keys() == newer.registers.keys() and all(
        _is_alike(before, after)
        for before, after in (
            *sides,
            *((older.registers[key], newer.registers[key]) for key in newer.registers),
        )
    )


def _is_alike(older: Style, newer: Style) -> bool:
    if (older.language, older.greeting) != (newer.language, newer.greeting):
        return False
    if older.messages == 0 or newer.messages >= GROWN * older.messages:
        return older == newer
    shares = (
        (older.emoji_per_message, newer.emoji_per_message),
        (older.lowercase_share, newer.lowercase_share),
        (older.formality, newer.formality),
    )
    sizes = (
        (older.mean_words, newer.mean_words),
        (older.messages_per_burst, newer.messages_per_burst),
        (older.reply_latency_seconds or 0.0, newer.reply_latency_seconds or 0.0),
    )
    return all(abs(a - b) <= NOTICEABLE for a, b in shares) and all(
        abs(a - b) <= NOTICEABLE * max(a, b) for a, b in sizes
    )


async def _measured_anew(
    connection: Connection,
    owner_id: OwnerId,
    contact_id: ContactId | None,
    *,
    version: int,
    styles: StoredStyles,
) -> None:
    await connection.execute(
        """
        UPDATE profiles SET style = %s
        WHERE owner_id = %s AND contact_id IS NOT DISTINCT FROM %s AND version = %s""",
        [Jsonb(STYLES.dump_python(styles, mode="json")), owner_id, contact_id, version],
    )


async def _latest(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId | None
) -> tuple[int, StoredStyles, list[FactId]] | None:
    cursor = await connection.execute(
        """
        SELECT p.version, p.style,
               ARRAY(SELECT l.fact_id FROM profile_lines l
                     WHERE l.owner_id = p.owner_id AND l.profile_id = p.id ORDER BY l.position)
        FROM profiles p WHERE p.owner_id = %s AND p.contact_id IS NOT DISTINCT FROM %s
        ORDER BY p.version DESC LIMIT 1""",
        [owner_id, contact_id],
    )
    row = await cursor.fetchone()
    return (int(row[0]), STYLES.validate_python(row[1]), [FactId(each) for each in row[2]]) if row else None


async def _write(
    connection: Connection,
    owner_id: OwnerId,
    contact_id: ContactId | None,
    *,
    version: int,
    styles: StoredStyles,
    lines: list[FactId],
) -> None:
    await connection.execute(
        """
        WITH profile AS (
            INSERT INTO profiles (owner_id, contact_id, version, style) VALUES (%s, %s, %s, %s)
            RETURNING owner_id, id)
        INSERT INTO profile_lines (owner_id, profile_id, position, fact_id)
        SELECT p.owner_id, p.id, line.position, line.fact_id
        FROM profile p, unnest(%s::bigint[]) WITH ORDINALITY AS line (fact_id, position)""",
        [owner_id, contact_id, version, Jsonb(STYLES.dump_python(styles, mode="json")), lines],
    )


async def _styles(connection: Connection, owner_id: OwnerId, contact_id: ContactId | None) -> StoredStyles:
    """From direct chats with the contact; for the owner, from all that the owner typed."""
    by_platform = await _written(connection, owner_id, contact_id)
    messages = [message for _, message in by_platform]
    gap = await _gap(connection, owner_id, contact_id)
    owner = measure_style(messages, session_gap=gap)
    if contact_id is None:
        return StoredStyles(owner=owner)
    theirs = [replace(message, mine=not message.mine) for message in messages]
    measured = measure_style(theirs, session_gap=gap)
    return StoredStyles(
        owner=owner,
        contact=measured if measured.messages else None,
        registers=_registers(by_platform, gap),
    )


def _registers(by_platform: Sequence[tuple[str, Written]], gap: timedelta) -> dict[str, Style]:
    """A style a platform; none where there is but one platform."""
    platforms = sorted({platform for platform, _ in by_platform})
    if len(platforms) == 1:
        return {}
    return {
        platform: measure_style([line for where, line in by_platform if where == platform], session_gap=gap)
        for platform in platforms
    }


async def _written(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId | None
) -> list[tuple[str, Written]]:
    """What was written, each line with its platform, oldest first."""
    cursor = await connection.execute(
        """
        SELECT a.platform, m.sender_id IS NULL AS mine, m.sender_id AS author, m.text, m.sent_at
        FROM messages m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id AND c.kind = 'direct'
        JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
        WHERE m.owner_id = %(owner)s AND m.deleted_at IS NULL AND NOT m.automatic AND NOT m.forwarded
          AND (m.origin = 'typed' OR (m.origin = 'contact' AND s.may_profile))
          AND (%(contact)s::bigint IS NULL OR EXISTS (
              SELECT FROM chat_members p WHERE p.owner_id = c.owner_id AND p.chat_id = c.id
              AND p.contact_id = %(contact)s))
        ORDER BY m.sent_at DESC, m.id DESC LIMIT %(most)s""",
        {"owner": owner_id, "contact": contact_id, "most": MOST_MESSAGES},
    )
    rows = await cursor.fetchall()
    return [
        (str(row[0]), Written(mine=row[1], author=row[2], text=row[3], sent_at=row[4]))
        for row in reversed(rows)
    ]


async def _gap(connection: Connection, owner_id: OwnerId, contact_id: ContactId | None) -> timedelta:
    cursor = await connection.execute(
        """
        SELECT max(c.session_gap_seconds) FROM chats c
        WHERE c.owner_id = %(owner)s AND c.kind = 'direct' AND (%(contact)s::bigint IS NULL OR EXISTS (
            SELECT FROM chat_members m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id
            AND m.contact_id = %(contact)s))""",
        {"owner": owner_id, "contact": contact_id},
    )
    row = await cursor.fetchone()
    return timedelta(seconds=float(row[0])) if row and row[0] is not None else SHORTEST_GAP
