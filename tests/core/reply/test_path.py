"""The reply path end to end, with the owner's own past replies and no model."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.errors import BadInput
from core.events import DraftVerb, Person
from core.ids import OwnerId
from core.models.faces import Sample
from core.policy import pause, set_kill_switch, set_mode
from core.reply.situation import source_of
from core.storage.database import Database
from core.vocabulary import ChatKind, Mode
from tests.core.reply.world import World
from tests.standins import ScriptedGenerator

LUNCH = ("do you want to grab lunch tomorrow?", "yes! the noodle place?")


async def test_a_question_becomes_a_card_with_the_owners_past_reply_and_its_evidence(world: World) -> None:
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", "want to grab lunch tomorrow?")
    await world.pump(seconds=5)
    draft = world.card.drafts[0]
    assert draft.text == LUNCH[1]
    assert draft.origin == "past_reply"
    assert {evidence.text for evidence in draft.evidence} == set(LUNCH)
    assert world.bot.sent == []


async def test_a_burst_is_settled_into_one_card(world: World) -> None:
    for text in ("hey", "are you around?", "need your advice on something"):
        world.bot.say("ines", "ines", text)
        await world.pump(seconds=2)
    assert world.bot.cards == {}
    await world.pump(seconds=5)
    assert [line.text for line in world.card.incoming] == [
        "hey",
        "are you around?",
        "need your advice on something",
    ]


async def test_an_acknowledgement_stays_without_a_card(world: World) -> None:
    for text in ("ok", "haha 😂", "thanks!", "👍"):
        world.bot.say("ines", "ines", text)
        await world.pump(seconds=5)
    assert world.bot.cards == {}
    assert await world.rows("SELECT DISTINCT state FROM turns") == [("silent",)]


async def test_group_chatter_is_silent_and_a_mention_is_not(world: World) -> None:
    kim = Person(id="kim", name="Kim")
    world.bot.say("team", kim, "who broke the build?", chat_kind=ChatKind.GROUP, members=(kim,))
    await world.pump(seconds=5)
    assert world.bot.cards == {}
    world.bot.say("team", kim, "Mara, did you see it?", chat_kind=ChatKind.GROUP, members=(kim,))
    await world.pump(seconds=5)
    assert len(world.bot.cards) == 1


async def test_send_posts_the_draft_once_and_it_is_not_the_owners_voice(world: World) -> None:
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", "grab lunch tomorrow?")
    await world.pump(seconds=5)
    draft = world.card.drafts[0].draft
    world.bot.press(draft, DraftVerb.SEND)
    world.bot.press(draft, DraftVerb.SEND)
    await world.pump()
    assert [posted.text for posted in world.bot.sent] == [LUNCH[1]]
    assert world.bot.cards == {}
    assert await world.rows("SELECT outcome, final_text FROM labels") == [("sent", LUNCH[1])]
    assert await world.rows("SELECT origin FROM messages ORDER BY id DESC LIMIT 1") == [("accepted",)]


async def test_an_edit_sends_the_owners_wording_and_labels_both(world: World) -> None:
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", "grab lunch tomorrow?")
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.EDIT, "yes, but at one")
    await world.pump()
    assert [posted.text for posted in world.bot.sent] == ["yes, but at one"]
    assert await world.rows("SELECT outcome, final_text FROM labels") == [("edited", "yes, but at one")]
    assert await world.rows("SELECT origin FROM messages ORDER BY id DESC LIMIT 1") == [("edited",)]


async def test_a_discarded_card_sends_nothing_and_labels_its_drafts(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.DISCARD)
    await world.pump()
    assert (world.bot.sent, world.bot.cards) == ([], {})
    assert await world.rows("SELECT DISTINCT outcome FROM labels") == [("discarded",)]


async def test_the_owner_typing_overtakes_the_card(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming tonight?")
    await world.pump(seconds=5)
    draft = world.card.drafts[0].draft
    world.clock.move(seconds=30)
    world.bot.owner_types("ines", "already on my way, save me a seat")
    await world.pump()
    world.bot.press(draft, DraftVerb.SEND)
    await world.pump()
    assert (world.bot.sent, world.bot.cards) == ([], {})
    assert await world.rows("SELECT DISTINCT outcome FROM labels") == [("overtaken",)]
    assert await world.rows("SELECT origin FROM messages ORDER BY id DESC LIMIT 1") == [("typed",)]


async def test_a_draft_copied_by_hand_does_not_count_as_typed(world: World) -> None:
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", "grab lunch tomorrow?")
    await world.pump(seconds=5)
    world.clock.move(seconds=9)
    world.bot.owner_types("ines", "Yes! The noodle place?")
    await world.pump()
    assert await world.rows("SELECT origin FROM messages ORDER BY id DESC LIMIT 1") == [("accepted",)]
    assert ("sent",) in await world.rows("SELECT outcome FROM labels")


async def test_a_newer_message_replaces_the_card(world: World) -> None:
    world.bot.say("ines", "ines", "are you free on saturday?")
    await world.pump(seconds=5)
    old = world.card.drafts[0].draft
    world.bot.say("ines", "ines", "or rather on sunday?")
    await world.pump(seconds=5)
    assert [line.text for line in world.card.incoming] == [
        "are you free on saturday?",
        "or rather on sunday?",
    ]
    world.bot.press(old, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent == []


async def test_an_edited_question_is_drafted_anew(world: World) -> None:
    asked = world.bot.say("ines", "ines", "are you free on saturday?")
    await world.pump(seconds=5)
    old = world.card.key
    world.bot.rewrite("ines", asked.message_id, "are you free on sunday?")
    await world.pump(seconds=5)
    assert world.card.key != old
    assert [line.text for line in world.card.incoming] == ["are you free on sunday?"]


async def test_a_deleted_question_takes_its_card_along(world: World) -> None:
    asked = world.bot.say("ines", "ines", "are you free on saturday?")
    await world.pump(seconds=5)
    world.bot.erase("ines", asked.message_id)
    await world.pump(seconds=5)
    assert world.bot.cards == {}
    assert await world.rows("SELECT text FROM messages") == [("",)]


async def test_the_kill_switch_stops_even_a_pressed_send(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    draft = world.card.drafts[0].draft
    async with world.database.owner(world.owner) as connection:
        await set_kill_switch(connection, world.owner, on=True)
    world.bot.press(draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent == []
    async with world.database.owner(world.owner) as connection:
        await set_kill_switch(connection, world.owner, on=False)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert len(world.bot.sent) == 1


async def test_off_and_paused_chats_get_no_card(world: World) -> None:
    world.bot.say("ines", "ines", "hello, are you there?")
    await world.take_in()
    await world.pump()
    async with world.database.owner(world.owner) as connection:
        await pause(connection, world.owner, world.clock.now() + timedelta(hours=1))
    await world.pump(seconds=5)
    assert world.bot.cards == {}
    async with world.database.owner(world.owner) as connection:
        await pause(connection, world.owner, None)
        rows = await (await connection.execute("SELECT id FROM chats")).fetchone()
        assert rows is not None
        await set_mode(connection, world.owner, rows[0], Mode.OFF)
    world.bot.say("ines", "ines", "hello, are you there now?")
    await world.pump(seconds=5)
    assert world.bot.cards == {}


async def test_a_refused_send_comes_back_as_a_card(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    world.bot.refuse = "window closed"
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent == []
    world.bot.refuse = ""
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert len(world.bot.sent) == 1


async def test_a_card_that_nobody_answers_expires_as_ignored(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    draft = world.card.drafts[0].draft
    await world.pump(seconds=25 * 3600)
    assert world.bot.cards == {}
    assert await world.rows("SELECT DISTINCT outcome FROM labels") == [("ignored",)]
    world.bot.press(draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent == []


async def test_every_stage_says_what_it_decided(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    stages = [row[0] for row in await world.rows("SELECT stage FROM stages ORDER BY id")]
    assert stages == ["settle", "decide", "recall", "compose", "criticise", "gate", "deliver"]


async def test_what_was_forgotten_does_not_come_back_live(world: World) -> None:
    said = world.bot.say("ines", "ines", "my door code is 1234")
    await world.pump(seconds=5)
    async with world.database.owner(world.owner) as connection:
        await connection.execute("DELETE FROM messages")
        await connection.execute("DELETE FROM inbox_events")
        await connection.execute(
            """
            INSERT INTO tombstones (owner_id, platform, account, platform_chat_id, platform_message_id)
            VALUES (%s, 'loopback', 'mara', 'ines', %s)""",
            [world.owner, said.message_id],
        )
    await world.path.receive(world.host.account, said)
    await world.pump(seconds=5)
    assert await world.rows("SELECT text FROM messages") == []


async def test_a_contact_who_opted_out_is_not_stored(world: World) -> None:
    world.bot.say("ines", "ines", "please do not keep what I write")
    await world.pump(seconds=5)
    async with world.database.owner(world.owner) as connection:
        await connection.execute("UPDATE contacts SET opted_out_at = now()")
    world.bot.say("ines", "ines", "are you there?")
    await world.pump(seconds=5)
    assert len(await world.rows("SELECT text FROM messages")) == 1


async def test_deleted_words_stay_in_no_table(world: World) -> None:
    said = world.bot.say("ines", "ines", "my door code is 77123, ok?")
    await world.pump(seconds=5)
    world.bot.erase("ines", said.message_id)
    await world.pump(seconds=5)
    held = await world.rows("""
        SELECT (SELECT count(*) FROM inbox_events WHERE event::text LIKE '%77123%'),
               (SELECT count(*) FROM messages WHERE text LIKE '%77123%'),
               (SELECT count(*) FROM stages WHERE why::text LIKE '%77123%')""")
    assert held == [(0, 0, 0)]


class SmallContext(ScriptedGenerator):
    """A model that finds every prompt too long."""

    async def chat(self, *_: object, **__: object) -> tuple[Sample, ...]:
        raise BadInput("The prompt has 7222 tokens and 60 are wanted.")


async def test_a_prompt_that_outgrows_the_model_costs_its_drafts_alone(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, generator=SmallContext("never said"))
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", LUNCH[0])
    await world.pump(seconds=5)
    assert next(draft.origin for draft in world.card.drafts) == "past_reply"


async def test_what_is_played_in_the_console_is_no_memory_of_the_person(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner)
    account = replace(world.host.account, platform="console")
    async with database.owner(owner) as connection:
        await source_of(connection, account)
    assert await world.rows("SELECT may_draft, may_profile, may_train FROM sources") == [
        (False, False, False)
    ]


class Voice(ScriptedGenerator):
    """Serves one adapter, which it finds when it is asked for."""

    def __init__(self, found: str) -> None:
        super().__init__("yes, at one", adapters=(found,))

    async def serves(self, adapter: str) -> bool:
        return adapter in self._adapters


@pytest.mark.parametrize(("found", "drafted_with"), [("l2-1", "l2-1"), ("l2-0", None)])
async def test_the_active_adapter_drafts_where_it_can_be_served_and_else_its_base(
    found: str, drafted_with: str | None, database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, generator=Voice(found))
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            INSERT INTO adapters (owner_id, name, base_model, path, state)
            VALUES (%s, 'l2-1', 'tiny@0', 'adapters/l2-1', 'active')""",
            [owner],
        )
    world.bot.say("ines", "ines", "grab lunch tomorrow?")
    await world.pump(seconds=5)
    drafted = await world.rows(
        "SELECT DISTINCT a.name FROM drafts d LEFT JOIN adapters a ON a.id = d.adapter_id"
        " WHERE d.origin = 'model'"
    )
    assert drafted == [(drafted_with,)]
