"""Neutral history records written as rows, for benchmarks: no batches, no consents, nobody's audience."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.events import Person
from core.ids import OwnerId
from core.memory.people import ensure_account, ensure_chat, ensure_contact_accounts, ensure_source
from core.storage.database import Connection
from core.vocabulary import ChatKind, SourceKind

PLATFORM = "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message of a corpus."""

    id: str
    sender: str
    sent_at: datetime
    text: str
    caption: str = ""

    @property
    def line(self) -> str:
        """As it is embedded; see `spoken_line` in 0002_search.sql."""
        return f"{self.sender}: {self.text}" + (f" {self.caption}" if self.caption else "")


async def write_records(
    connection: Connection,
    owner_id: OwnerId,
    chat_name: str,
    records: Sequence[Record],
    *,
    owner_name: str | None = None,
    kind: ChatKind = ChatKind.GROUP,
) -> None:
    """All of one chat's records: everybody in it is a contact, but for the owner if one is named."""
    account = await ensure_account(connection, owner_id, PLATFORM, "me")
    source = await ensure_source(connection, owner_id, SourceKind.EXPORT, PLATFORM)
    people = [
        Person(id=name, name=name)
        for name in dict.fromkeys(record.sender for record in records)
        if name != owner_name
    ]
    chat = await ensure_chat(
        connection, owner_id, account, chat_name, kind, chat_name, people, at=records[0].sent_at
    )
    senders = await ensure_contact_accounts(connection, owner_id, PLATFORM, "me", people)
    await connection.execute("""
        CREATE TEMP TABLE IF NOT EXISTS incoming (
            id text, sender_id bigint, sender text, sent_at timestamptz, text text, caption text
        ) ON COMMIT DELETE ROWS""")
    await connection.execute("TRUNCATE incoming")
    async with (
        connection.cursor() as cursor,
        cursor.copy("COPY incoming (id, sender_id, sender, sent_at, text, caption) FROM STDIN") as copy,
    ):
        for row in _rows(records, {name: account_id for name, (_, account_id) in senders.items()}):
            await copy.write_row(row)
    await connection.execute(
        """
        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_id, sender_name, origin, sent_at,
                              text, caption, audience_id, source_id)
        SELECT %s, %s, id, sender_id, sender, CASE WHEN sender_id IS NULL THEN 'typed' ELSE 'contact' END,
               sent_at, text, caption, %s, %s
        FROM incoming""",
        [owner_id, chat.id, chat.audience_id, source],
    )


def _rows(records: Iterable[Record], senders: Mapping[str, int]) -> Iterable[tuple[object, ...]]:
    for record in records:
        yield (
            record.id, senders.get(record.sender), record.sender, record.sent_at, record.text.replace("\0", ""),
            record.caption,
        )  # fmt: skip
