"""Cards in the owner's own chat with the bot."""

from datetime import UTC, datetime

from bots.discord.card_view import BLOCKS, Pressed, pressed
from core.bot import Evidence
from core.events import DraftAction, DraftVerb
from tests.bots.discord.scene import Scene


def line(text: str, sender: str = "Jonas") -> Evidence:
    return Evidence(message_id="1", chat_title="Jonas", sender=sender, sent_at=datetime.now(UTC), text=text)


async def test_a_card_stands_in_the_owners_chat_with_its_buttons(discord: Scene) -> None:
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "Yes", "No", incoming=(line("coming?"),)))
        (shown,) = discord.in_control()
        labels = [b["label"] for row in shown["components"] for b in row["components"]]
        assert labels == ["Post as the app 1", "Post as the app 2", "Edit 1", "Edit 2",
                          "Discard", "Why", "Mute this chat"]  # fmt: skip
        assert "> Jonas: coming?" in shown["content"]
        assert discord.server.standing_in(discord.with_jonas) == []


async def test_a_card_shown_again_after_a_restart_is_the_same_message(discord: Scene) -> None:
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "old"))
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "new"))
        (shown,) = discord.in_control()
        assert BLOCKS.findall(shown["content"]) == ["new"]


async def test_a_withdrawn_card_says_what_became_of_it_and_has_no_buttons(discord: Scene) -> None:
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "a"))
    async with discord.running() as core:
        await core.bot.withdraw("card-1-1", "discarded")
        (shown,) = discord.in_control()
        assert (shown["content"], shown["components"]) == ("Discarded.", [])


async def test_a_card_that_is_opened_again_is_shown_again(discord: Scene) -> None:
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "a"))
        await core.bot.withdraw("card-1-1", "overtaken")
        await core.bot.show(discord.card(discord.chat("jonas"), "a"))
        closed, shown = discord.in_control()
        assert closed["components"] == []
        assert BLOCKS.findall(shown["content"]) == ["a"]
        assert shown["components"]


async def test_a_card_that_the_owner_deleted_is_shown_anew(discord: Scene) -> None:
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "a"))
        (shown,) = discord.in_control()
        await discord.server.erase(shown)
        await core.bot.show(discord.card(discord.chat("jonas"), "b"))
        assert [BLOCKS.findall(m["content"]) for m in discord.in_control()] == [["b"]]
        await discord.server.erase(*discord.in_control())
        await core.bot.withdraw("card-1-1", "sent")


async def test_a_card_post_that_breaks_in_the_middle_is_one_card(discord: Scene) -> None:
    async with discord.running() as core:
        discord.server.fail("POST", "messages", after=True)
        await core.bot.show(discord.card(discord.chat("jonas"), "a"))
        assert len(discord.in_control()) == 1


async def test_long_drafts_are_shown_whole_on_several_pages_that_shrink_again(discord: Scene) -> None:
    long = [" ".join(f"{who} says sentence {n}." for n in range(140)) for who in ("one", "two", "three")]
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), *long))
        pages = discord.in_control()
        assert len(pages) > 3
        shown = [block for page in pages for block in BLOCKS.findall(page["content"])]
        assert " ".join(shown).split() == " ".join(long).split()
        assert [bool(page["components"]) for page in pages] == [True] + [False] * (len(pages) - 1)
        await core.bot.show(discord.card(discord.chat("jonas"), "short"))
        assert len(discord.in_control()) == 1
        await core.bot.withdraw("card-1-1", "sent")
        assert [m["content"] for m in discord.in_control()] == ["Posted."]


async def test_other_peoples_words_on_a_card_are_plain_text(discord: Scene) -> None:
    wild = "**bold** `code` @everyone [x](http://evil.example)\n> # shout ```"
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "a ``` b", incoming=(line(wild, "*Jo*"),)))
        (shown,) = discord.in_control()
        quoted = shown["content"].splitlines()[1]
        assert quoted.startswith("> \\*Jo\\*: \\*\\*bold\\*\\* \\`code\\` @\u2060everyone")
        assert shown["content"].count("```") - quoted.count("```") == 2
        assert discord.server.bodies[-1]["allowed_mentions"] == {"parse": [], "replied_user": False}


async def test_a_press_names_the_chat_that_the_card_answers(discord: Scene) -> None:
    async with discord.running() as core:
        await core.bot.show(discord.card(discord.chat("jonas"), "Yes"))
    async with discord.running() as core:
        (shown,) = discord.in_control()
        owner = discord.server.owner
        for label in ("Post as the app", "Post as the app", "Mute"):
            await discord.server.press(owner, shown, discord.button(shown, label), user_only=False)
        actions = await core.wait_for(DraftAction, 3)
        assert {action.chat for action in actions} == {discord.chat("jonas")}
        assert [a.verb for a in actions] == [DraftVerb.SEND, DraftVerb.SEND, DraftVerb.MUTE]
        assert len({action.key for action in actions}) == 3


def test_button_ids_are_read_back_and_nothing_else_is_read() -> None:
    what = Pressed(verb=DraftVerb.EDIT, draft=17, chat="123")
    assert pressed(what.custom_id) == what
    for foreign in (
        "",
        "locum:send:17",
        "locum:explode:17:1",
        "locum:send:x:1",
        "locum:send:1:1:1",
        "a:b:1:1",
    ):
        assert pressed(foreign) is None
