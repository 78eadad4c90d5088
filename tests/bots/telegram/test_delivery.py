"""No event lost, none twice under another name: acknowledgement, restarts, outages, and disorder."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots import away
from bots.doubles.telegram_shapes import Json
from bots.telegram.bot import TelegramBot
from core.bot import Outgoing, ReceiptStatus
from core.errors import AccessRevoked, NotConfigured, PlatformError
from core.events import Event, Gap, MessageNew
from tests.bots.telegram.scene import DANA, JONAS, MARA, Scene, opened, until


async def taken(bot: TelegramBot, *, most: int) -> list[Event]:
    """So many events, none of them acknowledged."""
    seen: list[Event] = []
    async for event in bot.events():
        seen.append(event)
        if len(seen) == most:
            break
    return seen


async def test_updates_are_confirmed_only_once_core_has_their_events() -> None:
    async with opened() as scene:
        await scene.stop()
        await scene.bot.start()
        scene.world.contact_writes(JONAS, "don't lose me")
        (event,) = await taken(scene.bot, most=1)
        await asyncio.sleep(0.8)
        assert len(scene.world.updates) == 1
        await scene.bot.acknowledge(event)
        await until(lambda: not scene.world.updates)


async def test_a_process_that_dies_leaves_nothing_confirmed() -> None:
    async with opened() as scene:
        await scene.stop()
        await scene.bot.start()
        scene.world.contact_writes(JONAS, "one")
        scene.world.contact_writes(JONAS, "two")
        before = await taken(scene.bot, most=2)
        another = scene.another_bot()
        await another.start()
        after = await taken(another, most=2)
        assert [event.key for event in after] == [event.key for event in before]
        await another.stop()


async def test_an_update_of_two_events_waits_for_both() -> None:
    async with opened() as scene:
        await scene.stop()
        await scene.bot.start()
        scene.world.forwards_to_bot(MARA, {"type": "user", "sender_user": JONAS}, "hm?")
        first, second = await taken(scene.bot, most=2)
        await scene.bot.acknowledge(first)
        await asyncio.sleep(0.7)
        assert len(scene.world.updates) == 1
        await scene.bot.acknowledge(second)
        await until(lambda: not scene.world.updates)


async def test_what_comes_while_an_earlier_event_waits_is_handed_over_all_the_same() -> None:
    async with opened() as scene:
        await scene.stop()
        await scene.bot.start()
        scene.world.contact_writes(JONAS, "one")
        events = aiter(scene.bot.events())
        first = await anext(events)
        scene.world.contact_writes(DANA, "two")
        second = await asyncio.wait_for(anext(events), 3)
        assert first.key != second.key
        await scene.bot.acknowledge(second)
        await asyncio.sleep(0.6)
        assert len(scene.world.updates) == 2


async def test_more_updates_than_one_poll_brings_come_in_order(scene: Scene) -> None:
    written = [scene.world.contact_writes(JONAS, f"line {n}") for n in range(250)]
    seen = await scene.settle()
    assert [event.message_id for event in seen if isinstance(event, MessageNew)] == [
        str(message["message_id"]) for message in written
    ]


async def test_an_outage_of_telegrams_is_waited_out(scene: Scene) -> None:
    await scene.telegram.be_away()
    scene.world.contact_writes(JONAS, "meanwhile")
    await asyncio.sleep(0.6)
    await scene.telegram.listen()
    assert (await scene.only(MessageNew)).text == "meanwhile"


async def test_a_poll_whose_answer_is_lost_is_asked_again(scene: Scene) -> None:
    scene.telegram.lost_answers["getUpdates"] = 2
    scene.world.contact_writes(JONAS, "hello")
    assert (await scene.only(MessageNew)).text == "hello"


async def test_too_long_an_outage_ends_the_events_with_an_error() -> None:
    async with opened(most_poll_failures=1) as scene:
        await scene.telegram.be_away()
        await until(lambda: scene.ended_by is not None)
        assert isinstance(scene.ended_by, PlatformError)
        await scene.telegram.listen()
        await scene.restart()
        scene.ended_by = None
        scene.world.contact_writes(JONAS, "again")
        assert (await scene.only(MessageNew)).text == "again"


async def test_a_revoked_token_ends_the_events_and_the_owners_audit_hears_of_it(scene: Scene) -> None:
    scene.telegram.revoked = True
    scene.world.changed.set()
    await scene.telegram.be_away()
    await scene.telegram.listen()
    await until(lambda: scene.ended_by is not None)
    assert isinstance(scene.ended_by, AccessRevoked)
    assert "BotFather" in str(scene.ended_by)
    assert scene.telegram.token not in str(scene.ended_by)
    assert "heard revoked" in scene.desk.asked


async def test_a_wrong_token_is_told_at_the_start(scene: Scene) -> None:
    scene.telegram.revoked = True
    with pytest.raises(AccessRevoked, match="BotFather"):
        await scene.another_bot().start()
    scene.telegram.revoked = False


async def test_an_unreachable_telegram_is_told_at_the_start(scene: Scene) -> None:
    await scene.telegram.be_away()
    with pytest.raises(PlatformError, match="could not be reached"):
        await scene.another_bot().start()
    await scene.telegram.listen()


async def test_an_owner_id_that_is_a_name_is_told_at_the_start(scene: Scene) -> None:
    scene.config = replace(scene.config, owner_id="mara")
    with pytest.raises(NotConfigured, match="LOCUM_TELEGRAM_OWNER_ID"):
        await scene.another_bot().start()


async def test_an_update_that_cannot_be_read_leaves_a_gap_and_holds_up_nothing(scene: Scene) -> None:
    scene.world.validate = False
    scene.world.emit("business_message", {"chat": "not a chat"})
    scene.world.validate = True
    scene.world.contact_writes(JONAS, "next")
    gap, message = sorted(await scene.settle(), key=lambda event: event.kind)
    assert isinstance(gap, Gap)
    assert isinstance(message, MessageNew)


async def test_storage_that_is_away_delays_an_update_and_loses_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "FIRST_PAUSE", 0.01)
    fails = 3

    async def get(key: str) -> str | None:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise psycopg.OperationalError
        return scene.state.kept.get(key)

    monkeypatch.setattr(scene.state, "get", get)
    await scene.bot.show(scene.card("yes"))
    scene.world.owner_answers(scene.world.owner_sees()[-1], "an answer")
    await scene.settle()
    assert fails < 0


async def test_a_stop_while_a_voice_message_is_written_down_waits_for_nothing_and_loses_nothing() -> None:
    writing = asyncio.Event()
    written: list[bytes] = []

    class Slow:
        """Never done, until it is let."""

        async def transcribe(self, audio: bytes, media_type: str) -> str:
            await writing.wait()
            written.append(audio)
            return f"{len(audio)} bytes of {media_type}"

    async with opened(transcriber=Slow()) as scene:
        scene.world.files["f1"] = b"12345"
        voice = {"file_id": "f1", "file_unique_id": "u1", "duration": 3}
        scene.world.contact_writes(JONAS, voice=voice)
        scene.world.contact_writes(JONAS, "and?")
        scene.world.contact_writes(JONAS, "hello?")
        await until(lambda: bool(scene.telegram.asked("getFile")))
        await asyncio.wait_for(scene.stop(), 1)
        writing.set()
        scene.bot = scene.another_bot()
        await scene.start()
        seen = [event for event in await scene.settle() if isinstance(event, MessageNew)]
        assert [event.text for event in seen] == ["", "and?", "hello?"]
        assert seen[0].attachments[0].transcript == "5 bytes of audio/ogg"
        assert written == [b"12345"]


async def test_no_log_holds_a_token_or_what_was_said(
    scene: Scene, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    scene.world.contact_writes(JONAS, "my secret")
    scene.telegram.refuse("sendMessage", "Bad Request: whatever")
    await scene.settle()
    await scene.bot.send(scene.chat(JONAS), Outgoing(key="reply:1", text="my secret answer"))
    scene.world.validate = False
    scene.world.emit("business_message", {"chat": "my secret"})
    await scene.settle()
    logged = caplog.text + "".join(capfd.readouterr())
    assert "secret" not in logged
    assert scene.telegram.token not in logged


# ─── Any disorder ────────────────────────────────────────────────────────────────────────────

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "type", "edit", "delete", "dana", "press"]), st.integers(0, 5)),
    min_size=1,
    max_size=8,
)


def play(scene: Scene, steps: list[Step]) -> None:
    """A conversation, as people have it."""
    standing: list[Json] = []
    for step, number in steps:
        chosen = standing[number % len(standing)] if standing else None
        if step == "write" or chosen is None:
            standing.append(scene.world.contact_writes(JONAS, f"line {number}"))
        elif step == "type":
            standing.append(scene.world.owner_types(JONAS, f"mine {number}"))
        elif step == "dana":
            scene.world.contact_writes(DANA, f"dana {number}")
        elif step == "edit":
            scene.world.edits(chosen, f"edited {number}", at=1_800_000_000 + number)
        elif step == "delete":
            scene.world.deletes(chosen)
            standing.remove(chosen)
        else:
            scene.world.presses(MARA, scene.world.owner_sees()[0], "d:1:s")


def told(events: list[Event]) -> dict[str, Any]:
    """What core would keep: by key, without the moment at which a deletion or a press was heard of."""
    return {event.key: (event.kind, event.chat, getattr(event, "text", None)) for event in events}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, data=st.data())
async def test_a_conversation_shuffled_repeated_and_cut_is_the_same_conversation(
    steps: list[Step], data: st.DataObject
) -> None:
    async with opened(poll_seconds=1) as scene:
        await scene.bot.show(scene.card("yes"))
        start = len(scene.world.emitted)
        play(scene, steps)
        plain = told(list(await scene.settle()))
        updates = scene.world.emitted[start:]
        assert len(plain) == len(updates)

        shuffled = data.draw(st.permutations(updates))
        repeated = shuffled + data.draw(st.lists(st.sampled_from(updates), max_size=4))
        cut = data.draw(st.integers(0, len(repeated)))
        await scene.stop()
        seen: list[Event] = []
        for part in (repeated[:cut], repeated[cut:]):
            scene.bot = scene.another_bot()
            scene.world.repeat(part)
            await scene.start()
            seen += await _everything(scene, part)
            await scene.stop()
        await scene.start()
        assert told(seen) == plain


async def _everything(scene: Scene, part: list[Json]) -> list[Event]:
    """What comes of these updates, in whatever order they are confirmed."""
    wanted = len({update["update_id"] for update in part})
    await until(lambda: len(scene.seen) >= wanted)
    news, scene.seen[:] = list(scene.seen), []
    return news


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=st.lists(
        st.sampled_from(["lost_answers", "lost_requests", "server", "refuse", "flood", ""]), max_size=5
    )
)
async def test_whatever_the_network_does_a_reply_stands_at_most_once(faults: list[str]) -> None:
    async with opened(poll_seconds=1) as scene:
        for number, fault in enumerate(faults):
            arrange(scene, fault)
            text = f"reply {number}"
            receipt = await scene.bot.send(scene.chat(JONAS), Outgoing(key=f"reply:{number}", text=text))
            chat = scene.world.messages["business", JONAS["id"]].values()
            times = sum(message["text"] == text for message in chat)
            assert times <= 1
            assert times == (receipt.status is ReceiptStatus.SENT) or receipt.status is ReceiptStatus.UNKNOWN


def arrange(scene: Scene, fault: str) -> None:
    """The next send meets this."""
    if fault in ("lost_answers", "lost_requests"):
        getattr(scene.telegram, fault)["sendMessage"] = 1
    elif fault == "server":
        scene.telegram.refuse("sendMessage", "Internal Server Error", code=500)
    elif fault == "refuse":
        scene.telegram.refuse("sendMessage", "Bad Request: chat not found")
    elif fault == "flood":
        scene.telegram.flood("sendMessage", 1)
