"""A scene on Telegram: the real bot over HTTP on a double, with a core that takes in what it hands over."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import SecretStr

from bots.doubles.telegram import TelegramDouble
from bots.doubles.telegram_shapes import Json
from bots.doubles.telegram_world import World, person
from bots.telegram.bot import TelegramBot
from bots.telegram.config import TelegramConfig
from core.bot import Card, CardDraft, Evidence, Transcriber
from core.clock import Clock, SystemClock
from core.desk import DeskDraft
from core.events import ChatRef, Event
from core.vocabulary import Intent
from tests.bots.standins import MemoryDesk, MemoryState

E = TypeVar("E", bound=Event)

MARA = person(1001, "Mara", "mara")
JONAS = person(42, "Jonas", "jonas")
DANA = person(43, "Dana")
MALLORY = person(666, "Mallory", "mallory")

LONG = 8.0
"""Seconds in which something must have happened."""


async def until(is_so: Callable[[], bool], seconds: float = LONG) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 -- what is waited for knows of no event
            await asyncio.sleep(0.005)


@dataclass(slots=True, kw_only=True)
class Scene:
    """One owner, Mara, with her bot; Jonas and Dana have written to her before."""

    telegram: TelegramDouble
    config: TelegramConfig
    state: MemoryState = field(default_factory=MemoryState)
    desk: MemoryDesk = field(default_factory=MemoryDesk)
    clock: Clock = field(default_factory=SystemClock)
    transcriber: Transcriber | None = None
    bot: TelegramBot = field(init=False)
    seen: list[Event] = field(default_factory=list[Event])
    """Everything that core took in, in order."""
    ended_by: Exception | None = None
    """What the bot's events ended with."""
    _core: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.bot = self.another_bot()

    @property
    def world(self) -> World:
        return self.telegram.world

    def another_bot(self) -> TelegramBot:
        """The bot as another process would start it: with nothing in memory."""
        return TelegramBot(
            config=self.config,
            account="1001",
            state=self.state,
            desk=self.desk,
            clock=self.clock,
            transcriber=self.transcriber,
        )

    def chat(self, contact: Json) -> ChatRef:
        return ChatRef(platform="telegram", account="1001", chat=str(contact["id"]))

    # ─── core's part ──────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        await self.bot.start()
        self._core = asyncio.create_task(self._take_in())

    async def stop(self) -> None:
        await self.bot.stop()
        if self._core is not None:
            await asyncio.wait([self._core])

    async def restart(self) -> None:
        """The process ends in order, and another begins."""
        await self.stop()
        self.bot = self.another_bot()
        await self.start()

    async def _take_in(self) -> None:
        try:
            async for event in self.bot.events():
                self.seen.append(event)
                await self.bot.acknowledge(event)
        except Exception as error:  # noqa: BLE001 -- kept, for the test to look at
            self.ended_by = error

    async def settle(self) -> tuple[Event, ...]:
        """Wait until Telegram was told that everything is safe; what came since the last time."""
        await until(lambda: not self.world.updates)
        news, self.seen[:] = tuple(self.seen), []
        return news

    async def only(self, kind: type[E]) -> E:
        """The one event that came of what just happened."""
        (event,) = await self.settle()
        assert isinstance(event, kind)
        return event

    # ─── cards ────────────────────────────────────────────────────────────────────────────────

    def card(self, *texts: str, key: str = "card-1-1", contact: Json = JONAS, first: int = 1) -> Card:
        """A card for a chat, known to the desk as well."""
        chat = self.chat(contact)
        numbered = list(enumerate(texts, start=first))
        for number, text in numbered:
            self.desk.drafts[number] = DeskDraft(draft=number, chat=chat, text=text)
        return Card(
            key=key,
            chat=chat,
            chat_title=contact["first_name"],
            incoming=(self.line(contact, "are you coming?"),),
            drafts=tuple(
                CardDraft(draft=number, text=text, intent=Intent.AGREE, origin="model", confidence=0.7)
                for number, text in numbered
            ),
        )

    def line(self, contact: Json, text: str) -> Evidence:
        return Evidence(
            message_id="1",
            chat_title=contact["first_name"],
            sender=contact["first_name"],
            sent_at=self.clock.now(),
            text=text,
        )


@asynccontextmanager
async def opened(
    *,
    connected: bool = True,
    topics: bool = False,
    clock: Clock | None = None,
    transcriber: Transcriber | None = None,
    **options: object,
) -> AsyncGenerator[Scene]:
    """A scene that runs, in which nothing has happened yet."""
    async with TelegramDouble(owner=MARA, topics=topics, clock=clock) as telegram:
        config = TelegramConfig(
            token=SecretStr(telegram.token),
            owner_id="1001",
            api_url=telegram.url,
            **options,  # pyright: ignore[reportArgumentType] -- a test's own words
        )
        scene = Scene(telegram=telegram, config=config, clock=clock or SystemClock(), transcriber=transcriber)
        if connected:
            telegram.world.connects()
        for contact in (JONAS, DANA):
            telegram.world.opens_window(contact)
        await scene.start()
        await scene.settle()
        scene.desk.asked.clear()
        telegram.requests.clear()
        telegram.world.messages["bot", MARA["id"]].clear()
        try:
            yield scene
        finally:
            await scene.stop()
        assert telegram.wrong == []
