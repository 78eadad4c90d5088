"""The grouping job: closed stretches of talk become topics, each message in one of its own audience's.

Incremental and resumable: `passages.grouped` says what was looked at, each portion is committed alone, and
whatever takes a message out of its topic (an edit, forgetting, another audience) sets it back by trigger.
No model works here; naming comes after (`topic_names`), and embeddings before (`index`).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg.rows import class_row

from core.ids import AudienceId, MessageId, OwnerId, TopicId
from core.memory.grouping import DOUBT, SHORTEST, Group, Vectors, cut, joined, nearest
from core.memory.index import SESSION_GAP_HOURS
from core.storage.database import Connection, Database

PORTION = 64
"""Stretches of talk that are grouped in one transaction."""

MOST_GROUPS = 1000
"""Of one audience, that a stretch is compared with: topics first, then what was talked of last.

Beyond so many, in which portions the messages came may make a difference.
"""

SAME_THEME = 0.5
"""Cosine, less what all of each audience's have in common, from which topics are about the same thing."""

Progress = Callable[[int, int], None]
"""Called with stretches grouped and stretches to group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A message that waits for its topic; `vector` None: nothing to group it by, or nothing to be grouped."""

    id: MessageId
    stretch: int
    audience_id: AudienceId
    language: str
    eligible: bool
    grouped: bool
    vector: HalfVector | None
    beside: TopicId | None
    """The topic of the message before or after it, where that was grouped earlier."""


@dataclass(slots=True, kw_only=True)
class Topic:
    """A topic in the making."""

    id: TopicId
    group: Group
    gained: list[MessageId] = field(default_factory=list[MessageId])


async def group_new(
    database: Database,
    owner_id: OwnerId,
    model: str,
    *,
    now: datetime,
    on_progress: Progress | None = None,
) -> int:
    """How many messages found their topic just now; run twice, it finds nothing the second time.

    A stretch is read when nobody has gone on with it for so long that it is over, and when its messages
    have their vectors of that model.
    """
    async with database.owner(owner_id) as connection:
        waiting = await _waiting(connection, owner_id, now)
    found = 0
    for start in range(0, len(waiting), PORTION):
        portion = waiting[start : start + PORTION]
        async with database.owner(owner_id) as connection:
            found += await _group(connection, owner_id, model, portion)
        if on_progress is not None:
            on_progress(min(start + PORTION, len(waiting)), len(waiting))
    return found


async def _waiting(connection: Connection, owner_id: OwnerId, now: datetime) -> list[int]:
    """Stretches that are over and not all grouped, in the order in which they ended."""
    cursor = await connection.execute(
        """
        SELECT p.session_id FROM passages p
        JOIN messages m ON m.owner_id = p.owner_id AND m.id = p.message_id
        WHERE p.owner_id = %s AND NOT p.grouped
        GROUP BY p.session_id HAVING max(m.sent_at) < %s
        ORDER BY max(m.sent_at), p.session_id""",
        [owner_id, now - timedelta(hours=SESSION_GAP_HOURS)],
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def _group(connection: Connection, owner_id: OwnerId, model: str, stretches: Sequence[int]) -> int:
    # One job at a time: two would found the same topic twice.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('topics', %s))", [owner_id])
    by_stretch: dict[int, list[Spoken]] = defaultdict(list)
    for spoken in await _spoken(connection, owner_id, model, stretches):
        by_stretch[spoken.stretch].append(spoken)
    known: dict[AudienceId, list[Topic]] = {}
    for stretch in stretches:
        said = [each for each in by_stretch[stretch] if each.eligible and not each.grouped and each.vector]
        if not said:
            continue
        # A stretch has one audience: the indexing job cuts them so.
        audience = said[0].audience_id
        if audience not in known:
            known[audience] = await _topics(connection, owner_id, audience, model)
        await _place(connection, owner_id, known[audience], said)
    touched = [topic for topics in known.values() for topic in topics if topic.gained]
    await _store(connection, owner_id, model, touched)
    every = [each for said in by_stretch.values() for each in said]
    done = [each.id for each in every if each.vector is not None or not each.eligible or each.grouped]
    await connection.execute(
        "UPDATE passages SET grouped = true WHERE owner_id = %s AND message_id = ANY (%s)", [owner_id, done]
    )
    return sum(len(topic.gained) for topic in touched)


async def _spoken(
    connection: Connection, owner_id: OwnerId, model: str, stretches: Sequence[int]
) -> list[Spoken]:
    """Only words that people typed, and of contacts only where they may be profiled. Held until the end."""
    async with connection.cursor(row_factory=class_row(Spoken)) as cursor:
        await cursor.execute(
            """
            SELECT m.id, p.session_id AS stretch, m.audience_id, m.language::text AS language,
                   m.deleted_at IS NULL AND m.text <> '' AND NOT m.automatic AND NOT m.forwarded
                   AND (m.origin = 'typed' AND m.sender_id IS NULL
                        OR m.origin = 'contact' AND s.may_profile AND c.id IS NOT NULL AND c.opted_out_at IS NULL)
                       AS eligible,
                   EXISTS (SELECT FROM topic_sources t WHERE t.owner_id = m.owner_id AND t.message_id = m.id)
                       AS grouped,
                   (SELECT e.embedding FROM embeddings e WHERE e.owner_id = m.owner_id AND e.message_id = m.id
                    AND e.model = %s AND e.span = 'turn') AS vector,
                   (SELECT t.topic_id FROM topic_sources t WHERE t.owner_id = p.owner_id
                    AND t.message_id IN (p.before_id, p.after_id)
                    ORDER BY t.message_id = p.before_id DESC LIMIT 1) AS beside
            FROM passages p
            JOIN messages m ON m.owner_id = p.owner_id AND m.id = p.message_id
            JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
            LEFT JOIN contact_accounts a ON a.owner_id = m.owner_id AND a.id = m.sender_id
            LEFT JOIN contacts c ON c.owner_id = a.owner_id AND c.id = a.contact_id
            WHERE p.owner_id = %s AND p.session_id = ANY (%s) AND NOT p.grouped
            ORDER BY m.sent_at, m.id
            FOR SHARE OF m""",
            [model, owner_id, list(stretches)],
        )
        return await cursor.fetchall()


async def _topics(
    connection: Connection, owner_id: OwnerId, audience_id: AudienceId, model: str
) -> list[Topic]:
    """The audience's groups, eldest first; a mean that is missing or of another model is taken anew."""
    cursor = await connection.execute(
        """
        SELECT t.id, t.messages, CASE WHEN t.model = %(model)s AND t.centroid IS NOT NULL THEN t.centroid ELSE (
                   SELECT avg(e.embedding::vector)::halfvec FROM topic_sources s
                   JOIN embeddings e ON e.owner_id = s.owner_id AND e.message_id = s.message_id
                                    AND e.model = %(model)s AND e.span = 'turn'
                   WHERE s.owner_id = t.owner_id AND s.topic_id = t.id) END
        FROM (
            SELECT owner_id, id, messages, model, centroid FROM topics
            WHERE owner_id = %(owner)s AND audience_id = %(audience)s
            ORDER BY name <> '' OR deleted_at IS NOT NULL DESC, last_seen DESC, id LIMIT %(most)s
        ) t ORDER BY t.id""",
        {"owner": owner_id, "audience": audience_id, "model": model, "most": MOST_GROUPS},
    )
    return [
        Topic(id=TopicId(row[0]), group=Group(mean=row[2].to_numpy().astype(np.float32), messages=row[1]))
        for row in await cursor.fetchall()
        if row[2] is not None
    ]


async def _place(
    connection: Connection, owner_id: OwnerId, topics: list[Topic], said: Sequence[Spoken]
) -> None:
    """Each segment of one stretch into the topic that it is near to, or into a new one."""
    vectors: Vectors = np.stack([each.vector.to_numpy() for each in said if each.vector]).astype(np.float32)
    for segment in cut(vectors):
        mean = vectors[segment.start : segment.stop].mean(axis=0)
        found = _beside([said[place] for place in segment], topics)
        if found is None:
            found = nearest(mean, len(segment), [topic.group for topic in topics])
        if found is None:
            topics.append(
                Topic(
                    id=await _found(connection, owner_id, said[segment.start]),
                    group=Group(mean=mean, messages=0),
                )
            )
        topic = topics[-1 if found is None else found]
        topic.group = joined(topic.group, mean, len(segment))
        topic.gained += [said[place].id for place in segment]


def _beside(segment: Sequence[Spoken], topics: Sequence[Topic]) -> int | None:
    """Where a few messages belong that stand within talk that was grouped before: an edit, a late arrival."""
    if len(segment) >= SHORTEST:
        return None
    around = {each.beside for each in segment if each.beside is not None}
    return next((place for place, topic in enumerate(topics) if topic.id in around), None)


async def _found(connection: Connection, owner_id: OwnerId, first: Spoken) -> TopicId:
    cursor = await connection.execute(
        """
        INSERT INTO topics (owner_id, audience_id, language, extractor) VALUES (%s, %s, %s::regconfig, 'local')
        RETURNING id""",
        [owner_id, first.audience_id, first.language],
    )
    row = await cursor.fetchone()
    assert row is not None, "an INSERT that returns nothing raises"  # noqa: S101 -- for the type checker
    return TopicId(row[0])


async def _store(connection: Connection, owner_id: OwnerId, model: str, topics: Sequence[Topic]) -> None:
    pairs = [(topic.id, message) for topic in topics for message in topic.gained]
    await connection.execute(
        """
        INSERT INTO topic_sources (owner_id, topic_id, message_id)
        SELECT %s, n.topic_id, n.message_id FROM unnest(%s::bigint[], %s::bigint[]) AS n (topic_id, message_id)""",
        [owner_id, [topic for topic, _ in pairs], [message for _, message in pairs]],
    )
    await connection.cursor().executemany(
        "UPDATE topics SET centroid = %s, model = %s WHERE owner_id = %s AND id = %s",
        [(HalfVector(topic.group.mean), model, owner_id, topic.id) for topic in topics],
    )


async def link_themes(connection: Connection, owner_id: OwnerId, model: str) -> int:
    """How many named topics were newly linked to the eldest that is about the same, in another audience.

    A link is for the owner's eyes: names, descriptions and groups are made from one audience alone.
    """
    cursor = await connection.execute(
        """
        SELECT id, audience_id, theme_id, name <> '' AS named, messages, centroid FROM topics
        WHERE owner_id = %s AND model = %s AND centroid IS NOT NULL AND deleted_at IS NULL AND messages > 0
        ORDER BY id""",
        [owner_id, model],
    )
    rows = await cursor.fetchall()
    if not rows:
        return 0
    audiences = np.array([int(row[1]) for row in rows])
    apart = _apart(
        np.stack([row[5].to_numpy() for row in rows]).astype(np.float32),
        audiences,
        np.array([float(row[4]) for row in rows]),
    )
    heads = {int(row[2]) for row in rows if row[2] is not None}
    head = np.array([row[3] and row[2] is None for row in rows])
    links: list[dict[str, int]] = []
    for place, row in enumerate(rows):
        if not head[place] or row[0] in heads or place == 0:
            continue
        may = head[:place] & (audiences[:place] != audiences[place])
        likeness = np.where(may, apart[:place] @ apart[place], -1.0)
        elder = int(likeness.argmax())
        if likeness[elder] >= SAME_THEME:
            links.append({"owner": owner_id, "topic": int(row[0]), "elder": int(rows[elder][0])})
            heads.add(int(rows[elder][0]))
            head[place] = False
    await connection.cursor().executemany(
        "UPDATE topics SET theme_id = %(elder)s WHERE owner_id = %(owner)s AND id = %(topic)s", links
    )
    return len(links)


def _apart(means: Vectors, audiences: NDArray[np.int64], messages: NDArray[np.float64]) -> Vectors:
    """The means, less what all groups of their audience have in common, at length 1."""
    apart = means.copy()
    for audience in np.unique(audiences):
        mine = audiences == audience
        apart[mine] -= (messages[mine] @ means[mine] / (messages[mine].sum() + DOUBT)).astype(np.float32)
    return apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9)
