"""The things of a small Discord: people, servers, channels and messages, as Discord's JSON tells them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from bots.discord.raw import Raw, part, parts

EPOCH = 1_420_070_400_000
MESSAGE_CONTENT = 1 << 15
EPHEMERAL = 1 << 6
GUILD, DM, GROUP_DM, THREAD = 0, 1, 3, 11
EVERYTHING_ALLOWED = str((1 << 50) - 1)
MOST_TEXT = 2000


class Failure(Exception):
    """What the API answers with."""

    def __init__(self, status: int, code: int = 0, text: str = "") -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(slots=True, kw_only=True)
class Channel:
    id: str
    type: int
    name: str = ""
    guild: str | None = None
    people: tuple[str, ...] = ()
    bot_sees: bool = True
    messages: dict[str, Raw] = field(default_factory=dict[str, Raw])


class World:
    """What there is, and how each thing looks on the wire."""

    def __init__(self) -> None:
        self.application, self.bot = "900000000000000001", "900000000000000002"
        self.owner = "100000000000000001"
        self.users: dict[str, Raw] = {}
        self.guilds: dict[str, str] = {}
        self.channels: dict[str, Channel] = {}
        self._ids = count(1)
        self.add_user(self.bot, "Locum", is_bot=True)
        self.add_user(self.owner, "Mara")

    def new_id(self) -> str:
        milliseconds = int(datetime.now(UTC).timestamp() * 1000) - EPOCH
        return str((milliseconds << 22) + next(self._ids))

    def add_user(self, user_id: str, name: str, *, is_bot: bool = False) -> str:
        self.users[user_id] = {"id": user_id, "username": name.lower(), "global_name": name,
                               "discriminator": "0", "avatar": None, "bot": is_bot}  # fmt: skip
        return user_id

    def add_guild(self, name: str) -> str:
        guild = self.new_id()
        self.guilds[guild] = name
        return guild

    def add_channel(
        self, name: str, guild: str, *, bot_sees: bool = True, thread_of: str | None = None
    ) -> str:
        channel = Channel(id=self.new_id(), type=THREAD if thread_of else GUILD, name=name, guild=guild)
        channel.bot_sees = bot_sees
        self.channels[channel.id] = channel
        return channel.id

    def dm_with_bot(self, user: str) -> str:
        for channel in self.channels.values():
            if channel.type == DM and set(channel.people) == {user, self.bot}:
                return channel.id
        return self._private(DM, (user, self.bot), bot_sees=True)

    def dm_between(self, *people: str) -> str:
        """A conversation that the bot never sees: only its user's commands reach into it."""
        return self._private(DM if len(people) == 2 else GROUP_DM, people, bot_sees=False)  # noqa: PLR2004 -- two are a direct chat

    def _private(self, kind: int, people: tuple[str, ...], *, bot_sees: bool) -> str:
        channel = Channel(id=self.new_id(), type=kind, people=people, bot_sees=bot_sees)
        self.channels[channel.id] = channel
        return channel.id

    def standing_in(self, channel: str, *, by: str | None = None) -> list[Raw]:
        """The messages that people see in a channel, oldest first."""
        messages = self.channels[channel].messages.values()
        return [m for m in messages if by is None or m["author"]["id"] == by]

    def _shown(self, message: Raw, intents: int = MESSAGE_CONTENT) -> Raw:
        """A message as this session may see it: without the content intent, often without its words."""
        shown = {key: value for key, value in message.items() if not key.startswith("_")}
        if "content" not in shown or intents & MESSAGE_CONTENT:
            return shown
        mentions = {user["id"] for user in parts(shown, "mentions")}
        mine = shown["author"]["id"] == self.bot or self.bot in mentions
        if mine or self.channels[shown["channel_id"]].guild is None:
            return shown
        return shown | {"content": "", "attachments": [], "embeds": [], "components": []}

    def _guilds_of_bot(self) -> list[str]:
        seen = {channel.guild for channel in self.channels.values() if channel.bot_sees}
        return [guild for guild in self.guilds if guild in seen]

    def _guild(self, guild: str) -> Raw:
        channels = [c for c in self.channels.values() if c.guild == guild and c.bot_sees]
        everyone = {"id": guild, "name": "@everyone", "permissions": EVERYTHING_ALLOWED, "position": 0,
                    "color": 0, "hoist": False, "managed": False, "mentionable": False, "flags": 0}  # fmt: skip
        me: Raw = {"user": self.users[self.bot], "roles": [], "joined_at": "2020-01-01T00:00:00+00:00",
              "deaf": False, "mute": False, "flags": 0}  # fmt: skip
        return {"id": guild, "name": self.guilds[guild], "owner_id": self.owner, "roles": [everyone],
                "emojis": [], "stickers": [], "features": [], "members": [me], "presences": [],
                "channels": [self._channel(c) for c in channels if c.type != THREAD],
                "threads": [self._channel(c) for c in channels if c.type == THREAD],
                "voice_states": [], "stage_instances": [], "guild_scheduled_events": [],
                "soundboard_sounds": [], "member_count": 2, "large": False, "unavailable": False,
                "joined_at": "2020-01-01T00:00:00+00:00", "verification_level": 0, "nsfw_level": 0,
                "default_message_notifications": 0, "explicit_content_filter": 0, "mfa_level": 0,
                "afk_timeout": 300, "system_channel_flags": 0, "premium_tier": 0,
                "preferred_locale": "en-GB"}  # fmt: skip

    def _channel(self, channel: Channel) -> Raw:
        known: Raw = {"id": channel.id, "type": channel.type, "flags": 0}
        if channel.guild is None:
            others = [self.users[user] for user in channel.people if user != self.bot]
            return known | {"recipients": others, "last_message_id": None}
        known |= {"guild_id": channel.guild, "name": channel.name, "position": 0, "parent_id": None,
                  "permission_overwrites": []}  # fmt: skip
        if channel.type == THREAD:
            parent = next(
                c.id for c in self.channels.values() if c.type == GUILD and c.guild == channel.guild
            )
            known |= {"parent_id": parent, "owner_id": self.owner, "message_count": 0, "member_count": 1,
                      "thread_metadata": {"archived": False, "auto_archive_duration": 60, "locked": False,
                                          "archive_timestamp": "2020-01-01T00:00:00+00:00"}}  # fmt: skip
        return known

    def _message(self, channel: str, user: str, given: Raw) -> Raw:
        text = str(given.get("content") or "")
        mentioned = [self.users[user_id] for user_id in self.users if f"<@{user_id}>" in text]
        message: Raw = {
            "id": self.new_id(), "channel_id": channel, "author": self.users[user], "content": text,
            "timestamp": datetime.now(UTC).isoformat(), "edited_timestamp": None, "tts": False,
            "mention_everyone": False, "mentions": mentioned, "mention_roles": [], "attachments": [],
            "embeds": [], "pinned": False, "type": 0, "components": [], "flags": 0,
        }  # fmt: skip
        known = {"attachments", "sticker_items", "message_reference", "message_snapshots", "flags", "type",
                 "components", "timestamp", "webhook_id"}  # fmt: skip
        message |= {key: value for key, value in given.items() if key in known}
        reference = part(given, "message_reference").get("message_id")
        if reference and "message_snapshots" not in given:
            message["type"] = 19
            message["referenced_message"] = self.channels[channel].messages.get(str(reference))
        return message


def check_message(message: Raw) -> None:
    """Discord's own limits, so that what it would refuse is refused here."""
    rows = parts(message, "components")
    ids = [str(button.get("custom_id", "")) for row in rows for button in parts(row, "components")]
    labels = [str(button.get("label", "")) for row in rows for button in parts(row, "components")]
    faults = {
        "content is too long": len(str(message.get("content") or "")) > MOST_TEXT,
        "the message is empty": not (
            message.get("content") or message.get("attachments") or message.get("flags")
        ),
        "the nonce is too long": len(str(message.get("nonce") or "")) > 25,  # noqa: PLR2004 -- Discord's limit
        "too many buttons": len(rows) > 5 or any(len(row["components"]) > 5 for row in rows),  # noqa: PLR2004 -- Discord's limit
        "custom ids are not short and unique": len(set(ids)) < len(ids)
        or any(not 0 < len(i) <= 100 for i in ids),  # noqa: PLR2004 -- Discord's limit
        "a label is too long": any(len(label) > 80 for label in labels),  # noqa: PLR2004 -- Discord's limit
        "mentions are allowed": bool(part(message, "allowed_mentions").get("parse")),
    }
    for text, broken in faults.items():
        if broken:
            raise Failure(400, 50035, f"Invalid Form Body: {text}")


def check_modal(modal: Raw) -> None:
    field_ = modal["components"][0]["components"][0]
    if len(modal["title"]) > 45 or len(field_["label"]) > 45 or len(field_.get("value", "")) > 4000:  # noqa: PLR2004 -- Discord's limits
        raise Failure(400, 50035, "Invalid Form Body: the form is too large")
