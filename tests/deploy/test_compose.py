"""compose.yaml: valid by the Compose specification, and closed where it has to be."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
OURS = {"locum", "worker", "console"}

Document = dict[str, Any]


def read(text: str) -> Document:
    """The document with its merges resolved; raises ValueError where the specification is broken."""
    document = cast("Document", yaml.safe_load(text))
    PyCompose.from_json(json.dumps(document)).to_spec()
    return document


@pytest.fixture
def compose() -> Document:
    return read(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("interval: 5s", "interval: soon"),
        ("restart: unless-stopped", "restrat: unless-stopped"),
        ("retries: 12", "retries: a dozen"),
        ("condition: service_healthy", "condition: service_happy"),
    ],
)
def test_a_mistake_is_refused_by_the_specification(right: str, wrong: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert right in text
    with pytest.raises(ValueError, match=r"."):
        read(text.replace(right, wrong))


def test_only_the_console_is_published_and_on_this_machine_alone(compose: Document) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert set(ports) == {"locum", "console"}
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)


def test_the_stores_are_on_a_network_that_leads_nowhere(compose: Document) -> None:
    assert compose["networks"]["stores"]["internal"] is True
    assert compose["services"]["postgres"]["networks"] == ["stores"]
    assert compose["services"]["redis"]["networks"] == ["stores"]


def test_everything_that_is_named_is_defined(compose: Document) -> None:
    for service in compose["services"].values():
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(compose["volumes"])
    assert (FILE.parent / compose["services"]["locum"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / compose["services"]["locum"]["build"]["dockerfile"]).is_file()


def test_every_store_keeps_its_data_and_says_when_it_is_ready(compose: Document) -> None:
    for name in ("postgres", "redis"):
        assert compose["services"][name]["volumes"]
        assert compose["services"][name]["healthcheck"]["test"]
    # PostgreSQL 18's image keeps its data one folder higher than earlier ones.
    assert compose["services"]["postgres"]["image"].endswith("-pg18")
    assert compose["services"]["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    command = compose["services"]["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"


def test_locum_waits_for_its_stores_and_can_do_little_else(compose: Document) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert {store: how["condition"] for store, how in service["depends_on"].items()} == {
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "user" not in service, "the image's own user is not root"


def test_the_processes_are_the_ones_that_locum_has(compose: Document) -> None:
    commands = {name: compose["services"][name]["command"] for name in OURS}
    assert commands == {
        "locum": ["up"],
        "worker": ["up", "--only", "worker"],
        "console": ["up", "--only", "console"],
    }


def test_no_secret_stands_in_the_file(compose: Document) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            assert re.search(r"(?i)password$|_key$|token|database_url", name) is None, name
            assert "@" not in str(value), name
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "deploy/secrets/" in ignored
    assert all(secret["file"].startswith("./secrets/") for secret in compose["secrets"].values())
