"""What serving would have shown the model at a moment of the past: to those people, and of before it.

It goes the road that serving goes: the same ranked search with the chat as its reader, `until` that
moment and facts as they held then; the same profile and biography; the same function that writes them
into the prompt. Besides, nothing stands in an example that may not be trained on, and no example that is
learned from quotes a held-out conversation.

Who may read is asked as of today: somebody who joined a chat since narrows what is shown, and never
widens it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.audience import Reader
from core.ids import ChatId, ContactId, OwnerId
from core.memory.profiles import KnownFact, Profile, known_facts, read_profile
from core.memory.search import Spoken, read_messages, search_memory
from core.reply.compose import PROFILE_LINES, memory_lines
from core.reply.recall import FACTS, FOUND, SHOWN_MEMORIES
from core.storage.database import Connection
from trainer.split import Part
from trainer.windows import Around, Cut

DROPPED_PERCENT = 25
"""Windows without memory, so that the voice holds where nothing is found."""

MOST_SEARCHES = 1500
"""Windows that memory is looked up for, drawn by hash: with 5,000 typed messages that is every one of them,
and with more it keeps the night's budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """A message that may be trained on, as it was read."""

    at: datetime
    narrow: bool
    held_out: bool
    fingerprint: str


def draw_of(cut: Cut) -> int:
    """A number from 0 to 2⁶⁴ for the window, from the platform's own ids: the same on every machine."""
    first = cut.messages[0]
    named = f"memory\n{first.stream}\n{cut.at.isoformat()}\n{len(cut.messages)}"
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8])


def is_dropped(draw: int) -> bool:
    """Whether the window of that draw goes without memory, by lot."""
    return draw % 100 < DROPPED_PERCENT


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """Looks up windows' surroundings, one after the other; people's ways of writing are read once."""

    connection: Connection
    owner_id: OwnerId
    usable: Mapping[int, Usable]
    model: str = ""
    """The embedding model's name, with whose vectors memory is searched; empty: by words alone."""
    _people: dict[tuple[int | None, str], Profile | None] = field(
        default_factory=dict[tuple[int | None, str], Profile | None]
    )

    async def without_memory(self, cut: Cut) -> Around:
        """Who asks, and how the owner writes to them."""
        asked = cut.asked[-1] if cut.asked else None
        if asked is None or asked.contact_id is None:
            return Around()
        person = await self._person(asked.contact_id, asked.platform)
        if person is None:
            return Around()
        return Around(relation=person.relation, circle=person.circle, style=person.style)

    async def with_memory(self, cut: Cut, vector: NDArray[np.float32] | None, part: Part) -> Around:
        """The same, with what memory held about the question."""
        around = await self.without_memory(cut)
        if not cut.asked:
            return around
        since, reader = cut.asked[0].sent_at, Reader.chat(ChatId(cut.asked[0].chat_id))
        messages, facts = await self._found(cut, reader, vector, since, part)
        profiles = [
            await self._profile(reader, person, since, part) for person in (None, cut.asked[-1].contact_id)
        ]
        sources = [
            *(said.id for said in messages),
            *(each for fact in facts for each in fact.source_ids),
            *(each for one in profiles if one for line in one.lines for each in line.sources),
        ]
        return replace(
            around,
            memories=memory_lines(messages, facts, profiles),
            narrow=any(self.usable[each].narrow for each in sources),
            sources=tuple(dict.fromkeys(sources)),
        )

    async def _found(
        self, cut: Cut, reader: Reader, vector: NDArray[np.float32] | None, since: datetime, part: Part
    ) -> tuple[list[Spoken], list[KnownFact]]:
        hits = await search_memory(
            self.connection,
            owner_id=self.owner_id,
            reader=reader,
            query=question_of(cut),
            vector=vector,
            model=self.model,
            limit=FOUND,
            facts=FACTS,
            until=since,
            as_of=since,
            drafting=True,
        )
        places = {hit.id: place for place, hit in enumerate(hits) if hit.kind == "message"}
        wanted = [each for each in places if self._may_show([each], since, part)]
        messages = await read_messages(self.connection, owner_id=self.owner_id, reader=reader, ids=wanted)
        messages.sort(key=lambda said: places[said.id])
        found = {hit.id for hit in hits if hit.kind == "fact"}
        if not found:
            return messages[:SHOWN_MEMORIES], []
        known = await known_facts(
            self.connection, owner_id=self.owner_id, reader=reader, as_of=since, limit=200, drafting=True
        )
        facts = [
            fact for fact in known if fact.fact_id in found and self._may_show(fact.source_ids, since, part)
        ]
        return messages[:SHOWN_MEMORIES], facts

    async def _profile(
        self, reader: Reader, contact_id: int | None, since: datetime, part: Part
    ) -> Profile | None:
        """The lines that serving shows of the contact's profile, or with None of the owner's biography."""
        found = await read_profile(
            self.connection,
            owner_id=self.owner_id,
            reader=reader,
            contact_id=None if contact_id is None else ContactId(contact_id),
            as_of=since,
            drafting=True,
        )
        if found is None:
            return None
        shown = [line for line in found.lines if self._may_show(line.sources, since, part)]
        return replace(found, lines=tuple(shown[:PROFILE_LINES]))

    def _may_show(self, sources: Sequence[int], since: datetime, part: Part) -> bool:
        """All of it was said before that moment, may be trained on, and is no held-out talk of another part."""
        known = [self.usable.get(each) for each in sources]
        return all(
            one is not None and one.at < since and (part is Part.HELD_OUT or not one.held_out)
            for one in known
        )

    async def _person(self, contact_id: int, platform: str) -> Profile | None:
        """The contact's way of being written to; its lines are another matter (`_profile`)."""
        key = (contact_id, platform)
        if key not in self._people:
            self._people[key] = await read_profile(
                self.connection,
                owner_id=self.owner_id,
                reader=Reader.owner(),
                contact_id=ContactId(contact_id),
                drafting=True,
                platform=platform,
            )
        return self._people[key]


def question_of(cut: Cut) -> str:
    """What serving would search for: all that waits for an answer."""
    return "\n".join(said.text for said in cut.asked)
