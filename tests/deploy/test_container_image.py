"""The Containerfile, read as a builder reads it."""

import re
from pathlib import Path
from typing import cast

import pytest
from dockerfile_parse import DockerfileParser  # pyright: ignore[reportMissingTypeStubs] -- it has none

ROOT = Path(__file__).parents[2]
Step = tuple[str, str]


def steps_of(content: str, folder: Path) -> list[Step]:
    """(instruction, value) of each step; the parser wants a file of its own."""
    parser = DockerfileParser(str(folder / "Dockerfile"))
    parser.content = content
    structure = cast("list[dict[str, str]]", parser.structure)
    return [(row["instruction"], row["value"]) for row in structure if row["instruction"] != "COMMENT"]


@pytest.fixture
def steps(tmp_path: Path) -> list[Step]:
    return steps_of((ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8"), tmp_path)


def last_stage(steps: list[Step]) -> list[Step]:
    start = max(index for index, (instruction, _) in enumerate(steps) if instruction == "FROM")
    return steps[start:]


def copied_from_the_checkout(steps: list[Step]) -> list[str]:
    copies = [value.split() for instruction, value in steps if instruction in {"COPY", "ADD"}]
    return [source for words in copies if not words[0].startswith("--from=") for source in words[:-1]]


def test_the_compiler_of_the_build_stage_does_not_reach_the_image(steps: list[Step]) -> None:
    assert sum(instruction == "FROM" for instruction, _ in steps) == 2
    assert any(value.startswith("--from=build") for _, value in last_stage(steps))
    assert not any("pip install" in value for _, value in last_stage(steps))


def test_every_base_image_is_slim_and_named_with_a_version(steps: list[Step]) -> None:
    images = [value.split()[0] for instruction, value in steps if instruction == "FROM"]
    assert all(image.endswith(":${PYTHON_VERSION}-slim") for image in images)
    assert ("ARG", "PYTHON_VERSION=3.13") in steps


def test_locum_does_not_run_as_root(steps: list[Step]) -> None:
    users = [value for instruction, value in last_stage(steps) if instruction == "USER"]
    assert users
    assert users[-1].split(":")[0] not in {"0", "root"}
    instructions = [instruction for instruction, _ in last_stage(steps)]
    assert instructions.index("USER") < instructions.index("ENTRYPOINT")


def test_everything_that_is_copied_exists_and_reaches_the_builder(steps: list[Step]) -> None:
    let_through = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    sources = copied_from_the_checkout(steps)
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert set(sources) == let_through


def test_no_secret_is_baked_in(steps: list[Step]) -> None:
    settings = " ".join(value for instruction, value in steps if instruction in {"ENV", "ARG"})
    assert re.search(r"(?i)(password|secret|token|_key=|database_url|redis_url)", settings) is None
    assert not any(Path(source).name.startswith(".env") for source in copied_from_the_checkout(steps))


def test_the_image_says_when_it_is_unwell(steps: list[Step]) -> None:
    [check] = [value for instruction, value in steps if instruction == "HEALTHCHECK"]
    script = re.search(r"/opt/locum/(\w+\.py)", check)
    assert script
    assert (ROOT / "deploy" / script[1]).is_file()


def test_the_extras_that_are_installed_by_default_exist(steps: list[Step]) -> None:
    [extras] = [value for instruction, value in steps if instruction == "ARG" and value.startswith("EXTRAS")]
    known = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in extras.removeprefix("EXTRAS=").split(","):
        assert re.search(rf"(?m)^{extra} = \[", known)


def test_a_file_that_runs_as_root_would_be_noticed(tmp_path: Path) -> None:
    steps = steps_of("FROM python:3.13-slim\nCOPY nowhere .\nUSER root\nENTRYPOINT locum\n", tmp_path)
    with pytest.raises(AssertionError):
        test_locum_does_not_run_as_root(steps)
    with pytest.raises(AssertionError):
        test_everything_that_is_copied_exists_and_reaches_the_builder(steps)
