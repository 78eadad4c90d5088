"""What the owner allows: modes, pause, takeover, quiet hours and the kill switch.

Read when a turn is decided and again in the transaction that lets a message out.
"""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from core.errors import BadInput, NotAllowed
from core.ids import ChatId, OwnerId
from core.storage.database import Connection
from core.vocabulary import Mode

AUTO_PLATFORMS = frozenset({"console"})
"""Where `auto` may be chosen, until judgement has been learned and measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules that bind one chat right now: its own and the owner's, the stricter of the two."""

    mode: Mode
    kill_switch: bool
    paused_until: datetime | None
    taken_over_until: datetime | None
    quiet_from: time | None
    quiet_until: time | None
    time_zone: str

    def forbids_sending(self) -> str:
        """Why nothing may leave, even by the owner's press; empty when it may."""
        return "the kill switch is on" if self.kill_switch else ""

    def forbids_speaking(self, now: datetime) -> str:
        """Why no draft is made; empty when one may be."""
        if self.kill_switch:
            return "the kill switch is on"
        if self.mode is Mode.OFF:
            return "this chat is off"
        if self.paused_until is not None and now < self.paused_until:
            return "paused"
        return ""

    def forbids_auto(self, now: datetime) -> str:
        """Why nothing may be sent unasked; empty when it may."""
        if reason := self.forbids_speaking(now):
            return reason
        if self.mode is not Mode.AUTO:
            return "this chat is not on auto"
        if self.taken_over_until is not None and now < self.taken_over_until:
            return "the owner has taken over"
        if self.quiet_ends(now) is not None:
            return "quiet hours"
        return ""

    def quiet_ends(self, now: datetime) -> datetime | None:
        """When the quiet hours that hold now are over; None outside them."""
        if self.quiet_from is None or self.quiet_until is None:
            return None
        local = now.astimezone(ZoneInfo(self.time_zone))
        start, end, at = self.quiet_from, self.quiet_until, local.time()
        inside = start <= at < end if start <= end else at >= start or at < end
        if not inside:
            return None
        over = local.replace(hour=end.hour, minute=end.minute, second=end.second, microsecond=0)
        return over if over > local else over + timedelta(days=1)


async def read_policy(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> Policy:
    """The rules for one chat as they stand in this transaction."""
    async with connection.cursor(row_factory=class_row(Policy)) as cursor:
        await cursor.execute(
            """
            SELECT CASE WHEN coalesce(w.mode, 'auto') = 'off' THEN 'off'
                        WHEN coalesce(w.mode, 'auto') = 'suggest' AND coalesce(c.mode, 'suggest') = 'auto'
                        THEN 'suggest' ELSE coalesce(c.mode, 'suggest') END AS mode,
                   coalesce(w.kill_switch, false) AS kill_switch,
                   greatest(w.paused_until, c.paused_until) AS paused_until,
                   c.taken_over_until,
                   coalesce(c.quiet_from, w.quiet_from) AS quiet_from,
                   coalesce(c.quiet_until, w.quiet_until) AS quiet_until,
                   o.time_zone
            FROM owners o
            LEFT JOIN policies w ON w.owner_id = o.id AND w.chat_id IS NULL
            LEFT JOIN policies c ON c.owner_id = o.id AND c.chat_id = %(chat)s
            WHERE o.id = %(owner)s""",
            {"owner": owner_id, "chat": chat_id},
        )
        row = await cursor.fetchone()
    if row is None:
        raise BadInput(f"There is no owner {owner_id}.")
    return replace(row, mode=Mode(row.mode))


async def set_mode(connection: Connection, owner_id: OwnerId, chat_id: ChatId, mode: Mode) -> None:
    """Set a chat's ceiling. `auto` is refused where judgement is not built yet."""
    cursor = await connection.execute(
        """
        SELECT a.platform FROM chats c JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        WHERE c.owner_id = %s AND c.id = %s""",
        [owner_id, chat_id],
    )
    row = await cursor.fetchone()
    if row is None:
        raise BadInput(f"There is no chat {chat_id}.")
    if mode is Mode.AUTO and row[0] not in AUTO_PLATFORMS:
        raise NotAllowed(
            f"Locum does not send unasked on {str(row[0]).title()} yet: only the console's simulated contacts can be "
            "set to auto. Use suggest."
        )
    await connection.execute(
        """
        INSERT INTO policies (owner_id, chat_id, mode) VALUES (%s, %s, %s)
        ON CONFLICT (owner_id, chat_id) DO UPDATE SET mode = EXCLUDED.mode, changed_at = now()""",
        [owner_id, chat_id, mode],
    )
    await _audit(connection, owner_id, "mode.set", chat_id, mode)


async def pause(
    connection: Connection, owner_id: OwnerId, until: datetime | None, chat_id: ChatId | None = None
) -> None:
    """No drafts and no sends unasked until then: in one chat, or everywhere. None ends the pause."""
    await connection.execute(
        """
        INSERT INTO policies (owner_id, chat_id, mode, paused_until) VALUES (%s, %s, %s, %s)
        ON CONFLICT (owner_id, chat_id) DO UPDATE
        SET paused_until = EXCLUDED.paused_until, changed_at = now()""",
        [owner_id, chat_id, Mode.SUGGEST if chat_id is not None else Mode.AUTO, until],
    )
    await _audit(
        connection,
        owner_id,
        "pause.set" if until else "pause.ended",
        chat_id,
        until.isoformat() if until else "",
    )


async def set_kill_switch(connection: Connection, owner_id: OwnerId, *, on: bool) -> None:
    """While it is on nothing leaves, whoever presses what."""
    await connection.execute(
        """
        INSERT INTO policies (owner_id, chat_id, mode, kill_switch) VALUES (%s, NULL, 'auto', %s)
        ON CONFLICT (owner_id, chat_id) DO UPDATE
        SET kill_switch = EXCLUDED.kill_switch, changed_at = now()""",
        [owner_id, on],
    )
    await _audit(connection, owner_id, "kill_switch.set", None, str(on).lower())


async def take_over(connection: Connection, owner_id: OwnerId, chat_id: ChatId, until: datetime) -> None:
    """The owner speaks here in person: nothing is sent unasked until then."""
    await connection.execute(
        """
        INSERT INTO policies (owner_id, chat_id, taken_over_until) VALUES (%s, %s, %s)
        ON CONFLICT (owner_id, chat_id) DO UPDATE SET taken_over_until = EXCLUDED.taken_over_until""",
        [owner_id, chat_id, until],
    )


async def set_quiet_hours(
    connection: Connection, owner_id: OwnerId, start: time | None, end: time | None
) -> None:
    """Between these local times drafts wait and nothing is sent unasked; both None ends quiet hours."""
    if (start is None) != (end is None):
        raise BadInput("Quiet hours need a start and an end.")
    await connection.execute(
        """
        INSERT INTO policies (owner_id, chat_id, mode, quiet_from, quiet_until) VALUES (%s, NULL, 'auto', %s, %s)
        ON CONFLICT (owner_id, chat_id) DO UPDATE
        SET quiet_from = EXCLUDED.quiet_from, quiet_until = EXCLUDED.quiet_until, changed_at = now()""",
        [owner_id, start, end],
    )
    await _audit(connection, owner_id, "quiet_hours.set", None, f"{start}-{end}" if start else "")


async def _audit(
    connection: Connection, owner_id: OwnerId, action: str, chat_id: ChatId | None, value: str
) -> None:
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%s, 'owner', %s, jsonb_build_object('chat', %s::bigint, 'value', %s::text))""",
        [owner_id, action, chat_id, value],
    )
