"""Recalling: everything that may be used in this chat, and nothing else.

A few SQL functions are the only road from stored text to a prompt or a draft; each takes the owner
and the reader, and the reader here is always the chat itself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.audience import Reader
from core.ids import FactId, MessageId
from core.memory.profiles import KnownFact, Profile, known_facts_of, read_profile
from core.memory.search import (
    PastReply,
    Spoken,
    read_messages,
    recall_memory,
    recent_turns,
    search_memory,
)
from core.memory.summaries import KnownSummary, known_summaries
from core.memory.traces import SHOWN
from core.reply.situation import Situation
from core.reply.wording import is_deferral, is_question, topic_words
from core.storage.database import Connection, Database, side_by_side
from core.vocabulary import Origin

LOOKED_THROUGH = 150
"""Lines of the chat in which the owner's own way of putting things off is looked for."""

FOUND = 8

SHOWN_MEMORIES = 3
"""Of the messages found, so many stand in the prompt."""

FACTS = 6
PAST_REPLIES = 12
DEFERRALS = 24
SESSIONS = 8

SHARED_WORDS = 2
"""Words of a question's topic that a session's summary must hold to be about it."""

DEFERRAL_WORDS = (
    "let me sleep on it, let me think, let me check and get back to you, will let you know later, not sure yet,"
    " kollar och återkommer, får se, hör av mig, ich melde mich, je te dis"
)

LONGER_THAN_USUAL, SHORTEST_LIMIT = 4.0, 12
"""A draft may be this many times as long as the owner's usual message to this contact, and so many words anyway."""

MOST_SCORE = 1.5
"""What `recall_memory` gives the very same question: 1 for the vector and 0.5 for the words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Something like the incoming turn, and what the owner typed to it. `likeness` is 0 to 1."""

    asked_id: MessageId
    asked: str
    reply_ids: tuple[MessageId, ...]
    reply: str
    likeness: float
    replied_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What was found for one turn, already inside the chat's audience."""

    recent: tuple[Spoken, ...]
    memories: tuple[Spoken, ...]
    facts: tuple[KnownFact, ...]
    answered: tuple[Answered, ...]
    deferrals: tuple[Spoken, ...]
    """Lines in which the owner put something off."""
    profile: Profile | None
    biography: Profile | None
    earlier: KnownSummary | None = None
    """The earlier session that fits the turn best, where one does."""

    @property
    def most_words(self) -> float | None:
        """Words of the longest message that the owner would write here; None where that is not known."""
        usual = self.profile.style.mean_words if self.profile is not None else 0.0
        return max(LONGER_THAN_USUAL * usual, SHORTEST_LIMIT) if usual else None


async def recall(
    database: Database, situation: Situation, vector: NDArray[np.float32] | None, model: str
) -> Recalled:
    """Recent lines, what was said about it before, how the owner answered the like, and who is who.

    Two transactions side by side: the search is most of the time that a turn takes.
    """
    reader = Reader.chat(situation.chat_id)
    (memories, facts, answered), (recent, deferrals, profile, biography, earlier) = await side_by_side(
        _found(database, situation, reader, vector, model), _around(database, situation, reader, model)
    )
    return Recalled(
        recent=recent,
        memories=memories,
        facts=facts,
        answered=answered,
        deferrals=deferrals,
        profile=profile,
        biography=biography,
        earlier=fitting(
            earlier, situation.text, shown={said.id for said in (*recent, *memories[:SHOWN_MEMORIES])}
        ),
    )


async def _found(
    database: Database,
    situation: Situation,
    reader: Reader,
    vector: NDArray[np.float32] | None,
    model: str,
) -> tuple[tuple[Spoken, ...], tuple[KnownFact, ...], tuple[Answered, ...]]:
    """Messages (best first) and facts about what is asked, and how the owner answered the like."""
    owner_id = situation.account.owner_id
    async with database.owner(owner_id) as connection:
        found = await recall_memory(
            connection,
            owner_id=owner_id,
            reader=reader,
            query=situation.text,
            vector=vector,
            model=model,
            until=situation.since,
            limit=FOUND,
            facts=FACTS,
            past=PAST_REPLIES,
        )
        order = {hit.id: place for place, hit in enumerate(found.hits) if hit.kind == "message"}
        messages = await read_messages(connection, owner_id=owner_id, reader=reader, ids=list(order))
        wanted = [FactId(hit.id) for hit in found.hits if hit.kind == "fact"]
        facts = (
            await known_facts_of(connection, owner_id=owner_id, reader=reader, fact_ids=wanted, drafting=True)
            if wanted
            else []
        )
    return (
        tuple(sorted(messages, key=lambda said: order[said.id])),
        tuple(facts),
        tuple(_answered(past) for past in found.past),
    )


def fitting(
    sessions: Sequence[KnownSummary], asked: str, *, shown: Collection[MessageId]
) -> KnownSummary | None:
    """The first session that is about what is asked, in words of its own: a teacher's or the owner's.

    About it: it holds two words of the question's topic, or the only one. An extract is left out: search
    finds such lines better (trainer/JOURNAL.md, 2026-11-25). So is what rests on lines that are shown anyway.
    """
    topic = topic_words(asked)
    return next(
        (
            session
            for session in sessions
            if session.extractor != "local"
            and len(topic & topic_words(session.summary)) >= min(len(topic), SHARED_WORDS) > 0
            and not set(session.quoted_ids) <= set(shown)
        ),
        None,
    )


def _answered(past: PastReply) -> Answered:
    return Answered(
        asked_id=past.asked_id,
        asked=past.asked,
        reply_ids=tuple(past.reply_ids),
        reply=past.reply,
        likeness=min(max(past.score / MOST_SCORE, 0.0), 1.0),
        replied_at=past.replied_at,
    )


async def _around(
    database: Database, situation: Situation, reader: Reader, model: str
) -> tuple[tuple[Spoken, ...], tuple[Spoken, ...], Profile | None, Profile | None, tuple[KnownSummary, ...]]:
    """The chat's last lines, how the owner puts things off, who asks and who is asked, and earlier sessions."""
    owner_id = situation.account.owner_id
    async with database.owner(owner_id) as connection:
        said = await recent_turns(
            connection,
            owner_id=owner_id,
            chat_id=situation.chat_id,
            thread_id=situation.thread_id,
            until=situation.since,
            limit=LOOKED_THROUGH,
            drafting=True,
        )
        deferrals = _putting_off(said)
        if not deferrals and any(is_question(message.words) for message in situation.incoming):
            deferrals = await _deferrals(connection, situation, reader, model)
        profile = (
            await read_profile(
                connection,
                owner_id=owner_id,
                reader=reader,
                contact_id=situation.contact_id,
                as_of=situation.now,
                drafting=True,
                platform=situation.account.platform,
            )
            if situation.contact_id is not None
            else None
        )
        biography = await read_profile(
            connection, owner_id=owner_id, reader=reader, contact_id=None, as_of=situation.now, drafting=True
        )
        sessions = await known_summaries(
            connection,
            owner_id=owner_id,
            reader=reader,
            query=" ".join(topic_words(situation.text)),
            until=situation.since,
            limit=SESSIONS,
            drafting=True,
            told=True,
        )
    return tuple(said[-SHOWN:]), deferrals, profile, biography, tuple(sessions)


def _putting_off(said: Sequence[Spoken]) -> tuple[Spoken, ...]:
    """The owner's own deferrals among these lines, newest first."""
    return tuple(line for line in reversed(said) if line.origin == Origin.TYPED and is_deferral(line.text))


async def _deferrals(
    connection: Connection, situation: Situation, reader: Reader, model: str
) -> tuple[Spoken, ...]:
    """How the owner puts things off before these people, for a chat that has none yet; newest first."""
    owner_id = situation.account.owner_id
    hits = await search_memory(
        connection,
        owner_id=owner_id,
        reader=reader,
        query=DEFERRAL_WORDS,
        vector=None,
        model=model,
        limit=DEFERRALS,
        until=situation.since,
        drafting=True,
    )
    said = await read_messages(connection, owner_id=owner_id, reader=reader, ids=[hit.id for hit in hits])
    return _putting_off(said)
