"""Posting, as the app and never as the owner: Discord forbids programs that speak as a person.

Where the bot is in the channel it posts there, under a nonce: within minutes Discord takes a second post
of the same nonce for the first, so an attempt that broke may be made again. The nonce does not live long
enough for a recovery after a crash, so a send is not declared idempotent. Where only the owner can reach,
the post answers the owner's own press on "Post as the app": once, as such posts have no nonce.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from bots.discord.places import Places
from bots.discord.raw import Raw
from bots.discord.rest import MESSAGES, Api, Limited, Refused, Unsure, at
from bots.discord.tickets import EPHEMERAL, Ticket, Tickets
from bots.discord.translate import time_of
from bots.words import split_text
from core.bot import Capability, Outgoing, Receipt, ReceiptStatus
from core.errors import PlatformError
from core.events import ChatRef

MOST_TEXT = 2000
NO_MENTIONS: Raw = {"parse": [], "replied_user": False}
SUPPRESS_EMBEDS = 1 << 2
LONGEST = 20.0
"""Seconds that one send may take, waiting included: the host gives up on it at 30."""
AGAIN_AFTER = (0.5, 2.0, 4.0)
"""Seconds before an attempt of unknown fate is made again under its nonce, with patience 1."""
NOT_THERE = (
    "the bot is not in this chat, and Discord lets an app answer only within 15 minutes of your press on "
    "“Post as the app”: copy the draft, and send it yourself"
)
HIDDEN = "this server shows what outside apps post to you alone: copy the draft, and send it yourself"


def nonce_of(key: str, part: int = 0) -> str:
    """The same for the same send, in 25 characters at most."""
    return hashlib.sha256(f"{key}#{part}".encode()).hexdigest()[:25]


def plain(text: str, **more: Any) -> Raw:
    """A message of ours: no mention in it calls anybody, no link unfolds."""
    return {"content": text, "allowed_mentions": NO_MENTIONS, "flags": SUPPRESS_EMBEDS, **more}


async def post(api: Api, channel: str, body: Raw, nonce: str, deadline: float) -> Raw:
    """The message as it stands. What breaks is tried again under the same nonce until the deadline."""
    body = body | {"nonce": nonce, "enforce_nonce": True}
    waits = iter([wait * api.patience for wait in AGAIN_AFTER])
    unsure: Unsure | None = None
    while True:
        try:
            left = max(deadline - time.monotonic(), 0.1)
            return await api.call("POST", at(MESSAGES, channel_id=channel), body, seconds=left)
        except Unsure as error:
            unsure, wait = error, next(waits, None)
        except Refused as error:
            raise unsure or error from error
        except Limited as error:
            wait = error.retry_after or 1.0
        if wait is None or time.monotonic() + wait > deadline:
            # An attempt whose fate is open stays so, even if the last one was certainly refused.
            raise unsure or Limited("Discord takes no more for now.")
        await asyncio.sleep(wait)


class Sender:
    """Core's sends, carried out."""

    def __init__(self, api: Api, places: Places, tickets: Tickets) -> None:
        self._api, self._places, self._tickets = api, places, tickets

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        parts = split_text(message.text, MOST_TEXT)
        if not parts:
            return Receipt(status=ReceiptStatus.REFUSED, reason="there is nothing to say")
        if Capability.SEND_AS_BOT in self._places.capabilities(chat):
            return await self._send_parts(parts, self._into_channel(chat, message))
        ticket = self._tickets.for_posting(chat.chat)
        if ticket is None:
            return Receipt(status=ReceiptStatus.REFUSED, reason=NOT_THERE)
        if len(parts) > ticket.left:
            return Receipt(
                status=ReceiptStatus.REFUSED,
                reason=f"it takes {len(parts)} posts, and Discord allows {ticket.left} more",
            )
        return await self._send_parts(parts, lambda text, _number: self._by_press(ticket, text))

    def _into_channel(self, chat: ChatRef, message: Outgoing) -> Callable[[str, int], Awaitable[Raw]]:
        deadline = time.monotonic() + LONGEST

        async def post_part(text: str, number: int) -> Raw:
            body = plain(text)
            if message.reply_to and number == 0:
                body["message_reference"] = {"message_id": message.reply_to, "fail_if_not_exists": False}
            return await post(self._api, chat.chat, body, nonce_of(message.key, number), deadline)

        return post_part

    async def _by_press(self, ticket: Ticket, text: str) -> Raw:
        await self._tickets.spend(ticket)
        raw: Raw = await self._api.call("POST", ticket.follow_ups, plain(text))
        if int(raw.get("flags") or 0) & EPHEMERAL:
            raise Refused(HIDDEN)
        return raw

    async def _send_parts(
        self, parts: tuple[str, ...], post_part: Callable[[str, int], Awaitable[Raw]]
    ) -> Receipt:
        posted: list[Raw] = []
        try:
            for number, text in enumerate(parts):
                posted.append(await post_part(text, number))
        except PlatformError as error:
            broken = f"{len(posted)} of {len(parts)} parts were posted; then: " if posted else ""
            unsure = bool(posted) or isinstance(error, Unsure)
            return Receipt(
                status=ReceiptStatus.UNKNOWN if unsure else ReceiptStatus.REFUSED, reason=f"{broken}{error}"
            )
        return Receipt(
            status=ReceiptStatus.SENT,
            message_ids=tuple(str(raw["id"]) for raw in posted),
            at=_at(posted[0]),
        )


def _at(raw: Raw) -> datetime:
    return time_of(str(raw["timestamp"]))
