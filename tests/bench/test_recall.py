import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.bench.recall import Question, rank_with_search, read_conversations, score, summarise
from core.bench.search import (
    CHAT,
    WordVectors,
    ask_bare,
    ask_exactly,
    ask_served,
    choose_questions,
    fill,
    made_records,
    overlap,
    timed,
)
from core.errors import BadInput
from core.ids import OwnerId
from core.storage.database import Database
from tests.standins import HashEmbedder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    texts = ["The piano is in the hall", "Fish on Friday", "Rope and harness", "It was tuned in May"]
    lines = [
        {
            "id": f"D{n}",
            "sender": {"id": "a", "name": "Ines"},
            "sent_at": (at + timedelta(days=n)).isoformat(),
            "text": text,
        }
        for n, text in enumerate(texts)
    ]
    questions: list[dict[str, object]] = [
        {"question": "Where is the piano?", "category": "single-hop", "evidence": ["D0"]},
        {"question": "Who sings?", "category": "adversarial", "evidence": []},
    ]
    (tmp_path / "one.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "one.questions.jsonl").write_text("\n".join(map(json.dumps, questions)))
    return tmp_path


async def test_evidence_is_sought_through_the_search_that_is_served(
    corpus: Path, database: Database, owner: OwnerId
) -> None:
    (conversation,) = read_conversations(corpus)
    assert len(conversation.questions) == 1
    (ranked,) = await rank_with_search(database, owner, HashEmbedder(), conversation)
    assert ranked[0] == "D0"


def test_a_folder_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no"):
        read_conversations(tmp_path)


def test_recall_counts_the_share_of_evidence_and_the_first_rank() -> None:
    question = Question(text="", category="", evidence=("a", "b"))
    assert score(question, ["x", "a"]) == [0.5, 0.5, 0.5, 0.5]
    assert score(question, ["x"] * 9 + ["a", "b"]) == [0.0, 0.5, 1.0, 0.1]


def test_an_interval_holds_the_mean() -> None:
    rows = [np.array([[1.0, 1.0, 1.0, 1.0]]), np.array([[0.0, 0.0, 1.0, 0.5]] * 3)]
    figures = summarise(rows)
    assert figures["questions"] == 4
    assert figures["recall@5"] == {"mean": 0.25, "low": 0.0, "high": 1.0}


async def test_the_search_benchmark_measures_what_it_says(database: Database, owner: OwnerId) -> None:
    vectors = WordVectors(1)
    await fill(database, owner, made_records(1), CHAT + 200, vectors)
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT count(*) FROM messages")
        row = await cursor.fetchone()
    assert row == (CHAT + 200,)
    questions = await choose_questions(database, owner, 5, vectors, 1)
    served, found = await timed(database, owner, ask_served, questions)
    _, exact = await timed(database, owner, ask_exactly, questions)
    _, bare = await timed(database, owner, ask_bare, questions)
    assert served["n"] == 5
    assert overlap(found, exact) >= 0.9
    assert all(len(ids) == 10 for ids in bare)
