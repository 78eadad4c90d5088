"""Connections that end, tokens that are taken away, and what was said meanwhile."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bots.doubles.slack import OWNER, OWNER_TOKEN, Fault
from core.errors import AccessRevoked, PlatformError
from core.events import AccessChanged, Gap, MessageEdited, MessageNew
from tests.bots.slack.life import Life, until
from tests.bots.standins import MemoryState
from tests.contract.slack_platform import Slack

JONAS, DANA = "U0JONAS", "U0DANA"


def keep(workspace: Slack, chat: str, stamp: str) -> None:
    """Core has the chat up to that message."""
    workspace.desk.know(
        workspace.chat(chat), chat, newest=stamp, newest_at=datetime.fromtimestamp(float(stamp), UTC)
    )


def aged(workspace: Slack, seconds: float = 3600) -> None:
    """Everything that stands there was written so much earlier."""
    for channel in workspace.double.workspace.channels.values():
        channel.created -= int(seconds) + 86400
        shift = {stamp: f"{float(stamp) - seconds:.6f}" for stamp in channel.messages}
        for message in channel.messages.values():
            message["ts"] = shift[message["ts"]]
            for field in ("thread_ts", "latest_reply"):
                if field in message:
                    message[field] = shift[message[field]]
        channel.messages = {message["ts"]: message for message in channel.messages.values()}


async def the_only_stamp(workspace: Slack, chat: str = "D0JONAS") -> str:
    return list(workspace.double.workspace.channels[chat].messages)[-1]


def once(life: Life, chat: str = "D0JONAS") -> list[MessageNew]:
    """The messages of a chat in the order in which they first came."""
    found = {message.key: message for message in reversed(life.of(MessageNew)) if message.chat.chat == chat}
    return sorted(found.values(), key=lambda message: [event.key for event in life.seen].index(message.key))


# ─── an event is not lost ────────────────────────────────────────────────────────────────────


async def test_slack_is_told_of_an_event_only_when_core_has_it(life: Life) -> None:
    life.acknowledging = False
    await life.double.writes(JONAS, "D0JONAS", "don't lose me")
    (message,) = await life.sees(MessageNew)
    await asyncio.sleep(0.1)
    assert len(life.double.unconfirmed) == 1
    await life.bot.acknowledge(message)
    await until(lambda: not life.double.unconfirmed)


async def test_an_event_brought_again_before_core_had_it_is_the_same_event(life: Life) -> None:
    life.acknowledging = False
    await life.double.writes(JONAS, "D0JONAS", "once")
    await life.sees(MessageNew)
    await life.double.redeliver()
    first, second = await life.sees(MessageNew, 2)
    assert first == second
    await life.bot.acknowledge(first)
    await life.bot.acknowledge(second)
    await life.quiet()


async def test_what_becomes_no_event_is_confirmed_at_once(life: Life) -> None:
    life.acknowledging = False
    await life.double.opens_home(tab="messages")
    await life.double.tells_app("status")
    await until(lambda: not life.double.unconfirmed)


async def test_a_process_that_dies_with_an_event_in_hand_gets_it_again(workspace: Slack) -> None:
    async with Life(workspace) as first:
        first.acknowledging = False
        await first.double.writes(JONAS, "D0JONAS", "still there?")
        (before,) = await first.sees(MessageNew)
    async with Life(workspace, bot=workspace.new_bot()) as second:
        (after,) = await second.sees(MessageNew)
        assert after.key == before.key
        await second.quiet()


# ─── connections ─────────────────────────────────────────────────────────────────────────────


async def test_a_connection_is_replaced_before_it_ends(life: Life) -> None:
    await life.double.ask_to_reconnect("warning", "refresh_requested")
    await until(lambda: life.double.connections == 2 and life.double.open_connections == 1)
    await life.double.writes(JONAS, "D0JONAS", "by the new one")
    await life.sees(MessageNew)
    await life.quiet()
    assert life.double.connections == 2


async def test_a_connection_outlives_the_patience_of_a_request(workspace: Slack) -> None:
    async with Life(workspace, bot=workspace.new_bot(request_seconds=0.3)) as life:
        await asyncio.sleep(0.9)
        await life.double.writes(JONAS, "D0JONAS", "still here?")
        await life.sees(MessageNew)
        await life.quiet()
        assert life.double.connections == 1


async def test_an_event_of_an_ended_connection_is_confirmed_by_the_new_one(life: Life) -> None:
    life.acknowledging = False
    await life.double.writes(JONAS, "D0JONAS", "hello")
    (message,) = await life.sees(MessageNew)
    await asyncio.sleep(1.0)
    await life.double.drop_connections()
    await until(lambda: life.double.connections == 2)
    await life.bot.acknowledge(message)
    await until(lambda: not life.double.unconfirmed)


async def test_a_connection_that_breaks_at_once_is_left_to_the_supervisor(life: Life) -> None:
    await life.double.drop_connections()
    await until(lambda: life.ended_with)
    assert "broke off at once" in str(life.ended_with)


async def test_a_server_that_is_away_ends_the_events_with_its_reason(life: Life) -> None:
    await asyncio.sleep(1.0)
    await life.double.close()
    await until(lambda: life.ended_with)
    assert not isinstance(life.ended_with, AccessRevoked)


async def test_socket_mode_switched_off_is_told_with_its_cure(life: Life) -> None:
    await life.double.ask_to_reconnect("link_disabled")
    await until(lambda: life.ended_with)
    assert isinstance(life.ended_with, AccessRevoked)
    assert "switch it on" in str(life.ended_with)


async def test_a_bot_that_failed_starts_again(workspace: Slack) -> None:
    async with Life(workspace) as first:
        await first.double.drop_connections()
        await until(lambda: first.ended_with)
    async with Life(workspace) as second:
        await second.double.writes(JONAS, "D0JONAS", "welcome back")
        await second.sees(MessageNew)


# ─── tokens ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["tokens_revoked", "app_uninstalled"])
async def test_a_revoked_token_is_told_to_core_and_then_the_bot_ends(life: Life, kind: str) -> None:
    await life.double.revokes(kind)
    (change,) = await life.sees(AccessChanged)
    assert (change.chat.chat, change.can_read, change.can_send) == ("", False, False)
    await until(lambda: life.ended_with)
    assert isinstance(life.ended_with, AccessRevoked)
    assert "install the app" in str(life.ended_with)
    assert life.desk.asked == ["heard revoked"]


async def test_somebody_elses_revoked_token_is_none_of_ours(life: Life) -> None:
    await life.double.bring_event({"type": "tokens_revoked", "tokens": {"oauth": ["U0ELSE"], "bot": []}})
    await life.quiet()
    assert life.seen == []


async def test_access_that_came_back_is_told(workspace: Slack) -> None:
    tokens = dict(workspace.double.workspace.tokens)
    async with Life(workspace) as first:
        await first.double.revokes()
        await until(lambda: first.ended_with)
    with pytest.raises(AccessRevoked):
        await workspace.bot.start()
    workspace.double.workspace.tokens |= tokens
    async with Life(workspace, bot=workspace.new_bot()) as second:
        (change,) = await second.sees(AccessChanged)
        assert (change.can_read, change.can_send) == (True, True)
    async with Life(workspace, bot=workspace.new_bot()) as third:
        await third.double.writes(JONAS, "D0JONAS", "hi")
        await third.sees(MessageNew)
        assert third.of(AccessChanged) == []


async def test_access_that_came_back_is_told_again_where_core_did_not_get_it(workspace: Slack) -> None:
    tokens = dict(workspace.double.workspace.tokens)
    async with Life(workspace) as first:
        await first.double.revokes()
        await until(lambda: first.ended_with)
    workspace.double.workspace.tokens |= tokens
    crashed = Life(workspace, bot=workspace.new_bot())
    crashed.acknowledging = False
    async with crashed:
        await crashed.sees(AccessChanged)
    async with Life(workspace, bot=workspace.new_bot()) as second:
        (change,) = await second.sees(AccessChanged)
        assert change.can_send


class SlowState(MemoryState):
    """Writes as slowly as a busy database."""

    async def put(self, key: str, value: str) -> None:
        await asyncio.sleep(0.2)
        await super().put(key, value)


async def test_that_access_was_lost_is_written_down_before_the_bot_ends(workspace: Slack) -> None:
    workspace.state = SlowState()
    async with Life(workspace, bot=workspace.new_bot()) as life:
        await life.double.revokes()
        await until(lambda: life.ended_with)
    assert "revoked" in workspace.state.kept


async def test_a_token_found_revoked_while_sending_ends_the_bot_too(life: Life) -> None:
    from core.bot import Outgoing, ReceiptStatus  # noqa: PLC0415

    life.double.workspace.tokens.clear()
    receipt = await life.bot.send(life.workspace.chat("jonas"), Outgoing(key="s", text="hi"))
    assert receipt.status is ReceiptStatus.REFUSED
    await life.sees(AccessChanged)
    await until(lambda: life.ended_with)


async def test_a_token_found_revoked_while_showing_a_card_ends_the_bot_too(life: Life) -> None:
    life.double.workspace.tokens.clear()
    with pytest.raises(AccessRevoked):
        await life.bot.show(life.card("Yes"))
    await life.sees(AccessChanged)
    await until(lambda: life.ended_with)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"owner_id": "U0DANA"}, "belongs to somebody else"),
        ({"owner_id": ""}, "LOCUM_SLACK_OWNER_ID"),
        ({"http_port": 0}, "LOCUM_SLACK_SIGNING_SECRET"),
    ],
)
async def test_a_bot_that_is_set_up_wrongly_says_what_is_wrong(
    workspace: Slack, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(AccessRevoked, match=told):
        await workspace.new_bot(**changed).start()


async def test_tokens_of_another_workspace_are_turned_away(workspace: Slack) -> None:
    with pytest.raises(AccessRevoked, match="another workspace"):
        await workspace.new_bot(account="T0OTHER").start()


async def test_a_start_that_fails_can_be_tried_again(workspace: Slack) -> None:
    workspace.double.fail("apps.connections.open", Fault(kind="error", code="internal_error"))
    with pytest.raises(PlatformError):
        await workspace.bot.start()
    async with Life(workspace) as life:
        await life.double.writes(JONAS, "D0JONAS", "hi")
        await life.sees(MessageNew)


async def test_leaving_a_channel_is_told_and_coming_back_too(life: Life) -> None:
    life.double.workspace.add_channel("C0X", "channel", [OWNER, JONAS])
    await life.double.leaves(OWNER, "C0X")
    await life.double.joins(OWNER, "C0X")
    left, joined = await life.sees(AccessChanged, 2)
    assert (left.chat.chat, left.can_read, joined.can_read) == ("C0X", False, True)


# ─── what was said meanwhile ─────────────────────────────────────────────────────────────────


async def test_what_was_said_during_an_outage_is_read_from_history_oldest_first(workspace: Slack) -> None:
    for number in range(450):
        await workspace.double.writes(JONAS, "D0JONAS", f"line {number}")
    aged(workspace)
    stamps = list(workspace.double.workspace.channels["D0JONAS"].messages)
    keep(workspace, "jonas", stamps[0])
    await workspace.double.writes(DANA, "D0DANA", "in a chat that core never heard of")
    workspace.double.give_up()
    async with Life(workspace) as life:
        await life.sees(MessageNew, 450)
        await life.double.writes(JONAS, "D0JONAS", "live")
        await life.sees(MessageNew, 451)
        await life.quiet()
    *missed, live = once(life)
    assert [message.key for message in missed] == [f"message:D0JONAS:{stamp}" for stamp in stamps]
    assert all(message.backfilled for message in missed)
    assert (live.text, live.backfilled) == ("live", False)
    assert once(life, "D0DANA") == []


async def test_live_events_of_a_chat_wait_for_its_gap_to_be_closed_and_can_be_answered(
    workspace: Slack,
) -> None:
    for user, chat in ((DANA, "D0DANA"), (JONAS, "D0JONAS")):
        await workspace.double.writes(user, chat, "kept")
        await workspace.double.writes(user, chat, "missed")
    aged(workspace)
    for chat, name in (("D0DANA", "dana"), ("D0JONAS", "jonas")):
        keep(workspace, name, next(iter(workspace.double.workspace.channels[chat].messages)))
    workspace.double.give_up()
    workspace.double.fail("conversations.history", Fault(kind="slow", seconds=0.2), times=4)
    async with Life(workspace) as life:
        await life.double.writes(JONAS, "D0JONAS", "live")
        await until(lambda: "live" in life.texts)
        await life.quiet()
    assert [message.text for message in once(life)] == ["kept", "missed", "live"]
    assert [message.backfilled for message in once(life)] == [True, True, False]


async def test_what_is_minutes_old_is_told_as_new_for_slack_would_bring_it_again_itself(
    workspace: Slack,
) -> None:
    await workspace.double.writes(JONAS, "D0JONAS", "kept")
    aged(workspace)
    keep(workspace, "jonas", await the_only_stamp(workspace))
    await workspace.double.writes(JONAS, "D0JONAS", "while Locum started")
    workspace.double.give_up()
    async with Life(workspace) as life:
        await life.sees(MessageNew, 2)
    assert [message.backfilled for message in once(life)] == [True, False]


async def test_replies_in_threads_are_found_although_history_does_not_show_them(workspace: Slack) -> None:
    double = workspace.double
    root = await double.writes(JONAS, "D0JONAS", "root")
    await double.writes(JONAS, "D0JONAS", "an answer in the thread", thread=root)
    aged(workspace)
    root, reply = workspace.double.workspace.channels["D0JONAS"].messages
    keep(workspace, "jonas", f"{float(root) + 3000:.6f}")
    double.workspace.channels["D0JONAS"].messages[root]["latest_reply"] = reply
    double.give_up()
    shift = double.workspace.channels["D0JONAS"].messages
    shift[reply]["ts"] = shift[root]["latest_reply"] = later = f"{float(root) + 3100:.6f}"
    async with Life(workspace) as life:
        (message,) = await life.sees(MessageNew)
    assert (message.message_id, message.chat.thread, message.backfilled) == (later, root, True)


async def test_direct_messages_that_somebody_opened_meanwhile_are_read_too(workspace: Slack) -> None:
    await workspace.double.writes(JONAS, "D0JONAS", "kept")
    aged(workspace)
    keep(workspace, "jonas", await the_only_stamp(workspace))
    workspace.double.workspace.add_user("U0EVE", "Eve")
    workspace.double.workspace.add_channel("D0EVE", "im", [OWNER, "U0EVE"])
    await workspace.double.writes("U0EVE", "D0EVE", "we never talked before")
    await workspace.double.writes(DANA, "D0DANA", "in an old chat that core never heard of")
    workspace.double.give_up()
    async with Life(workspace) as life:
        await until(lambda: "we never talked before" in life.texts)
        await life.double.tells_app("status")
        await life.quiet()
    assert [message.sender.name for message in once(life, "D0EVE")] == ["Eve"]
    assert once(life, "D0DANA") == []
    assert life.of(Gap) == []


async def test_an_edit_during_an_outage_is_the_same_event_as_live(workspace: Slack) -> None:
    await workspace.double.writes(JONAS, "D0JONAS", "at six")
    aged(workspace)
    stamp = await the_only_stamp(workspace)
    keep(workspace, "jonas", stamp)
    await workspace.double.rewrites("D0JONAS", stamp, "at seven")
    waiting = workspace.double.unconfirmed
    async with Life(workspace) as life:
        await life.sees(MessageEdited, 2)
        await life.quiet()
    assert len(waiting) == 2
    edits = life.of(MessageEdited)
    assert {edit.text for edit in edits} == {"at seven"}
    assert len({edit.key for edit in edits}) == 1


async def test_a_chat_that_is_not_listened_to_is_not_read(workspace: Slack) -> None:
    await workspace.double.writes(JONAS, "D0JONAS", "kept")
    aged(workspace)
    stamp = await the_only_stamp(workspace)
    keep(workspace, "jonas", stamp)
    chat = workspace.chat("jonas")
    workspace.desk.known[chat] = replace(workspace.desk.known[chat], listened=False)
    await workspace.double.writes(JONAS, "D0JONAS", "missed")
    workspace.double.give_up()
    async with Life(workspace) as life:
        await asyncio.sleep(0.1)
    assert life.seen == []
    assert workspace.double.api.count("conversations.history") == 0


async def test_what_cannot_be_read_is_told_as_a_gap(workspace: Slack) -> None:
    await workspace.double.writes(JONAS, "D0JONAS", "kept")
    aged(workspace)
    stamp = await the_only_stamp(workspace)
    keep(workspace, "jonas", stamp)
    workspace.double.give_up()
    workspace.double.workspace.scopes[OWNER_TOKEN] = {"chat:write", "im:read", "users:read"}
    async with Life(workspace) as life:
        (gap,) = await life.sees(Gap)
    assert gap.since == workspace.desk.known[workspace.chat("jonas")].newest_at
    assert gap.chat == workspace.chat("jonas")


async def test_more_than_can_be_read_is_a_gap_and_the_rest(workspace: Slack) -> None:
    double = workspace.double
    await double.writes(JONAS, "D0JONAS", "kept")
    aged(workspace)
    keep(workspace, "jonas", await the_only_stamp(workspace))
    double.online = False
    for number in range(2100):
        await double.writes(JONAS, "D0JONAS", f"missed {number}")
    double.online = True
    double.give_up()
    async with Life(workspace) as life:
        await life.sees(MessageNew, 2000)
        await life.sees(Gap)
    assert isinstance(life.seen[0], Gap)
    assert life.texts[-1] == "missed 2099"


async def test_a_rate_limit_while_reading_history_is_waited_out(workspace: Slack) -> None:
    await workspace.double.writes(JONAS, "D0JONAS", "kept")
    aged(workspace)
    keep(workspace, "jonas", await the_only_stamp(workspace))
    await workspace.double.writes(JONAS, "D0JONAS", "missed")
    workspace.double.give_up()
    workspace.double.fail("conversations.history", Fault(kind="ratelimited", seconds=1))
    async with Life(workspace) as life:
        await life.sees(MessageNew)
    assert life.of(Gap) == []


async def test_the_gap_of_a_reconnection_is_closed_too(life: Life) -> None:
    await asyncio.sleep(1.0)
    stamp = await life.double.writes(JONAS, "D0JONAS", "kept")
    await life.sees(MessageNew)
    await life.quiet()
    keep(life.workspace, "jonas", stamp)
    life.double.online = False
    missed = await life.double.writes(JONAS, "D0JONAS", "missed")
    life.double.online = True
    await life.double.drop_connections()
    await until(lambda: life.double.connections == 2)
    await until(lambda: f"message:D0JONAS:{missed}" in {event.key for event in life.seen})
