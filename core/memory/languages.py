"""Which language a chat is in: its words are cut and stemmed by that language's rules, for full text.

Detected from what was said there, again whenever the chat has doubled. Messages are rewritten batch by
batch while search goes on in the old language and the new one; killed anywhere, it is taken up again.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import structlog

from core.ids import OwnerId
from core.memory.backlog import prefer_keys
from core.storage.database import Connection, Database

log = structlog.get_logger()

SAMPLE = 200
"""Messages, the last ones, from which a language is told."""
LONGEST_SAMPLE = 8000
"""Characters."""
ENOUGH_LETTERS = 40
"""Below which nobody can tell; a character of a script that writes words with one or two counts for four."""
SURE = 0.8
BATCH = 2000
NOT_WORDS = re.compile(r"https?://\S+|[@#]\w+|\d+")
DENSE_SCRIPT = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")

STEMMED = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian",
    "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
"""ISO 639-1 to Postgres' own text search configurations; every other language is `simple`."""


async def settle_languages(database: Database, owner_id: OwnerId) -> int:
    """How many chats changed their language just now; looks at those that are new or have doubled."""
    async with database.owner(owner_id) as connection:
        await prefer_keys(connection)
        cursor = await connection.execute(
            """
            SELECT c.id, c.language::text, n.messages
            FROM chats c CROSS JOIN LATERAL (
                -- No further than to the number that asks for another look.
                SELECT count(*) AS messages FROM (
                    SELECT FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id
                    LIMIT greatest(2 * c.language_messages, 1)) s) n
            WHERE c.owner_id = %s AND n.messages >= greatest(2 * c.language_messages, 1)
              AND c.language_messages < %s
              -- Only a chat with something new may have doubled.
              AND c.id IN (SELECT m.chat_id FROM to_index q
                           JOIN messages m ON m.owner_id = q.owner_id AND m.id = q.message_id
                           WHERE q.owner_id = %s)
            ORDER BY c.id""",
            [owner_id, 20 * SAMPLE, owner_id],
        )
        grown = [(int(row[0]), str(row[1])) for row in await cursor.fetchall()]
        known = await _configurations(connection) if grown else frozenset[str]()
    return sum([await _settle(database, owner_id, chat_id, now, known) for chat_id, now in grown])


async def _configurations(connection: Connection) -> frozenset[str]:
    cursor = await connection.execute(
        "SELECT cfgname FROM pg_ts_config WHERE cfgnamespace = 'pg_catalog'::regnamespace"
    )
    return frozenset(str(row[0]) for row in await cursor.fetchall())


async def _settle(
    database: Database, owner_id: OwnerId, chat_id: int, now: str, known: frozenset[str]
) -> bool:
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT m.text FROM messages m
            WHERE m.owner_id = %s AND m.chat_id = %s AND m.deleted_at IS NULL AND m.text <> ''
            ORDER BY m.sent_at DESC, m.id DESC LIMIT %s""",
            [owner_id, chat_id, SAMPLE],
        )
        texts = [str(row[0]) for row in await cursor.fetchall()]
    found = tell_language(texts)
    language = now if found is None else STEMMED.get(found, "simple")
    language = language if language in known or found is None else "simple"
    if language != now:
        async with database.owner(owner_id) as connection:
            await connection.execute(
                "UPDATE chats SET language = %s::regconfig WHERE owner_id = %s AND id = %s",
                [language, owner_id, chat_id],
            )
        log.info("language.told", owner_id=owner_id, chat_id=chat_id, language=language)
    while await _rewrite(database, owner_id, chat_id):
        pass
    async with database.owner(owner_id) as connection:
        # Last, so that a process which dies before is followed by one that looks again.
        await connection.execute(
            """
            UPDATE chats c SET language_messages = (
                SELECT count(*) FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id)
            WHERE c.owner_id = %s AND c.id = %s""",
            [owner_id, chat_id],
        )
    return language != now


async def _rewrite(database: Database, owner_id: OwnerId, chat_id: int) -> int:
    """How many messages of the chat were given its language: one batch."""
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            """
            UPDATE messages m SET language = c.language FROM chats c
            WHERE c.owner_id = %(owner)s AND c.id = %(chat)s AND m.owner_id = %(owner)s AND m.id IN (
                SELECT o.id FROM messages o JOIN chats h ON h.owner_id = o.owner_id AND h.id = o.chat_id
                WHERE o.owner_id = %(owner)s AND o.chat_id = %(chat)s AND o.language <> h.language
                LIMIT %(batch)s)""",
            {"owner": owner_id, "chat": chat_id, "batch": BATCH},
        )
        return cursor.rowcount


def tell_language(texts: Sequence[str]) -> str | None:
    """The ISO 639-1 code of what the texts are in; None where they are too few or it is not sure."""
    sample = NOT_WORDS.sub(" ", "\n".join(texts)[:LONGEST_SAMPLE])
    letters = sum(letter.isalpha() for letter in sample) + 3 * len(DENSE_SCRIPT.findall(sample))
    if letters < ENOUGH_LETTERS:
        return None
    language, sureness = _identifier().classify(sample)
    return str(language) if sureness >= SURE else None


@cache
def _identifier() -> Any:
    # Half a second, and only where a chat is new.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415

    return cast("Any", LanguageIdentifier).from_model_file(MODEL_FILE, norm_probs=True)
