"""Learning from what the owner does with drafts: each fate becomes one label.

Labels are what training and calibration read. A message whose words came from a draft never counts
as typed, however it reached the platform.
"""

from dataclasses import dataclass
from datetime import timedelta

from core.ids import ChatId, DraftId, MessageId, OwnerId, ThreadId, TurnId
from core.reply.wording import likeness
from core.storage.database import Connection
from core.vocabulary import Origin, Outcome

COPIED = 0.9
ADAPTED = 0.6
"""Likeness to a recent draft above which the owner's words are taken for ours: sent as is, or changed."""

REMEMBERED = timedelta(days=14)
"""How long a draft may wait to be copied by hand."""


async def write_label(
    connection: Connection,
    owner_id: OwnerId,
    draft_id: DraftId,
    outcome: Outcome,
    *,
    final_text: str | None = None,
    message_id: MessageId | None = None,
) -> None:
    """Keep a draft's fate. The first fate counts; a message that settles it later is added."""
    await connection.execute(
        """
        INSERT INTO labels (owner_id, draft_id, outcome, final_text, message_id) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (owner_id, draft_id) DO UPDATE
        SET message_id = coalesce(labels.message_id, EXCLUDED.message_id)""",
        [owner_id, draft_id, outcome, final_text, message_id],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resemblance:
    """The draft that the owner's own message resembles, and what that makes of the message."""

    draft_id: DraftId
    origin: Origin
    outcome: Outcome


async def resembled_draft(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, text: str
) -> Resemblance | None:
    """The recent draft of this chat whose words the owner sent by hand, if there is one."""
    cursor = await connection.execute(
        """
        SELECT d.id, d.text FROM drafts d JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
        WHERE d.owner_id = %s AND t.chat_id = %s AND d.created_at > now() - %s AND d.state <> 'dropped'
          AND d.text <> ''
        ORDER BY d.id DESC LIMIT 200""",
        [owner_id, chat_id, REMEMBERED],
    )
    rows = await cursor.fetchall()
    scored = [(likeness(text, str(row[1])), DraftId(int(row[0]))) for row in rows]
    best, draft_id = max(scored, default=(0.0, DraftId(0)))
    if best >= COPIED:
        return Resemblance(draft_id=draft_id, origin=Origin.ACCEPTED, outcome=Outcome.SENT)
    if best >= ADAPTED:
        return Resemblance(draft_id=draft_id, origin=Origin.EDITED, outcome=Outcome.EDITED)
    return None


async def label_overtaken(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    text: str,
    message_id: MessageId,
) -> None:
    """The owner answered in their own words: every draft on show here is overtaken by them."""
    await connection.execute(
        """
        INSERT INTO labels (owner_id, draft_id, outcome, final_text, message_id)
        SELECT d.owner_id, d.id, 'overtaken', %s, %s
        FROM drafts d JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
        WHERE d.owner_id = %s AND t.chat_id = %s AND t.thread_id IS NOT DISTINCT FROM %s
          AND t.state = 'suggested' AND d.state = 'proposed'
        ON CONFLICT DO NOTHING""",
        [text, message_id, owner_id, chat_id, thread_id],
    )


async def label_slate(connection: Connection, owner_id: OwnerId, turn_id: TurnId, outcome: Outcome) -> None:
    """One fate for every draft that still stands on a card."""
    await connection.execute(
        """
        INSERT INTO labels (owner_id, draft_id, outcome)
        SELECT owner_id, id, %s FROM drafts WHERE owner_id = %s AND turn_id = %s AND state = 'proposed'
        ON CONFLICT DO NOTHING""",
        [outcome, owner_id, turn_id],
    )
