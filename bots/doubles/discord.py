"""Discord in one process: REST and gateway over real sockets, with people to move and switches for faults.

Written for what simcord does not model: sessions that are resumed, refused or lost, the nonce, rate
limits, connections that drop in the middle, and apps that only a user has installed.
"""

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import web

from bots.discord.raw import Raw, part
from bots.doubles.discord_gateway import Gateway
from bots.doubles.discord_world import EPHEMERAL, THREAD, Channel, Failure, check_message, check_modal

TOKEN_MINUTES = 15
NONCE_MINUTES = 3
USER_INSTALL_FOLLOW_UPS = 5
GATEWAY_ALONE = frozenset({"members", "channels", "threads", "presences", "voice_states", "joined_at", "large",
                           "unavailable", "member_count", "stage_instances", "guild_scheduled_events",
                           "soundboard_sounds"})  # fmt: skip
"""Of a server, what REST leaves out."""


@dataclass(slots=True, kw_only=True)
class Interaction:
    id: str
    token: str
    channel: str
    user: str
    source: str | None
    user_only: bool
    until: datetime
    responses: list[Raw] = field(default_factory=list[Raw])
    original: Raw | None = None
    follow_ups: list[Raw] = field(default_factory=list[Raw])

    @property
    def kind(self) -> int | None:
        """The type of the first response, if there was one."""
        return self.responses[0]["type"] if self.responses else None

    @property
    def text(self) -> str:
        """What the one who acted sees as the answer."""
        return str((self.original or {}).get("content", ""))


@dataclass(slots=True, kw_only=True)
class Fault:
    """One request that goes wrong: `after` it had its effect, or before."""

    method: str
    path: str
    status: int = 0
    """0 drops the connection."""
    after: bool = False
    retry_after: float = 0.0
    skip: int = 0
    """How many of those requests go well before."""
    code: int = 0


class FakeDiscord(Gateway):
    """The platform. Start it with `async with`; then `api_url` and `gateway_url` are where it is."""

    def __init__(self, *, token: str = "bot-token", content_intent: bool = True) -> None:  # noqa: S107 -- of a double
        super().__init__(token, content_intent=content_intent)
        self.interactions: dict[str, Interaction] = {}
        self.commands: list[Raw] = []
        self.syncs = 0
        self.posts = 0
        """How many posts were taken, those that a nonce made one not counted."""
        self.requests: list[tuple[str, str]] = []
        self.about: Raw = {"id": self.application, "name": "Locum", "icon": None, "description": "",
                "bot_public": False,
                "bot_require_code_grant": False, "verify_key": "00", "flags": 1 << 19 if self.content_intent else 0,
                "summary": "", "team": None, "owner": self.users[self.owner], "bot": self.users[self.bot],
                "integration_types_config": {"0": {}, "1": {}}}  # fmt: skip
        """What Discord says of the application."""
        self.bodies: list[Raw] = []
        """What was asked to be posted, as it came."""
        self.faults: list[Fault] = []
        self.typing: list[str] = []
        self.files: dict[str, bytes] = {}
        self.external_apps_hidden = False
        """The server shows what outside apps post to the one who asked, and nobody else."""
        self._nonces: dict[tuple[str, str], tuple[datetime, str]] = {}
        self._runner: web.AppRunner | None = None

    # ── running ──────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/gateway", self._gateway)
        app.router.add_get("/file/{name}", self._file)
        app.router.add_route("*", "/api/v10/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop_sockets()
        if self._runner:
            await self._runner.cleanup()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v10"

    # ── what people do ───────────────────────────────────────────────────────────────────────

    async def say(self, user: str, channel: str, text: str, **more: Any) -> Raw:
        message = self._message(channel, user, {"content": text, **more})
        self.channels[channel].messages[message["id"]] = message
        await self._tell("MESSAGE_CREATE", channel, message)
        return message

    async def rewrite(self, message: Raw, text: str) -> Raw:
        message["content"], message["edited_timestamp"] = text, datetime.now(UTC).isoformat()
        await self._tell("MESSAGE_UPDATE", message["channel_id"], message)
        return message

    async def unfurl(self, message: Raw) -> None:
        """A preview is added: an update that is no edit."""
        message["embeds"] = [{"type": "link", "url": "https://example.org", "title": "Example"}]
        await self._tell("MESSAGE_UPDATE", message["channel_id"], message)

    async def erase(self, *messages: Raw) -> None:
        channel = messages[0]["channel_id"]
        for message in messages:
            self.channels[channel].messages.pop(message["id"], None)
        ids = [message["id"] for message in messages]
        if len(ids) == 1:
            await self._tell("MESSAGE_DELETE", channel, {"id": ids[0], "channel_id": channel})
        else:
            await self._tell("MESSAGE_DELETE_BULK", channel, {"ids": ids, "channel_id": channel})

    async def put_reaction(self, user: str, message: Raw, emoji: str, *, added: bool = True) -> None:
        reaction = {"user_id": user, "channel_id": message["channel_id"], "message_id": message["id"],
                    "emoji": {"id": None, "name": emoji}, "burst": False, "type": 0}  # fmt: skip
        people: list[str] = message.setdefault("_reactions", {}).setdefault(emoji, [])
        (people.append if added else people.remove)(user)
        await self._tell(f"MESSAGE_REACTION_{'ADD' if added else 'REMOVE'}", message["channel_id"], reaction)

    async def use_command(self, user: str, message: Raw, name: str, *, user_only: bool = True) -> Interaction:
        """A message command, from the menu of a message."""
        if not any(command["name"] == name for command in self.commands):
            raise LookupError(f"no command {name!r} was synced")
        data = {"id": self.new_id(), "name": name, "type": 3, "target_id": message["id"],
                "resolved": {"messages": {message["id"]: self._shown(message)}}}  # fmt: skip
        return await self._interact(2, user, message["channel_id"], data, None, user_only=user_only)

    async def press(self, user: str, message: Raw, custom_id: str, *, user_only: bool = True) -> Interaction:
        offered = [button["custom_id"] for row in message["components"] for button in row["components"]]
        if custom_id not in offered:
            raise LookupError(f"no button {custom_id!r} on that message")
        data = {"component_type": 2, "custom_id": custom_id}
        return await self._interact(3, user, message["channel_id"], data, message, user_only=user_only)

    async def submit(self, user: str, shown: Interaction, text: str) -> Interaction:
        """The form that an interaction opened, filled in."""
        modal = shown.responses[0]["data"]
        row = modal["components"][0]
        part = {"type": 4, "custom_id": row["components"][0]["custom_id"], "value": text}
        data = {"custom_id": modal["custom_id"], "components": [{"type": 1, "components": [part]}]}
        return await self._interact(5, user, shown.channel, data, None, user_only=shown.user_only)

    async def _interact(
        self, kind: int, user: str, channel: str, data: Raw, message: Raw | None, *, user_only: bool
    ) -> Interaction:
        interaction = Interaction(
            id=self.new_id(), token=secrets.token_hex(8), channel=channel, user=user,
            source=message["id"] if message else None, user_only=user_only,
            until=datetime.now(UTC) + timedelta(minutes=TOKEN_MINUTES),
        )  # fmt: skip
        self.interactions[interaction.id] = interaction
        where = self.channels[channel]
        event: Raw = {
            "id": interaction.id, "application_id": self.application, "type": kind, "version": 1,
            "token": interaction.token, "channel_id": channel, "data": data, "entitlements": [],
            "channel": self._channel(where), "context": 0 if where.guild else (1 if where.bot_sees else 2),
            "authorizing_integration_owners": {"1": user} if user_only else {"0": where.guild or "0"},
            "app_permissions": "0", "locale": "en-GB", "attachment_size_limit": 10_000_000,
        }  # fmt: skip
        if message is not None:
            event["message"] = self._shown(message)
        if where.guild:
            event |= {"guild_id": where.guild, "guild": {"id": where.guild, "locale": "en-GB", "features": []},
                      "member": {"user": self.users[user], "nick": None, "roles": [], "permissions": "0",
                                 "joined_at": "2020-01-01T00:00:00+00:00", "deaf": False, "mute": False,
                                 "flags": 0}}  # fmt: skip
        else:
            event["user"] = self.users[user]
        await self._send_all("INTERACTION_CREATE", lambda _: event)
        return interaction

    async def close_channel(self, channel: str) -> None:
        where = self.channels.pop(channel)
        name = "THREAD_DELETE" if where.type == THREAD else "CHANNEL_DELETE"
        await self._send_all(name, lambda _: self._channel(where))

    async def send_away(self, guild: str) -> None:
        """The bot is removed from a server."""
        for channel in self.channels.values():
            channel.bot_sees = channel.bot_sees and channel.guild != guild
        await self._send_all("GUILD_DELETE", lambda _: {"id": guild})

    async def let_in(self, guild: str) -> None:
        for channel in self.channels.values():
            channel.bot_sees = channel.bot_sees or channel.guild == guild
        await self._send_all("GUILD_CREATE", lambda _: self._guild(guild))

    # ── faults ───────────────────────────────────────────────────────────────────────────────

    def fail(self, method: str, path: str, times: int = 1, **how: Any) -> None:
        """The next requests of that method whose path has `path` in it go wrong."""
        self.faults += [Fault(method=method, path=path, **how) for _ in range(times)]

    # ── REST ─────────────────────────────────────────────────────────────────────────────────

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.requests.append((request.method, path))
        fault = self._fault(request.method, path)
        if fault is not None and not fault.after:
            return self._broken(request, fault)
        try:
            answer = await self._answer(request, path.split("/"))
        except Failure as failure:
            return _json({"code": failure.code, "message": failure.text}, failure.status)
        return self._broken(request, fault) if fault is not None else _json(answer)

    def _fault(self, method: str, path: str) -> Fault | None:
        fault = next((f for f in self.faults if f.method == method and f.path in path), None)
        if fault is None:
            return None
        if fault.skip:
            fault.skip -= 1
            return None
        self.faults.remove(fault)
        return fault

    def _broken(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if not fault.status:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        limited = {"retry_after": fault.retry_after, "global": False} if fault.retry_after else {}
        return _json({"code": fault.code, "message": "It went wrong"} | limited, fault.status)

    async def _answer(self, request: web.Request, path: list[str]) -> Any:  # noqa: C901, PLR0911, PLR0912 -- one line a route
        body = await _body(request)
        token_in_path = path[0] in {"interactions", "webhooks"}
        if not token_in_path and request.headers.get("Authorization") != f"Bot {self.token}":
            raise Failure(401, 0, "401: Unauthorized")
        match request.method, path:
            case "GET", ["users", "@me"]:
                return self.users[self.bot]
            case "GET", ["users", "@me", "guilds"]:
                return [{"id": guild, "name": self.guilds[guild]} for guild in self._guilds_of_bot()]
            case "GET", ["guilds", guild, *rest]:
                return self._about_guild(guild, rest)
            case "GET", ["users", user]:
                return self._user(user)
            case "GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]:
                return self.about
            case "POST", ["users", "@me", "channels"]:
                return self._channel(self.channels[self.dm_with_bot(str(body["recipient_id"]))])
            case "PUT", ["applications", _, "commands"]:
                self.syncs += 1
                self.commands = [command | {"id": self.new_id()} for command in body]
                return self.commands
            case "GET", ["channels", channel]:
                return self._channel(self._seen(channel))
            case "POST", ["channels", channel, "typing"]:
                self.typing.append(self._seen(channel).id)
                return None
            case "POST", ["channels", channel, "messages"]:
                return await self._post(channel, body)
            case "GET", ["channels", channel, "messages"]:
                return self._history(channel, request.query)
            case "GET", ["channels", channel, "messages", message]:
                return self._shown(self._found(channel, message))
            case "PATCH", ["channels", channel, "messages", message]:
                return await self._patch(self._own(channel, message), body)
            case "DELETE", ["channels", channel, "messages", message]:
                await self.erase(self._own(channel, message))
                return None
            case (("PUT" | "DELETE"), ["channels", channel, "messages", message, "reactions", emoji, "@me"]):
                added = request.method == "PUT"
                await self.put_reaction(self.bot, self._found(channel, message), emoji, added=added)
                return None
            case "POST", ["interactions", interaction, token, "callback"]:
                return await self._respond(self._live(interaction, token), body)
            case "POST", ["webhooks", _, token]:
                return await self._follow_up(self._by_token(token), body)
            case "PATCH", ["webhooks", _, token, "messages", message]:
                return await self._patch_response(self._by_token(token), message, body)
            case "DELETE", ["webhooks", _, token, "messages", message]:
                self._by_token(token).follow_ups[:] = [
                    m for m in self._by_token(token).follow_ups if m["id"] != message
                ]
                return None
            case _:
                raise Failure(404, 0, "404: Not Found")

    def _about_guild(self, guild: str, rest: list[str]) -> Any:
        """A server in pieces, as REST gives what GUILD_CREATE gives whole."""
        whole = self._guild(guild)
        match rest:
            case []:
                return {key: value for key, value in whole.items() if key not in GATEWAY_ALONE}
            case ["channels"]:
                return whole["channels"]
            case ["threads", "active"]:
                return {"threads": whole["threads"], "members": []}
            case ["members", self.bot]:
                return whole["members"][0]
            case _:
                raise Failure(404, 10007, "Unknown Member")

    def _user(self, user: str) -> Raw:
        if user not in self.users:
            raise Failure(404, 10013, "Unknown User")
        return self.users[user]

    def _seen(self, channel: str) -> Channel:
        if channel not in self.channels:
            raise Failure(404, 10003, "Unknown Channel")
        if not self.channels[channel].bot_sees:
            raise Failure(403, 50001, "Missing Access")
        return self.channels[channel]

    def _found(self, channel: str, message: str) -> Raw:
        if message not in self._seen(channel).messages:
            raise Failure(404, 10008, "Unknown Message")
        return self.channels[channel].messages[message]

    def _own(self, channel: str, message: str) -> Raw:
        found = self._found(channel, message)
        if found["author"]["id"] != self.bot:
            raise Failure(403, 50005, "Cannot edit a message authored by another user")
        return found

    async def _post(self, channel: str, body: Raw) -> Raw:
        self._seen(channel)
        check_message(body)
        self.bodies.append(dict(body))
        nonce = str(body.get("nonce") or "")
        if nonce and body.get("enforce_nonce"):
            earlier = self._nonces.get((channel, nonce))
            if earlier and datetime.now(UTC) - earlier[0] < timedelta(minutes=NONCE_MINUTES):
                return self.channels[channel].messages[earlier[1]]
        reference = part(body, "message_reference").get("message_id")
        if reference and str(reference) not in self.channels[channel].messages:
            if body["message_reference"].get("fail_if_not_exists", True):
                raise Failure(400, 50035, "Unknown message")
            body.pop("message_reference")
        self.posts += 1
        message = await self.say(self.bot, channel, **_words(body))
        self._nonces[channel, nonce] = datetime.now(UTC), message["id"]
        return message

    def _history(self, channel: str, asked: Any) -> list[Raw]:
        """Newest first, as Discord answers, even when `after` is asked for."""
        messages = list(self._seen(channel).messages.values())
        limit = int(asked.get("limit", 50))
        if "after" in asked:
            return [m for m in messages if int(m["id"]) > int(asked["after"])][:limit][::-1]
        if "before" in asked:
            messages = [m for m in messages if int(m["id"]) < int(asked["before"])]
        return messages[-limit:][::-1]

    async def _patch(self, message: Raw, body: Raw) -> Raw:
        check_message(message | body)
        message |= {key: body[key] for key in ("content", "components") if key in body}
        message["edited_timestamp"] = datetime.now(UTC).isoformat()
        await self._tell("MESSAGE_UPDATE", message["channel_id"], message)
        return message

    # ── interactions ─────────────────────────────────────────────────────────────────────────

    def _live(self, interaction: str, token: str) -> Interaction:
        found = self.interactions.get(interaction)
        if found is None or found.token != token:
            raise Failure(404, 10062, "Unknown interaction")
        if found.responses:
            raise Failure(400, 40060, "Interaction has already been acknowledged.")
        return found

    def _by_token(self, token: str) -> Interaction:
        found = next((i for i in self.interactions.values() if i.token == token), None)
        if found is None or found.until < datetime.now(UTC):
            raise Failure(401, 50027, "Invalid Webhook Token")
        if not found.responses:
            raise Failure(404, 10015, "Unknown Webhook")
        return found

    async def _respond(self, interaction: Interaction, body: Raw) -> None:
        data = part(body, "data")
        if body["type"] in {4, 7}:
            check_message(data)
        if body["type"] == 9:  # noqa: PLR2004 -- a modal
            check_modal(data)
        interaction.responses.append(body)
        if body["type"] in {4, 5}:
            message = self._message(interaction.channel, self.bot, data)
            interaction.original = message
            if not int(message["flags"]) & EPHEMERAL:
                await self._publish(interaction, message)

    async def _follow_up(self, interaction: Interaction, body: Raw) -> Raw:
        check_message(body)
        if interaction.user_only and len(interaction.follow_ups) >= USER_INSTALL_FOLLOW_UPS:
            raise Failure(400, 40094, "Maximum number of follow-ups reached")
        message = self._message(interaction.channel, self.bot, body) | {"webhook_id": self.application,
                                                                        "application_id": self.application}  # fmt: skip
        if self.external_apps_hidden and interaction.user_only:
            message["flags"] = int(message["flags"]) | EPHEMERAL
        interaction.follow_ups.append(message)
        if not int(message["flags"]) & EPHEMERAL:
            self.posts += 1
            await self._publish(interaction, message)
        return message

    async def _publish(self, interaction: Interaction, message: Raw) -> None:
        self.channels[interaction.channel].messages[message["id"]] = message
        await self._tell("MESSAGE_CREATE", interaction.channel, message)

    async def _patch_response(self, interaction: Interaction, message: str, body: Raw) -> Raw:
        found = interaction.original if message == "@original" else next(
            (m for m in interaction.follow_ups if m["id"] == message), None
        )  # fmt: skip
        if found is None:
            raise Failure(404, 10008, "Unknown Message")
        check_message(found | body)
        found |= {key: body[key] for key in ("content", "components") if key in body}
        return found

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.files[request.match_info["name"]])


def _words(body: Raw) -> Raw:
    return {"text": str(body.get("content") or "")} | {k: v for k, v in body.items() if k != "content"}


def _json(answer: Any, status: int = 200) -> web.Response:
    """JSON without a charset, and a `Via` header: without them, discord.py reads something else into it."""
    if answer is None:
        return web.Response(status=204)
    shown = json.dumps(answer).encode()
    return web.Response(
        body=shown, status=status, headers={"Content-Type": "application/json", "Via": "1.1 double"}
    )


async def _body(request: web.Request) -> Any:
    if not request.can_read_body:
        return {}
    if request.content_type != "multipart/form-data":
        return await request.json()
    form = await request.post()
    body = json.loads(str(form.get("payload_json", "{}")))
    files = [part for part in form.values() if isinstance(part, web.FileField)]
    body["attachments"] = [
        {"id": str(number), "filename": part.filename, "_content": part.file.read().decode(), "size": 0}
        for number, part in enumerate(files)
    ]
    return body
