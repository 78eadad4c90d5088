"""One update, from what Telegram says to the events it means."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

import structlog
from telegram import BusinessConnection, ChatMemberUpdated, Message, Update
from telegram.constants import ChatType

from bots.telegram.api import Api, Json
from bots.telegram.commands import Commands
from bots.telegram.connection import Connection, Connections
from bots.telegram.control import Control
from bots.telegram.elsewhere import Elsewhere
from bots.telegram.groups import group_access, group_message, reactions
from bots.telegram.hearing import Hearing
from bots.telegram.plain import quoted
from bots.telegram.presses import Presses, place_of
from bots.telegram.translate import (
    Viewpoint,
    business_message,
    deleted_messages,
    edited,
    forwarded_message,
)
from core.bot import BotState
from core.clock import Clock
from core.desk import Desk
from core.errors import LocumError, PlatformError, StorageError
from core.events import AccessChanged, Author, ChatRef, Event, Gap, SuggestAsked

log = structlog.get_logger()

GROUPS = (ChatType.GROUP, ChatType.SUPERGROUP)
HINT = "Forward me a message to get drafts for it, or see /help."
FORWARDED = "Drafts for what you forwarded are on their way."
MOST_CHATS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Who may cause what: the owner's connection and groups become events, the owner's words are obeyed."""

    api: Api
    view: Viewpoint
    connections: Connections
    control: Control
    commands: Commands
    presses: Presses
    elsewhere: Elsewhere
    hearing: Hearing
    desk: Desk
    state: BotState
    clock: Clock

    async def understand(self, raw: Json) -> Sequence[Event]:
        """The events that an update means, once what it asks of the bot itself is done."""
        update = Update.de_json(raw, self.api)
        if message := update.business_message or update.edited_business_message:
            return await self._business(update, message)
        if deleted := update.deleted_business_messages:
            if not await self.connections.is_owners(self.api, deleted.business_connection_id):
                return ()
            return (deleted_messages(self.view, update.update_id, deleted, self.clock.now()),)
        if told := update.business_connection:
            return await self._connection(update.update_id, told)
        if changed := update.message_reaction:
            # A private chat with the bot has the id, and other messages, of the owner's chat with that person.
            in_group = changed.chat.type in GROUPS
            return tuple(reactions(self.view, update.update_id, changed)) if in_group else ()
        if changed := update.my_chat_member:
            return await self._membership(update.update_id, changed)
        if message := update.message or update.edited_message:
            return await self._message(update, message)
        return await self._asked_of_us(update)

    def lost(self, raw: Json) -> Gap:
        """What stands in for an update that nobody could read."""
        now = self.clock.now()
        return Gap(key=f"gap:{raw['update_id']}", chat=self.view.chat(""), at=now, since=now)

    # ─── the owner's chats ────────────────────────────────────────────────────────────────────

    async def _business(self, update: Update, message: Message) -> Sequence[Event]:
        connection_id = message.business_connection_id
        if connection_id is None or not await self.connections.is_owners(self.api, connection_id):
            return ()
        event = business_message(self.view, message)
        if event is None or _is_walking(update):
            return ()
        if event.author is Author.SELF_AS_OWNER and message.via_bot is not None:
            event = await self.elsewhere.owned(event)
        event = await self.hearing.with_words(event, message)
        if update.edited_business_message is not None:
            return (edited(update.update_id, event, message),)
        return (event,)

    async def _connection(self, update_id: int, told: BusinessConnection) -> Sequence[Event]:
        connection = await self.connections.learn(told)
        if connection is None or connection.id != told.id:
            return ()
        await self.desk.heard("connected" if connection.can_send else "restricted")
        await self._tell_of(connection)
        return [
            AccessChanged(
                key=f"access:{told.id}:{chat.chat}:{update_id}",
                chat=chat,
                at=told.date,
                can_read=connection.enabled,
                can_send=connection.can_send,
                detail=connection.detail,
            )
            for chat in await self._connected_chats()
        ]

    async def _connected_chats(self) -> Sequence[ChatRef]:
        """The whole account; but where the bot is in groups too, each private chat by itself: they differ."""
        if not await self.state.keys("group:"):
            return (self.view.chat(""),)
        chats = await self.desk.chats(limit=MOST_CHATS)
        return [chat.ref for chat in chats if not chat.ref.chat.startswith("-")]

    async def _tell_of(self, connection: Connection) -> None:
        sentences = [connection.detail] if connection.detail else []
        if connection.too_much:
            rights = ", ".join(name.removeprefix("can_").replace("_", " ") for name in connection.too_much)
            sentences.append(f"You granted rights that Locum never uses; you can take them back: {rights}.")
        if not sentences:
            sentences = ["Connected. Drafts for your chats will appear here. See /help."]
        await self._say("\n".join(sentences))

    # ─── groups ───────────────────────────────────────────────────────────────────────────────

    async def _membership(self, update_id: int, changed: ChatMemberUpdated) -> Sequence[Event]:
        if changed.chat.type not in GROUPS:
            return ()
        access = group_access(self.view, update_id, changed)
        await self.state.put(f"group:{changed.chat.id}", "open" if access.can_send else "closed")
        return (access,)

    async def _group(self, update: Update, message: Message) -> Sequence[Event]:
        event = group_message(self.view, message)
        if event is None:
            return self._moved(update.update_id, message)
        if _is_walking(update):
            return ()
        event = await self.hearing.with_words(event, message)
        if update.edited_message is not None:
            return (edited(update.update_id, event, message),)
        return (event,)

    def _moved(self, update_id: int, message: Message) -> Sequence[Event]:
        """A group that grew into a supergroup goes on under another id; nothing can be sent to the old one."""
        if message.migrate_to_chat_id is None:
            return ()
        closed = AccessChanged(
            key=f"access:{message.chat.id}:{update_id}",
            chat=self.view.chat(str(message.chat.id)),
            at=message.date,
            can_read=False,
            can_send=False,
            detail=f"The group goes on as {message.migrate_to_chat_id}.",
        )
        return (closed,)

    # ─── who talks to the bot itself ──────────────────────────────────────────────────────────

    async def _message(self, update: Update, message: Message) -> Sequence[Event]:
        if message.chat.type in GROUPS:
            return await self._group(update, message)
        if message.chat.type != ChatType.PRIVATE or message.from_user is None or update.edited_message:
            return ()
        if not self.view.is_owner(message.from_user):
            await self.elsewhere.greet(message.from_user)
            return ()
        return await self._obey(self._owner_says(message))

    async def _obey(self, doing: Awaitable[Sequence[Event]]) -> Sequence[Event]:
        """What the owner asked for. What is not possible is told; what Telegram swallows they ask again."""
        try:
            return await doing
        except StorageError:
            raise
        except PlatformError as error:
            log.warning("answer.lost", error=type(error).__name__)
        except LocumError as error:
            await self._say(quoted(str(error)))
        return ()

    async def _owner_says(self, message: Message) -> Sequence[Event]:
        place = place_of(message, self.control.flat)
        if message.forward_origin is not None:
            return await self._forwarded(message)
        answered = await self.presses.answered(message)
        if answered is not None:
            return answered
        if (message.text or "").startswith("/"):
            return await self.commands.take(message, place)
        if message.text or message.effective_attachment:
            await self.control.say(HINT, place=place)
        return ()

    async def _forwarded(self, message: Message) -> Sequence[Event]:
        event = forwarded_message(self.view, message)
        if event.sender.id == self.view.owner_id or event.sender.id == str(self.view.bot_id):
            await self._say("Those are your own words, or mine: there is nothing to answer.")
            return ()
        event = await self.hearing.with_words(event, message)
        await self._say(FORWARDED)
        asked = SuggestAsked(
            key=f"asked:{message.message_id}",
            chat=event.chat,
            at=message.date,
            message_id=event.message_id,
        )
        return (event, asked)

    async def _asked_of_us(self, update: Update) -> Sequence[Event]:
        if update.callback_query is not None:
            return await self._obey(self.presses.take(update.callback_query))
        if update.inline_query is not None:
            await self.elsewhere.inline(update.inline_query)
        if update.guest_message is not None:
            return await self.elsewhere.guest(update.guest_message)
        return ()

    async def _say(self, text: str) -> None:
        """Tell the owner; where that fails, what happened goes on without."""
        try:
            await self.control.say(text)
        except PlatformError as error:
            log.info("owner.not_told", error=type(error).__name__)


def _is_walking(update: Update) -> bool:
    """True for the next point of a live location: Telegram calls it an edit, every few seconds."""
    edited_message = update.edited_business_message or update.edited_message
    return edited_message is not None and edited_message.location is not None
