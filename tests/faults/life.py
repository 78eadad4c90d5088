"""Lives of a whole Locum in processes of their own, which are killed for real.

A life is forked from the test's process, where everything is imported already, so that one costs
milliseconds. It runs the host of a durable platform, workers and the sweep against real Postgres.
"""

import asyncio
import mmap
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from redis.asyncio import Redis

from core.clock import SystemClock
from core.ids import AccountId, OwnerId
from core.models.faces import Vectors
from core.reply.apply import Timing
from core.reply.host import BotHost, repeat
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.patience import Patience
from core.reply.situation import read_account
from core.reply.worker import announce_lane, run_workers, unfinished_lanes
from core.storage.database import Database
from tests.faults.platform import DurableBot, DurablePlatform
from tests.standins import HashEmbedder

TIMING = Timing(
    settle=timedelta(milliseconds=60),
    takeover=timedelta(milliseconds=200),
    card=timedelta(hours=24),
    unsend=timedelta(milliseconds=60),
)
HURRY = Patience(
    lane=0.5,
    renew=0.15,
    send=0.5,
    send_timeout=0.3,
    recovery=0.1,
    idle=0.02,
    retry=0.1,
    away=0.05,
    sweep=0.05,
    wakeup=0.1,
    watch=0.03,
)
WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where lives take place: a database, a platform, and what is the same for all of them."""

    conninfo: str
    owner: OwnerId
    account: AccountId
    world: DurablePlatform
    patience: Patience = HURRY
    redis: Path | None = None
    """The socket of a Redis for the wake-ups; None: they are passed on within the process."""
    slow: float = 0.0
    """Seconds that embedding takes."""


class SlowEmbedder(HashEmbedder):
    """Takes its time, so that there is time for things to happen to its worker."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def embed(self, texts: Sequence[str]) -> Vectors:
        await asyncio.sleep(self._seconds)
        return await super().embed(texts)


@dataclass(slots=True)
class Life:
    """One running process. `steps` rises with each step that it takes."""

    pid: int
    steps: mmap.mmap

    @property
    def taken(self) -> int:
        return int.from_bytes(self.steps[:8], "little")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self) -> None:
        """Kill it now, whatever it does."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def wait(self, seconds: float) -> bool:
        """Whether it died by itself within that time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return True
            time.sleep(0.003)
        return False


def dies_at(step: str, occurrence: int = 1) -> Callable[[str], None]:
    """Watches the steps, and kills its process where that one is reached for the n-th time."""
    seen: Counter[str] = Counter()

    def watch(name: str) -> None:
        seen[name] += 1
        if name == step and seen[name] == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


def lives_on(name: str) -> None:
    """Watches, and lets its process live."""
    del name


def begin(
    stage: Stage, on_step: Callable[[str], None] = lives_on, *, host: bool = True, work: bool = True
) -> Life:
    """A new life: the bot's host, workers, or both."""
    sys.stdout.flush()
    steps = mmap.mmap(-1, 8)  # shared with the fork
    pid = os.fork()
    if pid:
        return Life(pid, steps)
    code = 1

    def count(name: str) -> None:
        steps[:8] = (int.from_bytes(steps[:8], "little") + 1).to_bytes(8, "little")
        on_step(name)

    try:
        os.dup2(
            os.open(os.environ.get("LOCUM_FAULTS_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1
        )
        os.dup2(1, 2)
        structlog.reset_defaults()
        asyncio.run(_live(stage, count, host=host, work=work))
        code = 0
    except BaseException:  # noqa: BLE001 -- the fork must never return into the test
        import traceback  # noqa: PLC0415 -- of the child alone

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


async def _live(stage: Stage, on_step: Callable[[str], None], *, host: bool, work: bool) -> None:
    name = f"life-{os.getpid()}"
    async with Database(stage.conninfo, most_connections=6) as database:
        path = ReplyPath(
            database=database,
            embedder=SlowEmbedder(stage.slow) if stage.slow else HashEmbedder(),
            generator=None,
            clock=SystemClock(),
            timing=TIMING,
            worker=name,
            patience=stage.patience,
            on_step=on_step,
        )
        async with database.owner(stage.owner) as connection:
            account = await read_account(connection, stage.owner, stage.account)
        bot_host = BotHost(bot=DurableBot(stage.world, on_step, seed=os.getpid()), account=account, path=path)
        if stage.redis is not None:
            await _through_redis(bot_host, stage.redis, host=host, work=work)
        else:
            await _within(bot_host, host=host, work=work)


async def _through_redis(host_of: BotHost, socket: Path, *, host: bool, work: bool) -> None:
    async with (
        Redis(unix_socket_path=str(socket), decode_responses=True, socket_timeout=30) as redis,
        asyncio.TaskGroup() as tasks,
    ):
        if work:
            tasks.create_task(run_workers(host_of.path, redis))
        if host:
            tasks.create_task(host_of.run(lambda lane: announce_lane(redis, lane)))


async def _within(host_of: BotHost, *, host: bool, work: bool) -> None:
    """Wake-ups go through a queue; the sweep is the real one."""
    lanes: asyncio.Queue[Lane] = asyncio.Queue()
    path = host_of.path

    async def sweep() -> None:
        if lanes.empty():
            for lane in await unfinished_lanes(path.database, path.clock.now(), path.patience.wakeup):
                lanes.put_nowait(lane)

    async def next_lane() -> None:
        await path.work(await lanes.get())

    async with asyncio.TaskGroup() as tasks:
        if host:
            tasks.create_task(host_of.run(_put_into(lanes)))
        if work:
            for _ in range(WORKERS):
                tasks.create_task(repeat("worker", next_lane, path.patience, seconds=0))
            tasks.create_task(repeat("sweep", sweep, path.patience, seconds=path.patience.sweep))


def _put_into(lanes: "asyncio.Queue[Lane]") -> Callable[[Lane], Awaitable[None]]:
    async def put(lane: Lane) -> None:
        lanes.put_nowait(lane)

    return put
