"""The earlier session that fits a turn: before the model when it is about it, and before nobody who was not there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.audience import Reader
from core.ids import OwnerId
from core.memory.extraction import extract_new
from core.memory.summaries import KnownSummary, correct_summary, known_summaries, list_summaries
from core.memory.summarising import summarise_new
from core.reply.compose import model_candidates, prompt_context
from core.reply.egress import for_outside, held_back
from core.reply.recall import Recalled, fitting, recall
from core.reply.situation import Situation
from core.storage.database import Database
from tests.core.memory.test_summaries import talk
from tests.core.memory.world import NOON, World
from tests.core.reply.situations import ACCOUNT, said, situation
from tests.standins import ScriptedGenerator

TOLD = "Kit's kiln broke, and Mara knows a kiln repair shop in Bergen."
SMALL_TALK = ("lunch was nice", "it really was", "soup again next time", "yes or the salad") * 4


async def asked_by(
    database: Database, owner: OwnerId, name: str, text: str, *, told: bool = True
) -> tuple[Situation, Recalled]:
    """Kit and the owner talked about a kiln, and then for long about lunch; now somebody asks.

    `told`: the owner has said in their own words what the first talk was about.
    """
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        for each in ("Kit", "Zoe"):
            await world.contact(connection, each)
            await world.chat(connection, each, each)
        await talk(connection, world, "Kit", "Kit")
        for each in ("Kit", "Zoe"):
            await talk(connection, world, each, each, NOON + timedelta(days=3), SMALL_TALK)
    await extract_new(database, owner)
    await summarise_new(database, owner)
    if told:
        async with database.owner(owner) as connection:
            first = (await list_summaries(connection, owner))[-1]
            await correct_summary(connection, owner, first.id, TOLD)
    at = NOON + timedelta(days=9)
    asked = situation(
        text,
        account=replace(ACCOUNT, owner_id=owner),
        chat_id=world.chats[name],
        contact_id=world.contacts[name],
        contact_name=name,
        incoming=(replace(said(text), chat_id=world.chats[name], sent_at=at),),
        now=at,
    )
    return asked, await recall(database, asked, None, "")


async def test_what_the_owner_says_of_an_earlier_session_is_before_the_model(
    database: Database, owner: OwnerId
) -> None:
    asked, recalled = await asked_by(database, owner, "Kit", "did the repair shop fix your kiln?")
    assert recalled.earlier is None  # its lines are found anyway: they are all there is
    fits = fitting(await sessions(database, owner, asked), asked.text, shown=())
    assert fits is not None
    recalled = replace(recalled, memories=(), earlier=fits)
    assert TOLD in prompt_context(asked, recalled).memories
    draft, *_ = await model_candidates(asked, recalled, ScriptedGenerator("it is as good as new"), None)
    assert set(fits.quoted_ids) <= set(draft.evidence)


async def sessions(database: Database, owner: OwnerId, asked: Situation) -> list[KnownSummary]:
    async with database.owner(owner) as connection:
        return await known_summaries(
            connection, owner_id=owner, reader=Reader.chat(asked.chat_id), query=asked.text, drafting=True
        )


async def test_an_extract_repeats_lines_that_search_finds_better(database: Database, owner: OwnerId) -> None:
    asked, recalled = await asked_by(database, owner, "Kit", "did the repair shop fix your kiln?", told=False)
    assert recalled.earlier is None
    found = await sessions(database, owner, asked)
    assert [each.extractor for each in found] == ["local"]
    assert fitting(found, asked.text, shown=()) is None


async def test_a_long_summary_is_cut_to_the_prompts_budget(database: Database, owner: OwnerId) -> None:
    asked, recalled = await asked_by(database, owner, "Kit", "did the repair shop fix your kiln?")
    (session,) = await sessions(database, owner, asked)
    long = replace(session, summary="kiln " * 500)
    assert all(
        len(memory) <= 321 for memory in prompt_context(asked, replace(recalled, earlier=long)).memories
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("Zoe", "did the repair shop fix your kiln?"), ("Kit", "how was the theatre?"), ("Kit", "ok!")],
)
async def test_of_another_chat_or_another_matter_nothing_is_shown(
    database: Database, owner: OwnerId, name: str, text: str
) -> None:
    asked, recalled = await asked_by(database, owner, name, text)
    assert fitting(await sessions(database, owner, asked), text, shown=()) is None
    assert recalled.earlier is None
    assert not any("kiln" in memory for memory in prompt_context(asked, recalled).memories)


async def test_a_model_elsewhere_is_shown_no_session_with_a_message_that_stays_here(
    database: Database, owner: OwnerId
) -> None:
    asked, recalled = await asked_by(database, owner, "Kit", "did the repair shop fix your kiln?")
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sources SET may_leave = false")
    (session,) = await sessions(database, owner, asked)
    recalled = replace(recalled, earlier=session)
    async with database.owner(owner) as connection:
        held = await held_back(connection, owner, asked, recalled)
    assert held.issuperset(session.source_ids)
    assert for_outside(recalled, held).earlier is None


async def test_what_may_not_be_drafted_from_is_no_earlier_session(database: Database, owner: OwnerId) -> None:
    asked, _ = await asked_by(database, owner, "Kit", "did the repair shop fix your kiln?")
    assert len(await sessions(database, owner, asked)) == 1
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sources SET may_draft = false")
    assert await sessions(database, owner, asked) == []
