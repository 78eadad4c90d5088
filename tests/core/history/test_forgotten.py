"""What was forgotten comes back by no road: not from an export, and not when a platform tells it once more."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.events import Author, ChatRef, MessageEdited, MessageNew, Person
from core.ids import FactId, OwnerId
from core.memory.consents import opt_out
from core.memory.extraction import extract_new
from core.memory.forgetting import (
    Target,
    find_before,
    find_everything,
    find_everything_of,
    find_fact,
    find_message,
    find_topic,
    find_whole_chat,
    forget,
)
from core.memory.references import find_contact
from core.reply.apply import apply_event
from core.reply.situation import Account, read_account
from core.storage.database import Connection, Database
from tests.core.history.exports import START, jsonl, load, record
from tests.core.reply.world import TIMING

SAID = [record(1, "I have a cat named Xylo"), record(2, "nice", sender="mara"), record(3, "I live in Oslo")]


async def _fact(connection: Connection, owner: OwnerId) -> Target:
    cursor = await connection.execute("SELECT id FROM facts WHERE statement LIKE '%%Xylo%%'")
    (row,) = await cursor.fetchall()
    return await find_fact(connection, owner, FactId(int(row[0])))


async def _topic(connection: Connection, owner: OwnerId) -> Target:
    await connection.execute(
        """
        WITH t AS (INSERT INTO topics (owner_id, name, audience_id)
                   SELECT owner_id, 'Pets', audience_id FROM messages WHERE text LIKE '%%Xylo%%'
                   RETURNING owner_id, id)
        INSERT INTO topic_sources SELECT t.owner_id, t.id, m.id FROM t, messages m WHERE m.text LIKE '%%Xylo%%'"""
    )
    return await find_topic(connection, owner, "pets")


FORGOTTEN: dict[str, Callable[[Connection, OwnerId], Awaitable[Target]]] = {
    "message": lambda connection, owner: find_message(connection, owner, "m1"),
    "fact": _fact,
    "topic": _topic,
    "contact": lambda connection, owner: find_everything_of(connection, owner, "Ana"),
    "chat": lambda connection, owner: find_whole_chat(connection, owner, "c1"),
    "before": lambda connection, owner: find_before(connection, owner, START + timedelta(minutes=2)),
    "everything": find_everything,
}


async def texts(database: Database, owner: OwnerId) -> list[str]:
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT text FROM messages ORDER BY sent_at")
        return [str(row[0]) for row in await cursor.fetchall()]


def told(number: int, text: str, *, at: datetime | None = None, name: str = "Ana") -> MessageNew:
    return MessageNew(
        key=f"again:{number}:{text}",
        chat=ChatRef(platform="console", account="mara", chat="c1"),
        at=at or START + timedelta(minutes=number),
        message_id=f"m{number}",
        sender=Person(id="ana", name=name),
        author=Author.CONTACT,
        text=text,
    )


async def account_of(connection: Connection, owner: OwnerId) -> Account:
    cursor = await connection.execute("SELECT id FROM accounts WHERE owner_id = %s", [owner])
    (row,) = await cursor.fetchall()
    return await read_account(connection, owner, row[0])


@pytest.mark.parametrize("kind", FORGOTTEN)
async def test_nothing_brings_it_back(database: Database, owner: OwnerId, tmp_path: Path, kind: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", SAID)
    await load(database, owner, path)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        await forget(connection, owner, await FORGOTTEN[kind](connection, owner))
    stayed = await texts(database, owner)
    assert not any("Xylo" in text for text in stayed)
    await load(database, owner, path)
    await load(database, owner, jsonl(tmp_path / "later.jsonl", [*SAID, record(1, "I had a cat named Xylo")]))
    assert await texts(database, owner) == stayed
    first = told(1, "I have a cat named Xylo")
    edit = MessageEdited(
        key="edit", chat=first.chat, at=datetime.now(UTC), message_id="m1", text="I have a dog named Xylo",
        original=first,
    )  # fmt: skip
    async with database.owner(owner) as connection:
        account = await account_of(connection, owner)
        for event in (first, edit):
            await apply_event(connection, account, event, datetime.now(UTC), TIMING)
    assert await texts(database, owner) == stayed


async def test_when_everything_is_forgotten_what_is_said_from_then_on_is_kept(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await load(database, owner, jsonl(tmp_path / "a.jsonl", SAID))
    async with database.owner(owner) as connection:
        await forget(connection, owner, await find_everything(connection, owner))
    async with database.owner(owner) as connection:
        account = await account_of(connection, owner)
        later = told(9, "hello again", at=datetime.now(UTC) + timedelta(seconds=1))
        await apply_event(connection, account, later, datetime.now(UTC), TIMING)
        cursor = await connection.execute("SELECT display_name FROM contacts")
        assert await cursor.fetchall() == [("Ana",)]
    assert await texts(database, owner) == ["hello again"]


@pytest.mark.parametrize("forgotten", [True, False])
async def test_what_somebody_says_who_opted_out_is_not_stored(
    database: Database, owner: OwnerId, tmp_path: Path, *, forgotten: bool
) -> None:
    await load(database, owner, jsonl(tmp_path / "a.jsonl", SAID))
    async with database.owner(owner) as connection:
        contact = await find_contact(connection, owner, "Ana")
        await opt_out(connection, owner, contact)
        if forgotten:
            await forget(connection, owner, await find_everything_of(connection, owner, str(contact.id)))
    stayed = await texts(database, owner)
    assert len(stayed) == (0 if forgotten else 3)
    async with database.owner(owner) as connection:
        account = await account_of(connection, owner)
        now = datetime.now(UTC)
        later = told(9, "can you hear me?", at=now + timedelta(seconds=1), name="Ana Renamed")
        edit = MessageEdited(
            key="e",
            chat=later.chat,
            at=now + timedelta(seconds=2),
            message_id="m9",
            text="hello?",
            original=later,
        )
        for event in (later, edit):
            await apply_event(connection, account, event, now, TIMING)
        cursor = await connection.execute("SELECT count(*) FROM turns")
        assert await cursor.fetchone() == (0,), "and nothing is drafted for it"
        cursor = await connection.execute(
            "SELECT count(*) FROM contacts WHERE display_name LIKE '%%Renamed%%'"
        )
        assert await cursor.fetchone() == (0,)
    assert await texts(database, owner) == stayed
