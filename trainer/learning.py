"""What L2 is and is not learning from, and why: source by source, and of facts."""

from dataclasses import dataclass

from psycopg.rows import class_row

from core.ids import OwnerId
from core.models.outside import leaves_machine
from core.settings import Settings
from core.storage.database import Connection
from trainer.history import said_by_all
from trainer.surroundings import Usable
from trainer.teachable import count_narrow_facts, teachable_facts

WHY_NOT = {
    "api": "{platform} delivers it live, and its terms keep it out of training unless you allow it",
    "export": "you were not asked, or said no, when it was imported",
    "console": "what is said on the console is simulated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLearned:
    """One source, and how many of the owner's own messages it has."""

    id: int
    kind: str
    platform: str
    name: str
    may_train: bool
    typed: int

    @property
    def sentence(self) -> str:
        called = " ".join(part for part in (self.kind, self.platform, self.name) if part)
        if self.may_train:
            return f"{called}: learned from, {self.typed} messages of yours."
        why = WHY_NOT[self.kind].format(platform=self.platform.title())
        return (
            f"{called}: not learned from, {self.typed} messages of yours; {why}. "
            f"'locum memory consents --source {self.id} --training' allows it."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """All of it, in numbers and sentences."""

    sources: list[SourceLearned]
    facts_taught: int
    facts_left_to_retrieval: int
    rejected: int
    """Examples and messages that the owner does not want to be learned."""
    leaves: str

    @property
    def sentences(self) -> list[str]:
        facts = (
            f"{self.facts_taught} facts that anyone may know become questions and answers."
            if self.facts_taught
            else "No fact becomes an example: only those about you, in your own words, that anyone may know do "
            "('locum memory audience fact NUMBER --anyone')."
        )
        return [
            *(source.sentence for source in self.sources),
            *(
                []
                if self.sources
                else ["There is nothing yet: 'locum import' or 'locum connect' brings messages."]
            ),
            facts,
            (
                f"{self.facts_left_to_retrieval} facts that fewer may know are left to retrieval, which asks who reads;"
                " in replies to few, names, numbers, dates and rare words are placeholders."
            ),
            f"{self.rejected} examples or messages are left out because you rejected them.",
            self.leaves,
        ]


async def what_is_learned(connection: Connection, owner_id: OwnerId, settings: Settings) -> Learning:
    """As consents, audiences and verdicts stand now."""
    usable = {
        said.message_id: Usable(at=said.sent_at, narrow=said.narrow, held_out=False, fingerprint="")
        async for said in said_by_all(connection, owner_id)
        if not said.left_out
    }
    return Learning(
        sources=await _sources(connection, owner_id),
        facts_taught=len(await teachable_facts(connection, owner_id, usable)),
        facts_left_to_retrieval=await count_narrow_facts(connection, owner_id),
        rejected=await _rejected(connection, owner_id),
        leaves=what_leaves(settings),
    )


def what_leaves(settings: Settings) -> str:
    """What training sends to another machine, named before anything is sent."""
    if not settings.teacher_url:
        return (
            "Nothing leaves this machine for training: no teacher is named, and templates ask the questions."
        )
    if not leaves_machine(settings.teacher_url):
        return f"The teacher runs on this machine ({settings.teacher_url}): nothing leaves it."
    return (
        f"To {settings.teacher_url} (LOCUM_TEACHER_URL) go your name and facts about you that anyone may know, from "
        "sources that may leave this machine, and questions about them; no message goes there for training."
    )


async def _sources(connection: Connection, owner_id: OwnerId) -> list[SourceLearned]:
    async with connection.cursor(row_factory=class_row(SourceLearned)) as cursor:
        await cursor.execute(
            """
            SELECT s.id, s.kind, s.platform, s.name, s.may_train,
                   (SELECT count(*) FROM messages m WHERE m.owner_id = s.owner_id AND m.source_id = s.id
                    AND m.origin = 'typed' AND m.deleted_at IS NULL) AS typed
            FROM sources s WHERE s.owner_id = %s ORDER BY s.id""",
            [owner_id],
        )
        return await cursor.fetchall()


async def _rejected(connection: Connection, owner_id: OwnerId) -> int:
    cursor = await connection.execute(
        """
        SELECT count(DISTINCT digest) FILTER (WHERE digest <> '') + count(*) FILTER (WHERE digest = '')
        FROM training_verdicts WHERE owner_id = %s AND verdict = 'rejected'""",
        [owner_id],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
