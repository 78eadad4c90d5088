"""Whose tokens these are, and the parts of the bot that live while it is connected."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bots.slack.backfill import Backfill
from bots.slack.config import SlackConfig
from bots.slack.directory import Directory
from bots.slack.panel import Panel
from bots.slack.presses import Presses
from bots.slack.reading import Reading
from bots.slack.sending import Sending
from bots.slack.translate import Us
from bots.slack.web import SlackWeb
from core.bot import BotState, Transcriber
from core.clock import Clock
from core.desk import Desk
from core.errors import AccessRevoked, PlatformError
from core.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The parts that live from `start` to `stop`."""

    web: SlackWeb
    directory: Directory
    reading: Reading
    sending: Sending
    panel: Panel
    presses: Presses
    backfill: Backfill


def check_config(config: SlackConfig) -> None:
    """Raises `AccessRevoked` with the names of the settings that are missing."""
    missing = {
        "LOCUM_SLACK_BOT_TOKEN": config.bot_token,
        "LOCUM_SLACK_USER_TOKEN": config.user_token,
        **(
            {"LOCUM_SLACK_APP_TOKEN": config.app_token}
            if config.http_port is None
            else {"LOCUM_SLACK_SIGNING_SECRET": config.signing_secret}
        ),
    }
    empty = [name for name, value in missing.items() if not value.get_secret_value()]
    if not config.owner_id:
        empty.append("LOCUM_SLACK_OWNER_ID")
    if empty:
        raise AccessRevoked(
            f"{', '.join(empty)}: not set. docs/connect-slack.md tells where each comes from."
        )


async def connect(
    config: SlackConfig,
    account: str,
    *,
    web: SlackWeb,
    state: BotState,
    desk: Desk,
    clock: Clock,
    transcriber: Transcriber | None,
    put: Callable[[Sequence[Event]], Awaitable[None]],
    revoked: Callable[[AccessRevoked], None],
) -> Connected:
    """The parts, put together. Raises `AccessRevoked` or another `PlatformError`."""
    sending = Sending(config, web, revoked=revoked)
    us = await _whoami(config, account, web, sending)
    directory = Directory(web, owner_id=us.owner_id, bot_user_id=us.bot_user_id)
    panel = Panel(web, state, desk, us.owner_id)
    await panel.open()
    await directory.learn_people()
    reading = Reading(
        us=us,
        web=web,
        directory=directory,
        desk=desk,
        owner_token=config.user_token.get_secret_value(),
        transcriber=transcriber,
    )
    return Connected(
        web=web,
        directory=directory,
        reading=reading,
        sending=sending,
        panel=panel,
        presses=Presses(reading, panel, desk, clock),
        backfill=Backfill(reading, desk, clock, put, app_channel=panel.channel),
    )


async def _whoami(config: SlackConfig, account: str, web: SlackWeb, sending: Sending) -> Us:
    """Raises `AccessRevoked` where the tokens are not the owner's in this workspace."""
    owner, _ = await web.scopes(owner=True)
    bot, _ = await web.scopes(owner=False)
    if str(owner["user_id"]) != config.owner_id:
        raise AccessRevoked(
            "LOCUM_SLACK_USER_TOKEN belongs to somebody else than LOCUM_SLACK_OWNER_ID says: take your own."
        )
    if {str(owner["team_id"]), str(bot["team_id"])} != {account}:
        raise AccessRevoked("The Slack tokens belong to another workspace than this account: take its own.")
    return Us(
        team=account,
        owner_id=config.owner_id,
        bot_user_id=str(bot["user_id"]),
        app_id=await _app_id(web, str(bot.get("bot_id") or "")),
        sent=sending.is_ours,
    )


async def _app_id(web: SlackWeb, bot_id: str) -> str:
    """What marks messages that our app posted; empty where Slack does not tell."""
    try:
        return str((await web.read_as_bot("bots.info", bot=bot_id))["bot"].get("app_id") or "")
    except AccessRevoked:
        raise
    except PlatformError:
        return ""
