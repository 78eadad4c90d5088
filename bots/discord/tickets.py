"""What one command or press entitles us to: answers for 15 minutes, where the bot itself is not.

A ticket is written down, so that a restart does not cost the owner the answer; it is worthless after
its time, and removed then.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from bots.discord.raw import Raw, part
from bots.discord.rest import FOLLOW_UPS, Address, at
from core.bot import BotState
from core.clock import Clock

EPHEMERAL = 1 << 6
"""The flag of what only the one who pressed can see."""

LIFE = timedelta(minutes=14, seconds=30)
"""Discord's 15 minutes, less what a call takes."""
USER_INSTALLED = 5
"""Follow-ups of an app that only the user has installed."""
MANY = 1000
ORIGINAL = "@original"


class Ticket(BaseModel):
    """One interaction that can still be answered."""

    id: str
    application: str
    token: str = Field(repr=False)
    chat: str
    until: datetime
    left: int
    """How many follow-ups Discord still takes."""
    posts: bool = False
    """The owner pressed to post: what is said with it, everybody in the chat sees."""

    @property
    def follow_ups(self) -> Address:
        return at(FOLLOW_UPS, webhook_id=self.application, webhook_token=self.token)

    def message(self, message: str) -> Address:
        """One of our answers. `@original`, the first, is part of the path: escaped, not every server knows it."""
        if message == ORIGINAL:
            return Address(f"{FOLLOW_UPS}/messages/{ORIGINAL}", self.follow_ups.inside)
        return Address(
            f"{FOLLOW_UPS}/messages/{{message_id}}", {**self.follow_ups.inside, "message_id": message}
        )


class Tickets:
    def __init__(self, state: BotState, clock: Clock) -> None:
        self._state, self._clock = state, clock
        self._kept: dict[str, Ticket] = {}

    async def load(self) -> None:
        for key in await self._state.keys("ticket:"):
            written = await self._state.get(key)
            if written:
                ticket = Ticket.model_validate_json(written)
                self._kept[ticket.id] = ticket
        await self.sweep()

    async def keep(self, interaction: Raw, *, posts: bool = False) -> Ticket:
        """The ticket of an interaction that was answered. One that is replayed gets no new time."""
        if str(interaction["id"]) in self._kept:
            return self._kept[str(interaction["id"])]
        installed = part(interaction, "authorizing_integration_owners")
        ticket = Ticket(
            id=str(interaction["id"]),
            application=str(interaction["application_id"]),
            token=str(interaction["token"]),
            chat=str(interaction["channel_id"]),
            until=self._clock.now() + LIFE,
            left=USER_INSTALLED if "0" not in installed else MANY,
            posts=posts,
        )
        await self._write(ticket)
        await self.sweep()
        return ticket

    def get(self, ticket: str) -> Ticket | None:
        found = self._kept.get(ticket)
        return found if found and found.until > self._clock.now() else None

    def for_posting(self, chat: str) -> Ticket | None:
        """The owner's latest press on "Post as the app" in that very chat."""
        live = [t for t in self._kept.values() if t.posts and t.chat == chat and t.until > self._clock.now()]
        return max(live, key=lambda ticket: ticket.until, default=None)

    async def spend(self, ticket: Ticket) -> None:
        """One follow-up is about to be used: counted before, so that a crash can't make it two."""
        ticket.left -= 1
        await self._write(ticket)

    async def sweep(self) -> None:
        now = self._clock.now()
        for ticket in [ticket for ticket in self._kept.values() if ticket.until <= now]:
            del self._kept[ticket.id]
            await self._state.remove(f"ticket:{ticket.id}")

    async def _write(self, ticket: Ticket) -> None:
        self._kept[ticket.id] = ticket
        await self._state.put(f"ticket:{ticket.id}", ticket.model_dump_json())
