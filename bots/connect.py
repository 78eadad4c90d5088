"""`locum connect`, `accounts` and `disconnect`: the owner's accounts on chat platforms, from first token to last."""

import asyncio
import json
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.console import Console

from bots.accounts import (
    NEEDED,
    PLATFORMS,
    SECRETS,
    Login,
    Platform,
    all_logins,
    logins_of,
    missing_in,
    named,
    remove_login,
    store_login,
)
from bots.checked import Checked
from bots.pairing import SECONDS, owner_by_code
from bots.platforms import opened
from bots.terms import TERMS, Answers, asked, cautious, secret
from core.errors import BadInput, LocumError
from core.ids import AccountId
from core.memory.consents import change_consents, find_source
from core.memory.retention import set_retention
from core.reply.situation import read_account, source_of
from core.runtime import open_locum
from core.settings import Settings, load_settings
from core.terminal import said

out = Console(stderr=True, highlight=False)


ASKED = {
    "token": "The bot's token",
    "bot_token": "The app's bot token (xoxb-...)",
    "user_token": "Your user token of the app (xoxp-...)",
    "app_token": "The app-level token for Socket Mode (xapp-..., empty if events come over HTTP)",
    "owner_id": "Your own Discord user id (a number: Settings, Advanced, Developer Mode; then your profile's menu)",
    "signing_secret": "The signing secret (only for events over HTTP; else empty)",
}

NOBODY = (
    "Nobody is here to answer, and nothing was kept. With --defaults nothing is asked: tokens come from the settings, "
    "which .env.example lists."
)
UP = "'locum up' serves it. Where it runs already, stop it and start it anew."

PlatformArgument = Annotated[Platform, typer.Argument(help="The chat platform.")]
DEFAULTS = typer.Option("--defaults", help="Ask nothing: tokens from the settings, the cautious answers.")


def register(app: typer.Typer) -> None:
    """Add the commands to `locum`."""
    app.command()(connect)
    app.command()(accounts)
    app.command()(disconnect)


def connect(platform: PlatformArgument, defaults: Annotated[bool, DEFAULTS] = False) -> None:
    """Connect an account: its tokens are checked, you say what it may be used for, and it is kept encrypted."""
    try:
        _connect(load_settings(), platform, ask=not defaults)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise BadInput(NOBODY) from None


def accounts(
    check: Annotated[
        bool, typer.Option("--check", help="Ask each platform whether the tokens are good.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the accounts that are connected, and with --check what each still lacks."""
    found = asyncio.run(_accounts(load_settings(), check=check))
    if as_json:
        sys.stdout.write(json.dumps({"accounts": found}, ensure_ascii=False) + "\n")
        return
    for each in found:
        out.print(said(f"{each['name']}: {each['state']}"))
        for sentence in each["missing"]:
            out.print(said(f"  · {sentence}"))
    if not found:
        out.print(f"None is connected: 'locum connect' takes {', '.join(PLATFORMS)}.")


def disconnect(
    platform: PlatformArgument,
    account: Annotated[str, typer.Option(help="Which, where there are several: its name.")] = "",
) -> None:
    """Forget an account's tokens. What was said there stays until it is forgotten."""
    out.print(said(asyncio.run(_disconnect(load_settings(), platform, account))))


# ─── connecting ──────────────────────────────────────────────────────────────────────────────


def _connect(settings: Settings, platform: Platform, *, ask: bool) -> None:
    """Nothing is kept before everything is answered. Questions wait outside of event loops: Ctrl-C ends them."""
    terms = TERMS[platform]
    out.print(said(terms.first))
    out.print(said(f"Step by step: {terms.guide}\n", "dim"))
    login = _login(settings, platform, ask=ask)
    if not ask and (lacking := missing_in(login)):
        raise BadInput(f"Put {' and '.join(lacking)} into .env, or leave out --defaults and be asked.")
    checked = asyncio.run(_checked(login, settings))
    _tell(checked)
    if not checked.opens:
        raise BadInput(f"Nothing was kept. Mend this, and say 'locum connect {platform}' again.")
    login = replace(login, owner_id=login.owner_id or checked.owner_id)
    answers = asked(terms) if ask else cautious(terms)
    asyncio.run(_keep(settings, login, checked, answers))
    out.print("\nConnected. 'locum memory consents' changes what you answered. Next:")
    for step in (UP, *checked.next_steps):
        out.print(said(f"  · {step}"))


def _login(settings: Settings, platform: Platform, *, ask: bool) -> Login:
    """The settings' tokens and owner; those that are missing are asked for, the tokens without showing them."""
    known = next((login for login in logins_of(settings) if login.platform == platform), None)
    login = known or Login(platform=platform, owner_id=getattr(settings, f"{platform}_owner_id"), secrets={})
    if not ask:
        return login
    given = dict(login.secrets)
    for name in SECRETS[platform]:
        if not login.secret(name).get_secret_value():
            given[name] = SecretStr(secret(ASKED[name], optional=name not in NEEDED[platform]))
    login = replace(login, secrets=given)
    return login if login.owner_id else replace(login, owner_id=_owner(login, settings))


def _owner(login: Login, settings: Settings) -> str:
    """The owner's id on the platform; empty where the tokens tell it."""
    if login.platform == "telegram":
        return asyncio.run(_paired(login, settings))
    if login.platform == "discord":
        return str(typer.prompt(ASKED["owner_id"], err=True)).strip()
    return ""


async def _paired(login: Login, settings: Settings) -> str:
    """The owner's Telegram id: whoever sends the bot the code that stands on this terminal."""
    code = f"{secrets.randbelow(10**8):08d}"

    def tell(bot_name: str) -> None:
        out.print(f"Open @{bot_name} in Telegram and send it this number: [bold]{code}[/bold]")
        out.print(
            f"So Locum learns which account is yours. It waits for {SECONDS / 60:.0f} minutes.", style="dim"
        )

    return await owner_by_code(settings.telegram_api_url, login.secret("token"), code, tell)


async def _checked(login: Login, settings: Settings) -> Checked:
    return await opened(login, settings).check()


def _tell(checked: Checked) -> None:
    if who := checked.owner_name or checked.owner_id:
        out.print(said(f"This is {who} at {checked.workspace or checked.account}."))
    for sentence in checked.missing:
        out.print(said(f"Missing: {sentence}", "yellow"))


async def _keep(settings: Settings, login: Login, checked: Checked, answers: Answers) -> None:
    """The account, its secrets and what was answered, in one transaction."""
    async with open_locum(settings) as locum, locum.database.owner(locum.owner_id) as connection:
        account_id = await store_login(
            connection,
            locum.owner_id,
            login,
            account=checked.account,
            display_name=checked.owner_name,
            key_file=locum.settings.key_file,
        )
        account = await read_account(connection, locum.owner_id, account_id)
        source = await find_source(connection, locum.owner_id, str(await source_of(connection, account)))
        await change_consents(connection, locum.owner_id, source, answers.wishes)
        if answers.days is not None:
            await set_retention(connection, locum.owner_id, account_id, answers.days or None)


# ─── what is connected ───────────────────────────────────────────────────────────────────────


async def _accounts(settings: Settings, *, check: bool) -> list[dict[str, Any]]:
    async with open_locum(settings) as locum, locum.database.owner(locum.owner_id) as connection:
        logins = named(await all_logins(connection, locum.owner_id, settings))
    return [await _look(name, login, settings, check=check) for name, login in logins.items()]


async def _look(name: str, login: Login, settings: Settings, *, check: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "platform": login.platform,
        "owner_id": login.owner_id,
        "missing": [],
    }
    if lacking := missing_in(login):
        return found | {"state": "incomplete", "missing": [f"{setting} is not set." for setting in lacking]}
    if not check:
        return found | {"state": "connected"}
    return found | await _asked(opened(login, settings).check)


async def _asked(check: Callable[[], Awaitable[Checked]]) -> dict[str, Any]:
    try:
        checked = await check()
    except LocumError as error:
        return {"state": "refused", "missing": [str(error)]}
    return {"state": "good" if not checked.missing else "lacking", "missing": list(checked.missing)}


async def _disconnect(settings: Settings, platform: Platform, account: str) -> str:
    async with open_locum(settings) as locum, locum.database.owner(locum.owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT id, name FROM accounts WHERE owner_id = %s AND platform = %s AND token_encrypted IS NOT NULL
              AND %s IN ('', name, platform_user_id) ORDER BY id""",
            [locum.owner_id, platform, account],
        )
        rows = await cursor.fetchall()
        if not rows:
            raise BadInput(f"No such {platform} account is kept: 'locum accounts' lists them.")
        if rows[1:]:
            names = ", ".join(str(row[1]) for row in rows)
            raise BadInput(f"Say with --account which of the {platform} accounts that are kept: {names}.")
        await remove_login(connection, locum.owner_id, AccountId(int(rows[0][0])))
    told = f"The tokens of {platform} {rows[0][1]} are gone."
    if any(login.platform == platform for login in logins_of(settings)):
        return f"{told} Those in the environment are still there: take them out of .env, too."
    return told
