"""Nothing that Discord said is lost: sessions are resumed from where core is, and gaps are read from history."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from pydantic import SecretStr

from core.bot import Capability, Outgoing, ReceiptStatus
from core.errors import AccessRevoked, PlatformError
from core.events import Gap, MessageEdited, MessageNew
from tests.bots.discord.scene import Scene, scene, until
from tests.bots.standins import MemoryState


async def test_what_was_said_while_the_bot_was_down_is_replayed_as_live(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "before")
        await core.wait_for(MessageNew)
    await discord.server.say(discord.jonas, discord.with_jonas, "meanwhile")
    async with discord.running() as core:
        await core.wait_for(MessageNew)
        await core.quiet()
        assert [(m.text, m.backfilled) for m in core.of(MessageNew)] == [("meanwhile", False)]
        assert core.of(Gap) == []


async def test_an_event_that_was_not_committed_comes_again_in_the_next_process(discord: Scene) -> None:
    async with discord.running() as core:
        core.takes = lambda event: isinstance(event, MessageNew) and event.text != "two"
        for text in ("one", "two", "three"):
            await discord.server.say(discord.jonas, discord.with_jonas, text)
        await core.wait_for(MessageNew, 2)
    async with discord.running() as core:
        await core.wait_for(MessageNew, 2)
        await core.quiet()
        assert [m.text for m in core.of(MessageNew)] == ["two", "three"]


class AwayState(MemoryState):
    """A database that is away for the next so many writes about somebody new."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def put(self, key: str, value: str) -> None:
        if key.startswith("direct:") and self.times:
            self.times -= 1
            raise psycopg.OperationalError("the server closed the connection")
        await super().put(key, value)


async def test_a_newcomers_message_outlasts_a_database_that_is_away(discord: Scene) -> None:
    """Discord would not bring it again: what is lost here is lost."""
    discord.state = AwayState(times=2)
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "are you there?")
        assert [m.text for m in await core.wait_for(MessageNew)] == ["are you there?"]
        assert discord.state.times == 0


async def test_a_resumed_process_knows_its_servers_and_threads(discord: Scene) -> None:
    """Discord tells them at the beginning of a session alone."""
    thread = discord.server.add_channel("knots", discord.guild, thread_of=discord.channel)
    async with discord.running() as core:
        await discord.server.say(discord.dana, discord.channel, "before")
        await core.wait_for(MessageNew)
    async with discord.running() as core:
        assert len(discord.server.sessions) == 1
        await discord.server.say(discord.dana, discord.channel, "after")
        await discord.server.say(discord.dana, thread, "in a thread")
        found = await core.wait_for(MessageNew, 2)
        assert {m.chat_title for m in found} == {"Climbing · general", "Climbing · knots"}
        for channel in (discord.channel, thread):
            assert Capability.SEND_AS_BOT in core.bot.capabilities(discord.ref(channel))
        receipt = await core.bot.send(discord.ref(discord.channel), Outgoing(key="1", text="hello"))
        assert receipt.status is ReceiptStatus.SENT


async def test_heartbeats_tell_discord_no_more_than_core_has(discord: Scene) -> None:
    discord.server.heartbeat_ms = 60
    async with discord.running() as core:
        core.takes = lambda event: isinstance(event, MessageNew) and event.text == "one"
        await discord.server.say(discord.jonas, discord.with_jonas, "one")
        await core.wait_for(MessageNew)
        (session,) = discord.server.sessions.values()
        have = len(session.log)
        await discord.server.say(discord.jonas, discord.with_jonas, "two")
        await asyncio.sleep(0.3)
        assert session.heard == have
        assert len(session.log) == have + 1


async def test_a_dropped_connection_is_resumed_and_nothing_comes_twice(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "one")
        await core.wait_for(MessageNew)
        await discord.server.drop_sockets()
        await discord.server.say(discord.jonas, discord.with_jonas, "two")
        await core.wait_for(MessageNew, 2)
        await discord.server.say(discord.jonas, discord.with_jonas, "three")
        await core.wait_for(MessageNew, 3)
        assert [m.text for m in core.of(MessageNew)] == ["one", "two", "three"]
        assert len(discord.server.sessions) == 1


async def test_discord_may_ask_for_a_new_connection_at_any_time(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.send_op(7)
        await discord.server.say(discord.jonas, discord.with_jonas, "still there?")
        assert [m.text for m in await core.wait_for(MessageNew)] == ["still there?"]
        assert len(discord.server.sessions) == 1


async def test_a_session_that_is_refused_is_made_up_for_from_history(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest=raw["id"], newest_at=live.at)
    missed = await discord.server.say(discord.jonas, discord.with_jonas, "two")
    discord.server.refuse_resume = True
    async with discord.running() as core:
        (found,) = await core.wait_for(MessageNew)
        await core.quiet()
        assert found.key == f"message:{discord.with_jonas}:{missed['id']}"
        assert (found.text, found.backfilled, found.members) == ("two", True, live.members)
        (gap,) = core.of(Gap)
        assert gap.chat.chat == ""
        assert gap.since is not None


async def test_an_invalidated_session_is_made_up_for_while_running(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
        discord.desk.know(live.chat, "Jonas", newest=raw["id"], newest_at=live.at)
        await discord.server.send_op(9, data=False)
        await discord.server.say(discord.jonas, discord.with_jonas, "two")
        found = await core.wait_for(MessageNew, 2)
        assert [(m.text, m.backfilled) for m in found] == [("one", False), ("two", True)]
        await discord.server.say(discord.jonas, discord.with_jonas, "three")
        assert (await core.wait_for(MessageNew, 3))[-1].backfilled is False


async def test_the_key_of_a_message_is_the_same_live_and_from_history(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.channel, "one")
        (live,) = await core.wait_for(MessageNew)
        (read,) = [message async for message in core.bot.history(live.chat, after=None, limit=5)]
        assert (read.key, read.text, read.chat_title) == (live.key, "one", "Climbing · general")
        assert live.chat_title == read.chat_title


async def test_a_long_gap_is_read_page_by_page_up_to_a_limit_and_then_told(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest=raw["id"], newest_at=live.at)
    discord.server.forget_sessions()
    for n in range(250):
        await discord.server.say(discord.jonas, discord.with_jonas, f"line {n}")
    async with discord.running(back_fill=220) as core:
        found = await core.wait_for(MessageNew, 220)
        await core.quiet()
        assert [m.text for m in found] == [f"line {n}" for n in range(220)]
        assert {gap.chat.chat for gap in core.of(Gap)} == {"", discord.with_jonas}


async def test_a_new_session_does_not_count_until_its_back_fill_is_committed(discord: Scene) -> None:
    """A process that dies in the middle of the back-fill leaves the next one to do it again."""
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest=raw["id"], newest_at=live.at)
    for text in ("two", "three"):
        await discord.server.say(discord.jonas, discord.with_jonas, text)
    discord.server.forget_sessions()
    async with discord.running() as core:
        core.takes = lambda event: not (isinstance(event, MessageNew) and event.text == "three")
        await core.wait_for(MessageNew)
        await core.quiet()
    async with discord.running() as core:
        found = await core.wait_for(MessageNew, 2)
        assert [m.text for m in found] == ["two", "three"]


async def test_an_edit_that_nobody_heard_is_found_in_history(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "at six")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest=raw["id"], newest_at=live.at)
    discord.server.forget_sessions()
    await discord.server.rewrite(raw, "at seven")
    async with discord.running() as core:
        (edit,) = await core.wait_for(MessageEdited)
        assert (edit.message_id, edit.text) == (raw["id"], "at seven")


async def test_history_that_is_refused_is_a_gap_and_holds_up_nothing(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    at = datetime.now(UTC) - timedelta(hours=1)
    discord.desk.know(live.chat, "Jonas", newest="1", newest_at=at)
    discord.server.forget_sessions()
    discord.server.fail("GET", f"channels/{live.chat.chat}/messages", times=2, status=403, code=50001)
    async with discord.running() as core:
        gaps = await core.wait_for(Gap, 2)
        assert (live.chat, at) in {(gap.chat, gap.since) for gap in gaps}


async def test_what_is_said_while_a_gap_is_filled_comes_after_what_was_missed(discord: Scene) -> None:
    """Else a crash in between would leave a hole behind a message that core already has."""
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest=raw["id"], newest_at=live.at)
    await discord.server.say(discord.jonas, discord.with_jonas, "two")
    discord.server.forget_sessions()
    discord.server.fail("GET", "messages", times=4, status=503)
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "three")
        found = await core.wait_for(MessageNew, 2)
        assert [m.text for m in found[:2]] == ["two", "three"]


async def test_a_chat_whose_history_cannot_be_read_for_long_is_given_up_and_told(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest=raw["id"], newest_at=live.at)
    discord.server.forget_sessions()
    discord.server.fail("GET", f"{discord.with_jonas}/messages", times=1000, status=503)
    async with discord.running(patience=0.001) as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "two")
        assert {gap.chat.chat for gap in await core.wait_for(Gap, 2)} == {"", discord.with_jonas}
        assert [m.text for m in await core.wait_for(MessageNew)] == ["two"]


async def test_a_bot_that_is_started_again_loses_nothing_it_was_in_the_middle_of(discord: Scene) -> None:
    """As the supervisor does it: the same bot, stopped while events were on their way."""
    async with discord.running() as core:
        core.takes = lambda _: False
        for n in range(20):
            await discord.server.say(discord.jonas, discord.with_jonas, f"line {n}")
        await core.bot.stop()
        await core.bot.start()
        core.takes = lambda _: True
        await core.listen_for(0.5)
        assert {m.text for m in core.of(MessageNew)} == {f"line {n}" for n in range(20)}


async def test_history_is_read_on_after_servers_failed(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest="1", newest_at=live.at)
    discord.server.forget_sessions()
    discord.server.fail("GET", "messages", status=429, retry_after=0.05)
    discord.server.fail("GET", "messages", status=503)
    async with discord.running() as core:
        assert [m.text for m in await core.wait_for(MessageNew)] == ["one"]


async def test_chats_that_are_not_listened_to_are_not_read(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "one")
        (live,) = await core.wait_for(MessageNew)
    discord.desk.know(live.chat, "Jonas", newest="1", newest_at=live.at, listened=False)
    discord.server.forget_sessions()
    async with discord.running() as core:
        await core.wait_for(Gap)
        await core.quiet()
        assert core.of(MessageNew) == []


async def test_a_gateway_that_is_gone_ends_the_events_with_what_happened(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.__aexit__()
        await until(lambda: core.failure)
        assert isinstance(core.failure, PlatformError)
        assert "gateway" in str(core.failure)


async def test_a_wrong_token_names_its_cure(discord: Scene) -> None:
    bot = discord.new_bot(token=SecretStr("another"))
    with pytest.raises(AccessRevoked, match="Reset Token"):
        await bot.start()


async def test_a_missing_intent_names_its_cure() -> None:
    async with scene(content_intent=False) as discord:
        with pytest.raises(AccessRevoked, match="Message Content Intent"):
            await discord.new_bot().start()
        async with discord.running(message_content=False) as core:
            await discord.server.say(discord.jonas, discord.with_jonas, "hello")
            assert (await core.wait_for(MessageNew))[0].text == "hello"


async def test_a_token_that_is_revoked_while_running_ends_the_events(discord: Scene) -> None:
    async with discord.running() as core:
        discord.server.token += "new"
        await discord.server.send_op(9, data=False)
        await until(lambda: core.failure)
        assert isinstance(core.failure, AccessRevoked)


async def test_the_bot_starts_again_after_a_failure(discord: Scene) -> None:
    bot = discord.new_bot()
    discord.server.fail("GET", "users/@me", status=503)
    with pytest.raises(PlatformError):
        await bot.start()
    await bot.start()
    await bot.stop()


async def test_two_accounts_of_one_process_have_each_their_own_discord() -> None:
    """discord.py knows one address for the whole process; this bot does not."""
    async with scene() as one, scene() as other:
        async with one.running() as first, other.running() as second:
            await one.server.say(one.jonas, one.with_jonas, "here")
            await other.server.say(other.jonas, other.with_jonas, "there")
            assert [m.text for m in await first.wait_for(MessageNew)] == ["here"]
            assert [m.text for m in await second.wait_for(MessageNew)] == ["there"]
            await first.bot.send(one.chat("jonas"), Outgoing(key="1", text="from here"))
            await second.bot.send(other.chat("jonas"), Outgoing(key="1", text="from there"))
        assert [text for _, text in one.standing_in("jonas")] == ["from here"]
        assert [text for _, text in other.standing_in("jonas")] == ["from there"]


async def test_a_poisoned_event_holds_up_nothing(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "one", timestamp="no time at all")
        await discord.server.say(discord.jonas, discord.with_jonas, "two")
        assert [m.text for m in await core.wait_for(MessageNew)] == ["two"]
    async with discord.running() as core:
        await core.quiet()
        assert core.of(MessageNew) == []
