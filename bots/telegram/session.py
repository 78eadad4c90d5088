"""What exists between a start and a stop of the bot: one client, and everything that speaks through it."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import structlog
from telegram import BotCommandScopeChat, User
from telegram.error import TelegramError

from bots.telegram.api import Api, ask, open_api
from bots.telegram.cards import Cards
from bots.telegram.commands import MENU, Commands
from bots.telegram.config import TelegramConfig
from bots.telegram.connection import Connections
from bots.telegram.control import Control
from bots.telegram.elsewhere import Elsewhere
from bots.telegram.hearing import Hearing
from bots.telegram.intake import Intake
from bots.telegram.listening import WebhookServer, confirm, poll
from bots.telegram.panels import Panels
from bots.telegram.presses import Presses
from bots.telegram.router import Router
from bots.telegram.sending import Pace, Sender
from bots.telegram.translate import Viewpoint
from core.bot import BotState, Transcriber
from core.clock import Clock
from core.desk import Desk

log = structlog.get_logger()

CONFIRM_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the bot was made with; it outlives every session."""

    config: TelegramConfig
    account: str
    state: BotState
    desk: Desk
    clock: Clock
    transcriber: Transcriber | None
    connections: Connections


@dataclass(slots=True, kw_only=True)
class Session:
    """Connected to Telegram, and listening."""

    api: Api
    sender: Sender
    cards: Cards
    control: Control
    intake: Intake
    failure: BaseException | None = None
    """Why listening ended by itself."""
    webhook: WebhookServer | None = None
    _polling: asyncio.Task[None] | None = field(default=None)

    async def listen(self, config: TelegramConfig) -> None:
        self.intake.mailbox.open()
        if config.webhook_url:
            self.webhook = WebhookServer(config, self.intake)
            await self.webhook.open(self.api)
        else:
            self._polling = asyncio.create_task(poll(self.api, config, self.intake))
            self._polling.add_done_callback(self._ended)

    async def close(self) -> None:
        """Stop listening, and tell Telegram what is safe."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])
        if self.webhook is not None:
            await self.webhook.close()
        await self.intake.close()
        if self._polling is not None and self.failure is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_SECONDS):
                    await confirm(self.api, self.intake)
        await self.api.shutdown()

    def _ended(self, polling: asyncio.Task[None]) -> None:
        if not polling.cancelled() and (error := polling.exception()) is not None:
            self.failure = error
            self.intake.mailbox.close()


async def open_session(given: Given, next_update: int | None) -> Session:
    """Connect, and listen from that update on. Raises `AccessRevoked` or `PlatformError` with its cure."""
    api = open_api(given.config)
    try:
        await ask(api.initialize())
        me = api.bot
        await given.connections.load()
        await given.connections.refresh(api)
        session = _assemble(given, api, me, await _viewpoint(given, api, me), next_update)
        await session.cards.load()
        await _offer_commands(api, given)
        await session.listen(given.config)
    except BaseException:
        await api.shutdown()
        raise
    return session


async def _viewpoint(given: Given, api: Api, me: User) -> Viewpoint:
    """Who is who. The owner's user name, by which groups call them, is told only once they pressed Start."""
    owner_username = ""
    try:
        owner_username = (await api.get_chat(int(given.config.owner_id))).username or ""
    except TelegramError as error:
        log.info("owner.not_met", error=type(error).__name__)
    return Viewpoint(
        account=given.account,
        owner_id=given.config.owner_id,
        bot_id=me.id,
        bot_username=me.username or "",
        owner_username=owner_username,
    )


async def _offer_commands(api: Api, given: Given) -> None:
    """The menu of commands, in the owner's chat alone."""
    try:
        await api.set_my_commands(MENU, BotCommandScopeChat(int(given.config.owner_id)))
    except TelegramError as error:
        log.info("menu.not_offered", error=type(error).__name__)


def _assemble(given: Given, api: Api, me: User, view: Viewpoint, next_update: int | None) -> Session:
    state, desk, clock, pace = given.state, given.desk, given.clock, Pace()
    control = Control(
        api, int(given.config.owner_id), given.connections, state, pace, topics=bool(me.has_topics_enabled)
    )
    cards = Cards(control, state, desk)
    panels = Panels(control=control, desk=desk, state=state, view=view, clock=clock)
    presses = Presses(
        api=api,
        view=view,
        cards=cards,
        control=control,
        panels=panels,
        desk=desk,
        state=state,
        clock=clock,
    )
    router = Router(
        api=api,
        view=view,
        connections=given.connections,
        control=control,
        commands=Commands(control=control, cards=cards, presses=presses, panels=panels, desk=desk),
        presses=presses,
        elsewhere=Elsewhere(api=api, view=view, cards=cards, desk=desk, state=state),
        hearing=Hearing(api=api, desk=desk, transcriber=given.transcriber),
        desk=desk,
        state=state,
        clock=clock,
    )
    return Session(
        api=api,
        sender=Sender(api, given.connections, pace),
        cards=cards,
        control=control,
        intake=Intake(router.understand, router.lost, next_update),
    )
