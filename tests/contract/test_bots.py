"""What every bot promises core, held against each of them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.bot import (
    Bot,
    Capability,
    Card,
    CardDraft,
    DeletesMessages,
    EditsMessages,
    FetchesMessages,
    Outgoing,
    Reacts,
    ReadsHistory,
    ReceiptStatus,
    ShowsTyping,
    StreamsDrafts,
)
from core.events import EVENTS, Event
from core.vocabulary import Intent
from tests.contract.platforms import PLATFORMS, Platform

LONG = 5.0
"""Seconds in which an event must have come."""
SHORT = 0.05
"""Seconds in which nothing more may come."""


@pytest.fixture(params=PLATFORMS, ids=lambda build: build.__name__)
async def platform(request: pytest.FixtureRequest) -> AsyncGenerator[Platform]:
    build: Callable[[], Platform] = request.param
    platform = build()
    await platform.bot.start()
    yield platform
    await platform.bot.stop()


async def deliveries(bot: Bot, *, acknowledge: bool) -> list[Event]:
    """Everything the bot hands over until it falls quiet."""
    seen: list[Event] = []

    async def listen() -> None:
        async for event in bot.events():
            seen.append(event)
            if acknowledge:
                await bot.acknowledge(event)

    listening = asyncio.create_task(listen())
    known = -1
    while known != len(seen):
        known = len(seen)
        await asyncio.sleep(SHORT)
    listening.cancel()
    await asyncio.wait([listening])
    return seen


def card(platform: Platform, *texts: str, key: str = "turn:1") -> Card:
    drafts = tuple(
        CardDraft(draft=number, text=text, intent=Intent.INFORM, origin="past_reply", confidence=0.5)
        for number, text in enumerate(texts, start=1)
    )
    return Card(key=key, chat=platform.chat("jonas"), chat_title="Jonas", incoming=(), drafts=drafts)


def test_it_has_the_required_face_and_names_its_account(platform: Platform) -> None:
    assert isinstance(platform.bot, Bot)
    chat = platform.chat("jonas")
    assert (chat.platform, chat.account) == (platform.bot.platform, platform.bot.account)


async def test_events_of_a_chat_come_in_the_order_they_happened(platform: Platform) -> None:
    written = [platform.somebody_writes(("jonas", "dana")[n % 2], f"line {n}") for n in range(10)]
    seen = await deliveries(platform.bot, acknowledge=True)
    for chat in ("jonas", "dana"):
        keys = list(dict.fromkeys(event.key for event in seen if event.chat.chat == chat))
        assert keys == [event.key for event in written if event.chat.chat == chat]


async def test_an_event_that_happens_while_core_listens_is_handed_over(platform: Platform) -> None:
    events = aiter(platform.bot.events())
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    written = platform.somebody_writes("jonas", "are you there?")
    assert await asyncio.wait_for(first, LONG) == written


async def test_an_event_nobody_acknowledged_comes_again_after_a_restart(platform: Platform) -> None:
    written = platform.somebody_writes("jonas", "don't lose me")
    assert written in await deliveries(platform.bot, acknowledge=False)
    await platform.bot.stop()
    await platform.bot.start()
    assert written in await deliveries(platform.bot, acknowledge=True)


async def test_an_acknowledged_event_does_not_come_again(platform: Platform) -> None:
    platform.somebody_writes("jonas", "once")
    await deliveries(platform.bot, acknowledge=True)
    await platform.bot.stop()
    await platform.bot.start()
    assert await deliveries(platform.bot, acknowledge=True) == []


async def test_acknowledging_one_event_leaves_the_others_waiting(platform: Platform) -> None:
    first = platform.somebody_writes("jonas", "first")
    second = platform.somebody_writes("jonas", "second")
    for event in await deliveries(platform.bot, acknowledge=False):
        if event == first:
            await platform.bot.acknowledge(event)
    await platform.bot.stop()
    await platform.bot.start()
    assert set(await deliveries(platform.bot, acknowledge=True)) == {second}


async def test_acknowledging_what_was_never_handed_over_is_ignored(platform: Platform) -> None:
    written = platform.somebody_writes("jonas", "hello")
    await platform.bot.acknowledge(replace(written, key="of another platform"))
    assert written in await deliveries(platform.bot, acknowledge=True)


async def test_events_end_when_the_bot_stops(platform: Platform) -> None:
    async def listen() -> None:
        async for event in platform.bot.events():
            await platform.bot.acknowledge(event)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await platform.bot.stop()
    await asyncio.wait_for(listening, LONG)


async def test_its_events_survive_being_stored(platform: Platform) -> None:
    written = platform.somebody_writes("jonas", 'Zoë says: \U0001f60a \N{RIGHT-TO-LEFT MARK} "quoted"\n')
    assert EVENTS.validate_json(EVENTS.dump_json(written)) == written


async def test_different_events_have_different_keys(platform: Platform) -> None:
    keys = {platform.somebody_writes("jonas", "ok").key for _ in range(50)}
    assert len(keys) == 50


async def test_a_send_tells_the_ids_of_the_messages_it_became(platform: Platform) -> None:
    receipt = await platform.bot.send(platform.chat("jonas"), Outgoing(key="reply:1", text="On my way"))
    assert receipt.status is ReceiptStatus.SENT
    assert receipt.at is not None
    assert receipt.at.tzinfo is not None
    standing = platform.standing_in("jonas")
    assert [message_id for message_id, _ in standing] == list(receipt.message_ids)
    assert "".join(text for _, text in standing) == "On my way"


async def test_the_same_key_sent_twice_is_one_message_where_the_platform_drops_repeats(
    platform: Platform,
) -> None:
    chat = platform.chat("jonas")
    if Capability.IDEMPOTENT_SEND not in platform.bot.capabilities(chat):
        again = [await platform.bot.send(chat, Outgoing(key="reply:1", text="Hi")) for _ in range(2)]
        assert ReceiptStatus.DUPLICATE not in {receipt.status for receipt in again}
        return
    first = await platform.bot.send(chat, Outgoing(key="reply:1", text="On my way"))
    second = await platform.bot.send(chat, Outgoing(key="reply:1", text="On my way"))
    assert second.status is ReceiptStatus.DUPLICATE
    assert second.message_ids == first.message_ids
    assert len(platform.standing_in("jonas")) == 1


async def test_different_keys_are_different_messages_even_with_the_same_words(platform: Platform) -> None:
    chat = platform.chat("jonas")
    receipts = [await platform.bot.send(chat, Outgoing(key=f"reply:{n}", text="Ok")) for n in range(3)]
    assert len({receipt.message_ids for receipt in receipts}) == 3
    assert len(platform.standing_in("jonas")) == 3


async def test_a_message_goes_to_its_own_chat_alone(platform: Platform) -> None:
    await platform.bot.send(platform.chat("jonas"), Outgoing(key="reply:1", text="For Jonas"))
    assert platform.standing_in("dana") == []


async def test_a_card_shown_again_replaces_itself(platform: Platform) -> None:
    await platform.bot.show(card(platform, "old words"))
    await platform.bot.show(card(platform, "new words", "other words"))
    assert list(platform.open_cards()) == ["turn:1"]
    assert platform.drafts_on("turn:1") == ["new words", "other words"]


async def test_a_withdrawn_card_is_gone_and_the_others_stay(platform: Platform) -> None:
    await platform.bot.show(card(platform, "a"))
    await platform.bot.show(card(platform, "b", key="turn:2"))
    await platform.bot.withdraw("turn:1", "sent")
    assert list(platform.open_cards()) == ["turn:2"]


async def test_withdrawing_a_card_that_was_never_shown_is_ignored(platform: Platform) -> None:
    await platform.bot.show(card(platform, "a"))
    await platform.bot.withdraw("turn:99", "expired")
    assert list(platform.open_cards()) == ["turn:1"]


@pytest.mark.parametrize(
    ("capability", "face"),
    [
        (Capability.EDIT, EditsMessages),
        (Capability.DELETE, DeletesMessages),
        (Capability.TYPING, ShowsTyping),
        (Capability.HISTORY, ReadsHistory),
        (Capability.FETCH, FetchesMessages),
        (Capability.REACT, Reacts),
        (Capability.STREAM, StreamsDrafts),
    ],
)
async def test_a_capability_is_declared_exactly_where_its_method_exists(
    platform: Platform, capability: Capability, face: type
) -> None:
    declared = capability in platform.bot.capabilities(platform.chat("jonas"))
    assert declared == isinstance(platform.bot, face)


async def test_times_of_events_are_aware(platform: Platform) -> None:
    written = platform.somebody_writes("jonas", "now")
    assert abs((datetime.now(UTC) - written.at).total_seconds()) < 60
