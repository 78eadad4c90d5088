"""The shell scripts and the container's health check, run for real."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(DEPLOY.glob("*.sh"))


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # Not from the root of the checkout, where a .env of yours may lie.
    return subprocess.run(
        command, cwd=DEPLOY, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def tools(folder: Path, *names: str) -> str:
    """A PATH on which only these programs are."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    done = run(str(Path(sys.executable).with_name("shellcheck")), "--shell=sh", str(script))
    assert done.stdout == ""
    assert done.returncode == 0


def test_a_chromium_that_is_there_is_enough(tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "sh")
    (tmp_path / "bin" / "google-chrome").symlink_to("/bin/true")
    done = run("/bin/sh", str(DEPLOY / "install-chromium.sh"), PATH=path, CI="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_chromium_the_cure_is_named_and_only_ci_stops(tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "cat", "id")
    at_home = run("/bin/sh", str(DEPLOY / "install-chromium.sh"), PATH=path)
    in_ci = run("/bin/sh", str(DEPLOY / "install-chromium.sh"), PATH=path, CI="true")
    assert (at_home.returncode, in_ci.returncode) == (0, 1)
    for done in (at_home, in_ci):
        assert "apt-get install chromium" in done.stderr
        assert "brew install" in done.stderr


def test_secrets_are_made_once_and_agree(tmp_path: Path) -> None:
    script = shutil.copy(DEPLOY / "make-secrets.sh", tmp_path)
    run("/bin/sh", str(script), PATH=os.environ["PATH"])
    folder = tmp_path / "secrets"
    first = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert len(first["postgres_password"]) == 48
    assert first["database_url"] == f"postgresql://locum:{first['postgres_password']}@postgres:5432/locum"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert run("/bin/sh", str(script), PATH=os.environ["PATH"]).returncode == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == first


def healthcheck(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(
        sys.executable,
        str(DEPLOY / "healthcheck.py"),
        *arguments,
        PATH=os.environ["PATH"],
        PYTHONPATH=str(ROOT),
        **environment,
    )


def test_a_container_is_well_while_its_database_answers(conninfo: str) -> None:
    done = healthcheck(DATABASE_URL=conninfo)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_container_is_unwell_without_its_database_and_tells_no_secret(tmp_path: Path) -> None:
    done = healthcheck(DATABASE_URL=f"postgresql://locum:hunter2@/locum?host={tmp_path}")
    assert done.returncode == 1
    assert done.stderr == "unwell: OperationalError\n"


def test_a_container_is_unwell_without_its_redis_or_its_page() -> None:
    # Nothing listens on port 1.
    assert healthcheck(REDIS_URL="redis://127.0.0.1:1/0").returncode == 1
    assert healthcheck("page", LOCUM_CONSOLE_PORT="1").returncode == 1
    assert healthcheck().returncode == 0
