"""What the owner refuses is learned on no night, and a verdict holds no words."""

import json
from dataclasses import replace
from pathlib import Path

from core.ids import MessageId, OwnerId
from core.memory.forgetting import Target, forget
from core.storage.database import Database
from tests.trainer.test_dataset import built, store
from tests.trainer.test_windows import MARA, talk
from trainer.dataset import build_dataset, read_windows
from trainer.history import Said, shared_spans
from trainer.verdicts import judge_example, read_verdicts, reject_message
from trainer.windows import Window, windows

LINES = [
    ("contact", "coming?"),
    ("typed", "yep, on my way"),
    ("contact", "bring milk"),
    ("typed", "sure thing"),
]


async def only_window(database: Database, owner: OwnerId, folder: Path) -> Window:
    file = folder / "dataset.jsonl"
    await build_dataset(database, owner, file)
    (window,) = read_windows(file)
    return window


async def test_a_rejected_example_is_made_on_no_later_night(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", LINES)
    window = await only_window(database, owner, tmp_path)
    async with database.owner(owner) as connection:
        await judge_example(connection, owner, window, "rejected")
    counts, made = await built(database, owner, tmp_path)
    assert (made, counts.rejected) == ([], 1)
    async with database.owner(owner) as connection:
        await judge_example(connection, owner, window, "approved")
        assert (await read_verdicts(connection, owner)).messages == frozenset()
    _, made = await built(database, owner, tmp_path)
    assert len(made) == 1


async def test_a_rejected_message_stays_as_context_and_is_not_learned(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", LINES)
    window = await only_window(database, owner, tmp_path)
    async with database.owner(owner) as connection:
        await reject_message(connection, owner, MessageId(window.learned_ids[0]))
    _, (made,) = await built(database, owner, tmp_path)
    assert [turn["text"] for turn in made["turns"] if turn["learn"]] == ["sure thing"]


async def test_a_verdict_copies_no_words_and_dies_with_any_of_its_messages(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", LINES)
    window = await only_window(database, owner, tmp_path)
    async with database.owner(owner) as connection:
        await judge_example(connection, owner, window, "rejected")
        cursor = await connection.execute("SELECT row_to_json(v)::text FROM training_verdicts v")
        rows = [str(row[0]) for row in await cursor.fetchall()]
        assert len(rows) == 4
        assert not any("milk" in row or "sure" in row or "way" in row for row in rows)
        gone = Target(kind="message", messages=(MessageId(window.learned_ids[0]),))
        await forget(connection, owner, gone)
        cursor = await connection.execute("SELECT digest FROM training_verdicts")
        assert [row[0] for row in await cursor.fetchall()] == [""]  # the other message's own


async def test_a_draft_that_the_owner_changed_teaches_what_they_changed(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(
        database, owner, "1", [("contact", "coming?"), ("edited", "Sure, but rather late tonight, sorry")]
    )
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            WITH turn AS (
                INSERT INTO turns (owner_id, chat_id, first_message_id, last_message_id, state, due_at)
                SELECT owner_id, chat_id, id, id, 'answered', now() FROM messages WHERE origin = 'contact'
                RETURNING owner_id, id
            ), draft AS (
                INSERT INTO drafts (owner_id, turn_id, version, position, text, intent, origin, confidence, state)
                SELECT owner_id, id, 0, 0, 'Sure, see you tonight, sorry', 'agree', 'model', 0.5, 'sent' FROM turn
                RETURNING owner_id, id
            )
            INSERT INTO labels (owner_id, draft_id, outcome, final_text, message_id)
            SELECT d.owner_id, d.id, 'edited', m.text, m.id FROM draft d, messages m WHERE m.origin = 'edited'"""
        )
    _, (made,) = await built(database, owner, tmp_path)
    reply = made["turns"][-1]
    hidden = [reply["text"][begin:end] for begin, end in reply["no_loss"]]
    assert reply["learn"]
    assert hidden == ["Sure,", "tonight, sorry"]


async def test_a_draft_that_was_hardly_changed_teaches_nothing(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", [("contact", "coming?"), ("edited", "yes I am on my way to you now!")])
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            WITH turn AS (
                INSERT INTO turns (owner_id, chat_id, first_message_id, last_message_id, state, due_at)
                SELECT owner_id, chat_id, id, id, 'answered', now() FROM messages WHERE origin = 'contact'
                RETURNING owner_id, id
            ), draft AS (
                INSERT INTO drafts (owner_id, turn_id, version, position, text, intent, origin, confidence, state)
                SELECT owner_id, id, 0, 0, 'Yes I am on my way to you now', 'agree', 'model', 0.5, 'sent' FROM turn
                RETURNING owner_id, id
            )
            INSERT INTO labels (owner_id, draft_id, outcome, final_text, message_id)
            SELECT d.owner_id, d.id, 'edited', m.text, m.id FROM draft d, messages m WHERE m.origin = 'edited'"""
        )
    counts, made = await built(database, owner, tmp_path)
    assert "on my way" not in json.dumps(made)
    assert counts.left_out["written_by_locum"] == 1


def test_spans_are_those_of_whole_words_in_order() -> None:
    assert shared_spans("b a c", "a b c") == [(0, 1), (4, 5)] or shared_spans("b a c", "a b c") == [(2, 5)]
    assert shared_spans("new words", "old text") == []


def test_the_words_of_a_draft_carry_no_loss_in_a_burst() -> None:
    asked, first, second = talk("so?", "> yes", "> see you there then")
    stream: list[Said] = [asked, first, replace(second, drafted="see you later")]
    (window,) = windows(stream, MARA)
    text, spans = window.turns[-1].text, window.turns[-1].no_loss
    assert text == "yes\nsee you there then"
    assert [text[begin:end] for begin, end in spans] == ["see you"]
