"""Imports into Postgres: each message once, nothing overwritten that was known better, and back out whole."""

import asyncio
import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadInput, NotAllowed
from core.events import Person
from core.history import load as loading
from core.history import spool as spooling
from core.history.importing import Wishes, preview_history
from core.history.undo import undo_import
from core.ids import BatchId, OwnerId
from core.memory.index import index_messages
from core.memory.people import Chat, ensure_account, ensure_chat, ensure_source
from core.owners import ensure_owner
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, SourceKind
from tests.core.history.exports import START, dump, jsonl, load, record, zipped
from tests.standins import HashEmbedder
from trainer.history import said_by_all


async def rows(database: Database, owner: OwnerId, query: str, *given: object) -> list[tuple[Any, ...]]:
    async with database.owner(owner) as connection:
        cursor = await connection.execute(query.encode(), given or None)
        return await cursor.fetchall()


def group(
    number: int, text: str = "hello", *, sender: str = "ana", members: str = "", **changes: Any
) -> dict[str, Any]:
    """A record in a group, with a member list where one is given."""
    chat: dict[str, Any] = {"id": "g1", "kind": "group", "title": "Trip"}
    if members:
        chat["members"] = [{"id": name, "name": name.title()} for name in members.split()]
    return record(number, text, sender=sender, chat=chat, **changes)


async def live_chat(connection: Connection, owner: OwnerId) -> tuple[Chat, int]:
    account = await ensure_account(connection, owner, "console", "mara", "mara")
    source = await ensure_source(connection, owner, SourceKind.CONSOLE, "console", "mara")
    chat = await ensure_chat(
        connection, owner, account, "c1", ChatKind.DIRECT, "Ana", [Person(id="ana", name="Ana")]
    )
    return chat, source


async def live_message(
    connection: Connection, owner: OwnerId, chat: Chat, source: int, number: int, text: str, origin: str
) -> None:
    await connection.execute(
        """
        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_name, origin, sent_at, text,
                              audience_id, source_id)
        VALUES (%s, %s, %s, 'Mara', %s, %s, %s, %s, %s)""",
        [
            owner,
            chat.id,
            f"m{number}",
            origin,
            START + timedelta(minutes=number),
            text,
            chat.audience_id,
            source,
        ],
    )


async def test_importing_twice_adds_nothing(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    attachments = [{"kind": "photo", "name": "a.png", "caption": "sunset"}]
    reactions = [{"sender": {"id": "ana", "name": "Ana"}, "emoji": "👍"}]
    path = jsonl(
        tmp_path / "a.jsonl",
        [
            record(1, attachments=attachments),
            record(2, sender="mara", reactions=reactions, reply_to="m1"),
            group(3, thread="t1", members="ana ben mara"),
        ],
    )
    first = await load(database, owner, path)
    before = await dump(database, owner)
    second = await load(database, owner, path)
    assert (first.messages_read, first.messages_new, first.chats, first.contacts) == (3, 3, 2, 2)
    assert (second.messages_new, second.messages_updated) == (0, 0)
    assert await dump(database, owner) == before
    assert await rows(database, owner, "SELECT caption FROM messages WHERE platform_message_id = 'm1'") == [
        ("sunset",)
    ]
    assert len(before["reactions"]) == len(before["attachments"]) == len(before["threads"]) == 1


async def test_the_owner_typed_and_the_others_did_not(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    bot = {"id": "helper", "name": "Helper", "is_bot": True}
    path = jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara"), group(3) | {"sender": bot}])
    await load(database, owner, path)
    found = await rows(database, owner, "SELECT origin, sender_id IS NULL FROM messages ORDER BY sent_at, id")
    assert found == [("contact", False), ("typed", True), ("bot", False)]


async def test_audiences_follow_membership(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    public = record(4, chat={"id": "p", "kind": "public", "title": "News"})
    unlisted = record(3, chat={"id": "g2", "kind": "group", "title": "?"})
    path = jsonl(tmp_path / "a.jsonl", [record(1), group(2, members="ana ben mara"), unlisted, public])
    await load(database, owner, path, "mara")
    found = await rows(
        database,
        owner,
        """
        SELECT c.platform_chat_id, a.kind, c.members_known FROM messages m
        JOIN chats c ON c.id = m.chat_id JOIN audiences a ON a.id = m.audience_id ORDER BY 1""",
    )
    assert found == [
        ("c1", "contacts", True),
        ("g1", "chat", True),
        ("g2", "owner", False),
        ("p", "anyone", False),
    ]


async def test_a_later_export_brings_edits_and_an_earlier_one_does_not_take_them_back(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    old = jsonl(tmp_path / "old.jsonl", [record(1, "typo"), record(2, "same")])
    edited = record(1, "fixed", edited_at=(START + timedelta(days=1)).isoformat())
    new = jsonl(tmp_path / "new.jsonl", [edited, record(2, "same"), record(3, "new")])
    await load(database, owner, old, "ana")
    report = await load(database, owner, new, "ana")
    assert (report.messages_new, report.messages_updated) == (1, 1)
    again = await load(database, owner, old, "ana")
    assert (again.messages_new, again.messages_updated) == (0, 0)
    assert await rows(database, owner, "SELECT text FROM messages ORDER BY sent_at, id") == [
        ("fixed",),
        ("same",),
        ("new",),
    ]
    assert await rows(database, owner, "SELECT text_before, batch_id FROM message_edits") == [
        ("typo", report.batch)
    ]


async def test_live_rows_keep_their_origin_and_their_wording(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async with database.owner(owner) as connection:
        chat, source = await live_chat(connection, owner)
        await live_message(connection, owner, chat, source, 1, "by us", "auto")
        await live_message(connection, owner, chat, source, 2, "draft", "accepted")
    path = jsonl(
        tmp_path / "a.jsonl",
        [record(1, "by us", sender="mara"), record(2, "draft, another wording", sender="mara"), record(3)],
    )
    report = await load(database, owner, path)
    assert (report.messages_new, report.messages_updated) == (1, 0)
    assert report.chats == 1
    assert await rows(database, owner, "SELECT origin, text FROM messages ORDER BY sent_at, id") == [
        ("auto", "by us"),
        ("accepted", "draft"),
        ("contact", "hello"),
    ]
    assert len(await rows(database, owner, "SELECT id FROM chats")) == 1
    assert len(await rows(database, owner, "SELECT id FROM contacts")) == 1


async def test_what_the_outbox_sent_is_not_typed(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    async with database.owner(owner) as connection:
        chat, source = await live_chat(connection, owner)
        await live_message(connection, owner, chat, source, 0, "?", "contact")
        for number, (text, origin, ids) in enumerate(
            [("on my way", "auto", list[str]()), ("see you", "accepted", ["m3"])]
        ):
            await connection.execute(
                """
                WITH turn AS (
                    INSERT INTO turns (owner_id, chat_id, first_message_id, last_message_id, state, due_at)
                    SELECT owner_id, chat_id, id, id, 'answered', now() FROM messages RETURNING owner_id, id
                ), draft AS (
                    INSERT INTO drafts (owner_id, turn_id, version, position, text, intent, origin, confidence, state)
                    SELECT owner_id, id, 0, 0, %s, 'inform', 'model', 1, 'sent' FROM turn RETURNING *
                )
                INSERT INTO outbox (owner_id, account_id, chat_id, turn_id, draft_id, send_key, text, origin,
                                    state, queued_at, platform_message_ids)
                SELECT owner_id, %s, %s, turn_id, id, %s, text, %s, 'sent', %s, %s FROM draft""",
                [text, chat.account_id, chat.id, str(number), origin, START, ids],
            )
    path = jsonl(
        tmp_path / "a.jsonl",
        [
            record(1, "on my way", sender="mara"),
            record(2, "typed by hand", sender="mara"),
            record(3, "see you!", sender="mara"),
            record(60 * 24 * 9, "on my way", sender="mara"),
        ],
    )
    await load(database, owner, path)
    found = await rows(
        database, owner, "SELECT origin FROM messages WHERE batch_id IS NOT NULL ORDER BY sent_at"
    )
    assert found == [("auto",), ("typed",), ("accepted",), ("typed",)]


async def test_what_was_forgotten_does_not_come_back(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara"), group(3), group(4)])
    async with database.owner(owner) as connection:
        for chat, message in (("c1", "m1"), ("g1", None)):
            await connection.execute(
                """
                INSERT INTO tombstones (owner_id, platform, account, platform_chat_id, platform_message_id)
                VALUES (%s, 'console', 'mara', %s, %s)""",
                [owner, chat, message],
            )
    report = await load(database, owner, path)
    assert (report.messages_new, report.skipped) == (1, {"forgotten": 3})
    assert await rows(database, owner, "SELECT platform_chat_id FROM chats") == [("c1",)]


async def test_people_who_opted_out_are_left_out(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    await load(database, owner, jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara")]))
    await rows(database, owner, "UPDATE contacts SET opted_out_at = now() RETURNING id")
    report = await load(
        database, owner, jsonl(tmp_path / "b.jsonl", [record(3), group(4), group(5, sender="mara")])
    )
    assert (report.messages_new, report.skipped) == (1, {"opted_out": 2})


async def test_a_dry_run_writes_nothing(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    before = await dump(database, owner)
    path = jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara"), "{"])
    report = await preview_history(path, Wishes())
    assert (report.messages_read, report.messages_new, report.batch, report.errors_total) == (2, 0, None, 1)
    assert (report.owner["ids"], report.chats, report.contacts, report.first) == (
        ["mara"],
        1,
        1,
        START + timedelta(minutes=1),
    )
    assert await dump(database, owner) == before
    assert await rows(database, owner, "SELECT count(*) FROM sources") == [(0,)]


async def test_a_dry_run_lists_who_the_owner_may_be(tmp_path: Path) -> None:
    report = await preview_history(jsonl(tmp_path / "a.jsonl", [record(1, account="x")]), Wishes())
    assert report.owner["ids"] == []
    assert "ana (1)" in str(report.owner["how"])


async def test_training_is_a_consent_of_the_source(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara")])
    for training, expected in ((None, False), (True, True), (None, True), (False, False)):
        await load(database, owner, path, training=training)
        assert await rows(database, owner, "SELECT may_train FROM sources") == [(expected,)]


async def test_an_export_and_a_live_account_are_one_account(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async with database.owner(owner) as connection:
        live = await ensure_account(connection, owner, "discord", "my discord", "7")
    files = {
        "account/user.json": {"id": "7", "username": "mara"},
        "messages/c1/channel.json": {"id": "1", "type": 1, "recipients": ["7", "42"]},
        "messages/c1/messages.json": [{"ID": 1, "Timestamp": "2024-05-01 10:00:00", "Contents": "hi"}],
    }
    await load(database, owner, zipped(tmp_path / "package.zip", files))
    assert await rows(database, owner, "SELECT account_id FROM chats") == [(live,)]


async def test_a_chunk_border_changes_nothing(
    database: Database, owner: OwnerId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "BLOCK", 3)
    lines = [record(n, f"text {n}", sender="mara" if n % 2 else "ana") for n in range(20)] + [
        record(4, "text 4 again")
    ]
    report = await load(database, owner, jsonl(tmp_path / "a.jsonl", lines))
    assert (report.messages_new, report.messages_updated) == (20, 1)
    found = await rows(database, owner, "SELECT platform_message_id FROM messages ORDER BY sent_at, id")
    assert found == [(f"m{n}",) for n in range(20)]
    before = await dump(database, owner)
    again = await load(database, owner, jsonl(tmp_path / "a.jsonl", lines))
    assert (again.messages_new, again.messages_updated) == (0, 0)
    assert await dump(database, owner) == before


async def test_an_import_that_broke_off_is_completed_by_another_or_undone(
    database: Database, owner: OwnerId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "BLOCK", 1)
    path = jsonl(tmp_path / "a.jsonl", [record(n, sender="mara" if n % 2 else "ana") for n in range(20)])
    empty = await dump(database, owner)
    real, calls = loading._insert, list[int]()  # pyright: ignore[reportPrivateUsage] -- the step that fails

    async def fail_at_the_tenth(connection: Connection, owner_id: OwnerId, batch: BatchId) -> int:
        calls.append(1)
        if len(calls) == 10:
            raise ConnectionError
        return await real(connection, owner_id, batch)

    monkeypatch.setattr(loading, "_insert", fail_at_the_tenth)
    with pytest.raises(ExceptionGroup):
        await load(database, owner, path)
    stored = (await rows(database, owner, "SELECT count(*) FROM messages"))[0][0]
    assert 0 < stored < 20
    monkeypatch.setattr(loading, "_insert", real)
    completed = await load(database, owner, path)
    assert completed.messages_new == 20 - stored
    for batch in await rows(database, owner, "SELECT id FROM import_batches ORDER BY id DESC"):
        await undo_import(database, owner, BatchId(batch[0]))
    assert await dump(database, owner) == empty


async def test_an_unknown_batch_and_a_second_undo_are_refused(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="no import batch 7"):
        await undo_import(database, owner, BatchId(7))
    report = await load(database, owner, jsonl(tmp_path / "a.jsonl", [record(1, sender="mara")]))
    assert report.batch is not None
    stranger = await ensure_owner(database, "stranger")
    with pytest.raises(BadInput, match="no import batch"):
        await undo_import(database, stranger, report.batch)
    assert await undo_import(database, owner, report.batch) == 1
    with pytest.raises(BadInput, match="undone already"):
        await undo_import(database, owner, report.batch)


async def test_undoing_an_import_beside_live_rows_restores_them(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async with database.owner(owner) as connection:
        chat, source = await live_chat(connection, owner)
        await live_message(connection, owner, chat, source, 5, "live", "typed")
    before = await dump(database, owner)
    edited = record(5, "edited", sender="mara", edited_at=(START + timedelta(days=1)).isoformat())
    lines = [record(1), edited, record(6, sender="mara"), group(7, members="ana ben")]
    report = await load(database, owner, jsonl(tmp_path / "a.jsonl", lines))
    assert (report.messages_new, report.messages_updated) == (3, 1)
    assert report.batch is not None
    await undo_import(database, owner, report.batch)
    assert await dump(database, owner) == before


async def test_two_imports_at_once_are_both_whole(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    paths = [
        jsonl(tmp_path / f"{n}.jsonl", [record(i, sender="mara" if i % 3 else "ana") for i in range(n, 300)])
        for n in range(2)
    ]
    reports = await asyncio.gather(*(load(database, owner, path) for path in paths))
    assert sum(report.messages_new for report in reports) == 300
    assert await rows(database, owner, "SELECT count(*) FROM contacts") == [(1,)]


RECORDS = st.one_of(
    st.builds(
        record,
        st.integers(0, 6),
        st.sampled_from(["hello", "other"]),
        sender=st.sampled_from(["mara", "ana"]),
        edited_at=st.sampled_from([None, "2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"]),
        thread=st.sampled_from([None, "t1"]),
        reactions=st.sampled_from([[], [{"sender": {"id": "ana", "name": "Ana"}, "emoji": "👍"}]]),
        attachments=st.sampled_from([[], [{"kind": "photo", "name": "a"}]]),
    ),
    st.builds(
        group,
        st.integers(10, 16),
        sender=st.sampled_from(["mara", "ana", "ben", "cy"]),
        members=st.sampled_from(["", "ana mara", "ana ben mara", "ben cy"]),
    ),
)
HISTORY = st.lists(RECORDS, min_size=1, max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=st.lists(HISTORY, min_size=1, max_size=4), order=st.randoms(use_true_random=False))
async def test_undo_restores_exactly_what_was_before(
    database: Database, tmp_path: Path, histories: list[list[dict[str, Any]]], order: Any
) -> None:
    """The last import undone leaves what was before it; all undone in any order leave nothing."""
    owner = await ensure_owner(database, f"owner{uuid.uuid4().hex}")
    empty = await dump(database, owner)
    batches, states = list[BatchId](), [empty]
    for history in histories:
        path = jsonl(tmp_path / "a.jsonl", history)
        present = {item["sender"]["id"] for item in history}
        report = await load(database, owner, path, "mara" if "mara" in present else min(present))
        assert report.batch is not None
        batches.append(report.batch)
        states.append(await dump(database, owner))
    if order.randint(0, 1):
        for batch in reversed(batches):
            assert await dump(database, owner) == states.pop()
            await undo_import(database, owner, batch)
    else:
        order.shuffle(batches)
        for batch in batches:
            await undo_import(database, owner, batch)
    assert await dump(database, owner) == empty


async def test_undo_waits_for_training_examples_that_rest_on_its_messages(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    report = await load(database, owner, jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara")]))
    assert report.batch is not None
    await rows(
        database,
        owner,
        """
        WITH run AS (
            INSERT INTO training_runs (owner_id, state) SELECT id, 'done' FROM owners RETURNING owner_id, id
        ), example AS (
            INSERT INTO training_examples (owner_id, run_id, kind, digest)
            SELECT owner_id, id, 'reply', 'd' FROM run RETURNING owner_id, id
        )
        INSERT INTO training_example_sources (owner_id, example_id, message_id)
        SELECT e.owner_id, e.id, m.id FROM example e, messages m WHERE m.origin = 'typed' RETURNING 1""",
    )
    before = await dump(database, owner)
    with pytest.raises(NotAllowed, match="cannot be undone"):
        await undo_import(database, owner, report.batch)
    assert await dump(database, owner) == before
    await rows(database, owner, "DELETE FROM training_example_sources RETURNING 1")
    assert await undo_import(database, owner, report.batch) == 2


async def test_chats_with_bots_and_notes_to_oneself_are_kept_and_never_trained_on(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    def said(number: int, user: int) -> dict[str, int | str]:
        head: dict[str, int | str] = {
            "id": number,
            "type": "message",
            "date": "2026-03-01T10:00:00",
            "text": "words",
        }
        return head | {
            "date_unixtime": str(1_774_000_000 + number),
            "from": f"u{user}",
            "from_id": f"user{user}",
        }

    chats = [
        {"name": "Ana", "type": "personal_chat", "id": 5, "messages": [said(1, 5), said(2, 7)]},
        {"name": "Helper", "type": "bot_chat", "id": 6, "messages": [said(3, 6), said(4, 7)]},
        {"type": "saved_messages", "id": 7, "messages": [said(5, 7)]},
    ]
    content = {"personal_information": {"user_id": 7}, "chats": {"about": "", "list": chats}}
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content, indent=1))
    await load(database, owner, path, training=True)
    async with database.owner(owner) as connection:
        learned = {said.message_id: said.left_out async for said in said_by_all(connection, owner)}
    stored = await rows(database, owner, "SELECT platform_message_id, id FROM messages ORDER BY id")
    assert {name: learned[key] for name, key in stored} == {
        "1": "",
        "2": "",
        "3": "no_consent",
        "4": "no_consent",
        "5": "no_consent",
    }


async def test_a_bot_in_a_chat_of_two_is_known_by_what_it_says_of_itself(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    bot = {"id": "helper", "name": "Helper", "is_bot": True}
    path = jsonl(tmp_path / "a.jsonl", [record(1) | {"sender": bot}, record(2, sender="mara")])
    await load(database, owner, path, training=True)
    found = await rows(
        database, owner, "SELECT DISTINCT may_train FROM messages m JOIN sources s ON s.id = m.source_id"
    )
    assert found == [(False,)]


async def test_what_comes_between_indexed_messages_voids_their_windows(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async def windows() -> dict[str, str]:
        found = await rows(
            database,
            owner,
            """
            SELECT m.platform_message_id, e.embedding::text FROM embeddings e
            JOIN messages m ON m.id = e.message_id WHERE e.span = 'window'""",
        )
        return dict(found)

    await load(
        database, owner, jsonl(tmp_path / "a.jsonl", [record(n, f"word{n}") for n in (1, 2, 4, 5)]), "ana"
    )
    await index_messages(database, owner, HashEmbedder())
    before = await windows()
    await load(database, owner, jsonl(tmp_path / "b.jsonl", [record(3, "between")]), "ana")
    await index_messages(database, owner, HashEmbedder())
    after = await windows()
    assert sorted(after) == ["m1", "m2", "m3", "m4", "m5"]
    assert {key for key in before if before[key] != after[key]} == {"m2", "m4"}


async def test_several_exports_in_one_folder_are_one_import(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    jsonl(tmp_path / "ana.jsonl", [record(1), record(2, sender="mara")])
    jsonl(tmp_path / "trip.jsonl", [group(3), group(4, sender="mara")])
    report = await load(database, owner, tmp_path)
    assert (report.messages_new, report.chats, report.batch is not None) == (4, 2, True)
