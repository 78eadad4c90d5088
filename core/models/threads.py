"""How many CPU threads each kind of model work gets, so that none starves the others."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """CPU threads for generating replies, for embedding texts, and for training."""

    generate: int
    embed: int
    train: int


def usable_cores() -> int:
    """Physical cores that this process may use, at least 1.

    A container's or a cpuset's limit counts. Hyper-threads do not: matrix work gains nothing there.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _physical_cores() or allowed, _quota() or allowed))


def choose_threads(cores: int, *, generate: int = 0, embed: int = 0) -> Threads:
    """A share of `cores` for each kind of work; a figure above 0 is taken as it is.

    Generation is what somebody waits for, so it gets all cores but one; that one is left to
    Postgres, the page and embedding. llama.cpp's threads wait for each other at every layer: with
    a busy neighbour two threads on two cores were slower than one (24 against 31 to 57 tokens/s).
    Training runs at night and leaves one core for replies.
    """
    return Threads(
        generate=generate or max(1, cores - 1),
        embed=embed or max(1, cores // 4),
        train=max(1, cores - 1),
    )


def calm_threads() -> None:
    """Let idle OpenMP threads sleep instead of spinning; must run before torch is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def _physical_cores() -> int | None:
    """Distinct (package, core) pairs of Linux's /proc/cpuinfo; None where that is not told."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:  # noqa: PTH123 -- a device, not a path
            text = lines.read()
    except OSError:
        return None
    cores = {
        (fields.get("physical id"), fields["core id"])
        for fields in map(_fields, text.split("\n\n"))
        if "core id" in fields
    }
    return len(cores) or None


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _quota() -> int | None:
    """Whole CPUs of this container's cgroup v2 quota; None where there is no limit."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as told:  # noqa: PTH123 -- a device, not a path
            quota, period = told.read().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
