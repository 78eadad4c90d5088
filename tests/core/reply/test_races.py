"""What may go wrong between the steps of the reply path, one accident at a time."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from core.bot import Card, Receipt, ReceiptStatus
from core.events import DraftVerb, Event, Person
from core.ids import ChatId, OwnerId
from core.memory.index import index_messages
from core.models.faces import Vectors
from core.policy import set_kill_switch, set_mode
from core.reply.host import BotHost, repeat
from core.reply.inbox import Lane
from core.reply.patience import Patience
from core.reply.turns import start_turn
from core.storage.database import Database
from core.vocabulary import Mode
from tests.core.reply.world import World
from tests.loopback import Crash
from tests.standins import HashEmbedder


async def _pressed(world: World, verb: DraftVerb = DraftVerb.SEND, text: str | None = None) -> None:
    """A card is shown, and the owner's press is applied but not yet sent."""
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    world.bot.press(world.card.drafts[0].draft, verb, text)
    await world.take_in()
    for lane in world.lanes:
        await world.path.work(lane)


def _other_host(world: World) -> BotHost:
    return BotHost(bot=world.bot, account=world.host.account, path=world.path)


async def _recover(world: World) -> int:
    """Much later, another host looks for what was left in flight."""
    await world.rows("UPDATE outbox SET held_until = '-infinity' WHERE state = 'in_flight' RETURNING id")
    return await world.host.recover()


async def test_an_interrupted_send_of_unknown_fate_closes_its_turn_and_tells_the_owner(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, idempotent=False)
    await _pressed(world)
    host = _other_host(world)
    world.bot.crash_before_receipt = 1
    with pytest.raises(Crash):
        await host.send_due()
    assert await _recover(world) == 1
    await world.pump()
    assert len(world.bot.sent) == 1
    assert list(world.bot.withdrawn.values()) == ["unknown"]
    assert await world.rows("SELECT state FROM turns") == [("answered",)]
    assert await world.rows("SELECT state FROM drafts WHERE state NOT IN ('expired', 'dropped')") == [
        ("sent",)
    ]


async def test_a_receipt_that_comes_after_recovery_settles_what_was_unknown(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, idempotent=False)
    await _pressed(world)
    host = _other_host(world)
    send = await host.claim()
    assert send is not None
    receipt = await host.post(send)
    await _recover(world)
    assert await world.rows("SELECT state FROM outbox") == [("unknown",)]
    await host.settle(send, receipt)
    assert await world.rows("SELECT state, reason FROM outbox") == [("sent", "")]
    assert await world.rows("SELECT count(*) FROM messages WHERE origin = 'accepted'") == [(1,)]


async def test_a_send_that_may_have_left_is_not_offered_again_when_policy_stops_its_repetition(
    world: World,
) -> None:
    await _pressed(world)
    host = _other_host(world)
    world.bot.crash_before_receipt = 1
    with pytest.raises(Crash):
        await host.send_due()
    await _recover(world)
    async with world.database.owner(world.owner) as connection:
        await set_kill_switch(connection, world.owner, on=True)
    await world.host.send_due()
    assert await world.rows("SELECT state FROM outbox") == [("unknown",)]
    await world.host.show_cards()
    assert world.bot.cards == {}


async def test_a_refusal_of_a_second_try_does_not_offer_the_draft_again(world: World) -> None:
    await _pressed(world)
    host = _other_host(world)
    world.bot.crash_before_receipt = 1
    with pytest.raises(Crash):
        await host.send_due()
    await _recover(world)
    world.bot.refuse = "slow down"
    await world.host.send_due()
    assert await world.rows("SELECT state FROM outbox") == [("unknown",)]


async def test_a_refusal_told_by_a_host_that_holds_the_send_no_more_is_not_believed(world: World) -> None:
    await _pressed(world)
    host = _other_host(world)
    send = await host.claim()
    assert send is not None
    await _recover(world)
    again = await world.host.claim()
    assert again is not None
    await host.settle(send, Receipt(status=ReceiptStatus.REFUSED, reason="slow down"))
    assert await world.rows("SELECT state FROM outbox") == [("in_flight",)]


async def test_an_echo_proves_that_an_interrupted_send_arrived(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, idempotent=False, echoes=True)
    await _pressed(world, DraftVerb.EDIT, "on my way, save me a seat")
    host = _other_host(world)
    world.bot.crash_before_receipt = 1
    with pytest.raises(Crash):
        await host.send_due()
    await _recover(world)
    await world.pump()
    assert await world.rows("SELECT state FROM outbox") == [("sent",)]
    assert await world.rows("SELECT origin FROM messages WHERE sender_id IS NULL") == [("edited",)]
    assert await world.rows("SELECT message_id IS NOT NULL FROM labels WHERE outcome = 'edited'") == [(True,)]


async def test_a_press_that_the_owners_own_words_overtake_is_no_label_of_a_send(world: World) -> None:
    await _pressed(world)
    world.clock.move(seconds=1)
    world.bot.owner_types("ines", "already on the train, talk later")
    await world.pump()
    assert world.bot.sent == []
    assert await world.rows("SELECT DISTINCT outcome FROM labels") == [("overtaken",)]
    assert await world.rows("SELECT 1 FROM drafts WHERE state = 'sending'") == []


async def test_a_refused_press_takes_its_label_back_and_says_why_on_the_card(world: World) -> None:
    world.bot.refuse = "window closed"
    await _pressed(world)
    await world.pump()
    assert await world.rows("SELECT outcome FROM labels") == []
    assert world.card.note == "window closed"


async def test_what_a_contact_said_while_our_answer_was_on_its_way_still_gets_its_turn(world: World) -> None:
    """Our own send, stored with a later time, is not the owner answering it."""
    await _pressed(world)
    said_at = world.clock.now()
    world.clock.move(seconds=2)
    await world.host.send_due()
    world.bot.say("ines", "ines", "and can you bring the tent?", at=said_at)
    await world.pump(seconds=5)
    assert [line.text for line in world.card.incoming] == ["and can you bring the tent?"]


async def test_a_line_that_comes_late_joins_the_turn_in_its_place(world: World) -> None:
    at = world.clock.now()
    world.bot.say("ines", "ines", "or on sunday?", at=at + timedelta(seconds=2))
    world.bot.say("ines", "ines", "are you free on saturday?", at=at)
    await world.pump(seconds=5)
    assert [line.text for line in world.card.incoming] == ["are you free on saturday?", "or on sunday?"]


async def test_an_edit_of_an_answered_question_does_not_swallow_what_was_said_since(world: World) -> None:
    await _pressed(world)
    asked = str((await world.rows("SELECT platform_message_id FROM messages"))[0][0])
    world.clock.move(seconds=2)
    world.bot.say("ines", "ines", "and can you bring the tent?")
    world.bot.rewrite("ines", asked, "are you coming tonight?")
    await world.pump(seconds=5)
    assert [line.text for line in world.card.incoming] == [
        "are you coming tonight?",
        "and can you bring the tent?",
    ]


async def test_a_long_burst_does_not_use_up_the_tries_of_its_turn(world: World) -> None:
    for number in range(8):
        world.bot.say("ines", "ines", f"are you there? {number}")
        await world.take_in()
        [lane] = world.lanes
        await world.path.work(lane)
        world.clock.move(seconds=5)
        async with world.database.owner(world.owner) as connection:
            assert await start_turn(connection, lane, world.clock.now()) is not None
    await world.pump(seconds=5)
    assert len(world.card.incoming) == 8


async def test_a_turn_that_cannot_be_answered_is_given_up_with_its_reason(world: World) -> None:
    class Broken(HashEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            raise ValueError(f"{len(texts)} texts too many")

    world.path = replace(world.path, embedder=Broken())
    world.bot.say("ines", "ines", "are you coming?")
    for _ in range(8):
        await world.pump(seconds=60)
    assert await world.rows("SELECT state FROM turns") == [("failed",)]
    assert await world.rows("SELECT decided FROM stages") == [("failed",)]


async def test_an_event_that_cannot_be_read_is_set_aside_and_its_lane_goes_on(world: World) -> None:
    account = world.host.account
    async with world.database.owner(world.owner) as connection:
        await connection.execute(
            """
            INSERT INTO inbox_events (owner_id, account_id, event_key, lane, event)
            VALUES (%s, %s, 'future', 'ines', '{"kind": "hologram"}')""",
            [world.owner, account.id],
        )
    world.bot.say("ines", "ines", "are you coming?")
    for _ in range(6):
        await world.path.work(Lane(owner_id=world.owner, account_id=account.id, chat="ines"))
    await world.pump(seconds=5)
    assert len(world.bot.cards) == 1
    assert await world.rows("SELECT error FROM inbox_events WHERE event_key = 'future'") == [
        ("ValidationError",)
    ]
    assert await world.rows("SELECT count(*) FROM audit WHERE action = 'event.set_aside'") == [(1,)]


async def test_text_that_postgres_cannot_keep_does_not_stop_the_inbox(world: World) -> None:
    world.bot.say("ines", Person(id="ines", name="I\udc80nes"), "are\x00 you coming \\u0000 tonight? \ud83d")
    await world.pump(seconds=5)
    assert world.card.incoming[0].text == "are you coming \\u0000 tonight? \ufffd"


async def test_a_send_waits_for_news_of_its_chat_that_nobody_read_yet(world: World) -> None:
    await _pressed(world)
    world.bot.owner_types("ines", "no need any more, I am here")
    await world.take_in()
    assert await world.host.send_due() == 0
    await world.pump()
    assert world.bot.sent == []


async def test_an_unasked_send_that_waited_too_long_becomes_a_card(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="console")
    await world.remember(("do you want to grab lunch tomorrow?", "yes! the noodle place"))
    async with world.database.owner(owner) as connection:
        await set_mode(connection, owner, ChatId(1), Mode.AUTO)
    await index_messages(database, owner, HashEmbedder())
    world.bot.say("ines", "ines", "do you want to grab lunch tomorrow?")
    await world.take_in()
    lanes = list(world.lanes)
    for seconds in (5, 1):
        for lane in lanes:
            await world.path.work(lane)
        world.clock.move(seconds=seconds)
    assert await world.rows("SELECT origin, state FROM outbox") == [("auto", "queued")]
    world.clock.move(hours=3)
    await world.pump()
    assert world.bot.sent == []
    assert world.card.note == "it has waited too long"


async def test_a_card_that_changes_while_it_is_shown_is_shown_again(world: World) -> None:
    world.bot.say("ines", "ines", "are you coming?")
    await world.pump(seconds=5)
    await world.rows("UPDATE cards SET shown_at = NULL RETURNING turn_id")
    shown: list[Card] = []

    async def show(card: Card) -> None:
        if not shown:
            await world.rows("UPDATE cards SET version = version + 1, shown_at = NULL RETURNING turn_id")
        shown.append(card)

    world.bot.show = show
    await world.host.show_cards()
    await world.host.show_cards()
    await world.host.show_cards()
    assert len(shown) == 2


async def test_a_card_that_its_platform_refuses_holds_up_no_other(world: World) -> None:
    for chat in ("ines", "kim"):
        world.bot.say(chat, chat, "are you coming?")
    shown: list[str] = []

    async def show(card: Card) -> None:
        if card.chat.chat == "ines":
            raise ValueError("too long")
        shown.append(card.chat.chat)

    world.bot.show = show
    await world.pump(seconds=5)
    assert shown[0] == "kim"


async def test_events_that_end_are_asked_for_again(world: World) -> None:
    """A bot whose connection dropped gives its events anew; its host takes them."""
    taken: list[str] = []

    async def events() -> AsyncGenerator[Event]:
        yield world.bot.say("ines", "ines", f"line {len(taken)}")

    async def announce(lane: Lane) -> None:
        taken.append(lane.chat)
        if len(taken) == 2:
            raise Crash

    world.bot.events = events
    with pytest.raises(Crash):
        await repeat("events", lambda: world.host.take_in(announce), Patience(idle=0.01))
    assert await world.rows("SELECT count(*) FROM inbox_events") == [(2,)]
