from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from core.audience import Reader
from core.ids import ContactId, OwnerId
from core.memory.index import index_messages
from core.memory.membership import Chat, ensure_audience
from core.memory.people import ensure_chat, note_sender
from core.memory.search import Hit, read_messages, recall_memory, recent_turns, search_memory
from core.storage.database import Database
from core.vocabulary import ChatKind, Origin
from tests.core.memory.history import START, History, open_history, other_source
from tests.standins import HashEmbedder

EMBEDDER = HashEmbedder()


@pytest.fixture
async def history(database: Database, owner: OwnerId) -> History:
    return await open_history(database, owner)


@pytest.fixture
async def lisbon(history: History) -> Chat:
    """A talk with Ines about a move, and one with Tom about climbing, indexed."""
    ines, tom = await history.chat("Ines"), await history.chat("Tom")
    await history.talk(
        ines,
        [
            ("Ines", "When are you moving to Lisbon?"),
            (None, "In October, the flat is signed"),
            ("Ines", "And the cat?"),
            (None, "The cat comes along of course"),
        ],
    )
    await history.talk(
        tom,
        [
            ("Tom", "Climbing on Thursday?"),
            (None, "Thursday works, same hall"),
            ("Tom", "Bring the rope this time"),
        ],
    )
    await index_messages(history.database, history.owner_id, EMBEDDER)
    return ines


async def find(history: History, query: str, *, dense: bool = True, **more: Any) -> list[Hit]:
    """The owner's own search, unless another reader is named."""
    vector = (await EMBEDDER.embed([query]))[0] if dense else None
    asked: dict[str, Any] = {"reader": Reader.owner(), "limit": 10} | more
    async with history.database.owner(history.owner_id) as connection:
        return await search_memory(
            connection, owner_id=history.owner_id, query=query, vector=vector, model=EMBEDDER.name, **asked
        )


async def texts(history: History, hits: list[Hit]) -> list[str]:
    rows = {int(str(row[0])): str(row[1]) for row in await history.run("SELECT id, text FROM messages")}
    return [rows[hit.id] for hit in hits if hit.kind == "message"]


@pytest.mark.usefixtures("lisbon")
async def test_the_message_that_shares_a_rare_word_comes_first(history: History) -> None:
    assert (await texts(history, await find(history, "Who has the rope?")))[0] == "Bring the rope this time"


async def test_words_alone_find_what_is_not_indexed_yet(history: History, lisbon: Chat) -> None:
    await history.say(lisbon, "Ines", "The piano needs tuning")
    hits = await find(history, "pianos", dense=False)
    assert await texts(history, hits) == ["The piano needs tuning"]
    assert hits[0].dense == 0.0


@pytest.mark.usefixtures("lisbon")
async def test_the_answer_beside_a_question_is_found_by_the_words_of_the_question(history: History) -> None:
    hits = await find(history, "when moving to Lisbon", dense=False)
    assert (await texts(history, hits))[:2] == [
        "When are you moving to Lisbon?",
        "In October, the flat is signed",
    ]
    assert hits[1].lexical == 0.0
    assert (hits[1].lexical_window or 0) > 0


@pytest.mark.usefixtures("lisbon")
async def test_a_question_of_stop_words_only_finds_nothing_by_words(history: History) -> None:
    assert await find(history, "who is it that was", dense=False) == []


@pytest.mark.parametrize("query", ["", "'", "a'b\\c", "& | !", "(:*", "\\", "x" * 9000, "ß İ 🙂"])
@pytest.mark.usefixtures("lisbon")
async def test_any_text_can_be_searched_for(history: History, query: str) -> None:
    assert isinstance(await find(history, query), list)


async def test_a_search_can_be_held_to_a_chat_and_to_a_span_of_time(history: History, lisbon: Chat) -> None:
    everything = await find(history, "cat rope")
    assert {hit.chat_id for hit in everything} != {lisbon.id}
    assert {hit.chat_id for hit in await find(history, "cat rope", chat_id=lisbon.id)} == {lisbon.id}
    rows = await history.run("SELECT sent_at FROM messages ORDER BY sent_at")
    first, third = rows[0][0], rows[2][0]
    early = await find(history, "cat rope moving", until=third)
    assert await texts(history, early)
    assert "And the cat?" not in await texts(history, early)
    late = await find(history, "cat rope moving Lisbon", since=third)
    assert "When are you moving to Lisbon?" not in await texts(history, late)
    assert await find(history, "cat", until=first) == []


@pytest.mark.usefixtures("lisbon")
async def test_what_was_said_after_until_does_not_move_the_score(history: History) -> None:
    """A window that quotes the future counts as the message alone."""
    rows = await history.run("SELECT sent_at FROM messages ORDER BY sent_at")
    hits = await find(history, "the flat is signed the cat", until=rows[2][0])
    best = next(hit for hit in hits if hit.dense)
    last = max(hits, key=lambda hit: hit.id)
    assert last.dense_window == last.dense
    assert best.dense is not None


@pytest.mark.usefixtures("lisbon")
async def test_deleted_words_are_not_found_and_edited_ones_are(history: History) -> None:
    await history.run("UPDATE messages SET text = 'Bring the harness' WHERE text LIKE 'Bring the rope%%'")
    await history.run("UPDATE messages SET text = '', deleted_at = now() WHERE text LIKE 'And the cat%%'")
    assert all((hit.lexical or 0) == 0 for hit in await find(history, "rope"))
    assert (await texts(history, await find(history, "harness", dense=False)))[0] == "Bring the harness"
    deleted = await history.run("SELECT id FROM messages WHERE deleted_at IS NOT NULL")
    assert deleted[0][0] not in {hit.id for hit in await find(history, "And the cat?")}


async def test_only_sources_that_may_be_drafted_from_are_searched_for_a_draft(
    history: History, lisbon: Chat
) -> None:
    diary = await other_source(history, "diary", may_draft=False)
    await history.say(lisbon, None, "The violin is hidden in the attic", source=diary)
    assert len(await find(history, "violin", dense=False)) == 1
    assert await find(history, "violin", dense=False, drafting=True) == []


@pytest.mark.parametrize(
    ("owner_id", "kind", "reader_id"),
    [
        (None, "owner", None),
        (1, None, None),
        (1, "owner", 5),
        (1, "contact", None),
        (1, "chat", None),
        (1, "world", 1),
    ],
)
async def test_no_search_without_an_owner_and_a_reader(
    history: History, owner_id: int | None, kind: str | None, reader_id: int | None
) -> None:
    for statement in (
        "SELECT * FROM search_memory(%s, %s, %s, 'cat', NULL, 'm', 5)",
        "SELECT * FROM recall_memory(%s, %s, %s, 'cat', NULL, 'm', 'infinity', 5, 5, 5)",
        "SELECT * FROM read_messages(%s, %s, %s, '{1}')",
    ):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="owner and a reader"):
            await history.run(statement, owner_id, kind, reader_id)


async def test_recent_turns_need_all_that_they_are_asked_with(history: History, lisbon: Chat) -> None:
    for values in ((None, lisbon.id), (history.owner_id, None)):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="required"):
            await history.run("SELECT * FROM recent_turns(%s, %s, NULL, now(), 5)", *values)


@pytest.mark.usefixtures("lisbon")
async def test_the_searching_role_lends_nothing_but_the_roads(history: History) -> None:
    """The functions inside could be handed a scope by hand; the application may not call them."""
    for statement in (
        "SELECT * FROM visible_messages(NULL)",
        "SELECT * FROM search_terms(1, 'cat')",
        "SELECT * FROM fuse_candidates('{}', 5)",
        "SELECT measure_candidates(NULL, '{1}', '{}', '{}', NULL, 'm')",
        "SELECT * FROM match_words(NULL, '{1}', '{}')",
        "SELECT visible_up_to(NULL, 5)",
        "SELECT find_candidates(NULL, 'cat', NULL, 'm', 5, false)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await history.run(statement)


async def test_recent_turns_are_the_chats_own_last_words_oldest_first(history: History, lisbon: Chat) -> None:
    async with history.database.owner(history.owner_id) as connection:
        spoken = await recent_turns(
            connection, owner_id=history.owner_id, chat_id=lisbon.id, thread_id=None,
            until=history.now + timedelta(days=1), limit=2,
        )  # fmt: skip
    assert [turn.text for turn in spoken] == ["And the cat?", "The cat comes along of course"]
    assert [turn.origin for turn in spoken] == ["contact", "typed"]


async def test_recent_turns_of_a_group_begin_when_its_newest_member_came(history: History) -> None:
    group = await history.chat("Ines", "Tom", kind=ChatKind.GROUP, name="hall")
    await history.say(group, "Ines", "Between the two of us")
    newcomer = await history.contact("Uwe")
    await history.run(
        "INSERT INTO chat_members (owner_id, chat_id, contact_id, joined_at) VALUES (%s, %s, %s, %s)",
        history.owner_id, group.id, newcomer, history.now + timedelta(seconds=30),
    )  # fmt: skip
    await history.say(group, "Tom", "Welcome Uwe")
    async with history.database.owner(history.owner_id) as connection:
        spoken = await recent_turns(
            connection, owner_id=history.owner_id, chat_id=group.id, thread_id=None,
            until=history.now + timedelta(days=1), limit=5,
        )  # fmt: skip
    assert [turn.text for turn in spoken] == ["Welcome Uwe"]


async def own_words(history: History, chat: Chat, *, until: timedelta, drafting: bool = True) -> list[str]:
    async with history.database.owner(history.owner_id) as connection:
        spoken = await recent_turns(
            connection, owner_id=history.owner_id, chat_id=chat.id, thread_id=None,
            until=history.now + until, limit=20, drafting=drafting,
        )  # fmt: skip
    return [turn.text for turn in spoken]


MOMENT = timedelta(minutes=1)


async def spoke(history: History, chat: Chat, person: str) -> Chat:
    """The chat once that person has been seen in it, as a live platform tells it."""
    contact = await history.contact(person)
    async with history.database.owner(history.owner_id) as connection:
        return await note_sender(connection, history.owner_id, chat, contact, history.now + MOMENT)


async def test_a_direct_chat_that_gained_a_member_keeps_the_old_lines_from_the_newcomer(
    history: History,
) -> None:
    chat = await history.chat("Ines")
    await history.say(chat, "Ines", "Do not tell Tom about the ring")
    chat = await spoke(history, chat, "Tom")
    await history.say(chat, "Tom", "Hello from Tom")
    assert await own_words(history, chat, until=MOMENT) == ["Hello from Tom"]


async def test_a_direct_chat_shows_what_was_said_before_its_counterpart_was_known(history: History) -> None:
    chat = await history.chat(name="D1")
    await history.say(chat, None, "Are you free on Friday?")
    chat = await spoke(history, chat, "Ines")
    await history.say(chat, "Ines", "Yes!")
    assert await own_words(history, chat, until=MOMENT) == ["Are you free on Friday?", "Yes!"]
    chat = await spoke(history, chat, "Tom")
    assert await own_words(history, chat, until=MOMENT) == []


async def test_where_nobody_knows_who_listens_only_the_running_conversation_is_shown(
    history: History,
) -> None:
    async with history.database.owner(history.owner_id) as connection:
        chat = await ensure_chat(
            connection, history.owner_id, history.account, "hall", ChatKind.GROUP, "hall", None, at=START
        )
    chat = await spoke(history, chat, "Ines")
    await history.say(chat, "Ines", "The ring is in the drawer")
    await history.say(chat, "Ines", "Anybody here?", after=timedelta(hours=5))
    assert await own_words(history, chat, until=MOMENT) == ["Anybody here?"]
    chat = await spoke(history, chat, "Tom")
    await history.say(chat, "Tom", "I am new")
    assert await own_words(history, chat, until=MOMENT) == ["I am new"]
    assert await own_words(history, chat, until=timedelta(hours=2)) == []


async def test_a_line_that_the_owner_took_back_is_shown_to_no_chat(history: History) -> None:
    chat = await history.chat("Ines")
    line = await history.say(chat, "Ines", "The ring is in the drawer")
    async with history.database.owner(history.owner_id) as connection:
        audience = await ensure_audience(connection, history.owner_id, "owner")
    await history.run(
        "UPDATE messages SET audience_id = %s, audience_set = true WHERE id = %s", audience, line
    )
    assert await own_words(history, chat, until=MOMENT) == []


async def test_a_chats_own_lines_are_drafted_from_where_their_source_may_be(history: History) -> None:
    chat = await history.chat("Ines")
    closed = await other_source(history, "closed", may_draft=False)
    await history.say(chat, "Ines", "From a closed source", source=closed)
    await history.say(chat, "Ines", "From an open one")
    assert await own_words(history, chat, until=MOMENT) == ["From an open one"]
    assert len(await own_words(history, chat, until=MOMENT, drafting=False)) == 2
    await history.run("UPDATE sources SET may_draft = false WHERE id = %s", history.source)
    assert await own_words(history, chat, until=MOMENT) == ["From an open one"], "the console is exempt"


async def replies(history: History, query: str, reader: Reader, **more: Any) -> list[tuple[str, str]]:
    vector = (await EMBEDDER.embed([query]))[0]
    async with history.database.owner(history.owner_id) as connection:
        found = await recall_memory(
            connection, owner_id=history.owner_id, reader=reader, query=query, vector=vector,
            model=EMBEDDER.name, past=5, **more,
        )  # fmt: skip
    return [(reply.asked, reply.reply) for reply in found.past]


async def test_a_past_reply_is_the_owners_whole_burst_that_came_next(history: History) -> None:
    chat = await history.chat("Ines")
    await history.talk(
        chat,
        [("Ines", "Coffee tomorrow?"), (None, "Sure"), (None, "At nine?"), ("Ines", "Fine"), (None, "ok")],
    )
    await index_messages(history.database, history.owner_id, EMBEDDER)
    found = await replies(history, "coffee tomorrow", Reader.chat(chat.id))
    assert found[0] == ("Coffee tomorrow?", "Sure\nAt nine?")


async def test_only_what_the_owner_typed_at_once_is_a_past_reply(history: History) -> None:
    chat = await history.chat("Ines")
    await history.say(chat, "Ines", "Coffee on Monday?")
    await history.say(chat, None, "Drafted for you", origin=Origin.ACCEPTED)
    await history.say(chat, "Ines", "Coffee on Tuesday?")
    await history.say(chat, "Ines", "Or tea")
    await history.say(chat, None, "Tea it is")
    await history.say(chat, "Ines", "Coffee on Friday?")
    await history.say(chat, None, "Much later", after=timedelta(days=2))
    await index_messages(history.database, history.owner_id, EMBEDDER)
    assert await replies(history, "coffee", Reader.chat(chat.id)) == [("Or tea", "Tea it is")]


async def test_a_reply_given_after_until_is_not_a_past_one(history: History) -> None:
    chat = await history.chat("Ines")
    await history.say(chat, "Ines", "Coffee tomorrow?")
    asked = history.now
    await history.say(chat, None, "Sure")
    await index_messages(history.database, history.owner_id, EMBEDDER)
    until = asked + timedelta(seconds=1)
    assert await replies(history, "coffee tomorrow", Reader.owner(), until=until) == []
    assert len(await replies(history, "coffee tomorrow", Reader.owner())) == 1


@pytest.mark.usefixtures("lisbon")
async def test_evidence_is_read_only_by_who_may_see_it(history: History) -> None:
    tom = await history.contact("Tom")
    everything = [int(str(row[0])) for row in await history.run("SELECT id FROM messages")]
    async with history.database.owner(history.owner_id) as connection:
        seen = await read_messages(
            connection, owner_id=history.owner_id, reader=Reader.contact(tom), ids=everything
        )
    assert [message.text for message in seen] == [
        "Climbing on Thursday?",
        "Thursday works, same hall",
        "Bring the rope this time",
    ]


async def add_fact(history: History, statement: str, *sources: int, **columns: object) -> int:
    values = {"audience": columns.get("audience"), "valid_to": columns.get("valid_to", "infinity")}
    rows = await history.run(
        """
        WITH made AS (
            INSERT INTO facts (owner_id, subject_kind, subject, kind, statement, confidence, audience_id,
                               valid_from, valid_to, hidden, extractor)
            SELECT m.owner_id, 'owner', 'Mara', 'plan', %s, 0.9, coalesce(%s, m.audience_id), m.sent_at, %s,
                   %s, 'test'
            FROM messages m WHERE m.id = %s
            RETURNING owner_id, id)
        INSERT INTO fact_sources (owner_id, fact_id, message_id)
        SELECT owner_id, id, unnest(%s::bigint[]) FROM made RETURNING fact_id""",
        statement, values["audience"], values["valid_to"], columns.get("hidden", False), sources[0],
        list(sources),
    )  # fmt: skip
    return int(str(rows[0][0]))


async def test_facts_are_found_as_of_a_time_unless_hidden(history: History, lisbon: Chat) -> None:
    rows = await history.run("SELECT id, sent_at FROM messages ORDER BY sent_at")
    source, said = int(str(rows[1][0])), rows[1][1]
    closed = history.now + timedelta(days=3)
    old = await add_fact(history, "Mara lives in Graz", source, valid_to=closed)
    new = await add_fact(history, "Mara lives in Lisbon", source)
    await add_fact(history, "Mara lives in hiding", source, hidden=True)

    async def facts(**more: Any) -> set[int]:
        hits = await find(history, "where does Mara live", facts=5, **more)
        return {hit.id for hit in hits if hit.kind == "fact"}

    assert await facts() == {new}
    assert await facts(as_of=said) == {old, new}
    assert await facts(as_of=closed) == {new}
    assert await facts(until=said) == set()
    assert await facts(chat_id=lisbon.id) == {new}
    ines, tom = await history.contact("Ines"), await history.contact("Tom")
    assert await facts(reader=Reader.contact(ines)) == {new}
    assert await facts(reader=Reader.contact(tom)) == set()
    assert await facts(reader=Reader.contact(ContactId(10**9))) == set()


async def test_the_place_of_a_late_message_is_between_its_neighbours(history: History, lisbon: Chat) -> None:
    """What comes late voids the windows that it splits, and they are embedded anew."""
    rows = await history.run("SELECT id, sent_at FROM messages ORDER BY sent_at LIMIT 2")
    first, second = int(str(rows[0][0])), int(str(rows[1][0]))
    between = rows[0][1]
    assert isinstance(between, datetime)
    late = await history.say(lisbon, "Ines", "Or later", at=between + timedelta(seconds=20))
    assert await index_messages(history.database, history.owner_id, EMBEDDER) == 4
    links = await history.run(
        "SELECT message_id, before_id, after_id FROM passages WHERE message_id = ANY (%s)",
        [first, late, second],
    )
    assert (first, None, late) in links
    assert (late, first, second) in links
    assert any(row[0] == second and row[1] == late for row in links)
