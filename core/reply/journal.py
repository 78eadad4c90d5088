"""What each stage of the reply path decided, and why: the answer to `locum why`."""

import time
from dataclasses import dataclass, field

from psycopg.types.json import Jsonb

from core.ids import OwnerId
from core.reply.turns import Turn
from core.storage.database import Connection


def counted(count: int, what: str, several: str = "") -> str:
    """How many, in the number that fits: `1 memory`, `2 memories`."""
    return f"{count} {what if count == 1 else several or f'{what}s'}"


Why = dict[str, str | int | float | bool | list[str] | list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    stage: str
    decided: str
    why: Why
    took_ms: float


@dataclass(slots=True)
class Journal:
    """The stages of one turn as they are passed; written in the transaction that ends the turn."""

    entries: list[Entry] = field(default_factory=list[Entry])
    _since: float = field(default_factory=time.perf_counter)

    def note(self, stage: str, decided: str, **why: str | float | bool | list[str] | list[int]) -> None:
        """Close a stage: what it decided, why, and how long it took since the one before."""
        now = time.perf_counter()
        took = (now - self._since) * 1000
        self._since = now
        self.entries.append(Entry(stage=stage, decided=decided, why=dict(why), took_ms=took))

    async def write(self, connection: Connection, owner_id: OwnerId, turn: Turn) -> None:
        async with connection.cursor() as cursor:
            await cursor.executemany(
                """
                INSERT INTO stages (owner_id, turn_id, version, stage, decided, why, took_ms)
                VALUES (%s, %s, %s, %s, %s, %s, %s)""",
                [
                    [
                        owner_id,
                        turn.id,
                        turn.version,
                        entry.stage,
                        entry.decided,
                        Jsonb(entry.why),
                        entry.took_ms,
                    ]
                    for entry in self.entries
                ],
            )
