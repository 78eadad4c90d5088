"""`locum connect`, `accounts` and `disconnect`: the owner's accounts on chat platforms, from first token to last."""

import asyncio
import json
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
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
from bots.pairing import owner_by_code
from bots.platforms import opened
from core.errors import BadInput, LocumError
from core.ids import AccountId
from core.memory.consents import Wishes, change_consents, find_source
from core.memory.retention import set_retention
from core.reply.situation import read_account, source_of
from core.runtime import Locum, open_locum
from core.settings import Settings, load_settings
from core.terminal import said

out = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a platform's own terms want of the answers, and what is answered unless the owner says else."""

    guide: str
    first: str
    profile: str
    profile_default: bool
    training: str
    leave: str


TERMS: dict[Platform, Terms] = {
    "telegram": Terms(
        guide="docs/connect-telegram.md",
        first="Make a bot with @BotFather, and turn Business (Secretary) mode on for it.",
        profile="May facts about the people you talk to be noted from these chats, for your drafts alone?",
        profile_default=True,
        training="Telegram's terms forbid training on its data without the explicit consent of everyone "
        "concerned, chat by chat. Your own messages only would be learned from. Do you have that consent?",
        leave="Telegram forbids handing chats to third parties without the account owner's word. May they be "
        "sent to models on other machines that your settings name (none by default)?",
    ),
    "slack": Terms(
        guide="docs/connect-slack.md",
        first="Create an internal app from deploy/slack-manifest.json and install it to your workspace.",
        profile="May facts about the people you talk to be noted, for your drafts alone? Your employer may "
        "have a word in it.",
        profile_default=True,
        training="Slack forbids training on its data in apps offered outside the organisation; yours is not "
        "one, and your organisation decides. May your own messages teach your model?",
        leave="May messages be sent to models on other machines that your settings name (none by default)? "
        "Ask your organisation.",
    ),
    "discord": Terms(
        guide="docs/connect-discord.md",
        first="Create an application at discord.com/developers. Nothing will ever be posted as you: Discord "
        "forbids it, and Locum does not do it.",
        profile="Discord's policy forbids profiling its users. May facts about others be noted all the same?",
        profile_default=False,
        training="Discord's policy forbids training on message content. May your own messages teach your "
        "model all the same?",
        leave="May messages be sent to models on other machines that your settings name (none by default)?",
    ),
}

ASKED = {
    "token": "The bot's token",
    "bot_token": "The app's bot token (xoxb-...)",
    "user_token": "Your user token of the app (xoxp-...)",
    "app_token": "The app-level token for Socket Mode (xapp-..., empty if events come over HTTP)",
    "signing_secret": "The signing secret (only for events over HTTP; else empty)",
}

PlatformArgument = Annotated[Platform, typer.Argument(help="The chat platform.")]
DEFAULTS = typer.Option("--defaults", help="Ask nothing: tokens from the settings, the cautious answers.")


def register(app: typer.Typer) -> None:
    """Add the commands to `locum`."""
    app.command()(connect)
    app.command()(accounts)
    app.command()(disconnect)


def connect(platform: PlatformArgument, defaults: Annotated[bool, DEFAULTS] = False) -> None:
    """Connect an account: its tokens are checked, you say what it may be used for, and it is kept encrypted."""
    asyncio.run(_connect(load_settings(), platform, ask=not defaults))


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


async def _connect(settings: Settings, platform: Platform, *, ask: bool) -> None:
    terms = TERMS[platform]
    out.print(said(terms.first))
    out.print(said(f"Step by step: {terms.guide}\n", "dim"))
    login = _login(settings, platform, ask=ask)
    if platform == "telegram" and not login.owner_id and ask:
        login = replace(login, owner_id=await _paired(login, settings))
    elif platform == "discord" and not login.owner_id and ask:
        login = replace(login, owner_id=typer.prompt("Your own Discord user id", err=True).strip())
    checked = await opened(login, settings).check()
    login = replace(login, owner_id=login.owner_id or checked.owner_id)
    _tell(checked)
    async with open_locum(settings) as locum:
        account_id = await _keep(locum, login, checked)
        await _settle_consents(locum, account_id, platform, terms, ask=ask)
        await _settle_retention(locum, account_id, ask=ask)
    out.print("\nConnected. 'locum up' serves it; 'locum memory consents' changes what you answered.")


def _login(settings: Settings, platform: Platform, *, ask: bool) -> Login:
    """The settings' tokens; those that are missing are asked for, without showing them."""
    known = next((login for login in logins_of(settings) if login.platform == platform), None)
    login = known or Login(platform=platform, owner_id=getattr(settings, f"{platform}_owner_id"), secrets={})
    if not ask:
        return login
    given = dict(login.secrets)
    for name in SECRETS[platform]:
        if not login.secret(name).get_secret_value():
            optional = name not in NEEDED[platform]
            value = typer.prompt(
                ASKED[name], hide_input=True, default="" if optional else None, show_default=False, err=True
            )
            given[name] = SecretStr(str(value).strip())
    return replace(login, secrets=given)


async def _paired(login: Login, settings: Settings) -> str:
    """The owner's Telegram id: whoever sends the bot the code that stands on this terminal."""
    code = f"{secrets.randbelow(10**8):08d}"

    def tell(bot_name: str) -> None:
        out.print(f"Open @{bot_name} in Telegram and send it this number: [bold]{code}[/bold]")

    return await owner_by_code(settings.telegram_api_url, login.secret("token"), code, tell)


def _tell(checked: Checked) -> None:
    out.print(
        said(f"This is {checked.owner_name or checked.owner_id} at {checked.workspace or checked.account}.")
    )
    for sentence in checked.missing:
        out.print(said(f"Missing: {sentence}", "yellow"))


async def _keep(locum: Locum, login: Login, checked: Checked) -> AccountId:
    async with locum.database.owner(locum.owner_id) as connection:
        return await store_login(
            connection,
            locum.owner_id,
            login,
            account=checked.account,
            display_name=checked.owner_name,
            key_file=locum.settings.key_file,
        )


async def _settle_consents(
    locum: Locum, account_id: AccountId, platform: Platform, terms: Terms, *, ask: bool
) -> None:
    draft = _yes("May drafts rest on what is said there?", default=True, ask=ask)
    profile = _yes(terms.profile, default=terms.profile_default, ask=ask)
    training = _yes(terms.training, default=False, ask=ask)
    leave = _yes(terms.leave, default=False, ask=ask)
    async with locum.database.owner(locum.owner_id) as connection:
        account = await read_account(connection, locum.owner_id, account_id)
        source = await find_source(connection, locum.owner_id, str(await source_of(connection, account)))
        wishes = Wishes(draft=draft, profile=profile, training=training, leave=leave)
        await change_consents(connection, locum.owner_id, source, wishes)
    del platform


def _yes(question: str, *, default: bool, ask: bool) -> bool:
    return typer.confirm(question, default=default, err=True) if ask else default


async def _settle_retention(locum: Locum, account_id: AccountId, *, ask: bool) -> None:
    if not ask:
        return
    days = typer.prompt(
        "Forget other people's messages after how many days (0: keep until you forget them)",
        default=0,
        type=int,
        err=True,
    )
    if days < 0:
        raise BadInput("Days are 0 or more.")
    async with locum.database.owner(locum.owner_id) as connection:
        await set_retention(connection, locum.owner_id, account_id, days or None)


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
              AND (%s = '' OR name = %s) ORDER BY id""",
            [locum.owner_id, platform, account, account],
        )
        rows = await cursor.fetchall()
        if len(rows) != 1:
            names = ", ".join(str(row[1]) for row in rows) or "none"
            raise BadInput(f"Say with --account which of the {platform} accounts that are kept: {names}.")
        await remove_login(connection, locum.owner_id, AccountId(int(rows[0][0])))
    told = f"The tokens of {platform} {rows[0][1]} are gone."
    if any(login.platform == platform for login in logins_of(settings)):
        return f"{told} Those in the environment are still there: take them out of .env, too."
    return told
