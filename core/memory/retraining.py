"""Whether a training is due although little is new: what was learned had to go, and nothing replaced it."""

from core.ids import OwnerId
from core.storage.database import Connection


async def retraining_due(connection: Connection, owner_id: OwnerId) -> bool:
    """True while an adapter that once served is retired, and no training has ended since.

    Such an adapter retires when something that it learned from is forgotten, withdrawn or narrowed. A run
    that is under way, or was skipped or failed, settles nothing; one that ended does, whatever it promoted.
    """
    cursor = await connection.execute(
        """
        SELECT EXISTS (
            SELECT FROM adapters a
            WHERE a.owner_id = %(owner)s AND a.state = 'retired' AND a.promoted_at IS NOT NULL
              AND NOT EXISTS (SELECT FROM training_runs r WHERE r.owner_id = a.owner_id
                              AND r.state = 'done' AND r.started_at > a.retired_at))""",
        {"owner": owner_id},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])
