"""What people call contacts and chats on the command line, turned into rows."""

from collections.abc import Sequence

from core.audience import Reader
from core.errors import BadInput
from core.ids import ChatId, ContactId, OwnerId
from core.storage.database import Connection

SHOWN = 8
"""Candidates that an ambiguous name is answered with."""


async def find_reader(connection: Connection, owner_id: OwnerId, name: str) -> Reader:
    """`owner`, or a contact by name, platform id or number; raises `BadInput` unless it is exactly one."""
    if name == "owner":
        return Reader.owner()
    return Reader.contact(await find_contact(connection, owner_id, name))


async def find_contact(connection: Connection, owner_id: OwnerId, name: str) -> ContactId:
    """The contact whose own number, platform id or name (whatever its case) that is."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT c.id, c.display_name FROM contacts c
        LEFT JOIN contact_accounts a ON a.owner_id = c.owner_id AND a.contact_id = c.id
        WHERE c.owner_id = %(owner)s
          AND (c.id::text = %(name)s OR a.platform_user_id = %(name)s
               OR lower(c.display_name) = lower(%(name)s) OR lower(a.display_name) = lower(%(name)s))
        ORDER BY c.id""",
        {"owner": owner_id, "name": name},
    )
    return ContactId(_only("contact", name, [(int(row[0]), str(row[1])) for row in await cursor.fetchall()]))


async def find_chat(connection: Connection, owner_id: OwnerId, name: str) -> ChatId:
    """The chat whose own number, platform id or title (whatever its case) that is."""
    cursor = await connection.execute(
        """
        SELECT id, title FROM chats
        WHERE owner_id = %(owner)s AND (id::text = %(name)s OR platform_chat_id = %(name)s
                                        OR lower(title) = lower(%(name)s))
        ORDER BY id""",
        {"owner": owner_id, "name": name},
    )
    return ChatId(_only("chat", name, [(int(row[0]), str(row[1])) for row in await cursor.fetchall()]))


def _only(what: str, name: str, found: Sequence[tuple[int, str]]) -> int:
    if not found:
        raise BadInput(f"There is no {what} {name!r}: give a name, the platform's id or Locum's number.")
    if len(found) > 1:
        shown = ", ".join(f"{number} ({label})" for number, label in found[:SHOWN])
        raise BadInput(f"{name!r} may be several {what}s: say which by its number: {shown}.")
    return found[0][0]
