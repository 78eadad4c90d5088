"""The owner's accounts on chat platforms: from the environment for the first owner, from rows for the rest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from pydantic import SecretStr

from core.errors import BadInput
from core.ids import AccountId, OwnerId
from core.memory.people import ensure_account
from core.settings import Settings
from core.storage.database import Connection
from core.storage.secrets import read_token, store_token

Platform = Literal["telegram", "slack", "discord"]
PLATFORMS: tuple[Platform, ...] = ("telegram", "slack", "discord")

SECRETS: Mapping[Platform, tuple[str, ...]] = {
    "telegram": ("token",),
    "slack": ("bot_token", "user_token", "app_token", "signing_secret"),
    "discord": ("token",),
}
"""What each platform's accounts are opened with; settings are named `<platform>_<secret>`."""

NEEDED: Mapping[Platform, tuple[str, ...]] = {
    "telegram": ("token",),
    "slack": ("bot_token", "user_token"),
    "discord": ("token",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What opens one account: its secrets, and whose it is."""

    platform: Platform
    owner_id: str
    """The owner's own id there; empty where the tokens tell it."""
    secrets: Mapping[str, SecretStr] = field(repr=False)

    def secret(self, name: str) -> SecretStr:
        return self.secrets.get(name, SecretStr(""))


def logins_of(settings: Settings) -> tuple[Login, ...]:
    """Those of the environment: a platform counts as soon as one of its tokens is there."""
    found = [
        Login(
            platform=platform,
            owner_id=str(getattr(settings, f"{platform}_owner_id")),
            secrets={name: getattr(settings, f"{platform}_{name}") for name in SECRETS[platform]},
        )
        for platform in PLATFORMS
    ]
    return tuple(
        login
        for login in found
        if any(login.secret(name).get_secret_value() for name in NEEDED[login.platform])
    )


def missing_in(login: Login) -> tuple[str, ...]:
    """Settings without which the account cannot be opened."""
    lacking = [name for name in NEEDED[login.platform] if not login.secret(name).get_secret_value()]
    if login.platform != "slack" and not login.owner_id:
        lacking.append("owner_id")
    return tuple(f"LOCUM_{login.platform}_{name}".upper() for name in lacking)


async def stored_logins(connection: Connection, owner_id: OwnerId, key_file: Path) -> tuple[Login, ...]:
    """Those that `locum connect` wrote. Raises `NotConfigured` where the key is lost."""
    cursor = await connection.execute(
        """
        SELECT id, platform, platform_user_id FROM accounts
        WHERE owner_id = %s AND token_encrypted IS NOT NULL ORDER BY id""",
        [owner_id],
    )
    found: list[Login] = []
    for account_id, platform, user in await cursor.fetchall():
        token = await read_token(connection, owner_id, AccountId(int(account_id)), key_file=key_file)
        if token is not None and platform in PLATFORMS:
            found.append(Login(platform=platform, owner_id=str(user or ""), secrets=_unpacked(token)))
    return tuple(found)


def _unpacked(token: str) -> Mapping[str, SecretStr]:
    try:
        named = json.loads(token)
    except json.JSONDecodeError:
        raise BadInput(
            "An account's stored token cannot be read: connect it anew with 'locum connect'."
        ) from None
    return {
        str(name): SecretStr(str(value))
        for name, value in cast("dict[object, object]", named).items()
        if value
    }


async def all_logins(connection: Connection, owner_id: OwnerId, settings: Settings) -> tuple[Login, ...]:
    """Every account of this owner; where the environment and a row name the same one, the environment's."""
    own = logins_of(settings)
    stored = await stored_logins(connection, owner_id, settings.key_file)
    named = {(login.platform, login.owner_id) for login in own}
    alone = {login.platform for login in own if not login.owner_id}
    return (
        *own,
        *(
            each
            for each in stored
            if (each.platform, each.owner_id) not in named and each.platform not in alone
        ),
    )


async def store_login(
    connection: Connection,
    owner_id: OwnerId,
    login: Login,
    *,
    account: str,
    display_name: str,
    key_file: Path,
) -> AccountId:
    """The account's row, its secrets encrypted in it."""
    account_id = await ensure_account(connection, owner_id, login.platform, account, login.owner_id or None)
    packed = {
        name: value.get_secret_value() for name, value in login.secrets.items() if value.get_secret_value()
    }
    await store_token(connection, owner_id, account_id, json.dumps(packed), key_file=key_file)
    await connection.execute(
        """
        UPDATE accounts SET display_name = %s, connected_at = now(), platform_user_id = coalesce(%s, platform_user_id)
        WHERE owner_id = %s AND id = %s""",
        [display_name, login.owner_id or None, owner_id, account_id],
    )
    return account_id


async def remove_login(connection: Connection, owner_id: OwnerId, account_id: AccountId) -> None:
    """The account's secrets are gone; what was said there stays until it is forgotten."""
    await connection.execute(
        "UPDATE accounts SET token_encrypted = NULL, connected_at = NULL WHERE owner_id = %s AND id = %s",
        [owner_id, account_id],
    )


def named(logins: Sequence[Login]) -> dict[str, Login]:
    """Each with a name to tell it by: its platform, and where there are several, its owner's id there."""
    platforms = [login.platform for login in logins]
    return {
        login.platform
        if platforms.count(login.platform) == 1
        else f"{login.platform} {login.owner_id}": login
        for login in logins
    }
