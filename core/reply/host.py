"""Hosting a bot: its events into the inbox, the outbox and the cards out to it.

One process hosts each account's bot; any number of processes answer turns.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
import structlog
from psycopg_pool import PoolTimeout
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.bot import FORGOTTEN, Bot, Capability, Outgoing, Receipt, ReceiptStatus, StreamsDrafts
from core.cancelled import is_cancelled
from core.clock import Clock
from core.events import ChatRef
from core.ids import MessageId, TurnId
from core.memory.messages import NewMessage, store_message
from core.reply.cards import (
    card_key,
    cards_to_show,
    cards_to_withdraw,
    drop_orphan,
    expire_card,
    mark_shown,
    mark_withdrawn,
    orphaned_cards,
    overdue_cards,
)
from core.reply.inbox import Lane, lock_lane
from core.reply.outbox import (
    Send,
    abandoned_sends,
    attach_message,
    claim_send,
    close_send,
    give_back,
    recover_send,
    reopen,
    settle,
    state_after,
    waiting_send,
)
from core.reply.path import ReplyPath
from core.reply.patience import Patience
from core.reply.situation import Account, source_of
from core.reply.turns import is_turn_of
from core.storage.database import Connection, Database
from core.storage.live import subscribe
from core.vocabulary import OutboxState

log = structlog.get_logger()

RECEIPT_SECONDS = 300.0
"""How long a receipt is kept in memory while Postgres is away."""

Announce = Callable[[Lane], Awaitable[object]]


def _nobody_is_told() -> None:
    """The bot has started, and nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotHost:
    """One bot and the rows of its account."""

    bot: Bot
    account: Account
    path: ReplyPath
    name: str = field(default_factory=lambda: f"host-{uuid.uuid4().hex[:8]}")
    _news: tuple[asyncio.Event, asyncio.Event] = field(
        default_factory=lambda: (asyncio.Event(), asyncio.Event()), repr=False
    )
    """Set when there may be something to send, and something to show."""

    @property
    def _database(self) -> Database:
        return self.path.database

    @property
    def _clock(self) -> Clock:
        return self.path.clock

    # ─── in ──────────────────────────────────────────────────────────────────────────────────

    async def take_in(self, announce: Announce) -> None:
        """Every event of the bot: stored, then acknowledged, then announced to the workers."""
        async for event in self.bot.events():
            await self.path.receive(self.account, event)
            self.path.on_step("acknowledge")
            await self.bot.acknowledge(event)
            await announce(
                Lane(owner_id=self.account.owner_id, account_id=self.account.id, chat=event.chat.chat)
            )

    # ─── out ─────────────────────────────────────────────────────────────────────────────────

    async def send_due(self) -> int:
        """How many messages were handed to the platform just now."""
        sent = 0
        while True:
            asked_at = time.monotonic()
            send = await self.claim()
            if send is None:
                return sent
            if time.monotonic() - asked_at > self.path.patience.send - self.path.patience.send_timeout:
                await self._give_back(send)
                continue
            await self._finish(self._post_and_settle(send))
            sent += 1

    async def _post_and_settle(self, send: Send) -> None:
        await self.settle(send, await self.post(send))

    async def _finish(self, sending: Coroutine[None, None, None]) -> None:
        """Once begun, a send is brought to its receipt, also when the host is told to stop meanwhile."""
        task = asyncio.create_task(sending)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self.path.patience.send_timeout)
            raise

    async def claim(self) -> Send | None:
        """The next send, held by this host; None when none is due."""
        owner_id = self.account.owner_id
        while True:
            self.path.on_step("claim")
            async with self._database.owner(owner_id) as connection:
                waiting = await waiting_send(connection, owner_id, self.account.id, self._clock.now())
                if waiting is None:
                    return None
                send_id, lane = waiting
                send = await claim_send(
                    connection, lane, send_id, self.name, self._clock.now(), self.path.patience.send
                )
                self.path.on_step("claimed")
            if send is not None:
                return send

    async def _give_back(self, send: Send) -> None:
        """This process slept since it took the send: another may hold it by now, so it is not tried here."""
        log.warning("send.late", outbox_id=send.id)
        async with self._database.owner(self.account.owner_id) as connection:
            await give_back(connection, self.account.owner_id, send, self.name)

    async def post(self, send: Send) -> Receipt:
        """The platform's receipt; silence, an exception or a timeout is `unknown`."""
        self.path.on_step("send")
        chat = ChatRef(
            platform=self.account.platform,
            account=self.account.name,
            chat=send.platform_chat_id,
            thread=send.platform_thread_id,
        )
        message = Outgoing(key=send.send_key, text=send.text, reply_to=send.reply_to)
        try:
            async with asyncio.timeout(self.path.patience.send_timeout):
                return await self.bot.send(chat, message)
        except Exception as error:  # noqa: BLE001 -- around one message: whatever failed, its fate is unknown
            log.warning("send.unknown", outbox_id=send.id, error=type(error).__name__)
            return Receipt(status=ReceiptStatus.UNKNOWN, reason=type(error).__name__)

    async def settle(self, send: Send, receipt: Receipt) -> None:
        """Write the receipt down; a database that is away for a while is waited for, as nobody else knows it."""
        self.path.on_step("receipt")
        deadline = time.monotonic() + RECEIPT_SECONDS
        while True:
            try:
                await self._write_receipt(send, receipt)
            except (psycopg.OperationalError, PoolTimeout) as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("receipt.delayed", outbox_id=send.id, error=type(error).__name__)
                await asyncio.sleep(self.path.patience.idle)
            else:
                return

    async def _write_receipt(self, send: Send, receipt: Receipt) -> None:
        """The receipt, the message as L0 has it, and the turn's end, in one transaction."""
        owner_id = self.account.owner_id
        state = state_after(receipt, send)
        async with self._database.owner(owner_id) as connection:
            await lock_lane(
                connection, Lane(owner_id=owner_id, account_id=self.account.id, chat=send.platform_chat_id)
            )
            if not await settle(
                connection,
                owner_id,
                send.id,
                state,
                reason=receipt.reason
                or ("" if state is OutboxState.SENT else "the platform did not say why"),
                platform_ids=receipt.message_ids,
                holder=self.name,
            ):
                return
            if state is OutboxState.REFUSED:
                await reopen(connection, owner_id, send, receipt.reason)
            else:
                if state is OutboxState.SENT:
                    message_id = await self._keep(connection, send, receipt)
                    await attach_message(connection, owner_id, send.draft_id, message_id)
                await close_send(connection, owner_id, send, state)
            self.path.on_step("received")
        log.info("message.settled", outbox_id=send.id, state=state, origin=send.origin)

    async def _keep(self, connection: Connection, send: Send, receipt: Receipt) -> MessageId:
        owner_id = self.account.owner_id
        cursor = await connection.execute(
            "SELECT audience_id FROM chats WHERE owner_id = %s AND id = %s", [owner_id, send.chat_id]
        )
        row = await cursor.fetchone()
        if row is None:
            raise LookupError(f"chat {send.chat_id} is gone")
        message_id, _ = await store_message(
            connection,
            owner_id,
            NewMessage(
                chat_id=send.chat_id,
                thread_id=send.thread_id,
                platform_message_id=receipt.message_ids[0] if receipt.message_ids else send.send_key,
                sender_id=None,
                sender_name=self.account.owner_name,
                origin=send.origin,
                sent_at=receipt.at or self._clock.now(),
                text=send.text,
                reply_to=send.reply_to,
                automatic=False,
                mentions_owner=False,
                audience_id=row[0],
                source_id=await source_of(connection, self.account),
            ),
        )
        return message_id

    # ─── cards ───────────────────────────────────────────────────────────────────────────────

    async def show_cards(self) -> None:
        """Show what is new, take away what is over. A card that its platform refuses holds up no other."""
        owner_id = self.account.owner_id
        await self._expire_cards()
        async with self._database.owner(owner_id) as connection:
            cards = await cards_to_show(connection, owner_id, self.account.id)
            gone = await cards_to_withdraw(connection, owner_id, self.account.id)
            orphans = await orphaned_cards(connection, owner_id, self.account.id)
        for showing in cards:
            self.path.on_step("show")
            if await self._platform_takes(showing.card.key, self.bot.show(showing.card)):
                self.path.on_step("shown")
                async with self._database.owner(owner_id) as connection:
                    await mark_shown(connection, owner_id, showing)
        for withdrawal in gone:
            key = card_key(owner_id, withdrawal.turn_id)
            if await self._platform_takes(key, self.bot.withdraw(key, withdrawal.outcome)):
                self.path.on_step("withdrawn")
                async with self._database.owner(owner_id) as connection:
                    await mark_withdrawn(connection, owner_id, withdrawal)
        for key in orphans:
            if await self._platform_takes(key, self.bot.withdraw(key, FORGOTTEN)):
                async with self._database.owner(owner_id) as connection:
                    await drop_orphan(connection, owner_id, self.account.id, key)

    async def _expire_cards(self) -> None:
        owner_id = self.account.owner_id
        async with self._database.owner(owner_id) as connection:
            overdue = await overdue_cards(
                connection, owner_id, self.account.id, self._clock.now(), self.path.timing.card
            )
        for turn_id, lane in overdue:
            async with self._database.owner(owner_id) as connection:
                await expire_card(connection, lane, turn_id)

    async def _platform_takes(self, card: str, call: Awaitable[None]) -> bool:
        try:
            async with asyncio.timeout(self.path.patience.send_timeout):
                await call
        except Exception as error:  # noqa: BLE001 -- around one card: it is tried again in the next round
            log.warning("card.failed", card=card, error=type(error).__name__)
            return False
        return True

    async def recover(self) -> int:
        """How many sends were left in flight by a host that died; see outbox.py."""
        owner_id = self.account.owner_id
        idempotent = Capability.IDEMPOTENT_SEND in self.bot.capabilities(
            ChatRef(platform=self.account.platform, account=self.account.name, chat="")
        )
        async with self._database.owner(owner_id) as connection:
            abandoned = await abandoned_sends(connection, owner_id, self.account.id)
        for send_id, lane in abandoned:
            self.path.on_step("recover")
            async with self._database.owner(owner_id) as connection:
                await recover_send(connection, lane, send_id, idempotent=idempotent)
        return len(abandoned)

    # ─── running ─────────────────────────────────────────────────────────────────────────────

    async def run(
        self,
        announce: Announce,
        on_started: Callable[[], None] = _nobody_is_told,
        *,
        redis: Redis | None = None,
    ) -> None:
        """Host the bot until cancelled, or until its platform fails: then the bot's own error is raised.

        With `redis`, what workers bring about is sent and shown at once; else at the next look.
        """
        patience = self.path.patience
        try:
            await self.bot.start()
            on_started()
            async with asyncio.TaskGroup() as tasks:
                # Events that end, or an event that fails, are asked for again: unacknowledged ones come again.
                tasks.create_task(repeat("events", lambda: self.take_in(announce), patience))
                outbox, cards = self._news
                tasks.create_task(repeat("outbox", self.send_due, patience, news=outbox))
                tasks.create_task(repeat("cards", self.show_cards, patience, news=cards))
                tasks.create_task(repeat("recovery", self.recover, patience, seconds=patience.recovery))
                if redis is not None:
                    tasks.create_task(repeat("news", lambda: self._listen(redis), patience))
        finally:  # also after a start that failed or was cancelled half-way: nothing of it may stay open
            await self.bot.stop()

    async def _listen(self, redis: Redis) -> None:
        """Have the outbox and the cards looked at whenever something changed for this owner."""
        async with subscribe(redis, self.account.owner_id) as topics:
            async for topic in topics:
                if topic.startswith("turn:"):
                    await self._drafting(TurnId(int(topic.removeprefix("turn:"))))
                    continue
                for news in self._news:
                    news.set()

    async def _drafting(self, turn_id: TurnId) -> None:
        """Show the owner, where the platform can, that a card is being written; nobody else sees it."""
        if not isinstance(self.bot, StreamsDrafts):
            return
        owner_id = self.account.owner_id
        async with self._database.owner(owner_id) as connection:
            mine = await is_turn_of(connection, owner_id, self.account.id, turn_id)
        if mine:
            key = card_key(owner_id, turn_id)
            await self._platform_takes(key, self.bot.stream(key, ""))


async def repeat(
    name: str,
    step: Callable[[], Awaitable[object]],
    patience: Patience,
    *,
    seconds: float | None = None,
    news: asyncio.Event | None = None,
) -> None:
    """Take a step again and again, `idle` seconds apart unless told, and at once when there is news.

    A server that is away delays it.
    """
    while not is_cancelled():
        if news is not None:
            news.clear()
        try:
            await step()
        except (psycopg.OperationalError, PoolTimeout, RedisError, OSError) as error:
            log.warning("step.failed", step=name, error=type(error).__name__)
            await asyncio.sleep(patience.away)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # Somebody else's wish: a library cancelled a task of its own that the step waited for.
            log.warning("step.given_up", step=name)
            await asyncio.sleep(patience.away)
        await _wait(news, patience.idle if seconds is None else seconds)


async def _wait(news: asyncio.Event | None, seconds: float) -> None:
    if news is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
