"""A chat platform in memory, with a bot for it, and switches for everything that can go wrong.

The platform outlives the bot: what was posted stays, and what nobody acknowledged comes again when
the bot starts again, as after a crash. `sent` is what the people in the chats really received.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from bots.mailbox import Mailbox
from core.bot import Capability, Card, Outgoing, Receipt, ReceiptStatus
from core.clock import Clock, SystemClock
from core.events import (
    Author,
    ChatRef,
    DraftAction,
    DraftVerb,
    Event,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Person,
)
from core.vocabulary import ChatKind

E = TypeVar("E", bound=Event)


class Crash(BaseException):
    """The process dies here. No handler of ordinary errors sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One message that the platform took from us and showed to the people in the chat."""

    chat: ChatRef
    message_id: str
    key: str
    text: str
    reply_to: str | None


class LoopbackBot:
    """One owner's account on the platform in memory."""

    def __init__(
        self,
        platform: str = "loopback",
        account: str = "mara",
        *,
        idempotent: bool = True,
        echoes: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._platform = platform
        self._account = account
        self._idempotent = idempotent
        self._echoes = echoes
        self._clock = clock or SystemClock()
        self._mailbox = Mailbox()
        self._messages = 0
        self._changes = 0
        self._shown: dict[int, Card] = {}

        self.sent: list[Posted] = []
        self.cards: dict[str, Card] = {}
        """The cards whose buttons can be pressed, by key."""
        self.withdrawn: dict[str, str] = {}
        """The outcome of every card that was taken away, by key."""

        self.crash_before_send = 0
        """So many of the next sends die before the platform hears of them."""
        self.crash_before_receipt = 0
        """So many of the next sends are posted, and die before anyone learns of it."""
        self.lose_receipt = 0
        """So many of the next sends are posted, and answered with UNKNOWN."""
        self.refuse = ""
        """While not empty, sends are refused with this reason."""
        self.delay = 0.0
        """Seconds that every send takes."""
        self.duplicates = 0
        """So many extra times is each event delivered."""

    # ── the bot, as core sees it ─────────────────────────────────────────────────────────────

    @property
    def platform(self) -> str:
        return self._platform

    @property
    def account(self) -> str:
        return self._account

    async def start(self) -> None:
        self._mailbox.open()

    async def stop(self) -> None:
        self._mailbox.close()

    def events(self) -> AsyncIterator[Event]:
        return self._mailbox.events()

    async def acknowledge(self, event: Event) -> None:
        self._mailbox.acknowledge(event)

    def capabilities(self, chat: ChatRef) -> Capability:
        del chat
        known = Capability.SEND_AS_OWNER
        return known | Capability.IDEMPOTENT_SEND if self._idempotent else known

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        await asyncio.sleep(self.delay)
        if self._strikes("crash_before_send"):
            raise Crash
        if self.refuse:
            return Receipt(status=ReceiptStatus.REFUSED, reason=self.refuse)
        earlier = next((p for p in self.sent if p.key == message.key), None) if self._idempotent else None
        posted = earlier or self._post(chat, message)
        if self._strikes("crash_before_receipt"):
            raise Crash
        if self._strikes("lose_receipt"):
            return Receipt(status=ReceiptStatus.UNKNOWN, reason="the answer was lost")
        return Receipt(
            status=ReceiptStatus.DUPLICATE if earlier else ReceiptStatus.SENT,
            message_ids=(posted.message_id,),
            at=self._clock.now(),
        )

    async def show(self, card: Card) -> None:
        self.cards[card.key] = card
        self._shown |= {draft.draft: card for draft in card.drafts}

    async def withdraw(self, card_key: str, outcome: str) -> None:
        if self.cards.pop(card_key, None):
            self.withdrawn[card_key] = outcome

    # ── the people on the platform ───────────────────────────────────────────────────────────

    @property
    def unacknowledged(self) -> tuple[Event, ...]:
        return self._mailbox.waiting

    def chat(self, chat: str) -> ChatRef:
        return ChatRef(platform=self._platform, account=self._account, chat=chat)

    def say(
        self,
        chat: str,
        sender: str | Person,
        text: str,
        *,
        reply_to: str | None = None,
        at: datetime | None = None,
        chat_kind: ChatKind = ChatKind.DIRECT,
        members: tuple[Person, ...] | None = None,
        mentions_owner: bool = False,
        automatic: bool = False,
        backfilled: bool = False,
    ) -> MessageNew:
        """A contact writes. A sender given by name has that name as id too.

        A direct chat has its sender as only member; of a group nobody knows, unless members are given.
        """
        person = Person(id=sender, name=sender) if isinstance(sender, str) else sender
        alone = (person,) if chat_kind is ChatKind.DIRECT else None
        message = self._message(chat, person, Author.BOT if person.is_bot else Author.CONTACT, text, at)
        return self._deliver(
            replace(
                message,
                reply_to=reply_to,
                chat_kind=chat_kind,
                chat_title=person.name if chat_kind is ChatKind.DIRECT else chat,
                members=members if members is not None else alone,
                mentions_owner=mentions_owner,
                automatic=automatic,
                backfilled=backfilled,
            )
        )

    def owner_types(
        self, chat: str, text: str, *, at: datetime | None = None, chat_kind: ChatKind = ChatKind.DIRECT
    ) -> MessageNew:
        """The owner writes by hand, in the platform's own app."""
        owner = Person(id=self._account, name=self._account)
        return self._deliver(replace(self._message(chat, owner, Author.OWNER, text, at), chat_kind=chat_kind))

    def rewrite(self, chat: str, message_id: str, text: str) -> MessageEdited:
        """Somebody edits a message. (`edit` is a capability's name, and would declare it.)"""
        return self._deliver(
            MessageEdited(
                key=self._change("edit"),
                chat=self.chat(chat),
                at=self._clock.now(),
                message_id=message_id,
                text=text,
            )
        )

    def erase(self, chat: str, *message_ids: str) -> MessagesDeleted:
        """Somebody deletes messages. (`delete` is a capability's name, and would declare it.)"""
        return self._deliver(
            MessagesDeleted(
                key=self._change("delete"),
                chat=self.chat(chat),
                at=self._clock.now(),
                message_ids=message_ids,
            )
        )

    def press(self, draft: int, verb: DraftVerb, text: str | None = None) -> DraftAction:
        """The owner presses a button, perhaps on a card that was withdrawn in the meantime."""
        return self._deliver(
            DraftAction(
                key=self._change("press"),
                chat=self._shown[draft].chat,
                at=self._clock.now(),
                draft=draft,
                verb=verb,
                text=text,
            )
        )

    # ── inside the platform ──────────────────────────────────────────────────────────────────

    def _deliver(self, event: E) -> E:
        for _ in range(1 + self.duplicates):
            self._mailbox.put(event)
        return event

    def _post(self, chat: ChatRef, message: Outgoing) -> Posted:
        """The message stands in the chat; a platform that echoes tells us so, as of any other."""
        owner = Person(id=self._account, name=self._account)
        event = self._message(chat.chat, owner, Author.SELF_AS_OWNER, message.text, None)
        posted = Posted(
            chat=chat,
            message_id=event.message_id,
            key=message.key,
            text=message.text,
            reply_to=message.reply_to,
        )
        self.sent.append(posted)
        if self._echoes:
            self._deliver(event)
        return posted

    def _message(
        self, chat: str, sender: Person, author: Author, text: str, at: datetime | None
    ) -> MessageNew:
        self._messages += 1
        return MessageNew(
            key=f"message:{self._messages}",
            chat=self.chat(chat),
            at=at or self._clock.now(),
            message_id=str(self._messages),
            sender=sender,
            author=author,
            text=text,
        )

    def _change(self, what: str) -> str:
        self._changes += 1
        return f"{what}:{self._changes}"

    def _strikes(self, fault: str) -> bool:
        left: int = getattr(self, fault)
        if left:
            setattr(self, fault, left - 1)
        return left > 0
