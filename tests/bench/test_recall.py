import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.bench import weights
from core.bench.baselines import fuse_ranks, rank_with_mem0, rank_with_vectors, why_not_mem0
from core.bench.conversations import Conversation
from core.bench.recall import (
    DEPTHS,
    FIGURES,
    Question,
    leave_one_out,
    rank_with_search,
    read_conversations,
    report,
    score,
    summarise,
)
from core.errors import BadInput
from core.ids import OwnerId
from core.memory.search import as_halfvec
from core.owners import ensure_owner
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
    assert (len(conversation.questions), conversation.unanswerable) == (1, 1)
    asked = await rank_with_search(database, owner, HashEmbedder(), conversation)
    (ranked,) = asked.rankings["locum"]
    assert ranked[0] == "D0"
    assert len(asked.embed_ms) == len(asked.search_ms) == 1


def test_a_folder_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no"):
        read_conversations(tmp_path)


def made_conversation(folder: Path, seed: int) -> Conversation:
    """Four sessions of random words, and a question of two words for every tenth message."""
    rng = np.random.default_rng(seed)
    words = [f"{a}{b}{c}" for a in "bdfgklmnprstv" for b in "aeiou" for c in "lmnrst"]
    at = datetime(2026, 3, 1, tzinfo=UTC)
    texts = [" ".join(rng.choice(words, rng.integers(1, 9))) + ("?" if n % 3 == 0 else "") for n in range(80)]
    lines = [
        {
            "id": f"D{n}",
            "sender": {"id": "ab"[n % 2], "name": ("Ines", "Tova")[n % 2]},
            "sent_at": (at + timedelta(days=n // 20, minutes=n)).isoformat(),
            "text": text,
        }
        for n, text in enumerate(texts)
    ]
    questions = [
        {
            "question": f"What did Tova {texts[n][:11]} on {n // 20 + 1} March? ",
            "category": "ab"[n // 10 % 2],
            "evidence": [f"D{n}", f"D{n - 1}"],
        }
        for n in range(5, 80, 10)
    ]
    folder.mkdir()
    (folder / "made.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "made.questions.jsonl").write_text("\n".join(map(json.dumps, questions)))
    return read_conversations(folder)[0]


async def test_weights_are_chosen_on_the_fusion_that_is_served(
    tmp_path: Path, database: Database, owner: OwnerId
) -> None:
    """numpy's ranking over every message, with the weights that ship, is SQL's exact one."""
    conversation = made_conversation(tmp_path / "one", 1)
    embedder = HashEmbedder()
    asked = await rank_with_search(database, owner, embedder, conversation)
    ours = weights.rank(asked.weighed, weights.SHIPPED, 10)
    vectors = await embedder.embed([question.text for question in conversation.questions])
    async with database.owner(owner) as connection:
        for question, vector, ranked in zip(conversation.questions, vectors, ours, strict=True):
            cursor = await connection.execute(
                """
                SELECT m.platform_message_id
                FROM search_memory_exactly(%s, 'owner', NULL, %s, %s, %s, 10) s
                JOIN messages m ON m.owner_id = %s AND m.id = s.id
                ORDER BY s.score DESC, m.sent_at DESC, m.id DESC""",
                [owner, question.text, as_halfvec(vector), embedder.name, owner],
            )
            assert [str(row[0]) for row in await cursor.fetchall()] == ranked


async def test_weights_left_one_out_come_from_the_other_conversations(
    tmp_path: Path, database: Database
) -> None:
    conversations = [made_conversation(tmp_path / str(seed), seed) for seed in (1, 2)]
    asked = [
        await rank_with_search(database, await ensure_owner(database, f"o{n}"), HashEmbedder(), conversation)
        for n, conversation in enumerate(conversations)
    ]
    rankings, chosen = leave_one_out(conversations, asked)
    evidence = [[question.evidence for question in one.questions] for one in conversations]
    for held_out, other in ((0, 1), (1, 0)):
        found = weights.choose([asked[other].weighed], [evidence[other]])
        assert list(chosen[held_out].values()) == found.tolist()
        assert rankings[held_out] == weights.rank(asked[held_out].weighed, found, max(DEPTHS))
    told = report(conversations, [{"x": ranked} for ranked in rankings])
    assert set(told["x"]) == {"a", "b", "overall"}  # pyright: ignore[reportArgumentType]


def test_choosing_never_ends_worse_than_it_began() -> None:
    rng = np.random.default_rng(3)
    weighed = weights.Weighed(
        names=tuple(map(str, range(40))),
        signals=weights.scale(rng.random((12, 40, 6))),
        length=rng.random(40),
        named=rng.integers(0, 2, (12, 40)).astype(np.float64),
        timely=np.zeros((12, 40)),
        sessions=np.arange(40) // 10,
    )
    questions = [Question(text="", category="", evidence=(str(n), str(n + 5))) for n in range(12)]
    evidence = [[question.evidence for question in questions]]

    def worth(values: weights.Floats) -> float:
        ranked = weights.rank(weighed, values, 10)
        return sum(sum(score(q, r)[:2]) for q, r in zip(questions, ranked, strict=True))

    chosen = weights.choose([weighed], evidence)
    assert worth(chosen) >= worth(np.ones(len(weights.SHIPPED)))
    assert set(chosen.tolist()) <= set(weights.GRID)


def test_recall_counts_the_share_of_evidence_and_the_first_rank() -> None:
    question = Question(text="", category="", evidence=("a", "b"))
    figures = dict(zip(FIGURES, score(question, ["x", "a"]), strict=True))
    assert figures["recall@5"] == figures["recall@50"] == figures["mrr"] == 0.5
    assert figures["hit@5"] == 1.0
    figures = dict(zip(FIGURES, score(question, ["x"] * 9 + ["a", "b"]), strict=True))
    assert [figures[name] for name in ("recall@5", "recall@10", "recall@25")] == [0.0, 0.5, 1.0]
    assert [figures[name] for name in ("hit@5", "hit@10", "mrr")] == [0.0, 1.0, 0.1]


def test_an_interval_holds_the_mean() -> None:
    width = len(FIGURES)
    figures = summarise([np.ones((1, width)), np.zeros((3, width))])
    assert figures["questions"] == 4
    assert figures["recall@5"] == {"mean": 0.25, "low": 0.0, "high": 1.0}


def test_ranks_are_fused_by_their_reciprocals() -> None:
    assert fuse_ranks([["a", "b", "c"]], [["b", "c", "d"]], depth=3) == [["b", "c", "a"]]


@pytest.mark.skipif(why_not_mem0() is not None, reason="mem0 is the optional extra `peers`")
async def test_mem0_without_its_model_ranks_as_its_vectors_do(tmp_path: Path) -> None:
    conversation = made_conversation(tmp_path / "one", 1)
    embedder = HashEmbedder()
    texts = await embedder.embed([record.line for record in conversation.records])
    questions = await embedder.embed([question.text for question in conversation.questions])
    ours = rank_with_vectors(conversation, texts, questions, 5)
    theirs = rank_with_mem0(conversation, texts, questions, 5)
    assert all(len(ranked) == 5 for ranked in theirs)
    assert np.mean([len({*a} & {*b}) / 5 for a, b in zip(ours, theirs, strict=True)]) > 0.8
