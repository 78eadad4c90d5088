"""`locum bench generate`, on a tiny model."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli import app
from tests.core.models.tiny import make_tiny


def test_the_backends_are_compared_in_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = make_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path))
    monkeypatch.setenv("LOCUM_BASE_MODEL", str(tiny.gguf))
    monkeypatch.setenv("LOCUM_GENERATE_THREADS", "1")
    monkeypatch.setattr("core.bench.generate.PROMPT_WORDS", 20)
    told = CliRunner().invoke(app, ["bench", "generate", "--json", "--repeats", "1"])
    assert told.exit_code == 0, told.exception
    answer = json.loads(told.stdout)
    assert answer["not_measured"] == {}
    assert [one["backend"] for one in answer["generators"]] == ["llama", "transformers"]
    assert all(one["decode_ratio"] >= 0 for one in answer["generators"])
    assert all(one["prefill_tokens_per_second"] > 0 for one in answer["generators"])
    assert answer["embedder"]["texts_per_second"] > 0
