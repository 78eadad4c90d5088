"""`locum bench ingest` measures what it says, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg


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
