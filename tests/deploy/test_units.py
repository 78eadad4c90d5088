"""The systemd units: accepted by systemd where there is one, and hardened everywhere."""

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ("locum.service", "locum-worker@.service")
EXECUTABLE = "/opt/locum/.venv/bin/locum"

Unit = dict[str, dict[str, list[str]]]

HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictNamespaces": "yes",
    "CapabilityBoundingSet": "",
    "StateDirectory": "locum locum-key",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
}


def read(text: str) -> Unit:
    """A unit's sections; systemd lets a key stand several times, and configparser does not."""
    unit: Unit = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            unit[section][key].append(value)
    return unit


def verified(folder: Path, name: str, text: str) -> str:
    """What systemd has to say against a unit; empty when nothing."""
    path = folder / name
    # systemd looks whether the command is there; the rest of the unit is as shipped.
    path.write_text(text.replace(EXECUTABLE, "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd on this machine: the units are read by hand"
)


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit(name: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert verified(tmp_path, name, text) == ""
    assert "ProtectSystme" in verified(tmp_path, name, text.replace("ProtectSystem", "ProtectSystme"))


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_the_unit_little_exposed(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text((FOLDER / name).read_text(encoding="utf-8"), encoding="utf-8")
    # Of 100; a service without any hardening has 96.
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-200:]


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_hardened(name: str) -> None:
    service = read((FOLDER / name).read_text(encoding="utf-8"))["Service"]
    assert {key: service[key][-1] if service[key] else None for key in HARDENED} == HARDENED
    assert service["User"] == ["locum"]


def test_a_worker_differs_from_the_whole_in_its_command_alone() -> None:
    whole, worker = (read((FOLDER / name).read_text(encoding="utf-8"))["Service"] for name in UNITS)
    assert whole.pop("ExecStart") == [f"{EXECUTABLE} up"]
    assert worker.pop("ExecStart") == [f"{EXECUTABLE} up --only worker"]
    assert whole == worker


@pytest.mark.parametrize("name", UNITS)
def test_no_secret_stands_in_the_unit(name: str) -> None:
    service = read((FOLDER / name).read_text(encoding="utf-8"))["Service"]
    assert service["EnvironmentFile"] == ["-/etc/locum/env"]
    given = " ".join(service["Environment"]).upper()
    assert "PASSWORD" not in given
    assert "URL" not in given
