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
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from aiohttp import web

from bots.doubles.telegram_methods import BOT_ID, Methods, Refused
from bots.doubles.telegram_shapes import Json, check_request, load_validator, read_form
from bots.doubles.telegram_world import World, person
from core.clock import Clock

WEBHOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that Telegram took."""

    method: str
    form: Json


class TelegramDouble(Methods):
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
        super().__init__(World(owner=owner, bot=bot, validate=validate), topics=topics, validate=validate)
        if clock is not None:
            self.world.clock = clock
        self.token = token
        self.requests: list[Request] = []
        self.wrong: list[str] = []
        """What requests the Bot API would not have understood."""
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
        self._poll = 0
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._hook: asyncio.Task[None] | None = None

    # ─── running ──────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        if self.validate:
            load_validator()
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


def _snake(method: str) -> str:
    """`sendMessage` as a name of ours."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", method)


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
