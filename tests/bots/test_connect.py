"""Connecting an account, as it is typed, against a platform's double."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from bots import connect
from bots.accounts import all_logins, logins_of, missing_in, named
from bots.doubles.discord import FakeDiscord
from bots.doubles.slack import APP_TOKEN, BOT_TOKEN, OWNER, OWNER_TOKEN, slack_double
from bots.doubles.telegram import TelegramDouble
from bots.doubles.telegram_world import person
from bots.pairing import owner_by_code
from core.cli import app
from core.errors import AccessRevoked, BadInput, PlatformError
from core.ids import OwnerId
from core.settings import Settings, load_settings
from core.storage.database import Database
from tests.bots.threads import beside

MARA = person(1001, "Mara", "mara")
MALLORY = person(666, "Mallory", "mallory")

connect.register(app)


@pytest.fixture
def telegram(monkeypatch: pytest.MonkeyPatch) -> Generator[TelegramDouble]:
    """Telegram, and settings that say where it is and whose account it is."""
    with beside(lambda: TelegramDouble(owner=MARA)) as double:
        monkeypatch.setenv("LOCUM_TELEGRAM_API_URL", double.url)
        monkeypatch.setenv("LOCUM_TELEGRAM_OWNER_ID", "1001")
        yield double


@pytest.fixture
async def home(
    database: Database, conninfo: str, redis_server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    del database
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "LOCUM_HOME": str(tmp_path / "data"),
        "LOCUM_KEY_FILE": str(tmp_path / "elsewhere" / "key"),
        "DATABASE_URL": conninfo,
        "REDIS_URL": f"unix://{redis_server}",
        "LOCUM_OWNER": "mara",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def run(*words: str, said: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=said, catch_exceptions=False)


def listed(*words: str) -> list[dict[str, Any]]:
    told = run("accounts", "--json", *words)
    return json.loads(told.stdout.splitlines()[-1])["accounts"]


def test_an_account_is_connected_checked_and_kept_encrypted(
    telegram: TelegramDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The token; may drafts, profiles, training, leaving; days.
    told = run("connect", "telegram", said=f"{telegram.token}\ny\nn\ny\nn\n30\n")
    assert told.exit_code == 0, told.output
    assert telegram.token not in told.output
    assert "Connected." in told.output
    monkeypatch.delenv("LOCUM_TELEGRAM_OWNER_ID")
    (account,) = listed("--check")
    assert (account["name"], account["owner_id"], account["state"]) == ("telegram", "1001", "good")
    assert (home / "elsewhere" / "key").stat().st_mode & 0o077 == 0
    sources = json.loads(run("memory", "consents", "--json").stdout.splitlines()[-1])["sources"]
    (source,) = (each for each in sources if each["kind"] == "api")
    assert [source[f"may_{what}"] for what in ("draft", "profile", "train", "leave")] == [
        True,
        False,
        True,
        False,
    ]


async def test_what_is_stored_opens_the_account_and_no_dump_of_the_database_does(
    database: Database, telegram: TelegramDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUM_TELEGRAM_TOKEN", telegram.token)
    assert (await asyncio.to_thread(run, "connect", "telegram", "--defaults")).exit_code == 0
    for name in ("OWNER_ID", "TOKEN"):
        monkeypatch.delenv(f"LOCUM_TELEGRAM_{name}")
    async with database.sweep() as sweep:
        cursor = await sweep.execute("SELECT id FROM owners WHERE handle = 'mara'")
        row = await cursor.fetchone()
    assert row is not None
    owner = OwnerId(int(row[0]))
    async with database.owner(owner) as connection:
        (login,) = await all_logins(connection, owner, load_settings())
        cursor = await connection.execute(
            "SELECT token_encrypted FROM accounts WHERE token_encrypted IS NOT NULL"
        )
        (kept,) = await cursor.fetchall()
    assert login.secret("token").get_secret_value() == telegram.token
    assert telegram.token.encode() not in bytes(kept[0])
    assert telegram.token not in repr(login)


def test_a_refused_token_is_said_with_its_cure_and_nothing_is_kept(
    telegram: TelegramDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    with pytest.raises(AccessRevoked, match="BotFather"):
        run("connect", "telegram", said="12345:wrong\n")
    assert listed() == []


def test_who_stops_in_the_middle_of_the_questions_has_nothing_connected(
    telegram: TelegramDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    with pytest.raises(BadInput, match="Nobody is here to answer, and nothing was kept"):
        run("connect", "telegram", said=f"{telegram.token}\ny\ny\n")
    assert listed() == []


def test_without_a_terminal_and_without_settings_the_way_out_is_said(home: Path) -> None:
    del home
    with pytest.raises(BadInput, match="--defaults nothing is asked"):
        run("connect", "telegram")
    with pytest.raises(BadInput, match=r"Put LOCUM_TELEGRAM_TOKEN and LOCUM_TELEGRAM_OWNER_ID into \.env"):
        run("connect", "telegram", "--defaults")


def test_an_answer_that_is_no_number_of_days_is_asked_for_again(
    telegram: TelegramDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    told = run("connect", "telegram", said=f"{telegram.token}\ny\nn\ny\nn\n-3\n30\n")
    assert "Connected." in told.output
    assert "Chat Automation" in told.output


def test_slack_tokens_that_slack_does_not_know_are_not_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    with beside(slack_double) as slack:
        monkeypatch.setenv("LOCUM_SLACK_API_URL", slack.api_url)
        with pytest.raises(BadInput, match="Nothing was kept"):
            run("connect", "slack", said="xoxb-old\nxoxp-old\nxapp-old\n\n")
        assert listed() == []
        told = run("connect", "slack", said=f"{BOT_TOKEN}\n{OWNER_TOKEN}\n{APP_TOKEN}\n\ny\ny\nn\nn\n0\n")
        assert "LOCUM_SLACK_OWNER_ID" not in told.output
        (account,) = listed()
        assert (account["name"], account["owner_id"]) == ("slack", OWNER)
        run("disconnect", "slack", "--account", OWNER)
        assert listed() == []


def test_discord_wants_an_owner_that_it_knows_and_tells_how_to_install_the_app(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    with beside(FakeDiscord) as discord:
        monkeypatch.setenv("LOCUM_DISCORD_API_URL", discord.api_url)
        with pytest.raises(BadInput, match="Nothing was kept"):
            run("connect", "discord", said=f"{discord.token}\nMara#1\n")
        assert listed() == []
        told = run("connect", "discord", said=f"{discord.token}\n{discord.owner}\ny\nn\nn\nn\n0\n")
        assert "integration_type=1" in told.output.replace("\n", "")
        assert [account["owner_id"] for account in listed()] == [discord.owner]


def test_a_disconnected_account_has_no_tokens_left(
    telegram: TelegramDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    monkeypatch.setenv("LOCUM_TELEGRAM_TOKEN", telegram.token)
    run("connect", "telegram", "--defaults")
    assert "Those in the environment are still there" in run("disconnect", "telegram").output
    monkeypatch.delenv("LOCUM_TELEGRAM_TOKEN")
    assert listed() == []
    with pytest.raises(BadInput, match="No such telegram account"):
        run("disconnect", "telegram")


# ─── whose account it is ─────────────────────────────────────────────────────────────────────


async def test_the_owner_is_who_sends_the_number_that_only_they_saw() -> None:
    async with TelegramDouble(owner=MARA) as double:
        double.world.writes_to_bot(MALLORY, "123456 or so")
        names: list[str] = []

        def tell(name: str) -> None:
            names.append(name)
            double.world.writes_to_bot(MARA, "123456")

        assert await owner_by_code(double.url, SecretStr(double.token), "123456", tell, seconds=5) == "1001"
        assert len(names) == 1
        assert names != ["your bot"]
        assert len(double.world.updates) == 2  # nothing was acknowledged, nothing is lost


async def test_nobody_sending_the_number_is_said() -> None:
    async with TelegramDouble(owner=MARA) as double:
        double.world.writes_to_bot(MALLORY, "000000")
        with pytest.raises(PlatformError, match="in time"):
            await owner_by_code(double.url, SecretStr(double.token), "123456", lambda _: None, seconds=0.5)


# ─── what the environment says ───────────────────────────────────────────────────────────────


def test_a_platform_counts_as_soon_as_one_of_its_tokens_is_there() -> None:
    settings = Settings(telegram_token=SecretStr("1:a"), slack_bot_token=SecretStr("xoxb-1"))
    telegram, slack = logins_of(settings)
    assert missing_in(telegram) == ("LOCUM_TELEGRAM_OWNER_ID",)
    assert missing_in(slack) == ("LOCUM_SLACK_USER_TOKEN",)
    assert logins_of(Settings()) == ()


def test_several_accounts_of_one_platform_are_told_apart() -> None:
    settings = Settings(discord_token=SecretStr("a"), discord_owner_id="7")
    (one,) = logins_of(settings)
    assert list(named([one])) == ["discord"]
    assert len(named([one, one])) == 1
