"""The dataset, from real rows: consent, origin and opt-out are decided where the words are read."""

import inspect
import json
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.events import Person
from core.ids import OwnerId, SourceId
from core.memory.people import ensure_account, ensure_audience, ensure_contact_account, ensure_source, realm
from core.owners import ensure_owner
from core.storage.database import Connection, Database
from core.vocabulary import SourceKind
from trainer.dataset import DatasetCounts, build_dataset
from trainer.dataset_cli import WHY, print_counts
from trainer.history import said_by_all

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def source(connection: Connection, owner: OwnerId, *, may_train: bool) -> SourceId:
    return await ensure_source(
        connection, owner, SourceKind.EXPORT, "telegram", f"trains: {may_train}", may_train=may_train
    )


async def store(
    database: Database,
    owner: OwnerId,
    chat: str,
    lines: Sequence[tuple[str, str]],
    *,
    may_train: bool = True,
    **flags: object,
) -> None:
    """A chat with Tomás, one line a minute: (origin, text)."""
    async with database.owner(owner) as connection:
        source_id = await source(connection, owner, may_train=may_train)
        account = await ensure_account(connection, owner, "telegram", "mara")
        _, sender = await ensure_contact_account(
            connection, owner, "telegram", realm("telegram", "mara"), Person(id="7", name="Tomás")
        )
        audience = await ensure_audience(connection, owner, "owner")
        cursor = await connection.execute(
            """
            INSERT INTO chats (owner_id, account_id, platform_chat_id, kind, audience_id)
            VALUES (%s, %s, %s, 'direct', %s) RETURNING id""",
            [owner, account, chat, audience],
        )
        row = await cursor.fetchone()
        assert row
        for number, (origin, text) in enumerate(lines):
            theirs = origin in {"contact", "bot"}
            await connection.execute(
                """
                INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_id, sender_name, origin,
                                      sent_at, text, automatic, forwarded, audience_id, source_id)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    owner,
                    row[0],
                    str(number),
                    sender if theirs else None,
                    "Tomás" if theirs else "Mara",
                    origin,
                    MONDAY + timedelta(minutes=number),
                    text,
                    flags.get("automatic", False) and not theirs,
                    flags.get("forwarded", False) and not theirs,
                    audience,
                    source_id,
                ],
            )


async def built(
    database: Database, owner: OwnerId, folder: Path
) -> tuple[DatasetCounts, list[dict[str, Any]]]:
    out = folder / "dataset.jsonl"
    counts = await build_dataset(database, owner, out)
    return counts, [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


async def test_the_owners_answers_are_learned_with_their_sources(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", [("contact", "coming?"), ("typed", "yep, on my way")])
    counts, [window] = await built(database, owner, tmp_path)
    assert [turn["role"] for turn in window["turns"]] == ["system", "user", "assistant"]
    assert [turn["learn"] for turn in window["turns"]] == [False, False, True]
    assert window["turns"][2]["text"] == "yep, on my way"
    assert len(window["message_ids"]) == 2
    assert counts.turns_learned == 1
    assert stat.S_IMODE((tmp_path / "dataset.jsonl").stat().st_mode) == 0o600


async def test_a_source_without_consent_is_not_even_read(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", [("contact", "coming?"), ("typed", "yep")], may_train=False)
    counts, made = await built(database, owner, tmp_path)
    assert made == []
    assert counts.left_out == {"no_consent": 2}


@pytest.mark.parametrize("origin", ["accepted", "edited", "auto"])
async def test_what_locum_wrote_is_nowhere_in_it(
    origin: str, database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    lines = [("contact", "coming?"), (origin, "synthetic words"), ("contact", "great"), ("typed", "see you")]
    await store(database, owner, "1", lines)
    counts, made = await built(database, owner, tmp_path)
    assert "synthetic" not in json.dumps(made)
    assert [turn["text"] for turn in made[0]["turns"] if turn["learn"]] == ["see you"]
    assert counts.left_out["written_by_locum"] == 1


@pytest.mark.parametrize("flag", ["automatic", "forwarded"])
async def test_words_that_the_owners_hand_did_not_write_are_left_out(
    flag: str, database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", [("contact", "coming?"), ("typed", "away till monday")], **{flag: True})
    counts, made = await built(database, owner, tmp_path)
    assert made == []
    assert counts.left_out == {flag: 1, "no_reply": 1}


async def test_a_contact_who_opted_out_is_left_out_and_so_is_what_answers_them(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store(database, owner, "1", [("contact", "coming?"), ("typed", "yep")])
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE contacts SET opted_out_at = now()")
    counts, made = await built(database, owner, tmp_path)
    assert made == []
    assert counts.left_out == {"opted_out": 1, "no_reply": 1}


async def test_a_chat_that_is_added_moves_no_window_to_another_part(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    lines = [("contact", "coming?"), ("typed", "yep")]
    for chat in range(6):
        await store(database, owner, f"{chat}", lines)
    _, before = await built(database, owner, tmp_path)
    for chat in range(6, 20):
        await store(database, owner, f"{chat}", lines)
    _, after = await built(database, owner, tmp_path)
    parts = {tuple(window["message_ids"]): window["part"] for window in after}
    assert len({window["part"] for window in after}) > 1
    assert all(parts[tuple(window["message_ids"])] == window["part"] for window in before)


async def test_another_owners_words_are_not_seen(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    await store(database, owner, "1", [("contact", "coming?"), ("typed", "yep")])
    other = await ensure_owner(database, "ines")
    counts, made = await built(database, other, tmp_path)
    assert (counts.messages, made) == (0, [])


async def test_the_counts_are_one_json_document(database: Database, owner: OwnerId) -> None:
    await store(database, owner, "1", [("contact", "coming at 5pm?"), ("typed", "yep"), ("bot", "beep")])
    counts = await build_dataset(database, owner)
    document = json.loads(json.dumps(counts.as_document()))
    assert document["messages"] == 3
    assert sum(document["windows"].values()) == 1
    assert document["placeholders"] == {"date": 1}
    assert document["left_out"] == {"bot": 1}
    assert set(document) == {field.name for field in fields(DatasetCounts)}


def test_every_reason_has_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {*re.findall(r"THEN '(\w+)'", inspect.getsource(said_by_all)), "no_reply"}
    assert reasons == set(WHY)
    print_counts(DatasetCounts(messages=9, left_out=Counter(dict.fromkeys(reasons, 1))), Console())
    assert "the contact opted out" in capsys.readouterr().out
