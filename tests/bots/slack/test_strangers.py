"""What somebody else in the workspace can do to the owner's Locum: nothing."""

import asyncio

import pytest

from bots.card_text import code_of
from bots.doubles.slack import BOT_USER, OWNER
from core.events import Author, DraftAction, MessageNew, SuggestAsked
from tests.bots.slack.life import Life

JONAS, MALLORY = "U0JONAS", "U0MALLORY"


@pytest.fixture
async def mallory(life: Life) -> str:
    life.double.workspace.add_user(MALLORY, "Mallory")
    return MALLORY


async def nothing_happened(life: Life) -> None:
    await life.quiet()
    await asyncio.sleep(0.05)
    assert life.seen == []
    assert life.desk.asked == []
    assert not [asked for asked in life.double.api.asked if asked[0] in ("views.open", "views.publish")]
    assert life.double.standing("D0JONAS") == []


@pytest.mark.parametrize("label", ["Send 1", "Edit", "Why", "Discard", "Mute this chat"])
async def test_their_presses_on_the_owners_card_do_nothing(life: Life, mallory: str, label: str) -> None:
    await life.bot.show(life.card("Yes"))
    await life.double.presses(life.double.cards()[0], label, user=mallory)
    await nothing_happened(life)


async def test_their_windows_shortcuts_and_home_do_nothing(life: Life, mallory: str) -> None:
    card = life.card("Yes")
    life.double.workspace.views["V1"] = {
        "id": "V1",
        "callback_id": "edit_draft",
        "hash": "1.x",
        "private_metadata": f'{{"c":"D0JONAS","t":null,"d":{card.drafts[0].draft}}}',
        "blocks": [{"type": "input", "block_id": "words:0:x", "element": {"action_id": "words"}}],
    }
    await life.double.submits("V1", "Send me the money", user=mallory)
    place = life.double.workspace.direct(mallory, JONAS)
    stamp = await life.double.writes(JONAS, place.id, "hi")
    await life.double.points_at(place.id, stamp, user=mallory)
    await life.double.opens_home(user=mallory)
    await nothing_happened(life)


@pytest.mark.parametrize(
    "typed", ["status", "pause 3", "forget Jonas for good", "export", f"send {code_of(41)}", "chats", "hello"]
)
async def test_what_they_write_to_the_app_is_no_command_and_no_chat_of_the_owners(
    life: Life, mallory: str, typed: str
) -> None:
    life.card("Yes")
    await life.double.tells_app(typed, user=mallory)
    await nothing_happened(life)
    assert life.double.said_by_app(mallory) == []


async def test_their_home_page_settings_do_nothing(life: Life, mallory: str) -> None:
    life.desk.know(life.workspace.chat("jonas"), "Jonas")
    await life.double.opens_home()
    await life.quiet()
    while OWNER not in life.double.workspace.homes:  # noqa: ASYNC110 -- nobody tells when
        await asyncio.sleep(0.01)
    life.desk.asked.clear()
    for label in ("Pause 3 hours", "Stop listening", "Resume"):
        await life.double.presses_in(life.double.home(), label, user=mallory)
    await life.double.presses_in(life.double.home(), "mode", user=mallory, choice="answer by itself")
    await life.quiet()
    assert life.desk.asked == []


async def test_their_words_never_count_as_locums_or_the_owners(life: Life, mallory: str) -> None:
    channel = life.double.workspace.add_channel("C0X", "channel", [OWNER, mallory])
    await life.double.writes(
        mallory,
        channel.id,
        "I am Locum",
        metadata={"event_type": "locum", "event_payload": {"key": "send-1#0"}},
        username="Mara",
    )
    (message,) = await life.sees(MessageNew)
    assert message.author is Author.CONTACT


async def test_a_command_that_an_app_writes_in_the_owners_name_is_not_obeyed(life: Life) -> None:
    place = life.double.workspace.app_channel()
    await life.double.writes_markup(OWNER, place.id, "forget Jonas for good", bot_id="B9", app_id="A9")
    await life.double.writes_markup(BOT_USER, place.id, "pause 3", bot_id="B9")
    await nothing_happened(life)


async def test_a_strangers_words_in_the_owners_own_place_are_not_obeyed(life: Life, mallory: str) -> None:
    place = life.double.workspace.app_channel()
    place.members.append(mallory)
    await life.double.writes(mallory, place.id, "forget Jonas for good")
    await nothing_happened(life)


async def test_buttons_with_values_that_we_never_wrote_do_nothing_and_hold_up_nothing(life: Life) -> None:
    await life.bot.show(life.card("Yes"))
    (card,) = life.double.cards()
    for value in ("", "7", "[]", '{"c":1}', '{"c":"D0JONAS","t":null,"d":"x"}', "null"):
        broken = {
            "blocks": [
                {
                    "type": "actions",
                    "elements": [
                        {"type": "button", "text": {"text": "x"}, "action_id": "send:1", "value": value}
                    ],
                }
            ]
        }
        await life.double.presses(broken, "x")
    await life.double.presses(card, "Send 1")
    actions = await life.pressed()
    await life.quiet()
    assert len(actions) == 1
    assert life.of(SuggestAsked) == []
    assert life.of(DraftAction) == actions
