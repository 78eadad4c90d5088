"""Every setting of Locum, read once in `main` from the environment, `.env` and secret files.

Settings are unpacked into plain arguments where they are used; no module imports them.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import BadInput

UNPREFIXED = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


def default_home() -> Path:
    return Path(platformdirs.user_data_dir("locum", appauthor=False))


def default_key_file() -> Path:
    return Path(platformdirs.user_config_dir("locum", appauthor=False)) / "key"


class Settings(BaseSettings):
    """The environment, read. Each field is `LOCUM_<NAME>`, but for DATABASE_URL and REDIS_URL."""

    model_config = SettingsConfigDict(
        env_prefix="LOCUM_", env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    home: Path = Field(default_factory=default_home, description="Data folder: databases, models, adapters.")
    key_file: Path = Field(
        default_factory=default_key_file,
        description="The key that encrypts platform tokens; made at first use, outside the data folder.",
    )
    database_url: Annotated[SecretStr | None, Field(validation_alias=AliasChoices("DATABASE_URL"))] = Field(
        default=None,
        description="PostgreSQL 16 or newer, with pgvector. Empty: one of Locum's own is started.",
    )
    redis_url: Annotated[SecretStr | None, Field(validation_alias=AliasChoices("REDIS_URL"))] = Field(
        default=None, description="Redis. Empty: one of Locum's own is started."
    )

    owner: str = Field(default="me", description="Whom this deployment stands in for; a short handle.")
    owner_name: str = Field(default="", description="How the owner is called in prompts and on cards.")
    time_zone: str = Field(default="UTC", description="The owner's IANA time zone.")

    embedding_model: str = Field(
        default="all-MiniLM-L6-v2", description="A sentence-transformers name or path."
    )
    base_model: str = Field(
        default="SmolLM2-135M-Instruct", description="A transformers name or path, or a GGUF file."
    )
    backend: str = Field(
        default="auto", description="Where replies are generated: auto, llama, transformers or remote."
    )
    model_url: str = Field(default="", description="An OpenAI-compatible server that generates replies.")
    model_name: str = Field(default="", description="The model's name on that server.")
    model_key: SecretStr = Field(default=SecretStr(""), description="Its API key.")
    model_adapters: str = Field(
        default="",
        description="Where that server finds the adapters of this data folder, if it loads LoRA while it runs (vLLM).",
    )
    teacher_url: str = Field(
        default="",
        description="An OpenAI-compatible server for synthesis and judging; LOCUM_OWNER's words alone go there.",
    )
    teacher_name: str = Field(default="", description="The model's name on the teacher's server.")
    teacher_key: SecretStr = Field(default=SecretStr(""), description="The teacher's API key.")
    reasoning: Literal["auto", "off", "weak", "multi-step", "strong"] = Field(
        default="auto",
        description="Whether answers in training examples are reasoned; auto: not below 1.5 billion parameters.",
    )
    expert_url: str = Field(
        default="",
        description="An OpenAI-compatible server for outside knowledge; questions about the world alone go there.",
    )
    expert_name: str = Field(default="", description="The model's name on the expert's server.")
    expert_key: SecretStr = Field(default=SecretStr(""), description="The expert's API key.")
    expert_rounds: int = Field(
        default=2,
        ge=1,
        le=5,
        description="Rounds of criticism, at most, that make an expert's answer the owner's.",
    )
    generate_threads: int = Field(
        default=0, ge=0, description="CPU threads that generation may use; 0 chooses."
    )
    embed_threads: int = Field(default=0, ge=0, description="CPU threads that embedding may use; 0 chooses.")

    settle_seconds: float = Field(
        default=4.0, ge=0, description="Quiet time after a message before it is answered."
    )
    takeover_minutes: float = Field(
        default=20.0, ge=0, description="How long Locum stays silent after the owner types."
    )
    card_hours: float = Field(default=24.0, gt=0, description="How long a card can be answered.")

    disclosure: str = Field(
        default="(Sent by {owner}'s assistant.)",
        description="Ends the first reply that is sent to somebody unasked; {owner} is you. A dash: none.",
    )

    telegram_token: SecretStr = Field(default=SecretStr(""), description="The Telegram bot's token.")
    telegram_owner_id: str = Field(
        default="", description="Your own Telegram user id: nobody else is obeyed."
    )
    telegram_api_url: str = Field(
        default="https://api.telegram.org", description="The Bot API's server, or one of your own."
    )
    telegram_webhook_url: str = Field(
        default="", description="Where Telegram can reach this machine over https; empty: updates are polled."
    )
    telegram_webhook_secret: SecretStr = Field(
        default=SecretStr(""), description="What Telegram must say with each webhook call."
    )
    telegram_webhook_host: str = Field(
        default="127.0.0.1", description="The local address that webhook calls arrive at."
    )
    telegram_webhook_port: int = Field(
        default=8443, ge=0, le=65535, description="The local port that webhook calls arrive at."
    )

    slack_bot_token: SecretStr = Field(default=SecretStr(""), description="The Slack app's xoxb token.")
    slack_user_token: SecretStr = Field(
        default=SecretStr(""), description="Your own xoxp token of the same app: with it, replies are yours."
    )
    slack_app_token: SecretStr = Field(
        default=SecretStr(""), description="The app's xapp token, for Socket Mode."
    )
    slack_owner_id: str = Field(
        default="",
        description="Your own Slack user id: nobody else is obeyed. Empty: your user token tells it.",
    )
    slack_api_url: str = Field(default="https://slack.com/api/", description="The Web API's address.")
    slack_signing_secret: SecretStr = Field(
        default=SecretStr(""), description="For events over HTTP in place of Socket Mode."
    )
    slack_http_host: str = Field(default="127.0.0.1", description="The local address for events over HTTP.")
    slack_http_port: int = Field(
        default=0, ge=0, le=65535, description="The local port for events over HTTP; 0: Socket Mode."
    )

    discord_token: SecretStr = Field(default=SecretStr(""), description="The Discord bot's token.")
    discord_owner_id: str = Field(default="", description="Your own Discord user id: nobody else is obeyed.")
    discord_api_url: str = Field(default="https://discord.com/api/v10", description="The REST API's address.")
    discord_gateway_url: str = Field(
        default="wss://gateway.discord.gg/", description="The gateway's address."
    )
    discord_message_content: bool = Field(
        default=False,
        description="Ask for the message content intent: needed to listen in servers, not for anything else.",
    )

    transcriber_url: str = Field(
        default="", description="An OpenAI-compatible server that turns voice messages into text."
    )
    transcriber_name: str = Field(default="", description="The model's name on that server.")
    transcriber_key: SecretStr = Field(default=SecretStr(""), description="Its API key.")

    train_at: str = Field(
        default="02:30",
        description="When the nightly training begins, on the clock of your time zone; empty: only by hand.",
    )
    train_minutes: float = Field(
        default=90.0,
        gt=0,
        description="What a night may take in all: a third of it is for reading and judging.",
    )

    console_host: str = Field(
        default="127.0.0.1", description="The address that the console's page listens on."
    )
    console_port: int = Field(default=8177, ge=0, le=65535, description="The port of the console's page.")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="How much is logged: debug, info, warning or error."
    )


def variable_of(field: str) -> str:
    """The environment variable that a field is read from."""
    return UNPREFIXED.get(field, f"LOCUM_{field.upper()}")


def secret_folders() -> list[Path]:
    """Where files named like a setting hold its value: containers' secrets, and systemd's credentials."""
    places = [Path("/run/secrets"), Path(os.environ.get("CREDENTIALS_DIRECTORY", "/run/secrets"))]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def load_settings() -> Settings:
    """The settings, or `BadInput` with the variable's name and what is wrong with it."""
    try:
        return Settings(_secrets_dir=secret_folders() or None)  # pyright: ignore[reportCallIssue] -- taken, but not in the model's synthesised signature
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        variable = field if field.isupper() else f"LOCUM_{field.upper()}"
        raise BadInput(f"{UNPREFIXED.get(field, variable)}: {first['msg']}") from None
