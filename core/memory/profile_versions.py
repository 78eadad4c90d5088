"""Versions of a profile, for its owner: what each said, and what changed from one to the next."""

from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.errors import BadInput
from core.ids import ContactId, FactId, MessageId, OwnerId
from core.memory.profiles import STYLES, StoredStyles, Style
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """A line of a version: the fact as it stands today, with its messages."""

    fact_id: FactId
    statement: str
    valid_to: datetime | None
    """None: until further notice."""
    sources: list[MessageId]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileVersion:
    """One version. Lines whose messages were forgotten since are gone from every version."""

    version: int
    created_at: datetime
    lines: tuple[VersionLine, ...]
    styles: StoredStyles


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDiff:
    """What a version says that the one before did not, and the other way about."""

    older: int | None
    """None: there is none before."""
    newer: int
    added: tuple[VersionLine, ...]
    removed: tuple[VersionLine, ...]
    changed: tuple[tuple[str, str, str], ...]
    """Of the style: whose and what, as it was, and as it is."""


async def list_versions(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId | None
) -> list[tuple[int, datetime]]:
    """Number and time of each version, newest first; `contact_id` None: of the owner's biography."""
    cursor = await connection.execute(
        """
        SELECT version, created_at FROM profiles
        WHERE owner_id = %s AND contact_id IS NOT DISTINCT FROM %s ORDER BY version DESC""",
        [owner_id, contact_id],
    )
    return [(int(row[0]), row[1]) for row in await cursor.fetchall()]


async def read_version(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId | None, version: int | None = None
) -> ProfileVersion:
    """One version, by default the latest. Raises `BadInput` when there is none of that number."""
    cursor = await connection.execute(
        """
        SELECT id, version, created_at, style FROM profiles
        WHERE owner_id = %(owner)s AND contact_id IS NOT DISTINCT FROM %(contact)s
          AND (%(version)s::integer IS NULL OR version = %(version)s)
        ORDER BY version DESC LIMIT 1""",
        {"owner": owner_id, "contact": contact_id, "version": version},
    )
    row = await cursor.fetchone()
    if row is None:
        there = [str(number) for number, _ in await list_versions(connection, owner_id, contact_id)]
        told = (
            f"There are: {', '.join(there)}."
            if there
            else "There is none yet: 'locum memory extract' writes them."
        )
        raise BadInput(f"There is no version {version} of this profile. {told}" if version else told)
    return ProfileVersion(
        version=row[1],
        created_at=row[2],
        lines=await _lines(connection, owner_id, row[0]),
        styles=STYLES.validate_python(row[3]),
    )


async def _lines(connection: Connection, owner_id: OwnerId, profile_id: int) -> tuple[VersionLine, ...]:
    async with connection.cursor(row_factory=class_row(VersionLine)) as cursor:
        await cursor.execute(
            """
            SELECT f.id AS fact_id, f.statement, nullif(f.valid_to, 'infinity') AS valid_to,
                   ARRAY(SELECT s.message_id FROM fact_sources s WHERE s.owner_id = f.owner_id
                         AND s.fact_id = f.id ORDER BY s.message_id) AS sources
            FROM profile_lines l JOIN facts f ON f.owner_id = l.owner_id AND f.id = l.fact_id
            WHERE l.owner_id = %s AND l.profile_id = %s AND NOT f.hidden ORDER BY l.position""",
            [owner_id, profile_id],
        )
        return tuple(await cursor.fetchall())


async def read_diff(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId | None, version: int | None = None
) -> ProfileDiff:
    """What changed with a version, by default the latest. Raises `BadInput` when there is none of that number."""
    newer = await read_version(connection, owner_id, contact_id, version)
    before = [
        number
        for number, _ in await list_versions(connection, owner_id, contact_id)
        if number < newer.version
    ]
    if not before:
        return ProfileDiff(older=None, newer=newer.version, added=newer.lines, removed=(), changed=())
    older = await read_version(connection, owner_id, contact_id, before[0])
    had, has = {line.fact_id for line in older.lines}, {line.fact_id for line in newer.lines}
    return ProfileDiff(
        older=older.version,
        newer=newer.version,
        added=tuple(line for line in newer.lines if line.fact_id not in had),
        removed=tuple(line for line in older.lines if line.fact_id not in has),
        changed=(
            *_changes("you", older.styles.owner, newer.styles.owner),
            *_changes("they", older.styles.contact or Style(), newer.styles.contact or Style()),
        ),
    )


def _changes(whose: str, older: Style, newer: Style) -> list[tuple[str, str, str]]:
    """What of a style is another now; how many messages it was measured on is not told, for it always is."""
    before, after = asdict(older), asdict(newer)
    return [
        (f"{whose}: {name.replace('_', ' ')}", str(before[name]), str(after[name]))
        for name in before
        if name != "messages" and before[name] != after[name]
    ]
