"""Something told to one friend is not denied to another: the owner is asked whether it may travel, once."""

import pytest

from core.events import DraftVerb
from core.ids import ChatId, ContactId, OwnerId
from core.memory.circles import put_in_circle
from core.memory.extraction import extract_new
from core.memory.index import index_messages
from core.memory.references import find_contact
from core.policy import set_mode
from core.storage.database import Database
from core.vocabulary import Mode
from tests.core.reply.world import World
from tests.standins import HashEmbedder, ScriptedGenerator


async def moved(world: World) -> None:
    """The owner told Kit, ten days ago, where they live now."""
    await world.remember(("hey, what's new?", "I live in Oslo"), chat="kit")
    await extract_new(world.database, world.owner)
    await index_messages(world.database, world.owner, HashEmbedder())
    assert await world.rows("SELECT statement FROM facts WHERE subject_kind = 'owner'") == [
        ("Mara lives in Oslo",)
    ]


async def ask(world: World, text: str = "are you in Oslo?", who: str = "ines") -> None:
    world.bot.say(who, who, text)
    await world.pump(seconds=5)


async def known_to(world: World, name: str) -> list[object]:
    async with world.database.owner(world.owner) as connection:
        contact: ContactId = (await find_contact(connection, world.owner, name)).id
        cursor = await connection.execute(
            "SELECT statement FROM known_facts(%s, 'contact', %s, NULL, 'owner', NULL, 9)",
            [world.owner, contact],
        )
        return [row[0] for row in await cursor.fetchall()]


async def test_the_owner_is_asked_and_nothing_of_it_is_in_a_draft(world: World) -> None:
    await moved(world)
    await ask(world)
    question = world.card.question
    assert question is not None
    assert (question.statement, question.told_in, question.people) == ("Mara lives in Oslo", "kit", ("ines",))
    assert question.circle == ""
    assert all("oslo" not in draft.text.lower() for draft in world.card.drafts)
    assert all("I live" not in line.text for draft in world.card.drafts for line in draft.evidence)
    assert world.bot.sent == []


async def test_before_the_tap_the_model_never_sees_it_and_after_it_does(
    database: Database, owner: OwnerId
) -> None:
    generator = ScriptedGenerator("hm, let me see")
    world = await World.open(database, owner, generator=generator)
    await moved(world)
    await ask(world)
    assert generator.asked
    assert "oslo" not in str(generator.asked).lower().replace("are you in oslo?", "")
    world.bot.press(world.card.drafts[0].draft, DraftVerb.TELL)
    before = len(generator.asked)
    await world.pump(seconds=5)
    assert "Mara lives in Oslo" in str(generator.asked[before:])
    assert world.card.question is None
    assert await known_to(world, "ines") == ["Mara lives in Oslo"]
    assert await known_to(world, "kit") == ["Mara lives in Oslo"]


async def test_an_answer_is_remembered(world: World) -> None:
    await moved(world)
    await ask(world)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.KEEP)
    await world.pump(seconds=5)
    assert world.card.question is None
    assert world.card.drafts, "the drafts that stood still stand"
    assert await known_to(world, "ines") == []
    await ask(world, "so are you in Oslo or not?")
    assert world.card.question is None
    await ask(world, who="dana")
    asked = [card.question for card in world.bot.cards.values() if card.chat.chat == "dana"]
    assert asked != [None], "of somebody else the owner is asked anew"


async def test_a_circle_is_offered_and_given_it(world: World) -> None:
    await moved(world)
    for name in ("ines", "dana"):
        world.bot.say(name, name, "ok")
    await world.pump(seconds=5)
    async with world.database.owner(world.owner) as connection:
        for name in ("ines", "dana"):
            await put_in_circle(
                connection, world.owner, await find_contact(connection, world.owner, name), "friends"
            )
    await ask(world)
    assert world.card.question is not None
    assert world.card.question.circle == "friends"
    world.bot.press(world.card.drafts[0].draft, DraftVerb.CIRCLE)
    await world.pump(seconds=5)
    assert [await known_to(world, name) for name in ("ines", "dana", "kit")] == [["Mara lives in Oslo"]] * 3


@pytest.mark.parametrize("told_kit", [True, False])
async def test_what_the_owner_is_asked_about_is_never_answered_unasked(
    database: Database, owner: OwnerId, *, told_kit: bool
) -> None:
    world = await World.open(database, owner, platform="console")
    if told_kit:
        await moved(world)
    await world.remember(("are you in Oslo?", "no, not there"))
    async with database.owner(world.owner) as connection:
        cursor = await connection.execute("SELECT id FROM chats WHERE platform_chat_id = 'ines'")
        (row,) = await cursor.fetchall()
        await set_mode(connection, world.owner, ChatId(int(row[0])), Mode.AUTO)
    await ask(world)
    await world.pump(seconds=10)
    assert (world.bot.sent == []) == told_kit, "without the question it is answered unasked"
    assert [card.question is not None for card in world.bot.cards.values()] == [True] * told_kit


async def test_nobody_is_asked_about_what_the_chat_knows_or_what_nobody_was_told(world: World) -> None:
    await moved(world)
    await ask(world, who="kit")
    assert world.card.question is None
    world.bot.press(world.card.drafts[0].draft, DraftVerb.DISCARD)
    await world.pump(seconds=5)
    await world.rows(
        "UPDATE facts SET audience_id = (SELECT id FROM audiences WHERE kind = 'owner' LIMIT 1) RETURNING 1"
    )
    await ask(world)
    assert world.card.question is None


async def test_talk_about_something_else_asks_nothing(world: World) -> None:
    await moved(world)
    await ask(world, "do you want to grab lunch tomorrow?")
    assert world.card.question is None


async def _joins(world: World, chat: str, name: str) -> None:
    await world.rows(
        f"""
        INSERT INTO chat_members (owner_id, chat_id, contact_id, joined_at)
        SELECT c.owner_id, c.id, p.id, now() FROM chats c JOIN contacts p USING (owner_id)
        WHERE c.platform_chat_id = '{chat}' AND p.display_name = '{name}' RETURNING 1"""  # noqa: S608 -- names of the test
    )


@pytest.mark.parametrize("verb", [DraftVerb.TELL, DraftVerb.CIRCLE])
async def test_an_answer_is_not_for_somebody_who_joined_after_the_question(
    world: World, verb: DraftVerb
) -> None:
    await moved(world)
    world.bot.say("dana", "dana", "ok")
    await ask(world)
    asked = world.card
    assert asked.question is not None
    assert asked.question.people == ("ines",)
    await _joins(world, "ines", "dana")
    world.bot.press(asked.drafts[0].draft, verb)
    await world.pump(seconds=5)
    assert [await known_to(world, name) for name in ("ines", "dana")] == [[], []]


async def test_an_answer_is_not_for_another_circle_than_the_one_on_the_card(world: World) -> None:
    await moved(world)
    world.bot.say("dana", "dana", "ok")
    world.bot.say("ines", "ines", "ok")
    await world.pump(seconds=5)
    await _put(world, "ines", "friends")
    await _put(world, "dana", "work")
    await ask(world)
    asked = world.card
    assert asked.question is not None
    assert asked.question.circle == "friends"
    await _put(world, "ines", "work")
    world.bot.press(asked.drafts[0].draft, DraftVerb.CIRCLE)
    await world.pump(seconds=5)
    assert await known_to(world, "dana") == []


async def test_an_answer_is_not_for_a_fact_that_says_something_else_by_now(world: World) -> None:
    await moved(world)
    await ask(world)
    asked = world.card
    assert asked.question is not None
    await world.rows("UPDATE facts SET statement = 'Mara lives in hiding' RETURNING 1")
    world.bot.press(asked.drafts[0].draft, DraftVerb.TELL)
    await world.pump(seconds=5)
    assert await known_to(world, "ines") == []


async def _put(world: World, name: str, circle: str) -> None:
    async with world.database.owner(world.owner) as connection:
        contact = await find_contact(connection, world.owner, name)
        await put_in_circle(connection, world.owner, contact, circle)
