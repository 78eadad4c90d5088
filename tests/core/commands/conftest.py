from pathlib import Path

import pytest

from core.ids import OwnerId
from core.owners import ensure_owner
from core.storage.database import Database


@pytest.fixture
async def at_home(
    database: Database, conninfo: str, redis_server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OwnerId:
    """Commands run in a folder of their own, on this test's servers, for this owner."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", conninfo)
    monkeypatch.setenv("REDIS_URL", f"unix://{redis_server}")
    monkeypatch.setenv("LOCUM_OWNER", "mara")
    return await ensure_owner(database, "mara")
