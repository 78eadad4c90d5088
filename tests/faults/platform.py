"""A chat platform in a file, which outlives every process that hosts its bot.

What was posted stays posted. What nobody acknowledged is delivered again to the next life, and some
events are delivered twice. The people in the chats act through the same file from outside.
"""

import asyncio
import random
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from core.bot import Capability, Card, Outgoing, Receipt, ReceiptStatus
from core.events import (
    EVENTS,
    Author,
    ChatRef,
    DraftAction,
    DraftVerb,
    Event,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Person,
)
from core.vocabulary import ChatKind

PLATFORM, ACCOUNT = "console", "mara"
"""The one platform where chats may be on auto."""

E = TypeVar("E", bound=Event)

SCHEMA = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE deliveries (id INTEGER PRIMARY KEY, key TEXT NOT NULL, event TEXT NOT NULL,
                         acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE posts (id INTEGER PRIMARY KEY, key TEXT NOT NULL, chat TEXT NOT NULL, message_id TEXT NOT NULL,
                    text TEXT NOT NULL);
CREATE TABLE cards (key TEXT PRIMARY KEY, chat TEXT NOT NULL, live INTEGER NOT NULL);
CREATE TABLE shown (draft INTEGER PRIMARY KEY, card TEXT NOT NULL, chat TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE presses (key TEXT PRIMARY KEY, draft INTEGER NOT NULL, verb TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One message that the people in the chat received from us."""

    key: str
    chat: str
    message_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDraft:
    """A draft with a button that can be pressed right now."""

    draft: int
    chat: str
    text: str


class DurablePlatform:
    """The platform's file, as its people and its bot use it. Every call is one transaction."""

    def __init__(self, path: Path, *, idempotent: bool, echo: Author | None, refuse_every: int = 0) -> None:
        self.path = path
        self.idempotent = idempotent
        self.echo = echo
        """As whose the platform reports our own sends; None: not at all."""
        self.refuse_every = refuse_every
        """Of so many sends, one is refused; 0: none."""

    def create(self) -> None:
        with closing(self.connect()) as connection:
            connection.executescript("PRAGMA journal_mode = WAL;" + SCHEMA)

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    # ── people ───────────────────────────────────────────────────────────────────────────────

    def chat(self, chat: str) -> ChatRef:
        return ChatRef(platform=PLATFORM, account=ACCOUNT, chat=chat)

    def say(self, chat: str, text: str, *, twice: bool = False, at: datetime | None = None) -> MessageNew:
        """The contact of that chat writes."""
        person = Person(id=f"{chat}-id", name=chat)
        return self._deliver(self._message(chat, person, Author.CONTACT, text, at), twice=twice)

    def owner_types(
        self, chat: str, text: str, *, twice: bool = False, at: datetime | None = None
    ) -> MessageNew:
        owner = Person(id=ACCOUNT, name=ACCOUNT)
        return self._deliver(self._message(chat, owner, Author.OWNER, text, at), twice=twice)

    def rewrite(self, chat: str, message_id: str, text: str, *, twice: bool = False) -> None:
        event = MessageEdited(
            key=f"edit:{self._next('change')}",
            chat=self.chat(chat),
            at=datetime.now(UTC),
            message_id=message_id,
            text=text,
        )
        self._deliver(event, twice=twice)

    def erase(self, chat: str, message_id: str, *, twice: bool = False) -> None:
        event = MessagesDeleted(
            key=f"delete:{self._next('change')}",
            chat=self.chat(chat),
            at=datetime.now(UTC),
            message_ids=(message_id,),
        )
        self._deliver(event, twice=twice)

    def press(
        self, shown: ShownDraft, verb: DraftVerb, text: str | None = None, *, twice: bool = False
    ) -> None:
        key = f"press:{self._next('change')}"
        event = DraftAction(
            key=key, chat=self.chat(shown.chat), at=datetime.now(UTC), draft=shown.draft, verb=verb, text=text
        )
        with closing(self.connect()) as connection:
            connection.execute("INSERT INTO presses VALUES (?, ?, ?)", [key, shown.draft, verb])
        self._deliver(event, twice=twice)

    def on_show(self) -> list[ShownDraft]:
        """Every draft whose button can be pressed."""
        with closing(self.connect()) as connection:
            rows = connection.execute(
                """
                SELECT s.draft, s.chat, s.text FROM shown s JOIN cards c ON c.key = s.card
                WHERE c.live ORDER BY s.draft"""
            ).fetchall()
        return [ShownDraft(draft=row[0], chat=row[1], text=row[2]) for row in rows]

    # ── what a test asks afterwards ──────────────────────────────────────────────────────────

    def posts(self) -> list[Posted]:
        with closing(self.connect()) as connection:
            rows = connection.execute("SELECT key, chat, message_id, text FROM posts ORDER BY id").fetchall()
        return [Posted(key=row[0], chat=row[1], message_id=row[2], text=row[3]) for row in rows]

    def presses(self) -> list[tuple[str, int, DraftVerb]]:
        """(key of the event, draft, verb) of every press there ever was."""
        with closing(self.connect()) as connection:
            rows = connection.execute("SELECT key, draft, verb FROM presses ORDER BY key").fetchall()
        return [(row[0], row[1], DraftVerb(row[2])) for row in rows]

    def live_cards(self) -> set[str]:
        with closing(self.connect()) as connection:
            return {row[0] for row in connection.execute("SELECT key FROM cards WHERE live")}

    def unacknowledged(self) -> int:
        with closing(self.connect()) as connection:
            row = connection.execute("SELECT count(*) FROM deliveries WHERE NOT acknowledged").fetchone()
        return int(row[0])

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _next(self, counter: str) -> int:
        with closing(self.connect()) as connection:
            return _count(connection, counter)

    def _message(
        self, chat: str, sender: Person, author: Author, text: str, at: datetime | None
    ) -> MessageNew:
        number = self._next("message")
        return MessageNew(
            key=f"message:{number}",
            chat=self.chat(chat),
            at=at or datetime.now(UTC),
            message_id=str(number),
            sender=sender,
            author=author,
            text=text,
            chat_kind=ChatKind.DIRECT,
            chat_title=chat,
            members=(Person(id=f"{chat}-id", name=chat),),
        )

    def _deliver(self, event: E, *, twice: bool) -> E:
        with closing(self.connect()) as connection:
            for _ in range(1 + twice):
                _enqueue(connection, event)
        return event


def _count(connection: sqlite3.Connection, counter: str) -> int:
    row = connection.execute(
        """
        INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1
        RETURNING value""",
        [counter],
    ).fetchone()
    return int(row[0])


def _enqueue(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute(
        "INSERT INTO deliveries (key, event) VALUES (?, ?)", [event.key, EVENTS.dump_json(event).decode()]
    )


class DurableBot:
    """The bot of one process on that platform; `on_step` is told what the platform has just done."""

    def __init__(self, world: DurablePlatform, on_step: Callable[[str], None], *, seed: int = 0) -> None:
        self._world = world
        self._connection = world.connect()
        self._on_step = on_step
        self._random = random.Random(seed)  # noqa: S311 -- no secret
        self._running = False

    @property
    def platform(self) -> str:
        return PLATFORM

    @property
    def account(self) -> str:
        return ACCOUNT

    async def start(self) -> None:
        self._running = True

    async def stop(self) -> None:
        self._running = False

    async def events(self) -> AsyncGenerator[Event]:
        """From the oldest that nobody acknowledged; now and then one comes twice."""
        given = 0
        while self._running:
            rows = self._connection.execute(
                "SELECT id, event FROM deliveries WHERE id > ? AND NOT acknowledged ORDER BY id", [given]
            ).fetchall()
            for delivery, raw in rows:
                given = delivery
                event = EVENTS.validate_json(raw)
                yield event
                if self._random.random() < 0.1:
                    yield event
            await asyncio.sleep(0.01)

    async def acknowledge(self, event: Event) -> None:
        self._connection.execute(
            """
            UPDATE deliveries SET acknowledged = 1
            WHERE id = (SELECT id FROM deliveries WHERE key = ? AND NOT acknowledged ORDER BY id LIMIT 1)""",
            [event.key],
        )

    def capabilities(self, chat: ChatRef) -> Capability:
        del chat
        known = Capability.SEND_AS_OWNER
        return known | Capability.IDEMPOTENT_SEND if self._world.idempotent else known

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        await asyncio.sleep(0.005)
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        if self._world.refuse_every and _count(connection, "send") % self._world.refuse_every == 0:
            connection.execute("COMMIT")
            return Receipt(status=ReceiptStatus.REFUSED, reason="slow down")
        earlier = connection.execute("SELECT message_id FROM posts WHERE key = ?", [message.key]).fetchone()
        if earlier and self._world.idempotent:
            connection.execute("COMMIT")
            return Receipt(status=ReceiptStatus.DUPLICATE, message_ids=(earlier[0],), at=datetime.now(UTC))
        message_id = str(_count(connection, "message"))
        connection.execute(
            "INSERT INTO posts (key, chat, message_id, text) VALUES (?, ?, ?, ?)",
            [message.key, chat.chat, message_id, message.text],
        )
        if self._world.echo is not None:
            _enqueue(connection, self._echo(chat, message_id, message.text, self._world.echo))
        connection.execute("COMMIT")
        self._on_step("posted")
        await asyncio.sleep(0.005)
        return Receipt(status=ReceiptStatus.SENT, message_ids=(message_id,), at=datetime.now(UTC))

    def _echo(self, chat: ChatRef, message_id: str, text: str, author: Author) -> MessageNew:
        person = Person(id=f"{chat.chat}-id", name=chat.chat)
        return MessageNew(
            key=f"message:{message_id}",
            chat=replace(chat, thread=None),
            at=datetime.now(UTC),
            message_id=message_id,
            sender=Person(id=ACCOUNT, name=ACCOUNT),
            author=author,
            text=text,
            chat_title=chat.chat,
            members=(person,),
        )

    async def show(self, card: Card) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(
            "INSERT INTO cards VALUES (?, ?, 1) ON CONFLICT (key) DO UPDATE SET live = 1",
            [card.key, card.chat.chat],
        )
        self._connection.execute("DELETE FROM shown WHERE card = ?", [card.key])
        self._connection.executemany(
            "INSERT OR REPLACE INTO shown VALUES (?, ?, ?, ?)",
            [(draft.draft, card.key, card.chat.chat, draft.text) for draft in card.drafts],
        )
        self._connection.execute("COMMIT")

    async def withdraw(self, card_key: str, outcome: str) -> None:
        del outcome
        self._connection.execute("UPDATE cards SET live = 0 WHERE key = ?", [card_key])
