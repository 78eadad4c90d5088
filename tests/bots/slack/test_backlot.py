"""The bot against backlot: a Slack Web API written by others, and measured by them against slack.com.

What backlot lacks stands in front of it: Socket Mode, windows, and the app's own messages.
"""

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import backlot
import pytest
from aiohttp import web
from pydantic import SecretStr

from bots.doubles.slack import APP_TOKEN, SlackDouble
from bots.doubles.slack_workspace import BOT_USER, Json
from bots.slack.bot import SlackBot
from bots.slack.config import SlackConfig
from core.bot import Outgoing, ReceiptStatus
from core.errors import AccessRevoked, PlatformError
from core.events import Author, ChatRef, MessageNew, MessageRef
from tests.bots.slack.life import until
from tests.bots.standins import MemoryDesk, MemoryState

OURS = frozenset(
    {
        "apps.connections.open",
        "bots.info",
        "conversations.open",
        "views.open",
        "views.publish",
        "views.update",
    }
)
MARA, JONAS, EVE = "mara@example.org", "jonas@example.org", "eve@example.org"


def record(channel: str, author: str, content: str, minute: int, people: list[str], **more: Any) -> Json:
    return {
        "source_type": "slack",
        "channel": channel,
        "content": content,
        "author_email": author,
        "author_name": author.partition("@")[0].title(),
        "created": f"2026-11-20T10:{minute:02d}:00Z",
        "visibility": "private" if channel == "secret" else "public",
        "participants": people,
        **more,
    }


RECORDS = [
    record("plans", JONAS, "Who is in on Friday?", 1, [MARA, JONAS]),
    record(
        "plans",
        JONAS,
        "And who brings cake?",
        2,
        [MARA, JONAS],
        replies=[
            {
                "content": "I do",
                "author_email": MARA,
                "author_name": "Mara",
                "created": "2026-11-20T10:03:00Z",
            }
        ],
    ),
    record("plans", JONAS, "See you there", 5, [MARA, JONAS]),
    record("secret", EVE, "Mara must not know", 6, [EVE, JONAS]),
]


class Fronted(SlackDouble):
    """Our double's Socket Mode before backlot's Web API."""

    def __init__(self, backlot_url: str) -> None:
        super().__init__()
        self._backlot = f"{backlot_url}/slack/api/"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method, body = request.match_info["method"], await request.read()
        if method in OURS or b'"D0' in body:
            return await super()._answer(request)
        assert self._session is not None
        kept = ("Authorization", "Content-Type")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        async with self._session.request(
            request.method, self._backlot + method, params=request.query, data=body or None, headers=headers
        ) as answer:
            return web.json_response(await answer.json(), status=answer.status)


@dataclass(slots=True, kw_only=True)
class Backed:
    """A bot on backlot, and hands for others."""

    front: Fronted
    bot: SlackBot
    owner: str
    tokens: dict[str, str]
    channels: dict[str, str]
    url: str

    def chat(self, name: str, thread: str | None = None) -> ChatRef:
        return ChatRef(platform="slack", account=self.bot.account, chat=self.channels[name], thread=thread)

    async def call(self, who: str, method: str, **given: object) -> Json:
        return await call(self.url, self.tokens[who], method, **given)

    async def standing(self, name: str) -> list[Json]:
        answer = await self.call(MARA, "conversations.history", channel=self.channels[name])
        return [one for one in answer["messages"] if one["user"] == self.owner]


async def call(url: str, token: str, method: str, **given: object) -> Json:
    params = {key: str(value) for key, value in given.items()}
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/slack/api/{method}", params=params, headers=headers) as answer,
    ):
        told = cast("Json", await answer.json())
    assert told["ok"], told
    return told


def started(stack: ExitStack, tries: int = 3) -> backlot.Server:
    """It waits for itself for a few seconds only; on a busy machine its second start, from warm files, is in time."""
    try:
        return stack.enter_context(backlot.serve(RECORDS, telemetry=False))  # pyright: ignore[reportUnknownMemberType] -- bare dicts
    except RuntimeError:
        if tries == 1:
            raise
    return started(stack, tries - 1)


@pytest.fixture(scope="module")
def server() -> Generator[backlot.Server]:
    """One for the module: it takes seconds to start. It tells nobody that it is used."""
    before = os.environ.get("BACKLOT_TELEMETRY")
    os.environ["BACKLOT_TELEMETRY"] = "0"
    try:
        with ExitStack() as stack:
            yield started(stack)
    finally:
        if before is None:
            del os.environ["BACKLOT_TELEMETRY"]
        else:
            os.environ["BACKLOT_TELEMETRY"] = before


@pytest.fixture
async def backed(server: backlot.Server) -> AsyncGenerator[Backed]:
    url, service = server.base_url, str(server.token)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/_meta/users") as answer:
        users = (await answer.json())["users"]
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {service}"}
        await (await session.post(f"{url}/_meta/overlay/reset", headers=headers)).read()
    tokens = {user["email"]: user["token"] for user in users}
    me, app = await call(url, tokens[MARA], "auth.test"), await call(url, service, "auth.test")
    listed = await call(url, tokens[EVE], "conversations.list", types="public_channel,private_channel")
    front = Fronted(url)
    await front.open()
    front.workspace.tokens = {tokens[MARA]: me["user_id"], service: BOT_USER}
    front.workspace.add_user(me["user_id"], "Mara")
    front.workspace.add_channel("D0APP", "im", [me["user_id"], BOT_USER])
    config = SlackConfig(
        bot_token=SecretStr(service),
        user_token=SecretStr(tokens[MARA]),
        app_token=SecretStr(APP_TOKEN),
        owner_id=me["user_id"],
        api_url=front.api_url,
    )
    bot = SlackBot(config=config, account=me["team_id"], state=MemoryState(), desk=MemoryDesk())
    assert me["team_id"] == app["team_id"]
    await bot.start()
    yield Backed(
        front=front,
        bot=bot,
        owner=me["user_id"],
        tokens=tokens,
        channels={channel["name"]: channel["id"] for channel in listed["channels"]},
        url=url,
    )
    await bot.stop()
    await front.close()


async def history(backed: Backed, after: str | None = None, limit: int = 100) -> list[MessageNew]:
    return [one async for one in backed.bot.history(backed.chat("plans"), after=after, limit=limit)]


async def test_history_is_read_oldest_first_with_names_and_members(backed: Backed) -> None:
    read = await history(backed)
    assert [message.text for message in read] == [
        "Who is in on Friday?",
        "And who brings cake?",
        "See you there",
    ]
    assert {message.sender.name for message in read} == {"Jonas"}
    assert read[0].chat_title == "#plans"
    assert [member.name for member in read[0].members or ()] == ["Jonas"]
    assert [message.text for message in await history(backed, read[0].message_id, 1)] == [
        "And who brings cake?"
    ]


async def test_replies_are_read_in_their_thread(backed: Backed) -> None:
    root = (await history(backed))[1]
    thread = backed.chat("plans", root.message_id)
    read = [one async for one in backed.bot.history(thread, after=root.message_id, limit=9)]
    assert [(message.text, message.author, message.reply_to) for message in read] == [
        ("I do", Author.OWNER, root.message_id)
    ]


async def test_a_message_is_posted_as_the_owner_then_edited_reacted_to_and_deleted(backed: Backed) -> None:
    receipt = await backed.bot.send(backed.chat("plans"), Outgoing(key="s1", text="Count me in"))
    assert receipt.status is ReceiptStatus.SENT
    (standing,) = await backed.standing("plans")
    assert (standing["ts"], standing["text"]) == (receipt.message_ids[0], "Count me in")
    message = MessageRef(chat=backed.chat("plans"), id=receipt.message_ids[0])
    assert (await backed.bot.edit(message, "Count me out")).status is ReceiptStatus.SENT
    found = await backed.bot.fetch(message)
    assert found is not None
    assert (found.text, found.author) == ("Count me out", Author.SELF_AS_OWNER)
    assert (await backed.bot.react(message, "👍")).status is ReceiptStatus.SENT
    assert (await backed.standing("plans"))[0]["reactions"][0]["users"] == [backed.owner]
    assert (await backed.bot.react(message, "👍", added=False)).status is ReceiptStatus.SENT
    assert (await backed.bot.delete([message])).status is ReceiptStatus.SENT
    assert await backed.standing("plans") == []
    assert await backed.bot.fetch(message) is None


async def test_an_answer_in_a_thread_stands_in_the_thread_alone(backed: Backed) -> None:
    root = (await history(backed))[0].message_id
    await backed.bot.send(backed.chat("plans", root), Outgoing(key="s1", text="Me"))
    assert await backed.standing("plans") == []
    replies = await backed.call(MARA, "conversations.replies", channel=backed.channels["plans"], ts=root)
    assert [one["text"] for one in replies["messages"]] == ["Who is in on Friday?", "Me"]


async def test_a_private_channel_of_others_is_neither_read_nor_written(backed: Backed) -> None:
    receipt = await backed.bot.send(backed.chat("secret"), Outgoing(key="s1", text="hi"))
    assert receipt.status is ReceiptStatus.REFUSED
    with pytest.raises(PlatformError):
        _ = [one async for one in backed.bot.history(backed.chat("secret"), after=None, limit=1)]


async def test_a_message_read_live_and_from_history_is_one(backed: Backed) -> None:
    posted = await backed.call(
        JONAS, "chat.postMessage", channel=backed.channels["plans"], text="Bring forks"
    )
    event = posted["message"] | {"channel": backed.channels["plans"], "channel_type": "channel"}
    seen: list[MessageNew] = []
    await backed.front.bring_event(event | {"event_ts": posted["ts"]}, seen_by=backed.owner)
    async for live in backed.bot.events():
        assert isinstance(live, MessageNew)
        seen.append(live)
        await backed.bot.acknowledge(live)
        break
    await until(lambda: not backed.front.unconfirmed)
    read = (await history(backed))[-1]
    assert (read.key, read.text, read.sender, read.chat) == (
        seen[0].key,
        seen[0].text,
        seen[0].sender,
        seen[0].chat,
    )


async def test_a_token_that_backlot_does_not_know_is_told(backed: Backed) -> None:
    config = SlackConfig(
        bot_token=SecretStr("xoxb-guessed"),
        user_token=SecretStr("xoxp-guessed"),
        app_token=SecretStr(APP_TOKEN),
        owner_id=backed.owner,
        api_url=backed.front.api_url,
    )
    bot = SlackBot(config=config, account=backed.bot.account, state=MemoryState(), desk=MemoryDesk())
    with pytest.raises(AccessRevoked):
        await bot.start()
