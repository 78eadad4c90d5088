"""Events that wait for their acknowledgement: what a bot keeps when its platform keeps nothing."""

import asyncio
from collections.abc import AsyncGenerator

from core.events import Event


class Mailbox:
    """Every event in the order it came, at least once, and again after a stop until acknowledged."""

    def __init__(self) -> None:
        self._waiting: dict[int, Event] = {}
        self._deliveries = 0
        self._open = False
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> tuple[Event, ...]:
        """The events that nobody has acknowledged yet, oldest first."""
        return tuple(self._waiting.values())

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False
        self._changed.set()

    def put(self, event: Event) -> None:
        """Deliver an event. One put twice is delivered twice, and acknowledged twice."""
        self._deliveries += 1
        self._waiting[self._deliveries] = event
        self._changed.set()

    def acknowledge(self, event: Event) -> None:
        """Forget the oldest delivery of that event; one that is not waiting is ignored."""
        for delivery, waiting in self._waiting.items():
            if waiting.key == event.key:
                del self._waiting[delivery]
                return

    async def events(self) -> AsyncGenerator[Event]:
        """What waits, then what comes, until the mailbox is closed."""
        given = 0
        while self._open:
            self._changed.clear()
            for delivery, event in tuple(self._waiting.items()):
                if delivery > given and delivery in self._waiting:
                    given = delivery
                    yield event
            if self._open and not any(delivery > given for delivery in self._waiting):
                await self._changed.wait()
