"""Cards, windows, the home page and typed commands: the owner's side of the app."""

import json

import pytest

from bots.card_text import code_of
from bots.doubles.slack import OWNER, Fault
from bots.doubles.slack_workspace import Json, actions_on
from core.bot import Evidence
from core.errors import NotAllowed, PlatformError
from core.events import ChatRef, DraftAction, DraftVerb, MessageNew, SuggestAsked
from core.vocabulary import Mode
from tests.bots.slack.life import Life, until
from tests.bots.standins import MemoryDesk
from tests.contract.slack_platform import Slack

JONAS = "U0JONAS"


def labels(place: Json) -> list[str]:
    return [one["text"]["text"] for one in actions_on(place) if one["type"] == "button"]


def words_on(message: Json) -> str:
    return json.dumps(message.get("blocks"), ensure_ascii=False)


async def incoming(life: Life, text: str = "are you there?") -> tuple[Evidence, ...]:
    stamp = await life.double.writes(JONAS, "D0JONAS", text)
    (message, *_) = await life.sees(MessageNew)
    return (Evidence(message_id=stamp, chat_title="Jonas", sender="Jonas", sent_at=message.at, text=text),)


async def test_a_card_says_what_it_answers_and_stands_where_the_owner_alone_reads(life: Life) -> None:
    card = life.card("Yes", "No", incoming=await incoming(life, "*in* <!here>?"))
    await life.bot.show(card)
    (shown,) = life.double.cards()
    assert labels(shown) == ["Send 1", "Edit", "Why", "Send 2", "Edit", "Why", "Discard", "Mute this chat"]
    assert "Jonas: *in* <!here>?" in words_on(shown)
    assert "https://the-office.slack.com/archives/D0JONAS/p" in words_on(shown)
    assert all(not actions_on(one) for one in life.double.workspace.channels["D0JONAS"].messages.values())


async def test_other_peoples_words_are_plain_text_everywhere_on_a_card(life: Life) -> None:
    card = life.card("<!channel> *x*", incoming=await incoming(life, "<@U0DANA> <http://x.org|y>"))
    await life.bot.show(card)
    (shown,) = life.double.cards()
    marked = [
        text["text"]
        for block in shown["blocks"]
        for text in [block.get("text"), *block.get("elements", [])]
        if text and text.get("type") == "mrkdwn"
    ]
    assert len(marked) == 1
    assert marked[0].startswith("<https://the-office.slack.com/")
    assert shown["text"] == "A reply for Jonas"


@pytest.mark.parametrize(
    ("label", "verb"),
    [
        ("Send 1", DraftVerb.SEND),
        ("Send 2", DraftVerb.SEND),
        ("Discard", DraftVerb.DISCARD),
        ("Mute this chat", DraftVerb.MUTE),
    ],
)
async def test_a_press_names_the_draft_and_the_chat_that_the_card_answers(
    life: Life, label: str, verb: DraftVerb
) -> None:
    thread = ChatRef(platform="slack", account=life.bot.account, chat="D0JONAS", thread="1700000000.000100")
    await life.bot.show(life.card("Yes", "No", chat=thread))
    await life.double.presses(life.double.cards()[0], label)
    (action,) = await life.pressed()
    assert (action.verb, action.chat, action.text) == (verb, thread, None)
    assert action.draft == (42 if label == "Send 2" else 41)


async def test_two_presses_are_two_events_and_one_brought_twice_is_one(life: Life) -> None:
    await life.bot.show(life.card("Yes"))
    life.acknowledging = False
    for _ in range(2):
        await life.double.presses(life.double.cards()[0], "Send 1")
    await life.double.redeliver()
    await life.pressed(4)
    assert len({action.key for action in life.of(DraftAction)}) == 2


async def test_a_press_is_confirmed_in_time_though_core_is_slow(workspace: Slack) -> None:
    async with Life(workspace, bot=workspace.new_bot(press_seconds=0.2)) as life:
        life.acknowledging = False
        await life.bot.show(life.card("Yes"))
        await life.double.presses(life.double.cards()[0], "Send 1")
        await life.pressed()
        assert life.double.unconfirmed
        await until(lambda: not life.double.unconfirmed)


async def test_why_is_answered_at_once_and_is_no_event(life: Life) -> None:
    await life.bot.show(life.card("Yes"))
    await life.double.presses(life.double.cards()[0], "Why")
    await until(lambda: "decide: a question" in life.double.said_by_app())
    await life.quiet()
    assert life.of(DraftAction) == []


async def test_edit_opens_a_window_with_the_whole_draft_and_sends_the_owners_wording(life: Life) -> None:
    draft = "Yes. " * 900  # longer than one field may be
    await life.bot.show(life.card(draft))
    await life.double.presses(life.double.cards()[0], "Edit")
    await until(lambda: life.double.workspace.views)
    (view,) = life.double.workspace.views.values()
    fields = [block["element"]["initial_value"] for block in view["blocks"] if block["type"] == "input"]
    assert "".join(fields) == draft
    await life.double.submits(view["id"], "Yes, at seven")
    (action,) = await life.pressed()
    assert (action.verb, action.draft, action.text, action.chat) == (
        DraftVerb.EDIT,
        41,
        "Yes, at seven",
        life.workspace.chat("jonas"),
    )


async def test_edit_on_a_closed_card_says_so(life: Life) -> None:
    await life.bot.show(life.card("Yes"))
    life.desk.drafts.clear()
    await life.double.presses(life.double.cards()[0], "Edit")
    await until(lambda: "That card is closed." in life.double.said_by_app())
    assert not life.double.workspace.views


async def test_a_long_draft_is_shown_whole(life: Life) -> None:
    draft = "".join(f"This is sentence number {number}. " for number in range(300))
    await life.bot.show(life.card(draft))
    assert life.workspace.drafts_on("card-1") == [draft]


async def test_three_drafts_as_long_as_a_message_may_be_fit_on_a_card(life: Life) -> None:
    drafts = [str(number) * 33_000 for number in (1, 2, 3)]
    await life.bot.show(life.card(*drafts, note="a note", incoming=await incoming(life)))
    assert life.workspace.drafts_on("card-1") == drafts


async def test_a_card_shown_again_after_a_restart_replaces_itself(workspace: Slack) -> None:
    async with Life(workspace) as first:
        await first.bot.show(first.card("old"))
    async with Life(workspace, bot=workspace.new_bot()) as second:
        await second.bot.show(second.card("new"))
        assert workspace.drafts_on("card-1") == ["new"]
        assert len(second.double.cards()) == 1
        await second.bot.withdraw("card-1", "sent")
    assert workspace.double.cards() == []
    assert workspace.double.said_by_app() == ["Jonas: You sent it."]


async def test_a_card_that_the_owner_deleted_is_posted_anew(life: Life) -> None:
    await life.bot.show(life.card("old"))
    place = life.double.workspace.app_channel()
    place.messages.clear()
    await life.bot.show(life.card("new"))
    assert life.workspace.drafts_on("card-1") == ["new"]
    place.messages.clear()
    await life.bot.withdraw("card-1", "sent")


async def test_a_card_whose_receipt_was_lost_is_not_posted_twice(life: Life) -> None:
    life.double.fail("chat.postMessage", Fault(kind="drop", taken=True))
    await life.bot.show(life.card("Yes"))
    assert len(life.double.cards()) == 1
    await life.bot.withdraw("card-1", "discarded")
    assert life.double.cards() == []


async def test_a_card_that_slack_refuses_is_told_as_a_failure_so_that_core_tries_again(life: Life) -> None:
    life.double.fail("chat.postMessage", Fault(kind="ratelimited", seconds=30))
    with pytest.raises(PlatformError):
        await life.bot.show(life.card("Yes"))
    await life.bot.show(life.card("Yes"))
    assert len(life.double.cards()) == 1


# ─── the shortcut ────────────────────────────────────────────────────────────────────────────


async def test_the_shortcut_opens_a_window_at_once_and_the_drafts_come_into_it(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "are you there?")
    await life.double.points_at("D0JONAS", stamp)
    (asked,) = await life.sees(SuggestAsked)
    pointed = next(message for message in life.of(MessageNew) if message.pointed_at)
    assert (asked.message_id, pointed.message_id, pointed.text) == (stamp, stamp, "are you there?")
    assert life.seen.index(pointed) < life.seen.index(asked)
    view = life.double.workspace.views[asked.ticket]
    assert "Thinking" in words_on(view)
    await life.bot.show(life.card("Yes", "No", ticket=asked.ticket))
    view = life.double.workspace.views[asked.ticket]
    assert labels(view) == ["Use 1", "Use 2"]
    await life.double.presses_in(view, "Use 2")
    await until(lambda: '"initial_value": "No"' in words_on(life.double.workspace.views[asked.ticket]))
    await life.double.submits(asked.ticket, "No, sorry")
    (action,) = await life.pressed()
    assert (action.draft, action.verb, action.text) == (42, DraftVerb.EDIT, "No, sorry")


async def test_a_window_opens_in_time_though_messages_wait_to_be_looked_up(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "are you there?")
    await life.sees(MessageNew)
    life.double.fail("conversations.info", Fault(kind="slow", seconds=1.5))
    await life.double.writes("U0DANA", "D0DANA", "in a chat that is looked up first")
    await life.double.points_at("D0JONAS", stamp)
    await until(lambda: life.double.workspace.views, seconds=1.0)
    assert "in a chat that is looked up first" not in life.texts
    await life.quiet()


async def test_a_window_that_was_closed_meanwhile_leaves_the_card_in_the_apps_messages(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "are you there?")
    await life.double.points_at("D0JONAS", stamp)
    (asked,) = await life.sees(SuggestAsked)
    life.double.workspace.views.clear()
    await life.bot.show(life.card("Yes", ticket=asked.ticket))
    await life.bot.withdraw("card-1", "ignored")
    assert life.double.said_by_app()[-1] == "Jonas: Nobody answered this card in time."


async def test_the_key_of_what_was_pointed_at_is_its_own(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "in a chat that is not listened to")
    await life.double.points_at("D0JONAS", stamp)
    live, pointed = await life.sees(MessageNew, 2)
    assert live.key != pointed.key
    assert live.message_id == pointed.message_id


async def test_pointing_at_ones_own_message_says_so_and_asks_for_nothing(life: Life) -> None:
    stamp = await life.double.writes(OWNER, "D0JONAS", "I wrote this")
    await life.double.points_at("D0JONAS", stamp)
    await until(
        lambda: "somebody wrote to you" in "".join(map(words_on, life.double.workspace.views.values()))
    )
    assert life.of(SuggestAsked) == []


async def test_a_window_that_slack_does_not_open_asks_all_the_same(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "are you there?")
    life.double.fail("views.open", Fault(kind="error", code="expired_trigger_id"))
    await life.double.points_at("D0JONAS", stamp)
    (asked,) = await life.sees(SuggestAsked)
    assert asked.ticket == ""


# ─── the home page ───────────────────────────────────────────────────────────────────────────


async def test_the_home_page_shows_how_locum_fares_and_sets_the_rules(life: Life) -> None:
    jonas = life.workspace.chat("jonas")
    life.desk.know(jonas, "Jonas", external=True)
    await life.double.opens_home()
    await until(lambda: OWNER in life.double.workspace.homes)
    assert "All is well." in words_on(life.double.home())
    assert "another organisation" in words_on(life.double.home())
    await life.double.presses_in(life.double.home(), "Pause 3 hours")
    await life.double.presses_in(life.double.home(), "Stop listening")
    await until(lambda: "Listen" in labels(life.double.home()))
    await life.double.presses_in(life.double.home(), "mode", choice="answer by itself")
    await life.double.presses_in(life.double.home(), "Resume")
    await until(lambda: "pause None everywhere" in life.desk.asked)
    assert [one for one in life.desk.asked if one != "status"] == [
        "pause 3.0 everywhere",
        "listen D0JONAS False",
        "mode D0JONAS auto",
        "pause None everywhere",
    ]
    assert life.desk.known[jonas].mode is Mode.AUTO
    assert life.seen == []


class StrictDesk(MemoryDesk):
    """A desk that says no by raising."""

    async def set_mode(self, chat: ChatRef, mode: Mode) -> str:
        del chat, mode
        raise NotAllowed("Locum does not send unasked on slack yet.")


async def test_what_the_desk_says_to_a_press_stands_on_the_page(workspace: Slack) -> None:
    workspace.desk = StrictDesk()
    async with Life(workspace, bot=workspace.new_bot()) as life:
        life.desk.know(workspace.chat("jonas"), "Jonas")
        await life.double.opens_home()
        await until(lambda: OWNER in life.double.workspace.homes)
        await life.double.presses_in(life.double.home(), "Stop listening")
        await until(lambda: "Not listening." in words_on(life.double.home()))
        await life.double.presses_in(life.double.home(), "mode", choice="answer by itself")
        await until(lambda: "Locum does not send unasked on slack yet." in life.double.said_by_app())
        assert await answer_to(life, "mode Jonas auto") == "Locum does not send unasked on slack yet."


async def test_many_chats_fit_on_the_home_page(life: Life) -> None:
    for number in range(40):
        ref = ChatRef(platform="slack", account=life.bot.account, chat=f"C{number}")
        life.desk.know(ref, "x" * 300)
    await life.double.opens_home()
    await until(lambda: OWNER in life.double.workspace.homes)


# ─── typed commands ──────────────────────────────────────────────────────────────────────────


async def answer_to(life: Life, typed: str) -> str:
    before = len(life.double.said_by_app())
    await life.double.tells_app(typed)
    await until(lambda: len(life.double.said_by_app()) > before)
    return life.double.said_by_app()[-1]


@pytest.mark.parametrize(
    ("typed", "asked", "told"),
    [
        ("status", "status", "All is well."),
        ("Privacy", "privacy", "What is said here stays on this machine."),
        ("pause 3", "pause 3.0 everywhere", "Paused."),
        ("resume", "pause None everywhere", "Not paused any more."),
        ("why 15", "why 41", "decide: a question"),
        ("forget Jonas", "forget Jonas False", "Would go: 3 messages.\nTo do it, say: forget Jonas for good"),
        ("forget Jonas for good", "forget Jonas True", "Forgotten."),
        ("mode jonas auto", "mode D0JONAS auto", "Jonas: auto."),
        ("ignore Jonas", "listen D0JONAS False", "Not listening."),
        ("listen Jonas", "listen D0JONAS True", "Listening."),
    ],
)
async def test_a_typed_command_is_carried_out_once_and_answered(
    doubled: Life, typed: str, asked: str, told: str
) -> None:
    doubled.desk.know(doubled.workspace.chat("jonas"), "Jonas")
    assert await answer_to(doubled, typed) == told
    await doubled.quiet()
    assert doubled.desk.asked == [asked]
    assert doubled.seen == []


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("pause", "For how many hours? Say for example: pause 3."),
        ("pause for ever", "For how many hours? Say for example: pause 3."),
        ("pause -1", "For how many hours? Say for example: pause 3."),
        ("pause nan", "For how many hours? Say for example: pause 3."),
        ("why ??", "Which draft? A card shows the code under each draft."),
        ("forget", "Whom or what? Say: forget NAME."),
        ("export nobody", "Nobody is called that."),
        ("mode Nobody auto", "No chat is called that."),
        ("mode Jonas loud", "Say for example: mode Anna suggest, or mode Anna off."),
        ("send zz", "No open card has that code. A card shows the code under each draft."),
        ("chats", "No chats yet."),
    ],
)
async def test_a_command_that_lacks_something_says_what(life: Life, typed: str, told: str) -> None:
    assert await answer_to(life, typed) == told
    assert not [asked for asked in life.desk.asked if not asked.startswith(("why", "status"))]


async def test_words_that_are_no_command_are_answered_with_those_that_are(life: Life) -> None:
    assert "pause 3" in await answer_to(life, "help")
    assert "<hello>" in await answer_to(life, "<hello> & more")


async def test_chats_are_told_with_their_rules(life: Life) -> None:
    life.desk.know(life.workspace.chat("jonas"), "Jonas", external=True, listened=False)
    assert await answer_to(life, "chats jon") == (
        "Jonas: suggest, not listened to, shared with another organisation"
    )


@pytest.mark.parametrize(
    ("typed", "verb", "text"),
    [
        ("send {}", DraftVerb.SEND, None),
        ("edit {} See you at *seven*", DraftVerb.EDIT, "See you at *seven*"),
        ("discard {}", DraftVerb.DISCARD, None),
        ("mute {}", DraftVerb.MUTE, None),
    ],
)
async def test_what_buttons_do_can_be_typed(
    life: Life, typed: str, verb: DraftVerb, text: str | None
) -> None:
    card = life.card("Yes")
    stamp = await life.double.tells_app(typed.format(code_of(card.drafts[0].draft)))
    (action,) = await life.pressed()
    assert (action.verb, action.draft, action.text) == (verb, 41, text)
    assert (action.key, action.chat) == (f"typed:{stamp}", life.workspace.chat("jonas"))


async def test_an_export_comes_as_a_file(life: Life) -> None:
    assert await answer_to(life, "export Jonas") in ("", "Here it is.")
    await until(lambda: life.double.said_by_app()[-1] == "Here it is.")
    assert list(life.double.workspace.files.values()) == [b'{"messages": []}']


async def test_a_file_that_slack_does_not_take_is_told(life: Life) -> None:
    life.double.fail("files.completeUploadExternal", Fault(kind="error", code="posting_to_channel_denied"))
    assert await answer_to(life, "export") == "Slack did not take the file."
