"""A purge names the backups that it cannot reach into."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.commands.storage import purged
from core.storage.backups_made import LIST, backups_left, note_backup
from core.storage.purge import Purged

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_backups_that_still_lie_there_are_named_oldest_first(tmp_path: Path) -> None:
    assert backups_left(tmp_path) == []
    for name, days in (("new", 2), ("gone", 1), ("old", 0)):
        note_backup(tmp_path, tmp_path / name, AT + timedelta(days=days))
    for name in ("new", "old"):
        (tmp_path / name).write_bytes(b"")
    with (tmp_path / LIST).open("a") as listed:
        listed.write('{"file": "/cut sho')
    left = backups_left(tmp_path)
    assert [made.file.name for made in left] == ["old", "new"]
    done = Purged(tables=3, seconds=0.1, log=True, redis=True)
    assert f"{tmp_path / 'old'} is of 2026-03-01 12:00 UTC." in purged(done, left)
    assert (tmp_path / LIST).stat().st_mode & 0o077 == 0
