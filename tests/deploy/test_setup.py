"""What `make` installs: everything that pyproject asks for is pinned, and the two commands hold together."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any, cast

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = cast(
    "dict[str, Any]", tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
)
EXTRAS = cast("dict[str, list[str]]", PROJECT["optional-dependencies"])


def pins() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def asked_for() -> list[Requirement]:
    lines = [
        *cast("list[str]", PROJECT["dependencies"]),
        *(line for lines in EXTRAS.values() for line in lines),
    ]
    return [requirement for line in lines if (requirement := Requirement(line)).name != "locum"]


def needed(requirement: Requirement, seen: set[str]) -> Iterator[str]:
    """The packages that a requirement brings on this machine, itself included."""
    for extra in {"", *requirement.extras}:
        mark = f"{canonicalize_name(requirement.name)}[{extra}]"
        if mark in seen:
            continue
        seen.add(mark)
        yield canonicalize_name(requirement.name)
        for line in requires(requirement.name) or []:
            child = Requirement(line)
            if child.marker is None or child.marker.evaluate({"extra": extra}):
                yield from needed(child, seen)


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    pinned = pins()
    wrong = [
        str(requirement)
        for requirement in asked_for()
        if (version := pinned.get(canonicalize_name(requirement.name))) is None
        or version not in requirement.specifier
    ]
    assert wrong == [], "run 'make lock'"


def test_what_the_requirements_bring_along_is_pinned_too() -> None:
    seen: set[str] = set()
    brought: set[str] = set()
    for requirement in asked_for():
        try:
            brought.update(needed(requirement, seen))
        except PackageNotFoundError as missing:
            raise AssertionError(f"{missing} is not installed: run 'make setup'") from missing
    # pip leaves these out of what it freezes.
    assert brought - set(pins()) - {"pip", "setuptools", "wheel"} == set(), "run 'make lock'"


def test_torch_is_pinned_without_a_build_so_that_each_machine_takes_its_own() -> None:
    assert pins()["torch"].local is None
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"TORCH := torch=={pins()['torch']}" in makefile
    assert f"torch=={pins()['torch']}" in EXTRAS["local-models"]


def test_every_file_that_the_makefile_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:deploy|docs|tests)/[\w./-]+", makefile))
    assert "deploy/install-chromium.sh" in named
    assert [path for path in named if not (ROOT / path).exists()] == []


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_python_that_is_missing_is_named_before_anything_is_made(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    done = make(tmp_path, "setup", "PYTHON=/nowhere/python")
    assert done.returncode != 0
    assert "Name another: make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_setup_that_is_up_to_date_does_nothing(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    done = make(tmp_path, "setup", "PYTHON=/nowhere/python")
    assert done.returncode == 0
    assert "Installing" not in done.stdout


def test_ci_runs_what_make_test_runs() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
