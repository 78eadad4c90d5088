"""Platform tokens, encrypted with a key that is kept outside the data folder.

Who copies the database, or a backup of it, has no token. The file holds one key a line: the first
encrypts, all decrypt, so that a new one can be put in front of the old.
"""

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.errors import NotConfigured
from core.ids import AccountId, OwnerId
from core.storage.database import Connection


def read_keys(path: Path) -> MultiFernet:
    """The keys of that file. Raises `NotConfigured` when it is missing or is no key file."""
    try:
        lines = path.read_text(encoding="ascii").split()
        return MultiFernet([Fernet(line) for line in lines])
    except FileNotFoundError:
        raise NotConfigured(
            f"The key file {path} is missing, and platform tokens cannot be read without it. Put it back "
            "from wherever you keep it (LOCUM_KEY_FILE names it), or connect the accounts anew."
        ) from None
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no keys"
        raise NotConfigured(f"The key file {path} cannot be used: {reason}.") from None


def ensure_keys(path: Path) -> MultiFernet:
    """The keys of that file, which is made with a new key, for its user alone, if there is none."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key() + b"\n")
                file.flush()
                os.fsync(descriptor)
            _link_if_absent(draft, path)
        finally:
            draft.unlink()
    return read_keys(path)


def _link_if_absent(draft: Path, path: Path) -> None:
    """The file is whole from its first moment on; of two who make one at once, the first wins."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


async def store_token(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, token: str, *, key_file: Path
) -> None:
    """The account's token is kept, encrypted; the key is made if there is none and no token needs one."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM accounts WHERE owner_id = %s AND token_encrypted IS NOT NULL)", [owner_id]
    )
    in_use = await cursor.fetchone() == (True,)
    keys = read_keys(key_file) if in_use else ensure_keys(key_file)
    await connection.execute(
        "UPDATE accounts SET token_encrypted = %s WHERE owner_id = %s AND id = %s",
        [keys.encrypt(token.encode()), owner_id, account_id],
    )


async def read_token(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, *, key_file: Path
) -> str | None:
    """The account's token, if it has one. Raises `NotConfigured` when the key is lost or another."""
    cursor = await connection.execute(
        "SELECT token_encrypted, platform, name FROM accounts WHERE owner_id = %s AND id = %s",
        [owner_id, account_id],
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return None
    try:
        return read_keys(key_file).decrypt(bytes(row[0])).decode()
    except InvalidToken:
        raise NotConfigured(
            f"The token of {row[1]} account {row[2]} was encrypted with another key than {key_file} holds: "
            "put the old key file back, or connect the account anew."
        ) from None
