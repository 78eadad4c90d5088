"""`locum settings` and `.env.example`."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from core.commands.settings import example, register, shown, unknown
from core.settings import Settings, load_settings, variable_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_of(field), raising=False)


def test_the_example_file_is_what_the_settings_say() -> None:
    written = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert written == example(), "run: locum settings --example > .env.example"


def test_every_setting_is_described() -> None:
    assert [name for name, info in Settings.model_fields.items() if not info.description] == []


def test_the_example_file_as_it_is_changes_nothing(tmp_path: Path) -> None:
    before = load_settings()
    (tmp_path / ".env").write_text(example(), encoding="utf-8")
    assert load_settings() == before


def test_the_example_file_with_every_line_uncommented_is_the_default(tmp_path: Path) -> None:
    before = load_settings()
    lines = example().splitlines()
    variables = [line[2:] for line in lines if "=" in line and line.split("=")[0][2:].isupper()]
    assert len(variables) == len(Settings.model_fields)
    (tmp_path / ".env").write_text("\n".join(variables), encoding="utf-8")
    assert load_settings() == before


def test_each_value_names_where_it_came_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOCUM_OWNER=mara\nLOCUM_TIME_ZONE=Europe/Lisbon\n", encoding="utf-8")
    secrets = tmp_path / "credentials"
    secrets.mkdir()
    (secrets / "DATABASE_URL").write_text("postgresql://locum:hunter2@db/locum", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    monkeypatch.setenv("LOCUM_TIME_ZONE", "Europe/Porto")
    rows = {row.name: row for row in shown(load_settings())}
    assert (rows["LOCUM_OWNER"].value, rows["LOCUM_OWNER"].origin) == ("mara", ".env")
    assert (rows["LOCUM_TIME_ZONE"].value, rows["LOCUM_TIME_ZONE"].origin) == ("Europe/Porto", "environment")
    assert rows["DATABASE_URL"].origin == str(secrets)
    assert rows["LOCUM_LOG_LEVEL"].origin == "default"


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://locum:hunter2@db/locum")
    monkeypatch.setenv("LOCUM_MODEL_KEY", "hunter2")
    assert "hunter2" not in repr(shown(load_settings()))


def test_a_misspelt_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUM_OWNRE", "mara")
    assert unknown() == ["LOCUM_OWNRE"]


def test_the_command_prints_one_document() -> None:
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["--json"])
    document = json.loads(result.stdout)
    assert len(document["settings"]) == len(Settings.model_fields)
    assert CliRunner().invoke(app, ["--example"]).stdout == example()
