"""Whom and what the owner means by a name, a platform's id or a number."""

from dataclasses import dataclass

from core.audience import Reader
from core.errors import BadInput
from core.ids import ChatId, ContactId, OwnerId
from core.storage.database import Connection

MOST_CANDIDATES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundContact:
    id: ContactId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChat:
    id: ChatId
    title: str
    kind: str


async def find_reader(connection: Connection, owner_id: OwnerId, text: str) -> Reader:
    """`owner`; `chat:` and a chat, for all who are in it; else a contact."""
    if text == "owner":
        return Reader.owner()
    if text.startswith("chat:"):
        return Reader.chat((await find_chat(connection, owner_id, text.removeprefix("chat:"))).id)
    return Reader.contact((await find_contact(connection, owner_id, text)).id)


async def find_contact(connection: Connection, owner_id: OwnerId, text: str) -> FoundContact:
    """The contact of that number, platform id or name; the closest kind of match counts.

    Raises `BadInput` with the candidates when several fit, and when none does.
    """
    wanted = text.strip()
    cursor = await connection.execute(
        """
        SELECT c.id, c.display_name, min(CASE
                 WHEN c.id::text = %(text)s OR a.platform_user_id = %(text)s THEN 1
                 WHEN lower(%(text)s) IN (lower(c.display_name), lower(a.display_name)) THEN 2
                 WHEN starts_with(lower(c.display_name), lower(%(text)s)) THEN 3
                 ELSE 4 END) AS distance, string_agg(DISTINCT a.platform, ', ' ORDER BY a.platform)
        FROM contacts c
        LEFT JOIN contact_accounts a ON a.owner_id = c.owner_id AND a.contact_id = c.id
        WHERE c.owner_id = %(owner)s AND c.merged_into IS NULL
          AND (c.id::text = %(text)s OR a.platform_user_id = %(text)s
               OR position(lower(%(text)s) IN lower(c.display_name)) > 0
               OR position(lower(%(text)s) IN lower(a.display_name)) > 0)
        GROUP BY c.id, c.display_name ORDER BY distance, c.display_name, c.id""",
        {"owner": owner_id, "text": wanted},
    )
    rows = await cursor.fetchall() if wanted else []
    closest = [row for row in rows if row[2] == rows[0][2]]
    if len(closest) == 1:
        return FoundContact(id=ContactId(closest[0][0]), name=str(closest[0][1]))
    shown = [f"{name} ({number}){f' on {where}' if where else ''}" for number, name, _, where in closest]
    raise BadInput(_not_one("contact", wanted, shown))


async def find_chat(connection: Connection, owner_id: OwnerId, text: str) -> FoundChat:
    """The chat of that number, platform id or title; a direct chat goes by its contact's name too.

    Raises `BadInput` with the candidates when several fit, and when none does.
    """
    wanted = text.strip()
    cursor = await connection.execute(
        """
        WITH named AS (
            SELECT c.id, c.account_id, c.kind, c.platform_chat_id, c.title AS name
            FROM chats c WHERE c.owner_id = %(owner)s
            UNION ALL
            SELECT c.id, c.account_id, c.kind, c.platform_chat_id, p.display_name
            FROM chats c
            JOIN chat_members m ON m.owner_id = c.owner_id AND m.chat_id = c.id
            JOIN contacts p ON p.owner_id = c.owner_id AND p.id = m.contact_id
            WHERE c.owner_id = %(owner)s AND c.kind = 'direct'
        )
        SELECT n.id, n.kind, min(n.name), min(a.platform), min(CASE
                 WHEN n.id::text = %(text)s OR n.platform_chat_id = %(text)s THEN 1
                 WHEN ltrim(lower(n.name), '#') = ltrim(lower(%(text)s), '#') THEN 2
                 WHEN starts_with(lower(n.name), lower(%(text)s)) THEN 3
                 ELSE 4 END) AS distance
        FROM named n
        JOIN accounts a ON a.owner_id = %(owner)s AND a.id = n.account_id
        WHERE n.id::text = %(text)s OR n.platform_chat_id = %(text)s
              OR position(ltrim(lower(%(text)s), '#') IN lower(n.name)) > 0
        GROUP BY n.id, n.kind ORDER BY distance, min(n.name), n.id""",
        {"owner": owner_id, "text": wanted},
    )
    rows = await cursor.fetchall() if wanted else []
    closest = [row for row in rows if row[4] == rows[0][4]]
    if len(closest) == 1:
        number, kind, title, *_ = closest[0]
        return FoundChat(id=ChatId(number), kind=str(kind), title=str(title))
    shown = [f"{title} ({number}) on {where}" for number, _, title, where, _ in closest]
    raise BadInput(_not_one("chat", wanted, shown))


def _not_one(what: str, wanted: str, candidates: list[str]) -> str:
    if not candidates:
        listing = "locum chats" if what == "chat" else "locum contacts list"
        return f"No {what} is called '{wanted}'. Give a name, a number or a platform's id: '{listing}' shows them."
    shown = ", ".join(candidates[:MOST_CANDIDATES])
    more = "" if len(candidates) <= MOST_CANDIDATES else f" and {len(candidates) - MOST_CANDIDATES} more"
    return f"'{wanted}' may be {shown}{more}: give the number in brackets."
