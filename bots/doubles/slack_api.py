"""The Web API of the double: what our bot calls, checked as Slack checks it, with faults on request."""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bots.doubles.slack_workspace import (
    APP,
    APP_TOKEN,
    BOT_ID,
    BOT_USER,
    TEAM,
    Channel,
    Json,
    Workspace,
)

LONGEST_TEXT = 40_000
MOST_BLOCKS = 50


class ApiError(Exception):
    """`{"ok": false, "error": …}`."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next call of a method. `taken`: the call is carried out all the same."""

    kind: Literal["ratelimited", "error", "status", "drop", "slow", "late"]
    """`late`: carried out, and answered well after so many seconds; needs `taken`."""
    taken: bool = False
    seconds: float = 0.0
    code: str = ""
    status: int = 500


Emit = Callable[[Channel, Json], Awaitable[None]]
Method = Callable[[str, Json], Awaitable[Json]]

SCOPES: dict[str, str] = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "conversations.info": "{kind}:read",
    "conversations.members": "{kind}:read",
    "conversations.history": "{kind}:history",
    "conversations.replies": "{kind}:history",
    "conversations.open": "im:write",
    "users.info": "users:read",
    "users.list": "users:read",
    "bots.info": "users:read",
    "reactions.add": "reactions:write",
    "reactions.remove": "reactions:write",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
}
"""What a token must bear for a method; `{kind}` is the chat's. Methods that are not named need nothing."""

KINDS = {"im": "im", "mpim": "mpim", "group": "groups", "channel": "channels"}
LISTED = {"im": "im", "mpim": "mpim", "private_channel": "group", "public_channel": "channel"}


class SlackApi:
    """Methods by name. `calls` counts what was carried out; `asked` holds every call as it was made."""

    def __init__(self, workspace: Workspace, emit: Emit) -> None:
        self.workspace, self._emit = workspace, emit
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.asked: list[tuple[str, str, Json]] = []
        """Method, the token's user, and the arguments."""
        self.base_url = ""
        self.socket_url = ""
        self._methods: dict[str, Method] = {
            "api.test": self._api_test,
            "apps.connections.open": self._connections_open,
            "auth.test": self._auth_test,
            "bots.info": self._bots_info,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.info": self._info,
            "conversations.list": self._list,
            "conversations.members": self._members,
            "conversations.open": self._open,
            "conversations.replies": self._replies,
            "files.completeUploadExternal": self._complete_upload,
            "files.getUploadURLExternal": self._upload_url,
            "reactions.add": self._react,
            "reactions.remove": self._unreact,
            "users.info": self._user,
            "users.list": self._users,
            "views.open": self._open_view,
            "views.publish": self._publish,
            "views.update": self._update_view,
        }

    def count(self, method: str) -> int:
        """How often a method was asked for, failures too."""
        return sum(name == method for name, _, _ in self.asked)

    def user_of(self, method: str, token: str) -> str:
        """Raises `ApiError` for a token that opens nothing."""
        if method == "apps.connections.open":
            if token != APP_TOKEN or token not in {APP_TOKEN, *self.workspace.tokens} or not self.socket_url:
                raise ApiError("invalid_auth")
            return APP
        user = self.workspace.tokens.get(token)
        if user is None:
            raise ApiError("invalid_auth")
        return user

    def check_scope(self, method: str, token: str, given: Json) -> None:
        """Raises `ApiError` where the token may not do that there."""
        borne = self.workspace.scopes.get(token)
        channel = self.workspace.channels.get(str(given.get("channel")))
        wanted = (
            [SCOPES[method].format(kind=KINDS[channel.kind] if channel else "im")] if method in SCOPES else []
        )
        if method == "conversations.list":
            wanted = [f"{KINDS[LISTED[kind]]}:read" for kind in str(given["types"]).split(",")]
        if borne is not None and not borne.issuperset(wanted):
            raise ApiError("missing_scope")

    async def call(self, method: str, user: str, given: Json) -> Json:
        found = self._methods.get(method)
        if found is None:
            raise ApiError("unknown_method")
        return await found(user, given)

    # ─── who ─────────────────────────────────────────────────────────────────────────────────

    async def _api_test(self, user: str, given: Json) -> Json:
        del user, given
        return {}

    async def _connections_open(self, user: str, given: Json) -> Json:
        del user, given
        return {"url": self.socket_url}

    async def _auth_test(self, user: str, given: Json) -> Json:
        del given
        told = {
            "team": "The Office",
            "team_id": TEAM,
            "user": self.workspace.users[user].name,
            "user_id": user,
        }
        return told | ({"bot_id": BOT_ID} if user == BOT_USER else {})

    async def _bots_info(self, user: str, given: Json) -> Json:
        del user
        if given.get("bot") != BOT_ID:
            raise ApiError("bot_not_found")
        return {"bot": {"id": BOT_ID, "app_id": APP, "user_id": BOT_USER, "name": "Locum"}}

    async def _user(self, user: str, given: Json) -> Json:
        del user
        found = self.workspace.users.get(str(given["user"]))
        if found is None:
            raise ApiError("user_not_found")
        return {"user": found.told()}

    async def _users(self, user: str, given: Json) -> Json:
        del user
        return _page("members", [one.told() for one in self.workspace.users.values()], given)

    # ─── where ───────────────────────────────────────────────────────────────────────────────

    def _channel(self, user: str, channel_id: object) -> Channel:
        if not self.workspace.sees(user, str(channel_id)):
            raise ApiError("channel_not_found")
        return self.workspace.channels[str(channel_id)]

    async def _info(self, user: str, given: Json) -> Json:
        return {"channel": self._channel(user, given["channel"]).told(user)}

    async def _list(self, user: str, given: Json) -> Json:
        wanted = {LISTED[kind] for kind in str(given.get("types", "public_channel")).split(",")}
        found = [
            one for one in self.workspace.channels.values() if user in one.members and one.kind in wanted
        ]
        return _page("channels", [one.told(user) for one in found], given)

    async def _members(self, user: str, given: Json) -> Json:
        return _page("members", list(self._channel(user, given["channel"]).members), given)

    async def _open(self, user: str, given: Json) -> Json:
        other = str(given["users"])
        if other not in self.workspace.users:
            raise ApiError("user_not_found")
        return {"channel": {"id": self.workspace.direct(user, other).id}}

    async def _history(self, user: str, given: Json) -> Json:
        found = list(self._channel(user, given["channel"]).roots())
        return _window(sorted(found, key=lambda one: str(one["ts"]), reverse=True), given)

    async def _replies(self, user: str, given: Json) -> Json:
        """The root first, on every page, whatever the bounds."""
        root = str(given["ts"])
        found = sorted(self._channel(user, given["channel"]).replies(root), key=lambda one: str(one["ts"]))
        if not found:
            raise ApiError("thread_not_found")
        answer = _window([one for one in found if one["ts"] != root], given)
        first = [_shown(one, given) for one in found if one["ts"] == root]
        return answer | {"messages": [*first, *cast("list[Json]", answer["messages"])]}

    # ─── messages ────────────────────────────────────────────────────────────────────────────

    async def _post(self, user: str, given: Json) -> Json:
        channel = self._channel(user, given["channel"])
        if user not in channel.members:
            raise ApiError("not_in_channel")
        if channel.archived:
            raise ApiError("is_archived")
        _check_words(given)
        thread = given.get("thread_ts")
        if thread and thread not in channel.messages:
            raise ApiError("thread_not_found")
        message = self.workspace.put(
            channel,
            {
                "type": "message",
                "user": user,
                "bot_id": BOT_ID,
                "app_id": APP,
                "bot_profile": {"id": BOT_ID, "app_id": APP, "name": "Locum"},
                "text": given.get("text", ""),
                "ts": self.workspace.stamp(),
                "team": TEAM,
                **{key: given[key] for key in ("thread_ts", "metadata", "blocks") if given.get(key)},
            },
        )
        await self._emit(channel, dict(message))
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def _own(self, user: str, given: Json, refusal: str) -> tuple[Channel, Json]:
        channel = self._channel(user, given["channel"])
        message = channel.messages.get(str(given["ts"]))
        if message is None:
            raise ApiError("message_not_found")
        if message.get("user") != user:
            raise ApiError(refusal)
        return channel, message

    async def _update(self, user: str, given: Json) -> Json:
        channel, message = self._own(user, given, "cant_update_message")
        _check_words(given)
        await self.change(channel, message, str(given.get("text", "")), given.get("blocks"), user)
        return {"channel": channel.id, "ts": message["ts"], "text": message["text"]}

    async def change(
        self, channel: Channel, message: Json, text: str, blocks: list[Json] | None, by: str
    ) -> None:
        """A message gets new words, and everybody is told."""
        before = dict(message)
        stamp = self.workspace.stamp()
        message["text"] = text
        message.pop("blocks", None)
        if blocks:
            message["blocks"] = blocks
        message["edited"] = {"user": by, "ts": stamp}
        event = {
            "type": "message",
            "subtype": "message_changed",
            "hidden": True,
            "message": dict(message),
            "previous_message": before,
            "ts": stamp,
        }
        await self._emit(channel, event)

    async def _delete(self, user: str, given: Json) -> Json:
        channel, message = self._own(user, given, "cant_delete_message")
        await self.remove(channel, message)
        return {"channel": channel.id, "ts": message["ts"]}

    async def remove(self, channel: Channel, message: Json) -> None:
        """A message goes; a root that has replies leaves a tombstone."""
        before, stamp = dict(message), self.workspace.stamp()
        if message.get("reply_count"):
            message |= {"subtype": "tombstone", "text": "This message was deleted.", "hidden": True}
            event: Json = {"subtype": "message_changed", "message": dict(message)}
        else:
            del channel.messages[str(message["ts"])]
            event = {"subtype": "message_deleted", "deleted_ts": before["ts"]}
        await self._emit(
            channel, {"type": "message", "hidden": True, "previous_message": before, "ts": stamp, **event}
        )

    async def _permalink(self, user: str, given: Json) -> Json:
        channel, stamp = self._channel(user, given["channel"]), str(given["message_ts"])
        if stamp not in channel.messages:
            raise ApiError("message_not_found")
        return {"permalink": f"https://the-office.slack.com/archives/{channel.id}/p{stamp.replace('.', '')}"}

    async def _react(self, user: str, given: Json) -> Json:
        await self.reaction(
            user, str(given["channel"]), str(given["timestamp"]), str(given["name"]), added=True
        )
        return {}

    async def _unreact(self, user: str, given: Json) -> Json:
        await self.reaction(
            user, str(given["channel"]), str(given["timestamp"]), str(given["name"]), added=False
        )
        return {}

    async def reaction(self, user: str, channel_id: str, stamp: str, name: str, *, added: bool) -> None:
        channel = self._channel(user, channel_id)
        message = channel.messages.get(stamp)
        if message is None:
            raise ApiError("message_not_found")
        reactions: list[Json] = message.setdefault("reactions", [])
        found: Json | None = next((one for one in reactions if one["name"] == name), None)
        if added == (found is not None and user in found["users"]):
            raise ApiError("already_reacted" if added else "no_reaction")
        if found is None:
            found = cast("Json", {"name": name, "users": [], "count": 0})
            reactions.append(found)
        if added:
            found["users"].append(user)
        else:
            found["users"].remove(user)
        event = {
            "type": "reaction_added" if added else "reaction_removed",
            "user": user,
            "reaction": name,
            "item": {"type": "message", "channel": channel.id, "ts": stamp},
            "item_user": message.get("user"),
            "event_ts": self.workspace.stamp(),
        }
        await self._emit(channel, event)

    # ─── windows and files ───────────────────────────────────────────────────────────────────

    async def _open_view(self, user: str, given: Json) -> Json:
        trigger = str(given["trigger_id"])
        if trigger not in self.workspace.triggers:
            raise ApiError("expired_trigger_id")
        self.workspace.triggers.discard(trigger)
        return {"view": self._keep_view(f"V{self.workspace.number():04d}", user, given["view"])}

    async def _update_view(self, user: str, given: Json) -> Json:
        view_id = str(given["view_id"])
        if view_id not in self.workspace.views:
            raise ApiError("not_found")
        return {"view": self._keep_view(view_id, user, given["view"])}

    def _keep_view(self, view_id: str, user: str, given: Json) -> Json:
        del user
        _check_view(given)
        view = dict(given) | {"id": view_id, "hash": f"{self.workspace.number()}.hash", "app_id": APP}
        self.workspace.views[view_id] = view
        return view

    async def _publish(self, user: str, given: Json) -> Json:
        del user
        _check_view(given["view"])
        self.workspace.homes[str(given["user_id"])] = given["view"]
        return {"view": {"id": f"VHOME{given['user_id']}"}}

    async def _upload_url(self, user: str, given: Json) -> Json:
        del user, given
        file_id = f"F{self.workspace.number():04d}"
        return {"upload_url": f"{self.base_url}/upload/{file_id}", "file_id": file_id}

    async def _complete_upload(self, user: str, given: Json) -> Json:
        channel = self._channel(user, given["channel_id"])
        files = [{"id": one["id"], "name": one["title"]} for one in given["files"]]
        if any(one["id"] not in self.workspace.files for one in files):
            raise ApiError("file_not_found")
        message: Json = {
            "type": "message",
            "subtype": "file_share",
            "user": user,
            "bot_id": BOT_ID,
            "text": "",
        }
        message |= {"files": files, "ts": self.workspace.stamp()}
        self.workspace.put(channel, message)
        await self._emit(channel, dict(message))
        return {"files": files}


# ─── Checks ──────────────────────────────────────────────────────────────────────────────────


def _check_words(given: Json) -> None:
    if not given.get("text") and not given.get("blocks"):
        raise ApiError("no_text")
    if len(str(given.get("text", ""))) > LONGEST_TEXT:
        raise ApiError("msg_too_long")
    if given.get("blocks"):
        _check_blocks(given["blocks"], MOST_BLOCKS)


def _check_blocks(blocks: list[Json], most: int) -> None:
    """As Slack's own library describes them: lengths, counts, and no kind that it does not know."""
    if len(blocks) > most:
        raise ApiError("invalid_blocks")
    parsed: list[Any] = Block.parse_all(cast("Any", blocks))  # pyright: ignore[reportUnknownMemberType] -- bare dicts
    try:
        for block in parsed:
            block.to_dict()
    except SlackObjectFormationError as error:
        raise ApiError(f"invalid_blocks: {error}") from None
    if len(parsed) != len(blocks):
        raise ApiError("invalid_blocks")
    ids = [str(block["block_id"]) for block in blocks if block.get("block_id")]
    if len(ids) != len(set(ids)):
        raise ApiError("invalid_blocks: block_id twice")
    for block in blocks:
        names = [one["action_id"] for one in block.get("elements", []) if one.get("action_id")]
        if len(names) != len(set(names)):
            raise ApiError("invalid_blocks: action_id twice")


def _check_view(view: Json) -> None:
    _check_blocks(view["blocks"], 100)
    try:
        View(**view).to_dict()  # pyright: ignore[reportUnknownMemberType] -- as above
    except SlackObjectFormationError as error:
        raise ApiError(f"invalid_arguments: {error}") from None
    if any(block["type"] == "input" for block in view["blocks"]) and not view.get("submit"):
        raise ApiError("invalid_arguments: submit")


# ─── Pages ───────────────────────────────────────────────────────────────────────────────────


def _page(field: str, items: list[Any], given: Json) -> Json:
    start, size = int(given.get("cursor") or 0), int(given.get("limit") or 100)
    left = len(items) > start + size
    return {
        field: items[start : start + size],
        "has_more": left,
        "response_metadata": {"next_cursor": str(start + size) if left else ""},
    }


def _window(messages: list[Json], given: Json) -> Json:
    """The messages between `oldest` and `latest`, a page of them."""
    oldest, latest = float(given.get("oldest") or 0), float(given.get("latest") or "inf")
    whole = str(given.get("inclusive", "")).lower() in ("1", "true")
    inside = [
        one
        for one in messages
        if (oldest <= float(one["ts"]) <= latest if whole else oldest < float(one["ts"]) < latest)
    ]
    return _page("messages", [_shown(one, given) for one in inside], given)


def _shown(message: Json, given: Json) -> Json:
    """Metadata is shown to those who ask for it."""
    if str(given.get("include_all_metadata", "")).lower() in ("1", "true"):
        return dict(message)
    return {key: value for key, value in message.items() if key != "metadata"}


def arguments(body: bytes, media_type: str, query: Json) -> Json:
    """A call's arguments: of a JSON body, or of the address."""
    if media_type == "application/json" and body:
        return cast("Json", json.loads(body))
    return query
