"""Taking two contacts apart again that were merged: each has what it had, and what came since by account.

What the merge moved is moved back, row by row. What came since goes to the contact by whose account it was
said, or in whose direct chat. What cannot be told apart goes to neither: a statement is read anew from its
messages, and a row that the owner gave to the merged person is given to neither, for it was given to one.
So nobody learns by it what only the other was told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.errors import BadInput
from core.ids import AudienceId, ChatId, ContactId, MessageId, OwnerId
from core.memory.membership import Chat, ensure_audience, settle_audience
from core.memory.references import FoundContact
from core.memory.storing import lock_facts
from core.memory.traces import read_again, show_anew
from core.storage.database import Connection

APART = "it may rest on what was said to somebody else"
APART_AGAIN = "the owner took them apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """One merge that stands."""

    id: int
    contact_id: ContactId
    other_id: ContactId
    name: str
    """The contact's that became part of the other."""
    merged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """Which accounts and direct chats are whose, as they are apart."""

    merge: Merge
    kept_accounts: list[int]
    other_accounts: list[int]
    kept_chats: list[ChatId]
    other_chats: list[ChatId]

    def values(self, owner_id: OwnerId) -> dict[str, object]:
        return {
            "owner": owner_id,
            "merge": self.merge.id,
            "keep": self.merge.contact_id,
            "other": self.merge.other_id,
            "since": self.merge.merged_at,
            "kept_accounts": self.kept_accounts,
            "other_accounts": self.other_accounts,
            "kept_chats": self.kept_chats,
            "other_chats": self.other_chats,
        }


async def list_merged(connection: Connection, owner_id: OwnerId) -> list[Merge]:
    """Merges that can be undone, the latest first."""
    async with connection.cursor(row_factory=class_row(Merge)) as cursor:
        await cursor.execute(
            """
            SELECT m.id, m.contact_id, m.other_id, c.display_name AS name, m.merged_at
            FROM merges m JOIN contacts c ON c.owner_id = m.owner_id AND c.id = m.other_id
            WHERE m.owner_id = %s ORDER BY m.id DESC""",
            [owner_id],
        )
        return await cursor.fetchall()


async def unmerge_contact(
    connection: Connection, owner_id: OwnerId, keep: FoundContact, other: str = ""
) -> FoundContact:
    """The contact that was part of `keep`, on its own again; `other` names it where several are.

    Raises `BadInput` where none is, and where a later merge has to be undone first.
    """
    merge = await _find(connection, owner_id, keep, other)
    await connection.execute(
        "SELECT FROM contacts WHERE owner_id = %s AND id = ANY (%s) ORDER BY id FOR UPDATE",
        [owner_id, [merge.contact_id, merge.other_id]],
    )
    await lock_facts(connection, owner_id)
    await _give_back_people(connection, owner_id, merge)
    await _give_back_stays(connection, owner_id, merge)
    await _give_back_audiences(connection, owner_id, merge)
    await _give_back_statements(connection, owner_id, merge)
    sides = await _sides(connection, owner_id, merge)
    await _part_new_stays(connection, owner_id, sides)
    sides = await _sides(connection, owner_id, merge)
    await _part_new_messages(connection, owner_id, sides)
    await _part_new_sources(connection, owner_id, sides)
    await _part_new_statements(connection, owner_id, sides)
    await _settle_chats(connection, owner_id, merge)
    await _withdraw_drafts(connection, owner_id, merge)
    await _close(connection, owner_id, merge)
    return FoundContact(id=merge.other_id, name=merge.name)


async def _find(connection: Connection, owner_id: OwnerId, keep: FoundContact, other: str) -> Merge:
    merges = await list_merged(connection, owner_id)
    mine = [merge for merge in merges if merge.contact_id == keep.id]
    named = [m for m in mine if other.casefold() in ("", str(m.other_id), m.name.casefold())]
    if not mine:
        raise BadInput(f"Nobody was merged into {keep.name}: 'locum contacts merges' shows who was.")
    if len(named) != 1:
        shown = ", ".join(f"{merge.name} ({merge.other_id})" for merge in mine)
        raise BadInput(f"{keep.name} holds {shown}: say which one, by its number.")
    (merge,) = named
    ids = {merge.contact_id, merge.other_id}
    later = [each for each in merges if each.id > merge.id and ids & {each.contact_id, each.other_id}]
    if later:
        raise BadInput(
            f"{later[0].name} ({later[0].other_id}) was merged after {merge.name}: take that one apart first."
        )
    return merge


# ─── What the merge moved ────────────────────────────────────────────────────────────────────


async def _give_back_people(connection: Connection, owner_id: OwnerId, merge: Merge) -> None:
    """Accounts, relation and circle. Who opted out while they were one did so for both."""
    values = {"owner": owner_id, "merge": merge.id, "keep": merge.contact_id, "other": merge.other_id}
    await connection.execute(
        """
        UPDATE contact_accounts a SET contact_id = %(other)s FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'account'
          AND a.owner_id = r.owner_id AND a.id = r.row_id AND a.contact_id = %(keep)s""",
        values,
    )
    await connection.execute(
        """
        UPDATE contacts c SET merged_into = NULL, opted_out_at = coalesce(c.opted_out_at, k.opted_out_at)
        FROM contacts k
        WHERE c.owner_id = %(owner)s AND c.id = %(other)s AND k.owner_id = %(owner)s AND k.id = %(keep)s""",
        values,
    )
    await connection.execute(
        """
        UPDATE contacts c SET
            batch_id = (SELECT b.id FROM import_batches b WHERE b.owner_id = c.owner_id AND b.undone_at IS NULL
                        AND b.id = (r.before ->> 'batch')::bigint),
            -- What the merge took over from the other goes back; what the owner said since stays.
            circle = CASE WHEN c.id = %(keep)s AND r.before ->> 'circle' = 'strangers' AND c.circle = o.circle
                          THEN 'strangers' ELSE c.circle END,
            relation = CASE WHEN c.id = %(keep)s AND NOT (r.before ->> 'relation')::boolean
                                 AND c.relation = o.relation THEN '' ELSE c.relation END
        FROM merge_rows r, contacts o
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'contact'
          AND c.owner_id = r.owner_id AND c.id = r.row_id AND o.owner_id = r.owner_id AND o.id = %(other)s""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM contact_merges m USING merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'refusal' AND r.before = '{}'
          AND m.owner_id = r.owner_id AND m.id = r.row_id""",
        values,
    )
    await connection.execute(
        """
        UPDATE contact_merges m SET state = 'proposed' FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'refusal' AND r.before ? 'state'
          AND m.owner_id = r.owner_id AND m.id = r.row_id""",
        values,
    )


async def _give_back_stays(connection: Connection, owner_id: OwnerId, merge: Merge) -> None:
    values = {"owner": owner_id, "merge": merge.id, "keep": merge.contact_id, "other": merge.other_id}
    await connection.execute(
        """
        UPDATE chat_members m SET contact_id = %(other)s FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'stay'
          AND m.owner_id = r.owner_id AND m.id = r.row_id AND m.contact_id = %(keep)s""",
        values,
    )
    await connection.execute(
        """
        UPDATE chat_members m SET left_at = (r.before ->> 'old')::timestamptz FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'longer_stay'
          AND m.owner_id = r.owner_id AND m.id = r.row_id AND m.left_at = (r.before ->> 'new')::timestamptz""",
        values,
    )
    await connection.execute(
        """
        INSERT INTO chat_members (owner_id, id, chat_id, contact_id, joined_at, left_at)
        SELECT r.owner_id, r.row_id, c.id, %(other)s, (r.before ->> 'joined')::timestamptz,
               (r.before ->> 'left')::timestamptz
        FROM merge_rows r
        JOIN chats c ON c.owner_id = r.owner_id AND c.id = (r.before ->> 'chat')::bigint
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'twin_stay'
        ON CONFLICT DO NOTHING""",
        values,
    )


async def _give_back_audiences(connection: Connection, owner_id: OwnerId, merge: Merge) -> None:
    """Rows that the merge moved, and nobody since, go back; the latest move first, for one row may have two."""
    cursor = await connection.execute(
        """
        SELECT before ->> 'table', (before ->> 'old')::bigint, (before ->> 'new')::bigint, max(id)
        FROM merge_rows WHERE owner_id = %s AND merge_id = %s AND kind = 'audience'
        GROUP BY 1, 2, 3 ORDER BY 4 DESC""",
        [owner_id, merge.id],
    )
    for table, old, new, _ in await cursor.fetchall():
        await connection.execute(
            "SELECT restore_audience(%s, %s, %s, %s, %s)", [owner_id, merge.id, table, old, new]
        )


async def _give_back_statements(connection: Connection, owner_id: OwnerId, merge: Merge) -> None:
    values = {"owner": owner_id, "merge": merge.id, "keep": merge.contact_id, "other": merge.other_id}
    await connection.execute(
        """
        UPDATE facts f SET contact_id = %(other)s FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'fact'
          AND f.owner_id = r.owner_id AND f.id = r.row_id AND f.contact_id = %(keep)s""",
        values,
    )
    await connection.execute(
        """
        UPDATE facts f SET valid_to = (r.before ->> 'to')::timestamptz,
                           superseded_by = (SELECT s.id FROM facts s WHERE s.owner_id = f.owner_id
                                            AND s.id = (r.before ->> 'superseded_by')::bigint)
        FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'closed'
          AND f.owner_id = r.owner_id AND f.id = r.row_id AND f.superseded_by = (r.before ->> 'by')::bigint""",
        values,
    )
    await connection.execute(
        """
        UPDATE commitments c SET contact_id = %(other)s FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'commitment'
          AND c.owner_id = r.owner_id AND c.id = r.row_id AND c.contact_id = %(keep)s""",
        values,
    )
    await connection.execute(
        """
        UPDATE commitments c SET state = r.before ->> 'state' FROM merge_rows r
        WHERE r.owner_id = %(owner)s AND r.merge_id = %(merge)s AND r.kind = 'twin'
          AND c.owner_id = r.owner_id AND c.id = r.row_id AND c.state = 'dropped'""",
        values,
    )
    # Versions since are of two people; the next one is made of one.
    await connection.execute(
        """
        DELETE FROM profiles p WHERE p.owner_id = %(owner)s AND p.contact_id = %(keep)s AND p.version > coalesce((
            SELECT max(r.row_id) FROM merge_rows r
            WHERE r.owner_id = p.owner_id AND r.merge_id = %(merge)s AND r.kind = 'profile'), 0)""",
        values,
    )


# ─── What came since ─────────────────────────────────────────────────────────────────────────


async def _sides(connection: Connection, owner_id: OwnerId, merge: Merge) -> _Sides:
    found: dict[ContactId, tuple[list[int], list[ChatId]]] = {}
    for mine, yours in ((merge.contact_id, merge.other_id), (merge.other_id, merge.contact_id)):
        cursor = await connection.execute(
            "SELECT id FROM contact_accounts WHERE owner_id = %s AND contact_id = %s", [owner_id, mine]
        )
        accounts = [int(row[0]) for row in await cursor.fetchall()]
        cursor = await connection.execute(
            """
            SELECT c.id FROM chats c WHERE c.owner_id = %(owner)s AND c.kind = 'direct'
              AND EXISTS (SELECT FROM chat_members m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id
                          AND m.contact_id = %(mine)s)
              AND NOT EXISTS (SELECT FROM chat_members m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id
                              AND m.contact_id = %(yours)s)""",
            {"owner": owner_id, "mine": mine, "yours": yours},
        )
        found[mine] = accounts, [ChatId(int(row[0])) for row in await cursor.fetchall()]
    kept, other = found[merge.contact_id], found[merge.other_id]
    return _Sides(
        merge=merge,
        kept_accounts=kept[0],
        other_accounts=other[0],
        kept_chats=kept[1],
        other_chats=other[1],
    )


async def _part_new_stays(connection: Connection, owner_id: OwnerId, sides: _Sides) -> None:
    """Who joined a chat since: by whose account somebody spoke there, else who has an account on its platform.

    Where that may be either, the chat's members count as unknown: then nobody else learns anything there.
    """
    cursor = await connection.execute(
        """
        SELECT m.id, m.chat_id,
               EXISTS (SELECT FROM messages s WHERE s.owner_id = m.owner_id AND s.chat_id = m.chat_id
                       AND s.sender_id = ANY (%(kept_accounts)s)) AS kept_spoke,
               EXISTS (SELECT FROM messages s WHERE s.owner_id = m.owner_id AND s.chat_id = m.chat_id
                       AND s.sender_id = ANY (%(other_accounts)s)) AS other_spoke,
               EXISTS (SELECT FROM contact_accounts p WHERE p.owner_id = m.owner_id
                       AND p.id = ANY (%(kept_accounts)s) AND p.platform = a.platform) AS kept_there,
               EXISTS (SELECT FROM contact_accounts p WHERE p.owner_id = m.owner_id
                       AND p.id = ANY (%(other_accounts)s) AND p.platform = a.platform) AS other_there
        FROM chat_members m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        WHERE m.owner_id = %(owner)s AND m.contact_id = %(keep)s AND NOT EXISTS (
            SELECT FROM merge_rows r WHERE r.owner_id = m.owner_id AND r.merge_id = %(merge)s
            AND r.kind = 'stay_of_keep' AND r.row_id = m.id)""",
        sides.values(owner_id),
    )
    for stay, chat_id, kept_spoke, other_spoke, kept_there, other_there in await cursor.fetchall():
        if (other_spoke and not kept_spoke) or (kept_spoke == other_spoke and other_there and not kept_there):
            await connection.execute(
                "UPDATE chat_members SET contact_id = %s WHERE owner_id = %s AND id = %s",
                [sides.merge.other_id, owner_id, stay],
            )
        elif kept_spoke == other_spoke and kept_there == other_there:
            await _distrust(connection, owner_id, ChatId(int(chat_id)), both=bool(kept_spoke), sides=sides)


async def _distrust(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, *, both: bool, sides: _Sides
) -> None:
    if both:  # both spoke there: the other joined no later than that
        await connection.execute(
            """
            INSERT INTO chat_members (owner_id, chat_id, contact_id, joined_at)
            SELECT %(owner)s, %(chat)s, %(other)s, min(s.sent_at) FROM messages s
            WHERE s.owner_id = %(owner)s AND s.chat_id = %(chat)s AND s.sender_id = ANY (%(other_accounts)s)
            ON CONFLICT DO NOTHING""",
            {**sides.values(owner_id), "chat": chat_id},
        )
    else:
        await connection.execute(
            "UPDATE chats SET members_known = false WHERE owner_id = %s AND id = %s", [owner_id, chat_id]
        )


async def _part_new_messages(connection: Connection, owner_id: OwnerId, sides: _Sides) -> None:
    """Messages since, and those that the owner gave to the merged person: to whom their chat belongs."""
    cursor = await connection.execute(
        """
        SELECT m.audience_id, CASE WHEN m.chat_id = ANY (%(other_chats)s) THEN 'other'
                                   WHEN m.chat_id = ANY (%(kept_chats)s) THEN 'keep' ELSE 'neither' END AS side,
               array_agg(m.id)
        FROM messages m
        JOIN audience_members a ON a.owner_id = m.owner_id AND a.audience_id = m.audience_id
             AND a.contact_id = %(keep)s
        WHERE m.owner_id = %(owner)s AND (m.stored_at > %(since)s OR m.audience_set_at > %(since)s)
        GROUP BY 1, 2""",
        sides.values(owner_id),
    )
    for audience, side, messages in await cursor.fetchall():
        new = await _without(connection, owner_id, AudienceId(int(audience)), sides.merge, str(side))
        await connection.execute(
            "UPDATE messages SET audience_id = %s WHERE owner_id = %s AND id = ANY (%s)",
            [new, owner_id, messages],
        )


async def _without(
    connection: Connection, owner_id: OwnerId, audience: AudienceId, merge: Merge, side: str
) -> AudienceId:
    """The audience with the one person whom the merged one stands for there; with neither where that is unknown."""
    if side == "keep":
        return audience
    cursor = await connection.execute(
        """
        SELECT a.kind, a.circle, array_agg(m.contact_id)
        FROM audiences a JOIN audience_members m ON m.owner_id = a.owner_id AND m.audience_id = a.id
        WHERE a.owner_id = %s AND a.id = %s GROUP BY a.id, a.kind, a.circle""",
        [owner_id, audience],
    )
    row = await cursor.fetchone()
    assert row is not None, "it has a member"  # noqa: S101 -- for the type checker
    kind, circle, members = row
    people = [ContactId(int(each)) for each in members if each != merge.contact_id]
    if side == "other":
        people.append(merge.other_id)
    if not people:
        return await ensure_audience(connection, owner_id, "owner")
    return await ensure_audience(connection, owner_id, kind, contacts=people, circle=circle)


async def _part_new_sources(connection: Connection, owner_id: OwnerId, sides: _Sides) -> None:
    """Facts from before that were told again since, by the other one: that telling is read anew."""
    cursor = await connection.execute(
        """
        DELETE FROM fact_sources s USING facts f, messages m
        WHERE f.owner_id = %(owner)s AND f.contact_id IN (%(keep)s, %(other)s) AND f.created_at <= %(since)s
          AND s.owner_id = f.owner_id AND s.fact_id = f.id AND m.owner_id = s.owner_id AND m.id = s.message_id
          AND m.stored_at > %(since)s
          AND CASE WHEN f.contact_id = %(keep)s
                   THEN m.sender_id = ANY (%(other_accounts)s) OR m.chat_id = ANY (%(other_chats)s)
                   ELSE m.sender_id = ANY (%(kept_accounts)s) OR m.chat_id = ANY (%(kept_chats)s) END
        RETURNING m.id""",
        sides.values(owner_id),
    )
    await read_again(connection, owner_id, [MessageId(int(row[0])) for row in await cursor.fetchall()])


async def _part_new_statements(connection: Connection, owner_id: OwnerId, sides: _Sides) -> None:
    """Statements since, about the merged person or known to them: by the side of all their messages."""
    for table, source, key, about in (
        ("facts", "fact_sources", "fact_id", True),
        ("commitments", "commitment_sources", "commitment_id", True),
        ("topics", "topic_sources", "topic_id", False),
        ("session_summaries", "summary_sources", "summary_id", False),
    ):
        cursor = await connection.execute(
            "SELECT id, audience_id, knows, about, decided, side, sources"
            " FROM statements_since(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                owner_id,
                table,
                source,
                key,
                about,
                sides.merge.contact_id,
                sides.merge.merged_at,
                sides.kept_accounts,
                sides.other_accounts,
                sides.kept_chats,
                sides.other_chats,
            ],
        )
        for row in await cursor.fetchall():
            await _part_statement(connection, owner_id, sides.merge, table, *row)


async def _part_statement(
    connection: Connection,
    owner_id: OwnerId,
    merge: Merge,
    table: str,
    statement: int,
    audience: int,
    knows: bool,
    about: bool,
    decided: bool,
    side: str,
    sources: Sequence[int],
) -> None:
    if side == "keep":
        return
    # What is about the other one names the one that stayed.
    if not decided and (side == "neither" or about):
        await connection.execute("SELECT drop_statement(%s, %s, %s)", [owner_id, table, statement])
        await read_again(connection, owner_id, [MessageId(each) for each in sources])
        return
    new = await _without(connection, owner_id, AudienceId(audience), merge, side) if knows else audience
    contact = merge.other_id if side == "other" and about else None
    await connection.execute(
        "SELECT part_statement(%s, %s, %s, %s, %s)", [owner_id, table, statement, new, contact]
    )


async def _settle_chats(connection: Connection, owner_id: OwnerId, merge: Merge) -> None:
    """What is said from now on in the direct chats of either is said to that one."""
    async with connection.cursor(row_factory=class_row(Chat)) as cursor:
        await cursor.execute(
            """
            SELECT c.id, c.account_id, c.platform_chat_id, c.kind, c.title, c.language::text, c.members_known,
                   c.audience_id, c.batch_id
            FROM chats c JOIN audiences a ON a.owner_id = c.owner_id AND a.id = c.audience_id AND a.kind = 'contacts'
            WHERE c.owner_id = %s AND c.kind = 'direct' AND a.digest <> (
                SELECT coalesce(string_agg(DISTINCT m.contact_id::text, ','), '') FROM chat_members m
                WHERE m.owner_id = c.owner_id AND m.chat_id = c.id AND m.left_at > now())
              AND EXISTS (SELECT FROM chat_members m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id
                          AND m.contact_id = ANY (%s))
            ORDER BY c.id FOR NO KEY UPDATE OF c""",
            [owner_id, [merge.contact_id, merge.other_id]],
        )
        chats = await cursor.fetchall()
    for chat in chats:
        await settle_audience(connection, owner_id, chat, members_known=chat.members_known)


async def _withdraw_drafts(connection: Connection, owner_id: OwnerId, merge: Merge) -> None:
    """Drafts on show in any chat of either were made while what the one was told could be told to the other."""
    cursor = await connection.execute(
        """
        UPDATE drafts d SET state = 'expired', reason = %s FROM turns t
        WHERE d.owner_id = %s AND d.state = 'proposed' AND t.owner_id = d.owner_id AND t.id = d.turn_id
          AND EXISTS (SELECT FROM chat_members m WHERE m.owner_id = t.owner_id AND m.chat_id = t.chat_id
                      AND m.contact_id = ANY (%s))
        RETURNING d.turn_id""",
        [APART, owner_id, [merge.contact_id, merge.other_id]],
    )
    await show_anew(connection, owner_id, sorted({row[0] for row in await cursor.fetchall()}))


async def _close(connection: Connection, owner_id: OwnerId, merge: Merge) -> None:
    pair = sorted((merge.contact_id, merge.other_id))
    await connection.execute("DELETE FROM merges WHERE owner_id = %s AND id = %s", [owner_id, merge.id])
    await connection.execute(
        """
        INSERT INTO contact_merges (owner_id, contact_id, other_id, why, state) VALUES (%s, %s, %s, %s, 'refused')
        ON CONFLICT (owner_id, contact_id, other_id) DO UPDATE SET state = 'refused'""",
        [owner_id, *pair, APART_AGAIN],
    )
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%s, 'owner', 'contacts.unmerged',
                jsonb_build_object('contact', %s::bigint, 'other', %s::bigint))""",
        [owner_id, merge.contact_id, merge.other_id],
    )
