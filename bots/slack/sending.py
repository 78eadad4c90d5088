"""What we do in the owner's name: post once, edit, delete, react; and know it again when it comes back."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast

from bots.slack.config import SlackConfig
from bots.slack.markup import LONGEST, emoji_name, escaped, escaped_length, parts_of
from bots.slack.translate import OUR_MARK
from bots.slack.web import Json, NeverSent, Refused, SlackWeb, Unclear
from core.bot import Outgoing, Receipt, ReceiptStatus
from core.errors import AccessRevoked, PlatformError
from core.events import ChatRef, MessageRef
from core.history.slack import time_of

REMEMBERED = 5000
LOOK_SECONDS = 5.0
LOOK_BACK = 20
"""Messages that are looked through for one of unknown fate."""

REASONS = {
    "not_in_channel": "you are not in that channel any more",
    "channel_not_found": "that chat is gone, or you are not in it any more",
    "is_archived": "the channel is archived",
    "thread_not_found": "the thread is gone",
    "restricted_action": "the workspace does not let you post there",
    "restricted_action_thread_only_channel": "only threads can be answered in that channel",
    "restricted_action_read_only_channel": "the channel is read-only",
    "msg_too_long": "the message is too long for Slack",
    "missing_scope": "the app lacks a right: install it again with Locum's manifest",
    "ratelimited": "Slack asks to wait longer than a send may take",
    "cant_update_message": "Slack lets only its author change a message",
    "cant_delete_message": "Slack lets only its author delete a message",
    "edit_window_closed": "the workspace does not let messages be edited any more after so long",
    "message_not_found": "the message is gone",
}


def reason_of(refusal: Refused) -> str:
    return REASONS.get(refusal.code, f"Slack refused it ({refusal.code})")


class Sending:
    """Posts in the owner's name. No call is repeated but after Slack said that it did nothing."""

    def __init__(
        self, config: SlackConfig, web: SlackWeb, *, revoked: Callable[[AccessRevoked], None]
    ) -> None:
        self._config, self._web, self._revoked = config, web, revoked
        self._sent: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # ─── knowing our own again ───────────────────────────────────────────────────────────────

    def is_ours(self, channel: str, stamp: str) -> bool:
        return (channel, stamp) in self._sent

    async def settled(self, channel: str) -> None:
        """Wait until no send to that chat is under way: its echo may come before its receipt."""
        if channel in self._locks:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._config.send_seconds), self._locks[channel]:
                    pass

    def _remember(self, channel: str, stamp: str) -> None:
        self._sent[channel, stamp] = None
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    @asynccontextmanager
    async def _alone_in(self, channel: str) -> AsyncGenerator[None]:
        async with self._locks[channel]:
            yield

    # ─── posting ─────────────────────────────────────────────────────────────────────────────

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        """Slack has no reply but the thread: the answer goes where the message stands."""
        parts = parts_of(message.text)
        if not parts:
            return Receipt(status=ReceiptStatus.REFUSED, reason="there is nothing to say")
        deadline = asyncio.get_running_loop().time() + self._config.send_seconds
        posted: list[str] = []
        async with self._alone_in(chat.chat):
            for number, part in enumerate(parts):
                told = await self._post(chat, part, f"{message.key}#{number}", deadline)
                if isinstance(told, Receipt):
                    return _cut_short(told, posted, len(parts)) if posted else told
                posted.append(told)
        return Receipt(status=ReceiptStatus.SENT, message_ids=tuple(posted), at=time_of(posted[0]))

    async def _post(self, chat: ChatRef, text: str, mark: str, deadline: float) -> str | Receipt:
        """The message's `ts`, or the receipt that says why there is none."""
        body: Json = {
            "channel": chat.chat,
            "text": text,
            "metadata": {"event_type": OUR_MARK, "event_payload": {"key": mark}},
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
            **({"thread_ts": chat.thread} if chat.thread else {}),
        }
        while True:
            try:
                stamp = str((await self._web.change("chat.postMessage", as_owner=True, **body))["ts"])
            except Refused as refusal:
                if await self._waited(refusal, deadline):
                    continue
                return Receipt(status=ReceiptStatus.REFUSED, reason=reason_of(refusal))
            except Unclear:
                found = await self._look_for(chat, mark)
                if found is None:
                    return Receipt(
                        status=ReceiptStatus.UNKNOWN, reason="Slack took the message and did not answer"
                    )
                stamp = found
            except (NeverSent, AccessRevoked) as error:
                return self._not_sent(error)
            self._remember(chat.chat, stamp)
            return stamp

    def _not_sent(self, error: NeverSent | AccessRevoked) -> Receipt:
        if isinstance(error, AccessRevoked):
            self._revoked(error)
        return Receipt(status=ReceiptStatus.REFUSED, reason=str(error).rstrip("."))

    async def _waited(self, refusal: Refused, deadline: float) -> bool:
        """Whether the rate limit's wait fitted into the time that is left."""
        if refusal.retry_after is None:
            return False
        if asyncio.get_running_loop().time() + refusal.retry_after + self._config.request_seconds > deadline:
            return False
        await asyncio.sleep(refusal.retry_after)
        return True

    async def _look_for(self, chat: ChatRef, mark: str) -> str | None:
        """The message with our mark, looked for once. That it is not there proves nothing."""
        method = "conversations.replies" if chat.thread else "conversations.history"
        params: Json = {"channel": chat.chat, "limit": LOOK_BACK, "include_all_metadata": True}
        if chat.thread:
            params |= {"ts": chat.thread, "limit": 200}
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                answer = await self._web.read(method, **params)
        except (PlatformError, TimeoutError):
            return None
        for raw in cast("list[Json]", answer.get("messages") or []):
            metadata = cast("Json", raw.get("metadata") or {})
            if (
                metadata.get("event_type") == OUR_MARK
                and cast("Json", metadata.get("event_payload") or {}).get("key") == mark
            ):
                return str(raw["ts"])
        return None

    # ─── changing what stands there ──────────────────────────────────────────────────────────

    async def edit(self, message: MessageRef, text: str) -> Receipt:
        if escaped_length(text) > LONGEST:
            return Receipt(status=ReceiptStatus.REFUSED, reason="the new words do not fit into one message")
        return await self._change(
            (message.id,),
            "chat.update",
            channel=message.chat.chat,
            ts=message.id,
            text=escaped(text),
            link_names=False,
        )

    async def delete(self, messages: Sequence[MessageRef]) -> Receipt:
        """Each message; one that is gone already counts as deleted. Stops at the first that stays."""
        for message in messages:
            receipt = await self._change(
                (message.id,),
                "chat.delete",
                fine="message_not_found",
                channel=message.chat.chat,
                ts=message.id,
            )
            if receipt.status is not ReceiptStatus.SENT:
                return receipt
        return Receipt(status=ReceiptStatus.SENT, message_ids=tuple(message.id for message in messages))

    async def react(self, message: MessageRef, emoji: str, *, added: bool) -> Receipt:
        name = emoji_name(emoji)
        if name is None:
            return Receipt(status=ReceiptStatus.REFUSED, reason="Slack has no name for that emoji here")
        self._remember(message.chat.chat, f"{message.id}:{name}")
        return await self._change(
            (message.id,),
            "reactions.add" if added else "reactions.remove",
            fine="already_reacted" if added else "no_reaction",
            channel=message.chat.chat,
            timestamp=message.id,
            name=name,
        )

    async def _change(self, ids: tuple[str, ...], method: str, *, fine: str = "", **body: object) -> Receipt:
        try:
            await self._web.change(method, as_owner=True, **body)
        except Refused as refusal:
            if refusal.code != fine:
                return Receipt(status=ReceiptStatus.REFUSED, reason=reason_of(refusal))
        except Unclear as error:
            return Receipt(status=ReceiptStatus.UNKNOWN, reason=str(error).rstrip("."))
        except (NeverSent, AccessRevoked) as error:
            return self._not_sent(error)
        return Receipt(status=ReceiptStatus.SENT, message_ids=ids)


def _cut_short(told: Receipt, posted: Sequence[str], wanted: int) -> Receipt:
    """Some of it stands there: that is neither sent nor refused."""
    return Receipt(
        status=ReceiptStatus.UNKNOWN,
        message_ids=(),
        reason=f"{len(posted)} of {wanted} parts were posted, then: {told.reason}",
    )
