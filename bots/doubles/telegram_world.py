"""The people, chats and messages behind a Telegram double, and hands to move everyone but the bot."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from bots.doubles.telegram_shapes import Json, check_message, check_update, copied
from core.clock import Clock, SystemClock

Space = Literal["bot", "business", "group"]
"""Whose message ids count: the bot's private chats, the owner's account, each group for itself."""

WINDOW = timedelta(hours=24)
UNASKED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
"""Updates that come only where they are named."""

ALL_RIGHTS: Json = {"can_reply": True, "can_read_messages": True, "can_delete_sent_messages": True}


def person(user_id: int, name: str, username: str = "", *, is_bot: bool = False) -> Json:
    user: Json = {"id": user_id, "is_bot": is_bot, "first_name": name}
    return user | ({"username": username} if username else {})


def private_chat(user: Json) -> Json:
    chat = {"id": user["id"], "type": "private", "first_name": user["first_name"]}
    return chat | ({"username": user["username"]} if "username" in user else {})


@dataclass(slots=True, kw_only=True)
class World:
    """Everything that Telegram knows. Hands return the message they made, as Telegram has it."""

    owner: Json
    bot: Json
    clock: Clock = field(default_factory=SystemClock)
    validate: bool = True
    """Hold every update and message against models that others wrote."""

    updates: list[Json] = field(default_factory=list[Json])
    """What nobody has confirmed yet, oldest first."""
    emitted: list[Json] = field(default_factory=list[Json])
    """Every update there ever was."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    allowed: frozenset[str] | None = None
    connection: Json | None = None
    connections: dict[str, Json] = field(default_factory=dict[str, Json])
    """Everybody's, by id."""
    messages: dict[tuple[Space, int], dict[int, Json]] = field(
        default_factory=lambda: defaultdict(dict[int, Json])
    )
    groups: dict[int, Json] = field(default_factory=dict[int, Json])
    private_groups: set[int] = field(default_factory=set[int])
    """Groups in which the bot sees only what is meant for it."""
    last_incoming: dict[int, datetime] = field(default_factory=dict[int, datetime])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    _update_ids: Iterator[int] = field(default_factory=lambda: itertools.count(880_001))
    _message_ids: dict[object, Iterator[int]] = field(
        default_factory=lambda: defaultdict(lambda: itertools.count(101))
    )
    _others: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # ─── the contact and the owner, in the business chat ──────────────────────────────────────

    def connects(
        self,
        user: Json | None = None,
        *,
        connection_id: str | None = None,
        rights: Json | None = None,
        enabled: bool = True,
    ) -> Json:
        """Somebody makes the bot their secretary, or changes what it may do; the owner, unless told."""
        user = user or self.owner
        connection: Json = {
            "id": connection_id or f"bc-{next(self._others)}",
            "user": user,
            "user_chat_id": user["id"],
            "date": self._now(),
            "is_enabled": enabled,
        }
        if enabled:
            connection["rights"] = ALL_RIGHTS if rights is None else rights
        self.connections[connection["id"]] = connection
        if user["id"] == self.owner["id"]:
            self.connection = connection
        self.emit("business_connection", connection)
        return connection

    def disconnects(self) -> None:
        """The owner takes the bot out of their chats."""
        self.connects(connection_id=self._owners_connection["id"], enabled=False)

    def opens_window(self, contact: Json) -> None:
        """The contact wrote before the bot was there: it may answer for 24 hours."""
        self.last_incoming[contact["id"]] = self.clock.now()

    def closes_window(self, contact: Json) -> None:
        self.last_incoming[contact["id"]] = self.clock.now() - WINDOW - timedelta(minutes=1)

    def window_is_open(self, chat_id: int) -> bool:
        last = self.last_incoming.get(chat_id)
        return last is not None and self.clock.now() - last < WINDOW

    def contact_writes(
        self, contact: Json, text: str = "", /, *, connection: Json | None = None, **more: object
    ) -> Json:
        message = self._in_business(contact, contact, text, connection, more)
        self.opens_window(contact)
        self.emit("business_message", message)
        return message

    def owner_types(
        self, contact: Json, text: str = "", /, *, connection: Json | None = None, **more: object
    ) -> Json:
        """The owner writes to a contact by hand; `is_from_offline` makes it an away note."""
        message = self._in_business(contact, self.owner, text, connection, more)
        self.emit("business_message", message)
        return message

    def edits(self, message: Json, text: str, *, at: int | None = None) -> Json:
        """Whoever wrote it edits a message, in a business chat or in a group."""
        space = self.space_of(message)
        kept = self.messages[space, message["chat"]["id"]][message["message_id"]]
        kept |= {"text": text, "edit_date": at or self._now()}
        kept.pop("entities", None)
        self.emit("edited_business_message" if space == "business" else "edited_message", kept)
        return kept

    def deletes(self, *messages: Json) -> None:
        """Somebody deletes messages of one business chat."""
        chat = messages[0]["chat"]
        for message in messages:
            self.messages["business", chat["id"]].pop(message["message_id"], None)
        self.emit(
            "deleted_business_messages",
            {
                "business_connection_id": messages[0]["business_connection_id"],
                "chat": chat,
                "message_ids": [message["message_id"] for message in messages],
            },
        )

    def _in_business(
        self, contact: Json, sender: Json, text: str, connection: Json | None, more: Json
    ) -> Json:
        connection = connection or self._owners_connection
        return self.post(
            "business",
            private_chat(contact),
            sender,
            {"business_connection_id": connection["id"], **_text(text), **more},
        )

    # ─── anybody, in their private chat with the bot ──────────────────────────────────────────

    def writes_to_bot(self, user: Json, text: str = "", /, **more: object) -> Json:
        entities = _commands(text)
        message = self.post("bot", private_chat(user), user, _text(text) | entities | more)
        self.emit("message", message)
        return message

    def owner_writes(self, text: str = "", /, **more: object) -> Json:
        return self.writes_to_bot(self.owner, text, **more)

    def owner_answers(self, prompt: Json, text: str) -> Json:
        """The owner answers a message of the bot's, as a forced reply makes them."""
        return self.owner_writes(text, reply_to_message=copied(prompt))

    def forwards_to_bot(self, user: Json, origin: Json, text: str = "", **more: object) -> Json:
        return self.writes_to_bot(user, text, forward_origin={"date": self._now(), **origin}, **more)

    def presses(self, user: Json, message: Json, data: str) -> str:
        """Somebody presses a button with that data, or makes a client of theirs say so. The query's id."""
        query_id = f"cb-{next(self._others)}"
        self.emit(
            "callback_query",
            {
                "id": query_id,
                "from": user,
                "chat_instance": "1",
                "message": copied(message),
                "data": data,
            },
        )
        return query_id

    def owner_presses(self, label: str) -> str:
        """The owner presses the newest button of that label in the private chat with the bot."""
        message, data = self.button(label)
        return self.presses(self.owner, message, data)

    def button(self, label: str) -> tuple[Json, str]:
        """The newest standing button of that label, with its message."""
        for message in reversed(self.owner_sees()):
            for button in buttons(message):
                if button["text"] == label:
                    return message, button.get("callback_data", "")
        raise LookupError(f"no button {label!r} among {self.labels()}")

    def labels(self) -> list[str]:
        """Of every button that the owner can press."""
        return [button["text"] for message in self.owner_sees() for button in buttons(message)]

    def owner_sees(self) -> list[Json]:
        """The private chat with the bot, oldest first."""
        return list(self.messages["bot", self.owner["id"]].values())

    def bot_said(self, user: Json | None = None) -> list[str]:
        """What the bot's messages in somebody's private chat say now; in the owner's, unless told."""
        chat = (user or self.owner)["id"]
        return [
            message.get("text") or message.get("caption") or ""
            for message in self.messages["bot", chat].values()
            if message["from"]["id"] == self.bot["id"]
        ]

    # ─── groups, inline and guest mode ────────────────────────────────────────────────────────

    def opens_group(
        self, chat_id: int, title: str, *, privacy: bool = False, username: str = "", forum: bool = False
    ) -> Json:
        chat: Json = {"id": chat_id, "type": "supergroup", "title": title}
        if not str(chat_id).startswith("-100"):
            chat["type"] = "group"
        if username:
            chat["username"] = username
        if forum:
            chat["is_forum"] = True
        self.groups[chat_id] = chat
        if privacy:
            self.private_groups.add(chat_id)
        return chat

    def bot_becomes(self, group: Json, status: str, **more: object) -> None:
        """An administrator lets the bot in, or throws it out."""
        self.emit(
            "my_chat_member",
            {
                "chat": group,
                "from": self.owner,
                "date": self._now(),
                "old_chat_member": {"status": "left", "user": self.bot},
                "new_chat_member": {"status": status, "user": self.bot, **more},
            },
        )

    def group_writes(self, group: Json, user: Json, text: str = "", /, **more: object) -> Json:
        message = self.post("group", group, user, _text(text) | more)
        if group["id"] not in self.private_groups or self._is_meant_for_bot(message):
            self.emit("message", message)
        return message

    def reacts(self, message: Json, user: Json, old: Iterable[str], new: Iterable[str]) -> None:
        self.emit(
            "message_reaction",
            {
                "chat": message["chat"],
                "message_id": message["message_id"],
                "date": self._now(),
                "user": user,
                "old_reaction": [{"type": "emoji", "emoji": emoji} for emoji in old],
                "new_reaction": [{"type": "emoji", "emoji": emoji} for emoji in new],
            },
        )

    def asks_inline(self, user: Json, query: str) -> str:
        query_id = f"iq-{next(self._others)}"
        self.emit("inline_query", {"id": query_id, "from": user, "query": query, "offset": ""})
        return query_id

    def calls_as_guest(self, group: Json, user: Json, text: str, **more: object) -> str:
        """Somebody mentions the bot in a chat that it is not in."""
        query_id = f"gq-{next(self._others)}"
        message = self.post("group", group, user, {"text": text, "guest_query_id": query_id, **more})
        self.emit("guest_message", message)
        return query_id

    def _is_meant_for_bot(self, message: Json) -> bool:
        text = str(message.get("text", ""))
        answered = message.get("reply_to_message", {}).get("from", {}).get("id") == self.bot["id"]
        return answered or text.startswith("/") or f"@{self.bot['username']}" in text

    @property
    def _owners_connection(self) -> Json:
        if self.connection is None:
            raise LookupError("the owner has not connected the bot yet: call connects()")
        return self.connection

    # ─── inside ───────────────────────────────────────────────────────────────────────────────

    def post(self, space: Space, chat: Json, sender: Json, content: Json) -> Json:
        """A message stands in a chat."""
        count = self._message_ids[chat["id"] if space == "group" else space]
        message: Json = {
            "message_id": next(count),
            "date": self._now(),
            "chat": chat,
            "from": sender,
            **content,
        }
        if self.validate:
            check_message(message)
        self.messages[space, chat["id"]][message["message_id"]] = message
        return message

    def emit(self, kind: str, payload: Json) -> None:
        """Something happens that the bot may hear of."""
        update = copied({"update_id": next(self._update_ids), kind: payload})
        if self.validate:
            check_update(update)
        if kind in self.allowed if self.allowed else kind not in UNASKED:
            self.updates.append(update)
            self.emitted.append(update)
            self.changed.set()

    def repeat(self, updates: Sequence[Json]) -> None:
        """Updates are delivered in this order from now on, whatever was delivered before."""
        self.updates = [copied(update) for update in updates]
        self.changed.set()

    def confirm(self, offset: int) -> None:
        """Everything before the offset is safe with the bot."""
        self.updates = [update for update in self.updates if update["update_id"] >= offset]

    def space_of(self, message: Json) -> Space:
        if "business_connection_id" in message:
            return "business"
        return "bot" if message["chat"]["type"] == "private" else "group"

    def _now(self) -> int:
        return int(self.clock.now().timestamp())


def buttons(message: Json) -> list[Json]:
    """The inline buttons under a message, row by row."""
    rows: list[list[Json]] = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button for row in rows for button in row]


def _text(text: str) -> Json:
    return {"text": text} if text else {}


def _commands(text: str) -> Json:
    if not text.startswith("/"):
        return {}
    return {"entities": [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}]}
