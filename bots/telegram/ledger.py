"""Which updates are safe with core: what Telegram may be told, and no more."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

MOST_REMEMBERED = 5000


class Ledger:
    """Updates by number. One is done when each of its events was acknowledged, or it had none."""

    def __init__(self, next_id: int | None = None) -> None:
        self._waiting: OrderedDict[int, list[str] | None] = OrderedDict()
        """The keys that are not acknowledged yet; None while it is not known what the update means."""
        self._done: OrderedDict[int, None] = OrderedDict()
        self._next = next_id
        self._changed = asyncio.Condition()

    @property
    def offset(self) -> int | None:
        """The first update that Telegram must keep; None where nothing is known."""
        return min(self._waiting) if self._waiting else self._next

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def take(self, update_id: int) -> bool:
        """Note an update; False for one that is known, waiting or done."""
        if update_id in self._waiting or update_id in self._done:
            return False
        self._waiting[update_id] = None
        self._next = update_id + 1
        return True

    async def expect(self, update_id: int, keys: Sequence[str]) -> None:
        """The update became these events; none at all is as good as acknowledged."""
        self._waiting[update_id] = list(keys)
        await self._settle(update_id)

    async def acknowledge(self, key: str) -> None:
        """One event is safe. Of a key that came with several updates, the oldest is meant."""
        for update_id, keys in self._waiting.items():
            if keys and key in keys:
                keys.remove(key)
                await self._settle(update_id)
                return

    async def until_idle(self, seconds: float) -> None:
        """Wait until every update is done, or for so long."""
        await self._wait(lambda: self.is_idle, seconds)

    async def until_done(self, update_id: int, seconds: float) -> bool:
        """Whether the update was done within so many seconds."""
        await self._wait(lambda: update_id not in self._waiting, seconds)
        return update_id not in self._waiting

    async def _wait(self, is_over: Callable[[], bool], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(is_over)

    async def _settle(self, update_id: int) -> None:
        if self._waiting[update_id] == []:
            del self._waiting[update_id]
            self._done[update_id] = None
            if len(self._done) > MOST_REMEMBERED:
                self._done.popitem(last=False)
        async with self._changed:
            self._changed.notify_all()
