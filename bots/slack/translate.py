"""Slack's events in core's words. Pure: who and where was looked up before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from bots.slack.directory import Conversation
from bots.slack.web import Json
from core.events import (
    Author,
    ChatRef,
    Event,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Person,
    Reaction,
)
from core.history.slack import KEPT, TOKEN, attachment_of, decode, markup_of, time_of
from core.storage.plain_text import clean

PLATFORM = "slack"
OUR_MARK = "locum"
"""The metadata's `event_type` of what we post."""
SLACKBOT = "USLACKBOT"
LONGEST_EMOJI = 64


def never(channel: str, stamp: str) -> bool:
    del channel, stamp
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Us:
    """Who we are in this workspace."""

    team: str
    owner_id: str
    bot_user_id: str
    app_id: str = ""
    sent: Callable[[str, str], bool] = never
    """Whether a message was sent by us in this life, by channel and `ts`."""

    def chat(self, channel: str, thread: str | None = None) -> ChatRef:
        return ChatRef(platform=PLATFORM, account=self.team, chat=channel, thread=thread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who and where, for one event."""

    us: Us
    conversation: Conversation
    people: Mapping[str, Person] = field(default_factory=dict[str, Person])
    channels: Mapping[str, str] = field(default_factory=dict[str, str])

    def person(self, user: str) -> Person:
        return self.people.get(user) or Person(id=user, name=user)


def mentioned_in(raw: Json) -> list[str]:
    """The ids of those whom a message calls by name."""
    return [body for sigil, body, _ in TOKEN.findall(markup_of(raw)) if sigil == "@"]


def users_in(raw: Json) -> list[str]:
    """Everybody whose name the event's words need."""
    found = [str(raw[key]) for key in ("user", "parent_user_id") if raw.get(key)]
    for part in (raw, raw.get("message")):
        if isinstance(part, dict):
            message = cast("Json", part)
            found += [str(message["user"])] if message.get("user") else []
            found += mentioned_in(message)
    return found


def channels_in(raw: Json) -> list[str]:
    message = raw.get("message")
    parts = [raw, cast("Json", message)] if isinstance(message, dict) else [raw]
    return [
        body
        for part in parts
        for sigil, body, label in TOKEN.findall(markup_of(part))
        if sigil == "#" and not label
    ]


def translate(event: Json, scene: Scene) -> list[Event]:
    """What the event means to core; nothing for joins, unfurls and Slack's own notes."""
    match event.get("type"), event.get("subtype"):
        case "message", "message_changed":
            return _changed(event, scene)
        case "message", "message_deleted":
            return [_deleted(event, str(event["deleted_ts"]), event.get("previous_message"), scene)]
        case "message", _:
            message = message_new(event, scene)
            return [message] if message is not None else []
        case "reaction_added" | "reaction_removed", _:
            return [_reaction(event, scene)]
        case _:
            return []


# ─── Messages ────────────────────────────────────────────────────────────────────────────────


def message_key(channel: str, stamp: str) -> str:
    return f"message:{channel}:{stamp}"


def message_new(
    raw: Json, scene: Scene, *, backfilled: bool = False, pointed_at: bool = False, key: str = ""
) -> MessageNew | None:
    """The message as core knows it, read live, from history or from a shortcut alike; None for what is none."""
    if raw.get("subtype") not in KEPT | {"bot_message"} or raw.get("type", "message") != "message":
        return None
    stamp, channel = str(raw["ts"]), scene.conversation.id
    text, attachments = text_of(raw, scene), tuple(attachment_of(file) for file in parts_in(raw, "files"))
    if not text and not attachments:
        return None
    sender, author = _sender(raw, scene)
    return MessageNew(
        key=key or message_key(channel, stamp),
        chat=scene.us.chat(channel, _thread(raw)),
        at=time_of(stamp),
        message_id=stamp,
        sender=sender,
        author=author,
        text=text,
        reply_to=_root(raw),
        mentions_owner=scene.us.owner_id in mentioned_in(raw),
        attachments=attachments,
        automatic=author is Author.OWNER and bool(raw.get("bot_id")),
        backfilled=backfilled,
        chat_kind=scene.conversation.kind,
        chat_title=scene.conversation.title,
        members=scene.conversation.members,
        external=scene.conversation.external,
        pointed_at=pointed_at,
    )


def text_of(raw: Json, scene: Scene) -> str:
    """The words as plain text; of a bot's message that has only attachments, what they say in short."""
    markup = markup_of(raw)
    if not markup and raw.get("bot_id"):
        markup = "\n".join(_fallbacks(raw))
    return clean(
        decode(
            markup,
            person=lambda user: scene.person(user).name,
            channel=lambda channel: scene.channels.get(channel, channel),
        )
    )


def _fallbacks(raw: Json) -> list[str]:
    return [str(part.get("text") or part.get("fallback") or "") for part in parts_in(raw, "attachments")]


def parts_in(raw: Json, field: str) -> list[Json]:
    """The objects of a list, where the message has that list."""
    given: object = raw.get(field)
    found = cast("list[object]", given) if isinstance(given, list) else []
    return [cast("Json", part) for part in found if isinstance(part, dict)]


def _thread(raw: Json) -> str | None:
    """As the importer stores it: a root that has replies is of its own thread."""
    return str(raw["thread_ts"]) if raw.get("thread_ts") else None


def _root(raw: Json) -> str | None:
    thread = _thread(raw)
    return thread if thread != str(raw.get("ts")) else None


def _sender(raw: Json, scene: Scene) -> tuple[Person, Author]:
    us, user = scene.us, str(raw.get("user") or "")
    if user == us.bot_user_id:
        return Person(id=user, name="Locum", is_bot=True), Author.SELF_AS_BOT
    if user == us.owner_id:
        ours = _is_ours(raw, scene)
        return scene.person(user), Author.SELF_AS_OWNER if ours else Author.OWNER
    person = scene.person(user) if user else _bot(raw)
    if raw.get("bot_id") or raw.get("subtype") == "bot_message" or user == SLACKBOT or person.is_bot:
        return Person(id=person.id, name=person.name, is_bot=True), Author.BOT
    return person, Author.CONTACT


def _is_ours(raw: Json, scene: Scene) -> bool:
    """Sent by this process, or marked by an earlier one."""
    return scene.us.sent(scene.conversation.id, str(raw["ts"])) or is_marked(raw, scene.us)


def is_marked(raw: Json, us: Us) -> bool:
    """Whether a message in the owner's name bears our mark: only our app posts with our app's id."""
    profile = cast("Json", raw.get("bot_profile") or {})
    metadata = cast("Json", raw.get("metadata") or {})
    app = str(raw.get("app_id") or profile.get("app_id") or "")
    return metadata.get("event_type") == OUR_MARK or (bool(app) and app == us.app_id)


def _bot(raw: Json) -> Person:
    profile = cast("Json", raw.get("bot_profile") or {})
    bot_id = str(raw.get("bot_id") or "bot")
    return Person(
        id=bot_id, name=clean(str(raw.get("username") or profile.get("name") or bot_id)), is_bot=True
    )


# ─── Edits, deletions, reactions ─────────────────────────────────────────────────────────────


def edit_of(raw: Json, scene: Scene, *, at: str) -> MessageEdited:
    """The message with its new words. `at` is the edit's own `ts`, in the key: read again, it is the same edit."""
    stamp, channel = str(raw["ts"]), scene.conversation.id
    return MessageEdited(
        key=f"edit:{channel}:{stamp}:{at}",
        chat=scene.us.chat(channel, _thread(raw)),
        at=time_of(at),
        message_id=stamp,
        text=text_of(raw, scene),
        original=message_new(raw, scene),
    )


def _changed(event: Json, scene: Scene) -> list[Event]:
    """An edit; a root whose replies stay behind it is deleted this way; unfurls change no word."""
    message = cast("Json", event["message"])
    before = event.get("previous_message")
    if message.get("subtype") == "tombstone":
        return [_deleted(event, str(message["ts"]), before, scene)]
    if message.get("subtype") not in KEPT | {"bot_message"}:
        return []
    if isinstance(before, dict) and markup_of(cast("Json", before)) == markup_of(message):
        return []
    edited = cast("Json", message.get("edited") or {})
    return [edit_of(message, scene, at=str(edited.get("ts") or event["event_ts"]))]


def _deleted(event: Json, stamp: str, before: object, scene: Scene) -> MessagesDeleted:
    channel = scene.conversation.id
    thread = _thread(cast("Json", before)) if isinstance(before, dict) else None
    return MessagesDeleted(
        key=f"delete:{channel}:{stamp}",
        chat=scene.us.chat(channel, thread),
        at=when(event),
        message_ids=(stamp,),
    )


def _reaction(event: Json, scene: Scene) -> Reaction:
    item = cast("Json", event["item"])
    user, added = str(event["user"]), event["type"] == "reaction_added"
    stamp, emoji = str(item["ts"]), str(event["reaction"])[:LONGEST_EMOJI]
    # A reaction that we put there is remembered by its message and its name.
    sender, author = _sender({"user": user, "ts": f"{stamp}:{emoji}"}, scene)
    return Reaction(
        key=f"reaction:{scene.conversation.id}:{stamp}:{user}:{emoji}:{event['event_ts']}:{'+' if added else '-'}",
        chat=scene.us.chat(scene.conversation.id),
        at=when(event),
        message_id=stamp,
        sender=sender,
        author=author,
        emoji=emoji,
        added=added,
    )


def when(event: Json) -> datetime:
    return time_of(str(event.get("event_ts") or event["ts"]))


def channel_of(event: Json) -> str:
    """The chat that an event is about; empty where it is about none."""
    item: Any = event.get("item")
    found = event.get("channel") or (cast("Json", item).get("channel") if isinstance(item, dict) else "")
    return str(cast("Json", found).get("id") if isinstance(found, dict) else found or "")
