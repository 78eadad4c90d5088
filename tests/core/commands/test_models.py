"""`locum models`, as it is typed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import ModelUnavailable


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # away from a developer's own .env
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path))
    return tmp_path


def test_the_list_is_one_json_document_with_the_defaults_in_use() -> None:
    told = CliRunner().invoke(app, ["models", "list", "--json"])
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    used = {one["name"]: (one["used_as"], one["licence"]) for one in answer["models"]}
    assert used == {
        "SmolLM2-135M-Instruct": (["base"], "Apache-2.0"),
        "all-MiniLM-L6-v2": (["embedder"], "Apache-2.0"),
    }
    assert answer["missing"] == []


def test_a_base_that_is_not_at_hand_is_listed_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUM_BASE_MODEL", "some/model")
    told = CliRunner().invoke(app, ["models", "list", "--json"])
    (missing,) = json.loads(told.stdout)["missing"]
    assert missing["used_as"] == "base"
    assert "locum models fetch some/model" in missing["cure"]


def test_the_list_reads_well_without_json() -> None:
    told = CliRunner().invoke(app, ["models", "list"])
    assert told.exit_code == 0
    assert "SmolLM2" in told.stdout
    assert "Apache" in told.stdout


def test_a_fetch_without_a_network_says_so_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # what this sets is undone with it
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    told = CliRunner().invoke(app, ["models", "fetch", "some/model"])
    assert isinstance(told.exception, ModelUnavailable)
    assert "could not be fetched" in str(told.exception)
    assert list((home / "models").iterdir()) == []
