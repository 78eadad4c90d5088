"""A frequent person of a public history file, taken as the owner: what to learn from, and what to be judged by.

The person's own messages are the clock: the last 15 % of them are held out, the 15 % before choose, the
rest is learned from. Each part is a stretch of time, so that nothing later than a boundary is learned.
(The file's own last 15 % of time would not do: of the IRC channel's frequent people none speaks in it.)
"""

import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TextIO, cast

from core.errors import BadInput
from core.reply.prompt import Line, PromptContext, clip
from core.vocabulary import ChatKind
from trainer.history import Said
from trainer.split import Part
from trainer.windows import OwnerAndNames, Window, sessions, windows

LEARNED, CHOSEN_BY = 0.70, 0.85
"""Shares of the person's messages: up to the first training, up to the second validation."""

SHOWN_CHARACTERS = 800
"""Of chat lines before a moment: a third of what serving shows, which is what a CPU can be asked for."""

LONGEST_REPLY = 300
"""Characters. Longer messages are pasted, or make twenty candidates slow; how many went is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonMoment:
    """What stood before the person, and the first message of what they then wrote."""

    cluster: str
    """The conversation between two silences, and the day: what a bootstrap draws whole."""
    digest: str
    partner: str
    """Who spoke last."""
    prompt: PromptContext
    reply: str
    begun: datetime
    """When the conversation began: memory may hold what is older."""

    @property
    def query(self) -> str:
        return " ".join(line.text for line in self.prompt.lines[-3:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One earlier answer of the person's, with what it answered."""

    at: datetime
    partner: str
    asked: str
    answered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person's view of the file."""

    name: str
    tag: str
    """A digest that stands for them wherever something is reported."""
    said: tuple[Said, ...]
    bounds: tuple[datetime, datetime]
    """Where the validation part begins, and the held-out part."""

    def part(self, part: Part) -> list[Said]:
        return [said for said in self.said if self._part_of(said.sent_at) is part]

    def windows(self, part: Part) -> list[Window]:
        """All windows of a part, with loss on every turn of the person's."""
        owner = OwnerAndNames(name=self.name, time_zone="UTC", names=frozenset())
        return [window for stream in _streams(self.part(part)) for window in windows(stream, owner)]

    def all_windows(self) -> list[Window]:
        """Of all parts together: where nothing is held out."""
        owner = OwnerAndNames(name=self.name, time_zone="UTC", names=frozenset())
        return [window for stream in _streams(self.said) for window in windows(stream, owner)]

    def moments(self, part: Part) -> list[PersonMoment]:
        """Every time that somebody spoke and the person was next, in order of their digests."""
        found = [
            moment
            for stream in _streams(self.part(part))
            for session in sessions(stream)
            for moment in _moments(session, self.name)
        ]
        return sorted(found, key=lambda moment: moment.digest)

    def exchanges(self) -> list[Exchange]:
        """All of the person's answers of all time, oldest first: whoever uses them looks at `at`."""
        found = [
            Exchange(
                at=said.sent_at, partner=before.sender_name, asked=before.text[:300], answered=said.text[:300]
            )
            for stream in _streams(self.said)
            for session in sessions(stream)
            for before, said in _answers(session)
        ]
        return sorted(found, key=lambda exchange: exchange.at)

    def own_texts(self, part: Part) -> list[str]:
        return [said.text for said in self.part(part) if said.by_owner and not said.left_out]

    def _part_of(self, at: datetime) -> Part:
        if at < self.bounds[0]:
            return Part.TRAIN
        return Part.VALIDATION if at < self.bounds[1] else Part.HELD_OUT


def read_person(file: Path, sender: str) -> Person:
    """That sender as the owner. `BadInput` where they hardly speak."""
    said = tuple(sorted(_lines(file, sender), key=lambda one: (one.stream, one.sent_at, one.message_id)))
    mine = sorted(one.sent_at for one in said if one.by_owner)
    if len(mine) < 20:  # noqa: PLR2004 -- three parts of anything
        raise BadInput(f"{file.name} holds {len(mine)} messages of that sender: choose a frequent one.")
    first, second = (mine[int(len(mine) * share)] for share in (LEARNED, CHOSEN_BY))
    return Person(name=sender, tag=tag_of(file, sender), said=said, bounds=(first, second))


def senders(file: Path) -> Counter[str]:
    """How many messages everybody wrote."""
    with _opened(file) as lines:
        return Counter(str(json.loads(line)["sender"]["id"]) for line in lines)


def tag_of(file: Path, sender: str) -> str:
    """The name that reports use: nobody's own."""
    return hashlib.sha256(f"{file.name}\n{sender}".encode()).hexdigest()[:8]


def draw_candidates(moment: PersonMoment, pool: Sequence[PersonMoment], among: int) -> list[str]:
    """The true reply and others of the same person's, half of them to the same partner where there are any.

    Those said to the same partner come first, then those said nearest in time; never of the same
    conversation, and never the same text twice.
    """
    chance = random.Random(moment.digest)  # noqa: S311 -- a sample, not a secret
    others = [other for other in pool if other.cluster != moment.cluster]
    chance.shuffle(others)
    near = sorted(
        others, key=lambda other: (other.partner != moment.partner, abs(other.begun - moment.begun))
    )
    texts = dict.fromkeys([moment.reply])
    for other in near:
        if len(texts) > among // 2:
            break
        texts[other.reply] = None
    for other in others:
        if len(texts) == among:
            break
        texts[other.reply] = None
    return list(texts)


def _lines(file: Path, sender: str) -> Iterator[Said]:
    with _opened(file) as lines:
        for number, line in enumerate(lines):
            told = json.loads(line)
            text = (told.get("text") or "").strip()
            yield Said(
                message_id=number,
                stream=f"{told['platform']}\n{told['account']}\n{told['chat']['id']}\n{told.get('thread') or ''}",
                platform=told["platform"],
                chat_kind=told["chat"]["kind"],
                sender_name=told["sender"]["name"],
                relation="",
                by_owner=told["sender"]["id"] == sender,
                narrow=False,
                sent_at=datetime.fromisoformat(told["sent_at"]),
                text=text,
                left_out="" if text else "no_text",
            )


def _opened(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return cast("TextIO", gzip.open(file, "rt", encoding="utf-8"))
    return file.open(encoding="utf-8")


def _streams(said: Sequence[Said]) -> Iterator[list[Said]]:
    """Conversation by conversation, as they were sorted."""
    stream: list[Said] = []
    for one in said:
        if stream and one.stream != stream[-1].stream:
            yield stream
            stream = []
        stream.append(one)
    if stream:
        yield stream


def _answers(session: Sequence[Said]) -> Iterator[tuple[Said, Said]]:
    for before, said in pairwise(session):
        if said.by_owner and not before.by_owner:
            yield before, said


def _moments(session: Sequence[Said], name: str) -> Iterator[PersonMoment]:
    begun = session[0].sent_at
    for place, said in enumerate(session):
        if place == 0 or not said.by_owner or session[place - 1].by_owner or len(said.text) > LONGEST_REPLY:
            continue
        before = session[max(0, place - 60) : place]
        lines = [Line(speaker=one.sender_name, by_owner=one.by_owner, text=one.text) for one in before]
        yield PersonMoment(
            cluster=f"{begun:%Y%m%d%H%M}:{said.sent_at:%Y%m%d}",
            digest=hashlib.sha256(f"{said.stream}\n{said.message_id}".encode()).hexdigest()[:16],
            partner=before[-1].sender_name,
            prompt=PromptContext(
                owner_name=name,
                contact_name=before[-1].sender_name,
                relation="",
                platform=said.platform,
                chat_kind=ChatKind(said.chat_kind),
                at=before[-1].sent_at,
                time_zone="UTC",
                style="",
                memories=(),
                lines=clip(lines, SHOWN_CHARACTERS),
            ),
            reply=said.text,
            begun=begun,
        )
