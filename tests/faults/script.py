"""What the people on the platform do: a seeded story over several chats, and what must become of it."""

import random
from dataclasses import dataclass, field

from core.events import DraftVerb
from tests.faults.platform import DurablePlatform, ShownDraft

SUGGEST_CHATS = ("ines", "bo", "sam", "ana", "udo")
AUTO_CHATS = ("kai", "lee", "mia")
KNOWN = ("do you want to grab lunch tomorrow?", "yes! the noodle place")
"""What was asked before in the chats on auto, and how the owner answered."""

QUESTIONS = (
    "are you around later?",
    "did you see the match?",
    "how was the trip?",
    "which train are you on?",
    "have you read it yet?",
)
SMALL_TALK = ("ok", "haha", "thanks!")
TYPED = ("cannot talk now", "just arrived here", "busy until the evening")


@dataclass(slots=True)
class Script:
    """Acts of people, at random but repeatable; `texts` is what L0 must hold in the end."""

    world: DurablePlatform
    seed: int
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """By message id; empty where it was deleted."""
    contact_lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(chat, message id) of everything that contacts wrote."""
    _pressed: set[int] = field(default_factory=set[int])
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random.seed(self.seed)

    def act(self) -> None:
        """One thing happens; some of it is reported twice."""
        what = self._random.random()
        if what < 0.30:
            self._contact_asks()
        elif what < 0.36:
            self._burst()
        elif what < 0.42:
            self._rewrite_or_erase()
        elif what < 0.45:
            chat = self._random.choice(SUGGEST_CHATS + AUTO_CHATS)
            text = f"{self._random.choice(TYPED)} {self._random.randrange(10**6)}"
            self.texts[self.world.owner_types(chat, text, twice=self._twice()).message_id] = text
        else:
            self._press()

    def ask(self, chat: str, text: str) -> None:
        """A contact writes this line."""
        message = self.world.say(chat, text, twice=self._twice())
        self.texts[message.message_id] = text
        self.contact_lines.append((chat, message.message_id))

    def _twice(self) -> bool:
        return self._random.random() < 0.15

    def _contact_asks(self) -> None:
        if self._random.random() < 0.4:
            self.ask(self._random.choice(AUTO_CHATS), KNOWN[0])
        else:
            self.ask(self._random.choice(SUGGEST_CHATS), self._random.choice(QUESTIONS))

    def _burst(self) -> None:
        chat = self._random.choice(SUGGEST_CHATS)
        for text in (self._random.choice(SMALL_TALK), *self._random.sample(QUESTIONS, 2)):
            self.ask(chat, text)

    def _rewrite_or_erase(self) -> None:
        recent = [line for line in self.contact_lines[-6:] if self.texts[line[1]]]
        if not recent:
            return
        chat, message_id = self._random.choice(recent)
        if self._random.random() < 0.6:
            text = f"{self._random.choice(QUESTIONS)} (corrected)"
            self.world.rewrite(chat, message_id, text, twice=self._twice())
            self.texts[message_id] = text
        else:
            self.world.erase(chat, message_id, twice=self._twice())
            self.texts[message_id] = ""

    def _press(self) -> None:
        buttons = [shown for shown in self.world.on_show() if shown.draft not in self._pressed]
        if buttons:
            self.press(self._random.choice(buttons))

    def press(self, shown: ShownDraft) -> None:
        """The owner presses something there, and now and then twice in a row."""
        self._pressed.add(shown.draft)
        verb = self._random.choices((DraftVerb.SEND, DraftVerb.EDIT, DraftVerb.DISCARD), (5, 3, 1))[0]
        text = f"{shown.text}, rather {self._random.randrange(10**6)}" if verb is DraftVerb.EDIT else None
        for _ in range(1 + (self._random.random() < 0.2)):
            self.world.press(shown, verb, text, twice=self._twice())
