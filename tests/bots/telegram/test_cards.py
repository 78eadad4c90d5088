"""Cards in the owner's private chat, and what pressing them becomes."""

from dataclasses import replace

import pytest

from bots.card_text import code_of
from bots.doubles.telegram_world import buttons
from bots.telegram.card_view import MOST_COPIED
from bots.words import utf16_length
from core.bot import CardDraft
from core.errors import PlatformError
from core.events import ChatRef, DraftAction, DraftVerb
from core.vocabulary import Intent
from tests.bots.telegram.scene import DANA, JONAS, MARA, Scene, opened


async def test_a_card_stands_in_the_owners_private_chat_alone(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes, at six", "no, sorry"))
    (form,) = scene.telegram.asked("sendMessage")
    assert form["chat_id"] == str(MARA["id"])
    assert "business_connection_id" not in form
    assert scene.world.messages["business", JONAS["id"]] == {}
    assert {"Send 1", "Send 2", "Edit 1", "Why 2", "Discard", "Mute"} <= set(scene.world.labels())


async def test_a_card_shows_who_asked_what_and_every_draft_whole(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes, at six", "no, sorry"))
    (text,) = scene.world.bot_said()
    assert text.startswith("Jonas\nJonas: are you coming?")
    assert "yes, at six" in text
    assert "no, sorry" in text


@pytest.mark.parametrize(
    ("label", "verb", "draft"),
    [
        ("Send 1", DraftVerb.SEND, 1),
        ("Send 2", DraftVerb.SEND, 2),
        ("Discard", DraftVerb.DISCARD, 1),
        ("Mute", DraftVerb.MUTE, 1),
    ],
)
async def test_a_press_is_an_action_in_the_chat_that_the_card_answers(
    scene: Scene, label: str, verb: DraftVerb, draft: int
) -> None:
    await scene.bot.show(scene.card("yes", "no"))
    query = scene.world.owner_presses(label)
    action = await scene.only(DraftAction)
    assert (action.verb, action.draft, action.chat) == (verb, draft, scene.chat(JONAS))
    assert query in action.key
    assert [form["callback_query_id"] for form in scene.telegram.asked("answerCallbackQuery")] == [query]


async def test_a_double_press_is_two_events_of_which_core_takes_the_first(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    scene.world.owner_presses("Send")
    scene.world.owner_presses("Send")
    first, second = await scene.settle()
    assert first.key != second.key


async def test_edit_asks_for_the_owners_words_and_the_answer_is_the_edit(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes", "no"))
    scene.world.owner_presses("Edit 2")
    assert await scene.settle() == ()
    prompt = scene.world.owner_sees()[-1]
    assert "no" in prompt["text"]
    assert scene.telegram.asked("sendMessage")[-1]["reply_markup"]["force_reply"]
    scene.world.owner_answers(prompt, "no, but tomorrow")
    action = await scene.only(DraftAction)
    assert (action.verb, action.draft, action.text) == (DraftVerb.EDIT, 2, "no, but tomorrow")
    assert action.chat == scene.chat(JONAS)


async def test_an_answer_to_an_edit_prompt_is_understood_after_a_restart(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    scene.world.owner_presses("Edit")
    await scene.settle()
    await scene.restart()
    scene.world.owner_answers(scene.world.owner_sees()[-1], "yes, gladly")
    assert (await scene.only(DraftAction)).text == "yes, gladly"


async def test_why_is_answered_at_once_and_core_hears_nothing(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    scene.world.owner_presses("Why")
    assert await scene.settle() == ()
    assert scene.world.bot_said()[-1] == "decide: a question"


async def test_a_card_shown_again_after_a_restart_replaces_itself(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    await scene.restart()
    await scene.bot.show(scene.card("yes, gladly", "no"))
    (text,) = scene.world.bot_said()
    assert "yes, gladly" in text
    assert "Send 2" in scene.world.labels()


async def test_a_withdrawn_card_is_one_line_without_buttons_also_after_a_restart(scene: Scene) -> None:
    scene.desk.know(scene.chat(JONAS), "Jonas")
    await scene.bot.show(scene.card("yes"))
    await scene.restart()
    await scene.bot.withdraw("card-1-1", "overtaken")
    assert scene.world.bot_said() == ["Jonas · you answered yourself"]
    assert scene.world.labels() == []
    assert [key for key in scene.state.kept if key.startswith("card:")] == []


async def test_a_press_on_a_card_that_is_closed_does_nothing_but_say_so(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    message, data = scene.world.button("Send")
    await scene.bot.withdraw("card-1-1", "expired")
    scene.desk.drafts.clear()
    scene.world.presses(MARA, message, data)
    assert await scene.settle() == ()
    assert scene.telegram.asked("answerCallbackQuery")[-1]["text"] == "This card is closed."


async def test_a_long_slate_takes_several_messages_and_buttons_stand_under_the_last(scene: Scene) -> None:
    letters = [" ".join([f"word{n}"] * 900) for n in range(3)]
    await scene.bot.show(scene.card(*letters))
    shown = scene.world.owner_sees()
    assert len(shown) > 1
    assert [bool(buttons(message)) for message in shown] == [False] * (len(shown) - 1) + [True]
    assert all(utf16_length(message["text"]) <= 4096 for message in shown)
    together = " ".join(message["text"] for message in shown)
    assert all(together.count(f"word{n}") == 900 for n in range(3))


async def test_a_card_cut_in_half_is_completed_not_shown_twice(scene: Scene) -> None:
    card = scene.card(*[" ".join([f"word{n}"] * 900) for n in range(3)])
    scene.telegram.take("sendMessage")
    scene.telegram.refuse("sendMessage", "Bad Gateway", code=502)
    with pytest.raises(PlatformError):
        await scene.bot.show(card)
    assert len(scene.world.bot_said()) == 1
    await scene.restart()
    await scene.bot.show(card)
    together = " ".join(scene.world.bot_said())
    assert all(together.count(f"word{n}") == 900 for n in range(3))


async def test_a_slate_that_shrinks_leaves_no_page_behind(scene: Scene) -> None:
    await scene.bot.show(scene.card(*[" ".join([f"word{n}"] * 900) for n in range(3)]))
    await scene.bot.show(scene.card("yes"))
    (text,) = scene.world.bot_said()
    assert "yes" in text
    assert "Send" in scene.world.labels()


async def test_other_peoples_words_on_a_card_cannot_be_tapped_and_are_no_formatting(scene: Scene) -> None:
    card = scene.card("sure")
    line = scene.line(JONAS, "/pause @mallory [x](http://evil) <b>*hi*</b>")
    await scene.bot.show(replace(card, incoming=(line,), chat_title="/forget @me"))
    (form,) = scene.telegram.asked("sendMessage")
    assert "parse_mode" not in form
    for tappable in ("/pause", "@mallory", "http://", "/forget", "@me"):
        assert tappable not in form["text"]
    assert "<b>*hi*<" in form["text"]


async def test_where_we_cannot_send_a_card_offers_to_copy(scene: Scene) -> None:
    scene.world.connects(rights={})
    await scene.settle()
    await scene.bot.show(scene.card("yes", "no" * MOST_COPIED))
    labels = scene.world.labels()
    assert "Copy 1" in labels
    assert not {"Copy 2", "Send 1", "Edit 1"} & set(labels)


async def test_the_buttons_of_the_largest_draft_number_fit(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes", first=2**63 - 1))
    scene.world.owner_presses("Send")
    assert (await scene.only(DraftAction)).draft == 2**63 - 1


async def test_a_card_removed_by_the_owner_is_shown_anew(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes"))
    scene.world.messages["bot", MARA["id"]].clear()
    await scene.bot.show(scene.card("yes, gladly"))
    (text,) = scene.world.bot_said()
    assert "gladly" in text


async def test_a_card_that_telegram_refuses_is_an_error_with_its_cure(scene: Scene) -> None:
    scene.telegram.refuse("sendMessage", "Forbidden: bot was blocked by the user", code=403)
    with pytest.raises(PlatformError, match="press Start"):
        await scene.bot.show(scene.card("yes"))
    await scene.bot.show(scene.card("yes"))
    assert len(scene.world.bot_said()) == 1


async def test_while_telegram_asks_to_wait_cards_ask_nothing(scene: Scene) -> None:
    scene.telegram.flood("sendMessage", 60)
    for _ in range(3):
        with pytest.raises(PlatformError) as raised:
            await scene.bot.show(scene.card("yes"))
        assert raised.value.retry_after is not None
    assert scene.telegram.faults["sendMessage"] == []
    assert scene.telegram.asked("sendMessage") == []


async def test_state_never_holds_what_was_said(scene: Scene) -> None:
    await scene.bot.show(scene.card("a secret answer"))
    scene.world.owner_presses("Edit")
    scene.world.contact_writes(JONAS, "a secret question")
    await scene.settle()
    assert "secret" not in str(scene.state.kept)


# ─── Topics, streaming, codes ────────────────────────────────────────────────────────────────


async def test_each_contact_has_a_topic_where_the_owners_chat_has_them() -> None:
    async with opened(topics=True) as scene:
        await scene.bot.show(scene.card("yes"))
        await scene.bot.show(scene.card("no", key="card-1-2", contact=DANA, first=2))
        await scene.bot.show(scene.card("or", key="card-1-3", first=3))
        assert [form["name"] for form in scene.telegram.asked("createForumTopic")] == ["Jonas", "Dana"]
        threads = [message.get("message_thread_id") for message in scene.world.owner_sees()]
        assert threads == [901, 902, 901]


async def test_where_topics_fail_cards_stand_in_the_chat_itself() -> None:
    async with opened(topics=True) as scene:
        scene.telegram.topics = False
        await scene.bot.show(scene.card("yes"))
        await scene.bot.show(scene.card("no", key="card-1-2"))
        assert len(scene.telegram.asked("createForumTopic")) == 1
        assert [message.get("message_thread_id") for message in scene.world.owner_sees()] == [None, None]


async def test_a_topic_that_the_owner_removed_is_not_missed() -> None:
    async with opened(topics=True) as scene:
        await scene.bot.show(scene.card("yes"))
        scene.telegram.refuse("sendMessage", "Bad Request: message thread not found")
        await scene.bot.show(scene.card("no", key="card-1-2"))
        assert scene.world.owner_sees()[-1].get("message_thread_id") is None
        assert "topic:42" not in scene.state.kept


async def test_what_is_streamed_ends_in_a_card_and_a_failure_is_no_trouble(scene: Scene) -> None:
    await scene.bot.stream("card-1-1", "")
    await scene.bot.stream("card-1-1", "Yes, ")
    scene.telegram.refuse("sendMessageDraft", "Bad Request: TEXTDRAFT_PEER_INVALID")
    await scene.bot.stream("card-1-1", "Yes, at")
    await scene.bot.stream("card-1-1", "Yes, at six")
    (streamed,) = scene.telegram.streamed.values()
    assert streamed == ["", "Yes,", "Yes, at six"]


@pytest.mark.parametrize("verb", ["send", "discard", "mute"])
async def test_codes_do_what_buttons_did(scene: Scene, verb: str) -> None:
    await scene.bot.show(scene.card("yes", first=1234))
    scene.world.owner_writes(f"/{verb} {code_of(1234)}")
    action = await scene.only(DraftAction)
    assert (action.verb, action.draft, action.chat) == (DraftVerb(verb), 1234, scene.chat(JONAS))


async def test_an_edit_by_code_carries_the_owners_words(scene: Scene) -> None:
    await scene.bot.show(scene.card("yes", first=1234))
    scene.world.owner_writes(f"/edit {code_of(1234)} yes,\nbut late")
    action = await scene.only(DraftAction)
    assert (action.verb, action.text) == (DraftVerb.EDIT, "yes,\nbut late")


async def test_why_by_code_is_answered(scene: Scene) -> None:
    scene.world.owner_writes("/why 2")
    assert await scene.settle() == ()
    assert scene.desk.asked == ["why 2"]


@pytest.mark.parametrize(
    "typed", ["/send", "/send zz", "/send zzzzzzzzzzzzzzzzzzzz", "/send -1", "/send 1 2", "/edit", "/mute ☃"]
)
async def test_a_code_that_fits_no_open_draft_does_nothing(scene: Scene, typed: str) -> None:
    scene.world.owner_writes(typed)
    assert await scene.settle() == ()
    assert scene.world.bot_said() == ["No open draft has that code."]


async def test_a_chat_that_is_no_persons_has_no_send_button(scene: Scene) -> None:
    card = scene.card("hm")
    nowhere = ChatRef(platform="telegram", account="1001", chat="forwarded")
    draft = CardDraft(draft=1, text="hm", intent=Intent.INFORM, origin="model", confidence=0.1)
    await scene.bot.show(replace(card, chat=nowhere, drafts=(draft,)))
    assert scene.world.labels() == ["Copy", "Why", "Discard", "Mute"]
