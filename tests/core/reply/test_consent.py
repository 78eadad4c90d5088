"""A draft rests on nothing that may not be drafted from, whichever road it comes by."""

from core.ids import OwnerId
from core.memory.extraction import extract_new
from core.storage.database import Database
from tests.core.reply.world import World
from tests.standins import ScriptedGenerator

LINES = (
    ("I live in Bergen", "and I live in Oslo, let me think about it"),
    ("do you like noodles?", "noodles are the best"),
)


async def test_neither_lines_nor_facts_of_a_source_that_is_closed_come_into_a_prompt(
    database: Database, owner: OwnerId
) -> None:
    model = ScriptedGenerator("ok then")
    world = await World.open(database, owner, generator=model)
    await world.remember(*LINES)
    await extract_new(database, owner)
    world.bot.say("ines", "ines", "where do you live, and do you like noodles?")
    await world.pump(seconds=5)
    before = str(model.asked[-1])
    assert "lives in Oslo" in before
    assert "noodles are the best" in before
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sources SET may_draft = false")
    world.bot.say("ines", "ines", "and where do you work?")
    await world.pump(seconds=5)
    after = str(model.asked[-1])
    assert model.asked[-1] != before
    for words in ("Oslo", "Bergen", "noodles are"):
        assert words not in after
    assert "where do you work" in after
    shown = [draft.text for draft in world.card.drafts]
    assert not any("noodles" in text or "Oslo" in text for text in shown)
