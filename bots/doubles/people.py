"""The people on each platform's double: a contact, and the owner with the platform's own buttons before them.

Every platform has the same face, so that one script runs on all three; what a platform cannot do is said
in `cannot`, and never faked.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import SecretStr

from bots.discord.bot import DiscordBot
from bots.discord.config import DiscordConfig
from bots.doubles.discord import FakeDiscord
from bots.doubles.slack import APP_TOKEN, BOT_TOKEN, OWNER, OWNER_TOKEN, TEAM, SlackDouble, slack_double
from bots.doubles.telegram import TelegramDouble
from bots.doubles.telegram_shapes import Json
from bots.doubles.telegram_world import person
from bots.slack.bot import SlackBot
from bots.slack.config import SlackConfig
from bots.telegram.bot import TelegramBot
from bots.telegram.config import TelegramConfig
from core.bot import Bot, BotState
from core.desk import Desk

MARA = person(1001, "Mara", "mara")
JONAS = person(42, "Jonas", "jonas")

LONG = 20.0
"""Seconds in which something must have happened."""


async def until(is_so: Callable[[], object], seconds: float = LONG, *, every: float = 0.005) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 -- what is waited for knows of no event
            await asyncio.sleep(every)


class Hands(Protocol):
    """One platform's people. `chat` is where the contact and the owner talk."""

    @property
    def platform(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def owner_id(self) -> str: ...

    @property
    def chat(self) -> str: ...

    @property
    def cannot(self) -> dict[str, str]:
        """Steps of the day that this platform does not know, and why."""
        ...

    def bot(self, state: BotState, desk: Desk) -> Bot: ...

    async def contact_writes(self, text: str) -> Any: ...

    async def contact_edits(self, message: Any, text: str) -> None: ...

    async def contact_deletes(self, message: Any) -> None: ...

    async def owner_types(self, text: str) -> None: ...

    def cards(self) -> int:
        """How many cards with buttons the owner has before them."""
        ...

    def pressed_card_says(self) -> str:
        """All that the bot wrote to the owner, as it reads now."""
        ...

    async def owner_edits_and_sends(self, text: str) -> None: ...

    async def owner_discards(self) -> None: ...

    async def owner_says(self, command: str) -> None:
        """A command in the owner's chat with the bot, as `pause 3`."""
        ...

    async def owner_forgets(self, name: str) -> None: ...

    def ours(self) -> list[str]:
        """What the contact reads that came through Locum, oldest first."""
        ...


# ─── Telegram ────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class OnTelegram:
    double: TelegramDouble
    platform: str = "telegram"
    account: str = "1001"
    owner_id: str = "1001"
    contact: str = "42"
    chat: str = "42"
    cannot: dict[str, str] = field(default_factory=dict[str, str])

    def bot(self, state: BotState, desk: Desk) -> Bot:
        config = TelegramConfig(
            token=SecretStr(self.double.token), owner_id=self.owner_id, api_url=self.double.url
        )
        return TelegramBot(config=config, account=self.account, state=state, desk=desk)

    async def contact_writes(self, text: str) -> Json:
        return self.double.world.contact_writes(JONAS, text)

    async def contact_edits(self, message: Json, text: str) -> None:
        self.double.world.edits(message, text)

    async def contact_deletes(self, message: Json) -> None:
        self.double.world.deletes(message)

    async def owner_types(self, text: str) -> None:
        self.double.world.owner_types(JONAS, text)

    def cards(self) -> int:
        return sum(label == "Discard" for label in self.double.world.labels())

    def pressed_card_says(self) -> str:
        return "\n".join(self.double.world.bot_said())

    async def owner_edits_and_sends(self, text: str) -> None:
        label = next(label for label in self.double.world.labels() if label.startswith("Edit"))
        self.double.world.owner_presses(label)
        await until(lambda: "answer to this message" in self.double.world.bot_said()[-1], LONG)
        self.double.world.owner_answers(self.double.world.owner_sees()[-1], text)

    async def owner_discards(self) -> None:
        self.double.world.owner_presses("Discard")

    async def owner_says(self, command: str) -> None:
        self.double.world.owner_writes(f"/{command}")

    async def owner_forgets(self, name: str) -> None:
        await self.owner_says(f"forget {name}")
        await until(lambda: "Forget it" in self.double.world.labels(), LONG)
        self.double.world.owner_presses("Forget it")

    def ours(self) -> list[str]:
        chat = self.double.world.messages["business", 42].values()
        return [message["text"] for message in chat if "sender_business_bot" in message]


@asynccontextmanager
async def on_telegram(*, validate: bool = True) -> AsyncGenerator[OnTelegram]:
    async with TelegramDouble(owner=MARA, validate=validate) as double:
        double.world.connects()
        double.world.opens_window(JONAS)
        yield OnTelegram(double=double)
        if double.wrong:
            raise AssertionError(f"the Bot API would not have understood: {double.wrong}")


# ─── Slack ───────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class OnSlack:
    double: SlackDouble
    platform: str = "slack"
    account: str = TEAM
    owner_id: str = OWNER
    contact: str = "U0JONAS"
    chat: str = "D0JONAS"
    cannot: dict[str, str] = field(default_factory=dict[str, str])
    _types: set[str] = field(default_factory=set[str])

    def bot(self, state: BotState, desk: Desk) -> Bot:
        config = SlackConfig(
            bot_token=SecretStr(BOT_TOKEN),
            user_token=SecretStr(OWNER_TOKEN),
            app_token=SecretStr(APP_TOKEN),
            owner_id=OWNER,
            api_url=self.double.api_url,
        )
        return SlackBot(config=config, account=self.account, state=state, desk=desk)

    async def contact_writes(self, text: str) -> str:
        return await self.double.writes(self.contact, self.chat, text)

    async def contact_edits(self, message: str, text: str) -> None:
        await self.double.rewrites(self.chat, message, text)

    async def contact_deletes(self, message: str) -> None:
        await self.double.erases(self.chat, message)

    async def owner_types(self, text: str) -> None:
        self._types.add(await self.double.writes(OWNER, self.chat, text))

    def cards(self) -> int:
        return len(self.double.cards())

    def pressed_card_says(self) -> str:
        return "\n".join(self.double.said_by_app())

    async def owner_edits_and_sends(self, text: str) -> None:
        card = self.double.cards()[-1]
        label = next(
            element["text"]["text"]
            for block in card["blocks"]
            for element in [*block.get("elements", []), block.get("accessory", {})]
            if element.get("type") == "button" and element["text"]["text"].startswith("Edit")
        )
        await self.double.presses(card, label)
        await until(lambda: bool(self.double.workspace.views), LONG)
        (view,) = self.double.workspace.views.values()
        await self.double.submits(view["id"], text)

    async def owner_discards(self) -> None:
        await self.double.presses(self.double.cards()[-1], "Discard")

    async def owner_says(self, command: str) -> None:
        await self.double.tells_app(command)

    async def owner_forgets(self, name: str) -> None:
        await self.owner_says(f"forget {name}")
        await until(lambda: f"forget {name} for good" in self.pressed_card_says(), LONG)
        await self.owner_says(f"forget {name} for good")

    def ours(self) -> list[str]:
        return [text for stamp, text in self.double.standing(self.chat) if stamp not in self._types]


@asynccontextmanager
async def on_slack(manifest: Json | None = None) -> AsyncGenerator[OnSlack]:
    """With the app's manifest, only what it asks for is allowed."""
    async with slack_double(manifest) as double:
        double.workspace.add_user("U0JONAS", "Jonas")
        double.workspace.add_channel("D0JONAS", "im", [OWNER, "U0JONAS"])
        yield OnSlack(double=double)


# ─── Discord ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class OnDiscord:
    """In a server that the bot is a member of: there it hears both sides. Who writes names the owner."""

    server: FakeDiscord
    contact: str
    chat: str
    direct: bool = False
    """The contact writes to the bot itself: there the owner's own words are not seen."""
    platform: str = "discord"
    cannot: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def account(self) -> str:
        return self.server.owner

    @property
    def owner_id(self) -> str:
        return self.server.owner

    @property
    def _control(self) -> str:
        return self.server.dm_with_bot(self.server.owner)

    def bot(self, state: BotState, desk: Desk) -> Bot:
        config = DiscordConfig(
            token=SecretStr(self.server.token),
            owner_id=self.server.owner,
            api_url=self.server.api_url,
            gateway_url=self.server.gateway_url,
            message_content=True,
        )
        return DiscordBot(config=config, account=self.account, state=state, desk=desk)

    async def contact_writes(self, text: str) -> Any:
        called = "" if self.direct else f"<@{self.server.owner}> "
        return await self.server.say(self.contact, self.chat, f"{called}{text}")

    async def contact_edits(self, message: Any, text: str) -> None:
        await self.server.rewrite(message, text)

    async def contact_deletes(self, message: Any) -> None:
        await self.server.erase(message)

    async def owner_types(self, text: str) -> None:
        await self.server.say(self.server.owner, self.chat, text)

    def _said(self) -> list[Any]:
        return self.server.standing_in(self._control, by=self.server.bot)

    def cards(self) -> int:
        return sum(bool(message["components"]) for message in self._said())

    def pressed_card_says(self) -> str:
        return "\n".join(message["content"] for message in self._said())

    async def _press(self, label: str) -> Any:
        shown = next(message for message in reversed(self._said()) if message["components"])
        button = next(
            each["custom_id"]
            for row in shown["components"]
            for each in row["components"]
            if each["label"].startswith(label)
        )
        return await self.server.press(self.server.owner, shown, button, user_only=False)

    async def owner_discards(self) -> None:
        await self._press("Discard")

    async def owner_edits_and_sends(self, text: str) -> None:
        asked = await self._press("Edit")
        await until(lambda: asked.kind is not None, LONG)
        await self.server.submit(self.server.owner, asked, text)

    async def owner_says(self, command: str) -> None:
        await self.server.say(self.server.owner, self._control, command)

    async def owner_forgets(self, name: str) -> None:
        await self.owner_says(f"forget {name}")
        await until(lambda: f"really forget {name}" in self.pressed_card_says(), LONG)
        await self.owner_says(f"really forget {name}")

    def ours(self) -> list[str]:
        return [message["content"] for message in self.server.standing_in(self.chat, by=self.server.bot)]


@asynccontextmanager
async def on_discord(*, direct: bool = False) -> AsyncGenerator[OnDiscord]:
    async with FakeDiscord() as server:
        contact = server.add_user("200000000000000001", "Jonas")
        channel = server.add_channel("general", server.add_guild("Climbing"))
        yield OnDiscord(
            server=server,
            contact=contact,
            chat=server.dm_with_bot(contact) if direct else channel,
            direct=direct,
            cannot={
                "reply in the owner's name": "nothing posts as the user on Discord: it is the app that speaks"
            },
        )
