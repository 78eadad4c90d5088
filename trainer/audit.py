"""The audit set: frozen at its first use, looked at once a month, so that a year of nights cannot fit it.

A night that is judged on the same held-out weeks as the night before will now and then be promoted by
luck. The audit part is drawn by the same hash, belongs to no night, and says in each month's first
judgement whether the gain is there, too. What was measured is kept: a second night of that month is not
measured again.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from core.ids import OwnerId
from trainer.examples import Moment
from trainer.figures import Interval
from trainer.split import LEARNED
from trainer.style import runs_of
from trainer.windows import Window

MOST = 60
"""Moments: a rough look is enough, and the night is short."""

LEAST = 10


class Audits:
    """What is kept of the owner's audits: digests of moments, and figures. No words."""

    def __init__(self, home: Path, owner_id: OwnerId) -> None:
        self._file = home / "audit" / f"{owner_id}.json"

    def this_month(
        self,
        at: datetime,
        run_id: int,
        moments: Sequence[Moment],
        measure: Callable[[list[Moment]], Interval | None],
    ) -> dict[str, Any] | None:
        """This month's figure if it is this run's, measured now where the month has none. None otherwise."""
        told = self._read()
        month = f"{at:%Y-%m}"
        if month in told["months"]:
            known: dict[str, Any] = told["months"][month]
            return known if known["run"] == run_id else None
        there = {moment.digest: moment for moment in moments}
        frozen = told["frozen"] or sorted(there)[:MOST]
        # What was forgotten meanwhile is gone from the set, and nothing takes its place.
        chosen = [there[digest] for digest in frozen if digest in there]
        if len(chosen) < LEAST:
            return None
        found = measure(chosen)
        if found is None:
            return None
        kept = {"run": run_id, "moments": len(chosen), "gain": asdict(found)}
        self._write({"frozen": frozen, "months": {**told["months"], month: kept}})
        return kept

    def _read(self) -> dict[str, Any]:
        if not self._file.is_file():
            return {"frozen": [], "months": {}}
        return dict(json.loads(self._file.read_text(encoding="utf-8")))

    def _write(self, told: dict[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self._file.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(told, file, indent=2)
        unfinished.replace(self._file)


def audited_of(told: dict[str, Any]) -> Interval | None:
    """The audit's figure in a run's evaluation, where there was one."""
    audit = told.get("audit")
    return Interval(**audit["gain"]) if audit else None


def unseen(moments: Sequence[Moment], windows: Sequence[Window]) -> list[Moment]:
    """Without replies that share eight words in a row with one that is learned: those test memory of text."""
    learned = {
        run
        for window in windows
        if window.part in LEARNED
        for turn in window.turns
        if turn.learn
        for run in runs_of(turn.text)
    }
    return [moment for moment in moments if learned.isdisjoint(runs_of(moment.reply.text))]
