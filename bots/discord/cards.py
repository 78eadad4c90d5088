"""Cards: in answer to the owner's command where one waits, else in the owner's own chat with the bot."""

import asyncio
import secrets
import time

from pydantic import BaseModel

from bots.card_text import card_text
from bots.discord.card_view import buttons, pages, quoted
from bots.discord.places import Places
from bots.discord.raw import Raw
from bots.discord.rest import MESSAGE, Address, Api, Refused, at
from bots.discord.sending import LONGEST, NO_MENTIONS, SUPPRESS_EMBEDS, plain, post
from bots.discord.tickets import EPHEMERAL, ORIGINAL, Ticket, Tickets
from core.bot import BotState, Capability, Card
from core.clock import Clock
from core.events import ChatRef

COPY_ONLY = "The bot is not in this chat: copy what you like, and send it yourself."
AS_THE_APP = "Posting shows as the app, not as you. To say it yourself, copy it."
NOTHING_CAME = "No draft came of it. Write `status` to me, and I tell you why that may be."
LAST_WORD = 20.0
"""Seconds before a ticket ends."""
OUTCOMES = {
    "sent": "Posted.",
    "edited": "Posted in your wording.",
    "discarded": "Discarded.",
    "muted": "This chat is muted: no more drafts for it.",
    "ignored": "Nobody answered in time.",
    "overtaken": "You answered yourself.",
}


class Stand(BaseModel):
    """Where a card stands: its messages in order, the first with the buttons."""

    ticket: str = ""
    """The interaction it answers; empty in the owner's own chat."""
    channel: str = ""
    messages: tuple[str, ...]


class Cards:
    def __init__(self, api: Api, state: BotState, places: Places, tickets: Tickets, clock: Clock) -> None:
        self._api, self._state, self._places, self._tickets = api, state, places, tickets
        self._clock = clock
        self._answered: set[str] = set()

    async def show(self, card: Card) -> None:
        stand = await self._stand(card.key)
        ticket = self._tickets.get(card.ticket) if card.ticket else None
        if stand is not None and not await self._can_change(stand):
            stand = None
        if stand is not None:
            ticket = self._tickets.get(stand.ticket)
        elif ticket is not None and ticket.chat == card.chat.chat:
            stand = Stand(ticket=ticket.id, messages=(ORIGINAL,))
            self._answered.add(ticket.id)
        bodies = self._bodies(card, ticket)
        stand = await self._put(bodies, stand or Stand(channel=self._places.control, messages=()))
        await self._state.put(f"card:{card.key}", stand.model_dump_json())

    async def give_up(self, ticket: Ticket) -> None:
        """Tell the owner that no card came, while that can still be told; else Discord would seem to think on."""
        wait = (ticket.until - self._clock.now()).total_seconds() - LAST_WORD
        await asyncio.sleep(max(wait, 0.0))
        if ticket.id not in self._answered:
            await self._api.call("PATCH", ticket.message(ORIGINAL), {"content": NOTHING_CAME})

    async def withdraw(self, card_key: str, outcome: str) -> None:
        stand = await self._stand(card_key)
        if stand is None:
            return
        words = OUTCOMES.get(outcome, quoted(outcome.capitalize().removesuffix(".") + "."))
        if await self._can_change(stand):
            await self._change(stand, stand.messages[0], {"content": words, "components": []})
            for message in stand.messages[1:]:
                await self._take_away(stand, message)
        await self._state.remove(f"card:{card_key}")

    async def _stand(self, card_key: str) -> Stand | None:
        written = await self._state.get(f"card:{card_key}")
        return Stand.model_validate_json(written) if written else None

    async def _can_change(self, stand: Stand) -> bool:
        """Not what answered a command more than 15 minutes ago, nor what the owner deleted."""
        if stand.ticket:
            return self._tickets.get(stand.ticket) is not None
        try:
            await self._api.read(at(MESSAGE, channel_id=stand.channel, message_id=stand.messages[0]))
        except Refused:
            return False
        return True

    def _bodies(self, card: Card, ticket: Ticket | None) -> list[Raw]:
        words = card_text(card)
        can_post = self._can_post(card.chat, ticket)
        footer = AS_THE_APP if can_post else COPY_ONLY
        texts = pages(words, footer)
        bodies: list[Raw] = [{"content": text, "components": []} for text in texts]
        bodies[0]["components"] = buttons(words, card.chat.chat, can_post=can_post)
        return bodies

    def _can_post(self, chat: ChatRef, ticket: Ticket | None) -> bool:
        """By itself; or in answer to a press, which is possible where the card itself is in the chat."""
        in_place = ticket is not None and ticket.chat == chat.chat
        return in_place or Capability.SEND_AS_BOT in self._places.capabilities(chat)

    async def _put(self, bodies: list[Raw], stand: Stand) -> Stand:
        """The card's pages over those that stand; what is too many is taken away, what is missing is added."""
        ids = list(stand.messages)
        for message, body in zip(ids, bodies, strict=False):
            await self._change(stand, message, body)
        for message in ids[len(bodies) :]:
            await self._take_away(stand, message)
        ids += [await self._add(stand, body) for body in bodies[len(ids) :]]
        return stand.model_copy(update={"messages": tuple(ids[: len(bodies)])})

    async def _add(self, stand: Stand, body: Raw) -> str:
        if not stand.ticket:
            # A nonce of its own: one made of the card's key would find the card that was taken away.
            nonce, deadline = secrets.token_hex(12), time.monotonic() + LONGEST
            words = plain(body["content"], components=body["components"])
            return str((await post(self._api, stand.channel, words, nonce, deadline))["id"])
        ticket = self._tickets.get(stand.ticket)
        if ticket is None:
            raise Refused("Discord takes no more answers to that command.")
        await self._tickets.spend(ticket)
        body = plain(body["content"]) | {"flags": EPHEMERAL | SUPPRESS_EMBEDS}
        raw: Raw = await self._api.call("POST", ticket.follow_ups, body)
        return str(raw["id"])

    async def _change(self, stand: Stand, message: str, body: Raw) -> None:
        body = body | {"allowed_mentions": NO_MENTIONS}
        await self._api.call("PATCH", self._address(stand, message), body)

    async def _take_away(self, stand: Stand, message: str) -> None:
        await self._api.call("DELETE", self._address(stand, message))

    def _address(self, stand: Stand, message: str) -> Address:
        ticket = self._tickets.get(stand.ticket) if stand.ticket else None
        if ticket is not None:
            return ticket.message(message)
        return at(MESSAGE, channel_id=stand.channel, message_id=message)
