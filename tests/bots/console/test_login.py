"""The console's door: who is let in, and who is not."""

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bots.console.login import COOKIE
from bots.console.run import RunningConsole
from tests.bots.console.scene import Scene

WEBSOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


def visitor(house: RunningConsole) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=house.address)


async def let_in(house: RunningConsole, client: httpx.AsyncClient) -> str:
    """The cookie's value."""
    await client.get(house.login_link())
    return client.cookies[COOKIE]


async def test_the_login_link_opens_the_page(house: RunningConsole) -> None:
    async with visitor(house) as client:
        answer = await client.get(house.login_link())
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        assert (await client.get("/")).status_code == 200


async def test_the_login_link_works_once(house: RunningConsole) -> None:
    link = house.login_link()
    async with visitor(house) as first, visitor(house) as second:
        assert (await first.get(link)).status_code == 303
        refused = await second.get(link)
        assert refused.status_code == 403
        assert COOKIE not in second.cookies
        assert "works once" in refused.text


async def test_a_browser_that_looks_ahead_does_not_use_the_link_up(house: RunningConsole) -> None:
    link = house.login_link()
    async with visitor(house) as client:
        assert (await client.get(link, headers={"sec-purpose": "prefetch;prerender"})).status_code == 403
        assert (await client.head(link)).status_code == 403
        assert (await client.get(link)).status_code == 303


@pytest.mark.parametrize("query", ["", "?token=", "?token=guess", "?other=1"])
async def test_a_wrong_token_is_refused(house: RunningConsole, query: str) -> None:
    async with visitor(house) as client:
        assert (await client.get(f"/login{query}")).status_code == 403


async def test_the_cookie_is_kept_from_scripts_and_from_other_sites(house: RunningConsole) -> None:
    async with visitor(house) as client:
        answer = await client.get(house.login_link())
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("path", ["/", "/anything", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"])
async def test_without_the_cookie_nothing_is_shown(house: RunningConsole, path: str) -> None:
    async with visitor(house) as client:
        answer = await client.get(path)
        assert answer.status_code == 403
        assert "inside" not in answer.text
        forged = await client.get(path, headers={"cookie": f"{COOKIE}=forged"})
        assert forged.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
        {"host": "127.0.0.1"},
    ],
    ids=lambda headers: "=".join(*headers.items()),
)
async def test_a_request_from_another_site_is_refused_with_the_right_cookie(
    house: RunningConsole, headers: dict[str, str]
) -> None:
    async with visitor(house) as client:
        await let_in(house, client)
        assert (await client.get("/", headers=headers)).status_code == 403
        assert (await client.post("/", headers=headers)).status_code == 403


async def test_a_login_link_that_another_site_opens_is_not_used_up(house: RunningConsole) -> None:
    link = house.login_link()
    async with visitor(house) as client:
        assert (await client.get(link, headers={"sec-fetch-site": "cross-site"})).status_code == 403
        assert (await client.get(link)).status_code == 303


async def test_pages_say_that_nobody_may_frame_them_or_send_them_elsewhere(house: RunningConsole) -> None:
    async with visitor(house) as client:
        await let_in(house, client)
        headers = (await client.get("/")).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("origin", "with_cookie"),
    [("https://evil.example", True), (None, True), ("own", False)],
    ids=["foreign origin", "no origin", "no cookie"],
)
async def test_a_websocket_is_refused(scene: Scene, origin: str | None, *, with_cookie: bool) -> None:
    async with visitor(scene.console) as client:
        cookie = await let_in(scene.console, client)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            scene.console.address.replace("http", "ws") + WEBSOCKET,
            origin=scene.console.address if origin == "own" else origin,  # pyright: ignore[reportArgumentType] -- a NewType of str
            additional_headers={"cookie": f"{COOKIE}={cookie}"} if with_cookie else {},
            proxy=None,
        ):
            pass
    assert refused.value.response.status_code == 403


async def test_a_websocket_from_our_own_page_is_accepted(scene: Scene) -> None:
    async with visitor(scene.console) as client:
        cookie = await let_in(scene.console, client)
    async with connect(
        scene.console.address.replace("http", "ws") + WEBSOCKET,
        origin=scene.console.address,  # pyright: ignore[reportArgumentType] -- a NewType of str
        additional_headers={"cookie": f"{COOKIE}={cookie}"},
        proxy=None,
    ) as socket:
        assert str(await socket.recv()).startswith("0{")
