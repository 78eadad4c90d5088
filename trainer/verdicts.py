"""What the owner thinks of examples: kept by digest and by message, never as words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.ids import MessageId, OwnerId
from core.storage.database import Connection
from trainer.windows import Window

Verdict = Literal["approved", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Marks of examples, and messages that are not to be learned."""

    approved: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()
    messages: frozenset[int] = frozenset()


async def read_verdicts(connection: Connection, owner_id: OwnerId) -> Verdicts:
    """All that the owner has said so far."""
    cursor = await connection.execute(
        "SELECT DISTINCT digest, verdict FROM training_verdicts WHERE owner_id = %s AND digest <> ''",
        [owner_id],
    )
    said = [(str(digest), str(verdict)) for digest, verdict in await cursor.fetchall()]
    cursor = await connection.execute(
        "SELECT message_id FROM training_verdicts WHERE owner_id = %s AND digest = ''", [owner_id]
    )
    return Verdicts(
        approved=frozenset(digest for digest, verdict in said if verdict == "approved"),
        rejected=frozenset(digest for digest, verdict in said if verdict == "rejected"),
        messages=frozenset(int(row[0]) for row in await cursor.fetchall()),
    )


async def judge_example(connection: Connection, owner_id: OwnerId, example: Window, verdict: Verdict) -> None:
    """From now on. A rejected reply is not learned in another example either; approving takes that back."""
    await _write(connection, owner_id, example.mark, example.learned_ids or example.message_ids, verdict)
    if verdict == "rejected":
        await _write(connection, owner_id, "", example.learned_ids, verdict)
    else:
        await connection.execute(
            "DELETE FROM training_verdicts WHERE owner_id = %s AND digest = '' AND message_id = ANY (%s)",
            [owner_id, list(example.learned_ids)],
        )


async def reject_message(connection: Connection, owner_id: OwnerId, message_id: MessageId) -> None:
    """The turn that the message belongs to is not learned, in whatever example it stands."""
    await _write(connection, owner_id, "", [message_id], "rejected")


async def _write(
    connection: Connection, owner_id: OwnerId, digest: str, messages: Sequence[int], verdict: Verdict
) -> None:
    await connection.execute(
        """
        INSERT INTO training_verdicts (owner_id, digest, message_id, verdict)
        SELECT %s, %s, m.id, %s FROM messages m WHERE m.owner_id = %s AND m.id = ANY (%s)
        ON CONFLICT (owner_id, digest, message_id) DO UPDATE
        SET verdict = excluded.verdict, decided_at = now()""",
        [owner_id, digest, verdict, owner_id, list(messages)],
    )
