"""Hosting a bot: its events into the inbox, the outbox and the cards out to it.

One process hosts each account's bot; any number of processes answer turns.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import psycopg
import structlog
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from core.bot import Bot, Capability, Outgoing, Receipt, ReceiptStatus
from core.clock import Clock
from core.events import ChatRef
from core.ids import MessageId
from core.memory.messages import NewMessage, store_message
from core.memory.people import ensure_source
from core.reply.cards import (
    card_key,
    cards_to_show,
    cards_to_withdraw,
    expire_cards,
    mark_shown,
    mark_withdrawn,
)
from core.reply.inbox import Lane
from core.reply.outbox import (
    Send,
    attach_message,
    next_send,
    recover_abandoned,
    reopen,
    settle,
    state_after,
)
from core.reply.path import ReplyPath
from core.reply.situation import Account
from core.reply.turns import close_card
from core.storage.database import Connection, Database
from core.vocabulary import OutboxState, SourceKind

log = structlog.get_logger()

SEND_TIMEOUT_SECONDS = 30.0
IDLE_SECONDS = 0.3
RECOVERY_SECONDS = 15.0
AWAY_SECONDS = 2.0

Announce = Callable[[Lane], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BotHost:
    """One bot and the rows of its account."""

    bot: Bot
    account: Account
    path: ReplyPath
    name: str = field(default_factory=lambda: f"host-{uuid.uuid4().hex[:8]}")

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
            await self.bot.acknowledge(event)
            await announce(
                Lane(owner_id=self.account.owner_id, account_id=self.account.id, chat=event.chat.chat)
            )

    # ─── out ─────────────────────────────────────────────────────────────────────────────────

    async def send_due(self) -> int:
        """How many messages were handed to the platform just now."""
        sent = 0
        while (send := await self._claim()) is not None:
            receipt = await self._send(send)
            await self._settle(send, receipt)
            sent += 1
        return sent

    async def _claim(self) -> Send | None:
        self.path.on_step("claim")
        async with self._database.owner(self.account.owner_id) as connection:
            return await next_send(
                connection, self.account.owner_id, self.account.id, self.name, self._clock.now()
            )

    async def _send(self, send: Send) -> Receipt:
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
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                return await self.bot.send(chat, message)
        except Exception as error:  # noqa: BLE001 -- around one message: whatever failed, its fate is unknown
            log.warning("send.unknown", outbox_id=send.id, error=type(error).__name__)
            return Receipt(status=ReceiptStatus.UNKNOWN, reason=type(error).__name__)

    async def _settle(self, send: Send, receipt: Receipt) -> None:
        """The receipt, the message as L0 has it, and the turn's end, in one transaction."""
        self.path.on_step("receipt")
        owner_id = self.account.owner_id
        state = state_after(receipt)
        async with self._database.owner(owner_id) as connection:
            if not await settle(
                connection, owner_id, send.id, state, reason=receipt.reason, platform_ids=receipt.message_ids
            ):
                return
            if state is OutboxState.SENT:
                message_id = await self._keep(connection, send, receipt)
                await attach_message(connection, owner_id, send.draft_id, message_id)
            elif state is OutboxState.REFUSED:
                await reopen(connection, owner_id, send, receipt.reason)
                return
            await self._close(connection, send, state)
        log.info("message.settled", outbox_id=send.id, state=state, origin=send.origin)

    async def _keep(self, connection: Connection, send: Send, receipt: Receipt) -> MessageId:
        owner_id = self.account.owner_id
        cursor = await connection.execute(
            "SELECT audience_id FROM chats WHERE owner_id = %s AND id = %s", [owner_id, send.chat_id]
        )
        row = await cursor.fetchone()
        if row is None:
            raise LookupError(f"chat {send.chat_id} is gone")
        kind = SourceKind.CONSOLE if self.account.platform == "console" else SourceKind.API
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
                source_id=await ensure_source(
                    connection, owner_id, kind, self.account.platform, self.account.name
                ),
            ),
        )
        return message_id

    async def _close(self, connection: Connection, send: Send, state: OutboxState) -> None:
        owner_id = self.account.owner_id
        await connection.execute(
            "UPDATE drafts SET state = 'sent', reason = %s WHERE owner_id = %s AND id = %s",
            [
                "" if state is OutboxState.SENT else "nobody can tell whether it arrived",
                owner_id,
                send.draft_id,
            ],
        )
        await connection.execute(
            """
            UPDATE turns SET state = 'answered', version = version + 1
            WHERE owner_id = %s AND id = %s AND state IN ('suggested', 'answered')""",
            [owner_id, send.turn_id],
        )
        await close_card(connection, owner_id, send.turn_id, state)
        await connection.execute(
            """
            INSERT INTO audit (owner_id, actor, action, subject)
            VALUES (%s, %s, %s, jsonb_build_object('outbox', %s::bigint, 'draft', %s::bigint))""",
            [owner_id, send.origin, f"message.{state}", send.id, send.draft_id],
        )

    # ─── cards ───────────────────────────────────────────────────────────────────────────────

    async def show_cards(self) -> None:
        """Show what is new, take away what is over."""
        owner_id = self.account.owner_id
        async with self._database.owner(owner_id) as connection:
            await expire_cards(connection, owner_id, self._clock.now(), self.path.timing.card)
            cards = await cards_to_show(connection, owner_id, self.account.id)
            gone = await cards_to_withdraw(connection, owner_id, self.account.id)
        for turn_id, card in cards:
            await self.bot.show(card)
            async with self._database.owner(owner_id) as connection:
                await mark_shown(connection, owner_id, turn_id)
        for withdrawal in gone:
            await self.bot.withdraw(card_key(owner_id, withdrawal.turn_id), withdrawal.outcome)
            async with self._database.owner(owner_id) as connection:
                await mark_withdrawn(connection, owner_id, withdrawal.turn_id)

    async def recover(self) -> int:
        """How many sends were left in flight by a host that died; see outbox.py."""
        idempotent = Capability.IDEMPOTENT_SEND in self.bot.capabilities(
            ChatRef(platform=self.account.platform, account=self.account.name, chat="")
        )
        async with self._database.owner(self.account.owner_id) as connection:
            return await recover_abandoned(
                connection, self.account.owner_id, self.account.id, idempotent=idempotent
            )

    # ─── running ─────────────────────────────────────────────────────────────────────────────

    async def run(self, announce: Announce) -> None:
        """Host the bot until cancelled."""
        await self.bot.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.take_in(announce))
                tasks.create_task(repeat("outbox", self.send_due, IDLE_SECONDS))
                tasks.create_task(repeat("cards", self.show_cards, IDLE_SECONDS))
                tasks.create_task(repeat("recovery", self.recover, RECOVERY_SECONDS))
        finally:
            await self.bot.stop()


async def repeat(name: str, step: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Take a step again and again; a server that is away for a while delays it, and ends nothing."""
    while True:
        try:
            await step()
        except (psycopg.OperationalError, PoolTimeout, RedisError, OSError) as error:
            log.warning("step.failed", step=name, error=type(error).__name__)
            await asyncio.sleep(AWAY_SECONDS)
        await asyncio.sleep(seconds)
