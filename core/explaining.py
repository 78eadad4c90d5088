"""Why a draft came about, in lines that its owner can read: what each stage decided, and what it rests on."""

from core.ids import DraftId, OwnerId
from core.reply.cards import read_evidence
from core.storage.database import Connection

GONE = "Nothing is kept about that draft any more."
STAGES = {
    "settle": "Read",
    "decide": "Decided",
    "recall": "Looked up",
    "compose": "Wrote",
    "criticise": "Looked over",
    "gate": "Chose",
    "deliver": "Showed",
}
LINE = 160
"""Characters of one quoted line."""


async def explain(connection: Connection, owner_id: OwnerId, draft: int) -> str:
    """For the owner alone: the evidence is quoted as it was said."""
    cursor = await connection.execute(
        """
        SELECT s.stage, s.decided, coalesce(s.why ->> 'why', s.why ->> 'trouble', ''),
               coalesce((SELECT string_agg(DISTINCT each, '; ')
                         FROM jsonb_array_elements_text(s.why -> 'reasons') AS each), '')
        FROM drafts d
        JOIN stages s ON s.owner_id = d.owner_id AND s.turn_id = d.turn_id AND s.version = d.version
        WHERE d.owner_id = %s AND d.id = %s ORDER BY s.id""",
        [owner_id, draft],
    )
    lines = [
        f"{STAGES.get(stage, stage)}: {decided}{f' ({why or reasons})' if why or reasons else ''}"
        for stage, decided, why, reasons in await cursor.fetchall()
    ]
    if not lines:
        return GONE
    quoted = [
        f"· {each.sent_at:%Y-%m-%d} {each.sender}: {_clipped(each.text)}"
        for each in await read_evidence(connection, owner_id, DraftId(draft))
    ]
    return "\n".join(
        [*lines, *(["It rests on:", *quoted] if quoted else ["It rests on no earlier message."])]
    )


def _clipped(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LINE else flat[: LINE - 1].rstrip() + "…"
