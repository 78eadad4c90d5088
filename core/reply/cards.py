"""Slates as rows, and cards as the owner is shown them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.bot import Card, CardDraft, Evidence
from core.events import ChatRef
from core.ids import AccountId, DraftId, OwnerId, TurnId
from core.reply.compose import Candidate
from core.reply.gate import Slate
from core.reply.inbox import Lane, lock_lane
from core.reply.learn import label_slate
from core.reply.travel import read_question
from core.reply.turns import Turn, cancel_queued, close_card
from core.storage.database import Connection
from core.vocabulary import DraftState, Intent, Outcome, Risk


async def write_slate(connection: Connection, owner_id: OwnerId, turn: Turn, slate: Slate) -> list[DraftId]:
    """Ids of the drafts on the slate, in order. What was left out is kept too, with its reason."""
    kept = [*slate.shown, *(candidate for candidate in slate.left_out if candidate.text)]
    if not kept:
        return []
    states = [DraftState.PROPOSED] * len(slate.shown) + [DraftState.DROPPED] * len(kept)
    ids: list[DraftId] = []
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO drafts (owner_id, turn_id, version, position, text, intent, origin, confidence, risks, model,
                                adapter_id, state, reason)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id""",
            [
                _draft_row(owner_id, turn, position, candidate, states[position])
                for position, candidate in enumerate(kept)
            ],
            returning=True,
        )
        async for result in cursor.results():
            row = await result.fetchone()
            assert row is not None, "each insert returns its id"  # noqa: S101 -- for the type checker
            ids.append(DraftId(int(row[0])))
    await _write_evidence(connection, owner_id, list(zip(ids, kept, strict=True)))
    return ids[: len(slate.shown)]


def _draft_row(
    owner_id: OwnerId, turn: Turn, position: int, candidate: Candidate, state: DraftState
) -> list[object]:
    return [
        owner_id,
        turn.id,
        turn.version,
        position,
        candidate.text,
        candidate.intent,
        candidate.origin,
        candidate.confidence,
        sorted(candidate.risks),
        candidate.model,
        candidate.adapter.id if candidate.adapter else None,
        state,
        candidate.dropped or candidate.note,
    ]


async def _write_evidence(
    connection: Connection, owner_id: OwnerId, drafts: list[tuple[DraftId, Candidate]]
) -> None:
    """The messages that drafts rest on; one that was forgotten meanwhile is left out."""
    rests = [
        (draft_id, message_id, position)
        for draft_id, candidate in drafts
        for position, message_id in enumerate(dict.fromkeys(candidate.evidence), start=1)
    ]
    await connection.execute(
        """
        INSERT INTO draft_evidence (owner_id, draft_id, message_id, position)
        SELECT %s, e.draft_id, m.id, e.position
        FROM unnest(%s::bigint[], %s::bigint[], %s::integer[]) AS e (draft_id, message_id, position)
        JOIN messages m ON m.owner_id = %s AND m.id = e.message_id AND m.deleted_at IS NULL""",
        [owner_id, [r[0] for r in rests], [r[1] for r in rests], [r[2] for r in rests], owner_id],
    )


async def open_card(connection: Connection, owner_id: OwnerId, turn: Turn) -> None:
    """A card for the turn, to be shown by its bot; one of an earlier version is replaced."""
    await connection.execute(
        """
        INSERT INTO cards (owner_id, turn_id, version) VALUES (%s, %s, %s)
        ON CONFLICT (owner_id, turn_id) DO UPDATE
        SET version = cards.version + 1, shown_at = NULL, closed_at = NULL, outcome = '', withdrawn_at = NULL""",
        [owner_id, turn.id, turn.version],
    )


async def overdue_cards(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, now: datetime, life: timedelta
) -> list[tuple[TurnId, Lane]]:
    """Open cards that nobody answered in time, each with its lane."""
    cursor = await connection.execute(
        """
        SELECT t.id, h.platform_chat_id FROM cards c
        JOIN turns t ON t.owner_id = c.owner_id AND t.id = c.turn_id
        JOIN chats h ON h.owner_id = t.owner_id AND h.id = t.chat_id
        WHERE t.owner_id = %(owner)s AND h.account_id = %(account)s AND t.state = 'suggested' AND c.closed_at IS NULL
          AND (SELECT max(d.created_at) FROM drafts d WHERE d.owner_id = t.owner_id AND d.turn_id = t.id) < %(before)s
        ORDER BY t.id""",
        {"owner": owner_id, "account": account_id, "before": now - life},
    )
    return [
        (TurnId(int(row[0])), Lane(owner_id=owner_id, account_id=account_id, chat=str(row[1])))
        for row in await cursor.fetchall()
    ]


async def expire_card(connection: Connection, lane: Lane, turn_id: TurnId) -> bool:
    """Whether the card was still open; it is closed now, and its drafts count as ignored."""
    await lock_lane(connection, lane)
    cursor = await connection.execute(
        """
        UPDATE turns SET state = 'silent', version = version + 1
        WHERE owner_id = %s AND id = %s AND state = 'suggested'""",
        [lane.owner_id, turn_id],
    )
    if cursor.rowcount == 0:
        return False
    await cancel_queued(connection, lane.owner_id, turn_id, "nobody answered the card in time")
    await label_slate(connection, lane.owner_id, turn_id, Outcome.IGNORED)
    await close_card(connection, lane.owner_id, turn_id, Outcome.IGNORED)
    return True


# ─── What a bot has to show and to take away ─────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    turn_id: TurnId
    version: int
    outcome: str


def card_key(owner_id: OwnerId, turn_id: TurnId) -> str:
    return f"card-{owner_id}-{turn_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """A card to show. Its version rises whenever it changes, so that what was shown is known exactly."""

    turn_id: TurnId
    version: int
    card: Card


async def cards_to_show(connection: Connection, owner_id: OwnerId, account_id: AccountId) -> list[Showing]:
    """Open cards of this account that were not shown in their present version."""
    cursor = await connection.execute(
        """
        SELECT t.id, c.version FROM cards c
        JOIN turns t ON t.owner_id = c.owner_id AND t.id = c.turn_id
        JOIN chats h ON h.owner_id = t.owner_id AND h.id = t.chat_id
        WHERE c.owner_id = %s AND h.account_id = %s AND c.closed_at IS NULL AND c.shown_at IS NULL
        ORDER BY t.id""",
        [owner_id, account_id],
    )
    rows = [(TurnId(int(row[0])), int(row[1])) for row in await cursor.fetchall()]
    cards = [(turn_id, version, await read_card(connection, owner_id, turn_id)) for turn_id, version in rows]
    return [
        Showing(turn_id=turn_id, version=version, card=card)
        for turn_id, version, card in cards
        if card is not None
    ]


async def mark_shown(connection: Connection, owner_id: OwnerId, showing: Showing) -> None:
    """It is on show as it was read. One that was closed meanwhile has to be taken away (once more)."""
    await connection.execute(
        """
        UPDATE cards SET shown_at = CASE WHEN closed_at IS NULL AND version = %s THEN now() ELSE shown_at END,
                         withdrawn_at = CASE WHEN closed_at IS NULL THEN withdrawn_at END
        WHERE owner_id = %s AND turn_id = %s""",
        [showing.version, owner_id, showing.turn_id],
    )


async def cards_to_withdraw(
    connection: Connection, owner_id: OwnerId, account_id: AccountId
) -> list[Withdrawal]:
    """Cards that were shown, are closed now, and still have their buttons."""
    cursor = await connection.execute(
        """
        SELECT t.id, c.version, c.outcome FROM cards c
        JOIN turns t ON t.owner_id = c.owner_id AND t.id = c.turn_id
        JOIN chats h ON h.owner_id = t.owner_id AND h.id = t.chat_id
        WHERE c.owner_id = %s AND h.account_id = %s AND c.closed_at IS NOT NULL AND c.withdrawn_at IS NULL
        ORDER BY t.id""",
        [owner_id, account_id],
    )
    return [
        Withdrawal(turn_id=TurnId(int(row[0])), version=int(row[1]), outcome=row[2])
        for row in await cursor.fetchall()
    ]


async def orphaned_cards(connection: Connection, owner_id: OwnerId, account_id: AccountId) -> list[str]:
    """Keys of cards that stand on the platform, as its bot remembers, and whose turns were forgotten."""
    cursor = await connection.execute(
        """
        SELECT substr(s.key, 6) FROM bot_state s
        WHERE s.owner_id = %(owner)s AND s.account_id = %(account)s AND starts_with(s.key, 'card:')
          AND NOT EXISTS (SELECT FROM cards c WHERE c.owner_id = s.owner_id
                          AND s.key = format('card:card-%%s-%%s', c.owner_id, c.turn_id))""",
        {"owner": owner_id, "account": account_id},
    )
    return [str(row[0]) for row in await cursor.fetchall()]


async def drop_orphan(connection: Connection, owner_id: OwnerId, account_id: AccountId, key: str) -> None:
    """It was taken away; a bot that did not know it any more has nothing to remember either."""
    await connection.execute(
        "DELETE FROM bot_state WHERE owner_id = %s AND account_id = %s AND key = %s",
        [owner_id, account_id, f"card:{key}"],
    )


async def mark_withdrawn(connection: Connection, owner_id: OwnerId, gone: Withdrawal) -> None:
    """It is gone from the owner's screen. One that was opened again meanwhile has to be shown (once more)."""
    await connection.execute(
        """
        UPDATE cards SET shown_at = CASE WHEN closed_at IS NOT NULL THEN shown_at END,
                         withdrawn_at = CASE WHEN closed_at IS NOT NULL AND version = %s AND outcome = %s
                                             THEN now() ELSE withdrawn_at END
        WHERE owner_id = %s AND turn_id = %s""",
        [gone.version, gone.outcome, owner_id, gone.turn_id],
    )


async def read_card(connection: Connection, owner_id: OwnerId, turn_id: TurnId) -> Card | None:
    """The card of a turn: the incoming lines, and each draft that stands with its evidence."""
    cursor = await connection.execute(
        """
        SELECT a.platform, a.name, c.platform_chat_id, h.platform_thread_id, c.title, t.ticket,
               coalesce((SELECT max(d.reason) FROM drafts d WHERE d.owner_id = t.owner_id AND d.turn_id = t.id
                         AND d.state = 'proposed'), '')
        FROM turns t
        JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
        JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        LEFT JOIN threads h ON h.owner_id = t.owner_id AND h.id = t.thread_id
        WHERE t.owner_id = %s AND t.id = %s""",
        [owner_id, turn_id],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Card(
        key=card_key(owner_id, turn_id),
        chat=ChatRef(platform=row[0], account=row[1], chat=row[2], thread=row[3]),
        chat_title=row[4],
        incoming=await _incoming(connection, owner_id, turn_id),
        drafts=await _card_drafts(connection, owner_id, turn_id),
        note=row[6],
        ticket=row[5],
        question=await read_question(connection, owner_id, turn_id),
    )


async def _incoming(connection: Connection, owner_id: OwnerId, turn_id: TurnId) -> tuple[Evidence, ...]:
    cursor = await connection.execute(
        """
        SELECT m.platform_message_id, c.title, m.sender_name, m.sent_at, m.text, m.caption
        FROM turns t
        JOIN messages a ON a.owner_id = t.owner_id AND a.id = t.first_message_id
        JOIN messages z ON z.owner_id = t.owner_id AND z.id = t.last_message_id
        JOIN messages m ON m.owner_id = t.owner_id AND m.chat_id = t.chat_id
             AND m.thread_id IS NOT DISTINCT FROM t.thread_id
             AND (m.sent_at, m.id) BETWEEN (a.sent_at, a.id) AND (z.sent_at, z.id)
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        WHERE t.owner_id = %s AND t.id = %s AND m.sender_id IS NOT NULL AND m.deleted_at IS NULL
        ORDER BY m.sent_at, m.id""",
        [owner_id, turn_id],
    )
    return tuple(_evidence(row) for row in await cursor.fetchall())


async def _card_drafts(connection: Connection, owner_id: OwnerId, turn_id: TurnId) -> tuple[CardDraft, ...]:
    cursor = await connection.execute(
        """
        SELECT d.id, d.text, d.intent, d.origin, d.confidence, d.risks, a.name
        FROM drafts d LEFT JOIN adapters a ON a.owner_id = d.owner_id AND a.id = d.adapter_id
        WHERE d.owner_id = %s AND d.turn_id = %s AND d.state = 'proposed' ORDER BY d.position""",
        [owner_id, turn_id],
    )
    return tuple(
        [
            CardDraft(
                draft=int(row[0]),
                text=row[1],
                intent=Intent(row[2]),
                origin=row[3],
                confidence=float(row[4]),
                risks=tuple(Risk(risk) for risk in row[5]),
                evidence=await read_evidence(connection, owner_id, DraftId(int(row[0]))),
                adapter=row[6],
            )
            for row in await cursor.fetchall()
        ]
    )


async def read_evidence(connection: Connection, owner_id: OwnerId, draft_id: DraftId) -> tuple[Evidence, ...]:
    """The messages a draft rests on, for the owner's eyes."""
    cursor = await connection.execute(
        """
        SELECT m.platform_message_id, c.title, m.sender_name, m.sent_at, m.text, m.caption
        FROM draft_evidence e
        JOIN messages m ON m.owner_id = e.owner_id AND m.id = e.message_id
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        WHERE e.owner_id = %s AND e.draft_id = %s AND m.deleted_at IS NULL ORDER BY e.position""",
        [owner_id, draft_id],
    )
    return tuple(_evidence(row) for row in await cursor.fetchall())


def _evidence(row: tuple[str, str, str, datetime, str, str]) -> Evidence:
    return Evidence(
        message_id=row[0],
        chat_title=row[1],
        sender=row[2],
        sent_at=row[3],
        text=f"{row[4]} {row[5]}".strip(),
    )
