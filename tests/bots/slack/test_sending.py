"""What is posted in the owner's name: once, as it was meant, and known again when it comes back."""

import asyncio
import time

import pytest

from bots.doubles.slack import OWNER, OWNER_TOKEN, Fault
from core.bot import Outgoing, ReceiptStatus
from core.events import Author, ChatRef, MessageNew, MessageRef
from tests.bots.slack.life import Life, until
from tests.contract.slack_platform import Slack

JONAS = "U0JONAS"
POST = "chat.postMessage"


def outgoing(text: str = "On my way", key: str = "send-1") -> Outgoing:
    return Outgoing(key=key, text=text)


async def test_a_reply_goes_to_the_thread_it_answers(life: Life) -> None:
    root = await life.double.writes(JONAS, "D0JONAS", "who is in?")
    chat = ChatRef(platform="slack", account=life.bot.account, chat="D0JONAS", thread=root)
    receipt = await life.bot.send(chat, outgoing())
    message = life.double.workspace.channels["D0JONAS"].messages[receipt.message_ids[0]]
    assert message["thread_ts"] == root


async def test_it_is_the_owners_and_nobody_is_called_and_no_preview_is_shown(life: Life) -> None:
    await life.bot.send(life.workspace.chat("jonas"), outgoing("<!channel> @here <@U0DANA> a & b"))
    method, user, given = next(asked for asked in life.double.api.asked if asked[0] == POST)
    assert (method, user) == (POST, OWNER)
    assert given["text"] == "&lt;!channel&gt; @\u2060here &lt;@U0DANA&gt; a &amp; b"
    assert (given["link_names"], given["unfurl_links"], given["unfurl_media"]) == (False, False, False)
    assert given["parse"] == "none"


@pytest.mark.parametrize("taken", [True, False])
async def test_the_echo_is_ours_even_before_the_receipt(life: Life, taken: bool) -> None:
    if taken:
        life.double.fail(POST, Fault(kind="slow", taken=True, seconds=0.1))
    await life.bot.send(life.workspace.chat("jonas"), outgoing())
    (echo,) = await life.sees(MessageNew)
    assert echo.author is Author.SELF_AS_OWNER


async def test_an_echo_without_any_mark_waits_for_the_receipt(life: Life) -> None:
    life.double.holding = []
    life.double.fail(POST, Fault(kind="late", taken=True, seconds=0.3))
    sending = asyncio.create_task(life.bot.send(life.workspace.chat("jonas"), outgoing()))
    await until(lambda: life.double.holding)
    (envelope,) = life.double.holding
    event = envelope["payload"]["event"]
    for mark in ("metadata", "app_id", "bot_id", "bot_profile"):
        event.pop(mark, None)
    await life.double.bring_envelope(envelope)
    assert not sending.done()
    await sending
    (echo,) = await life.sees(MessageNew)
    assert echo.author is Author.SELF_AS_OWNER


async def test_what_we_sent_in_an_earlier_life_is_known_from_history(workspace: Slack) -> None:
    async with Life(workspace) as first:
        receipt = await first.bot.send(workspace.chat("jonas"), outgoing())
    async with Life(workspace, bot=workspace.new_bot()) as second:
        chat = workspace.chat("jonas")
        found = await second.bot.fetch(MessageRef(chat=chat, id=receipt.message_ids[0]))
    assert found is not None
    assert found.author is Author.SELF_AS_OWNER


# ─── faults ──────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_that_drops_after_the_post_is_one_message_and_a_receipt(life: Life) -> None:
    life.double.fail(POST, Fault(kind="drop", taken=True))
    receipt = await life.bot.send(life.workspace.chat("jonas"), outgoing())
    assert receipt.status is ReceiptStatus.SENT
    assert [message_id for message_id, _ in life.workspace.standing_in("jonas")] == list(receipt.message_ids)
    assert life.double.api.count(POST) == 1


async def test_in_a_thread_the_lost_receipt_is_found_as_well(life: Life) -> None:
    root = await life.double.writes(JONAS, "D0JONAS", "who is in?")
    chat = ChatRef(platform="slack", account=life.bot.account, chat="D0JONAS", thread=root)
    life.double.fail(POST, Fault(kind="drop", taken=True))
    receipt = await life.bot.send(chat, outgoing())
    assert receipt.status is ReceiptStatus.SENT


@pytest.mark.parametrize("taken", [True, False])
async def test_where_nothing_can_be_found_out_the_fate_is_unknown_and_nothing_is_repeated(
    life: Life, taken: bool
) -> None:
    life.double.fail(POST, Fault(kind="drop", taken=taken))
    life.double.fail("conversations.history", Fault(kind="error", code="internal_error"))
    receipt = await life.bot.send(life.workspace.chat("jonas"), outgoing())
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert life.double.api.count(POST) == 1
    assert len(life.workspace.standing_in("jonas")) == taken


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="status", status=502),
        Fault(kind="status", status=503, taken=True),
        Fault(kind="error", code="internal_error"),
        Fault(kind="error", code="fatal_error", taken=True),
    ],
    ids=["502", "503 taken", "internal", "fatal taken"],
)
async def test_a_failing_server_is_asked_once(life: Life, fault: Fault) -> None:
    life.double.fail(POST, fault)
    receipt = await life.bot.send(life.workspace.chat("jonas"), outgoing())
    assert receipt.status is (ReceiptStatus.SENT if fault.taken else ReceiptStatus.UNKNOWN)
    assert life.double.api.count(POST) == 1


async def test_a_slow_answer_is_not_waited_for_and_nothing_is_repeated(workspace: Slack) -> None:
    async with Life(workspace, bot=workspace.new_bot(request_seconds=0.3)) as life:
        life.double.fail(POST, Fault(kind="slow", seconds=1.0))
        began = time.monotonic()
        receipt = await life.bot.send(workspace.chat("jonas"), outgoing())
        assert receipt.status is ReceiptStatus.UNKNOWN
        assert time.monotonic() - began < 1.0
        assert life.double.api.count(POST) == 1


async def test_a_short_rate_limit_is_waited_out(life: Life) -> None:
    life.double.fail(POST, Fault(kind="ratelimited", seconds=1))
    receipt = await life.bot.send(life.workspace.chat("jonas"), outgoing())
    assert receipt.status is ReceiptStatus.SENT
    assert len(life.workspace.standing_in("jonas")) == 1


async def test_a_long_rate_limit_is_refused_for_certainly_nothing_was_posted(life: Life) -> None:
    life.double.fail(POST, Fault(kind="ratelimited", seconds=600))
    receipt = await life.bot.send(life.workspace.chat("jonas"), outgoing())
    assert (receipt.status, receipt.reason) == (
        ReceiptStatus.REFUSED,
        "Slack asks to wait longer than a send may take",
    )


async def test_a_letter_that_breaks_off_is_neither_sent_nor_refused(life: Life) -> None:
    letter = " ".join(f"This is sentence number {number}." for number in range(400))
    life.double.fail(POST, Fault(kind="slow", seconds=0))
    life.double.fail(POST, Fault(kind="error", code="is_archived"))
    receipt = await life.bot.send(life.workspace.chat("jonas"), outgoing(letter))
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert receipt.reason.startswith("1 of ")
    assert len(life.workspace.standing_in("jonas")) == 1


async def test_what_slack_refuses_is_refused_in_words(life: Life) -> None:
    life.double.workspace.channels["D0JONAS"].archived = True
    receipt = await life.bot.send(life.workspace.chat("jonas"), outgoing())
    assert (receipt.status, receipt.reason) == (ReceiptStatus.REFUSED, "the channel is archived")
    gone = ChatRef(platform="slack", account=life.bot.account, chat="D0NOWHERE")
    assert (await life.bot.send(gone, outgoing())).status is ReceiptStatus.REFUSED
    life.double.workspace.scopes[OWNER_TOKEN] = {"users:read"}
    receipt = await life.bot.send(life.workspace.chat("dana"), outgoing())
    assert "lacks a right" in receipt.reason


async def test_nothing_to_say_is_refused(life: Life) -> None:
    assert (
        await life.bot.send(life.workspace.chat("jonas"), outgoing("  \n"))
    ).status is ReceiptStatus.REFUSED
    assert life.double.api.count(POST) == 0


async def test_without_a_connection_nothing_was_sent(workspace: Slack) -> None:
    receipt = await workspace.bot.send(workspace.chat("jonas"), outgoing())
    assert receipt.status is ReceiptStatus.REFUSED
    async with Life(workspace) as life:
        await workspace.double.close()
        receipt = await life.bot.send(workspace.chat("jonas"), outgoing())
        assert receipt.status is ReceiptStatus.REFUSED


async def test_a_bot_that_is_stopped_amid_a_send_finds_out_what_became_of_it(life: Life) -> None:
    life.double.fail(POST, Fault(kind="late", taken=True, seconds=0.5))
    sending = asyncio.create_task(life.bot.send(life.workspace.chat("jonas"), outgoing()))
    await until(lambda: life.workspace.standing_in("jonas"))
    await life.bot.stop()
    receipt = await asyncio.wait_for(sending, 5)
    assert receipt.status is ReceiptStatus.SENT
    assert [message_id for message_id, _ in life.workspace.standing_in("jonas")] == list(receipt.message_ids)
    assert life.double.api.count(POST) == 1


async def test_editing_and_deleting_what_is_not_ours_is_refused(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "mine")
    message = MessageRef(chat=life.workspace.chat("jonas"), id=stamp)
    assert (await life.bot.edit(message, "yours")).status is ReceiptStatus.REFUSED
    assert (await life.bot.delete([message])).status is ReceiptStatus.REFUSED
    assert life.double.workspace.channels["D0JONAS"].messages[stamp]["text"] == "mine"


async def test_deleting_what_is_gone_and_reacting_twice_are_done_already(life: Life) -> None:
    chat = life.workspace.chat("jonas")
    receipt = await life.bot.send(chat, outgoing())
    message = MessageRef(chat=chat, id=receipt.message_ids[0])
    reacted = [(await life.bot.react(message, "👍")).status for _ in range(2)]
    deleted = [(await life.bot.delete([message])).status for _ in range(2)]
    assert {*reacted, *deleted} == {ReceiptStatus.SENT}


async def test_an_emoji_that_slack_has_no_name_for_is_refused(life: Life) -> None:
    message = MessageRef(chat=life.workspace.chat("jonas"), id="1.0")
    assert (await life.bot.react(message, "🦤")).status is ReceiptStatus.REFUSED
