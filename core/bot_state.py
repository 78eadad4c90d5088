"""What a bot remembers, in Postgres: small values by key, one account's alone; and who hosts the account."""

import os
import socket

from core.ids import AccountId, OwnerId
from core.storage.database import Database


class PostgresState:
    """A bot's state in `bot_state`; see `core.bot.BotState`."""

    def __init__(self, database: Database, owner_id: OwnerId, account_id: AccountId) -> None:
        self._database, self._owner_id, self._account_id = database, owner_id, account_id

    async def get(self, key: str) -> str | None:
        async with self._database.owner(self._owner_id) as connection:
            cursor = await connection.execute(
                "SELECT value FROM bot_state WHERE owner_id = %s AND account_id = %s AND key = %s",
                [self._owner_id, self._account_id, key],
            )
            row = await cursor.fetchone()
        return str(row[0]) if row else None

    async def put(self, key: str, value: str) -> None:
        async with self._database.owner(self._owner_id) as connection:
            await connection.execute(
                """
                INSERT INTO bot_state (owner_id, account_id, key, value) VALUES (%s, %s, %s, %s)
                ON CONFLICT (owner_id, account_id, key) DO UPDATE
                SET value = EXCLUDED.value, changed_at = now()""",
                [self._owner_id, self._account_id, key, value],
            )

    async def remove(self, key: str) -> None:
        async with self._database.owner(self._owner_id) as connection:
            await connection.execute(
                "DELETE FROM bot_state WHERE owner_id = %s AND account_id = %s AND key = %s",
                [self._owner_id, self._account_id, key],
            )

    async def keys(self, prefix: str) -> tuple[str, ...]:
        async with self._database.owner(self._owner_id) as connection:
            cursor = await connection.execute(
                """
                SELECT key FROM bot_state WHERE owner_id = %s AND account_id = %s AND starts_with(key, %s)
                ORDER BY key""",
                [self._owner_id, self._account_id, prefix],
            )
            return tuple(str(row[0]) for row in await cursor.fetchall())


LEASE_SECONDS = 45
"""How long an account stays held by a process that says nothing more; it says so three times as often."""


def holder_of_this_process() -> str:
    return f"{socket.gethostname()}/{os.getpid()}"


def _is_dead(holder: str) -> bool:
    """True for a process of this machine that is gone; of other machines nobody can tell."""
    host, _, process = holder.rpartition("/")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Lease:
    """One process hosts an account's bot; a second one waits until the first lets go, dies or falls silent."""

    def __init__(self, database: Database, owner_id: OwnerId, account_id: AccountId, holder: str) -> None:
        self._database, self._owner_id, self._account_id, self._holder = (
            database,
            owner_id,
            account_id,
            holder,
        )

    async def take(self) -> bool:
        """Whether the account is held by us now, for the next `LEASE_SECONDS`; called again to stay so."""
        async with self._database.owner(self._owner_id) as connection:
            cursor = await connection.execute(
                """
                SELECT value FROM bot_state WHERE owner_id = %s AND account_id = %s AND key = 'host' FOR UPDATE""",
                [self._owner_id, self._account_id],
            )
            row = await cursor.fetchone()
            dead = str(row[0]) if row is not None and _is_dead(str(row[0])) else ""
            cursor = await connection.execute(
                """
                INSERT INTO bot_state (owner_id, account_id, key, value, changed_at)
                VALUES (%s, %s, 'host', %s, clock_timestamp())
                ON CONFLICT (owner_id, account_id, key) DO UPDATE
                SET value = EXCLUDED.value, changed_at = clock_timestamp()
                WHERE bot_state.value IN (EXCLUDED.value, %s)
                   OR bot_state.changed_at < clock_timestamp() - make_interval(secs => %s)""",
                [self._owner_id, self._account_id, self._holder, dead, LEASE_SECONDS],
            )
            return cursor.rowcount == 1

    async def let_go(self) -> None:
        async with self._database.owner(self._owner_id) as connection:
            await connection.execute(
                """
                DELETE FROM bot_state WHERE owner_id = %s AND account_id = %s AND key = 'host' AND value = %s""",
                [self._owner_id, self._account_id, self._holder],
            )
