"""A running bot with a listener in core's place: it takes every event and acknowledges it."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from bots.doubles.slack import SlackDouble
from bots.slack.bot import SlackBot
from core.bot import Card, CardDraft, Evidence
from core.desk import DeskDraft
from core.errors import PlatformError
from core.events import DraftAction, Event, MessageNew
from core.vocabulary import Intent
from tests.bots.standins import MemoryDesk
from tests.contract.slack_platform import Slack

LONG = 6.0
E = TypeVar("E")


async def until(true: Callable[[], object], seconds: float = LONG) -> None:
    """Wait until something is true; fail when it never is."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 -- nobody tells when
            await asyncio.sleep(0.01)


class Life:
    """One life of the bot, from start to stop."""

    def __init__(self, workspace: Slack, *, bot: SlackBot | None = None) -> None:
        self.workspace, self.bot = workspace, bot or workspace.bot
        self.double: SlackDouble = workspace.double
        self.desk: MemoryDesk = workspace.desk
        self.seen: list[Event] = []
        """Every event as it was handed over, repeats too."""
        self.acknowledging = True
        self.ended_with: PlatformError | None = None
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.bot.start()
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.bot.stop()
        if self._listening is not None:
            await asyncio.wait_for(self._listening, LONG)

    async def _listen(self) -> None:
        try:
            async for event in self.bot.events():
                self.seen.append(event)
                if self.acknowledging:
                    await self.bot.acknowledge(event)
        except PlatformError as error:
            self.ended_with = error

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.of(MessageNew)]

    async def sees(self, kind: type[E], count: int = 1) -> list[E]:
        """So many events of a kind, waited for."""
        await until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    async def quiet(self) -> None:
        """Everything that was brought is confirmed, so that nothing more comes of it."""
        await until(lambda: not self.double.unconfirmed)
        await asyncio.sleep(0.02)

    # ─── cards ───────────────────────────────────────────────────────────────────────────────

    def card(self, *texts: str, key: str = "card-1", ticket: str = "", **changed: Any) -> Card:
        """A card for Jonas; its drafts are open on the desk, numbered from 41."""
        chat = changed.pop("chat", self.workspace.chat("jonas"))
        incoming: tuple[Evidence, ...] = changed.pop("incoming", ())
        drafts = tuple(
            CardDraft(draft=number, text=text, intent=Intent.INFORM, origin="model", confidence=0.7)
            for number, text in enumerate(texts, start=41)
        )
        for draft in drafts:
            self.desk.drafts[draft.draft] = DeskDraft(draft=draft.draft, chat=chat, text=draft.text)
        return Card(
            key=key, chat=chat, chat_title="Jonas", incoming=incoming, drafts=drafts, ticket=ticket, **changed
        )

    async def pressed(self, count: int = 1) -> list[DraftAction]:
        return await self.sees(DraftAction, count)
