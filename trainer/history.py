"""What the owner and others said, read for training: consented words alone, chat by chat, in order."""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import SequenceMatcher

from psycopg.rows import class_row

from core.ids import OwnerId
from core.storage.database import Connection

BREAKS = frozenset({"no_consent", "written_by_locum", "opted_out"})
"""Reasons after which a conversation cannot be read on: what follows may answer what was left out."""

LEAST_OWN = 0.2
"""Share of a changed draft's words that must be the owner's; of less, it is ours."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message. `left_out` says why it may not be used; its words are then not read at all."""

    message_id: int
    stream: str
    """Platform, account, chat and thread, by the platform's own ids."""
    platform: str
    chat_kind: str
    sender_name: str
    relation: str
    by_owner: bool
    narrow: bool
    """Said to fewer than anyone."""
    sent_at: datetime
    text: str
    left_out: str
    chat_id: int = 0
    contact_id: int | None = None
    """Who said it, where that was a contact."""
    drafted: str = ""
    """Our draft, which the owner changed into this: only what they changed is theirs."""

    @property
    def fingerprint(self) -> str:
        """The same while the message says the same, to as many: what was learned is compared with it."""
        said = f"{self.by_owner}\n{self.narrow}\n{self.text}"
        return hashlib.sha256(said.encode()).hexdigest()[:32]


async def said_by_all(
    connection: Connection, owner_id: OwnerId, *, learned_in: int | None = None
) -> AsyncIterator[Said]:
    """Every message of the owner's chats, one conversation after the other, oldest first.

    With `learned_in`, the sources of that training run alone.
    """
    cursor = connection.cursor("said_by_all", row_factory=class_row(Said))
    async with cursor:
        await cursor.execute(
            """
            SELECT id AS message_id, stream, platform, chat_kind, sender_name, relation, by_owner, narrow,
                   sent_at, CASE WHEN left_out = '' THEN words ELSE '' END AS text, left_out, chat_id, contact_id,
                   CASE WHEN left_out = '' THEN drafted ELSE '' END AS drafted
            FROM (
                SELECT m.id, m.chat_id, m.thread_id, m.sent_at, m.sender_name,
                       m.origin IN ('typed', 'edited') AS by_owner, x.contact_id, coalesce(d.text, '') AS drafted,
                       concat_ws(E'\\n', a.platform, a.name, c.platform_chat_id, t.platform_thread_id) AS stream,
                       a.platform, c.kind AS chat_kind, coalesce(p.relation, '') AS relation,
                       u.kind <> 'anyone' AS narrow, w.words,
                       CASE WHEN m.origin IN ('accepted', 'auto') OR m.origin = 'edited' AND d.text IS NULL
                                 THEN 'written_by_locum'
                            WHEN NOT s.may_train THEN 'no_consent'
                            WHEN p.opted_out_at IS NOT NULL THEN 'opted_out'
                            WHEN m.deleted_at IS NOT NULL THEN 'deleted'
                            WHEN m.origin NOT IN ('typed', 'edited', 'contact') THEN 'bot'
                            WHEN m.automatic THEN 'automatic'
                            WHEN m.forwarded AND m.origin = 'typed' THEN 'forwarded'
                            WHEN w.words = '' THEN 'no_text'
                            ELSE '' END AS left_out
                FROM messages m
                JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
                JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
                JOIN accounts a ON a.owner_id = m.owner_id AND a.id = c.account_id
                JOIN audiences u ON u.owner_id = m.owner_id AND u.id = m.audience_id
                LEFT JOIN threads t ON t.owner_id = m.owner_id AND t.id = m.thread_id
                LEFT JOIN contact_accounts x ON x.owner_id = m.owner_id AND x.id = m.sender_id
                LEFT JOIN contacts p ON p.owner_id = m.owner_id AND p.id = x.contact_id
                LEFT JOIN LATERAL (
                    SELECT f.text FROM labels l
                    JOIN drafts f ON f.owner_id = l.owner_id AND f.id = l.draft_id AND f.text <> ''
                    WHERE l.owner_id = m.owner_id AND l.message_id = m.id AND l.outcome = 'edited'
                      AND m.origin = 'edited'
                    ORDER BY l.id LIMIT 1
                ) d ON true
                CROSS JOIN LATERAL (
                    -- Captions are what others see too; of the owner's side only what was typed counts.
                    SELECT btrim(CASE WHEN m.origin IN ('typed', 'edited') THEN m.text
                                 ELSE m.text || ' ' || m.caption END) AS words
                ) w
                WHERE m.owner_id = %(owner)s AND (%(run)s::bigint IS NULL OR m.id IN (
                    SELECT f.message_id FROM training_example_sources f
                    JOIN training_examples e ON e.owner_id = f.owner_id AND e.id = f.example_id
                    WHERE e.owner_id = %(owner)s AND e.run_id = %(run)s))
            ) judged
            ORDER BY chat_id, thread_id NULLS FIRST, sent_at, id""",
            {"owner": owner_id, "run": learned_in},
        )
        async for said in cursor:
            yield _ours(said) if said.drafted else said


def _ours(said: Said) -> Said:
    """The message, left out where hardly a word of it is the owner's."""
    total = len(_WORD.findall(said.text))
    borrowed = sum(len(_WORD.findall(said.text[begin:end])) for begin, end in borrowed_spans(said))
    if total - borrowed >= max(LEAST_OWN * total, 1):
        return said
    return replace(said, text="", drafted="", left_out="written_by_locum")


def borrowed_spans(said: Said) -> list[tuple[int, int]]:
    """Spans of the text that stood in our draft, word for word."""
    return shared_spans(said.text, said.drafted)


def shared_spans(text: str, draft: str) -> list[tuple[int, int]]:
    """Spans of `text` whose words stand in `draft` in the same order (difflib's matching blocks)."""
    places = [match.span() for match in _WORD.finditer(text)]
    words = [text[begin:end].casefold() for begin, end in places]
    blocks = SequenceMatcher(None, words, draft.casefold().split(), autojunk=False).get_matching_blocks()
    return [(places[b.a][0], places[b.a + b.size - 1][1]) for b in blocks if b.size]


async def names_of_people(connection: Connection, owner_id: OwnerId) -> list[str]:
    """Every name that a contact goes by."""
    cursor = await connection.execute(
        """
        SELECT display_name FROM contacts WHERE owner_id = %s
        UNION SELECT display_name FROM contact_accounts WHERE owner_id = %s""",
        [owner_id, owner_id],
    )
    return [str(row[0]) for row in await cursor.fetchall()]
