"""A whole Locum in one test: a platform in memory, a clock that is moved by hand, real Postgres."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from core.bot import Card
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.people import ensure_account, ensure_source
from core.models.faces import Generator
from core.reply.apply import Timing
from core.reply.expert import Expert
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import read_account
from core.reply.worker import unfinished_lanes
from core.storage.database import Database
from core.vocabulary import SourceKind
from tests.loopback import LoopbackBot
from tests.standins import HashEmbedder

TIMING = Timing(settle=timedelta(seconds=4), takeover=timedelta(minutes=20), card=timedelta(hours=24))


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime | None = None) -> None:
        self._now = at or datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self._now

    def move(self, **by: float) -> None:
        self._now += timedelta(**by)


@dataclass(slots=True, kw_only=True)
class World:
    """One owner, one platform, one worker."""

    database: Database
    owner: OwnerId
    bot: LoopbackBot
    clock: HandClock
    path: ReplyPath
    host: BotHost
    lanes: set[Lane] = field(default_factory=set[Lane])

    @classmethod
    async def open(
        cls,
        database: Database,
        owner: OwnerId,
        *,
        generator: Generator | None = None,
        expert: Generator | None = None,
        platform: str = "loopback",
        idempotent: bool = True,
        echoes: bool = False,
    ) -> Self:
        clock = HandClock()
        bot = LoopbackBot(platform, "mara", idempotent=idempotent, echoes=echoes, clock=clock)
        async with database.owner(owner) as connection:
            account_id = await ensure_account(connection, owner, platform, "mara", "mara")
            account = await read_account(connection, owner, account_id)
            if platform == "console":
                # Simulated talk is no memory to draw on; here it stands for a platform where auto is allowed.
                await ensure_source(connection, owner, SourceKind.CONSOLE, platform, "mara")
        path = ReplyPath(
            database=database,
            embedder=HashEmbedder(),
            generator=generator,
            expert=Expert(model=expert, owner_id=owner) if expert is not None else None,
            clock=clock,
            timing=TIMING,
            worker="worker",
        )
        await bot.start()
        host = BotHost(bot=bot, account=account, path=path)
        return cls(database=database, owner=owner, bot=bot, clock=clock, path=path, host=host)

    async def take_in(self) -> None:
        """Store and acknowledge everything that the platform has for us."""
        for event in self.bot.unacknowledged:
            await self.host.path.receive(self.host.account, event)
            await self.bot.acknowledge(event)
            self.lanes.add(Lane(owner_id=self.owner, account_id=self.host.account.id, chat=event.chat.chat))

    async def pump(self, *, seconds: float = 0) -> None:
        """Let everything happen that is due now, and then what is due after that many seconds."""
        await self._pump()
        if seconds:
            self.clock.move(seconds=seconds)
            await self._pump()

    async def _pump(self) -> None:
        await self.take_in()
        for lane in [*self.lanes, *await unfinished_lanes(self.database, self.clock.now())]:
            await self.path.work(lane)
        self.lanes.clear()
        await self.host.send_due()
        await self.host.show_cards()
        if self.bot.unacknowledged:
            await self._pump()

    async def remember(self, *exchanges: tuple[str, str], chat: str = "ines", days_ago: float = 10) -> None:
        """Past questions of a contact and what the owner typed to them, indexed."""
        started = self.clock.now() - timedelta(days=days_ago)
        for number, (asked, answered) in enumerate(exchanges):
            at = started + timedelta(hours=2 * number)
            self.bot.say(chat, chat, asked, at=at)
            self.bot.owner_types(chat, answered, at=at + timedelta(minutes=1))
        await self.pump(seconds=5)
        await index_messages(self.database, self.owner, HashEmbedder())

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        """Rows of a query that this test's owner sees."""
        async with self.database.owner(self.owner) as connection:
            cursor = await connection.execute(query.encode())
            return list(await cursor.fetchall())

    @property
    def card(self) -> Card:
        """The one card on show."""
        (card,) = self.bot.cards.values()
        return card
