"""What the owner made of drafts, read from real rows: which become pairs, and what forgetting finds."""

from pathlib import Path

from core.ids import OwnerId
from core.memory.forgetting import find_message, forget
from core.storage.database import Connection, Database
from tests.trainer.people import questions, store_weeks
from trainer.dataset import build_dataset
from trainer.preferences import build_preferences, count_sources, read_preferences, standing_drafts
from trainer.runs import begin
from trainer.split import Part


async def judge_drafts(connection: Connection, owner: OwnerId, outcome: str, final: str, count: int) -> None:
    """Drafts that answered the first questions; what was sent of them is stored as the platform would show it."""
    await connection.execute(
        """
        WITH asked AS (
            SELECT m.id, m.chat_id, m.sent_at, m.audience_id, m.source_id FROM messages m
            WHERE m.owner_id = %(owner)s AND m.origin = 'contact'
              AND NOT EXISTS (SELECT FROM turns t WHERE t.owner_id = m.owner_id AND t.last_message_id = m.id)
            ORDER BY m.id LIMIT %(count)s
        ), turned AS (
            INSERT INTO turns (owner_id, chat_id, first_message_id, last_message_id, state, due_at)
            SELECT %(owner)s, chat_id, id, id, 'answered', now() FROM asked RETURNING id, last_message_id
        ), drafted AS (
            INSERT INTO drafts (owner_id, turn_id, version, position, text, intent, origin, confidence, state)
            SELECT %(owner)s, id, 0, 0, 'It would be my pleasure to come.', 'agree', 'model', 0.5, 'sent'
            FROM turned RETURNING id, turn_id
        ), told AS (
            INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_name, origin, sent_at, text,
                                  audience_id, source_id)
            SELECT %(owner)s, chat_id, 'sent:' || asked.id, 'Mara',
                   CASE %(outcome)s WHEN 'edited' THEN 'edited' ELSE 'accepted' END, sent_at + interval '9 seconds',
                   %(final)s, audience_id, source_id
            FROM asked WHERE %(outcome)s <> 'discarded' RETURNING id, platform_message_id
        )
        INSERT INTO labels (owner_id, draft_id, outcome, final_text, message_id)
        SELECT %(owner)s, d.id, %(outcome)s, CASE WHEN %(outcome)s <> 'discarded' THEN %(final)s END,
               (SELECT told.id FROM told WHERE told.platform_message_id = 'sent:' || t.last_message_id)
        FROM drafted d JOIN turned t ON t.id = d.turn_id""",
        {"owner": owner, "outcome": outcome, "final": final, "count": count},
    )


async def test_edits_are_pairs_and_what_stood_is_judged_alone(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store_weeks(database, owner, questions(80))
    async with database.owner(owner) as connection:
        run = await begin(connection, owner, tmp_path, {})
        await judge_drafts(connection, owner, "edited", "nah mate, busy today", 20)
        await judge_drafts(connection, owner, "sent", "It would be my pleasure to come.", 10)
        await judge_drafts(connection, owner, "discarded", "", 10)
        await judge_drafts(connection, owner, "edited", "It would be my pleasure to come!", 10)
    counts = await build_preferences(database, owner, tmp_path / "pairs.jsonl", run_id=run.id)
    found = read_preferences(tmp_path / "pairs.jsonl")
    assert counts["too_small_a_change"] == 10
    assert sum(counts.values()) == 50
    assert {choice.kind for choice in found} == {"pair", "good", "bad"}
    for choice in found:
        assert choice.only.part is Part.TRAIN
        assert [turn.learn for turn in choice.only.turns[:-1]] == [False] * (len(choice.only.turns) - 1)
        if choice.kind == "pair":
            assert choice.worse
            assert choice.only.turns[-1].text == "nah mate, busy today"
            assert choice.worse.turns[-1].text == "It would be my pleasure to come."
            assert choice.worse.turns[:-1] == choice.only.turns[:-1]
        else:
            assert choice.worse is None
            assert choice.only.turns[-1].text == "It would be my pleasure to come."


async def test_forgetting_an_edit_is_noticed_before_promotion(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store_weeks(database, owner, questions(40))
    async with database.owner(owner) as connection:
        run = await begin(connection, owner, tmp_path, {})
        await judge_drafts(connection, owner, "edited", "nah mate, busy today", 20)
    await build_dataset(database, owner, tmp_path / "d.jsonl", run_id=run.id)
    await build_preferences(database, owner, tmp_path / "pairs.jsonl", run_id=run.id)
    async with database.owner(owner) as connection:
        before = (
            await count_sources(connection, owner, run.id),
            await standing_drafts(connection, owner, run.id),
        )
        assert before[1]
        cursor = await connection.execute(
            """
            SELECT min(f.message_id)::text FROM training_example_sources f
            JOIN messages m ON m.id = f.message_id WHERE m.origin = 'edited'"""
        )
        row = await cursor.fetchone()
        assert row
        await forget(connection, owner, await find_message(connection, owner, str(row[0])))
        assert await standing_drafts(connection, owner, run.id) < before[1]


async def test_drafts_in_a_source_not_given_for_training_are_left_out(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store_weeks(database, owner, questions(40), may_train=False)
    async with database.owner(owner) as connection:
        run = await begin(connection, owner, tmp_path, {})
        await judge_drafts(connection, owner, "edited", "nah mate, busy today", 20)
    counts = await build_preferences(database, owner, tmp_path / "pairs.jsonl", run_id=run.id)
    assert counts == {"not_given_for_training": 20}
    assert read_preferences(tmp_path / "pairs.jsonl") == []
