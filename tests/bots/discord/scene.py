"""A bot on its double, and core's side of it: what is delivered is kept, and acknowledged like a commit."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bots.discord.bot import DiscordBot
from bots.discord.raw import Raw
from bots.doubles.discord import FakeDiscord
from core.bot import Card, CardDraft
from core.desk import DeskDraft
from core.errors import PlatformError
from core.events import ChatRef, Event
from core.vocabulary import Intent
from tests.contract.discord_platform import Discord

E = TypeVar("E", bound=Event)
LONG = 5.0
QUIET = 0.02


@dataclass(slots=True, kw_only=True)
class Core:
    """What core has of one bot: everything committed, in the order it came."""

    bot: DiscordBot
    server: FakeDiscord
    seen: list[Event] = field(default_factory=list[Event])
    offered: list[Event] = field(default_factory=list[Event])
    """What the bot handed over, committed or not."""
    failure: PlatformError | None = None
    takes: Callable[[Event], bool] = lambda _: True
    """Whether an event is committed; one that is not stays with the bot."""

    async def listen(self) -> None:
        try:
            async for event in self.bot.events():
                self.offered.append(event)
                if self.takes(event):
                    self.seen.append(event)
                    await self.bot.acknowledge(event)
        except PlatformError as error:
            self.failure = error

    async def listen_for(self, seconds: float) -> None:
        """Ask for the events anew, as the host does after a start."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.listen(), seconds)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]

    async def until(self, condition: Callable[[], object]) -> None:
        await until(condition)

    async def wait_for(self, kind: type[E], count: int = 1) -> list[E]:
        await until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    async def quiet(self) -> None:
        """Until Discord has told everything, and the bot has handed over all that it became."""
        known = -1
        async with asyncio.timeout(LONG):
            while known != len(self.offered) or not (self.failure or self._is_idle()):
                known = len(self.offered)
                await asyncio.sleep(QUIET)

    def _is_idle(self) -> bool:
        # A pause in which nothing comes proves nothing on a busy machine; what the bot has in hand does.
        bot: Any = self.bot
        session = self.server.sessions.get(bot._progress.session)
        return (
            session is not None
            and bot._progress._seen >= len(session.log)
            and bot._session._filling is None
            and not bot._intake.lanes._last
            and {event.key for event in bot._mailbox.waiting} <= {event.key for event in self.offered}
        )


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 -- the condition is anybody's
            await asyncio.sleep(0.01)


@dataclass(slots=True, kw_only=True)
class Scene(Discord):
    """The double with people in it; processes of the bot come and go."""

    guild: str = ""
    channel: str = ""

    def furnish(self) -> None:
        self.guild = self.server.add_guild("Climbing")
        self.channel = self.server.add_channel("general", self.guild)

    @property
    def jonas(self) -> str:
        return self.people["jonas"]

    @property
    def dana(self) -> str:
        return self.people["dana"]

    @property
    def with_jonas(self) -> str:
        return self.server.dm_with_bot(self.jonas)

    @asynccontextmanager
    async def running(self, **changed: Any) -> AsyncGenerator[Core]:
        """One process of the bot, from start to stop; a later one shares the state and nothing else."""
        self.bot = self.new_bot(**changed)
        core = Core(bot=self.bot, server=self.server)
        await self.bot.start()
        listening = asyncio.create_task(core.listen())
        try:
            yield core
        finally:
            await self.bot.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(listening, LONG)

    def card(self, chat: ChatRef, *texts: str, key: str = "card-1-1", ticket: str = "", **more: Any) -> Card:
        """A slate; its drafts are open on the desk."""
        drafts = tuple(
            CardDraft(draft=number, text=text, intent=Intent.INFORM, origin="model", confidence=0.5)
            for number, text in enumerate(texts, start=17)
        )
        for draft in drafts:
            self.desk.drafts[draft.draft] = DeskDraft(draft=draft.draft, chat=chat, text=draft.text)
        given: dict[str, Any] = {"chat_title": "Jonas", "incoming": ()}
        return Card(key=key, chat=chat, drafts=drafts, ticket=ticket, **given | more)

    def in_control(self) -> list[Raw]:
        """What the bot wrote to the owner, oldest first."""
        return self.server.standing_in(self.control, by=self.server.bot)

    def button(self, message: Raw, label: str) -> str:
        """The id of the button whose label starts so."""
        rows = message["components"]
        return next(b["custom_id"] for row in rows for b in row["components"] if b["label"].startswith(label))


@asynccontextmanager
async def scene(**options: Any) -> AsyncGenerator[Scene]:
    async with FakeDiscord(**options) as server:
        made = Scene(server=server)
        made.furnish()
        for name, user in made.people.items():
            known = json.dumps({"id": user, "name": name.capitalize()})
            await made.state.put(f"direct:{made.chat(name).chat}", known)
        yield made
