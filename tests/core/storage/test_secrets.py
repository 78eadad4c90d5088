"""Tokens are unreadable without a file that is not in the data folder."""

import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet

from core.errors import NotConfigured
from core.ids import AccountId, OwnerId
from core.storage.database import Database
from core.storage.secrets import ensure_keys, read_keys, read_token, store_token


@pytest.fixture
async def account(database: Database, owner: OwnerId) -> AccountId:
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            "INSERT INTO accounts (owner_id, platform, name) VALUES (%s, 'slack', 'mara') RETURNING id",
            [owner],
        )
        row = await cursor.fetchone()
    assert row is not None
    return AccountId(int(row[0]))


async def test_a_token_comes_back_and_is_not_in_the_row(
    database: Database, owner: OwnerId, account: AccountId, tmp_path: Path
) -> None:
    key_file = tmp_path / "config" / "key"
    async with database.owner(owner) as connection:
        assert await read_token(connection, owner, account, key_file=key_file) is None
        await store_token(connection, owner, account, "xoxb-open-sesame", key_file=key_file)
        assert await read_token(connection, owner, account, key_file=key_file) == "xoxb-open-sesame"
        cursor = await connection.execute("SELECT convert_from(token_encrypted, 'UTF8') FROM accounts")
        row = await cursor.fetchone()
    assert row is not None
    assert "sesame" not in row[0]


async def test_a_lost_or_foreign_key_is_told_with_its_cure(
    database: Database, owner: OwnerId, account: AccountId, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    async with database.owner(owner) as connection:
        await store_token(connection, owner, account, "open sesame", key_file=key_file)
        key_file.unlink()
        with pytest.raises(NotConfigured, match=r"is missing.*LOCUM_KEY_FILE.*connect the accounts anew"):
            await read_token(connection, owner, account, key_file=key_file)
        with pytest.raises(NotConfigured, match="is missing"):
            await store_token(connection, owner, account, "another", key_file=key_file)
        ensure_keys(key_file)
        with pytest.raises(NotConfigured, match="slack account mara was encrypted with another key"):
            await read_token(connection, owner, account, key_file=key_file)


def test_the_key_file_is_its_users_alone_and_left_by_itself(tmp_path: Path) -> None:
    ensure_keys(tmp_path / "config" / "key")
    assert (tmp_path / "config" / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "config").iterdir()] == ["key"]


def test_a_new_key_in_front_still_reads_the_old_tokens(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    token = ensure_keys(key_file).encrypt(b"open sesame")
    key_file.write_bytes(Fernet.generate_key() + b"\n" + key_file.read_bytes())
    assert read_keys(key_file).decrypt(token) == b"open sesame"


def test_who_makes_the_key_at_once_gets_the_same_one(tmp_path: Path) -> None:
    made: list[MultiFernet] = []
    threads = [threading.Thread(target=lambda: made.append(ensure_keys(tmp_path / "key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    token = made[0].encrypt(b"open sesame")
    assert [keys.decrypt(token) for keys in made] == [b"open sesame"] * 8


@pytest.mark.parametrize("content", [b"", b"no key\n", b"\xff\xfe"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(NotConfigured, match="cannot be used: it holds no keys"):
        read_keys(tmp_path / "key")
