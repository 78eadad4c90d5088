"""What we may do, as core is told of it: in a chat, and in the whole workspace."""

from bots.slack.translate import PLATFORM
from core.bot import BotState
from core.clock import Clock
from core.desk import Desk
from core.events import AccessChanged, ChatRef

REVOKED = "revoked"
"""The state's key: access was lost, and core knows."""


class Access:
    """One account's access. That it was lost is remembered, so that its return can be told."""

    def __init__(self, account: str, state: BotState, desk: Desk, clock: Clock) -> None:
        self._account, self._state, self._desk, self._clock = account, state, desk, clock

    def changed(self, *, can: bool, channel: str = "", key: str = "") -> AccessChanged:
        now = self._clock.now()
        return AccessChanged(
            key=key or f"access:{channel}:{'back' if can else 'gone'}:{now.timestamp()}",
            chat=ChatRef(platform=PLATFORM, account=self._account, chat=channel),
            at=now,
            can_read=can,
            can_send=can,
        )

    async def write_down_loss(self) -> None:
        await self._state.put(REVOKED, self._clock.now().isoformat())
        await self._desk.heard("revoked")

    async def came_back(self) -> AccessChanged | None:
        """The event that tells of it, until `write_down_return`: a crash before core has it must not lose it."""
        if not await self._state.get(REVOKED):
            return None
        return self.changed(can=True)

    async def write_down_return(self) -> None:
        await self._state.remove(REVOKED)
