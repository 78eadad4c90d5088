"""The command line on machines that lack one extra or another."""

import subprocess
import sys

import pytest

from core.doctor import EXTRAS

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
