"""The messages of a surveyed export into Postgres, block by block, in constant memory.

What the survey spooled is copied into a temporary table and merged by the platform's ids in a few
statements, each block in a transaction of its own. Lanes store side by side; what must keep its order
(the messages of one moment in a chat, a message that comes twice) goes down the same lane. A crash
leaves whole blocks of each lane: importing again adds the rest.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from psycopg.errors import DeadlockDetected
from psycopg.types.json import Jsonb

from core.history.plan import Place, make_plan
from core.history.spool import LANES, NULL, Beside, Spool, Spooled
from core.history.survey import Survey
from core.ids import BatchId, OwnerId
from core.storage.database import Connection, Database
from core.vocabulary import Origin

ATTEMPTS = 3
"""Of a block: two lanes can only block each other where an export gives one message at two times."""


@dataclass(slots=True, kw_only=True)
class Loaded:
    """What an import did."""

    batch: BatchId
    messages_new: int = 0
    messages_updated: int = 0
    chats_new: int = 0
    contacts_new: int = 0
    bytes: int = 0
    """Of the spool, so far."""
    skipped: Counter[str] = field(default_factory=Counter[str])


@dataclass(slots=True, kw_only=True)
class _Chunk:
    lines: list[str] = field(default_factory=list[str])
    """Messages as COPY reads them."""
    attachments: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    reactions: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    threaded: bool = False
    typed: bool = False
    skipped: Counter[str] = field(default_factory=Counter[str])
    copied: bytes = b""
    """The lines as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merged:
    """What one chunk became."""

    new: int
    updated: int
    forgotten: int


async def load_history(
    database: Database,
    owner_id: OwnerId,
    spool: Spool,
    survey: Survey,
    *,
    label: str,
    training: bool | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Loaded:
    """Stores what the survey spooled; progress is told in bytes of the spool.

    `survey.owners` must be known (see `find_owner`).
    """
    async with database.owner(owner_id) as connection:
        plan = await make_plan(connection, owner_id, survey, label=label, training=training)
    loaded = Loaded(
        batch=plan.batch,
        chats_new=plan.new_chats,
        contacts_new=plan.new_contacts,
        skipped=Counter(survey.skipped),
    )
    chunks = _Chunks(spool, [plan.places[key] for key in spool.chats])
    store = _Store(database, owner_id, loaded, on_progress)
    async with asyncio.TaskGroup() as stores:
        for lane in range(LANES):
            stores.create_task(store.run(chunks.of_lane(lane)))
    async with database.owner(owner_id) as connection:
        await _close_batch(connection, owner_id, survey, loaded)
    return loaded


class _Chunks:
    """The blocks of a spool with what the plan decides about each message."""

    def __init__(self, spool: Spool, places: Sequence[Place]) -> None:
        self._spool, self._places = spool, places

    def of_lane(self, lane: int) -> Iterator[tuple[int, _Chunk]]:
        """The bytes of each block, and what is to be stored of it."""
        decided: dict[tuple[int, str, bool], _Decided] = {}
        for size, block in self._spool.blocks(lane):
            chunk = _Chunk()
            for message in block:
                self._add(chunk, message, decided)
            chunk.copied = "".join(chunk.lines).encode()
            chunk.lines.clear()
            yield size, chunk

    def _add(self, chunk: _Chunk, message: Spooled, decided: dict[tuple[int, str, bool], "_Decided"]) -> None:
        number, sender, is_bot, threaded, columns, beside = message
        found = decided.get((number, sender, is_bot))
        if found is None:
            found = decided[number, sender, is_bot] = _decide(self._places[number], sender, is_bot=is_bot)
        if found.refused:
            chunk.skipped[found.refused] += 1
            return
        chunk.lines.append(f"{len(chunk.lines)}{found.columns}{columns}")
        chunk.typed = chunk.typed or found.typed
        chunk.threaded = chunk.threaded or threaded
        if beside is not None:
            _add_beside(chunk, beside, self._places[number])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """What the plan says of one sender's messages in one chat."""

    refused: str = ""
    columns: str = ""
    typed: bool = False


def _decide(place: Place, sender: str, *, is_bot: bool) -> _Decided:
    if refused := place.left_out or ("opted_out" if sender in place.silent else ""):
        return _Decided(refused=refused)
    if sender == place.owner:
        known, origin = NULL, Origin.TYPED
    else:
        known, origin = str(place.senders[sender]), Origin.BOT if is_bot else Origin.CONTACT
    columns = f"\t{place.chat_id}\t{known}\t{origin.value}\t{place.audience_id}\t{place.source_id}\t"
    return _Decided(columns=columns, typed=origin is Origin.TYPED)


def _add_beside(chunk: _Chunk, beside: Beside, place: Place) -> None:
    message, attachments, reactions = beside
    for position, attachment in enumerate(attachments):
        chunk.attachments.append((place.chat_id, message, position, *attachment))
    for sender, emoji in reactions:
        by_owner = sender == place.owner
        known = place.senders.get(sender)
        if by_owner or known is not None:
            chunk.reactions.append((place.chat_id, message, None if by_owner else known, emoji))


@dataclass(frozen=True, slots=True)
class _Store:
    """Stores the chunks of a lane in their order, each in a transaction."""

    database: Database
    owner_id: OwnerId
    loaded: Loaded
    on_progress: Callable[[int], None]

    async def run(self, chunks: Iterator[tuple[int, _Chunk]]) -> None:
        while (taken := await asyncio.to_thread(next, chunks, None)) is not None:
            size, chunk = taken
            self.loaded.skipped.update(chunk.skipped)
            if chunk.copied:
                await self._store(chunk)
            self.loaded.bytes += size
            self.on_progress(self.loaded.bytes)

    async def _store(self, chunk: _Chunk) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self.database.owner(self.owner_id) as connection:
                    staged = await _stage(connection, chunk.copied)
                    merged = await self._merge(connection, chunk, staged)
            except DeadlockDetected:
                if attempt == ATTEMPTS:
                    raise
            else:
                self._count(merged)
                return

    def _count(self, merged: _Merged) -> None:
        self.loaded.messages_new += merged.new
        self.loaded.messages_updated += merged.updated
        self.loaded.skipped["forgotten"] += merged.forgotten

    async def _merge(self, connection: Connection, chunk: _Chunk, staged: int) -> _Merged:
        owner_id, batch = self.owner_id, self.loaded.batch
        forgotten = await _drop_forgotten(connection, owner_id)
        if chunk.threaded:
            await _ensure_threads(connection, owner_id)
        if chunk.typed:
            await _recognise_own_sends(connection, owner_id)
        new, updated = await _insert(connection, owner_id, batch), 0
        if new < staged:
            updated = await _update(connection, owner_id, batch)
        if chunk.attachments:
            await _add_attachments(connection, owner_id, batch, chunk.attachments)
        if chunk.reactions:
            await _add_reactions(connection, owner_id, batch, chunk.reactions)
        return _Merged(new=new, updated=updated, forgotten=forgotten)


async def _stage(connection: Connection, lines: bytes) -> int:
    """How many messages were staged."""
    # What a crash loses here is imported again.
    await connection.execute("""
        SELECT set_config('synchronous_commit', 'off', true), set_config('work_mem', '64MB', true)""")
    await connection.execute("""
        CREATE TEMP TABLE staged (
            n integer, chat_id bigint, sender_id bigint, origin text, audience_id bigint, source_id bigint,
            thread text, platform_message_id text, sender_name text, sent_at timestamptz,
            edited_at timestamptz, text text, caption text, reply_to text, automatic boolean,
            forwarded boolean
        ) ON COMMIT DROP""")
    cursor = connection.cursor()
    async with cursor.copy("COPY staged FROM STDIN") as copy:
        await copy.write(lines)
    return cursor.rowcount


async def _drop_forgotten(connection: Connection, owner_id: OwnerId) -> int:
    """What was forgotten is not brought back."""
    cursor = await connection.execute(
        """
        DELETE FROM staged s USING tombstones t, accounts a, chats c
        WHERE t.owner_id = %s AND c.owner_id = t.owner_id AND a.owner_id = t.owner_id
          AND a.platform = t.platform AND a.name = t.account
          AND c.account_id = a.id AND c.platform_chat_id = t.platform_chat_id
          AND s.chat_id = c.id
          AND (t.platform_message_id IS NULL OR t.platform_message_id = s.platform_message_id)""",
        [owner_id],
    )
    return cursor.rowcount


async def _ensure_threads(connection: Connection, owner_id: OwnerId) -> None:
    """Threads of the messages that are new, in an order that lanes share; the others have their place."""
    await connection.execute(
        """
        INSERT INTO threads (owner_id, chat_id, platform_thread_id)
        SELECT DISTINCT %(owner)s::bigint, s.chat_id, s.thread FROM staged s
        WHERE s.thread IS NOT NULL AND NOT EXISTS (
            SELECT FROM messages m WHERE m.owner_id = %(owner)s AND m.chat_id = s.chat_id
            AND m.platform_message_id = s.platform_message_id)
          AND NOT EXISTS (
            SELECT FROM staged e WHERE e.chat_id = s.chat_id
            AND e.platform_message_id = s.platform_message_id AND e.n < s.n)
        ORDER BY s.chat_id, s.thread
        ON CONFLICT DO NOTHING""",
        {"owner": owner_id},
    )


async def _recognise_own_sends(connection: Connection, owner_id: OwnerId) -> None:
    """What we sent in the owner's name comes back in exports: it is not what the owner typed."""
    await connection.execute(
        """
        UPDATE staged s SET origin = o.origin FROM outbox o
        WHERE o.owner_id = %s AND o.chat_id = s.chat_id AND s.origin = 'typed'
          AND o.state IN ('in_flight', 'sent', 'unknown')
          AND (s.platform_message_id = ANY (o.platform_message_ids)
               OR (btrim(o.text) = btrim(s.text)
                   AND s.sent_at BETWEEN o.queued_at - interval '10 minutes'
                                     AND coalesce(o.settled_at, o.queued_at) + interval '1 day'))""",
        [owner_id],
    )


async def _insert(connection: Connection, owner_id: OwnerId, batch: BatchId) -> int:
    cursor = await connection.execute(
        """
        INSERT INTO messages (owner_id, chat_id, thread_id, platform_message_id, sender_id, sender_name,
                              origin, sent_at, edited_at, text, caption, reply_to, automatic, forwarded,
                              audience_id, source_id, batch_id, language)
        SELECT c.owner_id, s.chat_id, t.id, s.platform_message_id, s.sender_id, s.sender_name,
               s.origin, s.sent_at, s.edited_at, s.text, s.caption, s.reply_to, s.automatic, s.forwarded,
               s.audience_id, s.source_id, %s, c.language
        FROM staged s
        JOIN chats c ON c.owner_id = %s AND c.id = s.chat_id
        LEFT JOIN threads t ON t.owner_id = c.owner_id AND t.chat_id = s.chat_id
                           AND t.platform_thread_id = s.thread
        ORDER BY s.n
        ON CONFLICT (owner_id, chat_id, platform_message_id) DO NOTHING""",
        [batch, owner_id],
    )
    return cursor.rowcount


async def _update(connection: Connection, owner_id: OwnerId, batch: BatchId) -> int:
    """Messages that this export knows in a later wording. Origins stay, and so do deletions.

    Where neither side says when it was edited, a live row stays as it is, and a wording that was
    already superseded once does not come back: so importing twice changes nothing.
    """
    cursor = await connection.execute(
        """
        WITH later AS (
            SELECT DISTINCT ON (m.id) m.id, m.text AS text_before, m.caption AS caption_before,
                   m.edited_at AS edited_before, m.batch_id, s.text, s.caption, s.edited_at
            FROM staged s
            JOIN messages m ON m.owner_id = %(owner)s AND m.chat_id = s.chat_id
                           AND m.platform_message_id = s.platform_message_id
            WHERE m.deleted_at IS NULL AND m.text <> s.text
              AND (s.edited_at > coalesce(m.edited_at, '-infinity')
                   OR (s.edited_at IS NULL AND m.edited_at IS NULL AND m.batch_id IS NOT NULL
                       AND NOT EXISTS (
                           SELECT FROM message_edits e WHERE e.owner_id = %(owner)s AND e.message_id = m.id
                           AND e.text_before = s.text)))
            ORDER BY m.id, s.edited_at DESC NULLS LAST, s.n DESC
        ), edits AS (
            INSERT INTO message_edits (owner_id, message_id, text_before, edited_at, batch_id)
            SELECT %(owner)s, id, text_before, coalesce(edited_at, now()), %(batch)s FROM later
        ), noted AS (
            INSERT INTO import_changes (owner_id, batch_id, kind, row_id, before)
            SELECT %(owner)s, %(batch)s, 'message', id, jsonb_build_object(
                'text', text_before, 'caption', caption_before, 'edited_at', edited_before)
            FROM later
        )
        UPDATE messages m SET text = l.text, caption = l.caption, edited_at = l.edited_at
        FROM later l WHERE m.owner_id = %(owner)s AND m.id = l.id""",
        {"owner": owner_id, "batch": batch},
    )
    return cursor.rowcount


async def _add_attachments(
    connection: Connection, owner_id: OwnerId, batch: BatchId, rows: Sequence[tuple[object, ...]]
) -> None:
    """Attachments of the messages that this batch brought; those of others are known."""
    await connection.execute("""
        CREATE TEMP TABLE staged_attachments (
            chat_id bigint, platform_message_id text, position integer, kind text, name text, caption text,
            transcript text, media_type text, size_bytes bigint, reference text
        ) ON COMMIT DROP""")
    async with connection.cursor().copy("COPY staged_attachments FROM STDIN") as copy:
        for row in rows:
            await copy.write_row(row)
    await connection.execute(
        """
        INSERT INTO attachments (owner_id, message_id, position, kind, name, caption, transcript,
                                 media_type, size_bytes, reference)
        SELECT m.owner_id, m.id, s.position, s.kind, s.name, s.caption, s.transcript,
               s.media_type, s.size_bytes, s.reference
        FROM staged_attachments s
        JOIN messages m ON m.owner_id = %s AND m.chat_id = s.chat_id
                       AND m.platform_message_id = s.platform_message_id AND m.batch_id = %s
        ON CONFLICT DO NOTHING""",
        [owner_id, batch],
    )


async def _add_reactions(
    connection: Connection, owner_id: OwnerId, batch: BatchId, rows: Sequence[tuple[object, ...]]
) -> None:
    await connection.execute(
        """
        WITH added AS (
            INSERT INTO reactions (owner_id, message_id, sender_id, emoji)
            SELECT DISTINCT m.owner_id, m.id, s.sender_id, s.emoji
            FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[])
                 AS s (chat_id, platform_message_id, sender_id, emoji)
            JOIN messages m ON m.owner_id = %s AND m.chat_id = s.chat_id AND m.deleted_at IS NULL
                           AND m.platform_message_id = s.platform_message_id
            ON CONFLICT DO NOTHING RETURNING owner_id, id
        )
        INSERT INTO import_changes (owner_id, batch_id, kind, row_id)
        SELECT owner_id, %s, 'reaction', id FROM added""",
        [*map(list, zip(*rows, strict=True)), owner_id, batch],
    )


async def _close_batch(connection: Connection, owner_id: OwnerId, survey: Survey, loaded: Loaded) -> None:
    counts = {
        "messages_read": survey.messages,
        "messages_new": loaded.messages_new,
        "messages_updated": loaded.messages_updated,
        "chats": loaded.chats_new,
        "contacts": loaded.contacts_new,
    }
    await connection.execute(
        "UPDATE import_batches SET finished_at = now(), counts = %s WHERE owner_id = %s AND id = %s",
        [Jsonb(counts), owner_id, loaded.batch],
    )
