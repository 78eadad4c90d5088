"""A Telegram to run against offline: the Bot API over HTTP, with switches for everything that can go wrong.

    async with TelegramDouble(owner=person(1001, "Mara")) as telegram:
        telegram.world.connects()
        telegram.world.contact_writes(person(42, "Jonas"), "are you there?")

What the bot asks lands in `requests`, in order, as Telegram took it.
"""

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from aiohttp import web

from bots.doubles.telegram_shapes import Json, check_message, check_request, copied, read_form
from bots.doubles.telegram_world import World, buttons, person, private_chat
from bots.words import utf16_length
from core.clock import Clock

BOT_ID = 7000
MOST_TEXT = 4096
MOST_BUTTON_BYTES = 64
WEBHOOK_SECONDS = 10.0


ABILITIES = (
    "can_join_groups can_read_all_group_messages supports_inline_queries supports_guest_queries "
    "can_connect_to_business"
).split()


class Refused(Exception):
    """What Telegram answers instead of a result."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that Telegram took."""

    method: str
    form: Json


class TelegramDouble:
    """The server, the world behind it, and its faults."""

    def __init__(
        self,
        *,
        owner: Json,
        token: str = f"{BOT_ID}:double",
        validate: bool = True,
        clock: Clock | None = None,
        topics: bool = False,
    ) -> None:
        bot = person(BOT_ID, "Locum", "locum_bot", is_bot=True)
        self.world = World(owner=owner, bot=bot, validate=validate)
        if clock is not None:
            self.world.clock = clock
        self.token, self.topics, self.validate = token, topics, validate
        self.requests: list[Request] = []
        self.wrong: list[str] = []
        """What requests the Bot API would not have understood."""
        self.typing: list[Json] = []
        self.streamed: dict[int, list[str]] = defaultdict(list)
        """What the owner saw of each draft while it was being written."""
        self.webhook: Json = {}
        self.webhook_answers: list[int] = []

        self.faults: dict[str, list[Refused | None]] = defaultdict(list)
        """By method: what the next requests are answered, without being carried out; None carries one out."""
        self.lost_answers: dict[str, int] = defaultdict(int)
        """By method: so many of the next requests are carried out, and the connection drops."""
        self.lost_requests: dict[str, int] = defaultdict(int)
        """By method: so many of the next connections drop before anything is done."""
        self.delay: dict[str, float] = defaultdict(float)
        """By method: seconds before it is answered."""
        self.revoked = False
        self.abilities = dict.fromkeys(ABILITIES, True)
        """What @BotFather turned on."""
        self._poll = 0
        self._topics = 0
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._hook: asyncio.Task[None] | None = None

    # ─── running ──────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end_webhook()
        await self.be_away()

    async def listen(self) -> None:
        """Answer again, at the same address."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = cast("tuple[str, int]", self._runner.addresses[0])[1]

    async def be_away(self) -> None:
        """Refuse connections."""
        self._poll += 1
        self.world.changed.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def asked(self, method: str) -> list[Json]:
        """The forms of every such request, oldest first."""
        return [request.form for request in self.requests if request.method == method]

    def take(self, method: str, times: int = 1) -> None:
        """So many of the next requests are carried out; what is arranged afterwards meets those behind them."""
        self.faults[method] += [None] * times

    def flood(self, method: str, seconds: int) -> None:
        """The next such request is told to wait."""
        text = f"Too Many Requests: retry after {seconds}"
        self.faults[method].append(Refused(429, text, retry_after=seconds))

    def refuse(self, method: str, description: str, code: int = 400) -> None:
        self.faults[method].append(Refused(code, description))

    # ─── one request ──────────────────────────────────────────────────────────────────────────

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != self.token or self.revoked:
            return _failure(Refused(401, "Unauthorized"))
        if self.lost_requests[method]:
            self.lost_requests[method] -= 1
            return _drop(request)
        if self.faults[method] and (fault := self.faults[method].pop(0)) is not None:
            return _failure(fault)
        form = await self._form(method, request)
        await asyncio.sleep(self.delay[method])
        try:
            result = await self._carry_out(method, form)
        except Refused as refusal:
            return _failure(refusal)
        if self.lost_answers[method]:
            self.lost_answers[method] -= 1
            return _drop(request)
        return web.json_response({"ok": True, "result": result})

    async def _form(self, method: str, request: web.Request) -> Json:
        """The parameters; an uploaded file stands there as its bytes."""
        raw: Json = {}
        for name, value in (await request.post()).items():
            raw[name] = value.file.read() if isinstance(value, web.FileField) else value
        form = read_form(raw)
        if self.validate:
            told = {
                name: "attach://file" if isinstance(value, bytes) else value for name, value in form.items()
            }
            try:
                check_request(method, told)
            except AssertionError as error:
                self.wrong.append(f"{method}: {error}")
        return form

    async def _carry_out(self, method: str, form: Json) -> object:
        act: Callable[[Json], Any] | None = getattr(self, f"_do_{_snake(method)}", None)
        if act is None:
            raise Refused(404, "Not Found: method not found")
        if method == "getUpdates":
            return await self._do_get_updates(form)
        self.requests.append(Request(method=method, form=form))
        result = act(form)
        return await result if asyncio.iscoroutine(result) else result

    async def _download(self, request: web.Request) -> web.StreamResponse:
        content = self.world.files.get(request.match_info["path"])
        if request.match_info["token"] != self.token or content is None:
            return web.Response(status=404)
        await asyncio.sleep(self.delay["file"])
        return web.Response(body=content)

    # ─── updates ──────────────────────────────────────────────────────────────────────────────

    async def _do_get_updates(self, form: Json) -> list[Json]:
        if self.webhook:
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active")
        self._poll += 1
        mine = self._poll
        self.world.changed.set()
        if "allowed_updates" in form:
            self.world.allowed = frozenset(form["allowed_updates"]) or None
        if offset := int(form.get("offset", 0)):
            self.world.confirm(offset)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(form.get("timeout", 0)) or 0.001):
                await self._something_new(mine)
        if mine != self._poll:
            raise Refused(409, "Conflict: terminated by other getUpdates request")
        return self.world.updates[: int(form.get("limit", 100))]

    async def _something_new(self, poll: int) -> None:
        while poll == self._poll and not self.world.updates:
            self.world.changed.clear()
            await self.world.changed.wait()

    async def _do_set_webhook(self, form: Json) -> bool:
        await self._end_webhook()
        self.webhook = form
        self.world.allowed = frozenset(form.get("allowed_updates", ())) or None
        self._hook = asyncio.create_task(self._call_webhook())
        return True

    async def _do_delete_webhook(self, form: Json) -> bool:
        await self._end_webhook()
        if form.get("drop_pending_updates") == "true":
            self.world.updates.clear()
        return True

    async def _end_webhook(self) -> None:
        self.webhook = {}
        if self._hook is not None:
            self._hook.cancel()
            await asyncio.wait([self._hook])
            self._hook = None

    async def _call_webhook(self) -> None:
        """One update after another, each until it is answered with 200."""
        timeout = aiohttp.ClientTimeout(total=WEBHOOK_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                self.world.changed.clear()
                if not self.world.updates:
                    await self.world.changed.wait()
                    continue
                update = self.world.updates[0]
                status = await self._post_update(session, update)
                self.webhook_answers.append(status)
                if status == web.HTTPOk.status_code:
                    self.world.confirm(update["update_id"] + 1)
                else:
                    await asyncio.sleep(0.05)

    async def _post_update(self, session: aiohttp.ClientSession, update: Json) -> int:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook.get("secret_token", "")}
        try:
            async with session.post(self.webhook["url"], json=update, headers=headers) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def _do_get_webhook_info(self, form: Json) -> Json:
        del form
        return {
            "url": self.webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": len(self.world.updates),
        }

    # ─── who is who ───────────────────────────────────────────────────────────────────────────

    def _do_get_me(self, form: Json) -> Json:
        del form
        return self.world.bot | self.abilities | {"has_topics_enabled": self.topics}

    def _do_get_chat(self, form: Json) -> Json:
        if int(form["chat_id"]) != self.world.owner["id"]:
            raise Refused(400, "Bad Request: chat not found")
        chat = private_chat(self.world.owner)
        return chat | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": NO_GIFTS}

    def _do_get_business_connection(self, form: Json) -> Json:
        connection = self.world.connections.get(form["business_connection_id"])
        if connection is None:
            raise Refused(400, "Bad Request: business connection not found")
        return connection

    def _do_set_my_commands(self, form: Json) -> bool:
        del form
        return True

    # ─── sending ──────────────────────────────────────────────────────────────────────────────

    def _do_send_message(self, form: Json) -> Json:
        content: Json = {"text": _sendable(form["text"])}
        if entities := form.get("entities"):
            content["entities"] = _within(entities, form["text"])
        return self._post(form, content)

    def _do_send_document(self, form: Json) -> Json:
        file_id = f"doc-{len(self.world.files)}"
        content: bytes = form["document"]
        self.world.files[file_id] = content
        document: Json = {"file_id": file_id, "file_unique_id": file_id, "file_size": len(content)}
        caption = {"caption": form["caption"]} if "caption" in form else {}
        return self._post(form, {"document": document, **caption})

    def _post(self, form: Json, content: Json) -> Json:
        chat_id = int(form["chat_id"])
        more = {"reply_markup": form["reply_markup"]} if _is_inline(form.get("reply_markup")) else {}
        if "message_thread_id" in form:
            more |= {"message_thread_id": int(form["message_thread_id"]), "is_topic_message": True}
        if connection_id := form.get("business_connection_id"):
            self._may_reply(connection_id, chat_id)
            chat = private_chat({"id": chat_id, "first_name": "Contact"})
            sent = {"business_connection_id": connection_id, "sender_business_bot": self.world.bot}
            return self._stands("business", chat, self.world.owner, content | more | sent)
        if chat_id < 0:
            return self._stands("group", self._group(chat_id), self.world.bot, content | more)
        chat = private_chat({"id": chat_id, "first_name": "Somebody"})
        return self._stands("bot", chat, self.world.bot, content | more)

    def _stands(self, space: Any, chat: Json, sender: Json, content: Json) -> Json:
        if self.validate:
            check_message({"message_id": 1, "date": 0, "chat": chat, "from": sender, **content})
        return self.world.post(space, chat, sender, content)

    def _may_reply(self, connection_id: str, chat_id: int) -> None:
        """The rules of a business connection: alive, with the right, within 24 hours."""
        connection = self.world.connections.get(connection_id)
        if connection is None or not connection["is_enabled"]:
            raise Refused(400, "Bad Request: business connection not found")
        if not connection["rights"].get("can_reply"):
            raise Refused(400, "Bad Request: BUSINESS_CONNECTION_NOT_ALLOWED")
        if not self.world.window_is_open(chat_id):
            raise Refused(400, "Bad Request: BUSINESS_PEER_INVALID")

    def _group(self, chat_id: int) -> Json:
        if chat_id not in self.world.groups:
            raise Refused(403, "Forbidden: bot is not a member of the supergroup chat")
        return self.world.groups[chat_id]

    # ─── changing, deleting ───────────────────────────────────────────────────────────────────

    def _do_edit_message_text(self, form: Json) -> Json:
        message = self._mine(form)
        changed = copied(message) | {"text": _sendable(form["text"])}
        for name in ("entities", "reply_markup"):
            changed.pop(name, None)
            if name in form:
                changed[name] = form[name]
        if changed == message:
            raise Refused(400, "Bad Request: message is not modified")
        message.clear()
        message |= changed
        return message

    def _mine(self, form: Json) -> Json:
        """The message of ours that a request names."""
        chat_id, message_id = int(form["chat_id"]), int(form["message_id"])
        space = "business" if "business_connection_id" in form else "group" if chat_id < 0 else "bot"
        message = self.world.messages[space, chat_id].get(message_id)
        if message is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if BOT_ID not in (message["from"]["id"], message.get("sender_business_bot", {}).get("id")):
            raise Refused(400, "Bad Request: message can't be edited")
        return message

    def _do_delete_message(self, form: Json) -> bool:
        return self._delete(form, [int(form["message_id"])])

    def _do_delete_messages(self, form: Json) -> bool:
        return self._delete(form, form["message_ids"])

    def _delete(self, form: Json, message_ids: Iterable[int]) -> bool:
        chat_id = int(form["chat_id"])
        space = "group" if chat_id < 0 else "bot"
        for message_id in message_ids:
            self.world.messages[space, chat_id].pop(message_id, None)
        return True

    def _do_delete_business_messages(self, form: Json) -> bool:
        connection = self._do_get_business_connection(form)
        if not connection.get("rights", {}).get("can_delete_sent_messages"):
            raise Refused(400, "Bad Request: BUSINESS_CONNECTION_NOT_ALLOWED")
        for space, messages in self.world.messages.items():
            for message_id in form["message_ids"] if space[0] == "business" else ():
                messages.pop(message_id, None)
        return True

    def _do_read_business_message(self, form: Json) -> bool:
        self._do_get_business_connection(form)
        return True

    # ─── answers, typing, streaming, topics, files ────────────────────────────────────────────

    def _do_answer_callback_query(self, form: Json) -> bool:
        del form
        return True

    _do_answer_inline_query = _do_answer_callback_query

    def _do_answer_guest_query(self, form: Json) -> Json:
        return {"inline_message_id": f"guest-{form['guest_query_id']}"}

    def _do_send_chat_action(self, form: Json) -> bool:
        if connection_id := form.get("business_connection_id"):
            self._may_reply(connection_id, int(form["chat_id"]))
        self.typing.append(form)
        return True

    def _do_send_message_draft(self, form: Json) -> bool:
        if int(form["chat_id"]) < 0 or int(form["draft_id"]) == 0:
            raise Refused(400, "Bad Request: TEXTDRAFT_PEER_INVALID")
        self.streamed[int(form["draft_id"])].append(form.get("text", ""))
        return True

    def _do_create_forum_topic(self, form: Json) -> Json:
        if not self.topics:
            raise Refused(400, "Bad Request: the chat is not a forum")
        self._topics += 1
        return {"message_thread_id": 900 + self._topics, "name": form["name"], "icon_color": 7322096}

    def _do_get_file(self, form: Json) -> Json:
        file_id = form["file_id"]
        content = self.world.files.get(file_id)
        if content is None:
            raise Refused(400, "Bad Request: invalid file_id")
        return {
            "file_id": file_id,
            "file_unique_id": file_id,
            "file_size": len(content),
            "file_path": file_id,
        }


NO_GIFTS = dict.fromkeys(
    (
        "unlimited_gifts",
        "limited_gifts",
        "unique_gifts",
        "premium_subscription",
        "gifts_from_channels",
    ),
    False,
)


def _snake(method: str) -> str:
    """`sendMessage` as a name of ours."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", method)


def _is_inline(markup: Json | None) -> bool:
    """True for buttons under a message, which must fit; a forced reply leaves none."""
    if not markup or "inline_keyboard" not in markup:
        return False
    for button in buttons({"reply_markup": markup}):
        if len(button.get("callback_data", "").encode()) > MOST_BUTTON_BYTES:
            raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        if not 1 <= len(button.get("copy_text", {"text": "-"})["text"]) <= 256:  # noqa: PLR2004 -- Telegram's
            raise Refused(400, "Bad Request: BUTTON_COPY_TEXT_INVALID")
    return True


def _sendable(text: str) -> str:
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if utf16_length(text) > MOST_TEXT:
        raise Refused(400, "Bad Request: message is too long")
    return text


def _within(entities: list[Json], text: str) -> list[Json]:
    if any(entity["offset"] + entity["length"] > utf16_length(text) for entity in entities):
        raise Refused(400, "Bad Request: ENTITY_BOUNDS_INVALID")
    return entities


def _failure(refusal: Refused) -> web.Response:
    told: Json = {"ok": False, "error_code": refusal.code, "description": refusal.description}
    if refusal.parameters:
        told["parameters"] = refusal.parameters
    return web.json_response(told, status=refusal.code)


def _drop(request: web.Request) -> web.StreamResponse:
    """The connection is cut, as by a network."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
