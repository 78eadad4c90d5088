"""The one road to Postgres: connections that act for one owner, and a sweeper's that acts for none.

The application is never superuser nor table owner while it works: each connection takes the role
`locum_app` (or `locum_sweep`) as it starts, and row-level security shows it one owner's rows. On
the embedded server it also logs in as that role, so that no statement can step back out of it; a
managed server gives Locum one login, the tables' owner, whom forced row-level security binds too.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import psycopg
from pgvector.psycopg import register_vector_async
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.errors import StorageError
from core.ids import OwnerId

Connection = psycopg.AsyncConnection[TupleRow]

First = TypeVar("First")
Second = TypeVar("Second")


MOST_PREPARED = 300
"""Statements that one connection keeps prepared: room for all that a running Locum asks over and over."""


async def _configure(connection: Connection) -> None:
    connection.prepare_threshold, connection.prepared_max = 1, MOST_PREPARED
    await register_vector_async(connection)


def _pool(conninfo: str, *, role: str, most: int) -> AsyncConnectionPool[Connection]:
    return AsyncConnectionPool(
        make_conninfo(
            conninfo,
            options=f"-c role={role} -c search_path=locum,public -c timezone=UTC"
            " -c idle_in_transaction_session_timeout=60s",
            application_name=f"locum ({role})",
        ),
        min_size=1,
        max_size=most,
        open=False,
        kwargs={"autocommit": True},  # `owner` and `sweep` begin the transactions
        configure=_configure,
        timeout=30,
    )


class Database:
    """A migrated database. Open with `async with Database(conninfo) as database`."""

    def __init__(self, admin_conninfo: str, *, most_connections: int = 8, own_logins: bool = False) -> None:
        def login(role: str) -> str:
            return make_conninfo(admin_conninfo, user=role) if own_logins else admin_conninfo

        self._app = _pool(login("locum_app"), role="locum_app", most=most_connections)
        self._sweep = _pool(login("locum_sweep"), role="locum_sweep", most=2)

    async def __aenter__(self) -> Self:
        try:
            await self._app.open(wait=True, timeout=30)
            await self._sweep.open(wait=True, timeout=30)
        except PoolTimeout as error:
            await self.close()
            raise StorageError(
                "Postgres cannot be reached, or was not migrated: run 'locum migrate'."
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._app.close()
        await self._sweep.close()

    @asynccontextmanager
    async def owner(self, owner_id: OwnerId) -> AsyncGenerator[Connection]:
        """A transaction that sees and writes this owner's rows only; committed on leaving."""
        async with self._app.connection() as connection:
            await connection.execute(
                sql.SQL("BEGIN; SELECT set_config('locum.owner_id', {}, true)").format(str(owner_id)),
                prepare=False,  # two statements
            )
            yield connection

    @asynccontextmanager
    async def sweep(self) -> AsyncGenerator[Connection]:
        """A transaction that sees what is unfinished across owners: ids and times, never text."""
        async with self._sweep.connection() as connection:
            await connection.execute("BEGIN")
            yield connection


async def side_by_side(
    first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]
) -> tuple[First, Second]:
    """Both results; when one fails the other is stopped, and the failure is raised as it is, in no group."""
    both = asyncio.ensure_future(first), asyncio.ensure_future(second)
    try:
        one_result, other_result = await asyncio.gather(*both)
        return one_result, other_result
    finally:
        for one in both:
            one.cancel()
        await asyncio.gather(*both, return_exceptions=True)
