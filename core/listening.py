"""Which chats are listened to: what is said elsewhere is read by nobody and kept nowhere.

A chat between two people is listened to from the start; a group, a channel, or any chat that another
organisation's people read along in, only after its owner said so. What is simulated, or was written for
a test, is nobody's.
"""

from core.events import MessageNew
from core.ids import AccountId, ChatId, OwnerId
from core.storage.database import Connection
from core.vocabulary import ChatKind

OPT_IN = frozenset({"telegram", "slack", "discord"})
"""Platforms where groups hold people who never chose Locum."""


def listens_from_the_start(platform: str, kind: ChatKind, *, external: bool) -> bool:
    """The rule where the owner has said nothing."""
    return platform not in OPT_IN or (kind is ChatKind.DIRECT and not external)


async def is_listened(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, platform: str, event: MessageNew
) -> bool:
    """Whether this message may be kept: by the owner's word for its chat, else by the rule for its kind."""
    if platform not in OPT_IN:
        return True
    cursor = await connection.execute(
        """
        SELECT p.listen, c.external, c.kind FROM chats c
        LEFT JOIN policies p ON p.owner_id = c.owner_id AND p.chat_id = c.id
        WHERE c.owner_id = %s AND c.account_id = %s AND c.platform_chat_id = %s""",
        [owner_id, account_id, event.chat.chat],
    )
    said, external = None, event.external
    if (row := await cursor.fetchone()) is not None:
        said, external = row[0], external or bool(row[1])
    if said is not None:
        return bool(said)
    return listens_from_the_start(platform, event.chat_kind, external=external)


async def is_open_chat(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> bool:
    """Whether a known chat is listened to."""
    cursor = await connection.execute(
        """
        SELECT a.platform, c.kind, c.external, p.listen FROM chats c
        JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        LEFT JOIN policies p ON p.owner_id = c.owner_id AND p.chat_id = c.id
        WHERE c.owner_id = %s AND c.id = %s""",
        [owner_id, chat_id],
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    if row[3] is not None:
        return bool(row[3])
    return listens_from_the_start(str(row[0]), ChatKind(row[1]), external=bool(row[2]))


async def set_listening(connection: Connection, owner_id: OwnerId, chat_id: ChatId, *, on: bool) -> None:
    """The owner's word for one chat; what is kept already stays until it is forgotten."""
    await connection.execute(
        """
        INSERT INTO policies (owner_id, chat_id, listen) VALUES (%s, %s, %s)
        ON CONFLICT (owner_id, chat_id) DO UPDATE SET listen = EXCLUDED.listen, changed_at = now()""",
        [owner_id, chat_id, on],
    )
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%s, 'owner', 'listening.set', jsonb_build_object('chat', %s::bigint, 'on', %s::boolean))""",
        [owner_id, chat_id, on],
    )
