"""A send is one message, or none: whatever breaks on the way."""

import time

import pytest

from core.bot import Capability, Outgoing, ReceiptStatus
from core.events import Author, MessageNew, MessageRef
from tests.bots.discord.scene import Scene

HELLO = Outgoing(key="reply:1", text="On my way")


def words(discord: Scene, channel: str) -> list[str]:
    return [m["content"] for m in discord.server.standing_in(channel, by=discord.server.bot)]


@pytest.mark.parametrize("status", [0, 500, 502, 503, 504])
async def test_a_post_that_breaks_after_it_was_taken_is_one_post(discord: Scene, status: int) -> None:
    async with discord.running() as core:
        discord.server.fail("POST", "messages", status=status, after=True)
        receipt = await core.bot.send(discord.chat("jonas"), HELLO)
        assert receipt.status is ReceiptStatus.SENT
        assert words(discord, discord.with_jonas) == ["On my way"]
        assert discord.server.posts == 1
        assert receipt.message_ids == (discord.server.standing_in(discord.with_jonas)[0]["id"],)


async def test_a_post_that_keeps_breaking_is_of_unknown_fate_and_stands_at_most_once(discord: Scene) -> None:
    async with discord.running() as core:
        discord.server.fail("POST", "messages", times=10, after=True)
        receipt = await core.bot.send(discord.chat("jonas"), HELLO)
        assert receipt.status is ReceiptStatus.UNKNOWN
        assert discord.server.posts == 1


async def test_what_broke_and_was_refused_afterwards_stays_unknown(discord: Scene) -> None:
    async with discord.running() as core:
        discord.server.fail("POST", "messages", after=True)
        discord.server.fail("POST", "messages", status=403, code=50007)
        receipt = await core.bot.send(discord.chat("jonas"), HELLO)
        assert receipt.status is ReceiptStatus.UNKNOWN
        assert discord.server.posts == 1


async def test_a_short_rate_limit_is_waited_out(discord: Scene) -> None:
    async with discord.running() as core:
        discord.server.fail("POST", "messages", status=429, retry_after=0.2)
        begun = time.monotonic()
        receipt = await core.bot.send(discord.chat("jonas"), HELLO)
        assert receipt.status is ReceiptStatus.SENT
        assert time.monotonic() - begun >= 0.2
        assert discord.server.posts == 1


async def test_a_long_rate_limit_is_a_refusal_at_once(discord: Scene) -> None:
    async with discord.running() as core:
        discord.server.fail("POST", "messages", status=429, retry_after=600.0)
        begun = time.monotonic()
        receipt = await core.bot.send(discord.chat("jonas"), HELLO)
        assert (receipt.status, discord.server.posts) == (ReceiptStatus.REFUSED, 0)
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("status", "code", "reason"), [(403, 50007, "take no direct messages"), (403, 50013, "may not write")]
)
async def test_a_refusal_says_why(discord: Scene, status: int, code: int, reason: str) -> None:
    async with discord.running() as core:
        discord.server.fail("POST", "messages", status=status, code=code)
        receipt = await core.bot.send(discord.chat("jonas"), HELLO)
        assert (receipt.status, discord.server.posts) == (ReceiptStatus.REFUSED, 0)
        assert reason in receipt.reason


async def test_a_long_text_that_breaks_half_way_is_unknown_never_refused(discord: Scene) -> None:
    long = " ".join(f"Sentence number {n}." for n in range(200))
    async with discord.running() as core:
        discord.server.fail("POST", "messages", status=403, code=50013, skip=1)
        receipt = await core.bot.send(discord.chat("jonas"), Outgoing(key="reply:1", text=long))
        assert receipt.status is ReceiptStatus.UNKNOWN
        assert "1 of 3 parts" in receipt.reason
        assert discord.server.posts == 1


async def test_nothing_in_a_send_calls_or_unfolds(discord: Scene) -> None:
    async with discord.running() as core:
        text = f"@everyone <@{discord.dana}> <@&55> https://example.org"
        receipt = await core.bot.send(discord.chat("jonas"), Outgoing(key="reply:1", text=text))
        assert receipt.status is ReceiptStatus.SENT
        (sent,) = discord.server.bodies
        assert sent["allowed_mentions"] == {"parse": [], "replied_user": False}
        assert sent["flags"] == 4


async def test_a_reply_names_what_it_answers_and_survives_its_deletion(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, discord.with_jonas, "coming?")
        await core.bot.send(discord.chat("jonas"), Outgoing(key="1", text="yes", reply_to=raw["id"]))
        await discord.server.erase(raw)
        receipt = await core.bot.send(
            discord.chat("jonas"), Outgoing(key="2", text="still yes", reply_to=raw["id"])
        )
        assert receipt.status is ReceiptStatus.SENT
        first, second = discord.server.standing_in(discord.with_jonas, by=discord.server.bot)
        assert first["message_reference"]["message_id"] == raw["id"]
        assert "message_reference" not in second


async def test_where_the_bot_is_not_nothing_is_sent_and_the_reason_says_what_to_do(discord: Scene) -> None:
    private = discord.server.dm_between(discord.server.owner, discord.jonas)
    async with discord.running() as core:
        receipt = await core.bot.send(discord.ref(private), HELLO)
        assert receipt.status is ReceiptStatus.REFUSED
        assert "copy the draft" in receipt.reason
        assert core.bot.capabilities(discord.ref(private)) is Capability.NONE


async def test_nothing_is_ever_posted_as_the_owner(discord: Scene) -> None:
    async with discord.running() as core:
        for chat in (discord.with_jonas, discord.channel, "", "5"):
            assert Capability.SEND_AS_OWNER not in core.bot.capabilities(discord.ref(chat))
            assert Capability.IDEMPOTENT_SEND not in core.bot.capabilities(discord.ref(chat))
        await core.bot.send(discord.ref(discord.channel), HELLO)
        assert {m["author"]["id"] for m in discord.server.standing_in(discord.channel)} == {
            discord.server.bot
        }


async def test_the_echo_of_a_send_is_ours(discord: Scene) -> None:
    async with discord.running() as core:
        receipt = await core.bot.send(discord.ref(discord.channel), HELLO)
        (echo,) = await core.wait_for(MessageNew)
        assert (echo.author, echo.message_id) == (Author.SELF_AS_BOT, receipt.message_ids[0])


async def test_edits_and_deletions_tell_refusals_and_unknown_fates(discord: Scene) -> None:
    async with discord.running() as core:
        receipt = await core.bot.send(discord.chat("jonas"), HELLO)
        message = MessageRef(chat=discord.chat("jonas"), id=receipt.message_ids[0])
        discord.server.fail("PATCH", "messages", after=True)
        assert (await core.bot.edit(message, "soon")).status is ReceiptStatus.UNKNOWN
        gone = MessageRef(chat=message.chat, id="1")
        assert (await core.bot.edit(gone, "soon")).reason == "the message is gone"
        assert (await core.bot.edit(message, "x" * 2001)).status is ReceiptStatus.REFUSED
        assert (await core.bot.delete([gone, message])).status is ReceiptStatus.REFUSED
        assert (await core.bot.react(gone, "👍")).status is ReceiptStatus.REFUSED
        assert await core.bot.fetch(gone) is None
