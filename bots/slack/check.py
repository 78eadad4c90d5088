"""A look at the tokens: whose they are, and what they lack."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from bots.checked import Checked
from bots.slack.config import SlackConfig
from bots.slack.scopes import BOT_SCOPES, OWNER_SCOPES
from bots.slack.web import Json, Refused, SlackWeb
from core.errors import AccessRevoked
from core.history.slack import person_of

T = TypeVar("T")

AGAIN = "paste deploy/slack-manifest.json into the app's manifest at api.slack.com and install the app again"
OWNER_TOKEN = "LOCUM_SLACK_USER_TOKEN"  # noqa: S105 -- a setting's name
BOT_TOKEN = "LOCUM_SLACK_BOT_TOKEN"  # noqa: S105 -- as above
APP_TOKEN = "LOCUM_SLACK_APP_TOKEN"  # noqa: S105 -- as above


async def check(config: SlackConfig) -> Checked:
    """Whose the tokens are, and what is missing. Raises `PlatformError` when Slack cannot be asked."""
    web = SlackWeb(config)
    try:
        return await _checked(config, web)
    finally:
        await web.close()


async def _checked(config: SlackConfig, web: SlackWeb) -> Checked:
    missing: list[str] = []
    owner = await _token(web, OWNER_TOKEN, OWNER_SCOPES, missing, owner=True)
    bot = await _token(web, BOT_TOKEN, BOT_SCOPES, missing, owner=False)
    owner_id, team = str(owner.get("user_id", "")), str(owner.get("team_id") or bot.get("team_id", ""))
    if owner_id and config.owner_id and owner_id != config.owner_id:
        missing.append(
            f"LOCUM_SLACK_OWNER_ID is {config.owner_id}: the user token is of {owner_id}, set that, or nothing."
        )
    if owner and owner.get("bot_id"):
        missing.append(f"{OWNER_TOKEN} is a bot's token: take the one that begins with xoxp.")
    if owner and bot and bot.get("team_id") != team:
        missing.append(f"{BOT_TOKEN} is of another workspace: take both tokens from the same app.")
    missing += await _transport(config, web)
    return Checked(
        account=team,
        owner_id=owner_id,
        owner_name=await _name(web, owner_id) if owner else "",
        workspace=str(owner.get("team") or bot.get("team", "")),
        opens=bool(owner and bot) and bot.get("team_id") == team and not owner.get("bot_id"),
        next_steps=("Write 'help' to the app in Slack, under Apps.",),
        missing=tuple(missing),
    )


async def _token(
    web: SlackWeb, name: str, wanted: frozenset[str], missing: list[str], *, owner: bool
) -> Json:
    """What Slack says of the token; empty when it knows none of that kind."""
    found = await _or_none(lambda: web.scopes(owner=owner))
    if found is None:
        missing.append(
            f"{name} is not accepted: copy it from “OAuth & Permissions” of the app at api.slack.com."
        )
        return {}
    told, scopes = found
    if lacking := sorted(wanted - scopes):
        missing.append(f"{name} lacks {', '.join(lacking)}: {AGAIN}.")
    return told


async def _transport(config: SlackConfig, web: SlackWeb) -> list[str]:
    """Whether events can arrive."""
    if config.http_port is not None:
        if config.signing_secret.get_secret_value():
            return []
        return ["LOCUM_SLACK_SIGNING_SECRET is not set: copy it from “Basic Information” of the app."]
    try:
        opened = await _or_none(web.socket_url)
    except Refused as refusal:
        return [
            f"{APP_TOKEN} opens no connection ({refusal.code}): switch Socket Mode on in the app's settings."
        ]
    if opened is None:
        return [f"{APP_TOKEN} is not accepted: make an app-level token with connections:write for the app."]
    return []


async def _name(web: SlackWeb, owner_id: str) -> str:
    try:
        return person_of(cast("Json", (await web.read("users.info", user=owner_id))["user"])).name
    except Refused:
        return owner_id


async def _or_none(ask: Callable[[], Awaitable[T]]) -> T | None:
    """The answer; None where the token is not accepted."""
    try:
        return await ask()
    except AccessRevoked:
        return None
