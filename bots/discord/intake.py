"""From what the gateway says to events in the mailbox: in order per channel, and accounted for."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator

import structlog

from bots.away import STORAGE_AWAY, outlast
from bots.discord.commands import Commands
from bots.discord.interactions import Interactions
from bots.discord.lanes import Lanes
from bots.discord.places import Place, Places
from bots.discord.progress import Progress
from bots.discord.raw import Raw, parts
from bots.discord.rest import LONGEST_FILE, Api, Limited, Unsure
from bots.discord.translate import (
    Identities,
    channel_back,
    channel_gone,
    message_edited,
    message_new,
    messages_deleted,
    reaction,
    voices_of,
)
from bots.mailbox import Mailbox
from core.bot import Transcriber
from core.clock import Clock
from core.desk import Desk
from core.errors import LocumError
from core.events import Event
from core.vocabulary import ChatKind

log = structlog.get_logger()

LANED = "channel_id"
TRANSCRIBE_SECONDS = 120.0
PASSES = (*STORAGE_AWAY, Limited, Unsure)
"""Of these a message waits for the end: Discord would not bring it again."""

ACCESS = frozenset({"CHANNEL_DELETE", "THREAD_DELETE", "GUILD_DELETE", "GUILD_CREATE"})
"""What changes where the bot may be. A server that Discord only cannot reach just now is none of it."""


class Intake:
    """Holds every delivery until it is known which events it became."""

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        progress: Progress,
        places: Places,
        api: Api,
        commands: Commands,
        interactions: Interactions,
        desk: Desk,
        transcriber: Transcriber | None,
        clock: Clock,
    ) -> None:
        self._mailbox, self._progress, self._places, self._api = mailbox, progress, places, api
        self._commands, self._interactions = commands, interactions
        self._desk, self._transcriber, self._clock = desk, transcriber, clock
        self.lanes = Lanes()
        self.gate = asyncio.Event()
        """Closed while a gap is filled: what is said meanwhile comes after what was missed, or a crash in
        between would leave a hole that looks filled."""
        self.who: Identities

    def take(self, name: str, raw: Raw) -> None:
        """One dispatch of the gateway, in the order they come."""
        number = self._progress.arriving
        hold = f"untold:{id(raw)}" if number is None else self._progress.arrive(number)
        if hold is None:
            return
        if name not in HEARD:
            self._progress.settle(hold)
            return
        # An interaction has three seconds: it waits for nothing that was said in its channel.
        lane = None if name == "INTERACTION_CREATE" else str(raw.get(LANED) or "")
        where = hold.removeprefix("held:")
        self.lanes.run(self._translate(hold, name, raw, where), lane)

    def end(self) -> None:
        """No more events will come: whoever asks for them learns why."""
        self._mailbox.close()

    async def _translate(self, hold: str, name: str, raw: Raw, where: str) -> None:
        events: tuple[Event, ...] = ()
        try:
            if name != "INTERACTION_CREATE":
                await self.gate.wait()
            events = await self._events(name, raw, where)
        except LocumError as error:
            log.warning("event.failed", name=name, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 -- around one message: what can't be read must not come back for ever
            log.error("event.unreadable", name=name, error=type(error).__name__)  # noqa: TRY400 -- a traceback would tell what was said
        self.deliver(hold, events)

    def deliver(self, hold: str, events: Iterable[Event]) -> None:
        """Hand the events over; what was held for them is settled by their acknowledgements."""
        told = tuple(events)
        self._progress.settle(hold, [event.key for event in told])
        waiting = {event.key for event in self._mailbox.waiting}
        for event in told:
            if event.key not in waiting:
                self._mailbox.put(event)

    async def _events(self, name: str, raw: Raw, where: str) -> tuple[Event, ...]:
        if name == "INTERACTION_CREATE":
            return await self._interactions.events(raw, self.who)
        if name in ACCESS:
            return tuple(self._access(name, raw, where))
        if str(raw["channel_id"]) == self._places.control:
            mine = name == "MESSAGE_CREATE" and str(raw["author"]["id"]) == self.who.owner
            if not mine:
                return ()
            return await outlast(lambda: self._commands.events(raw), STORAGE_AWAY, name=name)
        found = await outlast(lambda: self._message_event(name, raw, where), PASSES, name=name)
        return () if found is None else (found,)

    def _access(self, name: str, raw: Raw, where: str) -> Iterator[Event]:
        """Of servers that the bot leaves or joins, each channel that it knew or gets to know."""
        now = self._clock.now()
        if name in {"CHANNEL_DELETE", "THREAD_DELETE"}:
            yield channel_gone(self._places.chat(str(raw["id"])), now, where)
        elif name == "GUILD_DELETE" and not raw.get("unavailable"):
            for channel in parts(raw, "channels"):
                yield channel_gone(self._places.chat(str(channel["id"])), now, where)
        elif name == "GUILD_CREATE":
            for channel in (*parts(raw, "channels"), *parts(raw, "threads")):
                yield channel_back(self._places.chat(str(channel["id"])), now, where)

    async def _message_event(self, name: str, raw: Raw, where: str) -> Event | None:
        now, chat = self._clock.now(), self._places.chat(str(raw["channel_id"]))
        match name:
            case "MESSAGE_CREATE":
                place = await self._places.of(chat.chat, guild=raw.get("guild_id"), author=raw["author"])
                transcripts = tuple([words async for words in self._transcripts(raw, place)])
                return message_new(raw, place, self.who, transcripts=transcripts)
            case "MESSAGE_UPDATE":
                place = await self._places.of(chat.chat, guild=raw.get("guild_id"), author=raw.get("author"))
                return message_edited(raw, place, self.who)
            case "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK":
                return messages_deleted(raw, chat, now)
            case _:
                added = name == "MESSAGE_REACTION_ADD"
                return reaction(raw, chat, self.who, now, added=added, where=where)

    async def _transcripts(self, raw: Raw, place: Place) -> AsyncIterator[str]:
        """The words of voice messages, where the owner listens; empty where they can't be had.

        The message is kept without them then. What is said elsewhere is kept nowhere, so nobody hears it.
        """
        voices = voices_of(raw) if self._transcriber else ()
        if not voices or not await self._is_listened(place):
            return
        for item in voices:
            try:
                async with asyncio.timeout(TRANSCRIBE_SECONDS):
                    yield await self._transcribe(item)
            except (LocumError, TimeoutError) as error:
                log.warning("voice.untranscribed", error=type(error).__name__)
                yield ""

    async def _is_listened(self, place: Place) -> bool:
        known = await self._desk.chat(place.chat)
        return known.listened if known is not None else place.kind is ChatKind.DIRECT

    async def _transcribe(self, item: Raw) -> str:
        if self._transcriber is None or int(item.get("size") or 0) > LONGEST_FILE:
            return ""
        audio = await self._api.file(str(item["url"]))
        media_type = str(item.get("content_type") or "audio/ogg").partition(";")[0]
        return await self._transcriber.transcribe(audio, media_type)


HEARD = frozenset(
    {
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "INTERACTION_CREATE",
        *ACCESS,
    }
)
"""The dispatches that can become events. Of reactions cleared all at once Discord does not say whose they were."""
