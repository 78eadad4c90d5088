"""Everybody but the owner, trying everything."""

import pytest

from bots.telegram.elsewhere import MOST_GREETED
from core.events import Author, ChatRef, MessageNew
from tests.bots.telegram.scene import JONAS, MALLORY, MARA, Scene

COMMANDS = (
    "/start /start\u00a0bizChat42 /status /privacy /pause /resume /forget\u00a0Jonas /export /chats /help "
    "/send\u00a01 /edit\u00a01\u00a0ha /discard\u00a01 /why\u00a01 /mute\u00a01"
).split(" ")


@pytest.mark.parametrize("typed", [command.replace("\u00a0", " ") for command in COMMANDS])
async def test_a_strangers_command_does_nothing(scene: Scene, typed: str) -> None:
    await scene.bot.show(scene.card("yes"))
    scene.world.writes_to_bot(MALLORY, typed)
    assert await scene.settle() == ()
    assert scene.desk.asked == []
    assert len(scene.world.bot_said()) == 1
    (line,) = scene.world.bot_said(MALLORY)
    assert "neither kept nor read" in line


async def test_a_stranger_is_told_one_line_once_also_after_a_restart(scene: Scene) -> None:
    for text in ("hello", "hello?", "HELLO"):
        scene.world.writes_to_bot(MALLORY, text)
    await scene.settle()
    await scene.restart()
    scene.world.writes_to_bot(MALLORY, "still there?")
    await scene.settle()
    assert len(scene.world.bot_said(MALLORY)) == 1


async def test_a_crowd_of_strangers_fills_no_storage(scene: Scene) -> None:
    for number in range(MOST_GREETED):
        scene.state.kept[f"greeted:{5000 + number}"] = "1"
    scene.world.writes_to_bot(MALLORY, "one more")
    await scene.settle()
    assert len([key for key in scene.state.kept if key.startswith("greeted:")]) == MOST_GREETED
    assert scene.world.bot_said(MALLORY) == []


async def test_a_reaction_in_the_bots_own_chat_is_none_in_the_owners_chat_with_that_person(
    scene: Scene,
) -> None:
    told = scene.world.writes_to_bot(JONAS, "hello bot")
    await scene.settle()
    scene.world.reacts(told, JONAS, [], ["👍"])
    assert await scene.settle() == ()


async def test_a_chat_that_bears_somebody_elses_name_is_forgotten_by_its_own_id(scene: Scene) -> None:
    trap = ChatRef(platform="telegram", account="1001", chat="-100666")
    scene.desk.know(trap, "Jonas")
    scene.world.owner_writes("/chats Jonas")
    await scene.settle()
    scene.world.owner_presses("Jonas")
    await scene.settle()
    scene.world.owner_presses("Forget…")
    await scene.settle()
    assert scene.desk.asked == ["forget -100666 False"]


@pytest.mark.parametrize("label", ["Send", "Edit", "Why", "Discard", "Mute"])
async def test_a_strangers_press_does_nothing(scene: Scene, label: str) -> None:
    await scene.bot.show(scene.card("yes"))
    message, data = scene.world.button(label)
    scene.world.presses(MALLORY, message, data)
    assert await scene.settle() == ()
    assert scene.desk.asked == []
    assert len(scene.world.bot_said()) == 1


@pytest.mark.parametrize("data", ["c:42:auto", "c:42:forget", "f", "x", "d:1:s", "", "c:", ":::", "d:☃:s"])
async def test_forged_buttons_of_a_stranger_do_nothing(scene: Scene, data: str) -> None:
    scene.desk.know(scene.chat(JONAS), "Jonas")
    await scene.bot.show(scene.card("yes"))
    message, _ = scene.world.button("Send")
    scene.world.presses(MALLORY, message, data)
    assert await scene.settle() == ()
    assert scene.desk.asked == []


@pytest.mark.parametrize(
    "data", ["", "c:", ":::", "d:☃:s", "d:1", "d:1:q", "f:1", "c:42:", "c:x:auto", "c::auto"]
)
async def test_forged_buttons_from_the_owners_own_client_are_no_trouble(scene: Scene, data: str) -> None:
    await scene.bot.show(scene.card("yes"))
    message, _ = scene.world.button("Send")
    scene.world.presses(MARA, message, data)
    assert await scene.settle() == ()
    assert scene.desk.asked == []


async def test_a_button_in_another_chat_is_nobodys(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    group = scene.world.opens_group(-100500, "Walkers")
    message = scene.world.post("group", group, scene.world.bot, {"text": "press"})
    scene.world.presses(MARA, message, "d:1:s")
    assert await scene.settle() == ()


async def test_a_stranger_gets_no_drafts_inline(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes, at six"))
    scene.world.asks_inline(MALLORY, "")
    await scene.settle()
    (form,) = scene.telegram.asked("answerInlineQuery")
    assert form["results"] == []


async def test_a_stranger_who_calls_the_bot_as_a_guest_is_not_answered(scene: Scene) -> None:
    group = scene.world.opens_group(-100777, "Walkers")
    asked = scene.world.post("group", group, MARA, {"text": "a secret"})
    scene.world.calls_as_guest(group, MALLORY, "@locum_bot what did she mean?", reply_to_message=asked)
    assert await scene.settle() == ()
    assert scene.telegram.asked("answerGuestQuery") == []


async def test_a_strangers_forward_is_not_taken_in(scene: Scene) -> None:
    scene.world.forwards_to_bot(MALLORY, {"type": "user", "sender_user": JONAS}, "he said that")
    assert await scene.settle() == ()


async def test_a_strangers_answer_to_the_owners_prompt_is_no_edit(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    scene.world.owner_presses("Edit")
    await scene.settle()
    prompt = scene.world.owner_sees()[-1]
    scene.world.writes_to_bot(MALLORY, "transfer me money", reply_to_message=prompt)
    assert await scene.settle() == ()


async def test_a_contacts_commands_are_words_like_any_others(scene: Scene) -> None:
    scene.world.contact_writes(JONAS, "/forget Mara")
    event = await scene.only(MessageNew)
    assert (event.author, event.text) == (Author.CONTACT, "/forget Mara")
    assert scene.desk.asked == []


async def test_the_owners_commands_in_other_chats_are_words_too(scene: Scene) -> None:
    group = scene.world.opens_group(-100500, "Walkers")
    scene.world.owner_types(JONAS, "/pause 3")
    scene.world.group_writes(group, MARA, "/pause 3")
    assert len(await scene.settle()) == 2
    assert scene.desk.asked == []


async def test_nobody_but_contacts_of_the_outbox_is_ever_written_to(scene: Scene) -> None:
    """Whatever comes in, the bot writes to the owner, and one line to a stranger."""
    group = scene.world.opens_group(-100500, "Walkers")
    await scene.bot.show(scene.card("yes"))
    scene.world.contact_writes(JONAS, "hello @locum_bot")
    scene.world.group_writes(group, MALLORY, "@locum_bot say something")
    scene.world.group_writes(group, MARA, "/status")
    scene.world.owner_presses("Send")
    scene.world.owner_writes("/status")
    await scene.settle()
    assert {form["chat_id"] for form in scene.telegram.asked("sendMessage")} == {str(MARA["id"])}
