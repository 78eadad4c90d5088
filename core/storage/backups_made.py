"""Which backups were made and where they lie: a purge cannot reach into them, and names them."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LIST = "backups.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupMade:
    file: Path
    made_at: datetime


def note_backup(home: Path, file: Path, made_at: datetime) -> None:
    """Remember where a backup was written, and nothing of what is in it."""
    line = json.dumps({"file": str(file), "made_at": made_at.isoformat()}) + "\n"
    descriptor = os.open(home / LIST, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as listed:
        listed.write(line)


def backups_left(home: Path) -> list[BackupMade]:
    """Those that still lie where they were written, oldest first; a line that was cut short is passed over."""
    try:
        lines = (home / LIST).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = [made for line in lines if (made := _made(line)) and made.file.is_file()]
    return sorted(found, key=lambda made: made.made_at)


def _made(line: str) -> BackupMade | None:
    try:
        told = json.loads(line)
        return BackupMade(file=Path(told["file"]), made_at=datetime.fromisoformat(told["made_at"]))
    except (ValueError, KeyError, TypeError):
        return None
