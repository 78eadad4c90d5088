"""What becomes of a send: posted once, refused with a reason, or of unknown fate; never twice."""

import asyncio
import time

import pytest

from bots.telegram import sending
from bots.words import utf16_length
from core.bot import Capability, Outgoing, Receipt, ReceiptStatus
from core.events import ChatRef, MessageRef
from tests.bots.telegram.scene import JONAS, Scene, opened

REFUSED, SENT, UNKNOWN = ReceiptStatus.REFUSED, ReceiptStatus.SENT, ReceiptStatus.UNKNOWN


async def send(scene: Scene, text: str = "On my way", **more: str) -> Receipt:
    return await scene.bot.send(scene.chat(JONAS), Outgoing(key="reply:1", text=text, **more))


def standing(scene: Scene) -> list[str]:
    """What of ours Jonas reads."""
    chat = scene.world.messages["business", JONAS["id"]].values()
    return [message["text"] for message in chat if "sender_business_bot" in message]


async def test_a_reply_goes_out_as_the_owner_without_buttons_formatting_or_previews(scene: Scene) -> None:
    receipt = await send(scene, "*see* <b>https://example.org</b> @dana /pause")
    assert receipt.status is SENT
    (form,) = scene.telegram.asked("sendMessage")
    assert form["business_connection_id"] == (scene.world.connection or {})["id"]
    assert form["link_preview_options"] == {"is_disabled": True}
    assert form["text"] == "*see* <b>https://example.org</b> @dana /pause"
    assert not {"reply_markup", "parse_mode", "entities"} & set(form)


async def test_a_reply_names_the_message_it_answers(scene: Scene) -> None:
    written = scene.world.contact_writes(JONAS, "six?")
    await send(scene, reply_to=str(written["message_id"]))
    (form,) = scene.telegram.asked("sendMessage")
    assert form["reply_parameters"]["message_id"] == written["message_id"]


async def test_an_id_of_our_own_making_is_not_answered_to(scene: Scene) -> None:
    assert (await send(scene, reply_to="forwarded-7")).status is SENT
    assert "reply_parameters" not in scene.telegram.asked("sendMessage")[0]


async def test_emoji_count_as_telegram_counts_them(scene: Scene) -> None:
    receipt = await send(scene, "😀" * 3000)
    assert len(receipt.message_ids) == 2
    assert all(utf16_length(text) <= 4096 for text in standing(scene))
    assert "".join(standing(scene)) == "😀" * 3000


async def test_once_the_window_is_closed_a_reply_is_refused_and_says_why(scene: Scene) -> None:
    scene.world.closes_window(JONAS)
    receipt = await send(scene)
    assert receipt.status is REFUSED
    assert "24 hours" in receipt.reason
    assert standing(scene) == []


async def test_without_the_right_to_reply_nothing_is_even_asked(scene: Scene) -> None:
    scene.world.connects(rights={})
    await scene.settle()
    receipt = await send(scene)
    assert receipt.status is REFUSED
    assert "Chat Automation" in receipt.reason
    assert "business_connection_id" not in str(scene.telegram.asked("sendMessage"))


async def test_without_a_connection_a_reply_is_refused() -> None:
    async with opened(connected=False) as scene:
        receipt = await send(scene)
        assert receipt.status is REFUSED
        assert "not connected" in receipt.reason


async def test_nothing_is_sent_where_telegram_hides_whose_chat_it_is(scene: Scene) -> None:
    nowhere = ChatRef(platform="telegram", account="1001", chat="forwarded")
    receipt = await scene.bot.send(nowhere, Outgoing(key="reply:1", text="hi"))
    assert receipt.status is REFUSED
    assert scene.telegram.asked("sendMessage") == []
    assert Capability.SEND_AS_OWNER not in scene.bot.capabilities(nowhere)


async def test_a_refusal_of_telegrams_comes_back_in_its_words(scene: Scene) -> None:
    scene.telegram.refuse("sendMessage", "Forbidden: user is deactivated", code=403)
    receipt = await send(scene)
    assert (receipt.status, receipt.reason) == (REFUSED, "Telegram refused: user is deactivated")


async def test_a_connection_that_ended_unheard_is_told_with_its_cure(scene: Scene) -> None:
    scene.world.connections.clear()
    receipt = await send(scene)
    assert receipt.status is REFUSED
    assert "Chat Automation" in receipt.reason


async def test_a_stopped_bot_sends_nothing(scene: Scene) -> None:
    await scene.stop()
    assert (await send(scene)).status is REFUSED


# ─── Faults ──────────────────────────────────────────────────────────────────────────────────


async def test_a_short_flood_wait_is_waited_out(scene: Scene) -> None:
    scene.telegram.flood("sendMessage", 1)
    before = time.monotonic()
    assert (await send(scene)).status is SENT
    assert time.monotonic() - before >= 1
    assert standing(scene) == ["On my way"]


async def test_a_long_flood_wait_is_a_refusal_and_the_next_send_does_not_even_ask(scene: Scene) -> None:
    scene.telegram.flood("sendMessage", 120)
    receipt = await send(scene)
    assert receipt.status is REFUSED
    assert "wait" in receipt.reason
    assert (await send(scene)).status is REFUSED
    assert standing(scene) == []
    assert scene.telegram.asked("sendMessage") == []


async def test_a_connection_dropped_after_telegram_had_the_message_leaves_it_unknown_and_posted_once(
    scene: Scene,
) -> None:
    scene.telegram.lost_answers["sendMessage"] = 1
    assert (await send(scene)).status is UNKNOWN
    await asyncio.sleep(0.2)
    assert standing(scene) == ["On my way"]


async def test_a_connection_dropped_before_telegram_had_it_is_unknown_too_for_nobody_can_tell(
    scene: Scene,
) -> None:
    scene.telegram.lost_requests["sendMessage"] = 1
    assert (await send(scene)).status is UNKNOWN
    await asyncio.sleep(0.2)
    assert standing(scene) == []


async def test_a_server_error_leaves_it_unknown(scene: Scene) -> None:
    scene.telegram.refuse("sendMessage", "Bad Gateway", code=502)
    assert (await send(scene)).status is UNKNOWN


async def test_an_answer_that_takes_too_long_leaves_it_unknown_and_posted_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.3)
    scene.telegram.delay["sendMessage"] = 0.6
    assert (await send(scene)).status is UNKNOWN
    await asyncio.sleep(0.6)
    assert standing(scene) == ["On my way"]


async def test_a_letter_of_which_a_part_failed_is_unknown_never_refused(scene: Scene) -> None:
    letter = " ".join(f"Sentence {number} of a long letter." for number in range(400))
    scene.telegram.take("sendMessage")
    scene.telegram.refuse("sendMessage", "Bad Request: BUSINESS_PEER_INVALID")
    receipt = await send(scene, letter)
    assert receipt.status is UNKNOWN
    assert receipt.reason.startswith("1 of ")
    assert len(standing(scene)) == 1


async def test_a_refused_connection_is_tried_again_for_nothing_was_sent(scene: Scene) -> None:
    await scene.telegram.be_away()
    sent = asyncio.create_task(send(scene))
    await asyncio.sleep(0.3)
    await scene.telegram.listen()
    assert (await sent).status is SENT
    assert standing(scene) == ["On my way"]


async def test_an_unreachable_telegram_is_a_refusal_in_the_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LAST_TRY_SECONDS", 0.5)
    await scene.telegram.be_away()
    receipt = await send(scene)
    await scene.telegram.listen()
    assert receipt.status is REFUSED
    assert "could not be reached" in receipt.reason
    assert standing(scene) == []


# ─── Edits, deletions ────────────────────────────────────────────────────────────────────────


async def test_editing_to_the_same_words_is_done_already(scene: Scene) -> None:
    sent = await send(scene)
    message = MessageRef(chat=scene.chat(JONAS), id=sent.message_ids[0])
    assert (await scene.bot.edit(message, "On my way")).status is SENT


async def test_a_message_of_the_contacts_cannot_be_edited(scene: Scene) -> None:
    written = scene.world.contact_writes(JONAS, "mine")
    message = MessageRef(chat=scene.chat(JONAS), id=str(written["message_id"]))
    assert (await scene.bot.edit(message, "ours")).status is REFUSED


async def test_what_has_no_id_of_telegrams_is_neither_edited_nor_deleted(scene: Scene) -> None:
    message = MessageRef(chat=scene.chat(JONAS), id="forwarded-7")
    assert (await scene.bot.edit(message, "ours")).status is REFUSED
    assert (await scene.bot.delete([message])).status is REFUSED


async def test_a_flood_met_while_editing_is_waited_out_by_all(scene: Scene) -> None:
    sent = await send(scene)
    scene.telegram.flood("editMessageText", 120)
    message = MessageRef(chat=scene.chat(JONAS), id=sent.message_ids[0])
    assert (await scene.bot.edit(message, "at seven")).status is REFUSED
    await scene.bot.show_typing(scene.chat(JONAS))
    assert scene.telegram.typing == []
    assert (await send(scene)).status is REFUSED


async def test_deleting_is_declared_only_where_the_owner_allowed_it(scene: Scene) -> None:
    assert Capability.DELETE in scene.bot.capabilities(scene.chat(JONAS))
    scene.world.connects(rights={"can_reply": True})
    await scene.settle()
    assert Capability.DELETE not in scene.bot.capabilities(scene.chat(JONAS))
    sent = await send(scene)
    message = MessageRef(chat=scene.chat(JONAS), id=sent.message_ids[0])
    assert (await scene.bot.delete([message])).status is REFUSED
