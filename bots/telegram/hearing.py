"""Voice messages as words, where the owner listens and has named somebody who writes them down."""

import asyncio
from dataclasses import dataclass, replace

import structlog
from telegram import Message
from telegram.error import TelegramError

from bots.telegram.api import Api
from core.bot import Transcriber
from core.desk import Desk
from core.errors import ModelError
from core.events import Attachment, MessageNew
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

log = structlog.get_logger()

MOST_BYTES = 20 << 20
"""What Telegram lets a bot download."""
SECONDS = 45.0
OPUS = "audio/ogg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Adds the words of a voice message to it; where that fails, the message stays as it is."""

    api: Api
    desk: Desk
    transcriber: Transcriber | None

    async def with_words(self, event: MessageNew, message: Message) -> MessageNew:
        if self.transcriber is None or message.voice is None or not await self._is_listened(event):
            return event
        heard = [await self._heard(self.transcriber, one) for one in event.attachments]
        return replace(event, attachments=tuple(heard))

    async def _is_listened(self, event: MessageNew) -> bool:
        """What is said elsewhere is kept nowhere, so nobody else hears it either."""
        if event.pointed_at:
            return True
        known = await self.desk.chat(replace(event.chat, thread=None))
        return known.listened if known is not None else event.chat_kind is ChatKind.DIRECT

    async def _heard(self, transcriber: Transcriber, voice: Attachment) -> Attachment:
        if voice.kind != "voice_message" or (voice.size_bytes or 0) > MOST_BYTES:
            return voice
        try:
            async with asyncio.timeout(SECONDS):
                file = await self.api.get_file(voice.reference)
                audio = bytes(await file.download_as_bytearray())
                words = await transcriber.transcribe(audio, voice.media_type or OPUS)
        except (ModelError, TelegramError, TimeoutError) as error:
            log.warning("voice.not_heard", error=type(error).__name__)
            return voice
        return replace(voice, transcript=clean(words))
