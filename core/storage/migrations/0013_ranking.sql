-- How candidates are ranked: wider windows for words, the answer to a question that was asked, whoever
-- the question names, and how much was said; see trainer/JOURNAL.md for what each is worth. And in whose
-- language: words are found with or without their accents, and where no spaces part them.

-- ─── Words of any language ──────────────────────────────────────────────────────────────────

-- Text as it is cut into words: Latin and Greek letters without accents, and scripts that have no spaces
-- as pairs of characters, which is what a question can be expected to share with a sentence; Chinese
-- characters alone, too. Plain ASCII is what it is. Written to be inlined.
CREATE FUNCTION without_accents(t text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT replace(translate(normalize(regexp_replace(normalize(t, NFKD),
                '([A-Za-zΑ-Ωα-ω])[\u0300-\u036f]+', '\1', 'g'), NFKC), 'ёЁøØłŁđĐ', 'еЕoOlLdD'), 'ß', 'ss')
$$;
CREATE FUNCTION in_pairs(t text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    -- Pairs from the first character of each run on, then those from its second on, then single ones.
    SELECT CASE WHEN t !~ '[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]' THEN t
           ELSE regexp_replace(t, '([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]{2})', ' \1 ', 'g')
             || ' ' || regexp_replace(regexp_replace(regexp_replace(t,
                        '[^\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]+', ' ', 'g'),
                        '(^|\s)\S', ' ', 'g'), '(\S{2})', '\1 ', 'g')
             || ' ' || regexp_replace(regexp_replace(t, '[^\u3400-\u9fff\uf900-\ufaff]+', ' ', 'g'), '(\S)', '\1 ', 'g')
           END
$$;
-- Not a string: a restored backup must know that what it calls comes first.
CREATE FUNCTION searchable(t text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN octet_length(t) = length(t) THEN t ELSE in_pairs(without_accents(t)) END;

ALTER TABLE messages DROP COLUMN tsv;
ALTER TABLE messages ADD COLUMN tsv tsvector GENERATED ALWAYS AS
    (to_tsvector(language, searchable(sender_name || ' ' || text || ' ' || caption))) STORED;
CREATE INDEX messages_tsv ON messages USING gin (tsv);
-- New words wait in a list that every search reads through: a short one.
ALTER INDEX messages_tsv SET (gin_pending_list_limit = 256);
ALTER TABLE facts DROP COLUMN tsv;
ALTER TABLE facts ADD COLUMN tsv tsvector GENERATED ALWAYS AS
    (to_tsvector(language, searchable(subject || ' ' || statement))) STORED;
CREATE INDEX facts_tsv ON facts USING gin (tsv);

ALTER TABLE chats ADD COLUMN language_messages bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN chats.language_messages IS 'How many messages the chat had when its language was last looked at';

-- The lexemes of a question in every language that the owner's messages are in, rarest first, with
-- how many of the owner's messages hold each and its inverse document frequency (BM25's).
CREATE OR REPLACE FUNCTION search_terms(p_owner_id bigint, p_query text)
RETURNS TABLE (lexeme text, query tsquery, messages bigint, idf double precision)
LANGUAGE plpgsql STABLE ROWS 8
SET search_path = locum, public, pg_temp SET jit = off
AS $$
DECLARE
    v_languages regconfig[];
    v_total bigint;
BEGIN
    SELECT s.languages, s.messages INTO v_languages, v_total
    FROM corpus_statistics s WHERE s.owner_id = p_owner_id;
    IF v_total IS NULL THEN
        SELECT count(*) INTO v_total FROM messages m WHERE m.owner_id = p_owner_id;
    END IF;
    RETURN QUERY
        WITH words AS MATERIALIZED (
            SELECT DISTINCT w.lexeme AS word
            FROM (SELECT unnest(v_languages) UNION
                  SELECT c.language FROM chats c WHERE c.owner_id = p_owner_id) l(language)
            -- Stop words are known with their accents alone: those go first.
            CROSS JOIN LATERAL (
                SELECT string_agg(q.word, ' ') AS told
                FROM regexp_split_to_table(left(p_query, 4000), '\s+') q(word)
                WHERE octet_length(q.word) = length(q.word) OR to_tsvector(l.language, q.word) <> '') q
            CROSS JOIN LATERAL unnest(to_tsvector(l.language, searchable(q.told))) w
            LIMIT 400
        ), counted AS (
            SELECT w.word, q.query,
                   coalesce(t.messages::bigint, (SELECT count(*) FROM messages m
                       WHERE m.owner_id = p_owner_id AND m.tsv @@ q.query)) AS found
            FROM words w
            CROSS JOIN LATERAL (SELECT ('''' || replace(replace(w.word, '\', '\\'), '''', '''''')
                                        || '''')::tsquery AS query) q
            LEFT JOIN term_statistics t ON t.owner_id = p_owner_id AND t.lexeme = w.word
        )
        SELECT c.word, c.query, c.found,
               ln(1 + (greatest(v_total, c.found) - c.found + 0.5) / (c.found + 0.5))::double precision
        FROM counted c WHERE c.found > 0
        ORDER BY c.found, c.word
        LIMIT 16;
END $$;

-- ─── Ranking ────────────────────────────────────────────────────────────────────────────────

ALTER TYPE message_signals
    ADD ATTRIBUTE words_asked double precision,
    ADD ATTRIBUTE sense_asked double precision,
    ADD ATTRIBUTE size integer,
    ADD ATTRIBUTE named boolean;

-- The signals of those of the messages that the scope shows. By words a window reaches two messages to
-- each side, by meaning one. What answers a question counts with the words and the meaning of what
-- was asked: "Where?" "At the lake."
CREATE OR REPLACE FUNCTION measure_candidates(
    p_scope search_scope, p_ids bigint[], p_queries tsquery[], p_idf double precision[],
    p_embedding halfvec, p_model text
) RETURNS message_signals[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
SET work_mem = '32MB'
-- A plan for any number of rows expects ten, and would join all with all in loops.
SET enable_nestloop = off SET enable_mergejoin = off
AS $$
DECLARE
    v_average double precision := coalesce(
        (SELECT s.average_words FROM corpus_statistics s WHERE s.owner_id = p_scope.owner_id), 10);
    v_ids bigint[];
    v_sessions bigint[];
    v_before bigint[];
    v_after bigint[];
    v_second_before bigint[];
    v_second_after bigint[];
    v_visible bigint[];
    v_signals message_signals[];
BEGIN
    WITH places AS MATERIALIZED (
        SELECT p.message_id, p.session_id, p.before_id, p.after_id
        FROM passages p WHERE p.owner_id = p_scope.owner_id AND p.message_id = ANY (p_ids)
    )
    SELECT array_agg(c.id), array_agg(coalesce(p.session_id, -c.id)), array_agg(p.before_id),
           array_agg(p.after_id), array_agg(b.before_id), array_agg(a.after_id)
    INTO v_ids, v_sessions, v_before, v_after, v_second_before, v_second_after
    FROM (SELECT DISTINCT unnest(p_ids)) c(id)
    LEFT JOIN places p ON p.message_id = c.id
    -- OFFSET 0 holds the planner to the key.
    LEFT JOIN LATERAL (SELECT x.before_id FROM passages x
        WHERE x.owner_id = p_scope.owner_id AND x.message_id = p.before_id OFFSET 0) b ON true
    LEFT JOIN LATERAL (SELECT x.after_id FROM passages x
        WHERE x.owner_id = p_scope.owner_id AND x.message_id = p.after_id OFFSET 0) a ON true;
    -- A variable: from a sub-query the planner expects a handful of rows, and joins all with all.
    v_visible := visible_ids(p_scope, v_ids || v_before || v_after || v_second_before || v_second_after);
    WITH texts AS MATERIALIZED (
        SELECT m.id, m.chat_id, m.sent_at, m.sender_name, m.language, m.tsv, m.text ~ '[?？؟]' AS asks
        FROM messages m
        WHERE m.owner_id = p_scope.owner_id AND m.id = ANY (v_visible)
    ), names AS MATERIALIZED (
        SELECT n.sender_name, n.language,
               EXISTS (SELECT FROM unnest(p_queries) t(query)
                       WHERE to_tsvector(n.language, searchable(n.sender_name)) @@ t.query) AS named
        FROM (SELECT DISTINCT sender_name, language FROM texts) n
    ), matched AS MATERIALIZED (
        SELECT y.id, bit_or(1::bigint << (t.place - 1)::integer) AS words
        FROM texts y JOIN unnest(p_queries) WITH ORDINALITY t(query, place) ON y.tsv @@ t.query
        GROUP BY y.id
    ), pieces AS MATERIALIZED (
        SELECT x.id, x.chat_id, x.sent_at, x.sender_name, x.language, x.asks, length(x.tsv) AS size,
               coalesce(k.words, 0) AS words
        FROM texts x LEFT JOIN matched k ON k.id = x.id
    ), around AS MATERIALIZED (
        SELECT p.id, p.session_id, n.step, n.id AS near_id
        FROM unnest(v_ids, v_sessions, v_before, v_after, v_second_before, v_second_after)
             p(id, session_id, before_id, after_id, second_before_id, second_after_id)
        CROSS JOIN LATERAL (VALUES (0, p.id), (-1, p.before_id), (1, p.after_id), (-2, p.second_before_id),
                                   (2, p.second_after_id)) n(step, id)
        WHERE n.id IS NOT NULL
    ), windows AS MATERIALIZED (
        SELECT a.id, min(a.session_id) AS session_id,
               sum(x.size) AS window_size, bit_or(x.words) AS window_words,
               max(x.size) FILTER (WHERE a.step = 0) AS size, max(x.words) FILTER (WHERE a.step = 0) AS words,
               max(a.near_id) FILTER (WHERE a.step = -1 AND x.asks) AS asked_id,
               -- A window that quotes what this reader may not see counts as the message alone.
               bool_and(x.id IS NOT NULL) FILTER (WHERE a.step IN (-1, 1)) IS NOT FALSE AS whole
        FROM around a LEFT JOIN pieces x ON x.id = a.near_id
        GROUP BY a.id
    ), answers AS MATERIALIZED (
        SELECT w.id, w.session_id, w.window_size, w.window_words, w.size, w.words, w.whole,
               own.chat_id, own.sent_at, n.named,
               asked.id AS asked_id, asked.size AS asked_size, coalesce(asked.words, 0) AS asked_words
        FROM windows w
        JOIN pieces own ON own.id = w.id
        JOIN names n ON n.sender_name = own.sender_name AND n.language = own.language
        LEFT JOIN pieces asked ON asked.id = w.asked_id AND asked.sender_name <> own.sender_name
    ), weights AS MATERIALIZED (
        SELECT d.words, coalesce((SELECT sum(t.idf) FROM unnest(p_idf) WITH ORDINALITY t(idf, place)
                                  WHERE d.words & (1::bigint << (t.place - 1)::integer) <> 0), 0) AS weight
        FROM (SELECT w.words FROM answers w UNION SELECT w.window_words FROM answers w
              UNION SELECT w.asked_words FROM answers w) d
    ), near AS MATERIALIZED (
        SELECT e.message_id, max(-(e.embedding <#> p_embedding)) FILTER (WHERE e.span = 'turn') AS turn,
               max(-(e.embedding <#> p_embedding)) FILTER (WHERE e.span = 'window') AS around
        FROM embeddings e
        WHERE e.owner_id = p_scope.owner_id AND e.model = p_model AND e.span IN ('turn', 'window')
          AND p_embedding IS NOT NULL AND e.message_id = ANY (v_ids || v_before)
        GROUP BY e.message_id
    )
    -- BM25 with k1 = 0.9, b = 0.4, each word counted once.
    SELECT array_agg(ROW(w.id, w.chat_id, w.sent_at, w.session_id,
               one.weight * 1.9 / (1 + 0.9 * (0.6 + 0.4 * w.size / v_average)),
               five.weight * 1.9 / (1 + 0.9 * (0.6 + 0.4 * w.window_size / (5 * v_average))),
               greatest(coalesce(n.turn, 0), 0),
               greatest(coalesce(CASE WHEN w.whole THEN n.around ELSE n.turn END, 0), 0),
               coalesce(asked.weight * 1.9 / (1 + 0.9 * (0.6 + 0.4 * w.asked_size / v_average)), 0),
               greatest(coalesce(q.turn, 0), 0), w.size, w.named)::message_signals)
    INTO v_signals
    FROM answers w
    JOIN weights one ON one.words = w.words
    JOIN weights five ON five.words = w.window_words
    JOIN weights asked ON asked.words = w.asked_words
    LEFT JOIN near n ON n.message_id = w.id
    LEFT JOIN near q ON q.message_id = w.asked_id;
    RETURN coalesce(v_signals, '{}');
END $$;

-- When a question names its time: "on 5 June", "in May 2023", "2023-06-05", in the months of nine languages.
-- A month alone is that month of every year; a day reaches a day to each side, for what was told of it then.
-- A name of a month counts beside a number or a word like "in" alone: June is a person, too. Null: none.
CREATE FUNCTION named_times(p_query text) RETURNS tstzmultirange LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
    c_months constant text[] := ARRAY[
        'january|januar|janvier|enero|gennaio|janeiro|januari', 'february|februar|fevrier|febrero|febbraio|fevereiro|februari',
        'march|marz|mars|marzo|marco|maart', 'april|avril|abril|aprile', 'may|mai|mayo|maggio|maio|mei|maj',
        'june|juni|juin|junio|giugno|junho', 'july|juli|juillet|julio|luglio|julho', 'august|aout|agosto|augustus|augusti',
        'september|septembre|septiembre|settembre|setembro', 'october|oktober|octobre|octubre|ottobre|outubro',
        'november|novembre|noviembre|novembro', 'december|dezember|decembre|diciembre|dicembre|dezembro'];
    c_words constant text := 'in|on|of|during|since|until|till|by|before|after|around|early|late|mid|last|this|im|am|vom|seit|bis|'
                             'en|de|du|depuis|avant|apres|desde|hasta|a|nel|di|da|dal|em|i|sedan|den|op|sinds|fra';
    v_text text := lower(without_accents(left(p_query, 4000)));
    v_found text[];
    v_times tstzmultirange := '{}';
    v_month integer;
    v_year integer;
BEGIN
    FOR v_found IN SELECT regexp_matches(v_text, '\y((?:19|20)\d\d)-(\d\d)-(\d\d)\y', 'g') LOOP
        v_times := v_times + days_around(v_found[1]::integer, v_found[2]::integer, v_found[3]::integer);
    END LOOP;
    FOR v_found IN SELECT regexp_matches(v_text,
        '(?:\y(' || c_words || ')[ -]+)?(?:\y(\d{1,2})(?:st|nd|rd|th|er|\.)?(?: (?:of|de|di))? )?'
        '\y(' || array_to_string(c_months, '|') || ')\y(?: (\d{1,2})(?:st|nd|rd|th)?(?!\d))?(?:,? (?:of |de )?((?:19|20)\d\d)\y)?',
        'g')
    LOOP
        CONTINUE WHEN coalesce(v_found[1], v_found[2], v_found[4], v_found[5]) IS NULL;
        SELECT n INTO v_month FROM generate_subscripts(c_months, 1) n
        WHERE v_found[3] = ANY (string_to_array(c_months[n], '|'));
        FOR v_year IN SELECT generate_series(coalesce(v_found[5]::integer, 2000),
                                             coalesce(v_found[5]::integer, extract(year FROM now())::integer + 1))
        LOOP
            v_times := v_times + days_around(v_year, v_month, coalesce(v_found[2], v_found[4])::integer);
        END LOOP;
    END LOOP;
    RETURN nullif(v_times, '{}');
END $$;

-- The month, or the day and those beside it; empty for what no calendar has.
CREATE FUNCTION days_around(p_year integer, p_month integer, p_day integer) RETURNS tstzmultirange
LANGUAGE sql IMMUTABLE SET timezone = 'UTC'
AS $$
    SELECT CASE
        WHEN p_year NOT BETWEEN 1900 AND 2100 OR p_month NOT BETWEEN 1 AND 12 THEN '{}'::tstzmultirange
        WHEN p_day IS NULL THEN tstzmultirange(tstzrange(first, first + interval '1 month'))
        WHEN p_day BETWEEN 1 AND extract(day FROM first + interval '1 month' - interval '1 day')
            THEN tstzmultirange(tstzrange(first + (p_day - 2) * interval '1 day', first + (p_day + 1) * interval '1 day'))
        ELSE '{}'::tstzmultirange END
    FROM (SELECT make_timestamptz(least(greatest(p_year, 1900), 2100), least(greatest(p_month, 1), 12), 1, 0, 0, 0) AS first) f
$$;

-- The best of the candidates: each signal scaled by its best, plus the best of the candidate's session.
-- Few and round weights, on a plateau: half or twice any of them costs a point at most. Whoever is
-- named, and who says more, comes a little sooner; whatever was said at the time that is asked for, much.
DROP FUNCTION fuse_candidates(message_signals[], integer);
CREATE FUNCTION fuse_candidates(
    p_signals message_signals[], p_limit integer, p_times tstzmultirange DEFAULT NULL)
RETURNS TABLE (id bigint, chat_id bigint, session_id bigint, score real, lexical real, lexical_window real,
               dense real, dense_window real)
LANGUAGE plpgsql STABLE ROWS 20
SET search_path = locum, public, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    -- Of a long message, what comes after so many words says nothing more.
    c_long constant integer := 40;
BEGIN
    RETURN QUERY
    WITH fused AS MATERIALIZED (
        SELECT s.*, coalesce((s.words_turn + 0.5 * s.words_asked) / nullif(max(s.words_turn) OVER (), 0), 0)
                  + coalesce(s.words_window / nullif(max(s.words_window) OVER (), 0), 0)
                  + coalesce((1.5 * s.sense_turn + 0.5 * s.sense_asked)
                             / nullif(max(s.sense_turn) OVER (), 0), 0)
                  + coalesce(1.5 * s.sense_window / nullif(max(s.sense_window) OVER (), 0), 0) AS total
        FROM unnest(p_signals) s
    )
    SELECT f.id, f.chat_id, f.session_id,
           (f.total + coalesce(max(f.total) OVER (PARTITION BY f.session_id)
                               / nullif(max(f.total) OVER (), 0), 0)
                    + 0.5 * ln(1 + least(f.size, c_long)) + 0.5 * f.named::integer
                    + CASE WHEN f.sent_at <@ p_times THEN 2 ELSE 0 END)::real AS score,
           f.words_turn::real, f.words_window::real, f.sense_turn::real, f.sense_window::real
    FROM fused f
    WHERE f.total > 0
    ORDER BY score DESC, f.sent_at DESC, f.id DESC
    LIMIT p_limit;
END $$;

-- As in 0002, with the time that the question names.
CREATE OR REPLACE FUNCTION search_memory(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_query text, p_embedding halfvec,
    p_model text, p_limit integer, p_fact_limit integer DEFAULT 0, p_chat_id bigint DEFAULT NULL,
    p_since timestamptz DEFAULT '-infinity', p_until timestamptz DEFAULT 'infinity',
    p_as_of timestamptz DEFAULT 'infinity', p_drafting boolean DEFAULT false
) RETURNS TABLE (kind text, id bigint, chat_id bigint, score real, lexical real, lexical_window real,
                 dense real, dense_window real)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20
-- The candidates are few and found by their keys: planning anew would cost more than it saves.
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE v_scope search_scope;
BEGIN
    v_scope := search_scope_of(p_owner_id, p_reader_kind, p_reader_id, p_chat_id, p_since, p_until, p_drafting);
    IF p_limit > 0 THEN
        RETURN QUERY SELECT 'message'::text, f.id, f.chat_id, f.score, f.lexical, f.lexical_window, f.dense, f.dense_window
        FROM fuse_candidates(weigh_messages(
            v_scope, p_query, p_embedding, p_model, greatest(100, 2 * p_limit), false), p_limit,
                             named_times(p_query)) f;
    END IF;
    IF p_fact_limit > 0 THEN
        RETURN QUERY SELECT 'fact'::text, r.id, NULL::bigint, r.score, r.lexical, NULL::real, r.dense, NULL::real
        FROM rank_facts(v_scope, p_query, p_embedding, p_model, p_fact_limit,
                        coalesce(p_as_of, 'infinity')) r;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION search_memory_exactly(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_query text, p_embedding halfvec,
    p_model text, p_limit integer
) RETURNS TABLE (id bigint, chat_id bigint, score real, lexical real, lexical_window real,
                 dense real, dense_window real)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
BEGIN
    RETURN QUERY SELECT f.id, f.chat_id, f.score, f.lexical, f.lexical_window, f.dense, f.dense_window
    FROM fuse_candidates(weigh_messages(
        search_scope_of(p_owner_id, p_reader_kind, p_reader_id, NULL, '-infinity', 'infinity', false),
        p_query, p_embedding, p_model, 200, true), p_limit, named_times(p_query)) f;
END $$;

CREATE OR REPLACE FUNCTION recall_memory(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_query text, p_embedding halfvec,
    p_model text, p_until timestamptz, p_limit integer, p_fact_limit integer, p_past_limit integer
) RETURNS TABLE (kind text, id bigint, chat_id bigint, score real, lexical real, lexical_window real,
                 dense real, dense_window real,
                 reply_ids bigint[], reply text, asked text, replied_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_scope search_scope;
    v_signals message_signals[];
BEGIN
    v_scope := search_scope_of(p_owner_id, p_reader_kind, p_reader_id, NULL, '-infinity', p_until, true);
    v_signals := weigh_messages(v_scope, p_query, p_embedding, p_model, greatest(100, 2 * p_limit), false);
    RETURN QUERY
        SELECT 'message'::text, f.id, f.chat_id, f.score, f.lexical, f.lexical_window, f.dense, f.dense_window,
               NULL::bigint[], NULL::text, NULL::text, NULL::timestamptz
        FROM fuse_candidates(v_signals, p_limit, named_times(p_query)) f;
    RETURN QUERY
        SELECT 'fact'::text, r.id, NULL::bigint, r.score, r.lexical, NULL::real, r.dense, NULL::real,
               NULL::bigint[], NULL::text, NULL::text, NULL::timestamptz
        FROM rank_facts(v_scope, p_query, p_embedding, p_model, p_fact_limit, 'infinity') r;
    RETURN QUERY
        SELECT 'past'::text, a.asked_id, NULL::bigint, a.score, NULL::real, NULL::real, NULL::real, NULL::real,
               a.reply_ids, a.reply, a.asked, a.replied_at
        FROM answered_like(v_scope, v_signals, p_past_limit) a;
END $$;

-- All that speaks for every visible message, however long that takes: what weights are chosen from, and
-- what tells why one message comes before another.
CREATE FUNCTION weigh_memory(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_query text, p_embedding halfvec, p_model text
) RETURNS SETOF message_signals
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
BEGIN
    RETURN QUERY SELECT s.* FROM unnest(weigh_messages(
        search_scope_of(p_owner_id, p_reader_kind, p_reader_id, NULL, '-infinity', 'infinity', false),
        p_query, p_embedding, p_model, 200, true)) s;
END $$;

GRANT CREATE ON SCHEMA locum TO locum_search;
ALTER FUNCTION weigh_memory OWNER TO locum_search;
ALTER FUNCTION fuse_candidates OWNER TO locum_search;
REVOKE CREATE ON SCHEMA locum FROM locum_search;
REVOKE ALL ON FUNCTION weigh_memory, fuse_candidates FROM PUBLIC;
GRANT EXECUTE ON FUNCTION weigh_memory TO locum_app;
