"""A made owner whose answers depend on what is asked: weeks of chats with two people."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from core.events import Person
from core.ids import OwnerId
from core.memory.people import ensure_account, ensure_audience, ensure_contact_account, ensure_source, realm
from core.storage.database import Database
from core.vocabulary import SourceKind

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
ANSWERS = {"a" * 24: "yes yes", "z" * 24: "no no"}


def questions(count: int, seed: int = 4) -> list[tuple[str, str]]:
    """(what somebody asks, what the owner answers)."""
    chance = random.Random(seed)  # noqa: S311 -- made chats
    asked = chance.choices(sorted(ANSWERS), k=count)
    return [("".join(chance.choices("bcd", k=2)) + ask, ANSWERS[ask]) for ask in asked]


async def store_weeks(
    database: Database,
    owner: OwnerId,
    lines: Sequence[tuple[str, str]],
    *,
    weeks: int = 40,
    chats: Sequence[str] = ("1", "2"),
    may_train: bool = True,
) -> None:
    """The lines dealt out to the weeks of the chats, each answered after a minute, a day apart."""
    async with database.owner(owner) as connection:
        source = await ensure_source(
            connection, owner, SourceKind.EXPORT, "telegram", f"trains: {may_train}", may_train=may_train
        )
        account = await ensure_account(connection, owner, "telegram", "mara")
        _, sender = await ensure_contact_account(
            connection, owner, "telegram", realm("telegram", "mara"), Person(id="7", name="Tom")
        )
        audience = await ensure_audience(connection, owner, "anyone")
        for chat in chats:
            cursor = await connection.execute(
                """
                INSERT INTO chats (owner_id, account_id, platform_chat_id, kind, audience_id)
                VALUES (%s, %s, %s, 'direct', %s) RETURNING id""",
                [owner, account, chat, audience],
            )
            row = await cursor.fetchone()
            assert row
            mine = [line for number, line in enumerate(lines) if chats[number % len(chats)] == chat]
            for number, (asked, answered) in enumerate(mine):
                at = MONDAY + timedelta(weeks=number % weeks, days=number // weeks)
                for origin, text, minute in (("contact", asked, 0), ("typed", answered, 1)):
                    await connection.execute(
                        """
                        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_id, sender_name,
                                              origin, sent_at, text, audience_id, source_id)
                        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                        [
                            owner,
                            row[0],
                            f"{number}:{origin}",
                            sender if origin == "contact" else None,
                            "Tom" if origin == "contact" else "Mara",
                            origin,
                            at + timedelta(minutes=minute),
                            text,
                            audience,
                            source,
                        ],
                    )
