"""What every bot promises core, held against each of them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from core.bot import (
    Bot,
    Capability,
    Card,
    CardDraft,
    CardQuestion,
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
from core.events import EVENTS, DraftAction, DraftVerb, Event, MessageNew, MessageRef
from core.vocabulary import Intent
from tests.contract.platforms import PLATFORMS, Platform, ShowsEffects

LONG = 5.0
"""Seconds in which an event must have come."""
SHORT = 0.15
"""Seconds in which nothing more may come, where something came before."""


@pytest.fixture(params=PLATFORMS, ids=lambda build: build.__name__)
async def platform(request: pytest.FixtureRequest) -> AsyncGenerator[Platform]:
    build: Callable[[], AbstractAsyncContextManager[Platform]] = request.param
    async with build() as platform:
        await platform.bot.start()
        yield platform
        await platform.bot.stop()


async def deliveries(
    bot: Bot, *, acknowledge: bool | Callable[[Event], bool], wanted: int = 0
) -> list[Event]:
    """Everything the bot hands over until it falls quiet; so many keys are waited for, if need be for long."""
    seen: list[Event] = []

    def wants(event: Event) -> bool:
        return acknowledge(event) if callable(acknowledge) else acknowledge

    async def listen() -> None:
        async for event in bot.events():
            seen.append(event)
            if wants(event):
                await bot.acknowledge(event)

    listening = asyncio.create_task(listen())
    deadline = asyncio.get_running_loop().time() + LONG
    known = -1
    while known != len(seen) or (len(keys(seen)) < wanted and asyncio.get_running_loop().time() < deadline):
        known = len(seen)
        await asyncio.sleep(SHORT)
    listening.cancel()
    await asyncio.wait([listening])
    return seen


def keys(events: Iterable[Event]) -> list[str]:
    """The events' keys, each once, in the order they first came."""
    return list(dict.fromkeys(event.key for event in events))


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
    written = [await platform.somebody_writes(("jonas", "dana")[n % 2], f"line {n}") for n in range(10)]
    seen = await deliveries(platform.bot, acknowledge=True, wanted=10)
    for chat in (platform.chat("jonas"), platform.chat("dana")):
        assert keys(event for event in seen if event.chat == chat) == keys(
            event for event in written if event.chat == chat
        )


async def test_an_event_tells_who_wrote_what_where_and_when(platform: Platform) -> None:
    written = await platform.somebody_writes("jonas", "are you there?")
    (seen, *_) = await deliveries(platform.bot, acknowledge=True, wanted=1)
    assert isinstance(seen, MessageNew)
    assert (seen.key, seen.chat, seen.message_id) == (written.key, written.chat, written.message_id)
    assert (seen.author, seen.sender.id, seen.text) == (written.author, written.sender.id, written.text)
    assert (seen.chat_kind, seen.members) == (written.chat_kind, written.members)
    assert (seen.backfilled, seen.automatic) == (False, False)


async def test_an_event_that_happens_while_core_listens_is_handed_over(platform: Platform) -> None:
    events = aiter(platform.bot.events())
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    written = await platform.somebody_writes("jonas", "are you there?")
    assert (await asyncio.wait_for(first, LONG)).key == written.key


async def test_an_event_nobody_acknowledged_comes_again_after_a_restart(platform: Platform) -> None:
    written = await platform.somebody_writes("jonas", "don't lose me")
    assert written.key in keys(await deliveries(platform.bot, acknowledge=False, wanted=1))
    await platform.bot.stop()
    await platform.bot.start()
    assert written.key in keys(await deliveries(platform.bot, acknowledge=True, wanted=1))


async def test_an_acknowledged_event_does_not_come_again(platform: Platform) -> None:
    await platform.somebody_writes("jonas", "once")
    await deliveries(platform.bot, acknowledge=True, wanted=1)
    await platform.bot.stop()
    await platform.bot.start()
    later = await platform.somebody_writes("jonas", "later")
    assert keys(await deliveries(platform.bot, acknowledge=True, wanted=1)) == [later.key]


async def test_acknowledging_one_event_leaves_the_later_ones_waiting(platform: Platform) -> None:
    first = await platform.somebody_writes("jonas", "first")
    second = await platform.somebody_writes("jonas", "second")
    await deliveries(platform.bot, acknowledge=lambda event: event.key == first.key, wanted=2)
    await platform.bot.stop()
    await platform.bot.start()
    assert keys(await deliveries(platform.bot, acknowledge=True, wanted=1)) == [second.key]


async def test_acknowledging_a_later_event_leaves_the_first_waiting(platform: Platform) -> None:
    first = await platform.somebody_writes("jonas", "first")
    second = await platform.somebody_writes("jonas", "second")
    await deliveries(platform.bot, acknowledge=lambda event: event.key == second.key, wanted=2)
    await platform.bot.stop()
    await platform.bot.start()
    assert first.key in keys(await deliveries(platform.bot, acknowledge=True, wanted=1))


async def test_acknowledging_what_was_never_handed_over_is_ignored(platform: Platform) -> None:
    written = await platform.somebody_writes("jonas", "hello")
    await platform.bot.acknowledge(replace(written, key="of another platform"))
    assert written.key in keys(await deliveries(platform.bot, acknowledge=True, wanted=1))


async def test_events_end_when_the_bot_stops(platform: Platform) -> None:
    async def listen() -> None:
        async for event in platform.bot.events():
            await platform.bot.acknowledge(event)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await platform.bot.stop()
    await asyncio.wait_for(listening, LONG)


async def test_its_events_survive_being_stored(platform: Platform) -> None:
    text = 'Zoë says: \U0001f60a \N{RIGHT-TO-LEFT MARK} "quoted" & <b>\nand more'
    written = await platform.somebody_writes("jonas", text)
    (seen, *_) = await deliveries(platform.bot, acknowledge=True, wanted=1)
    assert EVENTS.validate_json(EVENTS.dump_json(seen)) == seen
    assert isinstance(seen, MessageNew)
    assert seen.text == written.text == text


async def test_different_events_have_different_keys(platform: Platform) -> None:
    written = [(await platform.somebody_writes("jonas", "ok")).key for _ in range(20)]
    assert len(set(written)) == 20
    assert keys(await deliveries(platform.bot, acknowledge=True, wanted=20)) == written


async def test_a_send_tells_the_ids_of_the_messages_it_became(platform: Platform) -> None:
    receipt = await platform.bot.send(platform.chat("jonas"), Outgoing(key="reply:1", text="On my way"))
    assert receipt.status is ReceiptStatus.SENT
    assert receipt.at is not None
    assert receipt.at.tzinfo is not None
    standing = platform.standing_in("jonas")
    assert [message_id for message_id, _ in standing] == list(receipt.message_ids)
    assert "".join(text for _, text in standing) == "On my way"


async def test_a_long_text_arrives_whole_and_in_order(platform: Platform) -> None:
    text = " ".join(f"This is sentence number {n}, of a letter that is long." for n in range(180))
    receipt = await platform.bot.send(platform.chat("jonas"), Outgoing(key="reply:1", text=text))
    assert receipt.status is ReceiptStatus.SENT
    standing = platform.standing_in("jonas")
    assert [message_id for message_id, _ in standing] == list(receipt.message_ids)
    assert " ".join(text for _, text in standing).split() == text.split()


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


@pytest.mark.parametrize(
    ("label", "verb"),
    [("Tell Jonas", DraftVerb.TELL), ("Tell friends", DraftVerb.CIRCLE), ("Keep it", DraftVerb.KEEP)],
)
async def test_a_question_on_a_card_is_answered_with_one_press(
    platform: Platform, label: str, verb: DraftVerb
) -> None:
    asked = CardQuestion(statement="Mara moved to Oslo", told_in="Kit", people=("Jonas",), circle="friends")
    await platform.bot.show(replace(card(platform, "I'll let you know", "later"), question=asked))
    assert platform.drafts_on("turn:1") == ["I'll let you know", "later"]
    await platform.press("turn:1", label)
    seen = await deliveries(platform.bot, acknowledge=True, wanted=1)
    (action,) = {event.key: event for event in seen if isinstance(event, DraftAction)}.values()
    assert (action.draft, action.verb, action.chat) == (1, verb, platform.chat("jonas"))
    assert platform.standing_in("jonas") == [], "nobody but the owner learns that there was a question"


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
    await platform.somebody_writes("jonas", "now")
    (seen, *_) = await deliveries(platform.bot, acknowledge=True, wanted=1)
    assert abs((datetime.now(UTC) - seen.at).total_seconds()) < 60


# ─── What is declared is proved by its native effect ─────────────────────────────────────────


def able(platform: Platform, capability: Capability) -> None:
    """Go on only where the bot declares it."""
    if capability not in platform.bot.capabilities(platform.chat("jonas")):
        pytest.skip(f"{platform.bot.platform} does not declare {capability.name}")


async def sent(platform: Platform, text: str) -> MessageRef:
    """A message of ours that stands in the chat."""
    chat = platform.chat("jonas")
    receipt = await platform.bot.send(chat, Outgoing(key=f"reply:{text}", text=text))
    return MessageRef(chat=chat, id=receipt.message_ids[0])


async def test_a_message_of_ours_can_be_edited_where_that_is_declared(platform: Platform) -> None:
    able(platform, Capability.EDIT)
    assert isinstance(platform.bot, EditsMessages)
    receipt = await platform.bot.edit(await sent(platform, "at six"), "at seven")
    assert receipt.status is ReceiptStatus.SENT
    assert [text for _, text in platform.standing_in("jonas")] == ["at seven"]


async def test_a_message_of_ours_can_be_deleted_where_that_is_declared(platform: Platform) -> None:
    able(platform, Capability.DELETE)
    assert isinstance(platform.bot, DeletesMessages)
    receipt = await platform.bot.delete([await sent(platform, "never mind")])
    assert receipt.status is ReceiptStatus.SENT
    assert platform.standing_in("jonas") == []


async def test_history_gives_what_came_after_in_order_where_that_is_declared(platform: Platform) -> None:
    able(platform, Capability.HISTORY)
    assert isinstance(platform.bot, ReadsHistory)
    written = [await platform.somebody_writes("jonas", f"line {n}") for n in range(4)]
    read = [
        message
        async for message in platform.bot.history(
            platform.chat("jonas"), after=written[0].message_id, limit=2
        )
    ]
    assert [message.message_id for message in read] == [message.message_id for message in written[1:3]]
    assert [message.key for message in read] == [message.key for message in written[1:3]]
    assert all(message.backfilled for message in read)


async def test_a_message_can_be_fetched_where_that_is_declared(platform: Platform) -> None:
    able(platform, Capability.FETCH)
    assert isinstance(platform.bot, FetchesMessages)
    written = await platform.somebody_writes("jonas", "look here")
    found = await platform.bot.fetch(MessageRef(chat=written.chat, id=written.message_id))
    assert found is not None
    assert (found.message_id, found.text) == (written.message_id, "look here")


async def test_a_reaction_is_put_and_taken_where_that_is_declared(platform: Platform) -> None:
    able(platform, Capability.REACT)
    assert isinstance(platform.bot, Reacts)
    effects = cast("ShowsEffects", platform)
    written = await platform.somebody_writes("jonas", "done!")
    message = MessageRef(chat=written.chat, id=written.message_id)
    await platform.bot.react(message, "👍")
    assert effects.reactions_on("jonas", written.message_id) == ["👍"]
    await platform.bot.react(message, "👍", added=False)
    assert effects.reactions_on("jonas", written.message_id) == []


async def test_typing_is_seen_where_that_is_declared(platform: Platform) -> None:
    able(platform, Capability.TYPING)
    assert isinstance(platform.bot, ShowsTyping)
    await platform.bot.show_typing(platform.chat("jonas"))
    assert cast("ShowsEffects", platform).is_typing_in("jonas")


async def test_a_draft_is_seen_while_it_is_written_where_that_is_declared(platform: Platform) -> None:
    able(platform, Capability.STREAM)
    assert isinstance(platform.bot, StreamsDrafts)
    await platform.bot.stream("turn:1", "I am")
    await platform.bot.stream("turn:1", "I am on my way")
    assert cast("ShowsEffects", platform).streamed("turn:1")[-1] == "I am on my way"
