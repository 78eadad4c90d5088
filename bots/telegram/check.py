"""A look at the bot's account: whether it is set up for what Locum does on Telegram."""

from collections.abc import Iterator

from telegram import Update, User
from telegram.constants import ChatType
from telegram.error import TelegramError

from bots.checked import Checked
from bots.telegram.api import Api, ask, open_api
from bots.telegram.config import TelegramConfig

ENOUGH_WRITERS = 5
NEVER_MET = (
    "The bot has never met you: open it in Telegram and press Start. If you did, {} is not your user id."
)


async def check(config: TelegramConfig) -> Checked:
    """Who the bot and its owner are, and what is missing. Nothing is changed, and no update is taken.

    Raises `AccessRevoked` for a token that Telegram does not know, `PlatformError` where it can't be asked.
    """
    api = open_api(config)
    try:
        await ask(api.initialize())
        me = api.bot
        owner_name, unmet = await _owner(api, config)
        hook = await ask(api.get_webhook_info())
        missing = (*unmet, *_switches(me), *_reach(config, hook.url))
    finally:
        await api.shutdown()
    return Checked(
        account=config.owner_id,
        owner_id=config.owner_id,
        owner_name=owner_name,
        workspace=f"@{me.username}",
        next_steps=(
            f"In Telegram, Settings, Chat Automation: enter @{me.username}, choose chats, grant “Reply to messages”.",
            f"Write /help to @{me.username}.",
        ),
        missing=missing,
    )


async def _owner(api: Api, config: TelegramConfig) -> tuple[str, tuple[str, ...]]:
    if not config.owner_id.isdecimal():
        return "", (await _who_are_you(api, config),)
    try:
        chat = await api.get_chat(int(config.owner_id))
    except TelegramError:
        return "", (NEVER_MET.format(config.owner_id),)
    return f"{chat.first_name or ''} {chat.last_name or ''}".strip(), ()


async def _who_are_you(api: Api, config: TelegramConfig) -> str:
    """How to learn the owner's id: whoever wrote to the bot lately is told with theirs."""
    asked = "LOCUM_TELEGRAM_OWNER_ID is not set: press Start in your chat with the bot, and look here again."
    if config.webhook_url:
        return asked
    try:
        updates = await api.raw_updates(None, 0)
    except TelegramError:
        return asked
    messages = [Update.de_json(raw, api).message for raw in updates]
    private = [one for one in messages if one is not None and one.chat.type == ChatType.PRIVATE]
    writers = {one.from_user.id: one.from_user.first_name for one in private if one.from_user}
    if not writers:
        return asked
    seen = ", ".join(f"{name}: {user}" for user, name in list(writers.items())[:ENOUGH_WRITERS])
    return f"LOCUM_TELEGRAM_OWNER_ID is not set. These people wrote to the bot lately; which are you? {seen}"


def _switches(me: User) -> Iterator[str]:
    """What @BotFather turns on."""
    if not me.can_connect_to_business:
        yield (
            "The bot can't be connected to your chats: in @BotFather choose it, Bot Settings, and turn on "
            "Secretary Mode (formerly Business Mode)."
        )
    if not me.supports_inline_queries:
        yield "Inline mode is off, so drafts can't be posted from other chats: /setinline in @BotFather."


def _reach(config: TelegramConfig, hook: str) -> Iterator[str]:
    """Whether updates find their way to us."""
    if hook and not config.webhook_url:
        yield f"Telegram posts this bot's updates to {hook}. Locum takes them over when it starts."
    if config.webhook_url and not config.webhook_secret.get_secret_value():
        yield "LOCUM_TELEGRAM_WEBHOOK_SECRET is not set: make it a long random word of letters and digits."
    if config.webhook_url and not config.webhook_url.startswith("https://"):
        yield "LOCUM_TELEGRAM_WEBHOOK_URL must begin with https:// for Telegram to call it."
