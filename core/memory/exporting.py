"""Everything kept about a person, a chat, or at all: one JSON document, for the owner alone."""

from collections.abc import Mapping
from typing import Any

import pydantic_core

from core.ids import OwnerId
from core.memory.forgetting import find_named
from core.storage.database import Connection


async def export_memory(connection: Connection, owner_id: OwnerId, what: str = "") -> bytes:
    """Messages, and all that rests on them: facts, commitments, summaries, topics, drafts; UTF-8 JSON, indented.

    `what` is a contact or a chat by name, number or platform id; empty stands for everything. Raises
    `BadInput` with a sentence when it fits none or several.
    """
    messages, contact = None, None
    if what.strip():
        found = await find_named(connection, owner_id, what)
        messages, contact = list(found.messages), found.contact_id
    asked = {"owner": owner_id, "messages": messages, "contact": contact}
    document = {
        "about": what.strip() or "everything",
        "messages": await _rows(connection, _MESSAGES, asked),
        "facts": await _rows(connection, _FACTS, asked),
        "commitments": await _rows(connection, _COMMITMENTS, asked),
        "summaries": await _rows(connection, _SUMMARIES, asked),
        "topics": await _rows(connection, _TOPICS, asked),
        "drafts": await _rows(connection, _DRAFTS, asked),
    }
    return pydantic_core.to_json(document, indent=2)


async def _rows(connection: Connection, query: bytes, asked: Mapping[str, object]) -> list[dict[str, Any]]:
    cursor = await connection.execute(query, asked)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


_MESSAGES = b"""
    SELECT m.id, a.platform, c.platform_chat_id AS chat_id, c.title AS chat, c.kind AS chat_kind,
           m.platform_message_id AS message_id, m.sender_name AS sender, m.origin, m.sent_at, m.edited_at,
           m.text, m.caption, m.reply_to, s.kind AS source, s.may_draft, s.may_profile, s.may_train
    FROM messages m
    JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
    JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
    JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
    WHERE m.owner_id = %(owner)s AND m.deleted_at IS NULL
      AND (%(messages)s::bigint[] IS NULL OR m.id = ANY (%(messages)s))
    ORDER BY c.id, m.sent_at, m.id"""

_FACTS = b"""
    SELECT f.id, f.subject, f.kind, f.statement, f.confidence, f.valid_from,
           nullif(f.valid_to, 'infinity') AS valid_to, f.hidden, f.pinned,
           array_agg(t.message_id ORDER BY t.message_id) AS message_ids
    FROM facts f JOIN fact_sources t ON t.owner_id = f.owner_id AND t.fact_id = f.id
    WHERE f.owner_id = %(owner)s AND (
        %(messages)s::bigint[] IS NULL OR f.contact_id = %(contact)s::bigint
        OR EXISTS (SELECT FROM fact_sources r WHERE r.owner_id = f.owner_id AND r.fact_id = f.id
                   AND r.message_id = ANY (%(messages)s)))
    GROUP BY f.owner_id, f.id ORDER BY f.id"""

_COMMITMENTS = b"""
    SELECT c.id, c.statement, c.by_owner, c.due_at, c.state,
           array_agg(t.message_id ORDER BY t.message_id) AS message_ids
    FROM commitments c
    JOIN commitment_sources t ON t.owner_id = c.owner_id AND t.commitment_id = c.id
    WHERE c.owner_id = %(owner)s AND (
        %(messages)s::bigint[] IS NULL OR c.contact_id = %(contact)s::bigint
        OR EXISTS (SELECT FROM commitment_sources r WHERE r.owner_id = c.owner_id AND r.commitment_id = c.id
                   AND r.message_id = ANY (%(messages)s)))
    GROUP BY c.owner_id, c.id ORDER BY c.id"""

_SUMMARIES = b"""
    SELECT y.id, y.summary, y.version, y.current, y.extractor, y.pinned, y.hidden,
           array_agg(t.message_id ORDER BY t.message_id) AS message_ids
    FROM session_summaries y
    JOIN summary_sources t ON t.owner_id = y.owner_id AND t.summary_id = y.id
    WHERE y.owner_id = %(owner)s AND y.summary <> '' AND (
        %(messages)s::bigint[] IS NULL
        OR EXISTS (SELECT FROM summary_sources r WHERE r.owner_id = y.owner_id AND r.summary_id = y.id
                   AND r.message_id = ANY (%(messages)s)))
    GROUP BY y.owner_id, y.id ORDER BY y.id"""

_TOPICS = b"""
    SELECT p.id, p.name, p.description, p.version, p.extractor, p.pinned, p.hidden,
           array_agg(t.message_id ORDER BY t.message_id) AS message_ids
    FROM topics p JOIN topic_sources t ON t.owner_id = p.owner_id AND t.topic_id = p.id
    WHERE p.owner_id = %(owner)s AND p.name <> '' AND (
        %(messages)s::bigint[] IS NULL
        OR EXISTS (SELECT FROM topic_sources r WHERE r.owner_id = p.owner_id AND r.topic_id = p.id
                   AND r.message_id = ANY (%(messages)s)))
    GROUP BY p.owner_id, p.id ORDER BY p.id"""

_DRAFTS = b"""
    SELECT d.id, d.text, d.origin, d.state, d.created_at, l.outcome, l.final_text
    FROM drafts d
    JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
    LEFT JOIN labels l ON l.owner_id = d.owner_id AND l.draft_id = d.id
    WHERE d.owner_id = %(owner)s AND d.text <> ''
      AND (%(messages)s::bigint[] IS NULL OR t.last_message_id = ANY (%(messages)s)
           OR EXISTS (SELECT FROM draft_evidence e WHERE e.owner_id = d.owner_id AND e.draft_id = d.id
                      AND e.message_id = ANY (%(messages)s)))
    ORDER BY d.id"""
