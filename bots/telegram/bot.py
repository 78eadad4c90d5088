"""The Telegram bot: the owner's private chats through a business connection, groups as itself."""

from collections.abc import AsyncIterator, Sequence

from bots.telegram.cards import draft_id_of
from bots.telegram.config import TelegramConfig
from bots.telegram.connection import Connections
from bots.telegram.sending import MOST_TEXT
from bots.telegram.session import Given, Session, open_session
from bots.telegram.translate import PLATFORM
from bots.words import split_text, utf16_length
from core.bot import BotState, Capability, Card, Outgoing, Receipt, ReceiptStatus, Transcriber
from core.clock import Clock, SystemClock
from core.desk import Desk
from core.errors import AccessRevoked, NotConfigured, PlatformError
from core.events import ChatRef, Event, MessageRef

NOT_RUNNING = "The Telegram bot is not running."
AS_OWNER = Capability.SEND_AS_OWNER | Capability.EDIT | Capability.TYPING | Capability.STREAM
AS_BOT = Capability.SEND_AS_BOT | Capability.EDIT | Capability.DELETE | Capability.TYPING | Capability.STREAM


class TelegramBot:
    """One owner's account on Telegram."""

    def __init__(
        self,
        *,
        config: TelegramConfig,
        account: str,
        state: BotState,
        desk: Desk,
        clock: Clock | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        self._given = Given(
            config=config,
            account=account,
            state=state,
            desk=desk,
            clock=clock or SystemClock(),
            transcriber=transcriber,
            connections=Connections(config.owner_id, state),
        )
        self._session: Session | None = None
        self._next_update: int | None = None
        """Where reading goes on after a stop, also where Telegram could not be told."""

    @property
    def platform(self) -> str:
        return PLATFORM

    @property
    def account(self) -> str:
        return self._given.account

    @property
    def webhook_port(self) -> int | None:
        """The port that Telegram's calls arrive at; None while updates are polled."""
        webhook = self._session.webhook if self._session else None
        return webhook.port if webhook else None

    async def start(self) -> None:
        """Connect and listen. Raises `NotConfigured`, `AccessRevoked` or `PlatformError`, each with its cure."""
        if not self._given.config.owner_id.isdecimal():
            raise NotConfigured("LOCUM_TELEGRAM_OWNER_ID must be your own Telegram user id, a number.")
        if self._session is None:
            try:
                self._session = await open_session(self._given, self._next_update)
            except AccessRevoked:
                await self._given.desk.heard("revoked")
                raise

    async def stop(self) -> None:
        """Stop listening. What nobody acknowledged comes again at the next start."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            self._next_update = session.intake.ledger.offset

    async def events(self) -> AsyncIterator[Event]:
        """What happens, until `stop`; raises what ended the listening, if nobody wanted it to end."""
        session = self._session
        if session is None:
            return
        async for event in session.intake.mailbox.events():
            yield event
        if isinstance(session.failure, AccessRevoked):
            await self._given.desk.heard("revoked")
        if session.failure is not None:
            raise session.failure

    async def acknowledge(self, event: Event) -> None:
        if self._session is not None:
            await self._session.intake.acknowledge(event)

    def capabilities(self, chat: ChatRef) -> Capability:
        """As the owner in private chats, as far as the connection allows; as the bot in groups."""
        if chat.chat.startswith("-"):
            return AS_BOT
        connection = self._given.connections.current
        if connection is None or not connection.can_send or not chat.chat.isdecimal():
            return Capability.STREAM
        return AS_OWNER | Capability.DELETE if connection.can_delete else AS_OWNER

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        if self._session is None:
            return Receipt(status=ReceiptStatus.REFUSED, reason=NOT_RUNNING)
        return await self._session.sender.send(chat, message)

    async def edit(self, message: MessageRef, text: str) -> Receipt:
        """Change a message of ours."""
        if self._session is None:
            return Receipt(status=ReceiptStatus.REFUSED, reason=NOT_RUNNING)
        return await self._session.sender.edit(message, text)

    async def delete(self, messages: Sequence[MessageRef]) -> Receipt:
        """Take messages of ours back, all of one chat."""
        if self._session is None:
            return Receipt(status=ReceiptStatus.REFUSED, reason=NOT_RUNNING)
        return await self._session.sender.delete(messages)

    async def show_typing(self, chat: ChatRef) -> None:
        """For five seconds, the other side sees the owner typing."""
        if self._session is not None:
            await self._session.sender.show_typing(chat)

    async def show(self, card: Card) -> None:
        can_send = bool(self.capabilities(card.chat) & (Capability.SEND_AS_OWNER | Capability.SEND_AS_BOT))
        await self._running.cards.show(card, can_send=can_send)

    async def withdraw(self, card_key: str, outcome: str) -> None:
        await self._running.cards.withdraw(card_key, outcome)

    async def stream(self, card_key: str, text: str) -> None:
        """Show the owner a draft while it is being written; the card follows."""
        start = split_text(text, MOST_TEXT, utf16_length)
        await self._running.control.stream(draft_id_of(card_key), start[0] if start else "")

    @property
    def _running(self) -> Session:
        if self._session is None:
            raise PlatformError(NOT_RUNNING)
        return self._session
