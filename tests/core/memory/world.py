"""A small world to remember: chats, their members, and what was said in them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from core.ids import AudienceId, ChatId, ContactId, MessageId, OwnerId
from core.storage.database import Connection

NOON = datetime(2026, 5, 13, 12, tzinfo=UTC)
"""A Wednesday."""


async def one(connection: Connection, query: bytes, values: list[object]) -> int:
    cursor = await connection.execute(query, values)
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


@dataclass(slots=True)
class World:
    """Writes rows as importers and bots do."""

    owner: OwnerId
    account: int = 0
    source: int = 0
    contacts: dict[str, ContactId] = field(default_factory=dict[str, ContactId])
    accounts: dict[str, int] = field(default_factory=dict[str, int])
    chats: dict[str, ChatId] = field(default_factory=dict[str, ChatId])
    audiences: dict[str, AudienceId] = field(default_factory=dict[str, AudienceId])
    count: int = 0

    async def open(self, connection: Connection, *, may_profile: bool = True) -> "World":
        self.account = await one(
            connection,
            b"INSERT INTO accounts (owner_id, platform, name) VALUES (%s, 'telegram', 'me') RETURNING id",
            [self.owner],
        )
        self.source = await one(
            connection,
            b"INSERT INTO sources (owner_id, kind, platform, may_profile)"
            b" VALUES (%s, 'export', 'telegram', %s) RETURNING id",
            [self.owner, may_profile],
        )
        return self

    async def contact(self, connection: Connection, name: str) -> ContactId:
        contact = await one(
            connection,
            b"INSERT INTO contacts (owner_id, display_name) VALUES (%s, %s) RETURNING id",
            [self.owner, name],
        )
        self.contacts[name] = ContactId(contact)
        self.accounts[name] = await one(
            connection,
            b"INSERT INTO contact_accounts (owner_id, contact_id, platform, platform_user_id, display_name)"
            b" VALUES (%s, %s, 'telegram', %s, %s) RETURNING id",
            [self.owner, contact, f"u-{name}", name],
        )
        return ContactId(contact)

    async def chat(
        self, connection: Connection, title: str, *names: str, kind: str = "direct", joined: str = "-infinity"
    ) -> ChatId:
        """A chat with these people, all known, and its audience."""
        # Chat and audience name each other: the foreign keys are checked at commit.
        chat = await one(
            connection,
            b"INSERT INTO chats (owner_id, account_id, platform_chat_id, kind, title, members_known,"
            b" audience_id) VALUES (%s, %s, %s, %s, %s, true, 0) RETURNING id",
            [self.owner, self.account, f"c-{title}", kind, title],
        )
        audience = await one(
            connection,
            b"INSERT INTO audiences (owner_id, kind, chat_id) VALUES (%s, 'chat', %s) RETURNING id",
            [self.owner, chat],
        )
        await connection.execute(
            "UPDATE chats SET audience_id = %s WHERE owner_id = %s AND id = %s", [audience, self.owner, chat]
        )
        self.chats[title] = ChatId(chat)
        self.audiences[title] = AudienceId(audience)
        for name in names:
            await self.join(connection, title, name, joined)
        return ChatId(chat)

    async def join(self, connection: Connection, title: str, name: str, joined: str | datetime) -> None:
        await connection.execute(
            "INSERT INTO chat_members (owner_id, chat_id, contact_id, joined_at) VALUES (%s, %s, %s, %s)",
            [self.owner, self.chats[title], self.contacts[name], joined],
        )

    async def say(
        self,
        connection: Connection,
        title: str,
        name: str | None,
        text: str,
        at: datetime | None = None,
        *,
        origin: str | None = None,
    ) -> MessageId:
        """A message by that contact, or with name None by the owner; a minute after the last by default."""
        self.count += 1
        return MessageId(
            await one(
                connection,
                b"INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_id, sender_name,"
                b" origin, sent_at, text, audience_id, source_id)"
                b" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
                [
                    self.owner,
                    self.chats[title],
                    f"m{self.count}",
                    self.accounts[name] if name else None,
                    name or "Mara",
                    origin or ("contact" if name else "typed"),
                    at or NOON + timedelta(minutes=self.count),
                    text,
                    self.audiences[title],
                    self.source,
                ],
            )
        )
