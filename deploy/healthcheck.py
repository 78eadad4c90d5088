"""Whether this container does its work: its databases answer, and its page where it has one.

Run as `python healthcheck.py [page]`; exits 0 when well, 1 with a sentence when not.
"""

import socket
import sys

import psycopg
import redis

from core.errors import LocumError
from core.settings import Settings, load_settings

SECONDS = 4


def ask_postgres(settings: Settings) -> None:
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        with psycopg.connect(url, connect_timeout=SECONDS) as connection:
            connection.execute("SELECT 1")


def ask_redis(settings: Settings) -> None:
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        with redis.Redis(
            connection_pool=redis.ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] -- untyped there
                url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
            )
        ) as client:
            client.ping()  # pyright: ignore[reportUnknownMemberType] -- untyped there


def ask_page(settings: Settings) -> None:
    socket.create_connection(("127.0.0.1", settings.console_port), timeout=SECONDS).close()


def main(arguments: list[str]) -> int:
    try:
        settings = load_settings()
        ask_postgres(settings)
        ask_redis(settings)
        if "page" in arguments:
            ask_page(settings)
    except (LocumError, OSError, psycopg.Error, redis.RedisError) as error:
        # The kind alone: a connection string, and with it a password, may stand in the text.
        sys.stderr.write(f"unwell: {type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
