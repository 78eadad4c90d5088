"""Slack's raw messages made into events: looks up who and where, then translates."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import cast

import aiohttp

from bots.slack.directory import Directory
from bots.slack.translate import Scene, Us, channels_in, message_new, parts_in, translate, users_in
from bots.slack.web import TRANSFER, Json, SlackWeb
from core.bot import Transcriber
from core.desk import Desk
from core.errors import ModelError
from core.events import ChatRef, Event, MessageNew, MessageRef
from core.history.slack import decode, markup_of

VOICE = "slack_audio"
LARGEST_VOICE = 20 * 1024 * 1024
HISTORY_PAGES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Reads with the owner's eyes."""

    us: Us
    web: SlackWeb
    directory: Directory
    desk: Desk
    owner_token: str = field(repr=False)
    transcriber: Transcriber | None = None

    async def scene(self, channel: str, raw: Json, *, external: bool | None = None) -> Scene:
        """Raises `PlatformError` where nothing is known of the chat."""
        return Scene(
            us=self.us,
            conversation=await self.directory.conversation(
                channel, told_type=str(raw.get("channel_type") or ""), external=external
            ),
            people=await self.directory.people(users_in(raw)),
            channels=await self.directory.channel_names(channels_in(raw)),
        )

    async def events(self, event: Json, channel: str, *, external: bool | None) -> list[Event]:
        """What a live event means."""
        found = translate(event, await self.scene(channel, event, external=external))
        return [await self._heard(item, event) if isinstance(item, MessageNew) else item for item in found]

    async def message(
        self, channel: str, raw: Json, *, backfilled: bool = False, pointed_at: bool = False, key: str = ""
    ) -> MessageNew | None:
        scene = await self.scene(channel, raw)
        return message_new(raw, scene, backfilled=backfilled, pointed_at=pointed_at, key=key)

    async def words(self, raw: Json) -> str:
        """What a message says, in plain text; for what is typed to the app, and is no chat's message."""
        people = await self.directory.people(users_in(raw))
        return decode(
            markup_of(raw),
            person=lambda user: people[user].name if user in people else user,
            channel=lambda channel: channel,
        )

    async def history(self, chat: ChatRef, *, after: str | None, limit: int) -> AsyncGenerator[MessageNew]:
        """What was said after a message, oldest first. Replies are in their thread's history alone."""
        method = "conversations.replies" if chat.thread else "conversations.history"
        place: Json = {"channel": chat.chat, "include_all_metadata": True}
        place |= {"ts": chat.thread} if chat.thread else {}
        place |= {"oldest": after} if after else {}
        found = [raw async for raw in self.web.pages(method, "messages", most=HISTORY_PAGES, **place)]
        given = 0
        for raw in sorted(found, key=lambda raw: str(raw["ts"])):
            if given == limit:
                return
            if after is not None and str(raw["ts"]) <= after:
                continue  # a thread's root comes with every page
            message = await self.message(chat.chat, raw, backfilled=True)
            if message is not None:
                given += 1
                yield message

    async def fetch(self, message: MessageRef) -> MessageNew | None:
        """The message as it stands now; None where it is gone."""
        channel, thread = message.chat.chat, message.chat.thread
        method = "conversations.replies" if thread else "conversations.history"
        answer = await self.web.read(
            method,
            channel=channel,
            oldest=message.id,
            latest=message.id,
            inclusive=True,
            limit=2,
            include_all_metadata=True,
            **({"ts": thread} if thread else {}),
        )
        for raw in cast("list[Json]", answer.get("messages") or []):
            if str(raw.get("ts")) == message.id:
                return await self.message(channel, raw, backfilled=True)
        return None

    # ─── voice ───────────────────────────────────────────────────────────────────────────────

    async def _heard(self, message: MessageNew, raw: Json) -> MessageNew:
        """The message with the words of its voice clips, where the owner listens and has named a transcriber."""
        clips = [file for file in parts_in(raw, "files") if file.get("subtype") == VOICE]
        if self.transcriber is None or not clips:
            return message
        chat = await self.desk.chat(replace(message.chat, thread=None))
        if chat is None or not chat.listened:
            return message
        words = {str(clip.get("id")): await self._transcribe(self.transcriber, clip) for clip in clips}
        parts = tuple(replace(part, transcript=words.get(part.reference, "")) for part in message.attachments)
        return replace(message, attachments=parts)

    async def _transcribe(self, transcriber: Transcriber, clip: Json) -> str:
        url, size = clip.get("url_private_download"), clip.get("size")
        if not isinstance(url, str) or not isinstance(size, int) or size > LARGEST_VOICE:
            return ""
        if not self.web.is_slacks(url):
            return ""  # a file that another app keeps elsewhere: our token is none of its business
        headers = {"Authorization": f"Bearer {self.owner_token}"}
        try:
            async with self.web.session.get(
                url, headers=headers, timeout=TRANSFER, allow_redirects=False
            ) as answer:
                answer.raise_for_status()
                audio = await answer.read()
            return await transcriber.transcribe(audio, str(clip.get("mimetype") or "audio/mp4"))
        except (aiohttp.ClientError, TimeoutError, ModelError):
            return ""
