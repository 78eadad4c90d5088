"""What a message says and brings along: formatting read as words, attachments kept by kind."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import MessageEntity

from bots.telegram import hearing
from bots.telegram.plain import plain_text, quoted
from bots.words import utf16_length
from core.errors import ModelError
from core.events import Attachment, MessageNew
from tests.bots.telegram.scene import DANA, JONAS, Scene, opened

FILE = {"file_id": "f1", "file_unique_id": "u1", "file_size": 1234}
PICTURE = FILE | {"width": 90, "height": 90}


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        (
            {"voice": FILE | {"duration": 3, "mime_type": "audio/ogg"}},
            Attachment(kind="voice_message", media_type="audio/ogg", size_bytes=1234, reference="f1"),
        ),
        (
            {"photo": [PICTURE | {"file_id": "small"}, PICTURE], "caption": "look"},
            Attachment(kind="photo", size_bytes=1234, reference="f1"),
        ),
        (
            {"document": FILE | {"file_name": "plan.pdf", "mime_type": "application/pdf"}},
            Attachment(
                kind="file", name="plan.pdf", media_type="application/pdf", size_bytes=1234, reference="f1"
            ),
        ),
        (
            {"video": PICTURE | {"duration": 3, "file_name": "v.mp4"}},
            Attachment(kind="video_file", name="v.mp4", size_bytes=1234, reference="f1"),
        ),
        (
            {"video_note": FILE | {"duration": 3, "length": 100}},
            Attachment(kind="video_message", size_bytes=1234, reference="f1"),
        ),
        (
            {"animation": PICTURE | {"duration": 1}, "document": FILE},
            Attachment(kind="animation", size_bytes=1234, reference="f1"),
        ),
        (
            {"audio": FILE | {"duration": 3, "title": "Song"}},
            Attachment(kind="audio_file", caption="Song", size_bytes=1234, reference="f1"),
        ),
        (
            {
                "sticker": PICTURE
                | {"type": "regular", "is_animated": False, "is_video": False, "emoji": "😂"}
            },
            Attachment(kind="sticker", caption="😂", size_bytes=1234, reference="f1"),
        ),
        (
            {"location": {"latitude": 47.3769, "longitude": 8.5417}},
            Attachment(kind="location", caption="47.37690, 8.54170"),
        ),
        (
            {
                "venue": {
                    "location": {"latitude": 1, "longitude": 2},
                    "title": "Café",
                    "address": "Main St 1",
                },
                "location": {"latitude": 1, "longitude": 2},
            },
            Attachment(kind="location", caption="Café, Main St 1"),
        ),
        (
            {"contact": {"phone_number": "+41791234567", "first_name": "Ada", "last_name": "L"}},
            Attachment(kind="contact", name="Ada L", caption="+41791234567"),
        ),
        ({"dice": {"emoji": "🎲", "value": 6}}, Attachment(kind="dice", caption="🎲 6")),
        ({}, Attachment(kind="unsupported")),
    ],
)
async def test_every_kind_is_kept(scene: Scene, more: dict[str, Any], kept: Attachment) -> None:
    scene.world.contact_writes(JONAS, **more)
    event = await scene.only(MessageNew)
    assert event.attachments == (kept,)
    assert event.text == more.get("caption", "")


async def test_a_poll_is_kept_with_its_question_and_answers(scene: Scene) -> None:
    options = [{"text": text, "voter_count": 0, "persistent_id": text} for text in ("six", "seven")]
    poll = {
        "id": "1",
        "question": "When?",
        "options": options,
        "total_voter_count": 0,
        "is_closed": False,
        "is_anonymous": True,
        "type": "regular",
        "allows_multiple_answers": False,
        "allows_revoting": False,
        "members_only": False,
    }
    scene.world.contact_writes(JONAS, poll=poll)
    event = await scene.only(MessageNew)
    assert event.attachments == (Attachment(kind="poll", caption="When?\nsix\nseven"),)


async def test_what_a_later_telegram_invents_is_kept_as_unsupported() -> None:
    async with opened() as scene:
        scene.world.validate = False
        scene.world.contact_writes(JONAS, hologram={"file_id": "h1"})
        assert (await scene.only(MessageNew)).attachments == (Attachment(kind="unsupported"),)


async def test_links_stay_in_the_words(scene: Scene) -> None:
    text = "😀 see here, or example.org"
    entities = [
        {"type": "text_link", "offset": 7, "length": 4, "url": "https://example.org/a"},
        {"type": "bold", "offset": 3, "length": 3},
        {"type": "url", "offset": 16, "length": 11},
    ]
    scene.world.contact_writes(JONAS, text, entities=entities)
    event = await scene.only(MessageNew)
    assert event.text == "😀 see here (https://example.org/a), or example.org"


@given(text=st.text(max_size=40), start=st.integers(0, 50), length=st.integers(1, 50))
def test_no_entity_breaks_a_text(text: str, start: int, length: int) -> None:
    link = MessageEntity(MessageEntity.TEXT_LINK, start, length, url="https://example.org")
    read = plain_text(text, [link])
    if start + length <= utf16_length(text):
        assert read.replace(" (https://example.org)", "", 1).encode(errors="replace")
    else:
        assert read == text


@given(text=st.text(alphabet="/@ abc😀\n.:", max_size=60))
def test_quoted_words_read_the_same_and_hold_nothing_to_tap(text: str) -> None:
    read = quoted(text)
    assert read.replace("\u2060", "") == text
    assert not any(f"{sign}{letter}" in read for sign in "/@" for letter in "abc")


# ─── Voice ───────────────────────────────────────────────────────────────────────────────────


class Writer:
    """Writes down what it hears: how many bytes."""

    def __init__(self) -> None:
        self.fails = False
        self.heard: list[tuple[bytes, str]] = []
        self.slow = asyncio.Event()
        self.slow.set()

    async def transcribe(self, audio: bytes, media_type: str) -> str:
        await self.slow.wait()
        if self.fails:
            raise ModelError("The transcriber is away.")
        self.heard.append((audio, media_type))
        return f"{len(audio)} bytes"


def voice(size: int = 5) -> dict[str, Any]:
    return {"voice": FILE | {"duration": 3, "mime_type": "audio/ogg", "file_size": size}}


async def test_a_voice_message_is_written_down() -> None:
    writer = Writer()
    async with opened(transcriber=writer) as scene:
        scene.world.files["f1"] = b"12345"
        scene.world.contact_writes(JONAS, **voice())
        event = await scene.only(MessageNew)
        assert event.attachments[0].transcript == "5 bytes"
        assert writer.heard == [(b"12345", "audio/ogg")]


async def test_a_voice_message_is_heard_only_where_the_owner_listens() -> None:
    writer = Writer()
    async with opened(transcriber=writer) as scene:
        scene.world.files["f1"] = b"12345"
        group = scene.world.opens_group(-100777, "Walkers")
        scene.world.group_writes(group, JONAS, **voice())
        scene.desk.know(scene.chat(DANA), "Dana", listened=False)
        scene.world.contact_writes(DANA, **voice())
        await scene.settle()
        assert writer.heard == []
        scene.desk.know(replace(scene.chat(JONAS), chat="-100777"), "Walkers")
        scene.world.group_writes(group, JONAS, **voice())
        await scene.settle()
        assert writer.heard == [(b"12345", "audio/ogg")]


async def test_a_voice_message_that_nobody_understands_is_kept_without_words() -> None:
    writer = Writer()
    async with opened(transcriber=writer) as scene:
        scene.world.files["f1"] = b"12345"
        writer.fails = True
        scene.world.contact_writes(JONAS, **voice())
        assert (await scene.only(MessageNew)).attachments[0].transcript == ""
        scene.world.files.clear()
        writer.fails = False
        scene.world.contact_writes(JONAS, **voice())
        assert (await scene.only(MessageNew)).attachments[0].reference == "f1"


async def test_a_voice_message_above_20_mib_is_not_fetched() -> None:
    writer = Writer()
    async with opened(transcriber=writer) as scene:
        scene.world.contact_writes(JONAS, **voice(21 << 20))
        await scene.only(MessageNew)
        assert scene.telegram.asked("getFile") == []


async def test_a_slow_transcriber_holds_up_its_own_chat_alone_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "SECONDS", 0.6)
    writer = Writer()
    writer.slow.clear()
    async with opened(transcriber=writer) as scene:
        scene.world.files["f1"] = b"12345"
        scene.world.contact_writes(JONAS, **voice())
        scene.world.contact_writes(JONAS, "did you get it?")
        scene.world.owner_writes("/status")
        await asyncio.sleep(0.3)
        assert scene.world.bot_said() == ["All is well."]
        assert scene.seen == []
        first, second = [event for event in await scene.settle() if isinstance(event, MessageNew)]
        assert first.attachments[0].transcript == ""
        assert second.text == "did you get it?"
