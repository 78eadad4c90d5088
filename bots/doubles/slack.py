"""A Slack workspace to run against without a network: Web API, Socket Mode, events over HTTP, and hands for its people.

What nobody confirmed is brought again when a connection opens, and whenever `redeliver` is called: the
real one does so at once, after one minute and after five.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from bots.doubles.slack_api import ApiError, Fault, SlackApi, arguments
from bots.doubles.slack_workspace import (
    APP,
    APP_TOKEN,
    BOT_TOKEN,
    BOT_USER,
    OWNER,
    OWNER_TOKEN,
    SIGNING_SECRET,
    TEAM,
    Channel,
    Json,
    Workspace,
    actions_on,
    unescaped,
)

__all__ = [
    "APP_TOKEN",
    "BOT_TOKEN",
    "BOT_USER",
    "OWNER",
    "OWNER_TOKEN",
    "TEAM",
    "Fault",
    "SlackDouble",
    "slack_double",
]


EVERYTHING: frozenset[str] = frozenset()
"""No manifest: the app may do everything, and hears of everything."""


class SlackDouble:
    """The platform. It outlives the bot: what was posted stays, what was not confirmed waits."""

    def __init__(self, manifest: Json | None = None) -> None:
        self.workspace = Workspace()
        self._user_events, self._bot_events = (
            self._installed(manifest) if manifest else (EVERYTHING, EVERYTHING)
        )
        self.api = SlackApi(self.workspace, self._emit)
        self.twice = False
        """Every event also comes by the other subscription, under another event id."""
        self.online = True
        """While False, events are lost, as they are when no connection is open for long."""
        self.holding: list[Json] | None = None
        """A list: events are put there, for a test to bring in its own order."""
        self.request_url = ""
        """Where events go over HTTP; empty: Socket Mode."""
        self.http_answers: list[int] = []
        self.connections = 0
        self._sockets: list[web.WebSocketResponse] = []
        self._waiting: dict[str, Json] = {}
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    def _installed(self, manifest: Json) -> tuple[frozenset[str], frozenset[str]]:
        """Give the tokens what the manifest asks for; the events that it subscribes to."""
        scopes = manifest["oauth_config"]["scopes"]
        self.workspace.scopes = {OWNER_TOKEN: set(scopes["user"]), BOT_TOKEN: set(scopes["bot"])}
        subscribed = manifest["settings"]["event_subscriptions"]
        return frozenset(subscribed["user_events"]), frozenset(subscribed["bot_events"])

    # ─── the server ──────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        app = web.Application(client_max_size=1 << 25)
        app.router.add_route("*", "/api/{method}", self._answer)
        app.router.add_get("/socket", self._serve_socket)
        app.router.add_post("/upload/{file}", self._take_file)
        app.router.add_get("/files/{file}", self._give_file)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.api.base_url = f"http://127.0.0.1:{port}"
        self.api.socket_url = f"ws://127.0.0.1:{port}/socket"
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self.drop_connections()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def api_url(self) -> str:
        return f"{self.api.base_url}/api/"

    def fail(self, method: str, fault: Fault, times: int = 1) -> None:
        """The next calls of a method go wrong."""
        self.api.faults[method] += [fault] * times

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        given = arguments(await request.read(), request.content_type, dict(request.query))
        try:
            user = self.api.user_of(method, token)
            self.api.asked.append((method, user, given))
            self.api.check_scope(method, token, given)
            fault = self.api.faults[method].pop(0) if self.api.faults[method] else None
            if fault is not None and (broken := await self._broken(fault, method, user, given, request)):
                return broken
            told = {"ok": True, **await self.api.call(method, user, given)}
        except ApiError as error:
            told = {"ok": False, "error": str(error)}
        except (KeyError, ValueError):
            told = {"ok": False, "error": "invalid_arguments"}
        scopes = ",".join(sorted(self.workspace.scopes.get(token, {"chat:write"})))
        return web.json_response(told, headers={"x-oauth-scopes": scopes})

    async def _broken(
        self, fault: Fault, method: str, user: str, given: Json, request: web.Request
    ) -> web.StreamResponse | None:
        """The answer of a call that goes wrong; None when it goes on after all."""
        told = await self.api.call(method, user, given) if fault.taken else {}
        if fault.kind == "late":
            await asyncio.sleep(fault.seconds)
            return web.json_response({"ok": True, **told})
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return web.json_response({"ok": False, "error": "request_timeout"}) if fault.taken else None
        if fault.kind == "drop":
            assert request.transport is not None  # noqa: S101 -- for the type checker
            request.transport.abort()
            return web.Response(status=500)
        if fault.kind == "ratelimited":
            return web.json_response(
                {"ok": False, "error": "ratelimited"},
                status=429,
                headers={"Retry-After": str(int(fault.seconds))},
            )
        if fault.kind == "status":
            return web.Response(status=fault.status, text="<html>oops</html>", content_type="text/html")
        return web.json_response({"ok": False, "error": fault.code})

    async def _take_file(self, request: web.Request) -> web.Response:
        self.workspace.files[request.match_info["file"]] = await request.read()
        return web.Response(text="OK - 1")

    async def _give_file(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {OWNER_TOKEN}":
            return web.Response(status=403)
        return web.Response(body=self.workspace.files[request.match_info["file"]])

    # ─── Socket Mode ─────────────────────────────────────────────────────────────────────────

    async def _serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        await socket.send_json({"type": "hello", "num_connections": len(self._sockets) + 1})
        self._sockets.append(socket)
        await self.redeliver()
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._waiting.pop(str(cast("Json", message.json()).get("envelope_id")), None)
        finally:
            self._sockets.remove(socket)
        return socket

    async def _send(self, envelope: Json) -> None:
        if self.request_url:
            await self._post(envelope)
        elif self._sockets:
            with suppress(ConnectionError):
                await self._sockets[-1].send_json(envelope)

    @property
    def unconfirmed(self) -> list[Json]:
        """What was brought and not confirmed yet."""
        return list(self._waiting.values())

    @property
    def open_connections(self) -> int:
        return len(self._sockets)

    def give_up(self) -> None:
        """Bring nothing again of what waits, as after the last try."""
        self._waiting.clear()

    async def redeliver(self) -> None:
        """Bring again what was not confirmed."""
        for envelope in tuple(self._waiting.values()):
            envelope["retry_attempt"] = envelope.get("retry_attempt", 0) + 1
            envelope["retry_reason"] = "timeout"
            await self._send(envelope)

    async def ask_to_reconnect(self, *reasons: str) -> None:
        """Say that the connections end soon, as Slack does every few hours."""
        for socket in tuple(self._sockets):
            for reason in reasons or ("refresh_requested",):
                await socket.send_json({"type": "disconnect", "reason": reason})

    async def drop_connections(self) -> None:
        for socket in tuple(self._sockets):
            await socket.close()

    async def _post(self, envelope: Json) -> None:
        """Over HTTP, signed. What is not answered with 200 waits for `redeliver`."""
        payload = envelope["payload"]
        if envelope["type"] == "interactive":
            body = urlencode({"payload": json.dumps(payload)})
            media = "application/x-www-form-urlencoded"
        else:
            body, media = json.dumps(payload), "application/json"
        status = await self.post_signed(body, media)
        self.http_answers.append(status)
        if status == 200:  # noqa: PLR2004 -- the one that confirms
            self._waiting.pop(str(envelope["envelope_id"]), None)

    async def post_signed(
        self, body: str, media: str = "application/json", *, secret: str = SIGNING_SECRET, age: float = 0
    ) -> int:
        """The status of a request that says it is Slack's."""
        stamp = str(int(time.time() - age))
        signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
        headers = {
            "Content-Type": media,
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature or "",
        }
        return await self.post_raw(body, headers)

    async def post_raw(self, body: str, headers: Mapping[str, str]) -> int:
        """The status of any request to the app."""
        assert self._session is not None  # noqa: S101 -- opened
        async with self._session.post(self.request_url, data=body.encode(), headers=headers) as answer:
            return answer.status

    # ─── events ──────────────────────────────────────────────────────────────────────────────

    async def _emit(self, channel: Channel, event: Json) -> None:
        """Tell the app of what happened in a chat, by each subscription that sees it."""
        kinds = {"im": "im", "mpim": "mpim", "group": "group", "channel": "channel"}
        if event["type"] == "message":
            event = event | {
                "channel": channel.id,
                "channel_type": kinds[channel.kind],
                "event_ts": event["ts"],
            }
        seen = [user for user in (OWNER, BOT_USER) if user in channel.members]
        if channel.kind != "im":
            seen = [user for user in seen if user == OWNER]
        for user in seen * (2 if self.twice else 1):
            await self.bring_event(event, seen_by=user, external=channel.external)

    def _is_subscribed(self, event: Json, seen_by: str) -> bool:
        subscribed = self._bot_events if seen_by == BOT_USER else self._user_events
        kinds = {"im": "im", "mpim": "mpim", "group": "groups", "channel": "channels"}
        name = str(event.get("type"))
        if name == "message":
            name = f"message.{kinds.get(str(event.get('channel_type')), '')}"
        return subscribed is EVERYTHING or name in subscribed

    async def bring_event(
        self, event: Json, *, seen_by: str = OWNER, external: bool | None = False, anyway: bool = False
    ) -> None:
        """Tell the app of an event that it subscribes to; `anyway`, also of one that Slack never sends."""
        if not anyway and not self._is_subscribed(event, seen_by):
            return
        payload = {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": APP,
            "event": event,
            "event_id": f"Ev{self.workspace.number():06d}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": TEAM, "user_id": seen_by, "is_bot": seen_by == BOT_USER}],
            **({} if external is None else {"is_ext_shared_channel": external}),
        }
        await self._bring("events_api", payload)

    async def _bring(self, kind: str, payload: Json) -> None:
        envelope = {
            "type": kind,
            "envelope_id": f"E{self.workspace.number():06d}",
            "payload": payload,
            "accepts_response_payload": kind == "interactive",
            "retry_attempt": 0,
        }
        if self.holding is not None:
            self.holding.append(envelope)
        elif self.online:
            await self.bring_envelope(envelope)

    async def bring_envelope(self, envelope: Json) -> None:
        self._waiting[str(envelope["envelope_id"])] = envelope
        await self._send(envelope)

    # ─── hands: messages ─────────────────────────────────────────────────────────────────────

    async def writes(
        self,
        user: str,
        channel: str,
        text: str,
        *,
        thread: str | None = None,
        broadcast: bool = False,
        **extra: object,
    ) -> str:
        """Somebody writes plain text; its `ts`."""
        return await self.writes_markup(
            user,
            channel,
            text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
            thread=thread,
            broadcast=broadcast,
            **extra,
        )

    async def writes_markup(
        self,
        user: str,
        channel: str,
        text: str,
        *,
        thread: str | None = None,
        broadcast: bool = False,
        **extra: object,
    ) -> str:
        """Somebody writes, in Slack's own markup."""
        place = self.workspace.channels[channel]
        message: Json = {
            "type": "message",
            "user": user,
            "text": text,
            "ts": self.workspace.stamp(),
            "client_msg_id": f"c-{self.workspace.number()}",
            "team": TEAM,
            **({"thread_ts": thread} if thread else {}),
            **({"subtype": "thread_broadcast"} if broadcast else {}),
            **extra,
        }
        self.workspace.put(place, message)
        await self._emit(place, dict(message))
        return str(message["ts"])

    async def rewrites(self, channel: str, stamp: str, text: str) -> None:
        place = self.workspace.channels[channel]
        message = place.messages[stamp]
        await self.api.change(place, message, text, None, str(message.get("user")))

    async def unfurls(self, channel: str, stamp: str) -> None:
        """Slack adds a preview: `message_changed`, and not a word is new."""
        place = self.workspace.channels[channel]
        before = dict(place.messages[stamp])
        place.messages[stamp]["attachments"] = [{"fallback": "a preview", "from_url": "https://example.org"}]
        event: Json = {"type": "message", "subtype": "message_changed", "hidden": True}
        event |= {
            "message": dict(place.messages[stamp]),
            "previous_message": before,
            "ts": self.workspace.stamp(),
        }
        await self._emit(place, event)

    async def erases(self, channel: str, stamp: str) -> None:
        place = self.workspace.channels[channel]
        await self.api.remove(place, place.messages[stamp])

    async def reacts(self, user: str, channel: str, stamp: str, name: str, *, added: bool = True) -> None:
        await self.api.reaction(user, channel, stamp, name, added=added)

    async def uploads(
        self, user: str, channel: str, name: str, content: bytes, *, text: str = "", **extra: object
    ) -> str:
        """Somebody posts a file."""
        file_id = f"F{self.workspace.number():04d}"
        self.workspace.files[file_id] = content
        file = {
            "id": file_id,
            "name": name,
            "mimetype": "application/octet-stream",
            "size": len(content),
            "url_private_download": f"{self.api.base_url}/files/{file_id}",
            **extra,
        }
        return await self.writes_markup(user, channel, text, subtype="file_share", files=[file])

    async def joins(self, user: str, channel: str) -> None:
        place = self.workspace.channels[channel]
        place.members.append(user)
        await self._note(place, user, "channel_join", "member_joined_channel")

    async def leaves(self, user: str, channel: str) -> None:
        place = self.workspace.channels[channel]
        await self._note(place, user, "channel_leave", "member_left_channel")
        place.members.remove(user)

    async def _note(self, place: Channel, user: str, subtype: str, event: str) -> None:
        stamp = self.workspace.stamp()
        note: Json = {"type": "message", "subtype": subtype, "user": user, "text": f"<@{user}>", "ts": stamp}
        self.workspace.put(place, note)
        await self._emit(place, dict(note))
        member: Json = {
            "type": event,
            "user": user,
            "channel": place.id,
            "channel_type": "C",
            "event_ts": stamp,
        }
        await self.bring_event(member)

    # ─── hands: the app ──────────────────────────────────────────────────────────────────────

    async def tells_app(self, text: str, *, user: str = OWNER) -> str:
        """Somebody writes to the app."""
        return await self.writes(user, self.workspace.direct(user, BOT_USER).id, text)

    def said_by_app(self, user: str = OWNER) -> list[str]:
        """What the app says there, as plain text; of a card, its headline."""
        return [unescaped(str(message.get("text", ""))) for message in self._from_app(user)]

    def _from_app(self, user: str = OWNER) -> list[Json]:
        place = self.workspace.direct(user, BOT_USER)
        return [message for message in place.messages.values() if message.get("user") == BOT_USER]

    def cards(self) -> list[Json]:
        """The app's messages with buttons, in order."""
        return [message for message in self._from_app() if actions_on(message)]

    async def presses(self, message: Json, label: str, *, user: str = OWNER) -> None:
        """Somebody presses the button of that label on a message."""
        action = self._action(message, label)
        await self._interact(
            user,
            {
                "type": "block_actions",
                "container": {"type": "message", "channel_id": self.workspace.app_channel().id},
                "channel": {"id": self.workspace.app_channel().id},
                "message": message,
                "actions": [action],
            },
        )

    async def presses_in(self, view: Json, label: str, *, user: str = OWNER, choice: str = "") -> None:
        """Somebody presses a button, or chooses from a menu, in a window or on the home page."""
        action = self._action(view, label, choice)
        await self._interact(user, {"type": "block_actions", "view": view, "actions": [action]})

    def _action(self, place: Json, label: str, choice: str = "") -> Json:
        for element in actions_on(place):
            if element["type"] == "button" and element["text"]["text"] == label:
                return {
                    "type": "button",
                    "action_id": element["action_id"],
                    "value": element["value"],
                    "action_ts": self.workspace.stamp(),
                }
            if element["type"] == "static_select" and element["action_id"] == label:
                option = next(one for one in element["options"] if one["text"]["text"] == choice)
                return {
                    "type": "static_select",
                    "action_id": label,
                    "selected_option": option,
                    "action_ts": self.workspace.stamp(),
                }
        raise LookupError(f"no button {label!r} there")

    async def submits(self, view_id: str, text: str, *, user: str = OWNER) -> None:
        """Somebody replaces the words in a window's field and sends it off."""
        view = self.workspace.views.pop(view_id)
        inputs = [block for block in view["blocks"] if block["type"] == "input"]
        values = {
            block["block_id"]: {
                block["element"]["action_id"]: {
                    "type": "plain_text_input",
                    "value": text if number == 0 else None,
                }
            }
            for number, block in enumerate(inputs)
        }
        await self._interact(user, {"type": "view_submission", "view": view | {"state": {"values": values}}})

    async def points_at(self, channel: str, stamp: str, *, user: str = OWNER) -> None:
        """Somebody uses the message shortcut "Suggest a reply"."""
        place = self.workspace.channels[channel]
        await self._interact(
            user,
            {
                "type": "message_action",
                "callback_id": "suggest_reply",
                "channel": {"id": channel, "name": place.name},
                "message": place.messages[stamp],
                "message_ts": stamp,
                "action_ts": self.workspace.stamp(),
            },
        )

    async def _interact(self, user: str, payload: Json) -> None:
        trigger = f"trigger-{self.workspace.number()}"
        self.workspace.triggers.add(trigger)
        await self._bring(
            "interactive",
            {
                "user": {"id": user, "team_id": TEAM},
                "team": {"id": TEAM},
                "api_app_id": APP,
                "trigger_id": trigger,
                **payload,
            },
        )

    async def brings_press(self, payload: Json) -> None:
        """An interactive payload, whatever it holds."""
        await self._bring("interactive", payload)

    async def opens_home(self, *, user: str = OWNER, tab: str = "home") -> None:
        event = {"type": "app_home_opened", "user": user, "tab": tab, "event_ts": self.workspace.stamp()}
        await self.bring_event(event, seen_by=BOT_USER)

    def home(self, user: str = OWNER) -> Json:
        return self.workspace.homes[user]

    async def revokes(self, kind: str = "tokens_revoked") -> None:
        """The owner, or an admin, takes the app's tokens away."""
        self.workspace.tokens.clear()
        event: Json = {"type": kind, "event_ts": self.workspace.stamp()}
        if kind == "tokens_revoked":
            event |= {"tokens": {"oauth": [OWNER], "bot": [BOT_USER]}}
        await self.bring_event(event, seen_by=BOT_USER)

    def standing(self, channel: str) -> list[tuple[str, str]]:
        """Id and plain text of what was posted in the owner's name by the app."""
        place: Any = self.workspace.channels[channel]
        return [
            (str(message["ts"]), unescaped(str(message["text"])))
            for message in place.messages.values()
            if message.get("user") == OWNER and message.get("app_id") == APP
        ]


@asynccontextmanager
async def slack_double(manifest: Json | None = None) -> AsyncGenerator[SlackDouble]:
    """A workspace that is running, with the app that the manifest describes."""
    double = SlackDouble(manifest)
    await double.open()
    try:
        yield double
    finally:
        await double.close()
