"""What a platform deleted is quoted nowhere, and nothing is sent twice on the way there."""

from collections.abc import Awaitable, Callable

import pytest

from core.events import DraftVerb
from core.ids import ChatId, FactId, MessageId, OwnerId
from core.memory.extraction import extract_new
from core.memory.forgetting import find_message, forget
from core.memory.messages import delete_messages, edit_message
from core.memory.references import find_contact
from core.memory.sharing import Audience, share_fact
from core.memory.traces import withdraw_drafts
from core.models.faces import Sample
from core.storage.database import Database
from tests.core.memory.test_forgetting import holding
from tests.core.reply.world import World
from tests.standins import ScriptedGenerator

LUNCH = ("do you want to grab lunch tomorrow?", "yes! the noodle place?")


async def ask_about_lunch(world: World) -> None:
    """Ines asks for what the owner once answered, and a card may follow."""
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", "want to grab lunch tomorrow?")
    await world.pump(seconds=5)


async def ids_of(world: World, words: str) -> list[str]:
    rows = await world.rows("SELECT platform_message_id, text FROM messages")
    return [str(number) for number, text in rows if words in str(text)]


async def test_a_draft_that_copies_a_deleted_reply_is_withdrawn_from_its_card(
    world: World, conninfo: str
) -> None:
    await ask_about_lunch(world)
    old = world.card
    assert old.drafts[0].text == LUNCH[1]
    world.bot.erase("ines", *await ids_of(world, "noodle"))
    await world.pump(seconds=5)
    assert [draft.draft for draft in world.card.drafts] == [draft.draft for draft in old.drafts[1:]]
    assert await holding(conninfo, "noodle") == []
    world.bot.press(old.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent == []


async def test_a_sent_reply_that_is_deleted_leaves_its_label_without_words(
    world: World, conninfo: str
) -> None:
    world.bot.say("ines", "ines", "are you coming tonight?")
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.EDIT, "the spare key is under the pot")
    await world.pump()
    world.bot.erase("ines", world.bot.sent[0].message_id)
    await world.pump(seconds=5)
    assert await holding(conninfo, "under the pot") == []
    assert await world.rows("SELECT outcome, final_text, message_id IS NOT NULL FROM labels") == [
        ("edited", "", True)
    ]
    assert await world.rows("SELECT state, text, platform_message_ids <> '{}' FROM outbox") == [
        ("sent", "", True)
    ]
    assert len(world.bot.sent) == 1


async def test_what_the_owner_typed_instead_leaves_the_label_when_it_is_deleted(
    world: World, conninfo: str
) -> None:
    world.bot.say("ines", "ines", "are you coming tonight?")
    await world.pump(seconds=5)
    world.clock.move(seconds=30)
    typed = world.bot.owner_types("ines", "my door code is 77123")
    await world.pump()
    world.bot.erase("ines", typed.message_id)
    await world.pump(seconds=5)
    assert await holding(conninfo, "77123") == []
    assert await world.rows("SELECT DISTINCT outcome FROM labels") == [("overtaken",)]


async def test_a_send_that_waits_and_quotes_what_was_deleted_does_not_leave(
    world: World, conninfo: str
) -> None:
    await ask_about_lunch(world)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.take_in()
    for lane in list(world.lanes):
        await world.path.work(lane)
    assert await world.rows("SELECT state FROM outbox") == [("queued",)]
    world.bot.erase("ines", *await ids_of(world, "noodle"))
    await world.pump(seconds=5)
    assert world.bot.sent == []
    assert await holding(conninfo, "noodle") == []
    assert len(world.bot.cards) == 1, "the question still waits, with other drafts"


async def test_a_wording_that_was_edited_away_is_gone_from_drafts_labels_and_tables(
    world: World, conninfo: str
) -> None:
    await ask_about_lunch(world)
    old = world.card
    assert old.drafts[0].text == LUNCH[1]
    (noodles,) = await ids_of(world, "noodle")
    world.bot.rewrite("ines", noodles, "yes! wherever you like")
    await world.pump(seconds=5)
    assert await holding(conninfo, "noodle") == []
    assert await world.rows("SELECT text_before FROM message_edits") == [("",)], "that it was edited is known"
    world.bot.press(old.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent == []


class Interrupted(ScriptedGenerator):
    """A model during whose first answer something happens."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def serves(self, adapter: str) -> bool:
        return adapter in self._adapters

    async def chat(self, *args: object, **more: object) -> tuple[Sample, ...]:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return await super().chat(*args, **more)  # pyright: ignore[reportArgumentType] -- handed on as it came


async def test_what_is_deleted_while_a_draft_is_made_is_not_in_the_draft(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    model = Interrupted("ok")
    world = await World.open(database, owner, generator=model)
    await world.remember(LUNCH)
    noodles = await ids_of(world, "noodle")

    async def delete() -> None:
        async with database.owner(owner) as connection:
            cursor = await connection.execute("SELECT id FROM chats")
            row = await cursor.fetchone()
            assert row is not None
            await delete_messages(connection, owner, ChatId(row[0]), noodles, world.clock.now())

    model.meanwhile = delete
    world.bot.say("ines", "ines", "want to grab lunch tomorrow?")
    await world.pump(seconds=5)
    assert model.meanwhile is None
    assert await holding(conninfo, "noodle") == []
    assert len(world.bot.cards) == 1


async def test_what_is_edited_away_elsewhere_while_a_draft_is_made_is_not_in_the_draft(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    model = Interrupted("ok")
    world = await World.open(database, owner, generator=model)
    await world.remember(LUNCH)
    (noodles,) = await ids_of(world, "noodle")

    async def edit() -> None:
        async with database.owner(owner) as connection:
            cursor = await connection.execute("SELECT id FROM chats")
            row = await cursor.fetchone()
            assert row is not None
            now = world.clock.now()
            assert await edit_message(connection, owner, ChatId(row[0]), noodles, "yes! anywhere", now)

    model.meanwhile = edit
    world.bot.say("ines", "ines", "want to grab lunch tomorrow?")
    await world.pump(seconds=5)
    assert model.meanwhile is None
    assert await holding(conninfo, "noodle") == []
    assert len(world.bot.cards) == 1


async def test_a_card_whose_draft_was_forgotten_with_its_evidence_is_shown_without_it(
    world: World, conninfo: str
) -> None:
    await ask_about_lunch(world)
    old = world.card
    (noodles,) = await ids_of(world, "noodle")
    async with world.database.owner(world.owner) as connection:
        await forget(connection, world.owner, await find_message(connection, world.owner, noodles))
    await world.pump(seconds=5)
    assert await holding(conninfo, "noodle") == []
    assert [draft.draft for draft in world.card.drafts] == [draft.draft for draft in old.drafts[1:]]


async def test_a_card_that_loses_its_only_draft_is_made_anew(world: World) -> None:
    await ask_about_lunch(world)
    first = world.card.drafts[0]
    async with world.database.owner(world.owner) as connection:
        await connection.execute("UPDATE drafts SET state = 'dropped' WHERE id <> %s", [first.draft])
        rests_on = await connection.execute("SELECT message_id FROM draft_evidence")
        messages = [MessageId(int(row[0])) for row in await rests_on.fetchall()]
        assert await withdraw_drafts(connection, world.owner, messages, "for a test") == 1
    await world.pump(seconds=5)
    assert world.card.drafts
    assert first.draft not in [draft.draft for draft in world.card.drafts]


async def _learned(world: World, words: str) -> None:
    """The adapter that serves learned the message with those words."""
    for statement in (
        "INSERT INTO training_runs (owner_id, id, state) SELECT id, 1, 'done' FROM owners RETURNING 1",
        """INSERT INTO adapters (owner_id, id, name, run_id, base_model, path, state, promoted_at)
           SELECT id, 1, 'night-1', 1, 'base', '/a', 'active', now() FROM owners RETURNING 1""",
        """INSERT INTO training_examples (owner_id, id, run_id, kind, digest)
           SELECT id, 1, 1, 'real', 'd' FROM owners RETURNING 1""",
        f"""INSERT INTO training_example_sources (owner_id, example_id, message_id)
            SELECT owner_id, 1, id FROM messages WHERE position('{words}' IN text) > 0 RETURNING 1""",  # noqa: S608
    ):
        assert await world.rows(statement)


@pytest.mark.parametrize("when", ["while it drafts", "while its draft is on show"])
async def test_what_a_retired_adapter_wrote_is_not_offered(
    database: Database, owner: OwnerId, when: str
) -> None:
    model = Interrupted("my cat xylo says hi", adapters=["night-1"])
    world = await World.open(database, owner, generator=model)
    await world.remember(("how is the cat?", "xylo is fine, he sleeps all day"), chat="kit")
    await _learned(world, "sleeps all day")

    async def forget_it() -> None:
        (number,) = await ids_of(world, "sleeps all day")
        async with database.owner(owner) as connection:
            gone = await forget(connection, owner, await find_message(connection, owner, number))
            assert gone.adapters == ["night-1"]

    if when == "while it drafts":
        model.meanwhile = forget_it
    world.bot.say("ines", "ines", "what are you up to?")
    await world.pump(seconds=5)
    if when != "while it drafts":
        assert await world.rows("SELECT 1 FROM drafts WHERE adapter_id = 1")
        await forget_it()
        await world.pump(seconds=5)
    assert await world.rows("SELECT text FROM drafts WHERE adapter_id = 1 AND text <> ''") == []
    assert {draft.adapter for card in world.bot.cards.values() for draft in card.drafts} <= {None}


@pytest.mark.parametrize("how", ["forgotten", "for fewer"])
async def test_a_draft_made_from_a_fact_goes_with_the_message_that_told_it(
    database: Database, owner: OwnerId, how: str
) -> None:
    model = ScriptedGenerator("up north these days")
    world = await World.open(database, owner, generator=model)
    await world.remember(("hey, what's new?", "I live in Oslo"), chat="kit")
    await extract_new(database, owner)
    world.bot.say("ines", "ines", "ok")
    await world.pump(seconds=5)
    async with database.owner(owner) as connection:
        ines = (await find_contact(connection, owner, "ines")).id
        cursor = await connection.execute("SELECT id FROM facts WHERE statement LIKE '%%Oslo%%'")
        (row,) = await cursor.fetchall()
        await share_fact(connection, owner, FactId(row[0]), Audience(kind="contacts", contacts=(ines,)))
    world.bot.say("ines", "ines", "where do you live now?")
    await world.pump(seconds=5)
    assert "Mara lives in Oslo" in str(model.asked)
    assert "up north these days" in [draft.text for draft in world.card.drafts]
    (told,) = await ids_of(world, "Oslo")
    async with database.owner(owner) as connection:
        if how == "forgotten":
            await forget(connection, owner, await find_message(connection, owner, told))
        else:
            await share_fact(connection, owner, FactId(row[0]), Audience(kind="owner"))
    old = len(model.asked)
    await world.pump(seconds=5)
    assert "Mara lives in Oslo" not in str(model.asked[old:])
    shown = [draft.text for card in world.bot.cards.values() for draft in card.drafts]
    assert "up north these days" not in shown or len(model.asked) > old, "at most drafted anew"
