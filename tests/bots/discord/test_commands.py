"""What the owner types to the bot, and that nobody else's lines are commands."""

import pytest

from bots.discord.commands import FORWARDED, NO_CARD, UNKNOWN
from core.events import DraftAction, DraftVerb, MessageNew
from tests.bots.discord.scene import Core, Scene
from tests.bots.standins import MemoryDesk


async def answer_to(discord: Scene, core: Core, line: str) -> str:
    """What the bot answers the owner."""
    before = len(discord.in_control())
    await discord.server.say(discord.server.owner, discord.control, line)
    await core.until(lambda: len(discord.in_control()) > before)
    return discord.in_control()[-1]["content"]


@pytest.mark.parametrize(
    ("line", "asked", "answer"),
    [
        ("status", "status", "All is well."),
        ("/STATUS", "status", "All is well."),
        ("privacy", "privacy", "What is said here stays on this machine."),
        ("pause 3", "pause 3.0 everywhere", "Paused."),
        ("pause", "pause 8.0 everywhere", "Paused."),
        ("resume", "pause None everywhere", "Not paused any more."),
        ("why h", "why 17", "decide: a question"),
        ("really forget Jonas", "forget Jonas True", "Forgotten."),
    ],
)
async def test_a_command_is_asked_of_the_desk(discord: Scene, line: str, asked: str, answer: str) -> None:
    async with discord.running() as core:
        assert await answer_to(discord, core, line) == answer
        assert discord.desk.asked == [asked]
        assert core.seen == []


class SpoilingDesk(MemoryDesk):
    """Its sentences hold names that others chose."""

    async def forget(self, what: str, *, confirmed: bool = False) -> str:
        del what, confirmed
        return "'an' may be [your bank](https://evil.example) (7), @everyone (8),\n# LOUD (9)"


async def test_the_names_of_others_in_an_answer_are_no_formatting(discord: Scene) -> None:
    discord.desk = SpoilingDesk()
    async with discord.running() as core:
        told = await answer_to(discord, core, "really forget an")
    assert "\n# " not in told
    assert "@everyone" not in told
    assert "[your bank](https" not in told.replace("\\[", "")


async def test_forgetting_is_asked_twice(discord: Scene) -> None:
    async with discord.running() as core:
        told = await answer_to(discord, core, "forget Jonas")
        assert "Would go: 3 messages." in told
        assert "really forget Jonas" in told
        assert discord.desk.asked == ["forget Jonas False"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("forget", "Whom or what?"),
        ("forget nobody", "Nobody is called"),
        ("really forget nobody", "Nobody is called"),
    ],
)
async def test_a_name_that_fits_nobody_is_no_question(discord: Scene, line: str, told: str) -> None:
    async with discord.running() as core:
        answer = await answer_to(discord, core, line)
    assert told in answer
    assert "really forget" not in answer


async def test_chats_are_listed_and_ruled_by_name(discord: Scene) -> None:
    discord.desk.know(discord.chat("jonas"), "Jonas")
    discord.desk.know(discord.chat("dana"), "Dana", listened=False)
    async with discord.running() as core:
        listed = await answer_to(discord, core, "chats")
        assert "Jonas · suggest" in listed
        assert "Dana · suggest · not listened to" in listed
        assert await answer_to(discord, core, "listen Dana") == "Listening."
        assert await answer_to(discord, core, "mode off Jonas") == "Jonas: off."
        assert "No chat" in await answer_to(discord, core, "ignore Nobody")
        assert "Several" in await answer_to(discord, core, "ignore a")
        assert "Write `mode" in await answer_to(discord, core, "mode loud Jonas")


async def test_an_export_comes_as_a_file_and_a_wrong_name_as_a_sentence(discord: Scene) -> None:
    async with discord.running() as core:
        await answer_to(discord, core, "export Jonas")
        (file,) = discord.in_control()[-1]["attachments"]
        assert (file["filename"], file["_content"]) == ("locum-export.json", '{"messages": []}')
        assert await answer_to(discord, core, "export nobody") == "Nobody is called that."


@pytest.mark.parametrize(
    ("line", "verb", "text"),
    [
        ("send h", DraftVerb.SEND, None),
        ("discard H", DraftVerb.DISCARD, None),
        ("mute h", DraftVerb.MUTE, None),
        ("edit h: No: not today", DraftVerb.EDIT, "No: not today"),
    ],
)
async def test_a_card_is_answered_by_its_code(
    discord: Scene, line: str, verb: DraftVerb, text: str | None
) -> None:
    discord.card(discord.chat("jonas"), "Yes")
    async with discord.running() as core:
        raw = await discord.server.say(discord.server.owner, discord.control, line)
        (action,) = await core.wait_for(DraftAction)
        assert (action.draft, action.verb, action.text) == (17, verb, text)
        assert (action.chat, action.key) == (discord.chat("jonas"), f"command:{raw['id']}")


async def test_what_is_no_command_is_answered_and_stored_nowhere(discord: Scene) -> None:
    async with discord.running() as core:
        assert await answer_to(discord, core, "what is love?") == UNKNOWN
        assert "Suggest a reply" in await answer_to(discord, core, "help")
        assert await answer_to(discord, core, "send zz") == NO_CARD
        assert await answer_to(discord, core, "send ?") == NO_CARD
        discord.card(discord.chat("jonas"), "Yes")
        assert "edit h: YOUR WORDS" in await answer_to(discord, core, "edit h")
        assert "pause 3" in await answer_to(discord, core, "pause forever")
        await core.quiet()
        assert core.seen == []


async def test_a_forward_to_the_bot_is_sent_back_to_its_menu(discord: Scene) -> None:
    async with discord.running() as core:
        before = len(discord.in_control())
        await discord.server.say(
            discord.server.owner, discord.control, "", message_snapshots=[{"message": {"content": "hi"}}]
        )
        await core.until(lambda: len(discord.in_control()) > before)
        assert discord.in_control()[-1]["content"] == FORWARDED
        assert core.seen == []


async def test_a_command_that_was_replayed_is_answered_once(discord: Scene) -> None:
    """The answer's nonce is made of the command's id."""
    async with discord.running() as core:
        await answer_to(discord, core, "status")
    del discord.state.kept["session"]
    (session,) = discord.server.sessions.values()
    discord.state.kept["session"] = (
        f'{{"session": "{session.id}", "url": "{discord.server.gateway_url}", "seq": 1, '
        '"at": "2026-01-01T00:00:00Z"}'
    )
    async with discord.running() as core:
        await core.until(lambda: discord.desk.asked == ["status", "status"])
        await core.quiet()
        assert [m["content"] for m in discord.in_control()] == ["All is well."]


@pytest.mark.parametrize("line", ["pause 3", "really forget Mara", "export", "send h", "status"])
async def test_somebody_elses_command_is_just_what_they_said(discord: Scene, line: str) -> None:
    discord.card(discord.chat("jonas"), "Yes")
    async with discord.running() as core:
        for channel in (discord.with_jonas, discord.channel):
            await discord.server.say(discord.jonas, channel, line)
        found = await core.wait_for(MessageNew, 2)
        await core.quiet()
        assert [m.text for m in found] == [line, line]
        assert len(core.seen) == 2
        assert discord.desk.asked == []
        assert discord.server.posts == 0


async def test_the_owners_commands_in_a_server_are_just_what_they_said(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.server.owner, discord.channel, "pause 3")
        await core.wait_for(MessageNew)
        assert discord.desk.asked == []


async def test_the_menu_is_synced_once_and_not_at_every_start(discord: Scene) -> None:
    for _ in range(3):
        async with discord.running():
            pass
    assert discord.server.syncs == 1
    assert [c["name"] for c in discord.server.commands] == ["Suggest a reply", "Add to context"]
    assert all(
        c["integration_types"] == [0, 1] and c["contexts"] == [0, 1, 2] for c in discord.server.commands
    )
