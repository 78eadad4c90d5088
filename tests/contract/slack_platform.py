"""Slack's bot with the double of its platform."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from bots.doubles.slack import APP_TOKEN, BOT_TOKEN, OWNER, OWNER_TOKEN, TEAM, SlackDouble, slack_double
from bots.doubles.slack_workspace import Json, actions_on
from bots.slack.bot import SlackBot
from bots.slack.config import SlackConfig
from bots.slack.markup import EMOJI
from core.bot import Transcriber
from core.events import Author, ChatRef, MessageNew, Person
from core.vocabulary import ChatKind
from tests.bots.standins import MemoryDesk, MemoryState

MANIFEST = Path(__file__).parents[2] / "deploy" / "slack-manifest.json"
CHATS = {"jonas": ("D0JONAS", "U0JONAS", "Jonas"), "dana": ("D0DANA", "U0DANA", "Dana")}


def config_for(double: SlackDouble, **changed: object) -> SlackConfig:
    given: dict[str, object] = {
        "bot_token": SecretStr(BOT_TOKEN),
        "user_token": SecretStr(OWNER_TOKEN),
        "app_token": SecretStr(APP_TOKEN),
        "owner_id": OWNER,
        "api_url": double.api_url,
        **changed,
    }
    return SlackConfig(**given)  # pyright: ignore[reportArgumentType] -- a test's own words


@dataclass(slots=True, kw_only=True)
class Slack:
    double: SlackDouble
    state: MemoryState = field(default_factory=MemoryState)
    desk: MemoryDesk = field(default_factory=MemoryDesk)
    bot: SlackBot = field(init=False)

    def __post_init__(self) -> None:
        for chat, user, name in CHATS.values():
            self.double.workspace.add_user(user, name)
            self.double.workspace.add_channel(chat, "im", [OWNER, user])
        self.bot = self.new_bot()

    def new_bot(
        self, *, account: str = TEAM, transcriber: Transcriber | None = None, **changed: object
    ) -> SlackBot:
        """Another life of the bot, on the same state."""
        return SlackBot(
            config=config_for(self.double, **changed),
            account=account,
            state=self.state,
            desk=self.desk,
            transcriber=transcriber,
        )

    def chat(self, name: str) -> ChatRef:
        return ChatRef(platform="slack", account=TEAM, chat=CHATS[name][0])

    async def somebody_writes(self, chat: str, text: str) -> MessageNew:
        channel, user, name = CHATS[chat]
        stamp = await self.double.writes(user, channel, text)
        person = Person(id=user, name=name)
        return MessageNew(
            key=f"message:{channel}:{stamp}",
            chat=self.chat(chat),
            at=datetime.fromtimestamp(float(stamp), UTC),
            message_id=stamp,
            sender=person,
            author=Author.CONTACT,
            text=text,
            chat_kind=ChatKind.DIRECT,
            chat_title=name,
            members=(person,),
        )

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        return self.double.standing(CHATS[chat][0])

    def open_cards(self) -> Iterable[str]:
        return [
            key.removeprefix("card:")
            for key, kept in self.state.kept.items()
            if key.startswith("card:") and actions_on(self._message(kept))
        ]

    def drafts_on(self, card_key: str) -> list[str]:
        found: dict[str, str] = {}
        for block in self._message(self.state.kept[f"card:{card_key}"]).get("blocks", []):
            if block.get("block_id", "").startswith("draft:"):
                draft = block["block_id"].split(":")[1]
                found[draft] = found.get(draft, "") + block["text"]["text"]
        return list(found.values())

    async def press(self, card_key: str, label: str) -> None:
        await self.double.presses(self._message(self.state.kept[f"card:{card_key}"]), label)

    async def quiet(self) -> None:
        """Everything that was brought is confirmed."""
        async with asyncio.timeout(6):
            while self.double.unconfirmed:  # noqa: ASYNC110 -- nobody tells when
                await asyncio.sleep(0.01)

    def _message(self, kept: str) -> Json:
        return self.double.workspace.app_channel().messages.get(json.loads(kept)["ts"], {})

    def reactions_on(self, chat: str, message_id: str) -> list[str]:
        message = self.double.workspace.channels[CHATS[chat][0]].messages[message_id]
        signs = {name: sign for sign, name in reversed(EMOJI.items())}
        return [signs[one["name"]] for one in message.get("reactions", []) if OWNER in one["users"]]


@asynccontextmanager
async def slack() -> AsyncGenerator[Slack]:
    async with slack_double(json.loads(MANIFEST.read_text())) as double:
        yield Slack(double=double)


@asynccontextmanager
async def repeating_slack() -> AsyncGenerator[Slack]:
    """One where everything comes by two subscriptions."""
    async with slack_double(json.loads(MANIFEST.read_text())) as double:
        double.twice = True
        yield Slack(double=double)
