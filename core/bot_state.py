"""What a bot remembers, in Postgres: small values by key, one account's alone."""

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
