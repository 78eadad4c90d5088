"""Groups that the bot is in as itself: what is said there, how it is taken, and what we may do."""

from collections.abc import Iterator

from telegram import (
    Chat,
    ChatMember,
    ChatMemberRestricted,
    ChatMemberUpdated,
    Message,
    MessageEntity,
    MessageReactionUpdated,
    ReactionType,
    ReactionTypeCustomEmoji,
    ReactionTypeEmoji,
    User,
)

from bots.telegram.attachments import attachments_of, is_service
from bots.telegram.plain import entity_text
from bots.telegram.translate import (
    Viewpoint,
    is_passed_on,
    is_topic_start,
    message_key,
    person_of,
    reply_to_of,
    text_of,
    via_us,
)
from core.events import AccessChanged, Author, ChatRef, MessageNew, Person, Reaction
from core.storage.plain_text import clean
from core.vocabulary import ChatKind


def group_message(view: Viewpoint, message: Message) -> MessageNew | None:
    """A message of a group that the bot is in; None for what Telegram itself notes there."""
    if is_service(message):
        return None
    return MessageNew(
        key=message_key(str(message.chat.id), message.message_id),
        chat=group_chat(view, message),
        at=message.date,
        message_id=str(message.message_id),
        sender=group_sender(message),
        author=group_author(view, message),
        text=text_of(message),
        reply_to=reply_to_of(message),
        mentions_owner=mentions_owner(view, message),
        attachments=attachments_of(message),
        automatic=bool(message.is_automatic_forward),
        forwarded=is_passed_on(view, message),
        chat_kind=kind_of(message.chat),
        chat_title=clean(message.chat.title or ""),
    )


def group_chat(view: Viewpoint, message: Message) -> ChatRef:
    thread = message.message_thread_id if message.is_topic_message else None
    return view.chat(str(message.chat.id), None if thread is None else str(thread))


def kind_of(chat: Chat) -> ChatKind:
    """A group that has a public name can be read by anyone."""
    return ChatKind.PUBLIC if chat.username else ChatKind.GROUP


def group_author(view: Viewpoint, message: Message) -> Author:
    if message.sender_chat is not None:
        return Author.CONTACT
    if message.from_user is not None and message.from_user.id == view.bot_id:
        return Author.SELF_AS_BOT
    if view.is_owner(message.from_user):
        return Author.SELF_AS_OWNER if via_us(view, message) else Author.OWNER
    return Author.BOT if message.from_user and message.from_user.is_bot else Author.CONTACT


def group_sender(message: Message) -> Person:
    """Who wrote it; an anonymous administrator and a channel write in a chat's name."""
    if (chat := message.sender_chat) is not None:
        return Person(id=str(chat.id), name=clean(chat.title or chat.username or str(chat.id)))
    return person_of(message.from_user)


def mentions_owner(view: Viewpoint, message: Message) -> bool:
    """True if the owner is named or answered, or the bot that stands in for them."""
    named = any(
        _names_owner(view, message, entity) for entity in message.entities or message.caption_entities
    )
    answered = message.reply_to_message
    if named or answered is None or answered.from_user is None or is_topic_start(message):
        return named
    return view.is_owner(answered.from_user) or answered.from_user.id == view.bot_id


def _names_owner(view: Viewpoint, message: Message, entity: MessageEntity) -> bool:
    if entity.type == MessageEntity.TEXT_MENTION:
        return view.is_owner(entity.user)
    if entity.type != MessageEntity.MENTION:
        return False
    name = entity_text(message.text or message.caption or "", entity).lstrip("@").lower()
    return name != "" and name in (view.owner_username.lower(), view.bot_username.lower())


def group_access(view: Viewpoint, update_id: int, changed: ChatMemberUpdated) -> AccessChanged:
    """What the bot may do in a group since somebody let it in, restricted it, or threw it out."""
    member = changed.new_chat_member
    inside = member.status in (ChatMember.OWNER, ChatMember.ADMINISTRATOR, ChatMember.MEMBER)
    can_read = can_send = inside
    if isinstance(member, ChatMemberRestricted):
        can_read, can_send = member.is_member, member.is_member and member.can_send_messages
    return AccessChanged(
        key=f"access:{changed.chat.id}:{update_id}",
        chat=view.chat(str(changed.chat.id)),
        at=changed.date,
        can_read=can_read,
        can_send=can_send,
        detail="" if can_send else "The bot may not write in this group.",
    )


def reactions(view: Viewpoint, update_id: int, changed: MessageReactionUpdated) -> Iterator[Reaction]:
    """What was taken off a message, then what was put on it."""
    old = [_emoji(one) for one in changed.old_reaction]
    new = [_emoji(one) for one in changed.new_reaction]
    removed = [(emoji, False) for emoji in old if emoji not in new]
    for emoji, added in removed + [(emoji, True) for emoji in new if emoji not in old]:
        sender = _reactor(changed)
        sign = "+" if added else "-"
        yield Reaction(
            key=f"reaction:{changed.chat.id}:{changed.message_id}:{sender.id}:{sign}{emoji}:{update_id}",
            chat=view.chat(str(changed.chat.id)),
            at=changed.date,
            message_id=str(changed.message_id),
            sender=sender,
            author=_reaction_author(view, changed.user),
            emoji=emoji,
            added=added,
        )


def _reaction_author(view: Viewpoint, user: User | None) -> Author:
    if view.is_owner(user):
        return Author.OWNER
    return Author.BOT if user is not None and user.is_bot else Author.CONTACT


def _reactor(changed: MessageReactionUpdated) -> Person:
    if changed.user is None and (chat := changed.actor_chat) is not None:
        return Person(id=str(chat.id), name=clean(chat.title or str(chat.id)))
    return person_of(changed.user)


def _emoji(reaction: ReactionType) -> str:
    if isinstance(reaction, ReactionTypeEmoji):
        return reaction.emoji
    return f"custom:{reaction.custom_emoji_id}" if isinstance(reaction, ReactionTypeCustomEmoji) else "⭐"
