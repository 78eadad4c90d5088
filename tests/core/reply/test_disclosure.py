"""Whoever is answered unasked is told so, once."""

from core.events import DraftVerb
from core.ids import OwnerId
from core.policy import set_mode
from core.storage.database import Database
from core.vocabulary import Mode
from tests.core.reply.world import World

LINE = "(Sent by Mara's assistant.)"


async def automatic(database: Database, owner: OwnerId, line: str) -> World:
    world = await World.open(database, owner, platform="console")
    object.__setattr__(world.path, "disclosure", line)
    await world.remember(("what is the wifi password?", "ask at the bar"), ("is the shop open?", "yes it is"))
    ((chat_id,),) = await world.rows("SELECT id FROM chats")
    async with database.owner(owner) as connection:
        await set_mode(connection, owner, chat_id, Mode.AUTO)  # pyright: ignore[reportArgumentType] -- an id
    world.clock.move(hours=2)
    return world


async def test_the_first_automatic_reply_says_what_it_is_and_the_next_does_not(
    database: Database, owner: OwnerId
) -> None:
    world = await automatic(database, owner, LINE)
    for _ in range(2):
        world.bot.say("ines", "ines", "is the shop open?")
        await world.pump(seconds=10)
        await world.pump(seconds=10)
    first, second = (posted.text for posted in world.bot.sent)
    assert (first, second) == (f"yes it is\n\n{LINE}", "yes it is")
    assert await world.rows("SELECT DISTINCT text FROM drafts WHERE state = 'sent'") == [("yes it is",)]


async def test_what_the_owner_presses_carries_no_line(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="telegram")
    object.__setattr__(world.path, "disclosure", LINE)
    world.bot.say("ines", "ines", "When do you come on Friday?")
    await world.pump(seconds=10)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert LINE not in world.bot.sent[0].text
