"""Discord's JSON as core's events: pure, so that live events, replays and history read the same.

Keys come from what Discord itself numbers: messages and edits from their ids and times, so that history
gives the key that the gateway gave. A reaction has neither, so its place in the session is its key.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from bots.discord.places import Place, person_of
from bots.discord.raw import Raw, part, parts
from core.events import (
    AccessChanged,
    Attachment,
    Author,
    ChatRef,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Reaction,
)
from core.storage.plain_text import clean

WRITTEN = frozenset({0, 19})
"""Types of messages that somebody wrote: plain ones and replies. The others are Discord's own notices, and
answers of apps to commands; importers skip the same."""

VOICE_MESSAGE = 1 << 13
MENTION = re.compile(r"<@!?(\d+)>")
EMOJI = re.compile(r"<a?(:\w{1,64}:)\d+>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Who is who for one account."""

    owner: str
    bot: str
    application: str

    def author_of(self, raw: Raw) -> Author:
        user = part(raw, "author")
        if str(user["id"]) == self.bot or str(raw.get("application_id") or "") == self.application:
            return Author.SELF_AS_BOT
        if raw.get("webhook_id") or user.get("bot"):
            return Author.BOT
        return Author.OWNER if str(user["id"]) == self.owner else Author.CONTACT


def message_new(
    raw: Raw,
    place: Place,
    who: Identities,
    *,
    key: str = "",
    backfilled: bool = False,
    pointed_at: bool = False,
    transcripts: tuple[str, ...] = (),
) -> MessageNew | None:
    """The message; None for what nobody wrote, and for what came without words and attachments.

    Without the content intent, what is said in servers comes so, unless it mentions the bot.
    """
    if raw.get("type", 0) not in WRITTEN:
        return None
    text, attachments = text_of(raw), attachments_of(raw, transcripts)
    if not text and not attachments:
        return None
    return MessageNew(
        key=key or f"message:{place.chat.chat}:{raw['id']}",
        chat=place.chat,
        at=time_of(str(raw["timestamp"])),
        message_id=str(raw["id"]),
        sender=person_of(raw["author"], part(raw, "member").get("nick")),
        author=who.author_of(raw),
        text=text,
        reply_to=_reply_to(raw),
        mentions_owner=_mentions(raw, who.owner),
        attachments=attachments,
        backfilled=backfilled,
        chat_kind=place.kind,
        chat_title=place.title,
        members=place.members,
        pointed_at=pointed_at,
        forwarded=bool(_forwarded(raw)),
    )


def message_edited(
    raw: Raw, place: Place, who: Identities, *, backfilled: bool = False
) -> MessageEdited | None:
    """An edit of the words; None for updates that Discord makes itself: previews, pins, thread notes."""
    if not raw.get("edited_timestamp") or "author" not in raw:
        return None
    at = time_of(str(raw["edited_timestamp"]))
    original = message_new(raw, place, who, backfilled=backfilled)
    if original is None:
        return None
    return MessageEdited(
        key=f"edit:{place.chat.chat}:{raw['id']}:{at.isoformat()}",
        chat=place.chat,
        at=at,
        message_id=str(raw["id"]),
        text=original.text,
        original=original,
    )


def messages_deleted(raw: Raw, chat: ChatRef, now: datetime) -> MessagesDeleted:
    """One deletion, or many at once."""
    ids = tuple(sorted(str(given) for given in raw.get("ids") or (raw["id"],)))
    several = hashlib.sha256(" ".join(ids).encode()).hexdigest()[:24]
    return MessagesDeleted(
        key=f"delete:{chat.chat}:{ids[0] if len(ids) == 1 else several}",
        chat=chat,
        at=now,
        message_ids=ids,
    )


def reaction(
    raw: Raw, chat: ChatRef, who: Identities, now: datetime, *, added: bool, where: str
) -> Reaction | None:
    """An emoji put or taken; `where` it came in the session tells it from the same one later."""
    name = part(raw, "emoji").get("name")
    if not name:  # a server's own emoji that was deleted meanwhile
        return None
    user = str(raw["user_id"])
    known = part(part(raw, "member"), "user") or {"id": user}
    sender = person_of(known, part(raw, "member").get("nick"))
    return Reaction(
        key=f"reaction:{chat.chat}:{raw['message_id']}:{user}:{where}",
        chat=chat,
        at=now,
        message_id=str(raw["message_id"]),
        sender=sender,
        author=who.author_of({"author": known}),
        emoji=clean(str(name))[:64],
        added=added,
    )


def channel_gone(chat: ChatRef, now: datetime, where: str) -> AccessChanged:
    """The channel was deleted, or the bot was sent away."""
    return AccessChanged(
        key=f"access:{chat.chat}:{where}",
        chat=chat,
        at=now,
        can_read=False,
        can_send=False,
        detail="the channel is gone, or the bot is no longer in it",
    )


def channel_back(chat: ChatRef, now: datetime, where: str) -> AccessChanged:
    """The bot was let in."""
    return AccessChanged(key=f"access:{chat.chat}:{where}", chat=chat, at=now, can_read=True, can_send=True)


def text_of(raw: Raw) -> str:
    """The words; of a forward, those of the message that was forwarded. Names stand where ids were."""
    said = [source["content"] for source in (raw, *_forwarded(raw)) if source.get("content")]
    text = str(said[0]) if said else ""
    names = {str(user["id"]): person_of(user).name for user in parts(raw, "mentions")}
    text = MENTION.sub(lambda match: f"@{names.get(match[1], match[1])}", text)
    return clean(EMOJI.sub(r"\1", text))


def attachments_of(raw: Raw, transcripts: tuple[str, ...] = ()) -> tuple[Attachment, ...]:
    sources = [raw, *_forwarded(raw)]
    files = [(source, item) for source in sources for item in parts(source, "attachments")]
    heard = dict(enumerate(transcripts))
    return (
        *(_file(source, item, heard.get(number, "")) for number, (source, item) in enumerate(files)),
        *(
            Attachment(kind="sticker", caption=clean(str(item.get("name") or "")))
            for source in sources
            for item in parts(source, "sticker_items")
        ),
    )


def voices_of(raw: Raw) -> tuple[Raw, ...]:
    """The recordings of a voice message; nothing of any other message."""
    return tuple(parts(raw, "attachments")) if int(raw.get("flags") or 0) & VOICE_MESSAGE else ()


def _file(source: Raw, item: Raw, transcript: str) -> Attachment:
    media_type = str(item.get("content_type") or "").partition(";")[0]
    family = media_type.partition("/")[0]
    voice = bool(int(source.get("flags") or 0) & VOICE_MESSAGE)
    size: object = item.get("size")
    return Attachment(
        kind="voice" if voice else family if family in {"image", "video", "audio"} else "file",
        name=clean(str(item.get("filename") or "")),
        caption=clean(str(item.get("description") or "")),
        transcript=clean(transcript),
        media_type=media_type,
        size_bytes=size if isinstance(size, int) else None,
        reference=str(item.get("id") or ""),
    )


def time_of(written: str) -> datetime:
    at = datetime.fromisoformat(written)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _forwarded(raw: Raw) -> list[Raw]:
    """What a forward carries; it does not tell who wrote it."""
    return [part(snapshot, "message") for snapshot in parts(raw, "message_snapshots")]


def _reply_to(raw: Raw) -> str | None:
    replied = part(raw, "message_reference").get("message_id")
    return str(replied) if replied and raw.get("type") == 19 else None  # noqa: PLR2004 -- a reply; a forward has a reference too


def _mentions(raw: Raw, owner: str) -> bool:
    """By name, or by an answer to what the owner wrote."""
    replied = part(part(raw, "referenced_message"), "author")
    named = {str(user["id"]) for user in parts(raw, "mentions")}
    return owner in named or str(replied.get("id") or "") == owner
