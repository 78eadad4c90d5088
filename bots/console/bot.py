"""The console as a bot: what is typed on its pages becomes events, what core sends stands in its chats."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from bots.mailbox import Mailbox
from core.bot import Capability, Card, Outgoing, Receipt, ReceiptStatus
from core.clock import Clock, SystemClock
from core.events import Author, ChatRef, DraftAction, DraftVerb, Event, MessageNew, Person, SuggestAsked
from core.vocabulary import ChatKind

PLATFORM = "console"
REMEMBERED = 2000
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One message of ours that stands in a chat of the console."""

    chat: ChatRef
    message_id: str
    text: str
    at: datetime


def message_id_of(key: str) -> str:
    """The id of the message sent under that key: the same in every process, so it can stand there once."""
    return "sent-" + hashlib.sha256(key.encode()).hexdigest()[:24]


class ConsoleBot:
    """The owner's account on the console. Its chats are direct ones with simulated contacts.

    A line that was typed waits in the mailbox until core has it, and pages show it as waiting:
    nothing looks delivered that a crash could lose.
    """

    def __init__(self, account: str, *, clock: Clock | None = None) -> None:
        self._account = account
        self._clock = clock or SystemClock()
        self._mailbox = Mailbox()
        self._posted: dict[str, Posted] = {}
        self._typed: dict[str, MessageNew] = {}
        self._cards: dict[str, Card] = {}
        self._watchers: set[Callable[[], None]] = set()

    # ── the bot, as core sees it ─────────────────────────────────────────────────────────────

    @property
    def platform(self) -> str:
        return PLATFORM

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
        self._tell_watchers()

    def capabilities(self, chat: ChatRef) -> Capability:
        del chat
        return Capability.SEND_AS_OWNER | Capability.IDEMPOTENT_SEND

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        message_id = message_id_of(message.key)
        earlier = self._posted.get(message_id)
        posted = earlier or self._post(chat, message_id, message.text)
        return Receipt(
            status=ReceiptStatus.DUPLICATE if earlier else ReceiptStatus.SENT,
            message_ids=(message_id,),
            at=posted.at,
        )

    async def show(self, card: Card) -> None:
        self._cards[card.key] = card
        self._tell_watchers()

    async def withdraw(self, card_key: str, outcome: str) -> None:
        del outcome  # pages read it from the card's row
        if self._cards.pop(card_key, None):
            self._tell_watchers()

    # ── what the pages do and see ────────────────────────────────────────────────────────────

    @property
    def cards(self) -> dict[str, Card]:
        """The cards that core has shown here and not withdrawn, by key."""
        return dict(self._cards)

    def chat(self, chat: str) -> ChatRef:
        return ChatRef(platform=PLATFORM, account=self._account, chat=chat)

    def posted(self, chat: ChatRef) -> tuple[Posted, ...]:
        """What core sent to a chat lately, oldest first."""
        return tuple(posted for posted in self._posted.values() if posted.chat == chat)

    def typed(self, chat: ChatRef) -> tuple[MessageNew, ...]:
        """What was typed in a chat lately, oldest first."""
        return tuple(message for message in self._typed.values() if message.chat == chat)

    def is_safe(self, event: Event) -> bool:
        """True once core has the event."""
        return all(waiting.key != event.key for waiting in self._mailbox.waiting)

    def say(self, chat: str, person: Person, text: str) -> MessageNew:
        """The simulated contact writes."""
        return self._type(chat, person, person, Author.CONTACT, text)

    def owner_types(self, chat: str, person: Person, text: str) -> MessageNew:
        """The owner writes by hand, to that contact."""
        owner = Person(id=self._account, name=self._account)
        return self._type(chat, person, owner, Author.OWNER, text)

    def press(self, chat: ChatRef, draft: int, verb: DraftVerb, text: str | None = None) -> DraftAction:
        """The owner presses a button on a card."""
        action = DraftAction(
            key=f"press:{uuid.uuid4().hex}",
            chat=chat,
            at=self._clock.now(),
            draft=draft,
            verb=verb,
            text=text,
        )
        self._deliver(action)
        return action

    def ask(self, chat: ChatRef) -> SuggestAsked:
        """The owner asks for drafts for the chat as it stands."""
        asked = SuggestAsked(key=f"ask:{uuid.uuid4().hex}", chat=chat, at=self._clock.now())
        self._deliver(asked)
        return asked

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have `watcher` called after every change; call what is returned to end that."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _type(self, chat: str, contact: Person, sender: Person, author: Author, text: str) -> MessageNew:
        message_id = uuid.uuid4().hex
        message = MessageNew(
            key=f"message:{message_id}",
            chat=self.chat(chat),
            at=self._clock.now(),
            message_id=message_id,
            sender=sender,
            author=author,
            text=text,
            chat_kind=ChatKind.DIRECT,
            chat_title=contact.name,
            members=(contact,),
        )
        _remember(self._typed, message_id, message)
        self._deliver(message)
        return message

    def _deliver(self, event: Event) -> None:
        self._mailbox.put(event)
        self._tell_watchers()

    def _post(self, chat: ChatRef, message_id: str, text: str) -> Posted:
        posted = Posted(chat=chat, message_id=message_id, text=text, at=self._clock.now())
        _remember(self._posted, message_id, posted)
        self._tell_watchers()
        return posted

    def _tell_watchers(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()


def _remember(memory: dict[str, T], key: str, value: T) -> None:
    """Keep the latest of what stands in the chats; the rest is in Postgres."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        del memory[next(iter(memory))]
