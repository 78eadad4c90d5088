"""The owner's account on Discord: what the bot hears becomes events, and what core sends is said as the app."""

from collections.abc import AsyncIterator, Sequence

from bots.discord.back_fill import BackFill
from bots.discord.cards import Cards
from bots.discord.commands import Commands
from bots.discord.config import DiscordConfig
from bots.discord.intake import Intake
from bots.discord.interactions import Interactions
from bots.discord.places import PLATFORM, Places
from bots.discord.progress import Progress
from bots.discord.raw import Raw
from bots.discord.rest import MESSAGE, Api, Refused, Unsure, at
from bots.discord.sending import MOST_TEXT, NO_MENTIONS, Sender
from bots.discord.session import Session
from bots.discord.tickets import Tickets
from bots.discord.translate import message_new
from bots.mailbox import Mailbox
from core.bot import BotState, Capability, Card, Outgoing, Receipt, ReceiptStatus, Transcriber
from core.clock import Clock, SystemClock
from core.desk import Desk
from core.errors import PlatformError
from core.events import ChatRef, Event, MessageNew, MessageRef


class DiscordBot:
    """One owner's Discord account, through one application."""

    def __init__(
        self,
        *,
        config: DiscordConfig,
        account: str,
        state: BotState,
        desk: Desk,
        clock: Clock | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        self._account, self._clock = account, clock or SystemClock()
        self._mailbox, self._progress = Mailbox(), Progress()
        self._api = Api(lambda: self._session.http, config.patience)
        self._places = Places(account, self._api, state)
        self._places.client = lambda: self._session.client
        self._tickets = Tickets(state, self._clock)
        self._cards = Cards(self._api, state, self._places, self._tickets, self._clock)
        self._sender = Sender(self._api, self._places, self._tickets)
        self._back_fill = BackFill(self._api, self._places, desk, config.back_fill)
        self._intake = Intake(
            mailbox=self._mailbox,
            progress=self._progress,
            places=self._places,
            api=self._api,
            commands=Commands(self._api, desk, self._clock),
            interactions=Interactions(
                self._api,
                self._places,
                self._tickets,
                desk,
                self._clock,
                config.owner_id,
                lambda ticket: self._intake.lanes.run(self._cards.give_up(ticket)),
            ),
            desk=desk,
            transcriber=transcriber,
            clock=self._clock,
        )
        self._session = Session(
            config=config,
            state=state,
            api=self._api,
            places=self._places,
            tickets=self._tickets,
            progress=self._progress,
            intake=self._intake,
            back_fill=self._back_fill,
            clock=self._clock,
        )

    # ── the bot, as core sees it ─────────────────────────────────────────────────────────────

    @property
    def platform(self) -> str:
        return PLATFORM

    @property
    def account(self) -> str:
        return self._account

    async def start(self) -> None:
        """Log in and resume. Raises `AccessRevoked` where the token is no good, else `PlatformError`."""
        await self._session.open()
        self._mailbox.open()

    async def stop(self) -> None:
        self._mailbox.close()
        await self._session.close()

    async def events(self) -> AsyncIterator[Event]:
        """Until `stop`, or until Discord is lost: then it raises what happened."""
        async for event in self._mailbox.events():
            yield event
        if self._session.failure is not None:
            raise self._session.failure

    async def acknowledge(self, event: Event) -> None:
        self._mailbox.acknowledge(event)
        self._progress.acknowledge(event.key)
        await self._session.write_progress()

    def capabilities(self, chat: ChatRef) -> Capability:
        able = self._places.capabilities(chat)
        return able if self._tickets.for_posting(chat.chat) is None else able | Capability.SEND_AS_BOT

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        return await self._sender.send(chat, message)

    async def show(self, card: Card) -> None:
        await self._cards.show(card)

    async def withdraw(self, card_key: str, outcome: str) -> None:
        await self._cards.withdraw(card_key, outcome)

    # ── what a bot in a channel can do besides ───────────────────────────────────────────────

    async def edit(self, message: MessageRef, text: str) -> Receipt:
        if len(text) > MOST_TEXT:
            return Receipt(status=ReceiptStatus.REFUSED, reason=f"it is longer than {MOST_TEXT} characters")
        body: Raw = {"content": text, "allowed_mentions": NO_MENTIONS}
        return await self._done("PATCH", MESSAGE, message, body)

    async def delete(self, messages: Sequence[MessageRef]) -> Receipt:
        """One after the other; ends at the first that is refused."""
        receipt = Receipt(status=ReceiptStatus.SENT)
        for message in messages:
            receipt = await self._done("DELETE", MESSAGE, message)
            if receipt.status is not ReceiptStatus.SENT:
                break
        return receipt

    async def react(self, message: MessageRef, emoji: str, *, added: bool = True) -> Receipt:
        path = f"{MESSAGE}/reactions/{{emoji}}/@me"
        return await self._done("PUT" if added else "DELETE", path, message, emoji=emoji)

    async def show_typing(self, chat: ChatRef) -> None:
        await self._api.call("POST", at("/channels/{channel_id}/typing", channel_id=chat.chat))

    def history(self, chat: ChatRef, *, after: str | None, limit: int) -> AsyncIterator[MessageNew]:
        return self._back_fill.history(chat, self._intake.who, after=after, limit=limit)

    async def fetch(self, message: MessageRef) -> MessageNew | None:
        chat = message.chat.chat
        try:
            raw: Raw = await self._api.read(at(MESSAGE, channel_id=chat, message_id=message.id))
        except Refused:
            return None
        guild = None if self._places.is_direct(chat) else "server"
        place = await self._places.of(chat, guild=guild, author=raw["author"])
        return message_new(raw, place, self._intake.who, backfilled=True)

    async def _done(
        self, method: str, path: str, message: MessageRef, body: Raw | None = None, **more: str
    ) -> Receipt:
        where = at(path, channel_id=message.chat.chat, message_id=message.id, **more)
        try:
            await self._api.call(method, where, body)
        except Unsure as error:
            return Receipt(status=ReceiptStatus.UNKNOWN, reason=str(error))
        except PlatformError as error:
            return Receipt(status=ReceiptStatus.REFUSED, reason=str(error))
        return Receipt(status=ReceiptStatus.SENT, message_ids=(message.id,))
