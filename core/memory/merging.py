"""One person on several platforms: proposed by name, merged only when the owner says so.

A name never identifies anybody, so nothing is merged by itself. Merged, both contacts are one: what was
said to either may be told to the other, for they are the same person; their accounts stay apart, and so
do the registers in which the owner writes to each (`profiling.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import class_row

from core.errors import BadInput
from core.ids import ContactId, OwnerId
from core.memory.membership import ensure_audience
from core.memory.references import FoundContact
from core.memory.storing import lock_facts
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Two contacts that may be one person, and why it seems so."""

    contact_id: ContactId
    name: str
    where: str
    other_id: ContactId
    other_name: str
    other_where: str
    why: str


async def propose_merges(connection: Connection, owner_id: OwnerId) -> int:
    """How many pairs are new: the same name, in two words or more, on different platforms.

    A pair that was refused is not proposed again; bots, and people who opted out, never are.
    """
    cursor = await connection.execute(
        """
        WITH known AS (
            SELECT DISTINCT c.id, a.platform, a.realm,
                   regexp_replace(btrim(lower(a.display_name)), '\\s+', ' ', 'g') AS name
            FROM contacts c
            JOIN contact_accounts a ON a.owner_id = c.owner_id AND a.contact_id = c.id
            WHERE c.owner_id = %(owner)s AND c.opted_out_at IS NULL AND NOT a.is_bot
        )
        INSERT INTO contact_merges (owner_id, contact_id, other_id, why)
        SELECT DISTINCT %(owner)s, least(k.id, o.id), greatest(k.id, o.id), 'the same name'
        FROM known k JOIN known o ON o.name = k.name AND o.id > k.id
             AND (o.platform, o.realm) <> (k.platform, k.realm)
        WHERE k.name LIKE '%% %%'
        ON CONFLICT (owner_id, contact_id, other_id) DO NOTHING""",
        {"owner": owner_id},
    )
    return cursor.rowcount


async def list_merges(connection: Connection, owner_id: OwnerId) -> list[Proposal]:
    """Open proposals, the oldest first."""
    async with connection.cursor(row_factory=class_row(Proposal)) as cursor:
        await cursor.execute(
            """
            SELECT m.contact_id, c.display_name AS name, m.other_id, o.display_name AS other_name, m.why,
                   (SELECT string_agg(DISTINCT a.platform, ', ') FROM contact_accounts a
                    WHERE a.owner_id = m.owner_id AND a.contact_id = m.contact_id) AS where,
                   (SELECT string_agg(DISTINCT a.platform, ', ') FROM contact_accounts a
                    WHERE a.owner_id = m.owner_id AND a.contact_id = m.other_id) AS other_where
            FROM contact_merges m
            JOIN contacts c ON c.owner_id = m.owner_id AND c.id = m.contact_id
            JOIN contacts o ON o.owner_id = m.owner_id AND o.id = m.other_id
            WHERE m.owner_id = %s AND m.state = 'proposed' ORDER BY m.id""",
            [owner_id],
        )
        return await cursor.fetchall()


async def refuse_merge(
    connection: Connection, owner_id: OwnerId, contact: FoundContact, other: FoundContact
) -> None:
    """They are two people, whatever they are called."""
    await connection.execute(
        """
        INSERT INTO contact_merges (owner_id, contact_id, other_id, why, state)
        VALUES (%s, %s, %s, 'the owner said so', 'refused')
        ON CONFLICT (owner_id, contact_id, other_id) DO UPDATE SET state = 'refused'""",
        [owner_id, min(contact.id, other.id), max(contact.id, other.id)],
    )


async def merge_contacts(
    connection: Connection, owner_id: OwnerId, keep: FoundContact, other: FoundContact
) -> None:
    """`other` becomes part of `keep`: accounts, memberships, facts, promises. Raises `BadInput`.

    There is no way back: who said what stays by account, but what is known of them is known of one.
    """
    await _check(connection, owner_id, keep, other)
    await lock_facts(connection, owner_id)
    pair = {"owner": owner_id, "keep": keep.id, "other": other.id}
    await connection.execute(
        "UPDATE contact_accounts SET contact_id = %(keep)s WHERE owner_id = %(owner)s AND contact_id = %(other)s",
        pair,
    )
    await _move_stays(connection, pair)
    await _keep_refusals(connection, pair)
    await _move_audiences(connection, owner_id, keep, other)
    await _move_statements(connection, pair)
    await connection.execute(
        """
        UPDATE contacts k SET batch_id = NULL,
               relation = coalesce(nullif(k.relation, ''), o.relation),
               circle = CASE WHEN k.circle = 'strangers' THEN o.circle ELSE k.circle END
        FROM contacts o WHERE k.owner_id = %(owner)s AND k.id = %(keep)s AND o.owner_id = %(owner)s
                          AND o.id = %(other)s""",
        pair,
    )
    await connection.execute("DELETE FROM contacts WHERE owner_id = %(owner)s AND id = %(other)s", pair)
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%(owner)s, 'owner', 'contacts.merged',
                jsonb_build_object('contact', %(keep)s::bigint, 'other', %(other)s::bigint))""",
        pair,
    )


async def _move_stays(connection: Connection, pair: Mapping[str, int]) -> None:
    """Stays in chats, as the rows they are: an import that brought one can still be undone."""
    await connection.execute(
        """
        UPDATE chat_members k SET left_at = greatest(k.left_at, m.left_at) FROM chat_members m
        WHERE k.owner_id = %(owner)s AND k.contact_id = %(keep)s AND m.owner_id = k.owner_id
          AND m.contact_id = %(other)s AND m.chat_id = k.chat_id AND m.joined_at = k.joined_at""",
        pair,
    )
    await connection.execute(
        """
        UPDATE chat_members m SET contact_id = %(keep)s
        WHERE m.owner_id = %(owner)s AND m.contact_id = %(other)s AND NOT EXISTS (
            SELECT FROM chat_members k WHERE k.owner_id = m.owner_id AND k.contact_id = %(keep)s
            AND k.chat_id = m.chat_id AND k.joined_at = m.joined_at)""",
        pair,
    )


async def _keep_refusals(connection: Connection, pair: Mapping[str, int]) -> None:
    """Whom the owner told apart from the one is not the other either."""
    await connection.execute(
        """
        INSERT INTO contact_merges (owner_id, contact_id, other_id, why, state)
        SELECT owner_id, least(%(keep)s, third), greatest(%(keep)s, third), why, state
        FROM (SELECT owner_id, why, state, CASE contact_id WHEN %(other)s THEN other_id ELSE contact_id END AS third
              FROM contact_merges WHERE owner_id = %(owner)s AND state = 'refused'
              AND %(other)s IN (contact_id, other_id)) refused
        WHERE third <> %(keep)s
        ON CONFLICT (owner_id, contact_id, other_id) DO UPDATE SET state = 'refused'""",
        pair,
    )


async def _check(connection: Connection, owner_id: OwnerId, keep: FoundContact, other: FoundContact) -> None:
    if keep.id == other.id:
        raise BadInput(f"{keep.name} and {other.name} are one contact already.")
    # Held until the end: else what is stored of them meanwhile would go with the row that ends here.
    cursor = await connection.execute(
        "SELECT opted_out_at FROM contacts WHERE owner_id = %s AND id = ANY (%s) ORDER BY id FOR UPDATE",
        [owner_id, [keep.id, other.id]],
    )
    found = await cursor.fetchall()
    if len(found) < 2:  # noqa: PLR2004 -- a pair
        raise BadInput(f"{keep.name} and {other.name} were merged just now.")
    if any(row[0] is not None for row in found):
        raise BadInput(
            "One of them opted out of memory or was forgotten: such a contact is merged with nobody."
        )


async def _move_audiences(
    connection: Connection, owner_id: OwnerId, keep: FoundContact, other: FoundContact
) -> None:
    """What a listed set of contacts may learn: the set with `keep` in place of `other`."""
    cursor = await connection.execute(
        """
        SELECT m.audience_id, (SELECT array_agg(DISTINCT a.contact_id) FROM audience_members a
                               WHERE a.owner_id = m.owner_id AND a.audience_id = m.audience_id)
        FROM audience_members m WHERE m.owner_id = %s AND m.contact_id = %s""",
        [owner_id, other.id],
    )
    for old, members in await cursor.fetchall():
        people = [ContactId(keep.id if each == other.id else each) for each in members]
        new = await ensure_audience(connection, owner_id, "contacts", contacts=people)
        await _repoint(connection, owner_id, old, new)


async def _repoint(connection: Connection, owner_id: OwnerId, old: int, new: int) -> None:
    values = [new, owner_id, old]
    await connection.execute(
        """
        DELETE FROM commitments c USING commitments twin
        WHERE twin.audience_id = %s AND c.owner_id = %s AND c.audience_id = %s AND twin.owner_id = c.owner_id
          AND twin.contact_id = c.contact_id AND twin.by_owner = c.by_owner AND twin.value_key = c.value_key""",
        values,
    )
    for statement in (
        b"UPDATE messages SET audience_id = %s WHERE owner_id = %s AND audience_id = %s",
        b"UPDATE facts SET audience_id = %s WHERE owner_id = %s AND audience_id = %s",
        b"UPDATE topics SET audience_id = %s WHERE owner_id = %s AND audience_id = %s",
        b"UPDATE session_summaries SET audience_id = %s WHERE owner_id = %s AND audience_id = %s",
        b"UPDATE commitments SET audience_id = %s WHERE owner_id = %s AND audience_id = %s",
        b"UPDATE chats SET audience_id = %s WHERE owner_id = %s AND audience_id = %s",
        (  # so that an import can still be undone
            b"UPDATE import_changes SET before = before || jsonb_build_object('audience_id', %s::bigint)"
            b" WHERE owner_id = %s AND kind = 'chat' AND (before ->> 'audience_id')::bigint = %s"
        ),
    ):
        await connection.execute(statement, values)
    await connection.execute("DELETE FROM audiences WHERE owner_id = %s AND id = %s", [owner_id, old])


async def _move_statements(connection: Connection, pair: Mapping[str, int]) -> None:
    """Facts and promises; where both hold a value of what can have one, the newer one stands."""
    await connection.execute(
        """
        DELETE FROM commitments c USING commitments twin
        WHERE c.owner_id = %(owner)s AND c.contact_id = %(other)s AND twin.owner_id = c.owner_id
          AND twin.contact_id = %(keep)s AND twin.audience_id = c.audience_id
          AND twin.by_owner = c.by_owner AND twin.value_key = c.value_key""",
        pair,
    )
    for statement in (
        b"UPDATE commitments SET contact_id = %(keep)s WHERE owner_id = %(owner)s AND contact_id = %(other)s",
        b"UPDATE facts SET contact_id = %(keep)s WHERE owner_id = %(owner)s AND contact_id = %(other)s",
        b"DELETE FROM profiles WHERE owner_id = %(owner)s AND contact_id = %(other)s",
    ):
        await connection.execute(statement, pair)
    await connection.execute(
        """
        WITH current AS (
            SELECT id, slot, audience_id, valid_from,
                   first_value(id) OVER newest AS stands, first_value(valid_from) OVER newest AS since
            FROM facts WHERE owner_id = %(owner)s AND contact_id = %(keep)s AND slot <> '' AND valid_to = 'infinity'
            WINDOW newest AS (PARTITION BY slot, audience_id ORDER BY valid_from DESC, id DESC)
        )
        UPDATE facts f SET valid_to = greatest(c.since, f.valid_from), superseded_by = c.stands
        FROM current c WHERE f.owner_id = %(owner)s AND f.id = c.id AND c.stands <> c.id""",
        pair,
    )
