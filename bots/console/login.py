"""The console's door: one login link, one cookie, and no request from any other site.

The page can send messages in the owner's name, and any web page the owner visits can make the
browser knock on 127.0.0.1. So every request must name a host that is ours (a rebound DNS name is
not), must not come from another site, and must carry the cookie that the login link was exchanged
for. The websocket's handshake is a request like any other, and must name its origin.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "locum_console"
LOGIN_PATH = "/login"
COOKIE_SECONDS = 7 * 24 * 3600
"""How long a browser keeps its cookie. It ends sooner with the process."""

PROTECTION = {
    # The page builder evaluates its templates in the browser, hence unsafe-eval.
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

REFUSAL = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Locum</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{{color-scheme:light dark}}body{{font:16px/1.6 system-ui,sans-serif;max-width:34rem;
margin:18vh auto;padding:0 1.5rem}}h1{{font-size:1.35rem}}</style>
<h1>{title}</h1><p>{text}</p></html>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not let in, in words for the person who sees it."""

    title: str
    text: str


STRANGER = Refusal(
    title="This page is locked",
    text="Open it with the login link that Locum printed when it started. A link works once; "
    "start Locum again to get a new one.",
)
USED_LINK = Refusal(
    title="This login link was used already, or is not ours",
    text="A link works once. If it was not you who used it, stop Locum. Start it again to get a new link.",
)
FOREIGN = Refusal(
    title="Refused: the request comes from another site",
    text="Type the address yourself, or open the login link that Locum printed.",
)


class Door:
    """Lets in whoever exchanged the login link, from our own pages alone."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._links: set[str] = set()
        self._visitors: set[str] = set()

    def new_link_token(self) -> str:
        """A token that opens `/login?token=...` once."""
        token = secrets.token_urlsafe(24)  # the link fits a line of 80
        self._links.add(token)
        return token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = self._answer(scope)
        if answer is None:
            await self._app(scope, receive, _protected(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _protected(send))

    def _answer(self, scope: Scope) -> Response | None:
        """What the door itself answers; None for a request that may pass."""
        headers = Headers(scope=scope)
        if not self._is_from_our_pages(headers, needs_origin=scope["type"] == "websocket"):
            return _refuse(FOREIGN)
        if scope["type"] == "http" and scope["path"] == LOGIN_PATH:
            return self._log_in(scope, headers)
        return None if self._has_cookie(headers) else _refuse(STRANGER)

    def _is_from_our_pages(self, headers: Headers, *, needs_origin: bool) -> bool:
        if headers.get("host", "").lower() not in self._hosts:
            return False
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return False
        origin = headers.get("origin")
        return not needs_origin if origin is None else self._is_our_origin(origin)

    def _is_our_origin(self, origin: str) -> bool:
        scheme, _, host = origin.lower().partition("://")
        return scheme in {"http", "https"} and host in self._hosts

    def _log_in(self, scope: Scope, headers: Headers) -> Response:
        """Exchange a link for a cookie. A browser that merely looks ahead does not use it up."""
        if scope["method"] != "GET" or "prefetch" in headers.get("sec-purpose", ""):
            return _refuse(STRANGER)
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if token not in self._links:
            return _refuse(USED_LINK)
        self._links.remove(token)
        visitor = secrets.token_urlsafe(32)
        self._visitors.add(visitor)
        response = RedirectResponse("/", status_code=303, headers={"cache-control": "no-store"})
        response.set_cookie(COOKIE, visitor, max_age=COOKIE_SECONDS, httponly=True, samesite="strict")
        return response

    def _has_cookie(self, headers: Headers) -> bool:
        return cookie_parser(headers.get("cookie", "")).get(COOKIE) in self._visitors


def _refuse(refusal: Refusal) -> Response:
    page = REFUSAL.format(title=escape(refusal.title), text=escape(refusal.text))
    return HTMLResponse(page, status_code=403, headers={"cache-control": "no-store"})


def _protected(send: Send) -> Send:
    """The same answers, with the headers that keep other sites from framing or reading them."""

    async def send_protected(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(PROTECTION)
        await send(message)

    return send_protected
