"""After promotion the owner is the judge: where they take fewer drafts than before, the adapter goes back.

A one-sided Bernoulli CUSUM (Page 1954) over the owner's verdicts on the active adapter's drafts, in their
order: each adds the log-likelihood ratio of "taken at two thirds of the rate of before" against "taken at
the rate of before", never below zero. Above the limit the adapter is refused and the one before serves.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.ids import OwnerId
from core.storage.database import Connection
from trainer.adapters import Adapter, active_adapter, rollback

FALL = 2 / 3
LIMIT = 4.0
"""At a rate of .5 that stays, this sounds once in about 1,100 verdicts; at two thirds of it after some 60."""

LEAST_BEFORE = 30
"""Verdicts on whatever served before: a rate from fewer says little, and nothing is watched."""

MOST_BEFORE = 200

ROLLED_BACK = ", so it was rolled back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the owner's verdicts say of the active adapter."""

    adapter: str
    verdicts: int
    rate_before: float
    rate: float
    alarm: bool
    sentence: str


def cusum(taken: Iterable[bool], before: float) -> float:
    """The highest value that the statistic reached. `before` is the rate to hold, between 0 and 1."""
    rate = min(max(before, 0.05), 0.95)
    fallen = FALL * rate
    for_taken, against = math.log(fallen / rate), math.log((1 - fallen) / (1 - rate))
    value = highest = 0.0
    for one in taken:
        value = max(0.0, value + (for_taken if one else against))
        highest = max(highest, value)
    return highest


async def watch_acceptance(connection: Connection, owner_id: OwnerId, home: Path) -> Watch | None:
    """Look at the verdicts, and roll back where they fell. None where there is nothing to watch yet."""
    active = await active_adapter(connection, owner_id)
    if active is None or active.promoted_at is None:
        return None
    before = await _verdicts_before(connection, owner_id, active)
    since = await _verdicts(connection, owner_id, active)
    if len(before) < LEAST_BEFORE or not since:
        return None
    rate_before, rate = sum(before) / len(before), sum(since) / len(since)
    alarm = cusum(since, rate_before) > LIMIT
    sentence = f"You took {rate:.0%} of its {len(since)} drafts, and {rate_before:.0%} of the {len(before)} before it"
    if alarm:
        serving = await rollback(connection, owner_id, home)
        await connection.execute(
            "UPDATE adapters SET state = 'refused', reason = %s WHERE owner_id = %s AND id = %s",
            [f"Rolled back by itself: {sentence}.", owner_id, active.id],
        )
        await connection.execute(
            """
            INSERT INTO audit (owner_id, actor, action, subject)
            VALUES (%s, 'locum', 'adapter.rolled_back',
                    jsonb_build_object('adapter', %s::text, 'serving', %s::text, 'verdicts', %s::integer))""",
            [owner_id, active.name, serving.name if serving else "", len(since)],
        )
    return Watch(
        adapter=active.name,
        verdicts=len(since),
        rate_before=rate_before,
        rate=rate,
        alarm=alarm,
        sentence=f"{active.name}: {sentence[0].lower()}{sentence[1:]}{ROLLED_BACK if alarm else ''}.",
    )


async def _verdicts(connection: Connection, owner_id: OwnerId, adapter: Adapter) -> list[bool]:
    """Whether each draft of that adapter was taken, oldest first. What was ignored is no verdict."""
    cursor = await connection.execute(
        """
        SELECT l.outcome IN ('sent', 'edited')
        FROM labels l JOIN drafts d ON d.owner_id = l.owner_id AND d.id = l.draft_id
        WHERE l.owner_id = %s AND d.adapter_id = %s AND d.origin = 'model' AND l.outcome <> 'ignored'
          AND l.labelled_at >= %s
        ORDER BY l.labelled_at, l.id""",
        [owner_id, adapter.id, adapter.promoted_at],
    )
    return [bool(row[0]) for row in await cursor.fetchall()]


async def _verdicts_before(connection: Connection, owner_id: OwnerId, adapter: Adapter) -> list[bool]:
    """The last verdicts on drafts that models wrote before it was promoted."""
    cursor = await connection.execute(
        """
        SELECT l.outcome IN ('sent', 'edited')
        FROM labels l JOIN drafts d ON d.owner_id = l.owner_id AND d.id = l.draft_id
        WHERE l.owner_id = %s AND d.adapter_id IS DISTINCT FROM %s AND d.origin = 'model'
          AND l.outcome <> 'ignored' AND l.labelled_at < %s
        ORDER BY l.labelled_at DESC, l.id DESC LIMIT %s""",
        [owner_id, adapter.id, adapter.promoted_at, MOST_BEFORE],
    )
    return [bool(row[0]) for row in await cursor.fetchall()]
