"""Recalling: everything that may be used in this chat, and nothing else.

Three SQL functions are the only road from stored text to a prompt or a draft; each takes the owner
and the reader, and the reader here is always the chat itself.
"""

from dataclasses import dataclass
from datetime import datetime

from numpy.typing import NDArray
import numpy as np

from core.audience import Reader
from core.memory.profiles import Profile, read_profile
from core.memory.search import (
    Hit,
    Memory,
    PastReply,
    Spoken,
    past_replies,
    read_memories,
    recent_turns,
    search_memory,
)
from core.reply.situation import Situation
from core.storage.database import Connection

RECENT = 12
"""Lines of the chat itself that come along."""
FOUND = 8
FACTS = 6
PAST_REPLIES = 8
DEFERRALS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What was found for one turn, already inside the chat's audience."""

    recent: tuple[Spoken, ...]
    memories: tuple[Memory, ...]
    past_replies: tuple[PastReply, ...]
    profile: Profile | None
    biography: Profile | None


async def recall(
    connection: Connection, situation: Situation, vector: NDArray[np.float32] | None, model: str
) -> Recalled:
    """Recent lines, what was said about it before, how the owner answered the like, and who is who."""
    owner_id = situation.account.owner_id
    reader = Reader.chat(situation.chat_id)
    until: datetime = situation.since
    hits: list[Hit] = await search_memory(
        connection,
        owner_id=owner_id,
        reader=reader,
        query=situation.text,
        vector=vector,
        model=model,
        limit=FOUND,
        facts=FACTS,
        until=until,
        drafting=True,
    )
    return Recalled(
        recent=tuple(
            await recent_turns(
                connection,
                owner_id=owner_id,
                chat_id=situation.chat_id,
                thread_id=situation.thread_id,
                until=until,
                limit=RECENT,
            )
        ),
        memories=tuple(await read_memories(connection, owner_id=owner_id, reader=reader, hits=hits)),
        past_replies=tuple(
            await past_replies(
                connection,
                owner_id=owner_id,
                reader=reader,
                query=situation.text,
                vector=vector,
                model=model,
                until=until,
                limit=PAST_REPLIES,
            )
        ),
        profile=await read_profile(
            connection, owner_id=owner_id, reader=reader, contact_id=situation.contact_id
        )
        if situation.contact_id is not None
        else None,
        biography=await read_profile(connection, owner_id=owner_id, reader=reader, contact_id=None),
    )
