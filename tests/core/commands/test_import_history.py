"""`locum import` as a person or a script calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.core.history.exports import jsonl, record


def locum(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.cli", "import", *arguments],
        env={**os.environ, "LOCUM_HOME": str(home), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_dry_run_prints_one_json_document_and_starts_no_server(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara"), "{"])
    done = locum(tmp_path / "home", str(path), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["messages_read"], report["owner"]["ids"], report["batch"]) == (2, ["mara"], None)
    assert [error["position"] for error in report["errors"]] == ["line 3"]
    assert not (tmp_path / "home").exists()


def test_an_import_is_listed_and_undone(tmp_path: Path, conninfo: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara")])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return locum(tmp_path / "home", *arguments, "--json", DATABASE_URL=conninfo)

    imported = run(str(path), "--no-index", "--training", "yes")
    assert imported.returncode == 0, imported.stderr
    batch = json.loads(imported.stdout)["batch"]
    assert [item["state"] for item in json.loads(run("--list").stdout)] == ["finished"]
    assert json.loads(run("--undo", str(batch)).stdout) == {"batch": batch, "messages_removed": 2}
    again = run("--undo", str(batch))
    assert again.returncode == 1
    assert "undone already" in again.stderr


def test_what_cannot_be_imported_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "diary.txt"
    path.write_text("dear diary")
    done = locum(tmp_path / "home", str(path), "--dry-run")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no export that Locum knows" in " ".join(done.stderr.split())
