"""How L2 is doing, for the terminal and the console: the night under way, those before, and the versions.

All of it is sentences and figures of Locum's own.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.ids import OwnerId
from core.storage.database import Connection

SILENCE = timedelta(minutes=2)
"""A night writes every ten seconds; one that is silent for so long was cut short, or hardly gets to run."""

SHOWN_RUNS = 5
SHOWN_VERSIONS = 8

STEPS = {
    "snapshot": "looking at what there is",
    "dataset": "reading your conversations",
    "synthesise": "making examples from memory",
    "filter": "filtering examples",
    "sft": "learning your voice",
    "dpo": "learning from your edits",
    "evaluate": "judging",
    "gate": "deciding",
    "promote": "putting it in place",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A night that has not ended."""

    run_id: int
    step: str
    share: float
    """Of the night that is done, from 0 to 1."""
    seconds_left: float
    """At most."""
    device: str
    told: str
    heard_at: datetime
    silent: bool

    @property
    def sentence(self) -> str:
        doing = STEPS.get(self.step, self.step)
        if self.silent:
            return (
                f"Run {self.run_id} was last heard of at {self.heard_at.astimezone():%H:%M} ({doing}): "
                "it was cut short, or hardly gets to run. The next night goes on from there."
            )
        return f"Run {self.run_id}: {doing}, {self.share:.0%} done, {time_left(self.seconds_left)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A night that ended. `state`: done, skipped or failed."""

    run_id: int
    state: str
    sentence: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One adapter that was judged."""

    name: str
    state: str
    gain: str
    """Bits per byte against the base, below zero is better, with the interval; empty where it was not measured."""
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStatus:
    """All of it; the newest first."""

    under_way: UnderWay | None
    past: tuple[PastRun, ...]
    versions: tuple[Version, ...]

    @property
    def serving(self) -> str:
        """Which version serves, in a sentence."""
        active = next((one for one in self.versions if one.state == "active"), None)
        if active is None:
            return "The base serves, without an adapter."
        gain = f": {active.gain} bits/byte against the base, less is better" if active.gain else ""
        return f"{active.name} serves{gain}."

    @property
    def sentences(self) -> list[str]:
        """What `locum train status` says of it."""
        now = [self.under_way.sentence] if self.under_way else []
        if self.under_way and not self.under_way.silent:
            now += [f"On {self.under_way.device}."] if self.under_way.device else []
            now += [f"{self.under_way.told}."] if self.under_way.told else []
        last = [f"Run {run.run_id}, {run.state}: {run.sentence}" for run in self.past[:1]]
        return [self.serving, *now, *last]


async def read_training(
    connection: Connection, owner_id: OwnerId, now: datetime | None = None
) -> TrainingStatus:
    """As it stands; runs of long ago are left out."""
    cursor = await connection.execute(
        """
        SELECT id, state, reason, started_at, progress FROM training_runs
        WHERE owner_id = %s ORDER BY id DESC LIMIT %s""",
        [owner_id, SHOWN_RUNS + 1],
    )
    runs = await cursor.fetchall()
    current = next((row for row in runs[:1] if row[1] == "running"), None)
    return TrainingStatus(
        under_way=_under_way(current[0], current[3], current[4], now or datetime.now(UTC))
        if current
        else None,
        past=tuple(
            PastRun(run_id=row[0], state=row[1], sentence=_sentence(row[1], row[2]), started_at=row[3])
            for row in runs
            if row[1] != "running"
        )[:SHOWN_RUNS],
        versions=await _versions(connection, owner_id),
    )


async def _versions(connection: Connection, owner_id: OwnerId) -> tuple[Version, ...]:
    """The newest ones, and the one that serves, however old it is."""
    cursor = await connection.execute(
        """
        SELECT name, state, scores -> 'against_base', reason, created_at FROM adapters
        WHERE owner_id = %s ORDER BY state = 'active' DESC, id DESC LIMIT %s""",
        [owner_id, SHOWN_VERSIONS],
    )
    return tuple(
        Version(name=row[0], state=row[1], gain=gain_of(row[2]), reason=row[3], created_at=row[4])
        for row in await cursor.fetchall()
    )


def _under_way(run_id: int, started_at: datetime, progress: dict[str, Any], now: datetime) -> UnderWay:
    heard_at = datetime.fromisoformat(progress["at"]) if "at" in progress else started_at
    return UnderWay(
        run_id=run_id,
        step=str(progress.get("step", "snapshot")),
        share=float(progress.get("share", 0.0)),
        seconds_left=max(0.0, float(progress.get("seconds_left", 0.0)) - (now - heard_at).total_seconds()),
        device=str(progress.get("device", "")),
        told=str(progress.get("told", "")),
        heard_at=heard_at,
        silent=now - heard_at > SILENCE,
    )


def _sentence(state: str, reason: str) -> str:
    if state == "failed":
        why = reason.rstrip(".") or "it was cut short"
        return f"{why}. The next night goes on from there, or begins anew."
    return reason


def gain_of(told: dict[str, float] | None) -> str:
    """A paired difference with its interval."""
    return f"{told['value']:+.3f} [{told['low']:+.3f}, {told['high']:+.3f}]" if told else ""


def time_left(seconds: float) -> str:
    """At most so long, as people say it."""
    minutes = round(seconds / 60)
    return f"at most {minutes} min left" if minutes else "less than a minute left"
