"""What is said in one chat stays out of every other: slates, prompts and evidence, on the real path."""

from collections.abc import Iterator
from dataclasses import replace

from core.ids import OwnerId
from core.memory.index import index_messages
from core.storage.database import Database
from tests.core.reply.world import World
from tests.standins import HashEmbedder, ScriptedGenerator

THINGS = "job baby flat ring cat debt exam tattoo band house".split()
CODES = "alder birch cedar elm fir hazel juniper larch maple oak".split()
FRAMES = (
    ("what is the news about the {thing}?", "the {thing} is called {code}{number}, tell nobody"),
    ("is the {thing} decided?", "yes! {code}{number} for the {thing}, between us"),
    ("who knows about the {thing}?", "only you. it is {code}{number}"),
    ("how much is the {thing}?", "{code}{number} in all, do not say it to anybody"),
    ("where will the {thing} be?", "let me check and get back to you about {code}{number}"),
)


def cases() -> Iterator[tuple[str, str, str]]:
    """Fifty secrets: the question, the answer, and the word that gives it away."""
    for number, (thing, code) in enumerate(zip(THINGS, CODES, strict=True)):
        for frame, (question, answer) in enumerate(FRAMES):
            told = {"thing": thing, "code": code, "number": 100 + 10 * number + frame}
            yield question.format(**told), answer.format(**told), f"{code}{told['number']}"


async def asked_in(world: World, chat: str, question: str) -> str:
    """Everything that a question in a chat brings up: prompts, drafts shown and dropped, evidence."""
    model = world.path.generator
    assert isinstance(model, ScriptedGenerator)
    model.asked.clear()
    world.bot.say(chat, chat, question)
    await world.pump(seconds=5)
    prompts = [turn.text for turns in model.asked for turn in turns]
    drafts = await world.rows(
        f"""
        SELECT d.text, m.text FROM drafts d
        JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
        JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
        LEFT JOIN draft_evidence e ON e.owner_id = d.owner_id AND e.draft_id = d.id
        LEFT JOIN messages m ON m.owner_id = e.owner_id AND m.id = e.message_id
        WHERE c.platform_chat_id = '{chat}'"""  # noqa: S608 -- a name of this test
    )
    assert prompts
    return "\n".join([*prompts, *(str(text) for row in drafts for text in row)])


async def test_fifty_secrets_come_up_where_they_were_told_and_nowhere_else(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, generator=ScriptedGenerator("maybe", "yes", "no", "which one?"))
    told = list(cases())
    assert len(told) == 50
    await world.remember(*((question, answer) for question, answer, _ in told), days_ago=20)
    await world.remember(("are you there?", "always, whats up"), chat="kit", days_ago=8)
    # Kit is asked first: what the owner answered to Ines must not reach him, however he asks.
    for question, _, _ in told:
        brought_up = await asked_in(world, "kit", question)
        assert [word for _, _, word in told if word in brought_up] == []
    found = 0
    for question, _, word in told[::5]:
        found += word in await asked_in(world, "ines", question)
    assert found >= 8, "the one who was told gets the answer again"


async def test_a_stranger_gets_nothing_of_anybody(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, generator=ScriptedGenerator("maybe"))
    told = list(cases())[:10]
    await world.remember(*((question, answer) for question, answer, _ in told))
    for question, _, _ in told:
        brought_up = await asked_in(world, "stranger", question)
        assert [word for _, _, word in told if word in brought_up] == []


async def test_without_an_embedder_words_alone_find_the_past_reply_and_keep_the_secret(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, generator=ScriptedGenerator("maybe"))
    told = list(cases())[:5]
    await world.remember(*((question, answer) for question, answer, _ in told))
    world.path = replace(world.path, embedder=None)
    assert told[0][2] not in await asked_in(world, "kit", told[0][0])
    assert told[0][2] in await asked_in(world, "ines", told[0][0])


async def test_a_model_that_fails_costs_only_its_drafts(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, generator=ScriptedGenerator(fails=True))
    await world.remember(("do you want to grab lunch?", "yes! noodles"), chat="ines")
    await index_messages(database, owner, HashEmbedder())
    world.bot.say("ines", "ines", "do you want to grab lunch?")
    await world.pump(seconds=5)
    assert [draft.origin for draft in world.card.drafts] == ["past_reply", "deferral"]
