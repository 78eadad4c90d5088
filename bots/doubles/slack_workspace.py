"""What stands in a Slack workspace: people, chats, messages, windows, files, and who sees what."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

Json = dict[str, Any]
Kind = Literal["im", "mpim", "group", "channel"]

TEAM = "T0TEAM"
APP = "A0LOCUM"
OWNER = "U0OWNER"
BOT_USER = "U0LOCUM"
BOT_ID = "B0LOCUM"

OWNER_TOKEN = "xoxp-owner"  # noqa: S105 -- opens nothing but the double
BOT_TOKEN = "xoxb-locum"  # noqa: S105 -- as above
APP_TOKEN = "xapp-locum"  # noqa: S105 -- as above
SIGNING_SECRET = "5igning-5ecret"  # noqa: S105 -- as above


@dataclass(slots=True, kw_only=True)
class User:
    id: str
    name: str
    is_bot: bool = False

    def told(self) -> Json:
        return {
            "id": self.id,
            "team_id": TEAM,
            "name": self.name.lower(),
            "is_bot": self.is_bot,
            "profile": {"display_name": self.name, "real_name": self.name},
        }


@dataclass(slots=True, kw_only=True)
class Channel:
    id: str
    kind: Kind
    name: str
    members: list[str]
    external: bool = False
    archived: bool = False
    created: int = 0
    """Unix seconds."""
    messages: dict[str, Json] = field(default_factory=dict[str, Json])
    """By `ts`: every message that stands there now, replies too."""

    def told(self, asker: str) -> Json:
        other = next((member for member in self.members if member != asker), asker)
        return {
            "id": self.id,
            "is_im": self.kind == "im",
            "is_mpim": self.kind == "mpim",
            "is_channel": self.kind == "channel",
            "is_private": self.kind != "channel",
            "is_ext_shared": self.external,
            "is_archived": self.archived,
            "created": self.created,
            **({"user": other} if self.kind == "im" else {"name": self.name}),
        }

    def roots(self) -> Iterator[Json]:
        """What the channel's own history shows: no replies but broadcast ones."""
        for message in self.messages.values():
            thread = message.get("thread_ts")
            if thread in (None, message["ts"]) or message.get("subtype") == "thread_broadcast":
                yield message

    def replies(self, root: str) -> Iterator[Json]:
        for message in self.messages.values():
            if message["ts"] == root or message.get("thread_ts") == root:
                yield message

    def note_reply(self, root: str) -> None:
        """A root tells how many replies it has, and when the latest came."""
        stamps = [message["ts"] for message in self.replies(root) if message["ts"] != root]
        if root in self.messages and stamps:
            self.messages[root] |= {
                "thread_ts": root,
                "reply_count": len(stamps),
                "latest_reply": max(stamps),
            }


class Workspace:
    """One workspace with one owner, and our app in it."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.views: dict[str, Json] = {}
        """Open windows, by id."""
        self.homes: dict[str, Json] = {}
        """Published home pages, by user."""
        self.files: dict[str, bytes] = {}
        self.tokens: dict[str, str] = {OWNER_TOKEN: OWNER, BOT_TOKEN: BOT_USER}
        self.scopes: dict[str, set[str]] = {}
        """What each token may do; a token that is not named may do everything."""
        self.triggers: set[str] = set()
        """Those that still open a window."""
        self._count = itertools.count(1)
        self._last = 0
        self.add_user(OWNER, "Mara")
        self.add_user(BOT_USER, "Locum", is_bot=True)

    def number(self) -> int:
        return next(self._count)

    def stamp(self) -> str:
        """A new `ts`: later than every one before."""
        self._last = max(self._last + 1, int(time.time() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def add_user(self, user_id: str, name: str, *, is_bot: bool = False) -> User:
        user = User(id=user_id, name=name, is_bot=is_bot)
        self.users[user_id] = user
        return user

    def add_channel(
        self, channel_id: str, kind: Kind, members: list[str], *, name: str = "", external: bool = False
    ) -> Channel:
        channel = Channel(
            id=channel_id,
            kind=kind,
            name=name or channel_id.lower(),
            members=members,
            external=external,
            created=int(time.time()),
        )
        self.channels[channel_id] = channel
        return channel

    def direct(self, one: str, other: str) -> Channel:
        """The direct messages of two; made at first use."""
        for channel in self.channels.values():
            if channel.kind == "im" and set(channel.members) == {one, other}:
                return channel
        return self.add_channel(f"D{self.number():04d}", "im", [one, other])

    def sees(self, user: str, channel: str) -> bool:
        found = self.channels.get(channel)
        return found is not None and (user in found.members or (found.kind == "channel" and user != BOT_USER))

    def put(self, channel: Channel, message: Json) -> Json:
        channel.messages[str(message["ts"])] = message
        if (root := message.get("thread_ts")) and root != message["ts"]:
            channel.note_reply(str(root))
        return message

    def app_channel(self) -> Channel:
        return self.direct(OWNER, BOT_USER)


def unescaped(text: str) -> str:
    """Plain text as people see it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def actions_on(message: Json) -> list[Json]:
    """The buttons and menus of a message, a window or a home page."""
    blocks = cast("list[Json]", message.get("blocks") or [])
    found = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    return found + [block["accessory"] for block in blocks if "accessory" in block]
