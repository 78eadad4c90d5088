"""What everything else builds on, frozen: the words that are stored, and the one search function's face."""

import re
from enum import StrEnum

import psycopg
import pytest

from core.vocabulary import (
    DraftOrigin,
    DraftState,
    Intent,
    Mode,
    Origin,
    OutboxState,
    Outcome,
    Risk,
    TurnState,
)

SEARCH = (
    "p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_query text, p_embedding halfvec, "
    "p_model text, p_limit integer, p_fact_limit integer DEFAULT 0, p_chat_id bigint DEFAULT NULL::bigint, "
    "p_since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone, "
    "p_until timestamp with time zone DEFAULT 'infinity'::timestamp with time zone, "
    "p_as_of timestamp with time zone DEFAULT 'infinity'::timestamp with time zone, "
    "p_drafting boolean DEFAULT false"
)
FOUND = (
    "TABLE(kind text, id bigint, chat_id bigint, score real, lexical real, lexical_window real, "
    "dense real, dense_window real)"
)


RECALL = (
    "p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_query text, p_embedding halfvec, "
    "p_model text, p_until timestamp with time zone, p_limit integer, p_fact_limit integer, "
    "p_past_limit integer"
)
RECALLED = FOUND[:-1] + ", reply_ids bigint[], reply text, asked text, replied_at timestamp with time zone)"


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [("search_memory", SEARCH, FOUND), ("recall_memory", RECALL, RECALLED)],
)
async def test_the_search_functions_face_is_frozen(
    conninfo: str, function: str, arguments: str, result: str
) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(
            """
            SELECT pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.prosecdef, r.rolname
            FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
            WHERE p.pronamespace = 'locum'::regnamespace AND p.proname = %s""",
            [function],
        )
        assert await cursor.fetchall() == [(arguments, result, True, "locum_search")]


def test_the_labels_are_frozen() -> None:
    assert [outcome.value for outcome in Outcome] == ["sent", "edited", "discarded", "ignored", "overtaken"]
    assert [origin.value for origin in Origin] == ["typed", "accepted", "edited", "auto", "contact", "bot"]
    assert [risk.value for risk in Risk] == ["promise", "money", "privacy", "emotion", "ambiguity"]


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("labels", "outcome", Outcome),
        ("messages", "origin", Origin),
        ("drafts", "intent", Intent),
        ("drafts", "origin", DraftOrigin),
        ("drafts", "state", DraftState),
        ("turns", "state", TurnState),
        ("outbox", "state", OutboxState),
        ("policies", "mode", Mode),
    ],
)
async def test_the_database_takes_the_same_words_as_the_code(
    conninfo: str, table: str, column: str, words: type[StrEnum]
) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(
            """
            SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum]
            WHERE c.conrelid = %s::regclass AND c.contype = 'c' AND a.attname = %s""",
            [f"locum.{table}", column],
        )
        (definition,) = [str(row[0]) for row in await cursor.fetchall()]
    assert set(re.findall(r"'(\w+)'", definition)) == {word.value for word in words}
