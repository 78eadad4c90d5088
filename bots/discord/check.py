"""A look at an application on Discord: whose it is, what it may do, and what its owner still has to switch on."""

import asyncio
from urllib.parse import urlencode

import aiohttp
import discord

from bots.checked import Checked
from bots.discord.config import DiscordConfig
from bots.discord.places import person_of
from bots.discord.raw import Raw, part
from bots.discord.rest import UNKNOWN_BOT, Api, Refused, Rest, at
from core.errors import AccessRevoked, PlatformError

MESSAGE_CONTENT = (1 << 18) | (1 << 19)
"""The application's flags that allow the intent: reviewed, or in fewer than 100 servers."""

PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    read_message_history=True,
    add_reactions=True,
)
"""What the bot asks of a server, and nothing more."""

DEVELOPERS = "discord.com/developers, your application"
CHECK_SECONDS = 30.0


async def check(config: DiscordConfig) -> Checked:
    """What stands at Discord. Raises `AccessRevoked` for a wrong token, else `PlatformError`."""
    rest = Rest(config.api_url, asyncio.get_running_loop())
    api = Api(lambda: rest, config.patience)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await rest.static_login(config.token.get_secret_value())
            application: Raw = await api.read(at("/applications/@me"))
            owner = await _owner(api, config.owner_id)
    except discord.LoginFailure as error:
        raise AccessRevoked(UNKNOWN_BOT) from error
    except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PlatformError("Discord cannot be reached.", retry_after=30.0) from error
    finally:
        await rest.close()
    return Checked(
        account=config.owner_id,
        owner_id=config.owner_id,
        owner_name=person_of(owner).name if owner else "",
        workspace=f"the application {application.get('name')} on Discord",
        opens=owner is not None and not owner.get("bot"),
        next_steps=_next_steps(str(application.get("id", ""))),
        missing=tuple(_missing(application, owner, config)),
    )


async def _owner(api: Api, owner_id: str) -> Raw | None:
    try:
        return await api.read(at("/users/{user_id}", user_id=owner_id))
    except Refused:
        return None


def _next_steps(application: str) -> tuple[str, ...]:
    return (
        f"Install it for yourself, and it is in the menu of every message: {user_install_link(application)}",
        f"A server that is to let it in, its admin adds it to: {server_install_link(application)}",
        "Write 'help' to it on Discord.",
    )


def _missing(application: Raw, owner: Raw | None, config: DiscordConfig) -> list[str]:
    may_read = int(application.get("flags") or 0) & MESSAGE_CONTENT
    answers = {
        "Discord knows nobody by the id in LOCUM_DISCORD_OWNER_ID: switch on Developer Mode (Settings, "
        "Advanced), open your own profile's menu, and copy the user id.": owner is None,
        "The id in LOCUM_DISCORD_OWNER_ID is a bot's; it must be your own.": bool(owner and owner.get("bot")),
        f"The bot may not read messages in servers: switch on Message Content Intent ({DEVELOPERS}, Bot), or set "
        "LOCUM_DISCORD_MESSAGE_CONTENT=false.": config.message_content and not may_read,
        f"You cannot install the application for yourself: switch on User Install ({DEVELOPERS}, "
        "Installation).": "1" not in part(application, "integration_types_config"),
        f"Presses go to a web address in place of this bot: empty Interactions Endpoint URL ({DEVELOPERS}, General "
        "Information).": bool(application.get("interactions_endpoint_url")),
        f"Anybody may install the application: switch off Public Bot ({DEVELOPERS}, Bot; set Install Link to None "
        "first).": bool(application.get("bot_public")),
    }
    return [sentence for sentence, applies in answers.items() if applies]


def user_install_link(application: str) -> str:
    """Where the owner adds the app to their own account: it is then in the menu of every message."""
    return _link(client_id=application, integration_type=1, scope="applications.commands")


def server_install_link(application: str) -> str:
    """Where a server's admin lets the bot in."""
    return _link(
        client_id=application,
        integration_type=0,
        scope="applications.commands bot",
        permissions=PERMISSIONS.value,
    )


def _link(**query: str | int) -> str:
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"
