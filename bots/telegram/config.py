"""What the Telegram bot must be told."""

from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramConfig:
    """One bot of one owner."""

    token: SecretStr
    owner_id: str
    """The owner's own user id: nobody else is obeyed."""
    api_url: str = "https://api.telegram.org"
    webhook_url: str = ""
    """Where Telegram reaches us over https; empty: updates are polled."""
    webhook_secret: SecretStr = field(default_factory=lambda: SecretStr(""))
    webhook_host: str = "127.0.0.1"
    webhook_port: int = 8443
    poll_seconds: int = 25
    """How long Telegram holds a poll that has nothing to tell."""
    most_poll_failures: int = 8
    """So many polls may fail in a row before the bot gives up and is started anew."""
