"""What must hold when everything has come to rest, whatever died on the way."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import psycopg
from psycopg.rows import TupleRow

from core.events import DraftVerb
from tests.faults.life import Stage, begin
from tests.faults.platform import Posted
from tests.faults.script import Script

Rows = Sequence[TupleRow]


PATIENCE = 90
"""Seconds after which what does not move counts as stuck; servers and clients that back off take some."""


def rest(stage: Stage, *, seconds: float = PATIENCE) -> None:
    """One last life brings everything to rest and is ended then."""
    life = begin(stage)
    try:
        await_rest(stage, seconds=seconds)
    finally:
        life.end()


def await_rest(stage: Stage, *, seconds: float = PATIENCE) -> None:
    """Until nothing is left to do; fails with what is."""
    deadline = time.monotonic() + seconds
    quiet = 0
    while True:
        left = asyncio.run(_unfinished(stage))
        quiet = 0 if left else quiet + 1
        if quiet > 2:
            return
        assert time.monotonic() < deadline, (
            f"still unfinished: {left}; open turns: {asyncio.run(_stuck(stage))}"
        )
        time.sleep(0.05)


async def _unfinished(stage: Stage) -> dict[str, int]:
    async with await psycopg.AsyncConnection.connect(stage.conninfo) as connection:
        cursor = await connection.execute(
            """
            SELECT 'unapplied', count(*) FROM locum.inbox_events WHERE applied_at IS NULL
            UNION ALL SELECT 'open turns', count(*) FROM locum.turns WHERE state IN ('settling', 'working')
            UNION ALL SELECT 'sends', count(*) FROM locum.outbox WHERE state IN ('queued', 'in_flight')
            UNION ALL SELECT 'cards to show', count(*) FROM locum.cards WHERE closed_at IS NULL AND shown_at IS NULL
            UNION ALL SELECT 'cards to take away', count(*) FROM locum.cards
                      WHERE closed_at IS NOT NULL AND withdrawn_at IS NULL"""
        )
        left = {str(row[0]): int(row[1]) for row in await cursor.fetchall()}
    left["unacknowledged"] = stage.world.unacknowledged()
    return {name: count for name, count in left.items() if count}


async def _stuck(stage: Stage) -> Rows:
    """Of each open turn: its state, its tries, when it is due, and how long its lane is held."""
    async with await psycopg.AsyncConnection.connect(stage.conninfo) as connection:
        return await _rows(
            connection,
            b"""
            SELECT t.id, t.state, t.attempts, t.due_at - now() AS due, l.held_by, l.held_until - now() AS held
            FROM locum.turns t JOIN locum.chats c ON c.id = t.chat_id
            LEFT JOIN locum.lanes l ON l.account_id = c.account_id AND l.lane = c.platform_chat_id
            WHERE t.state IN ('settling', 'working')""",
        )


def check(stage: Stage, script: Script) -> None:
    """Every claim, on what the database and the platform hold now."""
    asyncio.run(_check(stage, script))


async def _check(stage: Stage, script: Script) -> None:
    async with await psycopg.AsyncConnection.connect(stage.conninfo) as connection:
        posts = stage.world.posts()
        await _nothing_is_lost(connection, script)
        await _nothing_is_sent_twice(connection, posts)
        await _our_words_are_ours(connection, posts)
        await _every_press_has_its_end(connection, stage, posts)
        await _every_turn_has_its_end(connection, stage)
        await _every_line_has_its_turn(connection, script)
        await _labels_tell_what_happened(connection)


async def _rows(connection: psycopg.AsyncConnection[TupleRow], query: bytes) -> Rows:
    return await (await connection.execute(query)).fetchall()


async def _nothing_is_lost(connection: psycopg.AsyncConnection[TupleRow], script: Script) -> None:
    stored = await _rows(connection, b"SELECT platform_message_id, text FROM locum.messages")
    kept = Counter(str(row[0]) for row in stored)
    texts = {str(row[0]): str(row[1]) for row in stored}
    assert {key: texts.get(key) for key in script.texts} == script.texts
    assert [key for key, count in kept.items() if count > 1] == []
    assert await _rows(connection, b"SELECT id, error FROM locum.inbox_events WHERE error IS NOT NULL") == []


async def _nothing_is_sent_twice(
    connection: psycopg.AsyncConnection[TupleRow], posts: Sequence[Posted]
) -> None:
    keys = Counter(posted.key for posted in posts)
    assert [key for key, count in keys.items() if count > 1] == []
    turns = {row[0]: row[1] for row in await _rows(connection, b"SELECT send_key, turn_id FROM locum.outbox")}
    answers = Counter(turns[posted.key] for posted in posts)
    assert [turn for turn, count in answers.items() if count > 1] == []
    sent = await _rows(connection, b"SELECT send_key FROM locum.outbox WHERE state = 'sent'")
    assert {str(row[0]) for row in sent} <= set(keys), "a send counts as sent that never left"
    never = await _rows(
        connection, b"SELECT send_key FROM locum.outbox WHERE state IN ('cancelled', 'refused')"
    )
    assert {str(row[0]) for row in never} & set(keys) == set(), "a send counts as stopped that did leave"
    assert (
        await _rows(
            connection,
            b"SELECT id, state FROM locum.outbox WHERE state IN ('unknown', 'refused', 'cancelled') AND reason = ''",
        )
        == []
    )


async def _our_words_are_ours(connection: psycopg.AsyncConnection[TupleRow], posts: Sequence[Posted]) -> None:
    stored = {
        row[0]: (row[1], row[2])
        for row in await _rows(connection, b"SELECT platform_message_id, origin, text FROM locum.messages")
    }
    for posted in posts:
        if posted.message_id in stored:
            origin, text = stored[posted.message_id]
            assert origin in {"accepted", "edited", "auto"}, posted
            assert text == posted.text
    known = {
        message_id
        for row in await _rows(
            connection, b"SELECT platform_message_ids FROM locum.outbox WHERE state = 'sent'"
        )
        for message_id in row[0]
    }
    assert known <= set(stored), "a receipt without its message"


async def _every_press_has_its_end(
    connection: psycopg.AsyncConnection[TupleRow], stage: Stage, posts: Sequence[Posted]
) -> None:
    outbox = await _rows(connection, b"SELECT draft_id, state, send_key, reason FROM locum.outbox")
    ignored = {
        int(row[0])
        for row in await _rows(
            connection, b"SELECT subject ->> 'draft' FROM locum.audit WHERE action LIKE 'press.%'"
        )
    }
    posted = {post.key for post in posts}
    for key, draft, verb in stage.world.presses():
        if verb not in {DraftVerb.SEND, DraftVerb.EDIT}:
            continue
        ends = [row for row in outbox if row[0] == draft and (row[1] != "sent" or row[2] in posted)]
        assert ends or draft in ignored, f"press {key} of draft {draft} left no trace"


async def _every_turn_has_its_end(connection: psycopg.AsyncConnection[TupleRow], stage: Stage) -> None:
    turns = await _rows(
        connection,
        b"""
        SELECT t.owner_id, t.id, t.state, c.closed_at IS NULL AND c.turn_id IS NOT NULL AS open,
               EXISTS (SELECT FROM locum.drafts d WHERE d.turn_id = t.id AND d.state = 'proposed') AS proposed,
               EXISTS (SELECT FROM locum.stages s WHERE s.turn_id = t.id AND s.decided IN ('silent', 'failed')) AS why,
               EXISTS (SELECT FROM locum.outbox o WHERE o.turn_id = t.id
                       AND o.state IN ('sent', 'unknown')) AS sent,
               EXISTS (SELECT FROM locum.turns n WHERE n.chat_id = t.chat_id AND n.id > t.id) AS followed,
               EXISTS (SELECT FROM locum.messages m JOIN locum.messages z ON z.id = t.first_message_id
                       WHERE m.chat_id = t.chat_id AND m.sender_id IS NULL AND m.sent_at >= z.sent_at) AS spoken,
               EXISTS (SELECT FROM locum.labels l JOIN locum.drafts d ON d.id = l.draft_id
                       WHERE d.turn_id = t.id AND l.outcome = 'discarded') AS discarded
        FROM locum.turns t LEFT JOIN locum.cards c ON c.turn_id = t.id""",
    )
    live = stage.world.live_cards()
    for owner, turn, state, is_open, proposed, why, sent, followed, spoken, discarded in turns:
        shown = f"card-{owner}-{turn}" in live
        assert shown == (state == "suggested"), (turn, state, "card on the platform", shown)
        reasons = {
            "suggested": is_open and proposed,
            "silent": why,
            "failed": why,
            "superseded": followed and not is_open,
            "answered": (sent or spoken or discarded) and not is_open,
        }
        assert reasons.get(state), (turn, state, is_open, proposed, why, sent, followed, spoken, discarded)
    assert await _rows(connection, b"SELECT id FROM locum.drafts WHERE state = 'sending'") == []


async def _every_line_has_its_turn(connection: psycopg.AsyncConnection[TupleRow], script: Script) -> None:
    """What a contact said lies within a turn, unless the owner had spoken later already when it came."""
    rows = await _rows(
        connection,
        b"""
        SELECT m.platform_message_id FROM locum.messages m WHERE m.origin = 'contact' AND m.deleted_at IS NULL
        AND NOT EXISTS (
            SELECT FROM locum.turns t JOIN locum.messages a ON a.id = t.first_message_id
            JOIN locum.messages z ON z.id = t.last_message_id
            WHERE t.chat_id = m.chat_id AND (m.sent_at, m.id) BETWEEN (a.sent_at, a.id) AND (z.sent_at, z.id))
        AND NOT EXISTS (
            SELECT FROM locum.messages o
            WHERE o.chat_id = m.chat_id AND o.origin = 'typed' AND o.sent_at > m.sent_at)""",
    )
    mine = {message_id for _, message_id in script.contact_lines}
    assert [row[0] for row in rows if row[0] in mine] == []


async def _labels_tell_what_happened(connection: psycopg.AsyncConnection[TupleRow]) -> None:
    wrong = await _rows(
        connection,
        b"""
        SELECT l.draft_id, l.outcome FROM locum.labels l JOIN locum.drafts d ON d.id = l.draft_id
        WHERE l.outcome IN ('sent', 'edited') AND l.message_id IS NULL
          AND NOT EXISTS (SELECT FROM locum.outbox o WHERE o.draft_id = l.draft_id
                          AND o.state IN ('sent', 'unknown'))""",
    )
    assert wrong == []
    unlabelled = await _rows(
        connection,
        b"""
        SELECT o.draft_id FROM locum.outbox o WHERE o.state = 'sent' AND o.origin <> 'auto'
        AND NOT EXISTS (SELECT FROM locum.labels l WHERE l.draft_id = o.draft_id
                        AND l.message_id IS NOT NULL)""",
    )
    assert unlabelled == []
