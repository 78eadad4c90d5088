"""The owner's rules: as values against a plain model, and as rows."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput, NotAllowed
from core.events import Person
from core.ids import ChatId, OwnerId
from core.memory.people import ensure_account, ensure_chat
from core.policy import Policy, pause, read_policy, set_kill_switch, set_mode, set_quiet_hours, take_over
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, Mode

NOW = datetime(2026, 10, 10, 12, 0, tzinfo=UTC)
PLAIN = Policy(
    mode=Mode.AUTO,
    kill_switch=False,
    paused_until=None,
    taken_over_until=None,
    quiet_from=None,
    quiet_until=None,
    time_zone="UTC",
)


def days(month: int, first: int, last: int) -> st.SearchStrategy[datetime]:
    """Moments of UTC, as hypothesis wants its ends: without a zone."""
    return st.datetimes(
        datetime(2026, month, first),  # noqa: DTZ001 -- hypothesis wants its ends so
        datetime(2026, month, last),  # noqa: DTZ001 -- as above
        timezones=st.just(UTC),
    )


MINUTES = st.integers(0, 24 * 60 - 1)


def at_minute(minute: int) -> time:
    return time(minute // 60, minute % 60)


@given(start=MINUTES, end=MINUTES, now=days(6, 1, 30))
def test_quiet_hours_are_as_a_clock_on_the_wall_counts_them(start: int, end: int, now: datetime) -> None:
    """A plain model: walk from the start, minute by minute round the dial, until the end."""
    policy = replace(PLAIN, quiet_from=at_minute(start), quiet_until=at_minute(end))
    minute = now.hour * 60 + now.minute
    inside = (minute - start) % (24 * 60) < (end - start) % (24 * 60)
    over = policy.quiet_ends(now.replace(tzinfo=UTC))
    assert (over is not None) == inside
    if over is not None:
        assert (over.hour, over.minute, over.second) == (end // 60, end % 60, 0)
        assert timedelta(0) < over - now.replace(tzinfo=UTC) <= timedelta(days=1)
        assert policy.forbids_auto(now.replace(tzinfo=UTC)) == "quiet hours"


@given(
    now=days(3, 27, 31) | days(10, 23, 27),
    start=MINUTES,
    end=MINUTES,
)
def test_quiet_hours_end_at_the_local_time_through_both_clock_changes(
    now: datetime, start: int, end: int
) -> None:
    zone = ZoneInfo("Europe/Stockholm")
    policy = replace(PLAIN, quiet_from=at_minute(start), quiet_until=at_minute(end), time_zone=str(zone))
    moment = now.replace(tzinfo=UTC)
    over = policy.quiet_ends(moment)
    if over is None:
        return
    assert over.astimezone(UTC) > moment
    assert over.astimezone(UTC) - moment <= timedelta(hours=25)
    # The hour that spring leaves out has no such time; every other end is that time on the wall.
    shown = over.astimezone(UTC).astimezone(zone)
    left_out = shown.replace(tzinfo=None) != over.replace(tzinfo=None)
    assert left_out == (shown.utcoffset() != over.utcoffset())


def test_equal_ends_are_no_quiet_hours() -> None:
    policy = replace(PLAIN, quiet_from=time(7), quiet_until=time(7))
    assert policy.quiet_ends(NOW.replace(hour=7)) is None


def test_quiet_hours_over_midnight_end_the_next_morning() -> None:
    policy = replace(PLAIN, quiet_from=time(22, 30), quiet_until=time(7))
    assert policy.quiet_ends(datetime(2026, 10, 10, 23, tzinfo=UTC)) == datetime(2026, 10, 11, 7, tzinfo=UTC)
    assert policy.quiet_ends(datetime(2026, 10, 11, 6, 59, tzinfo=UTC)) == datetime(
        2026, 10, 11, 7, tzinfo=UTC
    )
    assert policy.quiet_ends(datetime(2026, 10, 11, 7, tzinfo=UTC)) is None


@given(
    mode=st.sampled_from(Mode),
    kill=st.booleans(),
    paused=st.none() | st.integers(-5, 5),
    taken=st.none() | st.integers(-5, 5),
)
def test_what_may_be_sent_unasked_may_be_drafted_and_what_may_be_drafted_may_be_pressed(
    mode: Mode, paused: int | None, taken: int | None, *, kill: bool
) -> None:
    policy = replace(
        PLAIN,
        mode=mode,
        kill_switch=kill,
        paused_until=None if paused is None else NOW + timedelta(minutes=paused),
        taken_over_until=None if taken is None else NOW + timedelta(minutes=taken),
    )
    if not policy.forbids_auto(NOW):
        assert not policy.forbids_speaking(NOW)
        assert mode is Mode.AUTO
        assert taken is None or taken <= 0
    if not policy.forbids_speaking(NOW):
        assert not policy.forbids_sending()
        assert mode is not Mode.OFF
        assert paused is None or paused <= 0
    assert bool(policy.forbids_sending()) == kill


# ─── as rows ─────────────────────────────────────────────────────────────────────────────────


async def chat_on(connection: Connection, owner: OwnerId, platform: str) -> ChatId:
    account = await ensure_account(connection, owner, platform, "mara", "mara")
    ines = Person(id="ines", name="Ines")
    chat = await ensure_chat(connection, owner, account, "ines", ChatKind.DIRECT, "Ines", (ines,), at=NOW)
    return chat.id


async def test_a_chat_that_nobody_set_is_on_suggest(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        chat = await chat_on(connection, owner, "loopback")
        assert (await read_policy(connection, owner, chat)).mode is Mode.SUGGEST


async def test_the_stricter_of_the_owners_and_the_chats_rules_holds(
    database: Database, owner: OwnerId
) -> None:
    order = [Mode.OFF, Mode.SUGGEST, Mode.AUTO]
    async with database.owner(owner) as connection:
        chat = await chat_on(connection, owner, "console")
        for whole in Mode:
            await connection.execute(
                """
                INSERT INTO policies (owner_id, chat_id, mode) VALUES (%s, NULL, %s)
                ON CONFLICT (owner_id, chat_id) DO UPDATE SET mode = EXCLUDED.mode""",
                [owner, whole],
            )
            for own in Mode:
                await set_mode(connection, owner, chat, own)
                effective = (await read_policy(connection, owner, chat)).mode
                assert effective is min(whole, own, key=order.index), (whole, own)


async def test_the_later_end_of_two_pauses_holds(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        chat = await chat_on(connection, owner, "console")
        await pause(connection, owner, NOW + timedelta(hours=1))
        await pause(connection, owner, NOW + timedelta(hours=2), chat)
        assert (await read_policy(connection, owner, chat)).paused_until == NOW + timedelta(hours=2)
        await pause(connection, owner, None, chat)
        assert (await read_policy(connection, owner, chat)).paused_until == NOW + timedelta(hours=1)


async def test_auto_is_refused_outside_the_console_with_a_sentence(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        chat = await chat_on(connection, owner, "telegram")
        with pytest.raises(NotAllowed, match=r"does not send unasked on Telegram yet.*Use suggest"):
            await set_mode(connection, owner, chat, Mode.AUTO)
        assert (await read_policy(connection, owner, chat)).mode is Mode.SUGGEST


async def test_a_switch_of_the_owner_leaves_the_other_switches_alone(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        chat = await chat_on(connection, owner, "console")
        await set_mode(connection, owner, chat, Mode.AUTO)
        await set_quiet_hours(connection, owner, time(22), time(7))
        await pause(connection, owner, NOW)
        await set_kill_switch(connection, owner, on=True)
        await take_over(connection, owner, chat, NOW)
        await set_kill_switch(connection, owner, on=False)
        policy = await read_policy(connection, owner, chat)
    assert policy == replace(
        PLAIN, paused_until=NOW, taken_over_until=NOW, quiet_from=time(22), quiet_until=time(7),
        time_zone=policy.time_zone,
    )  # fmt: skip


async def test_half_of_quiet_hours_is_refused(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        with pytest.raises(BadInput, match="a start and an end"):
            await set_quiet_hours(connection, owner, time(22), None)


async def test_a_chat_that_is_not_there_cannot_be_set(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        with pytest.raises(BadInput, match="no chat"):
            await set_mode(connection, owner, ChatId(404), Mode.OFF)
