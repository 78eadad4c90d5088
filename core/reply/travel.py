"""May a fact travel: what the owner told others would answer this turn, and only the owner can say so.

"I moved", said to one friend, should not be denied to another. Where something that the people of a chat may
not learn is near to what they ask, the card asks whether they may: these people, their circle, or nobody.
One tap, remembered. Before it nothing of the fact is in a prompt or a draft, and after it no more than was
allowed; whoever asks sees nothing of it, for a card is the owner's alone.
"""

import re
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from core.bot import CardQuestion
from core.errors import ModelError
from core.events import DraftVerb
from core.ids import ChatId, ContactId, FactId, OwnerId, TurnId
from core.memory.circles import NOBODYS
from core.memory.search import as_halfvec
from core.memory.sharing import Audience, share_fact
from core.memory.traces import show_anew
from core.models.faces import Embedder, embed_questions
from core.reply.gate import Slate
from core.reply.situation import Situation
from core.reply.wording import is_question
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, Decision

log = structlog.get_logger()

NEAR = 0.68
"""Likeness of a question, with the owner's name in it, and a fact about the owner. Chosen on thirty pairs of
our own: of fifteen questions that a fact answers it lets ten through, of fifteen others none."""
SHARED = 0.5
"""Share of a question's words, weighed by how rare they are, from which words alone point at a fact."""
ANSWERS = {DraftVerb.TELL: "people", DraftVerb.CIRCLE: "circle", DraftVerb.KEEP: "nobody"}
ALLOWED = "the owner allowed something that it did not know"
WHY = "something that you told others would answer it"

_YOU = re.compile(r"\b(you|your|yours)\b", re.IGNORECASE)


async def find_question(database: Database, situation: Situation, embedder: Embedder | None) -> FactId | None:
    """The fact to ask about; None for a turn that asks nothing, or whose listeners are not all known."""
    asked = "\n".join(line.words for line in situation.incoming if is_question(line.words))
    if not asked or situation.chat_kind is ChatKind.PUBLIC:
        return None
    owner_id, chat_id = situation.account.owner_id, situation.chat_id
    async with database.owner(owner_id) as connection:
        if not await _people(connection, owner_id, chat_id):
            return None
    vector, model = await _vector(embedder, _about_owner(asked, situation.account.owner_name))
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            "SELECT fact_id, lexical, dense FROM facts_kept_back(%s, %s, %s, %s, %s, 1)",
            [owner_id, chat_id, asked, as_halfvec(vector), model],
        )
        row = await cursor.fetchone()
    if row is None or (row[1] < SHARED and row[2] < NEAR):
        return None
    return FactId(int(row[0]))


def _about_owner(text: str, owner_name: str) -> str:
    """Facts are kept in the third person; so is the question asked."""
    name = owner_name.split(maxsplit=1)[0] if owner_name.split() else owner_name
    return _YOU.sub(lambda found: name if found[0].lower() == "you" else f"{name}'s", text)


async def _vector(embedder: Embedder | None, text: str) -> tuple[NDArray[np.float32] | None, str]:
    if embedder is None:
        return None, ""
    try:
        return (await embed_questions(embedder, [text]))[0], embedder.name
    except ModelError as error:
        log.warning("embedder.failed", error=type(error).__name__)
        return None, ""


def asking(slate: Slate, fact_id: FactId | None) -> Slate:
    """The slate with its question; what has one is never sent unasked."""
    if fact_id is None or slate.decision not in (Decision.SUGGEST, Decision.AUTO):
        return slate
    return Slate(decision=Decision.ASK, why=WHY, shown=slate.shown, left_out=slate.left_out, question=fact_id)


async def write_question(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, turn_id: TurnId, fact_id: FactId
) -> None:
    """The question stands on the turn's card; a fact that is gone meanwhile is asked nothing about."""
    await connection.execute(
        """
        INSERT INTO travel_questions (owner_id, fact_id, chat_id, turn_id)
        SELECT owner_id, id, %s, %s FROM facts WHERE owner_id = %s AND id = %s
        ON CONFLICT (owner_id, fact_id, chat_id) DO UPDATE SET turn_id = EXCLUDED.turn_id, asked_at = now()
        WHERE travel_questions.answer = ''""",
        [chat_id, turn_id, owner_id, fact_id],
    )


async def read_question(connection: Connection, owner_id: OwnerId, turn_id: TurnId) -> CardQuestion | None:
    """What the owner is asked on the turn's card, for their eyes; None where there is nothing to ask."""
    cursor = await connection.execute(
        """
        SELECT q.chat_id, f.id, f.statement,
               (SELECT string_agg(DISTINCT coalesce(nullif(c.title, ''), c.platform_chat_id), ', ')
                FROM fact_sources s
                JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
                JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
                WHERE s.owner_id = f.owner_id AND s.fact_id = f.id)
        FROM travel_questions q JOIN facts f ON f.owner_id = q.owner_id AND f.id = q.fact_id
        WHERE q.owner_id = %s AND q.turn_id = %s AND q.answer = '' AND NOT f.hidden
        ORDER BY q.id DESC LIMIT 1""",
        [owner_id, turn_id],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    people = await _people(connection, owner_id, ChatId(int(row[0])))
    if not people:
        return None
    return CardQuestion(
        statement=str(row[2]),
        told_in=str(row[3] or ""),
        people=tuple(person.name for person in people),
        circle=_circle(people),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    id: ContactId
    name: str
    circle: str


async def _people(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> list[_Person]:
    """Everybody who is in the chat, where all of them are known; nobody else can be given anything."""
    cursor = await connection.execute(
        """
        SELECT p.id, p.display_name, p.circle, p.opted_out_at IS NULL
        FROM chats c
        JOIN chat_members m ON m.owner_id = c.owner_id AND m.chat_id = c.id AND m.left_at > now()
        JOIN contacts p ON p.owner_id = m.owner_id AND p.id = m.contact_id
        WHERE c.owner_id = %s AND c.id = %s AND c.members_known AND c.kind <> 'public'
        GROUP BY p.owner_id, p.id ORDER BY p.id""",
        [owner_id, chat_id],
    )
    rows = await cursor.fetchall()
    if not all(row[3] for row in rows):
        return []
    return [_Person(id=ContactId(int(row[0])), name=str(row[1]), circle=str(row[2])) for row in rows]


def _circle(people: list[_Person]) -> str:
    """The circle that all of them are in; strangers are none."""
    circles = {person.circle for person in people}
    return circles.pop() if len(circles) == 1 and NOBODYS not in circles else ""


async def answer_question(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, turn_id: TurnId, verb: DraftVerb
) -> None:
    """Carry out the owner's answer and remember it: allowed, the turn is drafted anew; else the card goes on."""
    cursor = await connection.execute(
        """
        SELECT id, fact_id FROM travel_questions
        WHERE owner_id = %s AND turn_id = %s AND answer = '' ORDER BY id DESC LIMIT 1 FOR UPDATE""",
        [owner_id, turn_id],
    )
    row = await cursor.fetchone()
    people = await _people(connection, owner_id, chat_id)
    if row is None or not people:
        return
    question, fact_id = int(row[0]), FactId(int(row[1]))
    circle = _circle(people) if verb is DraftVerb.CIRCLE else ""
    answer = "people" if verb is DraftVerb.CIRCLE and not circle else ANSWERS[verb]
    await connection.execute(
        "UPDATE travel_questions SET answer = %s, answered_at = now() WHERE owner_id = %s AND id = %s",
        [answer, owner_id, question],
    )
    if answer != "nobody":
        knew = await _who_knows(connection, owner_id, fact_id)
        given = (*knew, *(person.id for person in people))
        audience = Audience(kind="circle" if circle else "contacts", contacts=given, circle=circle)
        await share_fact(connection, owner_id, fact_id, audience)
        await connection.execute(
            """
            UPDATE drafts SET state = 'expired', reason = %s
            WHERE owner_id = %s AND turn_id = %s AND state = 'proposed'""",
            [ALLOWED, owner_id, turn_id],
        )
    await show_anew(connection, owner_id, [turn_id])
    await connection.execute(
        "INSERT INTO audit (owner_id, actor, action, subject) VALUES (%s, 'owner', 'travel.answered', %s)",
        [owner_id, Jsonb({"fact": fact_id, "answer": answer})],
    )


async def _who_knows(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> tuple[ContactId, ...]:
    """Those who may learn the fact now, by name: of a group, who was there for every message that says it."""
    cursor = await connection.execute(
        """
        SELECT c.id FROM contacts c
        WHERE c.owner_id = %(owner)s AND c.merged_into IS NULL AND EXISTS (
            SELECT FROM facts f
            JOIN readable_audiences(%(owner)s, 'contact', c.id) r ON r.audience_id = f.audience_id
            WHERE f.owner_id = c.owner_id AND f.id = %(fact)s AND NOT EXISTS (
                SELECT FROM fact_sources s JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
                WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
                  AND NOT (m.sent_at >= r.since AND m.sent_at < r.until)))
          AND (EXISTS (SELECT FROM facts f JOIN audience_members a ON a.owner_id = f.owner_id
                       AND a.audience_id = f.audience_id WHERE f.owner_id = c.owner_id AND f.id = %(fact)s
                       AND a.contact_id = c.id)
               OR EXISTS (SELECT FROM facts f JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id
                          JOIN chat_members m ON m.owner_id = a.owner_id AND m.chat_id = a.chat_id
                          WHERE f.owner_id = c.owner_id AND f.id = %(fact)s AND m.contact_id = c.id))
        ORDER BY c.id""",
        {"owner": owner_id, "fact": fact_id},
    )
    return tuple(ContactId(int(row[0])) for row in await cursor.fetchall())
