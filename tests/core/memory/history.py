"""A small history to search in, written as rows: one account, direct chats and groups, a clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from core.events import Person
from core.ids import AccountId, ContactId, MessageId, OwnerId, SourceId, ThreadId
from core.memory.membership import Chat
from core.memory.people import ensure_account, ensure_chat, ensure_contact_account, ensure_source
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, Origin, SourceKind

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
PLATFORM = "console"


@dataclass
class History:
    """What is said here is said one minute after the last thing said."""

    database: Database
    owner_id: OwnerId
    account: AccountId
    source: SourceId
    now: datetime = START
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def chat(self, *people: str, kind: ChatKind = ChatKind.DIRECT, name: str = "") -> Chat:
        async with self.database.owner(self.owner_id) as connection:
            return await ensure_chat(
                connection, self.owner_id, self.account, name or "-".join(people), kind,
                name or " and ".join(people), [Person(id=p, name=p) for p in people], at=START,
            )  # fmt: skip

    async def contact(self, person: str) -> ContactId:
        async with self.database.owner(self.owner_id) as connection:
            return (await self._person(connection, person))[0]

    async def _person(self, connection: Connection, person: str) -> tuple[ContactId, int]:
        return await ensure_contact_account(
            connection, self.owner_id, PLATFORM, "me", Person(id=person, name=person)
        )

    async def say(
        self,
        chat: Chat,
        sender: str | None,
        text: str,
        *,
        origin: Origin | None = None,
        after: timedelta = timedelta(minutes=1),
        thread: ThreadId | None = None,
        source: SourceId | None = None,
        at: datetime | None = None,
    ) -> MessageId:
        """Something said by that person, or by the owner when nobody is named."""
        self.now = at or self.now + after
        async with self.database.owner(self.owner_id) as connection:
            sender_id = None if sender is None else (await self._person(connection, sender))[1]
            cursor = await connection.execute(
                """
                INSERT INTO messages (owner_id, chat_id, thread_id, platform_message_id, sender_id,
                                      sender_name, origin, sent_at, text, audience_id, source_id)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id""",
                [
                    self.owner_id, chat.id, thread, f"m{next(self.numbers)}", sender_id, sender or "Mara",
                    origin or (Origin.CONTACT if sender else Origin.TYPED), self.now, text, chat.audience_id,
                    source or self.source,
                ],
            )  # fmt: skip
            row = await cursor.fetchone()
        assert row is not None
        return MessageId(int(row[0]))

    async def talk(self, chat: Chat, lines: Sequence[tuple[str | None, str]]) -> list[MessageId]:
        return [await self.say(chat, sender, text) for sender, text in lines]

    async def run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of one statement, as the application's role."""
        async with self.database.owner(self.owner_id) as connection:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []


async def open_history(database: Database, owner_id: OwnerId) -> History:
    async with database.owner(owner_id) as connection:
        account = await ensure_account(connection, owner_id, PLATFORM, "me")
        source = await ensure_source(connection, owner_id, SourceKind.CONSOLE, PLATFORM)
    return History(database=database, owner_id=owner_id, account=account, source=source)


async def other_source(history: History, name: str, *, may_draft: bool) -> SourceId:
    async with history.database.owner(history.owner_id) as connection:
        return await ensure_source(
            connection, history.owner_id, SourceKind.EXPORT, PLATFORM, name, may_draft=may_draft
        )
