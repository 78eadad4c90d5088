"""What leaves, what comes back, and what is learned: the outbox, events and labels on real rows."""

from datetime import timedelta

import pytest

from core.events import AccessChanged, Author, DraftVerb, Event, Gap, Person, Reaction
from core.ids import OwnerId
from core.policy import set_kill_switch, set_mode
from core.reply.inbox import Lane
from core.reply.learn import ADAPTED, COPIED
from core.reply.wording import likeness
from core.reply.worker import unfinished_lanes
from core.storage.database import Database
from core.vocabulary import ChatKind, Mode
from tests.core.reply.world import World

LUNCH = ("do you want to grab lunch tomorrow?", "yes! the noodle place?")
SURE = ("are you awake", "always, whats up with the moon")


async def auto_world(database: Database, owner: OwnerId) -> World:
    """A console chat on auto, with a sure past reply that touches nothing, and its send in the outbox."""
    world = await World.open(database, owner, platform="console")
    await world.remember(SURE, days_ago=1)
    async with database.owner(owner) as connection:
        row = await (await connection.execute("SELECT id FROM chats")).fetchone()
        assert row is not None
        await set_mode(connection, owner, row[0], Mode.AUTO)
    world.bot.say("ines", "ines", "are you awake?")
    await world.pump()
    world.clock.move(seconds=5)
    for lane in await unfinished_lanes(world.database, world.clock.now()):
        await world.path.work(lane)
    return world


async def pressed(world: World) -> None:
    """A card, and the owner's press on its first draft, applied but not sent."""
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.take_in()
    for lane in world.lanes:
        await world.path.work(lane)


async def happens(world: World, event: Event) -> None:
    """The platform tells of something that is no message."""
    await world.path.receive(world.host.account, event)
    world.lanes.add(Lane(owner_id=world.owner, account_id=world.host.account.id, chat=event.chat.chat))
    await world.pump()


async def states(world: World) -> list[tuple[object, ...]]:
    return await world.rows("SELECT state, reason FROM outbox ORDER BY id")


async def test_a_press_is_queued_before_the_network_is_touched(world: World) -> None:
    await pressed(world)
    assert await states(world) == [("queued", "")]
    assert world.bot.sent == []


async def test_the_kill_switch_between_press_and_send_stops_it(world: World) -> None:
    await pressed(world)
    async with world.database.owner(world.owner) as connection:
        await set_kill_switch(connection, world.owner, on=True)
    await world.host.send_due()
    assert world.bot.sent == []
    assert await states(world) == [("cancelled", "the kill switch is on")]


async def test_a_window_that_closed_between_press_and_send_stops_it(world: World) -> None:
    await pressed(world)
    async with world.database.owner(world.owner) as connection:
        await connection.execute("UPDATE chats SET send_until = %s", [world.clock.now() - timedelta(hours=1)])
    await world.host.send_due()
    assert world.bot.sent == []
    assert await states(world) == [("cancelled", "the platform does not let us send here")]


async def test_the_owner_typing_between_press_and_send_stops_it(world: World) -> None:
    await pressed(world)
    world.clock.move(seconds=1)
    world.bot.owner_types("ines", "already there, look up")
    await world.pump()
    assert world.bot.sent == []
    assert (await states(world))[0][0] == "cancelled"


async def test_a_send_of_unknown_fate_is_never_repeated(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, idempotent=False)
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    world.bot.lose_receipt = 1
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    await world.pump(seconds=600)
    assert len(world.bot.sent) == 1
    assert (await states(world))[0][0] == "unknown"


@pytest.mark.parametrize("early", [True, False])
async def test_the_echo_of_our_own_send_is_not_the_owners_voice(
    database: Database, owner: OwnerId, *, early: bool
) -> None:
    """The platform tells of our message after its receipt, or before we have it."""
    world = await World.open(database, owner, echoes=True, idempotent=False)
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    world.bot.lose_receipt = int(early)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert len(world.bot.sent) == 1
    assert await world.rows("SELECT origin FROM messages WHERE sender_id IS NULL") == [("accepted",)]
    assert await world.rows("SELECT outcome FROM labels WHERE outcome = 'overtaken'") == []


async def test_a_second_answer_for_a_turn_cannot_be_queued(world: World) -> None:
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", "grab lunch tomorrow?")
    await world.pump(seconds=5)
    for draft in world.card.drafts:
        world.bot.press(draft.draft, DraftVerb.SEND)
    await world.pump()
    assert len(world.bot.sent) == 1
    assert len(await states(world)) == 1


async def test_auto_waits_its_unsend_window_and_then_sends(database: Database, owner: OwnerId) -> None:
    world = await auto_world(database, owner)
    assert await states(world) == [("queued", "")]
    await world.host.send_due()
    assert world.bot.sent == []
    await world.pump(seconds=6)
    assert [posted.text for posted in world.bot.sent] == [SURE[1]]
    assert await world.rows("SELECT origin FROM messages ORDER BY id DESC LIMIT 1") == [("auto",)]


async def test_auto_can_be_discarded_in_its_window(database: Database, owner: OwnerId) -> None:
    world = await auto_world(database, owner)
    await world.host.show_cards()
    world.bot.press(world.card.drafts[0].draft, DraftVerb.DISCARD)
    await world.pump(seconds=6)
    assert world.bot.sent == []
    assert (await states(world))[0][0] == "cancelled"


async def test_a_mode_that_changed_in_the_window_stops_auto(database: Database, owner: OwnerId) -> None:
    world = await auto_world(database, owner)
    async with database.owner(owner) as connection:
        row = await (await connection.execute("SELECT id FROM chats")).fetchone()
        assert row is not None
        await set_mode(connection, owner, row[0], Mode.SUGGEST)
    await world.pump(seconds=6)
    assert world.bot.sent == []
    assert await states(world) == [("cancelled", "this chat is not on auto")]


async def test_automatic_and_backfilled_messages_ask_for_nothing(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming?", automatic=True)
    world.bot.say("ines", "ines", "are you coming at all?", backfilled=True)
    await world.pump(seconds=5)
    assert await world.rows("SELECT id FROM turns") == []
    assert await world.rows("SELECT count(*) FROM messages") == [(2,)]


async def test_a_bot_asks_for_nothing(world: World) -> None:
    bot = Person(id="deploy", name="Deploybot", is_bot=True)
    world.bot.say("ines", bot, "did you approve the deploy, Mara?")
    await world.pump(seconds=5)
    assert world.bot.cards == {}
    assert await world.rows("SELECT origin FROM messages") == [("bot",)]


async def test_a_reaction_is_put_on_and_taken_off(world: World) -> None:
    message = world.bot.say("ines", "ines", "look at this")
    await world.pump()
    ines = Person(id="ines", name="ines")
    for number, added in enumerate((True, True, False)):
        event = Reaction(
            key=f"reaction:{number}",
            chat=world.bot.chat("ines"),
            at=world.clock.now(),
            message_id=message.message_id,
            sender=ines,
            author=Author.CONTACT,
            emoji="❤️",
            added=added,
        )
        await happens(world, event)
        assert len(await world.rows("SELECT emoji FROM reactions")) == int(added)


async def test_access_that_was_taken_away_closes_sending(world: World) -> None:
    await pressed(world)
    event = AccessChanged(
        key="access:1", chat=world.bot.chat("ines"), at=world.clock.now(), can_read=True, can_send=False
    )
    await happens(world, event)
    assert world.bot.sent == []
    assert (await states(world))[0][0] == "cancelled"


async def test_a_gap_is_kept_in_the_audit(world: World) -> None:
    world.bot.say("ines", "ines", "ok")
    await world.pump()
    event = Gap(key="gap:1", chat=world.bot.chat("ines"), at=world.clock.now(), since=world.clock.now())
    await happens(world, event)
    assert await world.rows("SELECT action FROM audit") == [("gap.seen",)]


async def test_the_first_fate_of_a_draft_counts(world: World) -> None:
    await world.remember(LUNCH)
    world.bot.say("ines", "ines", "grab lunch tomorrow?")
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.DISCARD)
    await world.pump()
    world.clock.move(seconds=5)
    world.bot.owner_types("ines", LUNCH[1])
    await world.pump()
    outcomes = await world.rows("SELECT DISTINCT outcome FROM labels")
    assert outcomes == [("discarded",)]
    assert await world.rows("SELECT origin FROM messages ORDER BY id DESC LIMIT 1") == [("accepted",)]


@pytest.mark.parametrize(
    ("typed", "least", "most"),
    [
        ("Yes! The noodle place?", COPIED, 1.0),
        ("yes! the noodle place at one?", ADAPTED, COPIED),
        ("no", 0.0, ADAPTED),
    ],
)
def test_resemblance_tells_copied_from_adapted_from_own(typed: str, least: float, most: float) -> None:
    assert least <= likeness(typed, LUNCH[1]) <= most


async def test_a_group_turn_answers_in_the_group(world: World) -> None:
    kim = Person(id="kim", name="Kim")
    world.bot.say("team", kim, "Mara, are you in?", chat_kind=ChatKind.GROUP, members=(kim,))
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert [posted.chat.chat for posted in world.bot.sent] == ["team"]


async def test_in_company_the_reply_names_the_message_that_it_answers(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner)
    ines = Person(id="ines", name="Ines")
    asked = world.bot.say(
        "crew",
        ines,
        "Mara, when do you come?",
        chat_kind=ChatKind.GROUP,
        members=(ines,),
        mentions_owner=True,
    )
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent[0].reply_to == asked.message_id
    world.bot.say("ines", ines, "And will you bring the tent?")
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent[1].reply_to is None
