"""Running Locum: bots, workers and memory's upkeep in one process, or each in its own."""

import asyncio
import os
import signal
import socket
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console

from bots.accounts import all_logins, named
from bots.console.board import Health
from bots.console.bot import PLATFORM, ConsoleBot
from bots.console.pages import build_app
from bots.console.postgres_board import PostgresBoard, Probe
from bots.console.run import check_port, serve
from bots.hosting import Fares, Hosting, State
from bots.platforms import open_host
from core.clock import SystemClock
from core.memory.changeover import ServingEmbedder
from core.memory.people import ensure_account
from core.memory.upkeep import keep_memory
from core.models.choose import open_stored_embedder, start_embedder, start_generator
from core.models.loading import BackgroundEmbedder, BackgroundGenerator
from core.models.outside import leaves_machine, outside_models
from core.models.transcribe import open_transcriber
from core.nights import keep_nights, nightly
from core.purging import keep_purged
from core.reply.adapters import keep_adapters
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import read_account
from core.reply.timing import disclosure, timing
from core.reply.worker import announce_lane, run_workers
from core.runtime import Locum, open_expert_of, open_teachers
from core.storage.live import publish
from core.terminal import said

Part = Literal["worker", "console", "bots"]

out = Console(stderr=True)

_told: dict[str, int] = {}
"""The last tenth of each job that the terminal was told of."""


async def run(locum: Locum, only: Part | None) -> None:
    """Run until the process is told to stop."""
    # NiceGUI looks through all living objects for its server, and so touches torch's deprecated names.
    warnings.filterwarnings("ignore", "`torch.distributed.reduce_op`", FutureWarning)
    _stop_on_signals()
    if only in (None, "console"):
        check_port(locum.settings.console_host, locum.settings.console_port)
    night = nightly(locum.settings)
    works = only in (None, "worker")
    async with (
        _models(locum, wanted=works) as models,
        open_expert_of(locum, wanted=works) as expert,
        asyncio.TaskGroup() as tasks,
    ):
        serving = (
            ServingEmbedder(models[0], partial(open_stored_embedder, locum.settings)) if models else None
        )
        path = ReplyPath(
            database=locum.database,
            embedder=serving,
            generator=models[1] if models else None,
            expert=expert,
            clock=SystemClock(),
            timing=timing(locum.settings),
            outside=outside_models(locum.settings),
            disclosure=disclosure(locum.settings),
            tell=lambda owner_id, topic: publish(locum.redis, owner_id, topic),
            worker=f"{socket.gethostname()}-{os.getpid()}",
        )
        if models:
            teachers = await open_teachers(locum)
            tasks.create_task(run_workers(path, locum.redis))
            tasks.create_task(keep_adapters(locum.database, models[1]))
            tasks.create_task(keep_purged(locum, path.clock))
            tasks.create_task(keep_nights(night, lambda sentence: out.print(said(sentence))))
            tasks.create_task(
                keep_memory(
                    locum.database,
                    models[0],
                    teachers,
                    _show_progress,
                    teacher_outside=leaves_machine(locum.settings.teacher_url),
                    serving=serving,
                )
            )
        hosting = Hosting(
            announce=lambda lane: announce_lane(locum.redis, lane),
            redis=locum.redis,
            tell=lambda sentence: out.print(said(sentence)),
        )
        if only != "worker":
            await _host_platforms(locum, path, hosting, tasks)
        if only in (None, "console"):
            tasks.create_task(_run_console(locum, path, models, hosting))
        else:
            out.print("Working. Stop with Ctrl-C.")
        await asyncio.get_running_loop().create_future()


def _stop_on_signals() -> None:
    """SIGTERM ends the process as Ctrl-C does: tasks are cancelled, servers are left in order."""
    main = asyncio.current_task()
    if main is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)


@asynccontextmanager
async def _models(
    locum: Locum, *, wanted: bool
) -> AsyncGenerator[tuple[BackgroundEmbedder, BackgroundGenerator] | None]:
    """The models, loading in the background; None where this process uses none."""
    if not wanted:
        yield None
        return
    embedder, generator = start_embedder(locum.settings), start_generator(locum.settings)
    try:
        yield embedder, generator
    finally:
        await embedder.close()
        await generator.close()


async def _host_platforms(locum: Locum, path: ReplyPath, hosting: Hosting, tasks: asyncio.TaskGroup) -> None:
    """A bot for each account on a chat platform; one that cannot be opened is shown, and tried again."""
    async with locum.database.owner(locum.owner_id) as connection:
        logins = await all_logins(connection, locum.owner_id, locum.settings)
    transcriber = open_transcriber(locum.settings)
    for name, login in named(logins).items():
        hosting.expect(name)
        tasks.create_task(
            hosting.keep(name, lambda login=login: open_host(locum, path, hosting, login, transcriber))
        )


async def _run_console(
    locum: Locum,
    path: ReplyPath,
    models: tuple[BackgroundEmbedder, BackgroundGenerator] | None,
    hosting: Hosting,
) -> None:
    settings, owner_id = locum.settings, locum.owner_id
    bot = ConsoleBot(settings.owner)
    async with locum.database.owner(owner_id) as connection:
        account_id = await ensure_account(connection, owner_id, PLATFORM, bot.account, bot.account)
        account = await read_account(connection, owner_id, account_id)
    host = BotHost(bot=bot, account=account, path=path)
    board = PostgresBoard(
        locum.database, owner_id, bot.account, (*_probes(locum.redis, models), *_platform_probes(hosting))
    )
    app = build_app(bot, board, owner_name=account.owner_name)

    async def announce(lane: Lane) -> None:
        await announce_lane(locum.redis, lane)

    async with serve(app, host=settings.console_host, port=settings.console_port) as console:
        out.print(f"\nLocum is up. Open this link, once:\n\n    [bold]{console.login_link()}[/bold]\n")
        await host.run(announce, redis=locum.redis)


def _probes(redis: Redis, models: tuple[BackgroundEmbedder, BackgroundGenerator] | None) -> tuple[Probe, ...]:
    async def ask_redis() -> Health:
        try:
            await redis.ping()  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
        except RedisError:
            return Health(
                name="Wake-ups", state="trouble", detail="Redis does not answer; replies come slower"
            )
        return Health(name="Wake-ups", state="ready", detail="Redis answers")

    def ask_model(name: str, model: BackgroundEmbedder | BackgroundGenerator) -> Probe:
        async def ask() -> Health:
            return Health(
                name=name,
                state="trouble" if model.state.kind == "failed" else model.state.kind,
                detail=model.state.sentence,
            )

        return ask

    if models is None:
        return (ask_redis,)
    return (ask_redis, ask_model("Embeddings", models[0]), ask_model("Language model", models[1]))


def _platform_probes(hosting: Hosting) -> tuple[Probe, ...]:
    states: dict[State, Literal["ready", "loading", "trouble"]] = {
        "starting": "loading",
        "up": "ready",
        "trouble": "trouble",
    }

    def ask(fares: Fares) -> Probe:
        async def answer() -> Health:
            return Health(name=fares.name, state=states[fares.state], detail=fares.sentence)

        return answer

    return tuple(ask(fares) for fares in hosting.fares.values())


def _show_progress(what: str, done: int, total: int) -> None:
    """Ten lines of each job at most: memory fills while the page is open already."""
    tenth = done * 10 // max(total, 1)
    if done == total or tenth > _told.get(what, 0):
        _told[what] = tenth % 10
        out.print(f"[dim]memory: {what} {done}/{total}[/dim]")
