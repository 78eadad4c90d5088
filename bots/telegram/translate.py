"""What people do on Telegram, as events: pure functions of one update.

A chat with a contact goes by the contact's user id, a group by the Bot API's negative id, as our importer
writes them. Keys are made of ids that Telegram itself repeats when it repeats an update.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from telegram import (
    BusinessMessagesDeleted,
    Chat,
    Message,
    MessageOriginUser,
    User,
)

from bots.telegram.attachments import attachments_of, is_service
from bots.telegram.plain import plain_text
from core.events import (
    Author,
    ChatRef,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Person,
)
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

PLATFORM = "telegram"
FORWARDED = "forwarded"
"""How the ids of what was forwarded to the bot begin."""
WINDOW = timedelta(hours=24)
"""So long after a contact's message may a secretary answer it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """Who is the owner, and who are we."""

    account: str
    owner_id: str
    bot_id: int
    bot_username: str
    owner_username: str = ""

    def is_owner(self, user: User | None) -> bool:
        return user is not None and str(user.id) == self.owner_id

    def chat(self, chat: str, thread: str | None = None) -> ChatRef:
        return ChatRef(platform=PLATFORM, account=self.account, chat=chat, thread=thread)


# ─── The owner's chats with contacts ─────────────────────────────────────────────────────────


def business_message(view: Viewpoint, message: Message) -> MessageNew | None:
    """A message of either side of a private chat; None for what Telegram itself notes there."""
    if is_service(message):
        return None
    contact = _counterpart(message.chat)
    author = _business_author(view, message)
    return MessageNew(
        key=message_key(contact.id, message.message_id),
        chat=view.chat(contact.id),
        at=message.date,
        message_id=str(message.message_id),
        sender=contact if author is Author.CONTACT else person_of(message.from_user),
        author=author,
        text=text_of(message),
        reply_to=reply_to_of(message),
        attachments=attachments_of(message),
        automatic=bool(message.is_from_offline),
        forwarded=is_passed_on(view, message),
        chat_kind=ChatKind.DIRECT,
        chat_title=contact.name,
        members=(contact,),
        send_until=message.date + WINDOW if author is Author.CONTACT else None,
    )


def _business_author(view: Viewpoint, message: Message) -> Author:
    if message.sender_business_bot is not None:
        ours = message.sender_business_bot.id == view.bot_id
        return Author.SELF_AS_OWNER if ours else Author.BOT
    if view.is_owner(message.from_user):
        return Author.SELF_AS_OWNER if via_us(view, message) else Author.OWNER
    return Author.BOT if message.from_user and message.from_user.is_bot else Author.CONTACT


def via_us(view: Viewpoint, message: Message) -> bool:
    """True for a draft of ours that the owner posted through inline mode."""
    return message.via_bot is not None and message.via_bot.id == view.bot_id


def is_passed_on(view: Viewpoint, message: Message) -> bool:
    """True for words that are not the sender's own: forwarded, or posted through another bot's inline mode."""
    through_a_bot = message.via_bot is not None and not via_us(view, message)
    return message.forward_origin is not None or through_a_bot


def _counterpart(chat: Chat) -> Person:
    name = f"{chat.first_name or ''} {chat.last_name or ''}".strip() or chat.username or str(chat.id)
    return Person(id=str(chat.id), name=clean(name))


def deleted_messages(
    view: Viewpoint, update_id: int, deleted: BusinessMessagesDeleted, now: datetime
) -> MessagesDeleted:
    """Telegram does not say when it was; the update's number tells it from every other deletion."""
    return MessagesDeleted(
        key=f"delete:{deleted.chat.id}:{update_id}",
        chat=view.chat(str(deleted.chat.id)),
        at=now,
        message_ids=tuple(map(str, deleted.message_ids)),
    )


# ─── Edits and forwards, anywhere ────────────────────────────────────────────────────────────


def edited(update_id: int, original: MessageNew, message: Message) -> MessageEdited:
    """An edit, with the whole message. Two edits of one second are told apart by their updates' numbers."""
    at = message.edit_date or message.date
    return MessageEdited(
        key=f"edit:{original.chat.chat}:{original.message_id}:{int(at.timestamp())}:{update_id}",
        chat=original.chat,
        at=at,
        message_id=original.message_id,
        text=original.text,
        original=original,
    )


def forwarded_message(view: Viewpoint, message: Message) -> MessageNew:
    """What the owner forwarded to the bot, as its writer's own.

    Where Telegram tells who wrote it, it stands in the owner's chat with that person, so that what the
    owner copies from our draft and sends there by hand is known for a draft. Its id is none of that
    chat's, so it never meets a live message; it stands there from when the owner brought it, for a turn
    that began with its own date would hold all that was said since. Whose writer Telegram hides is a chat
    of its own: names identify no one, and what one stranger wrote is no answer to another.
    """
    origin = message.forward_origin
    user = origin.sender_user if isinstance(origin, MessageOriginUser) else None
    message_id = f"{FORWARDED}-{message.message_id}"
    sender = person_of(user) if user is not None else Person(id=message_id, name="Forwarded")
    return MessageNew(
        key=message_key(sender.id, message_id),
        chat=view.chat(sender.id),
        at=message.date,
        message_id=message_id,
        sender=sender,
        author=Author.CONTACT,
        text=text_of(message),
        attachments=attachments_of(message),
        chat_kind=ChatKind.DIRECT,
        chat_title=sender.name if user is not None else "Forwarded messages",
        members=(sender,) if user is not None else None,
        pointed_at=True,
    )


# ─── Parts ───────────────────────────────────────────────────────────────────────────────────


def message_key(chat: str, message_id: int | str) -> str:
    return f"message:{chat}:{message_id}"


def person_of(user: User | None) -> Person:
    if user is None:
        return Person(id="unknown", name="Somebody")
    return Person(id=str(user.id), name=clean(user.full_name or str(user.id)), is_bot=user.is_bot)


def text_of(message: Message) -> str:
    """The words of a message, or those under its picture."""
    if message.text:
        return clean(plain_text(message.text, message.entities))
    return clean(plain_text(message.caption or "", message.caption_entities))


def reply_to_of(message: Message) -> str | None:
    if message.reply_to_message is None or is_topic_start(message):
        return None
    return str(message.reply_to_message.message_id)


def is_topic_start(message: Message) -> bool:
    """In a topic, every message that answers none answers the note that opened the topic."""
    answered = message.reply_to_message
    return answered is not None and answered.forum_topic_created is not None
