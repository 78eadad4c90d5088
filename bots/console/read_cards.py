"""The cards on the owner's desk, and the reasons behind them, read from Postgres."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from psycopg.rows import class_row

from bots.console.board import DeskCard, DeskDraft, Stage
from core.bot import CardDraft, Evidence
from core.events import ChatRef
from core.ids import ChatId, OwnerId, TurnId
from core.reply.travel import read_question
from core.storage.database import Connection
from core.vocabulary import DraftState, Intent, Mode, Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    turn_id: TurnId
    chat_id: ChatId
    platform: str
    account: str
    platform_chat_id: str
    platform_thread_id: str | None
    title: str
    mode: str
    outcome: str
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    turn_id: int
    id: int
    text: str
    intent: str
    origin: str
    confidence: float
    risks: list[str]
    adapter: str | None
    state: str
    reason: str
    final_text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A message, and what it belongs to on the page."""

    of: int
    message_id: str
    chat_title: str
    sender: str
    sent_at: datetime
    text: str


async def read_cards(connection: Connection, owner_id: OwnerId) -> tuple[DeskCard, ...]:
    """Those that wait for the owner, newest first, then those settled within the hour."""
    cards = await _cards(connection, owner_id)
    turns = [card.turn_id for card in cards]
    drafts = await _drafts(connection, owner_id, turns)
    incoming = await _incoming(connection, owner_id, turns)
    evidence = await _evidence(connection, owner_id, [d.id for d in drafts])
    of_turn: defaultdict[int, list[DeskDraft]] = defaultdict(list)
    for draft in drafts:
        of_turn[draft.turn_id].append(_desk_draft(draft, evidence.get(draft.id, ())))
    questions = {
        card.turn_id: await read_question(connection, owner_id, card.turn_id)
        for card in cards
        if card.closed_at is None
    }
    return tuple(
        DeskCard(
            turn_id=card.turn_id,
            chat=ChatRef(
                platform=card.platform,
                account=card.account,
                chat=card.platform_chat_id,
                thread=card.platform_thread_id,
            ),
            chat_id=card.chat_id,
            chat_title=card.title,
            mode=Mode(card.mode),
            incoming=incoming.get(card.turn_id, ()),
            drafts=tuple(of_turn[card.turn_id]),
            question=questions.get(card.turn_id),
            outcome=card.outcome,
            closed_at=card.closed_at,
        )
        for card in cards
    )


async def _cards(connection: Connection, owner_id: OwnerId) -> list[_Card]:
    async with connection.cursor(row_factory=class_row(_Card)) as cursor:
        await cursor.execute(
            """
            SELECT k.turn_id, c.id AS chat_id, a.platform, a.name AS account, c.platform_chat_id,
                   h.platform_thread_id, c.title, coalesce(p.mode, 'suggest') AS mode, k.outcome, k.closed_at
            FROM cards k
            JOIN turns t ON t.owner_id = k.owner_id AND t.id = k.turn_id
            JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
            JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
            LEFT JOIN threads h ON h.owner_id = t.owner_id AND h.id = t.thread_id
            LEFT JOIN policies p ON p.owner_id = c.owner_id AND p.chat_id = c.id
            WHERE k.owner_id = %s AND (k.closed_at IS NULL OR k.closed_at > now() - interval '1 hour')
            ORDER BY k.closed_at IS NOT NULL, k.closed_at DESC, k.turn_id DESC LIMIT 40""",
            [owner_id],
        )
        return await cursor.fetchall()


async def _drafts(connection: Connection, owner_id: OwnerId, turns: Sequence[TurnId]) -> list[_Draft]:
    async with connection.cursor(row_factory=class_row(_Draft)) as cursor:
        await cursor.execute(
            """
            SELECT d.turn_id, d.id, d.text, d.intent, d.origin, d.confidence, d.risks, a.name AS adapter,
                   d.state, coalesce(nullif(o.reason, ''), d.reason) AS reason, l.final_text
            FROM cards k
            JOIN drafts d ON d.owner_id = k.owner_id AND d.turn_id = k.turn_id AND d.version = (
                SELECT max(n.version) FROM drafts n WHERE n.owner_id = k.owner_id AND n.turn_id = k.turn_id)
            LEFT JOIN adapters a ON a.owner_id = d.owner_id AND a.id = d.adapter_id
            LEFT JOIN labels l ON l.owner_id = d.owner_id AND l.draft_id = d.id
            LEFT JOIN LATERAL (
                SELECT reason FROM outbox o WHERE o.owner_id = d.owner_id AND o.draft_id = d.id
                ORDER BY id DESC LIMIT 1) o ON true
            WHERE k.owner_id = %s AND k.turn_id = ANY (%s) AND d.state <> 'dropped'
            ORDER BY d.turn_id, d.position""",
            [owner_id, list(turns)],
        )
        return await cursor.fetchall()


def _desk_draft(draft: _Draft, evidence: tuple[Evidence, ...]) -> DeskDraft:
    return DeskDraft(
        draft=CardDraft(
            draft=draft.id,
            text=draft.text,
            intent=Intent(draft.intent),
            origin=draft.origin,
            confidence=draft.confidence,
            risks=tuple(Risk(risk) for risk in draft.risks),
            evidence=evidence,
            adapter=draft.adapter,
        ),
        state=DraftState(draft.state),
        reason=draft.reason,
        final_text=draft.final_text,
    )


async def _incoming(
    connection: Connection, owner_id: OwnerId, turns: Sequence[TurnId]
) -> Mapping[int, tuple[Evidence, ...]]:
    """What the contact wrote, by turn: the whole turn, the latest dozen lines of it."""
    async with connection.cursor(row_factory=class_row(_Said)) as cursor:
        await cursor.execute(
            """
            SELECT t.id AS of, m.platform_message_id AS message_id, c.title AS chat_title,
                   m.sender_name AS sender, m.sent_at, m.text || CASE WHEN m.caption = '' THEN ''
                   ELSE ' ' || m.caption END AS text
            FROM turns t
            JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
            JOIN messages f ON f.owner_id = t.owner_id AND f.id = t.first_message_id
            JOIN messages z ON z.owner_id = t.owner_id AND z.id = t.last_message_id
            CROSS JOIN LATERAL (
                SELECT n.* FROM messages n
                WHERE n.owner_id = t.owner_id AND n.chat_id = t.chat_id
                  AND n.thread_id IS NOT DISTINCT FROM t.thread_id
                  AND n.sender_id IS NOT NULL AND n.deleted_at IS NULL
                  AND (n.sent_at, n.id) BETWEEN (f.sent_at, f.id) AND (z.sent_at, z.id)
                ORDER BY n.sent_at DESC, n.id DESC LIMIT 12) m
            WHERE t.owner_id = %s AND t.id = ANY (%s)
            ORDER BY m.sent_at, m.id""",
            [owner_id, list(turns)],
        )
        return grouped(await cursor.fetchall())


async def _evidence(
    connection: Connection, owner_id: OwnerId, drafts: Sequence[int]
) -> Mapping[int, tuple[Evidence, ...]]:
    async with connection.cursor(row_factory=class_row(_Said)) as cursor:
        await cursor.execute(
            """
            SELECT e.draft_id AS of, m.platform_message_id AS message_id,
                   coalesce(nullif(c.title, ''), c.platform_chat_id) || ' · ' || initcap(a.platform)
                       AS chat_title,
                   m.sender_name AS sender, m.sent_at, m.text
            FROM draft_evidence e
            JOIN messages m ON m.owner_id = e.owner_id AND m.id = e.message_id
            JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
            WHERE e.owner_id = %s AND e.draft_id = ANY (%s)
            ORDER BY e.draft_id, e.position""",
            [owner_id, list(drafts)],
        )
        return grouped(await cursor.fetchall())


def grouped(said: Sequence[_Said]) -> Mapping[int, tuple[Evidence, ...]]:
    """The messages by what they belong to, in their order."""
    groups: defaultdict[int, list[Evidence]] = defaultdict(list)
    for row in said:
        groups[row.of].append(
            Evidence(
                message_id=row.message_id,
                chat_title=row.chat_title,
                sender=row.sender,
                sent_at=row.sent_at,
                text=row.text,
            )
        )
    return {of: tuple(rows) for of, rows in groups.items()}


async def read_why(connection: Connection, owner_id: OwnerId, turn_id: TurnId) -> tuple[Stage, ...]:
    """What each stage decided about the turn as it stands last, in order."""
    cursor = await connection.execute(
        """
        SELECT stage, decided, why, took_ms FROM stages
        WHERE owner_id = %(owner)s AND turn_id = %(turn)s
          AND version = (SELECT max(version) FROM stages WHERE owner_id = %(owner)s AND turn_id = %(turn)s)
        ORDER BY id""",
        {"owner": owner_id, "turn": turn_id},
    )
    return tuple(
        Stage(stage=stage, decided=decided, why=reasons(why), took_ms=took_ms)
        for stage, decided, why, took_ms in await cursor.fetchall()
    )


def reasons(why: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """The reasons of a stage in words. Row ids tell nobody anything, and are left out like what is empty."""
    return tuple(
        (name.replace("_", " "), _in_words(value))
        for name, value in why.items()
        if value not in ("", None, [], {}) and not _are_ids(value)
    )


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) for item in cast("list[object]", value))


def _in_words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.2f}"
        case list():
            counted = Counter(_in_words(item) for item in cast("list[object]", value))
            return ", ".join(f"{item} ({times}×)" if times > 1 else item for item, times in counted.items())
        case dict():
            named = cast("dict[str, object]", value)
            return ", ".join(f"{name}: {_in_words(item)}" for name, item in named.items())
        case _:
            return str(value).replace("_", " ")
