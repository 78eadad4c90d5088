"""What the Slack bot is told: tokens, addresses, and how long it waits."""

from dataclasses import dataclass

from pydantic import SecretStr

from core.settings import Settings

NONE = SecretStr("")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackConfig:
    """One owner's internal app in one workspace."""

    bot_token: SecretStr
    user_token: SecretStr
    """The owner's own: what it sees is listened to, what it posts is the owner's."""
    owner_id: str
    app_token: SecretStr = NONE
    """For Socket Mode."""
    api_url: str = "https://slack.com/api/"
    signing_secret: SecretStr = NONE
    http_port: int | None = None
    """Where events arrive over HTTP; None: Socket Mode. 0 takes any free port."""
    http_host: str = "127.0.0.1"
    request_seconds: float = 8.0
    """How long one call of the Web API may take."""
    send_seconds: float = 24.0
    """How long one send may take, waits for the rate limit included; the host gives up at 30."""
    press_seconds: float = 2.0
    """When a press is acknowledged though core has not stored it yet: Slack shows an error after 3."""
    event_seconds: float = 2.5
    """How long an HTTP request with an event is held open; then Slack is asked to bring it again."""
    heartbeat_seconds: float = 20.0


def slack_config(settings: Settings) -> SlackConfig:
    return SlackConfig(
        bot_token=settings.slack_bot_token,
        user_token=settings.slack_user_token,
        app_token=settings.slack_app_token,
        owner_id=settings.slack_owner_id,
        api_url=settings.slack_api_url,
        signing_secret=settings.slack_signing_secret,
        http_port=settings.slack_http_port or None,
    )
