"""The board on Postgres: each look is one short transaction of the owner's."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import psycopg
from psycopg_pool import PoolTimeout

from bots.console.board import Acquaintance, ChatView, DeskCard, Health, Memory, OpenedChat, Stage, Switches
from bots.console.read_cards import read_cards, read_why
from bots.console.read_chats import open_chat, read_acquaintances, read_chat, read_switches
from bots.console.read_memory import read_memory
from core.errors import StorageError
from core.events import Person
from core.ids import ChatId, ContactId, FactId, OwnerId, TurnId
from core.memory.facts import bury_fact, correct_fact, hide_fact, pin_fact
from core.policy import pause, set_kill_switch, set_mode
from core.storage.database import Connection, Database
from core.training_status import TrainingStatus, read_training
from core.vocabulary import Mode

Probe = Callable[[], Awaitable[Health]]
"""Asks one service or model how it is; answers fast, and never raises."""


class PostgresBoard:
    """What the pages show of one owner. `probes` tell of what is not Postgres: Redis, the models."""

    def __init__(
        self, database: Database, owner_id: OwnerId, account: str, probes: Sequence[Probe] = ()
    ) -> None:
        self._database = database
        self._owner_id = owner_id
        self._account = account
        self._probes = tuple(probes)

    @asynccontextmanager
    async def _look(self) -> AsyncGenerator[Connection]:
        try:
            async with self._database.owner(self._owner_id) as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise StorageError("Postgres does not answer. Is it running? Locum keeps trying.") from error

    async def acquaintances(self) -> tuple[Acquaintance, ...]:
        async with self._look() as connection:
            return await read_acquaintances(connection, self._owner_id, self._account)

    async def open_chat(self, person: Person, contact_id: ContactId | None) -> OpenedChat:
        async with self._look() as connection:
            return await open_chat(connection, self._owner_id, self._account, person, contact_id)

    async def chat(self, chat_id: ChatId) -> ChatView:
        async with self._look() as connection:
            return await read_chat(connection, self._owner_id, chat_id)

    async def cards(self) -> tuple[DeskCard, ...]:
        async with self._look() as connection:
            return await read_cards(connection, self._owner_id)

    async def why(self, turn_id: TurnId) -> tuple[Stage, ...]:
        async with self._look() as connection:
            return await read_why(connection, self._owner_id, turn_id)

    async def memory(self, contact_id: ContactId) -> Memory:
        async with self._look() as connection:
            return await read_memory(connection, self._owner_id, contact_id)

    async def training(self) -> TrainingStatus:
        async with self._look() as connection:
            return await read_training(connection, self._owner_id)

    async def correct_fact(self, fact_id: FactId, statement: str) -> None:
        async with self._look() as connection:
            await correct_fact(connection, self._owner_id, fact_id, statement)

    async def pin_fact(self, fact_id: FactId, *, pinned: bool) -> None:
        async with self._look() as connection:
            await pin_fact(connection, self._owner_id, fact_id, pinned=pinned)

    async def hide_fact(self, fact_id: FactId, *, hidden: bool) -> None:
        async with self._look() as connection:
            await hide_fact(connection, self._owner_id, fact_id, hidden=hidden)

    async def remove_fact(self, fact_id: FactId) -> None:
        async with self._look() as connection:
            await bury_fact(connection, self._owner_id, fact_id)

    async def switches(self) -> Switches:
        async with self._look() as connection:
            return await read_switches(connection, self._owner_id)

    async def health(self) -> Sequence[Health]:
        async with self._look() as connection:
            cursor = await connection.execute(
                "SELECT count(*) FROM messages WHERE owner_id = %s", [self._owner_id]
            )
            row = await cursor.fetchone()
        stored = Health(name="Memory store", state="ready", detail=f"{row[0] if row else 0:,} messages")
        return [stored, *[await probe() for probe in self._probes]]

    async def set_mode(self, chat_id: ChatId, mode: Mode) -> None:
        async with self._look() as connection:
            await set_mode(connection, self._owner_id, chat_id, mode)

    async def pause(self, until: datetime | None) -> None:
        async with self._look() as connection:
            await pause(connection, self._owner_id, until)

    async def set_kill_switch(self, *, on: bool) -> None:
        async with self._look() as connection:
            await set_kill_switch(connection, self._owner_id, on=on)
