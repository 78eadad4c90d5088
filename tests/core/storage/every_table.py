"""A small world of rows for one owner: at least one in every table, all of them tied together."""

import psycopg
from psycopg import sql

from core.ids import OwnerId

ROWS = """
SET search_path = locum, public;
INSERT INTO sources (owner_id, id, kind, platform) VALUES (%(o)s, 1, 'api', 'slack');
INSERT INTO accounts (owner_id, id, platform, name, token_encrypted) VALUES (%(o)s, 1, 'slack', 'mara', 'x');
INSERT INTO import_batches (owner_id, id, source_id, format, label) VALUES (%(o)s, 1, 1, 'jsonl', 'a file');
INSERT INTO import_changes (owner_id, batch_id, kind, row_id) VALUES (%(o)s, 1, 'chat', 1);
INSERT INTO contacts (owner_id, id, display_name, batch_id) VALUES (%(o)s, 1, 'Ines', 1);
INSERT INTO contact_accounts (owner_id, id, contact_id, platform, platform_user_id)
    VALUES (%(o)s, 1, 1, 'slack', 'U1');
INSERT INTO audiences (owner_id, id, kind, chat_id) VALUES (%(o)s, 1, 'chat', 1);
INSERT INTO audiences (owner_id, id, kind, digest) VALUES (%(o)s, 2, 'contacts', '1');
INSERT INTO audience_members (owner_id, audience_id, contact_id) VALUES (%(o)s, 2, 1);
INSERT INTO chats (owner_id, id, account_id, platform_chat_id, kind, audience_id, members_known)
    VALUES (%(o)s, 1, 1, 'D1', 'direct', 1, true);
INSERT INTO chat_members (owner_id, id, chat_id, contact_id) VALUES (%(o)s, 1, 1, 1);
INSERT INTO threads (owner_id, id, chat_id, platform_thread_id) VALUES (%(o)s, 1, 1, 't1');
INSERT INTO messages (owner_id, id, chat_id, thread_id, platform_message_id, sender_id, sender_name, origin,
                      sent_at, text, audience_id, source_id, batch_id)
    VALUES (%(o)s, 1, 1, 1, 'm1', 1, 'Ines', 'contact', '2026-01-01', 'Is the saffron here?', 1, 1, 1),
           (%(o)s, 2, 1, 1, 'm2', NULL, 'Mara', 'typed', '2026-01-02', 'The saffron came today', 1, 1, 1);
INSERT INTO message_edits (owner_id, id, message_id, text_before, edited_at)
    VALUES (%(o)s, 1, 1, 'Is it here?', '2026-01-01');
INSERT INTO reactions (owner_id, id, message_id, sender_id, emoji) VALUES (%(o)s, 1, 2, 1, '+1');
INSERT INTO attachments (owner_id, id, message_id, position, kind) VALUES (%(o)s, 1, 1, 0, 'photo');
INSERT INTO embeddings (owner_id, message_id, model, span, dimension, embedding)
    VALUES (%(o)s, 1, 'toy', 'turn', 2, '[1,0]');
INSERT INTO passages (owner_id, message_id, session_id, after_id) VALUES (%(o)s, 1, 1, 2);
INSERT INTO corpus_statistics (owner_id, messages, average_words, languages)
    VALUES (%(o)s, 2, 4, '{english}');
INSERT INTO term_statistics (owner_id, lexeme, messages) VALUES (%(o)s, 'saffron', 2);
INSERT INTO indexed_models (owner_id, model) VALUES (%(o)s, 'toy');
INSERT INTO inbox_events (owner_id, id, account_id, event_key, lane, event)
    VALUES (%(o)s, 1, 1, 'e1', 'D1', '{"text": "secret"}');
INSERT INTO lanes (owner_id, account_id, lane) VALUES (%(o)s, 1, 'D1');
INSERT INTO turns (owner_id, id, chat_id, first_message_id, last_message_id, state, due_at)
    VALUES (%(o)s, 1, 1, 1, 1, 'suggested', '2026-01-01');
INSERT INTO stages (owner_id, id, turn_id, version, stage, decided) VALUES (%(o)s, 1, 1, 0, 'decide', 'suggest');
INSERT INTO training_runs (owner_id, id, state) VALUES (%(o)s, 1, 'done');
INSERT INTO adapters (owner_id, id, name, run_id, base_model, path, state)
    VALUES (%(o)s, 1, 'first', 1, 'toy', 'adapters/first', 'active');
INSERT INTO training_examples (owner_id, id, run_id, kind, digest) VALUES (%(o)s, 1, 1, 'real', 'd');
INSERT INTO training_example_sources (owner_id, example_id, message_id) VALUES (%(o)s, 1, 2);
INSERT INTO training_verdicts (owner_id, digest, message_id, verdict) VALUES (%(o)s, 'd', 2, 'rejected');
INSERT INTO drafts (owner_id, id, turn_id, version, position, text, intent, origin, confidence, state)
    VALUES (%(o)s, 1, 1, 0, 0, 'Yes, it came', 'inform', 'model', 0.5, 'sent');
INSERT INTO draft_evidence (owner_id, draft_id, message_id, position) VALUES (%(o)s, 1, 2, 0);
INSERT INTO cards (owner_id, turn_id, version) VALUES (%(o)s, 1, 0);
INSERT INTO outbox (owner_id, id, account_id, chat_id, turn_id, draft_id, send_key, text, origin, state)
    VALUES (%(o)s, 1, 1, 1, 1, 1, 'k1', 'Yes, it came', 'accepted', 'sent');
INSERT INTO labels (owner_id, id, draft_id, outcome, final_text) VALUES (%(o)s, 1, 1, 'sent', 'Yes, it came');
INSERT INTO sessions (owner_id, id, chat_id, started_at, ended_at, message_count)
    VALUES (%(o)s, 1, 1, '2026-01-01', '2026-01-02', 2);
BEGIN;
INSERT INTO facts (owner_id, id, subject_kind, subject, kind, statement, confidence, audience_id,
                   valid_from, extractor)
    VALUES (%(o)s, 1, 'owner', 'Mara', 'event', 'Mara has saffron', 0.9, 1, '2026-01-02', 'rules');
INSERT INTO fact_sources (owner_id, fact_id, message_id) VALUES (%(o)s, 1, 2);
INSERT INTO topics (owner_id, id, name, audience_id) VALUES (%(o)s, 1, 'spices', 1);
INSERT INTO topic_sources (owner_id, topic_id, message_id) VALUES (%(o)s, 1, 2);
INSERT INTO topic_versions (owner_id, topic_id, version, name, description, extractor)
    VALUES (%(o)s, 1, 1, 'spice', '', 'rules');
INSERT INTO session_summaries (owner_id, id, session_id, summary, audience_id, extractor)
    VALUES (%(o)s, 1, 1, 'Saffron came', 1, 'rules');
INSERT INTO summary_sources (owner_id, summary_id, message_id) VALUES (%(o)s, 1, 2);
INSERT INTO commitments (owner_id, id, by_owner, contact_id, statement, audience_id, extractor)
    VALUES (%(o)s, 1, true, 1, 'bring saffron', 1, 'rules');
INSERT INTO commitment_sources (owner_id, commitment_id, message_id) VALUES (%(o)s, 1, 2);
COMMIT;
INSERT INTO fact_embeddings (owner_id, fact_id, model, dimension, embedding)
    VALUES (%(o)s, 1, 'toy', 2, '[0,1]');
INSERT INTO fact_edits (owner_id, fact_id, statement_before) VALUES (%(o)s, 1, 'Mara had saffron');
INSERT INTO forgotten_facts (owner_id, digest) VALUES (%(o)s, 'd');
INSERT INTO profiles (owner_id, id, contact_id, version) VALUES (%(o)s, 1, 1, 1);
INSERT INTO profile_lines (owner_id, profile_id, position, fact_id) VALUES (%(o)s, 1, 0, 1);
INSERT INTO policies (owner_id, id, chat_id) VALUES (%(o)s, 1, 1);
INSERT INTO tombstones (owner_id, id, platform, account, platform_chat_id)
    VALUES (%(o)s, 1, 'slack', 'mara', 'D9');
INSERT INTO audit (owner_id, id, actor, action) VALUES (%(o)s, 1, 'owner', 'looked');
INSERT INTO bot_state (owner_id, account_id, key, value) VALUES (%(o)s, 1, 'card:1', '7');
INSERT INTO early_reactions (owner_id, id, chat_id, platform_message_id, emoji, added, reacted_at)
    VALUES (%(o)s, 1, 1, 'm9', '👍', true, '2026-01-02');
INSERT INTO contacts (owner_id, id, display_name) VALUES (%(o)s, 9, 'Ines M.');
INSERT INTO contact_merges (owner_id, id, contact_id, other_id, why) VALUES (%(o)s, 1, 1, 9, 'the same name');
INSERT INTO merges (owner_id, id, contact_id, other_id) VALUES (%(o)s, 1, 1, 9);
INSERT INTO merge_rows (owner_id, id, merge_id, kind, row_id) VALUES (%(o)s, 1, 1, 'account', 1);
INSERT INTO travel_questions (owner_id, id, fact_id, chat_id) VALUES (%(o)s, 1, 1, 1);
"""


async def fill(conninfo: str, owner_id: OwnerId) -> None:
    """Rows in every table but `owners`, whose row exists. Ids are the same for each owner, on purpose."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await psycopg.AsyncClientCursor(connection).execute(ROWS, {"o": int(owner_id)})


async def tables(conninfo: str) -> list[str]:
    """Every table of the schema that has an owner's rows."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT relname FROM pg_class WHERE relnamespace = 'locum'::regnamespace
            AND relkind IN ('r', 'p') AND relname <> 'schema_migrations' ORDER BY 1""")
        return [str(row[0]) for row in await cursor.fetchall()]


async def counts(conninfo: str) -> dict[str, int]:
    """Rows by table, as whoever the connection string names sees them."""
    found: dict[str, int] = {}
    names = await tables(conninfo)
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        for table in names:
            statement = sql.SQL("SELECT count(*) FROM locum.{}").format(sql.Identifier(table))
            cursor = await connection.execute(statement)
            row = await cursor.fetchone()
            assert row is not None
            found[table] = int(row[0])
    return found
