"""The disclosure line: whoever is answered unasked is told so, the first time and again after a while.

The line is the owner's to word; it goes with what is sent, and stands in no draft and no label.
"""

from datetime import timedelta

from core.ids import ChatId, OwnerId
from core.storage.database import Connection

AGAIN = timedelta(days=30)
"""After so long without an automatic reply, the next one counts as the first."""


async def disclosed(connection: Connection, owner_id: OwnerId, chat_id: ChatId, text: str, line: str) -> str:
    """The text, with the line below it where the chat was not told of late; an empty line tells nothing."""
    if not line or await _was_told(connection, owner_id, chat_id):
        return text
    return f"{text}\n\n{line}"


async def _was_told(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> bool:
    """True when an automatic reply left for the chat, or may have left, within that time."""
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM outbox WHERE owner_id = %s AND chat_id = %s AND origin = 'auto'
                       AND state IN ('sent', 'unknown') AND queued_at > now() - %s)""",
        [owner_id, chat_id, AGAIN],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])
