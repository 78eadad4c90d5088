"""Summaries of sessions: true to the word, for those who were there, and gone with what they rest on."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.audience import Reader
from core.errors import BadInput
from core.ids import MessageId, OwnerId
from core.memory import forgetting
from core.memory.exporting import export_memory
from core.memory.extraction import extract_new
from core.memory.messages import delete_messages, edit_message
from core.memory.summaries import (
    OwnSummary,
    correct_summary,
    delete_summary,
    hide_summary,
    known_summaries,
    list_summaries,
    older_summaries,
    pin_summary,
    read_summary,
)
from core.memory.summarising import SummaryReport, summarise_new
from core.storage.database import Connection, Database
from tests.core.memory.test_forgetting import holding
from tests.core.memory.test_teacher import ScriptedTeacher
from tests.core.memory.world import NOON, World

LINES = (
    "the kiln at the studio broke again on Monday",
    "oh no, was the kiln firing your vases",
    "yes, two vases cracked in the kiln",
    "I'll send you the number of a kiln repair shop tomorrow",
)


async def talk(
    connection: Connection,
    world: World,
    title: str,
    name: str,
    at: datetime = NOON,
    lines: tuple[str, ...] = LINES,
) -> list[MessageId]:
    return [
        await world.say(connection, title, None if place % 2 else name, line, at + timedelta(minutes=place))
        for place, line in enumerate(lines)
    ]


async def a_talk(
    database: Database, owner: OwnerId, *, may_profile: bool = True
) -> tuple[World, list[MessageId]]:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection, may_profile=may_profile)
        for name in ("Kit", "Zoe"):
            await world.contact(connection, name)
            await world.chat(connection, name, name)
        said = await talk(connection, world, "Kit", "Kit")
    return world, said


async def summarised(database: Database, owner: OwnerId, **options: Any) -> SummaryReport:
    await extract_new(database, owner)
    return await summarise_new(database, owner, **options)


async def summaries(database: Database, owner: OwnerId) -> list[OwnSummary]:
    async with database.owner(owner) as connection:
        return await list_summaries(connection, owner)


async def test_a_summary_says_who_when_about_what_and_quotes_to_the_word(
    database: Database, owner: OwnerId
) -> None:
    await a_talk(database, owner)
    report = await summarised(database, owner)
    assert (report.sessions, report.summaries) == (1, 1)
    (summary,) = await summaries(database, owner)
    head, *quotes = summary.summary.splitlines()
    assert head == "Kit and Mara, 2026-05-13 12:00 to 12:03, 4 messages about kiln, vases."
    assert quotes
    assert all(quote.split(": ", 1)[1] in LINES for quote in quotes)
    assert f"Mara: {LINES[3]}" in quotes
    assert (await summarised(database, owner)).sessions == 0


async def test_a_greeting_and_its_answer_are_no_session_worth_a_summary(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await talk(connection, world, "Kit", "Kit", lines=("hi", "hello", "all well?"))
    assert (await summarised(database, owner)).summaries == 0


async def test_those_who_were_there_read_it_and_nobody_else(database: Database, owner: OwnerId) -> None:
    world, _ = await a_talk(database, owner)
    await summarised(database, owner)
    async with database.owner(owner) as connection:
        seen = {
            reader: len(await known_summaries(connection, owner_id=owner, reader=reader, query=query))
            for reader in (Reader.owner(), Reader.contact(world.contacts["Kit"]), Reader.chat(world.chats["Kit"]),
                           Reader.contact(world.contacts["Zoe"]), Reader.chat(world.chats["Zoe"]))
            for query in ("", "is your kiln fixed?")
        }  # fmt: skip
        assert list(seen.values()) == [1, 1, 1, 0, 0]
        assert (
            await known_summaries(connection, owner_id=owner, reader=Reader.owner(), query="the harbour")
            == []
        )
        assert await known_summaries(connection, owner_id=owner, reader=Reader.owner(), query="the of") == []
        assert await known_summaries(connection, owner_id=owner, reader=Reader.owner(), until=NOON) == []


async def test_forgetting_an_edit_and_a_deletion_take_the_words_along(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    world, said = await a_talk(database, owner)
    await summarised(database, owner)
    async with database.owner(owner) as connection:
        await edit_message(
            connection,
            owner_id=owner,
            chat_id=world.chats["Kit"],
            platform_id="m2",
            text="oh dear",
            at=NOON + timedelta(hours=1),
        )
        await delete_messages(
            connection,
            owner_id=owner,
            chat_id=world.chats["Kit"],
            platform_ids=["m3"],
            at=NOON + timedelta(hours=1),
        )
    assert await summaries(database, owner) == []
    assert (await summarised(database, owner)).summaries == 1
    (summary,) = await summaries(database, owner)
    assert (summary.version, "vases" in summary.summary, summary.messages) == (2, False, 3)
    async with database.owner(owner) as connection:
        for message in (said[0], said[3]):
            await forgetting.forget(
                connection, owner, await forgetting.find_message(connection, owner, str(message))
            )
    await summarised(database, owner)
    assert await holding(conninfo, "kiln") == []


async def test_the_owners_words_outlive_a_new_message_and_a_forgotten_one(
    database: Database, owner: OwnerId
) -> None:
    world, said = await a_talk(database, owner)
    await summarised(database, owner)
    (summary,) = await summaries(database, owner)
    async with database.owner(owner) as connection:
        corrected = await correct_summary(connection, owner, summary.id, "Kit needs a new kiln.")
        assert corrected.version == summary.version + 1
        assert [older.summary for older in await older_summaries(connection, owner, corrected.id)] == [
            summary.summary
        ]
        late = NOON + timedelta(minutes=2, seconds=30)
        await world.say(connection, "Kit", "Kit", "and a vase of yours was in the kiln too", late)
        await forgetting.forget(
            connection, owner, await forgetting.find_message(connection, owner, str(said[1]))
        )
    assert (await summarised(database, owner)).summaries == 0
    (after,) = await summaries(database, owner)
    assert (after.id, after.summary) == (corrected.id, "Kit needs a new kiln.")
    async with database.owner(owner) as connection:
        assert await older_summaries(connection, owner, corrected.id) == ()


async def test_hidden_and_deleted_stay_so_when_the_session_is_read_again(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    world, said = await a_talk(database, owner)
    await summarised(database, owner)
    (summary,) = await summaries(database, owner)
    async with database.owner(owner) as connection:
        await pin_summary(connection, owner, summary.id, pinned=True)
        await hide_summary(connection, owner, summary.id, hidden=True)
        await forgetting.forget(
            connection, owner, await forgetting.find_message(connection, owner, str(said[2]))
        )
    assert await holding(conninfo, "cracked") == []
    await summarised(database, owner)
    (again,) = await summaries(database, owner)
    assert (again.hidden, again.pinned, again.messages) == (True, True, 3)
    kit = Reader.contact(world.contacts["Kit"])
    async with database.owner(owner) as connection:
        assert await known_summaries(connection, owner_id=owner, reader=kit) == []
        await delete_summary(connection, owner, again.id)
        await world.say(connection, "Kit", "Kit", "the kiln is a total loss", NOON + timedelta(minutes=4))
    await summarised(database, owner)
    assert await summaries(database, owner) == []
    async with database.owner(owner) as connection:
        with pytest.raises(BadInput):
            await read_summary(connection, owner, again.id)


async def test_of_a_source_that_may_not_be_profiled_no_contacts_word_is_summarised(
    database: Database, owner: OwnerId
) -> None:
    world, _ = await a_talk(database, owner, may_profile=False)
    async with database.owner(owner) as connection:
        await talk(connection, world, "Kit", "Kit", NOON + timedelta(minutes=5))
    await summarised(database, owner)
    assert [each.messages for each in await summaries(database, owner)] == [4]


def told(summary: str, sources: list[int]) -> str:
    return json.dumps({"summary": summary, "sources": sources})


async def test_a_teachers_summary_is_kept_where_its_lines_carry_it(
    database: Database, owner: OwnerId
) -> None:
    await a_talk(database, owner)
    good = told("Kit told Mara that two vases cracked when the kiln broke on Monday.", [1, 2, 3])
    report = await summarised(database, owner, teacher=ScriptedTeacher("Sure!", good), teacher_outside=False)
    assert (report.summaries, report.refused, report.invalid) == (1, 0, 0)
    (summary,) = await summaries(database, owner)
    assert (summary.extractor, summary.summary) == (
        "teacher",
        "2026-05-13 12:00 to 12:03: Kit told Mara that two vases cracked when the kiln broke on Monday.",
    )


@pytest.mark.parametrize(
    ("answers", "counts"),
    [
        ((told("Kit told Mara that the kiln in Bergen broke.", [1, 2]),), (1, 0)),
        ((told("Kit told Mara that 14 vases cracked.", [1, 2, 3]),), (1, 0)),
        ((told("Kit told Mara that the kiln broke.", [9]),), (1, 0)),
        (("no", "[]"), (0, 1)),
    ],
)
async def test_a_teacher_that_makes_things_up_is_not_believed(
    database: Database, owner: OwnerId, answers: tuple[str, ...], counts: tuple[int, int]
) -> None:
    await a_talk(database, owner)
    report = await summarised(database, owner, teacher=ScriptedTeacher(*answers), teacher_outside=False)
    assert (report.refused, report.invalid) == counts
    assert [each.extractor for each in await summaries(database, owner)] == ["local"]


async def test_a_teacher_elsewhere_is_sent_nothing_that_must_stay_here(
    database: Database, owner: OwnerId
) -> None:
    await a_talk(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sources SET may_leave = false")
    teacher = ScriptedTeacher()
    await summarised(database, owner, teacher=teacher)
    assert teacher.asked == []
    assert [each.extractor for each in await summaries(database, owner)] == ["local"]


async def test_an_export_holds_summaries_with_the_messages_that_they_rest_on(
    database: Database, owner: OwnerId
) -> None:
    _, said = await a_talk(database, owner)
    await summarised(database, owner)
    async with database.owner(owner) as connection:
        told = json.loads(await export_memory(connection, owner, "Kit"))
        assert [summary["message_ids"] for summary in told["summaries"]] == [said]
        assert told["topics"] == []
        assert json.loads(await export_memory(connection, owner, "Zoe"))["summaries"] == []
