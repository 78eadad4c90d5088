"""What the survey spools reaches the load unchanged, and nobody else."""

import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.events import Person
from core.history import spool as spooling
from core.history.record import HistoryChat, HistoryMessage
from core.history.spool import LANES, Spool, copied
from core.ids import OwnerId
from core.storage.database import Database
from core.vocabulary import ChatKind
from tests.core.history.exports import START, jsonl, load, record

CHAT = HistoryChat(platform="console", account="mara", id="c1", kind=ChatKind.DIRECT)


def message(number: int, text: str = "hello", **changes: Any) -> HistoryMessage:
    return HistoryMessage(
        chat=CHAT,
        id=f"m{number}",
        sender=Person(id="ana", name="Ana"),
        sent_at=START + timedelta(minutes=number),
        text=text,
        **changes,
    )


HARD = ["\\N", "\\.", "a\\tb", "tab\there", "two\nlines", "line\r\nend", "\v\f\b\x01\x7f", "☕\u2028é\\", ""]


async def test_hard_texts_arrive_as_they_were(database: Database, owner: OwnerId, tmp_path: Path) -> None:
    """Whatever COPY's text format gives a meaning to."""
    lines = [
        record(
            number,
            text,
            sender="mara" if number % 2 else "ana",
            reply_to=text or None,
            thread=text or None,
            attachments=[{"kind": "photo", "caption": text, "transcript": text}],
        )
        for number, text in enumerate(HARD)
    ]
    await load(database, owner, jsonl(tmp_path / "a.jsonl", lines))
    async with database.owner(owner) as connection:
        cursor = await connection.execute("""
            SELECT m.text, m.reply_to, t.platform_thread_id, m.caption, a.caption FROM messages m
            LEFT JOIN threads t ON t.owner_id = m.owner_id AND t.id = m.thread_id
            LEFT JOIN attachments a ON a.owner_id = m.owner_id AND a.message_id = m.id
            ORDER BY m.sent_at""")
        found = await cursor.fetchall()
    assert found == [(t, t or None, t or None, f"{t}\n{t}" if t else "", t) for t in HARD]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
async def test_any_text_passes_through_copy(database: Database, owner: OwnerId, text: str) -> None:
    async with database.owner(owner) as connection:
        await connection.execute("CREATE TEMP TABLE passed (text text) ON COMMIT DROP")
        async with connection.cursor().copy("COPY passed FROM STDIN") as copy:
            await copy.write(copied(text) + "\n")
        cursor = await connection.execute("SELECT text FROM passed")
        assert await cursor.fetchall() == [(text,)]


def test_nobody_else_can_read_it_and_it_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Spool() as spool:
        spool.add(message(1))
        spool.finish()
        assert spool.size > 0
        status = os.fstat(spool.fileno())
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_nlink == 0
        assert list(tmp_path.iterdir()) == []


def test_each_lane_keeps_its_order_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "BLOCK", 3)
    with Spool() as spool:
        for number in range(40):
            spool.add(message(number // 2, f"{number}"))
        spool.finish()
        lanes = [[row[4] for _, block in spool.blocks(lane) for row in block] for lane in range(LANES)]
    texts = [[int(columns.split("\t")[5]) for columns in lane] for lane in lanes]
    assert texts == [sorted(lane) for lane in texts]
    assert sorted(n for lane in texts for n in lane) == list(range(40))
    assert all({n ^ 1 for n in lane} == set(lane) for lane in texts), "one moment goes down one lane"


def test_long_texts_close_a_block_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "LARGEST", 1000)
    with Spool() as spool:
        for number in range(20):
            spool.add(message(number, "x" * 600))
        spool.finish()
        sizes = [len(block) for lane in range(LANES) for _, block in spool.blocks(lane)]
    assert sum(sizes) == 20
    assert max(sizes) <= 2


def test_a_full_disk_is_told_with_its_cure() -> None:
    with Spool() as spool:
        full = os.open("/dev/full", os.O_RDWR)
        os.dup2(full, spool.fileno())
        os.close(full)
        spool.add(message(1))
        with pytest.raises(BadInput, match="TMPDIR"):
            spool.finish()
