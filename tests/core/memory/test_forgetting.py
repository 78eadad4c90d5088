"""What is forgotten is nowhere: not in a single text or document column of the database."""

from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from core.errors import BadInput
from core.ids import FactId, MessageId, OutboxId, OwnerId
from core.memory import forgetting
from core.memory.extraction import extract_new
from core.memory.facts import bury_fact, correct_fact, list_facts
from core.memory.messages import EDITED, delete_messages, edit_message
from core.memory.profiling import refresh_profiles
from core.reply.outbox import settle
from core.storage.database import Connection, Database
from core.vocabulary import OutboxState
from tests.core.memory.world import NOON, World, one


async def holding(conninfo: str, words: str) -> list[str]:
    """Every table and column in which the words stand, looked at past all policies."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT c.table_name, c.column_name FROM information_schema.columns c
            JOIN pg_class t ON t.relname = c.table_name AND t.relnamespace = 'locum'::regnamespace
            WHERE c.table_schema = 'locum' AND t.relkind = 'r'
              AND c.data_type IN ('text', 'jsonb', 'ARRAY', 'tsvector')""")
        found: list[str] = []
        for table, column in await cursor.fetchall():
            looked = await connection.execute(
                sql.SQL("SELECT 1 FROM locum.{} WHERE {}::text ILIKE %s LIMIT 1").format(
                    sql.Identifier(table), sql.Identifier(column)
                ),
                [f"%{words}%"],
            )
            if await looked.fetchone():
                found.append(f"{table}.{column}")
        return found


async def fill(connection: Connection, world: World, message: MessageId, other: MessageId) -> None:
    """Every kind of row that can rest on a message: each carries its word."""
    owner, chat = world.owner, world.chats["Kit"]
    values: dict[str, object] = {
        "owner": owner, "chat": chat, "message": message, "other": other, "account": world.account,
        "audience": world.audiences["Kit"], "contact": world.contacts["Kit"],
    }  # fmt: skip
    for statement in (
        b"""INSERT INTO reactions (owner_id, message_id, emoji) VALUES (%(owner)s, %(message)s, 'xylo')""",
        b"""INSERT INTO attachments (owner_id, message_id, position, kind, caption)
            VALUES (%(owner)s, %(message)s, 0, 'photo', 'a xylophone')""",
        b"""INSERT INTO message_edits (owner_id, message_id, text_before, edited_at)
            VALUES (%(owner)s, %(message)s, 'xylophones', now())""",
        b"""INSERT INTO training_runs (owner_id, id, state) VALUES (%(owner)s, 1, 'done')""",
        b"""INSERT INTO adapters (owner_id, id, name, run_id, base_model, path, state)
            VALUES (%(owner)s, 1, 'night-1', 1, 'base', '/a', 'kept')""",
        b"""INSERT INTO adapters (owner_id, id, name, parent_id, base_model, path, state)
            VALUES (%(owner)s, 2, 'night-2', 1, 'base', '/b', 'active'),
                   (%(owner)s, 3, 'untainted', NULL, 'base', '/c', 'kept')""",
        b"""INSERT INTO training_examples (owner_id, id, run_id, kind, digest)
            VALUES (%(owner)s, 1, 1, 'real', 'd')""",
        b"""INSERT INTO training_example_sources VALUES (%(owner)s, 1, %(message)s)""",
        b"""INSERT INTO turns (owner_id, id, chat_id, first_message_id, last_message_id, state, due_at)
            VALUES (%(owner)s, 1, %(chat)s, %(message)s, %(message)s, 'suggested', now()),
                   (%(owner)s, 2, %(chat)s, %(other)s, %(other)s, 'answered', now())""",
        b"""INSERT INTO stages (owner_id, turn_id, version, stage, decided, why)
            SELECT %(owner)s, t, 0, 'recall', 'found', '{"query": "xylophone"}' FROM unnest(ARRAY[1, 2]) t""",
        b"""INSERT INTO drafts (owner_id, id, turn_id, version, position, text, intent, origin, confidence, state)
            VALUES (%(owner)s, 1, 1, 0, 0, 'your xylophone', 'agree', 'model', 1, 'proposed'),
                   (%(owner)s, 2, 2, 0, 0, 'that xylophone', 'agree', 'model', 1, 'sent')""",
        b"""INSERT INTO draft_evidence VALUES (%(owner)s, 2, %(message)s, 0)""",
        b"""INSERT INTO outbox (owner_id, account_id, chat_id, turn_id, draft_id, send_key, text, origin, state)
            VALUES (%(owner)s, %(account)s, %(chat)s, 2, 2, 'k', 'that xylophone', 'edited', 'sent')""",
        b"""INSERT INTO labels (owner_id, draft_id, outcome, final_text)
            VALUES (%(owner)s, 2, 'edited', 'xylophone!')""",
        b"""INSERT INTO sessions (owner_id, id, chat_id, started_at, ended_at, message_count, extracted_at)
            VALUES (%(owner)s, 900, %(chat)s, '2020-01-01', '2020-01-02', 1, now())""",
        b"""INSERT INTO session_summaries (owner_id, id, session_id, summary, audience_id, extractor)
            VALUES (%(owner)s, 1, 900, 'About xylophones', %(audience)s, 'test')""",
        b"""INSERT INTO summary_sources VALUES (%(owner)s, 1, %(message)s), (%(owner)s, 1, %(other)s)""",
        b"""INSERT INTO topics (owner_id, id, name, audience_id) VALUES (%(owner)s, 1, 'Xylophones', %(audience)s)""",
        b"""INSERT INTO topic_sources VALUES (%(owner)s, 1, %(message)s), (%(owner)s, 1, %(other)s)""",
    ):
        await connection.execute(statement, values)
    for key, event in (
        ("e1", {"kind": "message_new", "key": "e1", "message_id": "m1", "text": "I have a cat named Xylo",
                "chat": {"chat": "c-Kit"}, "sender": {"name": "Kit"}}),
        ("e2", {"kind": "draft_action", "key": "e2", "draft": 2, "text": "xylophone!", "chat": {"chat": "c-Kit"}}),
    ):  # fmt: skip
        await connection.execute(
            "INSERT INTO inbox_events (owner_id, account_id, event_key, lane, event) VALUES (%s, %s, %s, 'c', %s)",
            [owner, world.account, key, Jsonb(event)],
        )


async def a_secret(database: Database, owner: OwnerId) -> tuple[World, MessageId]:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        secret = await world.say(connection, "Kit", "Kit", "I have a cat named Xylo")
        other = await world.say(connection, "Kit", None, "I live in Oslo")
        await world.say(connection, "Kit", "Kit", "I'll send you the xylophone tomorrow")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        await fill(connection, world, secret, other)
    return world, secret


async def test_a_forgotten_message_leaves_no_trace_and_its_adapters_retire(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    _, secret = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        promise = await one(connection, b"SELECT max(id) FROM messages", [])
        for message in (str(secret), str(promise)):
            target = await forgetting.find_message(connection, owner, message)
            await forgetting.forget(connection, owner, target)
    assert await holding(conninfo, "xylo") == []
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT name, state, reason FROM adapters ORDER BY id")
        assert await cursor.fetchall() == [
            ("night-1", "retired", forgetting.RETIRED),
            ("night-2", "retired", forgetting.RETIRED),
            ("untainted", "kept", ""),
        ]
        cursor = await connection.execute("SELECT platform_message_id FROM tombstones ORDER BY id")
        assert await cursor.fetchall() == [("m1",), ("m3",)]
        cursor = await connection.execute(
            "SELECT count(*), bool_and(applied_at IS NOT NULL) FROM inbox_events"
        )
        assert await cursor.fetchone() == (2, True)
        assert [fact.statement for fact in await list_facts(connection, owner)] == ["Mara lives in Oslo"]


async def test_forgetting_tells_beforehand_what_will_go(database: Database, owner: OwnerId) -> None:
    _, secret = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        target = await forgetting.find_message(connection, owner, str(secret))
        async with connection.transaction(force_rollback=True):
            would = await forgetting.forget(connection, owner, target)
        assert (would.messages, would.facts, would.drafts, would.adapters) == (
            1,
            1,
            2,
            ["night-1", "night-2"],
        )
        gone = await forgetting.forget(connection, owner, target)
        assert gone == would


async def test_a_forgotten_fact_takes_the_messages_that_say_it(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    await a_secret(database, owner)
    async with database.owner(owner) as connection:
        (pet,) = [fact for fact in await list_facts(connection, owner) if fact.kind == "pet"]
        await forgetting.forget(connection, owner, await forgetting.find_fact(connection, owner, pet.id))
    assert "messages.text" not in await holding(conninfo, "named Xylo")


async def test_a_forgotten_contact_leaves_no_name_and_no_word(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        for name in ("Wilhelmina", "Bo"):
            await world.contact(connection, name)
        await world.chat(connection, "Wilhelmina", "Wilhelmina")
        await world.chat(connection, "Club", "Wilhelmina", "Bo", kind="group")
        await world.say(connection, "Wilhelmina", "Wilhelmina", "I live in Zagreb")
        await world.say(connection, "Wilhelmina", None, "I moved to Oslo")
        await world.say(connection, "Club", "Wilhelmina", "I have a dog named Zorro")
        await world.say(connection, "Club", "Bo", "I live in Bergen")
        await connection.execute("UPDATE contact_accounts SET platform_user_id = id::text")
        await connection.execute("UPDATE chats SET platform_chat_id = id::text")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        target = await forgetting.find_everything_of(connection, owner, "wilhelmina")
        await forgetting.forget(connection, owner, target)
    for words in ("wilhelmina", "zagreb", "zorro", "moved to oslo"):
        assert await holding(conninfo, words) == []
    async with database.owner(owner) as connection:
        assert [fact.statement for fact in await list_facts(connection, owner)] == ["Bo lives in Bergen"]
        cursor = await connection.execute(
            "SELECT count(*) FROM chat_members WHERE chat_id = %s", [world.chats["Club"]]
        )
        assert await cursor.fetchone() == (2,), "the group must not seem smaller than it is"


async def test_a_fact_told_twice_is_told_again_by_the_message_that_stays(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        first = await world.say(connection, "Kit", "Kit", "I have a cat named Pip", NOON)
        await world.say(connection, "Kit", None, "nice")
        later = await world.say(connection, "Kit", "Kit", "I have a cat named Pip")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        await forgetting.forget(
            connection, owner, await forgetting.find_message(connection, owner, str(first))
        )
        assert await list_facts(connection, owner) == []
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (fact,) = await list_facts(connection, owner)
        assert fact.source_ids == [later]


async def test_a_buried_fact_does_not_come_back_while_its_message_stays(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await world.say(connection, "Kit", "Kit", "I have a cat named Pip", NOON)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (fact,) = await list_facts(connection, owner)
        await correct_fact(connection, owner, fact.id, "Kit's cat is Pip the Great")
        await bury_fact(connection, owner, fact.id)
        await connection.execute("UPDATE sessions SET extracted_at = NULL")
    await extract_new(database, owner)
    await refresh_profiles(database, owner)
    assert await holding(conninfo, "Great") == []
    async with database.owner(owner) as connection:
        assert await list_facts(connection, owner) == []


async def test_what_is_not_there_cannot_be_forgotten(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        with pytest.raises(BadInput, match="no message"):
            await forgetting.find_message(connection, owner, "77")
        with pytest.raises(BadInput, match="no fact"):
            await forgetting.find_fact(connection, owner, FactId(77))


async def test_a_deletion_on_the_platform_reaches_whatever_quotes_the_message(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    world, _ = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE inbox_events SET lane = 'c-Kit', applied_at = now(), error = 'odd'")
        await connection.execute("DELETE FROM reactions")
        await connection.execute(
            """
            INSERT INTO import_batches (owner_id, id, source_id, format, label) VALUES (%s, 1, %s, 'jsonl', 'a')""",
            [owner, world.source],
        )
        await connection.execute(
            """
            INSERT INTO import_changes (owner_id, batch_id, kind, row_id, before)
            SELECT owner_id, 1, 'message', id, '{"text": "I had a xylophone"}' FROM messages
            WHERE platform_message_id = 'm1'""",
        )
        await connection.execute("UPDATE outbox SET platform_message_ids = '{p1}'")
        await delete_messages(connection, owner, world.chats["Kit"], ["m1", "m3"], NOON)
    assert await holding(conninfo, "xylo") == []
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT name FROM adapters WHERE state = 'retired' ORDER BY id")
        assert await cursor.fetchall() == [("night-1",), ("night-2",)], "what learned from it serves no more"
        cursor = await connection.execute("SELECT outcome, final_text FROM labels")
        assert await cursor.fetchall() == [("edited", "")]
        cursor = await connection.execute("SELECT event_key FROM inbox_events ORDER BY id")
        assert await cursor.fetchall() == [("e1",), ("e2",)], "a second delivery must still be known"


async def test_a_send_under_way_keeps_its_words_until_it_has_ended(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    world, secret = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            UPDATE outbox SET state = 'in_flight', held_by = 'sender', attempts = 1,
                              held_until = now() + interval '1 minute'"""
        )
        target = await forgetting.find_message(connection, owner, str(secret))
        with pytest.raises(BadInput, match="being sent"):
            await forgetting.forget(connection, owner, target)
        await delete_messages(connection, owner, world.chats["Kit"], ["m1"], NOON)
        send = OutboxId(await one(connection, b"SELECT id FROM outbox", []))
        cursor = await connection.execute("SELECT state, text FROM outbox")
        assert await cursor.fetchall() == [("in_flight", "that xylophone")]
        assert await settle(connection, owner, send, OutboxState.SENT, platform_ids=("p1",), holder="sender")
    assert "outbox.text" not in await holding(conninfo, "xylo")


async def test_a_draft_that_only_quotes_what_was_forgotten_loses_its_words(
    database: Database, owner: OwnerId
) -> None:
    _, secret = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            INSERT INTO drafts (owner_id, id, turn_id, version, position, text, intent, origin, confidence, state)
            SELECT %s, 3, 2, 0, 1, 'So: I have a cat named Xylo', 'inform', 'past_reply', 1, 'discarded'""",
            [owner],
        )
        await connection.execute(
            "INSERT INTO labels (owner_id, draft_id, outcome) VALUES (%s, 3, 'discarded')", [owner]
        )
        await forgetting.forget(
            connection, owner, await forgetting.find_message(connection, owner, str(secret))
        )
        cursor = await connection.execute(
            """
            SELECT d.text, l.outcome FROM drafts d
            JOIN labels l ON l.owner_id = d.owner_id AND l.draft_id = d.id WHERE d.id = 3"""
        )
        assert await cursor.fetchall() == [("", "discarded")]


async def test_an_edit_on_the_platform_takes_the_old_wording_and_what_learned_from_it(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    world, _ = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT id FROM facts WHERE statement LIKE '%%Xylo%%'")
        (row,) = await cursor.fetchall()
        await correct_fact(connection, owner, FactId(row[0]), statement="Kit has a dog")
        for number, words in (("m3", "bye"), ("m1", "I have a dog")):
            edited = await edit_message(connection, owner, world.chats["Kit"], number, words, NOON)
            assert edited is not None
        cursor = await connection.execute("SELECT name, state, reason FROM adapters ORDER BY id")
        assert await cursor.fetchall() == [
            ("night-1", "retired", EDITED), ("night-2", "retired", EDITED), ("untainted", "kept", ""),
        ]  # fmt: skip
    # A photo's words and what others put under it are not its text; a send without receipt is not touched.
    left = {"attachments.caption", "reactions.emoji", "inbox_events.event", "outbox.text"}
    assert {*await holding(conninfo, "xylo")} == left


async def test_a_forgotten_topic_takes_its_messages_and_what_rests_on_them(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    world, secret = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute("DELETE FROM topic_sources WHERE message_id <> %s", [secret])
        await connection.execute("UPDATE topics SET name = 'Xylophones' WHERE owner_id = %s", [owner])
        await connection.execute("UPDATE messages SET text = 'bye' WHERE platform_message_id = 'm3'")
        # A topic that lost a message has no name until it is named anew: its number finds it.
        gone = await forgetting.forget(connection, owner, await forgetting.find_topic(connection, owner, "1"))
        assert (gone.messages, gone.adapters) == (1, ["night-1", "night-2"])
        assert world.chats
    assert await holding(conninfo, "xylo") == []
    async with database.owner(owner) as connection:
        with pytest.raises(BadInput, match="no topic"):
            await forgetting.find_topic(connection, owner, "1")


async def test_what_was_said_before_a_day_goes_with_what_rests_on_it(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await world.say(connection, "Kit", "Kit", "I have a cat named Xylo", NOON - timedelta(days=400))
        await world.say(connection, "Kit", "Kit", "I live in Oslo", NOON)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        target = await forgetting.find_before(connection, owner, NOON)
        gone = await forgetting.forget(connection, owner, target)
        assert (gone.messages, gone.facts) == (1, 1)
    assert await holding(conninfo, "xylo") == []
    async with database.owner(owner) as connection:
        assert [fact.statement for fact in await list_facts(connection, owner)] == ["Kit lives in Oslo"]


async def test_when_everything_is_forgotten_nothing_that_anybody_said_or_is_called_stays(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    world, _ = await a_secret(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE contacts SET display_name = 'Xylander'")
        await connection.execute(
            "UPDATE contact_accounts SET display_name = 'Xylander', platform_user_id = 'u1'"
        )
        await connection.execute("UPDATE chats SET title = 'Xylander', platform_chat_id = 'c1'")
        await connection.execute("UPDATE messages SET sender_name = 'Xylander' WHERE sender_id IS NOT NULL")
        await connection.execute('UPDATE inbox_events SET event = event || \'{"who": "Xylander"}\'')
        await connection.execute(
            """
            INSERT INTO import_batches (owner_id, source_id, format, label) VALUES (%s, %s, 'jsonl', 'xylo.jsonl')""",
            [owner, world.source],
        )
        await connection.execute(
            "INSERT INTO term_statistics (owner_id, lexeme, messages) VALUES (%s, 'xylophon', 3)", [owner]
        )
        await connection.execute(
            "INSERT INTO bot_state VALUES (%s, %s, 'topic:c1', 'Xylander')", [owner, world.account]
        )
        gone = await forgetting.forget(connection, owner, await forgetting.find_everything(connection, owner))
        assert (gone.messages, gone.chats) == (3, 1)
        assert gone.adapters == ["night-1", "night-2", "untainted"]
    for words in ("xyl", "oslo", "mara lives"):
        assert await holding(conninfo, words) == []
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT opted_out_at IS NULL FROM contacts")
        assert await cursor.fetchall() == [(True,)], "nobody is left out for it"
        cursor = await connection.execute("SELECT count(*) FROM chat_members")
        assert await cursor.fetchone() == (1,)
