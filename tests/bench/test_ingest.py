"""`locum bench ingest` measures what it says, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from core.bench.ingest import SENTENCE, _generate  # pyright: ignore[reportPrivateUsage] -- what it measures with


def test_the_importer_is_measured_against_a_bare_copy(tmp_path: Path, conninfo: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "bench", "ingest", "--rows", "300", "--json"],
        env={**os.environ, "LOCUM_HOME": str(tmp_path), "DATABASE_URL": conninfo},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["rows"] == 300
    assert 0 < measured["share"] == measured["copy_seconds"] / measured["importer_seconds"]
    with psycopg.connect(conninfo) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'locum_bench_%'"
        ).fetchone()
    assert left == (0,)


def test_a_generated_export_is_the_same_every_time_and_as_long_as_asked(tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    for folder in (short, long):
        folder.mkdir()
    once = _generate(short, 50, SENTENCE).read_bytes()
    assert _generate(short, 50, SENTENCE).read_bytes() == once
    assert len(_generate(long, 50, 100 * SENTENCE).read_bytes()) > 10 * len(once)
