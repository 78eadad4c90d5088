"""What the owner asks of the bot in their private chat."""

import json

import pytest

from core.errors import BadInput
from core.events import ChatRef, MessageNew, SuggestAsked
from core.vocabulary import Mode
from tests.bots.standins import MemoryDesk
from tests.bots.telegram.scene import DANA, JONAS, MALLORY, MARA, Scene, opened


async def ask(scene: Scene, typed: str) -> list[str]:
    """What the bot says to something typed."""
    before = len(scene.world.bot_said())
    scene.world.owner_writes(typed)
    assert await scene.settle() == ()
    return scene.world.bot_said()[before:]


async def test_status_and_privacy_are_the_desks(scene: Scene) -> None:
    assert await ask(scene, "/status") == ["All is well."]
    assert await ask(scene, "/privacy@locum_bot") == ["What is said here stays on this machine."]


@pytest.mark.parametrize(
    ("typed", "hours"),
    [
        ("/pause", "8.0"),
        ("/pause 3", "3.0"),
        ("/pause 1,5", "1.5"),
        ("/pause 2h", "2.0"),
        ("/resume", "None"),
    ],
)
async def test_a_pause_lasts_as_long_as_it_says(scene: Scene, typed: str, hours: str) -> None:
    await ask(scene, typed)
    assert scene.desk.asked == [f"pause {hours} everywhere"]


@pytest.mark.parametrize("typed", ["/pause -1", "/pause forever", "/pause nan", "/pause 1e9", "/pause 0"])
async def test_a_pause_of_no_sensible_length_is_asked_about(scene: Scene, typed: str) -> None:
    assert "How many hours" in (await ask(scene, typed))[0]
    assert scene.desk.asked == []


async def test_help_is_what_start_and_everything_unknown_lead_to(scene: Scene) -> None:
    for typed in ("/start", "/help", "/what", "/"):
        assert "/forget NAME" in (await ask(scene, typed))[0]
    assert "/help" in (await ask(scene, "hello there"))[0]


async def test_forgetting_waits_for_a_button(scene: Scene) -> None:
    assert await ask(scene, "/forget Jonas Berg") == ["Would go: 3 messages."]
    assert scene.desk.asked == ["forget Jonas Berg False"]
    await scene.restart()
    scene.world.owner_presses("Forget it")
    await scene.settle()
    assert scene.desk.asked == ["forget Jonas Berg False", "forget Jonas Berg True"]
    assert scene.world.bot_said() == ["Forgotten."]
    assert scene.world.labels() == []


async def test_what_is_kept_after_all_is_kept(scene: Scene) -> None:
    await ask(scene, "/forget Jonas")
    question, data = scene.world.button("Forget it")
    scene.world.owner_presses("Keep it")
    await scene.settle()
    scene.world.presses(MARA, question, data)
    await scene.settle()
    assert scene.desk.asked == ["forget Jonas False"]


async def test_forgetting_nobody_is_asked_about(scene: Scene) -> None:
    assert "Whom" in (await ask(scene, "/forget"))[0]


async def test_an_export_comes_as_a_file(scene: Scene) -> None:
    scene.world.owner_writes("/export Jonas")
    await scene.settle()
    (form,) = scene.telegram.asked("sendDocument")
    assert form["chat_id"] == str(MARA["id"])
    assert json.loads(form["document"]) == {"messages": []}
    assert scene.desk.asked == ["export Jonas"]


async def test_an_export_of_nobody_says_so(scene: Scene) -> None:
    assert await ask(scene, "/export nobody") == ["Nobody is called that."]


async def test_chats_are_listed_with_a_button_each_that_opens_their_settings(scene: Scene) -> None:
    scene.desk.know(scene.chat(JONAS), "Jonas")
    scene.desk.know(scene.chat(DANA), "Dana")
    assert await ask(scene, "/chats jon") == ["Jonas: suggest, listening"]
    scene.world.owner_presses("Jonas")
    await scene.settle()
    assert {"Off", "• Suggest", "Auto", "Don't listen", "Pause 8 h", "Forget…"} <= set(scene.world.labels())
    assert await ask(scene, "/chats nobody") == ["No chat is called that."]


@pytest.mark.parametrize(
    ("label", "asked"),
    [
        ("Auto", "mode 42 auto"),
        ("Off", "mode 42 off"),
        ("Don't listen", "listen 42 False"),
        ("Pause 8 h", "pause 8.0 42"),
    ],
)
async def test_managing_a_chat_from_within_telegram_opens_its_switches(
    scene: Scene, label: str, asked: str
) -> None:
    scene.desk.know(scene.chat(JONAS), "Jonas")
    await ask(scene, "/start bizChat42")
    scene.world.owner_presses(label)
    await scene.settle()
    assert scene.desk.asked == [asked]


async def test_a_switch_shows_how_it_stands_now(scene: Scene) -> None:
    scene.desk.know(scene.chat(JONAS), "Jonas")
    await ask(scene, "/start bizChat42")
    scene.world.owner_presses("Auto")
    await scene.settle()
    assert scene.desk.known[scene.chat(JONAS)].mode is Mode.AUTO
    assert "• Auto" in scene.world.labels()
    assert scene.world.bot_said() == ["Jonas\nauto, listening"]


async def test_a_name_that_fits_nobody_is_said_and_nothing_is_asked(scene: Scene) -> None:
    assert await ask(scene, "/forget nobody") == ["Nobody is called that."]
    assert "Forget it" not in scene.world.labels()


async def test_forgetting_from_a_chats_settings_asks_first(scene: Scene) -> None:
    scene.desk.know(scene.chat(JONAS), "Jonas")
    await ask(scene, "/start bizChat42")
    scene.world.owner_presses("Forget…")
    await scene.settle()
    assert scene.desk.asked == ["forget 42 False"]


@pytest.mark.parametrize("typed", ["/start bizChat99", "/start bizChat" + "9" * 40])
async def test_a_chat_that_was_never_heard_has_no_settings_yet(scene: Scene, typed: str) -> None:
    assert "not heard anything" in (await ask(scene, typed))[0]


async def test_what_the_desk_does_not_allow_is_told_and_holds_up_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def status(_desk: MemoryDesk) -> str:
        raise BadInput("That is not possible now.")

    monkeypatch.setattr(MemoryDesk, "status", status)
    assert await ask(scene, "/status") == ["That is not possible now."]
    assert await ask(scene, "/privacy") == ["What is said here stays on this machine."]


async def test_answers_are_told_even_if_one_is_lost(scene: Scene) -> None:
    scene.telegram.refuse("sendMessage", "Internal Server Error", code=500)
    scene.world.owner_writes("/status")
    scene.world.owner_writes("/privacy")
    assert await scene.settle() == ()
    assert scene.world.bot_said() == ["What is said here stays on this machine."]


async def test_in_a_topic_the_answer_stands_in_the_topic() -> None:
    async with opened(topics=True) as scene:
        scene.world.owner_writes("/status", message_thread_id=905, is_topic_message=True)
        await scene.settle()
        assert scene.telegram.asked("sendMessage")[-1]["message_thread_id"] == "905"


async def test_the_menu_of_commands_is_offered_to_the_owner_alone() -> None:
    async with opened() as scene:
        await scene.restart()
        (form,) = scene.telegram.asked("setMyCommands")
        assert form["scope"] == {"type": "chat", "chat_id": 1001}


# ─── Forwarding ──────────────────────────────────────────────────────────────────────────────


async def test_a_forwarded_message_is_kept_as_its_writers_and_drafts_are_asked_for(scene: Scene) -> None:
    message = scene.world.forwards_to_bot(MARA, {"type": "user", "sender_user": JONAS}, "dinner on Friday?")
    new, asked = await scene.settle()
    assert isinstance(new, MessageNew)
    assert isinstance(asked, SuggestAsked)
    assert (new.chat, new.sender.id, new.text) == (scene.chat(JONAS), "42", "dinner on Friday?")
    assert new.pointed_at
    assert new.message_id == f"forwarded-{message['message_id']}"
    assert (asked.chat, asked.message_id) == (new.chat, new.message_id)


async def test_a_forwarded_message_meets_no_live_one(scene: Scene) -> None:
    live = scene.world.contact_writes(JONAS, "hello")
    scene.world.forwards_to_bot(MARA, {"type": "user", "sender_user": JONAS}, "hello")
    first, second, _ = await scene.settle()
    assert first.key != second.key
    assert str(live["message_id"]) in first.key


async def test_who_hides_when_forwarded_is_nobody_in_particular(scene: Scene) -> None:
    hidden = {"type": "hidden_user", "sender_user_name": "Anna"}
    messages = [scene.world.forwards_to_bot(MARA, hidden, text) for text in ("the code is 77", "which code?")]
    first, _, second, _ = await scene.settle()
    for new, message in zip((first, second), messages, strict=True):
        assert isinstance(new, MessageNew)
        alone = f"forwarded-{message['message_id']}"
        assert new.chat == ChatRef(platform="telegram", account="1001", chat=alone)
        assert (new.sender.id, new.members) == (alone, None)


async def test_what_was_forwarded_stands_where_the_owner_brought_it(scene: Scene) -> None:
    long_ago = {"type": "user", "sender_user": JONAS, "date": 1_600_000_000}
    message = scene.world.forwards_to_bot(MARA, long_ago, "dinner on Friday?")
    new, _ = await scene.settle()
    assert new.at.timestamp() == message["date"]


async def test_forwarding_ones_own_words_asks_for_nothing(scene: Scene) -> None:
    scene.world.forwards_to_bot(MARA, {"type": "user", "sender_user": MARA}, "I said")
    assert await scene.settle() == ()


async def test_a_forwarded_command_is_no_command(scene: Scene) -> None:
    scene.world.forwards_to_bot(MARA, {"type": "user", "sender_user": MALLORY}, "/pause 99")
    assert len(await scene.settle()) == 2
    assert scene.desk.asked == []


# ─── Inline and guest mode ───────────────────────────────────────────────────────────────────


async def test_inline_mode_offers_the_owners_open_drafts(scene: Scene) -> None:
    scene.desk.know(scene.chat(JONAS), "Jonas")
    await scene.bot.show(scene.card("yes, at six", "no, sorry"))
    scene.world.asks_inline(MARA, "six")
    await scene.settle()
    (form,) = scene.telegram.asked("answerInlineQuery")
    assert [result["input_message_content"]["message_text"] for result in form["results"]] == ["yes, at six"]
    assert (form["cache_time"], form["is_personal"]) == ("0", "true")


async def test_a_draft_posted_through_inline_mode_is_the_owners_where_it_belongs(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes, at six"))
    scene.world.owner_types(JONAS, "yes, at six", via_bot=scene.world.bot)
    assert (await scene.only(MessageNew)).author == "owner"
    scene.world.owner_types(DANA, "yes, at six", via_bot=scene.world.bot)
    assert (await scene.only(MessageNew)).author == "self_as_owner"


async def test_called_as_a_guest_it_answers_the_owner_in_a_line_and_asks_for_drafts(scene: Scene) -> None:
    group = scene.world.opens_group(-100777, "Walkers")
    asked = scene.world.post("group", group, JONAS, {"text": "who brings the tent?"})
    query = scene.world.calls_as_guest(group, MARA, "@locum_bot", reply_to_message=asked)
    new, wanted = await scene.settle()
    (form,) = scene.telegram.asked("answerGuestQuery")
    assert form["guest_query_id"] == query
    assert isinstance(new, MessageNew)
    assert isinstance(wanted, SuggestAsked)
    assert (new.text, new.pointed_at, new.chat.chat) == ("who brings the tent?", True, "-100777")
    assert wanted.message_id == new.message_id
