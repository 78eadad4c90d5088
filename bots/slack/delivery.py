"""What Slack brings, and when it is told that it arrived: only after core has all that came of it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bots.mailbox import Mailbox
from bots.slack.web import Json
from core.events import Event

Confirm = Callable[[], Awaitable[None]]


@dataclass(slots=True, kw_only=True, eq=False)
class Delivery:
    """One envelope, or one HTTP request."""

    kind: Literal["events_api", "interactive"]
    payload: Json
    confirm: Confirm
    confirmed: bool = field(default=False, init=False)

    async def done(self) -> None:
        """Tell Slack, once."""
        if not self.confirmed:
            self.confirmed = True
            await self.confirm()


class Deliveries:
    """The events that wait for core, and the deliveries that wait for their events."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._open: dict[str, deque[tuple[Delivery, list[int]]]] = {}
        self._late: set[asyncio.Task[None]] = set()

    async def put(self, delivery: Delivery | None, events: Sequence[Event]) -> None:
        """Hand events to core. A delivery that became none is confirmed at once."""
        if delivery is not None and not events:
            await delivery.done()
        left = [len(events)]
        for event in events:
            if delivery is not None:
                self._open.setdefault(event.key, deque()).append((delivery, left))
            self._mailbox.put(event)

    async def acknowledge(self, event: Event) -> None:
        self._mailbox.acknowledge(event)
        waiting = self._open.get(event.key)
        if not waiting:
            return
        delivery, left = waiting.popleft()
        if not waiting:
            del self._open[event.key]
        left[0] -= 1
        if left[0] == 0:
            await delivery.done()

    def confirm_late(self, delivery: Delivery, seconds: float) -> None:
        """Confirm by then in any case: the owner would be shown an error otherwise."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            await delivery.done()

        task = asyncio.create_task(wait())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def stop(self) -> None:
        for task in tuple(self._late):
            task.cancel()
