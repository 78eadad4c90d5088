"""Updates on their way to core: in order within each chat, so that no chat waits for another's voice message."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import structlog

from bots.away import outlast
from bots.mailbox import Mailbox
from bots.telegram.api import Json
from bots.telegram.ledger import Ledger
from core.events import Event, Gap

log = structlog.get_logger()

Understand = Callable[[Json], Awaitable[Sequence[Event]]]


class Intake:
    """What came, until core has it."""

    def __init__(
        self, understand: Understand, lost: Callable[[Json], Gap], next_id: int | None = None
    ) -> None:
        self._understand, self._lost = understand, lost
        self._tails: dict[str, asyncio.Task[None]] = {}
        """The last update of each lane."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.mailbox = Mailbox()
        self.ledger = Ledger(next_id)

    def take(self, raw: Json) -> None:
        """Work on an update after those of its lane; one that is known already is ignored."""
        if self.ledger.take(int(raw["update_id"])):
            lane = lane_of(raw)
            task = asyncio.create_task(self._process(raw, self._tails.get(lane)))
            self._tails[lane] = task
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._forget(lane, done))

    async def acknowledge(self, event: Event) -> None:
        self.mailbox.acknowledge(event)
        await self.ledger.acknowledge(event.key)

    async def close(self) -> None:
        """Drop what nobody acknowledged: Telegram has it still."""
        self.mailbox.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, lane: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._tails.get(lane) is task:
            del self._tails[lane]

    async def _process(self, raw: Json, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        events = await self._events(raw)
        await self.ledger.expect(int(raw["update_id"]), [event.key for event in events])
        for event in events:
            self.mailbox.put(event)

    async def _events(self, raw: Json) -> Sequence[Event]:
        """What the update means. One that cannot be read leaves a gap that the owner is told of."""
        try:
            return await outlast(lambda: self._understand(raw), update_id=raw["update_id"])
        except Exception as error:  # noqa: BLE001 -- around one update: it would fail every time, and hold up all others
            log.error("update.unreadable", update_id=raw["update_id"], error=type(error).__name__)  # noqa: TRY400 -- a traceback may quote what was said
            return (self._lost(raw),)


def lane_of(raw: Json) -> str:
    """What must stay in order with the update: its chat, or the person who talks with the bot."""
    for kind, content in raw.items():
        if kind == "update_id" or not isinstance(content, dict):
            continue
        told = cast("Json", content)
        chat, writer = _part(told, "chat"), _part(told, "from")
        if "business" in kind:
            return f"business:{chat.get('id')}"
        if chat.get("type", "private") != "private":
            return f"group:{chat.get('id')}"
        return f"person:{writer.get('id')}"
    return "other"


def _part(told: Json, name: str) -> Json:
    """A part of an update, whatever Telegram made of it."""
    part = told.get(name)
    return cast("Json", part) if isinstance(part, dict) else {}
