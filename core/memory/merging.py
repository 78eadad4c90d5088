"""One person on several platforms: proposed by name, merged only when the owner says so.

A name never identifies anybody, so nothing is merged by itself. Merged, both contacts are one: what was
said to either may be told to the other, for they are the same person; their accounts stay apart, and so
do the registers in which the owner writes to each (`profiling.py`). What a merge moves is noted row by row,
so that the two can be taken apart again (`unmerging.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import class_row

from core.errors import BadInput
from core.ids import ContactId, OwnerId
from core.memory.circles import leave_other_circles
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
            WHERE m.owner_id = %s AND m.state = 'proposed' AND c.merged_into IS NULL AND o.merged_into IS NULL
            ORDER BY m.id""",
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

    Who said what stays by account; what is known of them is known of one, until they are taken apart.
    """
    await _check(connection, owner_id, keep, other)
    await lock_facts(connection, owner_id)
    cursor = await connection.execute(
        "INSERT INTO merges (owner_id, contact_id, other_id) VALUES (%s, %s, %s) RETURNING id",
        [owner_id, keep.id, other.id],
    )
    row = await cursor.fetchone()
    assert row is not None, "the row was inserted above"  # noqa: S101 -- for the type checker
    pair = {"owner": owner_id, "keep": keep.id, "other": other.id, "merge": int(row[0])}
    await _note_what_stood(connection, pair)
    await _move_accounts(connection, pair)
    await _move_stays(connection, pair)
    await _keep_refusals(connection, pair)
    await _become_one(connection, owner_id, pair)
    await _move_audiences(connection, owner_id, keep, other, int(row[0]))
    await _move_statements(connection, pair)
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%(owner)s, 'owner', 'contacts.merged',
                jsonb_build_object('contact', %(keep)s::bigint, 'other', %(other)s::bigint))""",
        pair,
    )


async def _note_what_stood(connection: Connection, pair: Mapping[str, int]) -> None:
    """Of the contact that stays: its row, its stays and its last profile, to know later what came since."""
    await connection.execute(
        """
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id, before)
        SELECT owner_id, %(merge)s, 'contact', id,
               jsonb_build_object('circle', circle, 'batch', batch_id, 'relation', relation <> '')
        FROM contacts WHERE owner_id = %(owner)s AND id IN (%(keep)s, %(other)s)
        UNION ALL
        SELECT owner_id, %(merge)s, 'stay_of_keep', id, '{}' FROM chat_members
        WHERE owner_id = %(owner)s AND contact_id = %(keep)s
        UNION ALL
        SELECT owner_id, %(merge)s, 'profile', coalesce(max(version), 0), '{}' FROM profiles
        WHERE owner_id = %(owner)s AND contact_id = %(keep)s GROUP BY owner_id""",
        pair,
    )


async def _move_accounts(connection: Connection, pair: Mapping[str, int]) -> None:
    await connection.execute(
        """
        WITH moved AS (
            UPDATE contact_accounts SET contact_id = %(keep)s
            WHERE owner_id = %(owner)s AND contact_id = %(other)s RETURNING owner_id, id)
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id)
        SELECT owner_id, %(merge)s, 'account', id FROM moved""",
        pair,
    )


async def _move_stays(connection: Connection, pair: Mapping[str, int]) -> None:
    """Stays in chats, as the rows they are: an import that brought one can still be undone."""
    await connection.execute(
        """
        WITH twins AS (
            SELECT k.id, k.left_at, greatest(k.left_at, m.left_at) AS longer, m.id AS twin, m.chat_id, m.joined_at,
                   m.left_at AS twin_left
            FROM chat_members k JOIN chat_members m ON m.owner_id = k.owner_id AND m.contact_id = %(other)s
                 AND m.chat_id = k.chat_id AND m.joined_at = k.joined_at
            WHERE k.owner_id = %(owner)s AND k.contact_id = %(keep)s
        ), longer AS (
            UPDATE chat_members k SET left_at = t.longer FROM twins t
            WHERE k.owner_id = %(owner)s AND k.id = t.id AND k.left_at < t.longer
        ), gone AS (
            DELETE FROM chat_members m USING twins t WHERE m.owner_id = %(owner)s AND m.id = t.twin
        ), moved AS (
            UPDATE chat_members m SET contact_id = %(keep)s
            WHERE m.owner_id = %(owner)s AND m.contact_id = %(other)s AND m.id NOT IN (SELECT twin FROM twins)
            RETURNING m.id
        )
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id, before)
        SELECT %(owner)s, %(merge)s, 'stay', id, '{}'::jsonb FROM moved
        UNION ALL
        SELECT %(owner)s, %(merge)s, 'longer_stay', id, jsonb_build_object('old', left_at, 'new', longer)
        FROM twins WHERE left_at < longer
        UNION ALL
        SELECT %(owner)s, %(merge)s, 'twin_stay', twin,
               jsonb_build_object('chat', chat_id, 'joined', joined_at, 'left', twin_left)
        FROM twins""",
        pair,
    )


async def _keep_refusals(connection: Connection, pair: Mapping[str, int]) -> None:
    """Whom the owner told apart from the one is not the other either; nobody proposes the pair itself."""
    await connection.execute(
        """
        WITH refused AS (
            SELECT owner_id, why, CASE contact_id WHEN %(other)s THEN other_id ELSE contact_id END AS third
            FROM contact_merges WHERE owner_id = %(owner)s AND state = 'refused'
            AND %(other)s IN (contact_id, other_id)
        ), fresh AS (
            INSERT INTO contact_merges (owner_id, contact_id, other_id, why, state)
            SELECT owner_id, least(%(keep)s, third), greatest(%(keep)s, third), why, 'refused'
            FROM refused WHERE third <> %(keep)s
            ON CONFLICT (owner_id, contact_id, other_id) DO NOTHING
            RETURNING id
        ), turned AS (
            UPDATE contact_merges m SET state = 'refused' FROM refused r
            WHERE m.owner_id = %(owner)s AND m.contact_id = least(%(keep)s, r.third)
              AND m.other_id = greatest(%(keep)s, r.third) AND m.state = 'proposed'
            RETURNING m.id
        )
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id, before)
        SELECT %(owner)s, %(merge)s, 'refusal', id, '{}'::jsonb FROM fresh
        UNION ALL SELECT %(owner)s, %(merge)s, 'refusal', id, '{"state": "proposed"}'::jsonb FROM turned""",
        pair,
    )
    await connection.execute(
        """
        DELETE FROM contact_merges WHERE owner_id = %(owner)s
        AND contact_id = least(%(keep)s, %(other)s) AND other_id = greatest(%(keep)s, %(other)s)""",
        pair,
    )


async def _become_one(connection: Connection, owner_id: OwnerId, pair: Mapping[str, int]) -> None:
    """The contact that stays has the circle that either was put in; what a circle was given goes by that."""
    cursor = await connection.execute(
        """
        UPDATE contacts k SET batch_id = NULL,
               relation = coalesce(nullif(k.relation, ''), o.relation),
               circle = CASE WHEN k.circle = 'strangers' THEN o.circle ELSE k.circle END
        FROM contacts o WHERE k.owner_id = %(owner)s AND k.id = %(keep)s AND o.owner_id = %(owner)s
                          AND o.id = %(other)s
        RETURNING k.circle""",
        pair,
    )
    row = await cursor.fetchone()
    assert row is not None, "both were found"  # noqa: S101 -- for the type checker
    for contact in (pair["keep"], pair["other"]):
        await leave_other_circles(connection, owner_id, ContactId(contact), str(row[0]), pair["merge"])
    await connection.execute(
        """
        UPDATE contacts SET merged_into = %(keep)s, batch_id = NULL WHERE owner_id = %(owner)s AND id = %(other)s""",
        pair,
    )


async def _check(connection: Connection, owner_id: OwnerId, keep: FoundContact, other: FoundContact) -> None:
    if keep.id == other.id:
        raise BadInput(f"{keep.name} and {other.name} are one contact already.")
    # Held until the end: else what is stored of them meanwhile would go to the row that ends here.
    cursor = await connection.execute(
        """
        SELECT opted_out_at FROM contacts
        WHERE owner_id = %s AND id = ANY (%s) AND merged_into IS NULL ORDER BY id FOR UPDATE""",
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
    connection: Connection, owner_id: OwnerId, keep: FoundContact, other: FoundContact, merge: int
) -> None:
    """What a listed set of contacts may learn: the set with `keep` in place of `other`."""
    cursor = await connection.execute(
        """
        SELECT a.id, a.kind, a.circle, array_agg(m.contact_id)
        FROM audiences a JOIN audience_members m ON m.owner_id = a.owner_id AND m.audience_id = a.id
        WHERE a.owner_id = %s GROUP BY a.id, a.kind, a.circle HAVING bool_or(m.contact_id = %s) ORDER BY a.id""",
        [owner_id, other.id],
    )
    for old, kind, circle, members in await cursor.fetchall():
        people = [ContactId(keep.id if each == other.id else each) for each in members]
        new = await ensure_audience(connection, owner_id, kind, contacts=people, circle=circle)
        await connection.execute("SELECT move_audience(%s, %s, %s, %s, 'leave')", [owner_id, old, new, merge])
        await _set_twins_aside(connection, owner_id, old, merge)


async def _set_twins_aside(connection: Connection, owner_id: OwnerId, audience: int, merge: int) -> None:
    """Promises that stand under the new audience already are not told twice."""
    await connection.execute(
        """
        WITH aside AS (
            UPDATE commitments c SET state = 'dropped' FROM commitments before
            WHERE c.owner_id = %s AND c.audience_id = %s AND c.state <> 'dropped'
              AND before.owner_id = c.owner_id AND before.id = c.id
            RETURNING c.id, before.state)
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id, before)
        SELECT %s, %s, 'twin', id, jsonb_build_object('state', state) FROM aside""",
        [owner_id, audience, owner_id, merge],
    )


async def _move_statements(connection: Connection, pair: Mapping[str, int]) -> None:
    """Facts and promises; where both hold a value of what can have one, the newer one stands."""
    await connection.execute(
        """
        WITH aside AS (
            UPDATE commitments c SET state = 'dropped' FROM commitments before, commitments twin
            WHERE c.owner_id = %(owner)s AND c.contact_id = %(other)s AND c.state <> 'dropped'
              AND before.owner_id = c.owner_id AND before.id = c.id AND twin.owner_id = c.owner_id
              AND twin.contact_id = %(keep)s AND twin.audience_id = c.audience_id
              AND twin.by_owner = c.by_owner AND twin.value_key = c.value_key
            RETURNING c.id, before.state)
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id, before)
        SELECT %(owner)s, %(merge)s, 'twin', id, jsonb_build_object('state', state) FROM aside""",
        pair,
    )
    await connection.execute(
        """
        WITH moved AS (
            UPDATE commitments c SET contact_id = %(keep)s
            WHERE c.owner_id = %(owner)s AND c.contact_id = %(other)s AND NOT EXISTS (
                SELECT FROM commitments twin WHERE twin.owner_id = c.owner_id AND twin.contact_id = %(keep)s
                AND twin.audience_id = c.audience_id AND twin.by_owner = c.by_owner
                AND twin.value_key = c.value_key)
            RETURNING c.id)
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id)
        SELECT %(owner)s, %(merge)s, 'commitment', id FROM moved""",
        pair,
    )
    await connection.execute(
        """
        WITH moved AS (
            UPDATE facts SET contact_id = %(keep)s
            WHERE owner_id = %(owner)s AND contact_id = %(other)s RETURNING id)
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id)
        SELECT %(owner)s, %(merge)s, 'fact', id FROM moved""",
        pair,
    )
    await connection.execute(
        """
        WITH current AS (
            SELECT id, slot, audience_id, valid_from, valid_to, superseded_by,
                   first_value(id) OVER newest AS stands, first_value(valid_from) OVER newest AS since
            FROM facts WHERE owner_id = %(owner)s AND contact_id = %(keep)s AND slot <> '' AND valid_to = 'infinity'
            WINDOW newest AS (PARTITION BY slot, audience_id ORDER BY valid_from DESC, id DESC)
        ), closed AS (
            UPDATE facts f SET valid_to = greatest(c.since, f.valid_from), superseded_by = c.stands
            FROM current c WHERE f.owner_id = %(owner)s AND f.id = c.id AND c.stands <> c.id
            RETURNING f.id, c.valid_to, c.superseded_by, c.stands)
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id, before)
        SELECT %(owner)s, %(merge)s, 'closed', id, jsonb_build_object('by', stands, 'to', valid_to,
                                                                      'superseded_by', superseded_by)
        FROM closed""",
        pair,
    )
