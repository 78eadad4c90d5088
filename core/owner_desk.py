"""The owner's desk in Postgres: what is asked for in a chat with Locum, done and told in a sentence."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from core.clock import Clock, SystemClock
from core.desk import DeskChat, DeskDraft
from core.errors import NotAllowed
from core.events import ChatRef
from core.explaining import explain
from core.ids import ChatId, OwnerId
from core.listening import listens_from_the_start, set_listening
from core.memory.exporting import export_memory
from core.memory.forgetting import find_named
from core.memory.forgetting import forget as forget_target
from core.memory.profiling import refresh_profiles
from core.policy import pause, set_mode
from core.reply.journal import counted
from core.reply.situation import Account
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, Mode

NOT_KNOWN = "This chat is not known yet: it is, once somebody has written in it."
DAY = timedelta(days=1)


def _no_troubles() -> Sequence[str]:
    return ()


class PostgresDesk:
    """One account's owner at their desk; see `core.desk.Desk`."""

    def __init__(
        self,
        database: Database,
        account: Account,
        *,
        privacy: Callable[[], Awaitable[str]],
        clock: Clock | None = None,
        troubles: Callable[[], Sequence[str]] = _no_troubles,
    ) -> None:
        self._database = database
        self._account = account
        self._privacy = privacy
        self._clock = clock or SystemClock()
        self._troubles = troubles

    @property
    def _owner(self) -> OwnerId:
        return self._account.owner_id

    # ─── telling ─────────────────────────────────────────────────────────────────────────────

    async def status(self) -> str:
        async with self._database.owner(self._owner) as connection:
            lines = await read_status(connection, self._account, self._clock.now())
        return "\n".join([*lines, *self._troubles()])

    async def privacy(self) -> str:
        return await self._privacy()

    async def why(self, draft: int) -> str:
        async with self._database.owner(self._owner) as connection:
            return await explain(connection, self._owner, draft)

    async def draft(self, number: int) -> DeskDraft | None:
        async with self._database.owner(self._owner) as connection:
            cursor = await connection.execute(
                """
                SELECT c.platform_chat_id, h.platform_thread_id, d.text
                FROM drafts d
                JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
                JOIN cards k ON k.owner_id = t.owner_id AND k.turn_id = t.id AND k.closed_at IS NULL
                JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
                LEFT JOIN threads h ON h.owner_id = t.owner_id AND h.id = t.thread_id
                WHERE d.owner_id = %s AND d.id = %s AND c.account_id = %s AND d.state = 'proposed'""",
                [self._owner, number, self._account.id],
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        return DeskDraft(draft=number, chat=self._ref(str(row[0]), row[1]), text=str(row[2]))

    # ─── chats and their rules ───────────────────────────────────────────────────────────────

    async def chats(self, like: str = "", limit: int = 20) -> tuple[DeskChat, ...]:
        async with self._database.owner(self._owner) as connection:
            return await self._read_chats(connection, like=like, limit=limit)

    async def chat(self, ref: ChatRef) -> DeskChat | None:
        async with self._database.owner(self._owner) as connection:
            found = await self._read_chats(connection, only=ref.chat, limit=1)
        return found[0] if found else None

    async def set_mode(self, chat: ChatRef, mode: Mode) -> str:
        async with self._database.owner(self._owner) as connection:
            chat_id = await self._chat_id(connection, chat)
            if chat_id is None:
                return NOT_KNOWN
            try:
                await set_mode(connection, self._owner, chat_id, mode)
            except NotAllowed as refusal:
                return str(refusal)
            return await self._of(connection, chat, _MODES[mode])

    async def listen(self, chat: ChatRef, *, on: bool) -> str:
        async with self._database.owner(self._owner) as connection:
            chat_id = await self._chat_id(connection, chat)
            if chat_id is None:
                return NOT_KNOWN
            await set_listening(connection, self._owner, chat_id, on=on)
            return await self._of(connection, chat, _LISTENING[on])

    async def _of(self, connection: Connection, ref: ChatRef, sentence: str) -> str:
        """The sentence with the chat's title: its owner may have named it by words that fit another one's, too."""
        (chat,) = await self._read_chats(connection, only=ref.chat, limit=1)
        return f"{chat.title or chat.ref.chat}: {sentence}"

    async def pause(self, hours: float | None, chat: ChatRef | None = None) -> str:
        until = self._clock.now() + timedelta(hours=hours) if hours else None
        async with self._database.owner(self._owner) as connection:
            chat_id = None
            if chat is not None and (chat_id := await self._chat_id(connection, chat)) is None:
                return NOT_KNOWN
            await pause(connection, self._owner, until, chat_id)
        return f"Paused until {until:%Y-%m-%d %H:%M} UTC." if until else "Not paused any more."

    # ─── forgetting, taking along ────────────────────────────────────────────────────────────

    async def forget(self, what: str, *, confirmed: bool = False) -> str:
        async with self._database.owner(self._owner) as connection:
            target = await find_named(connection, self._owner, what)
            async with connection.transaction(force_rollback=not confirmed):
                gone = await forget_target(connection, self._owner, target)
        if confirmed:
            await refresh_profiles(self._database, self._owner)
            return f"Forgotten: {gone.told}."
        return f"{target.name} would be forgotten. This would go for good: {gone.told}."

    async def export(self, what: str = "") -> bytes:
        async with self._database.owner(self._owner) as connection:
            return await export_memory(connection, self._owner, what)

    async def heard(self, account_state: str) -> None:
        async with self._database.owner(self._owner) as connection:
            await connection.execute(
                """
                INSERT INTO audit (owner_id, actor, action, subject)
                VALUES (%s, 'bot', 'account.changed', jsonb_build_object('platform', %s::text, 'account', %s::text,
                                                                         'state', %s::text))""",
                [self._owner, self._account.platform, self._account.name, account_state],
            )

    # ─── inside ──────────────────────────────────────────────────────────────────────────────

    def _ref(self, chat: str, thread: str | None = None) -> ChatRef:
        return ChatRef(platform=self._account.platform, account=self._account.name, chat=chat, thread=thread)

    async def _chat_id(self, connection: Connection, ref: ChatRef) -> ChatId | None:
        cursor = await connection.execute(
            "SELECT id FROM chats WHERE owner_id = %s AND account_id = %s AND platform_chat_id = %s",
            [self._owner, self._account.id, ref.chat],
        )
        row = await cursor.fetchone()
        return ChatId(int(row[0])) if row else None

    async def _read_chats(
        self, connection: Connection, *, like: str = "", only: str | None = None, limit: int
    ) -> tuple[DeskChat, ...]:
        cursor = await connection.execute(
            """
            SELECT c.platform_chat_id, c.kind, c.external, coalesce(p.mode, 'suggest'), p.listen, p.paused_until,
                   coalesce(nullif(c.title, ''), (
                       SELECT k.display_name FROM chat_members m
                       JOIN contacts k ON k.owner_id = m.owner_id AND k.id = m.contact_id
                       WHERE m.owner_id = c.owner_id AND m.chat_id = c.id AND m.left_at > now() LIMIT 1), ''),
                   newest.platform_message_id, newest.sent_at
            FROM chats c
            LEFT JOIN policies p ON p.owner_id = c.owner_id AND p.chat_id = c.id
            LEFT JOIN LATERAL (
                SELECT m.platform_message_id, m.sent_at FROM messages m
                WHERE m.owner_id = c.owner_id AND m.chat_id = c.id
                ORDER BY m.sent_at DESC, m.id DESC LIMIT 1) newest ON true
            WHERE c.owner_id = %(owner)s AND c.account_id = %(account)s
              AND (%(only)s::text IS NULL OR c.platform_chat_id = %(only)s)
              AND (%(like)s = '' OR position(lower(%(like)s) IN lower(c.title)) > 0)
            ORDER BY newest.sent_at DESC NULLS LAST, c.id DESC LIMIT %(limit)s""",
            {"owner": self._owner, "account": self._account.id, "only": only, "like": like, "limit": limit},
        )
        return tuple([self._desk_chat(row) for row in await cursor.fetchall()])

    def _desk_chat(self, row: Sequence[object]) -> DeskChat:
        chat, kind, external, mode, listen, paused_until, title, newest, newest_at = row
        start = listens_from_the_start(self._account.platform, ChatKind(str(kind)), external=bool(external))
        return DeskChat(
            ref=self._ref(str(chat)),
            title=str(title),
            kind=ChatKind(str(kind)),
            mode=Mode(str(mode)),
            listened=start if listen is None else bool(listen),
            external=bool(external),
            paused_until=paused_until if isinstance(paused_until, datetime) else None,
            newest=None if newest is None else str(newest),
            newest_at=newest_at if isinstance(newest_at, datetime) else None,
        )


_MODES = {
    Mode.OFF: "off; what is said is kept, and never answered.",
    Mode.SUGGEST: "drafts are suggested; you send them.",
    Mode.AUTO: "replies may be sent by themselves.",
}
_LISTENING = {
    True: "from now on, what is said there is kept, and may be answered.",
    False: "from now on, nothing said there is kept. What was kept stays, until you forget it.",
}


# ─── how Locum fares ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    paused_until: datetime | None
    kill_switch: bool
    chats: int
    cards: int
    unknown: int
    waiting: int


async def read_status(connection: Connection, account: Account, now: datetime) -> list[str]:
    """The account's state, a sentence a line."""
    async with connection.cursor(row_factory=class_row(_Figures)) as cursor:
        await cursor.execute(
            """
            SELECT (SELECT paused_until FROM policies WHERE owner_id = %(owner)s AND chat_id IS NULL)
                       AS paused_until,
                   coalesce((SELECT kill_switch FROM policies WHERE owner_id = %(owner)s AND chat_id IS NULL), false)
                       AS kill_switch,
                   (SELECT count(*) FROM chats WHERE owner_id = %(owner)s AND account_id = %(account)s) AS chats,
                   (SELECT count(*) FROM cards k JOIN turns t ON t.owner_id = k.owner_id AND t.id = k.turn_id
                    JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
                    WHERE k.owner_id = %(owner)s AND c.account_id = %(account)s AND k.closed_at IS NULL) AS cards,
                   (SELECT count(*) FROM outbox WHERE owner_id = %(owner)s AND account_id = %(account)s
                    AND state = 'unknown' AND settled_at > %(since)s) AS unknown,
                   (SELECT count(*) FROM inbox_events WHERE owner_id = %(owner)s AND account_id = %(account)s
                    AND applied_at IS NULL) AS waiting""",
            {"owner": account.owner_id, "account": account.id, "since": now - DAY},
        )
        figures = await cursor.fetchone()
    assert figures is not None, "a SELECT without FROM gives a row"  # noqa: S101 -- for the type checker
    return [*_told(figures, now), *await _gaps(connection, account, now)]


def _told(figures: _Figures, now: datetime) -> list[str]:
    lines = [f"{counted(figures.chats, 'chat')}, {counted(figures.cards, 'open card')}."]
    if figures.kill_switch:
        lines.append("The kill switch is on: nothing leaves.")
    if figures.paused_until is not None and figures.paused_until > now:
        lines.append(f"Paused until {figures.paused_until:%Y-%m-%d %H:%M} UTC.")
    if figures.waiting:
        lines.append(f"{counted(figures.waiting, 'event')} waiting to be read.")
    if figures.unknown:
        replies = counted(figures.unknown, "reply", "replies")
        lines.append(f"Nobody can tell whether {replies} of the last day arrived.")
    return lines


async def _gaps(connection: Connection, account: Account, now: datetime) -> list[str]:
    """Times of the last week from which messages may be missing."""
    cursor = await connection.execute(
        """
        SELECT at, (subject ->> 'since')::timestamptz, coalesce(nullif(c.title, ''), '')
        FROM audit a
        LEFT JOIN accounts k ON k.owner_id = a.owner_id AND k.platform = a.subject ->> 'platform'
                            AND k.name = a.subject ->> 'account'
        LEFT JOIN chats c ON c.owner_id = k.owner_id AND c.account_id = k.id
                         AND c.platform_chat_id = a.subject ->> 'chat'
        WHERE a.owner_id = %s AND a.action = 'gap.seen' AND a.subject ->> 'platform' = %s
          AND a.subject ->> 'account' = %s AND a.at > %s
        ORDER BY a.id DESC LIMIT 5""",
        [account.owner_id, account.platform, account.name, now - 7 * DAY],
    )
    return [
        f"Messages{f' of {title}' if title else ''} may be missing: "
        f"{f'{since:%Y-%m-%d %H:%M} to ' if since else 'before '}{at:%Y-%m-%d %H:%M} UTC."
        for at, since, title in await cursor.fetchall()
    ]
