"""The doctor names what is wrong, with a cure for each."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from core import doctor
from core.doctor import Finding, examine
from core.settings import Settings
from core.storage.secrets import ensure_keys


def by_subject(found: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in found}


@pytest.fixture
def settings(tmp_path: Path, conninfo: str, redis_server: Path) -> Settings:
    """A machine on which everything is in order."""
    return Settings(
        home=tmp_path,
        key_file=tmp_path / "key",
        database_url=SecretStr(conninfo),
        redis_url=SecretStr(f"unix://{redis_server}"),
        console_port=0,
    )


async def test_a_machine_in_order_has_nothing_wrong(settings: Settings, tmp_path: Path) -> None:
    found = await examine(settings, env_file=tmp_path / "absent")
    assert [finding for finding in found if finding.level == "wrong"] == []
    assert by_subject(found)["Schema"].says.endswith("up to date")
    assert by_subject(found)["Redis"].says == "answers"


async def test_every_complaint_names_its_cure(settings: Settings, tmp_path: Path) -> None:
    ensure_keys(settings.key_file).encrypt(b"")
    settings.key_file.chmod(0o644)
    (tmp_path / ".env").write_text("LOCUM_OWNR=mara\nLOCUM_DATABASE_URL=here\n")
    broken = settings.model_copy(
        update={
            "database_url": SecretStr("host=/nowhere dbname=locum"),
            "redis_url": SecretStr("unix:///nowhere.sock"),
            "base_model": "no-such-model",
            "embedding_model": "no-such-embedder",
            "teacher_url": "teacher.example",
            "time_zone": "Middle/Earth",
        }
    )
    found = [one for one in await examine(broken, env_file=tmp_path / ".env") if one.level != "fine"]
    assert all(finding.says and finding.cure for finding in found)
    wrong = {finding.subject for finding in found if finding.level == "wrong"}
    assert wrong == {
        "Key file", "LOCUM_TEACHER_URL", "Time zone", "Base model", "Embedding model", "Redis", "Postgres",
    }  # fmt: skip
    cures = [finding.cure for finding in found if finding.subject == "Settings"]
    assert cures == ["Did you mean DATABASE_URL?", "Did you mean LOCUM_OWNER?"]


async def test_a_database_behind_or_ahead_of_the_code_is_told(settings: Settings, conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO locum.schema_migrations (version, name) VALUES (9999, 'future')"
        )
        ahead = by_subject(await doctor.postgres(conninfo))["Schema"]
        await connection.execute("DELETE FROM locum.schema_migrations WHERE version > 1")
        behind = by_subject(await doctor.postgres(conninfo))["Schema"]
    assert (ahead.level, behind.level) == ("wrong", "advice")
    assert "Upgrade Locum" in ahead.cure
    assert "locum migrate" in behind.cure
    empty = by_subject(await doctor.postgres(make_conninfo(conninfo, dbname="template1")))
    assert empty["Schema"].says == "The database is empty."
    assert settings.console_port == 0


async def test_an_old_pgvector_is_wrong_and_a_newer_one_is_not() -> None:
    told = {
        version: doctor.pgvector(version).level for version in ("0.7.4", "0.8.3", "0.8.4", "0.8.5", "1.0.0")
    }  # pyright: ignore[reportPrivateUsage]
    assert told == {"0.7.4": "wrong", "0.8.3": "wrong", "0.8.4": "fine", "0.8.5": "fine", "1.0.0": "fine"}


def test_a_missing_package_is_wrong_only_where_it_is_needed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"embedded": ("not_installed",), "console": ("neither_is_this",)})
    with_urls = by_subject(list(doctor.packages(settings)))
    without = by_subject(list(doctor.packages(settings.model_copy(update={"database_url": None}))))
    assert with_urls["Packages (embedded)"].level == "advice"
    assert without["Packages (embedded)"].level == "wrong"
    assert without["Packages (console)"] == Finding(
        subject="Packages (console)",
        level="advice",
        says="Missing: neither_is_this.",
        cure="pip install 'locum[console]'",
    )


def test_an_old_python_a_full_disk_and_a_taken_port_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor.python((3, 10)).level == "wrong"
    monkeypatch.setattr(doctor, "NO_SPACE", 1 << 62)
    monkeypatch.setattr(doctor, "LITTLE_SPACE", 1 << 62)
    assert by_subject(list(doctor.data_folder(tmp_path / "not" / "yet")))["Disk space"].level == "wrong"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert doctor.console_port("127.0.0.1", taken.getsockname()[1]).level == "advice"


def test_a_data_folder_that_is_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert by_subject(list(doctor.data_folder(tmp_path / "home")))["Data folder"].level == "wrong"


def test_an_env_file_that_is_no_text_is_wrong(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"LOCUM_OWNER=\xff\xfe")
    assert by_subject(list(doctor.environment(tmp_path / ".env", [])))[".env"].level == "wrong"


def test_the_command_says_one_json_document_and_fails_when_something_needed_is_wrong(
    settings: Settings, conninfo: str
) -> None:
    command = (
        "import sys, typer; from core.commands.doctor import register; app = typer.Typer();"
        "app.callback()(lambda: None); register(app); sys.argv[1:] = ['doctor', '--json']; app()"
    )
    assert settings.redis_url is not None
    environment = os.environ | {
        "LOCUM_HOME": str(settings.home),
        "LOCUM_KEY_FILE": str(settings.key_file),
        "DATABASE_URL": conninfo,
        "REDIS_URL": settings.redis_url.get_secret_value(),
    }
    good = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, check=False)
    assert good.returncode == 0, good.stderr
    assert {finding["level"] for finding in json.loads(good.stdout)} <= {"fine", "advice"}
    environment["LOCUM_TIME_ZONE"] = "Middle/Earth"
    bad = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, check=False)
    assert bad.returncode == 1
    assert "Middle/Earth" in bad.stdout.decode()
