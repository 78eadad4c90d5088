"""Servers go away, connections are cut, workers stop for a while: the processes recover by themselves."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis

from core.events import Author
from core.storage import embedded_redis
from core.storage.processes import server_process
from tests.faults.claims import await_rest, check
from tests.faults.conftest import SetStage
from tests.faults.life import HURRY, Life, Stage, begin
from tests.faults.script import Script

ACTS = 60


def _act_and(script: Script, disturb: Callable[[], None], chance: random.Random) -> None:
    """People act, and every few acts something is disturbed."""
    for number in range(ACTS):
        script.act()
        time.sleep(chance.uniform(0.01, 0.06))
        if number % 6 == 5:
            disturb()


def _alive(life: Life) -> bool:
    return os.waitpid(life.pid, os.WNOHANG) == (0, 0)


def test_connections_to_postgres_that_are_cut_are_opened_again(set_stage: SetStage, seed: int) -> None:
    """Nothing is restarted: one process lives through all of it."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable
    stage = set_stage(idempotent=False, echo=Author.SELF_AS_OWNER)
    script = Script(stage.world, seed=seed)
    life = begin(stage)
    try:
        _act_and(script, lambda: _cut_connections(stage), chance)
        await_rest(stage)
        assert _alive(life)
    finally:
        life.end()
    check(stage, script)


def _cut_connections(stage: Stage) -> None:
    with psycopg.connect(stage.conninfo, autocommit=True) as connection:
        connection.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'locum%'"""
        )


def test_two_workers_that_stop_for_a_while_do_no_harm(set_stage: SetStage, seed: int) -> None:
    """Each stops past its lease now and then, with a turn in its hands; the host stops, too, with sends in its."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable
    stage = replace(
        set_stage(idempotent=False, echo=Author.SELF_AS_OWNER),
        slow=0.15,
        patience=replace(HURRY, lane=0.25, renew=0.08),
    )
    script = Script(stage.world, seed=seed)
    lives = [
        begin(stage, host=False),
        begin(stage, host=False),
        begin(stage, work=False),
        begin(stage, work=False),
    ]
    try:
        _act_and(script, lambda: _stop_for_a_while(chance.choice(lives), chance), chance)
        await_rest(stage)
        assert all(_alive(life) for life in lives)
    finally:
        for life in lives:
            life.end()
    check(stage, script)


def _stop_for_a_while(life: Life, chance: random.Random) -> None:
    life.signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.1, 0.8))
    life.signal(signal.SIGCONT)


@pytest.fixture
def own_redis(scratch: Path) -> Path:
    """The folder of a Redis that may be killed."""
    return scratch / "redis-of-faults"


def test_a_redis_that_is_emptied_and_killed_loses_nothing(
    set_stage: SetStage, own_redis: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- repeatable
    socket = embedded_redis.start(own_redis)
    stage = replace(set_stage(idempotent=True), redis=socket)
    script = Script(stage.world, seed=seed)
    life = begin(stage)
    try:
        _act_and(script, lambda: _spoil(own_redis, socket, chance), chance)
        embedded_redis.start(own_redis)
        await_rest(stage)
        assert _alive(life)
    finally:
        life.end()
        embedded_redis.stop(own_redis)
    check(stage, script)


def _spoil(folder: Path, socket: Path, chance: random.Random) -> None:
    """Empty it, kill it, or start it again."""
    process = server_process(folder / embedded_redis.PID, folder)
    if process is None:
        embedded_redis.start(folder)
    elif chance.random() < 0.5:
        with redis.Redis(unix_socket_path=str(socket)) as connection:
            connection.flushall()  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
    else:
        process.kill()
        process.wait(10)


def test_without_redis_at_all_the_outbox_and_the_cards_go_on(set_stage: SetStage, tmp_path: Path) -> None:
    """No wake-up comes through, and nobody works: but what was stored is acknowledged and waits."""
    stage = replace(set_stage(auto=False), redis=tmp_path / "nowhere.sock")
    script = Script(stage.world, seed=1)
    script.ask("ines", "are you around later?")
    life = begin(stage, work=False)
    try:
        deadline = time.monotonic() + 10
        while stage.world.unacknowledged():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert _alive(life)
    finally:
        life.end()
    assert asyncio.run(_waiting(stage)) == 1


async def _waiting(stage: Stage) -> int:
    async with await psycopg.AsyncConnection.connect(stage.conninfo) as connection:
        cursor = await connection.execute("SELECT count(*) FROM locum.inbox_events WHERE applied_at IS NULL")
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
