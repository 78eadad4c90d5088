"""`locum import` as a process: killed in the middle, asking at a terminal, and indexing afterwards."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.errors import ModelUnavailable
from core.models.embedding import find_embedder
from core.settings import load_settings
from tests.core.history.exports import jsonl, record

MANY = 40_000


def start(
    home: Path,
    conninfo: str,
    *arguments: str,
    stdin: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "core.cli", *arguments],
        env={
            **os.environ,
            "LOCUM_HOME": str(home),
            "DATABASE_URL": conninfo,
            "COLUMNS": "200",
            "TERM": "dumb",
        },
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def run(home: Path, conninfo: str, *arguments: str) -> Any:
    """What the command prints as JSON."""
    process = start(home, conninfo, *arguments, "--json")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def stored(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        if connection.execute("SELECT to_regclass('locum.messages')").fetchone() == (None,):
            return 0
        return one(connection, "SELECT count(*) FROM locum.messages")


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def story(conninfo: str) -> list[tuple[Any, ...]]:
    """All messages, in the order in which a chat is read."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute("""
            SELECT c.platform_chat_id, m.platform_message_id, m.sent_at, m.sender_name, m.origin, m.text,
                   a.kind, t.platform_thread_id
            FROM locum.messages m JOIN locum.chats c ON c.id = m.chat_id
            JOIN locum.audiences a ON a.id = m.audience_id
            LEFT JOIN locum.threads t ON t.id = m.thread_id
            ORDER BY c.platform_chat_id, m.sent_at, m.id""").fetchall()


def lines(count: int) -> list[object]:
    """Bursts of three in the same second, some of them in threads: only their order tells them apart."""
    return [
        record(
            n,
            f"line {n}",
            sender="mara" if n % 2 else "ana",
            sent_at=f"2026-01-{1 + n // 20_000:02}T{n // 1000 % 20:02}:{n // 30 % 60:02}:{n // 3 % 60:02}Z",
            thread="t" if n % 7 == 0 else None,
        )
        for n in range(count)
    ]


def test_an_import_killed_in_the_middle_is_completed_by_the_next(tmp_path: Path, conninfo: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", lines(MANY))
    home, words = tmp_path / "home", ("import", str(path), "--no-index", "--training", "no")
    process = start(home, conninfo, *words)
    end = time.monotonic() + 120
    while not (seen := stored(conninfo)) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert 0 < seen < MANY

    completed = run(home, conninfo, *words)
    assert (completed["messages_read"], stored(conninfo)) == (MANY, MANY)
    assert 0 < completed["messages_new"] <= MANY - seen
    after_the_kill = story(conninfo)
    listed = run(home, conninfo, "import", "--list")
    assert [batch["state"] for batch in listed] == ["finished", "broken off"]
    removed = [
        run(home, conninfo, "import", "--undo", str(batch["batch"]))["messages_removed"] for batch in listed
    ]
    assert (sum(removed), stored(conninfo)) == (MANY, 0)
    run(home, conninfo, *words)
    assert story(conninfo) == after_the_kill


class Terminal:
    """A process with a pseudo-terminal as its stdin and stderr."""

    def __init__(self, home: Path, conninfo: str, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.process = start(home, conninfo, *arguments, stdin=slave, stderr=slave)
        os.close(slave)
        self._heard = ""

    def answer(self, question: str, answer: str) -> None:
        while question not in self._heard:
            ready, _, _ = select.select([self._master], [], [], 60)
            assert ready, f"nothing more was said; until now: {self._heard}"
            self._heard += os.read(self._master, 4096).decode(errors="replace")
        self._heard = self._heard.partition(question)[2]
        os.write(self._master, f"{answer}\n".encode())

    def finish(self) -> Mapping[str, Any]:
        try:
            while os.read(self._master, 4096):
                pass
        except OSError:  # Linux' way of saying that the other end hung up
            pass
        out, _ = self.process.communicate(timeout=60)
        os.close(self._master)
        assert self.process.returncode == 0
        return json.loads(out)


def test_what_is_not_known_is_asked_at_the_terminal(tmp_path: Path, conninfo: str) -> None:
    path = tmp_path / "WhatsApp Chat with Ana.txt"
    path.write_text("3/4/26, 10:00 - Ana: hi\n3/4/26, 10:01 - Ana: there?\n3/4/26, 10:02 - Mara: yes\n")
    terminal = Terminal(tmp_path / "home", conninfo, "import", str(path), "--no-index", "--json")
    terminal.answer("teach Locum your voice?", "y")
    terminal.answer("(day first)?", "y")
    terminal.answer("are you?", "")  # an empty line is no choice, and it asks again
    terminal.answer("Please select", "2")
    report = terminal.finish()
    assert report["owner"] == {"ids": ["Mara"], "how": "asked at the terminal"}
    assert report["first"].startswith("2026-04-03")
    with psycopg.connect(conninfo) as connection:
        assert one(connection, "SELECT may_train FROM locum.sources")
        assert one(connection, "SELECT count(*) FROM locum.messages WHERE origin = 'typed'") == 1


def embedder_is_at_hand() -> bool:
    settings = load_settings()
    try:
        find_embedder(settings.home, settings.embedding_model)
    except ModelUnavailable:
        return False
    return True


@pytest.mark.skipif(not embedder_is_at_hand(), reason="the default embedding model is not installed")
def test_an_import_embeds_and_reads_for_facts(tmp_path: Path, conninfo: str) -> None:
    talk = [
        record(1, "where do you live now?"),
        record(2, "I live in Lisbon", sender="mara"),
        record(3, "I work as a nurse", sender="ana"),
    ]
    path = jsonl(tmp_path / "a.jsonl", talk)
    home = tmp_path / "home"
    process = start(home, conninfo, "import", str(path), "--training", "no", "--json")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err.decode()
    assert json.loads(out)["messages_new"] == 3
    assert "Embedding" in err.decode()
    assert "Learning facts" in err.decode()
    with psycopg.connect(conninfo) as connection:
        assert one(connection, "SELECT count(*) FROM locum.embeddings WHERE span = 'turn'") == 3
        assert one(connection, "SELECT count(*) FROM locum.facts WHERE statement ILIKE '%Lisbon%'") == 1
        connection.execute("DELETE FROM locum.embeddings WHERE span = 'window'")
    assert run(home, conninfo, "index")["embedded"] == 3
