-- The one road from stored text to a prompt: search_memory, recall_memory and recent_turns. Each takes
-- the owner and (but for a chat's own turns) the reader as required arguments, runs as locum_search,
-- and shows nothing that readable_audiences does not allow.

-- Loads pgvector, so that its settings below are known to be its own.
SELECT '[1]'::halfvec(1);

-- A message's place in its conversation, as retrieval needs it: its session, and the messages before
-- and after it that share its thread, audience and source. Filled by the indexing job.
CREATE TABLE passages (
    owner_id   bigint NOT NULL,
    message_id bigint NOT NULL,
    session_id bigint NOT NULL,
    before_id  bigint,
    after_id   bigint,
    PRIMARY KEY (owner_id, message_id),
    FOREIGN KEY (owner_id, message_id) REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX passages_of_session ON passages (owner_id, session_id);
COMMENT ON COLUMN passages.session_id IS 'The id of the session''s first message; long sessions are cut';

-- What the ranking must know of an owner's whole corpus. Only words that many messages share are kept
-- (the rest are counted when asked for): a word of one forgotten message must not live on here.
CREATE TABLE corpus_statistics (
    owner_id      bigint PRIMARY KEY REFERENCES owners ON DELETE CASCADE,
    messages      bigint NOT NULL,
    average_words real NOT NULL,
    languages     regconfig[] NOT NULL,
    audiences     bigint[] NOT NULL DEFAULT '{}',
    heard         bigint[] NOT NULL DEFAULT '{}',
    refreshed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN corpus_statistics.heard IS 'How many messages each of the audiences may learn, in their order';
CREATE TABLE term_statistics (
    owner_id bigint NOT NULL REFERENCES owners ON DELETE CASCADE,
    lexeme   text NOT NULL,
    messages integer NOT NULL,
    PRIMARY KEY (owner_id, lexeme)
);

CREATE INDEX messages_of_audience ON messages (owner_id, audience_id, sent_at);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['passages', 'corpus_statistics', 'term_statistics'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_rows ON %I TO locum_app
                        USING (owner_id = current_owner()) WITH CHECK (owner_id = current_owner())', t);
        EXECUTE format('CREATE POLICY search_reads ON %I FOR SELECT TO locum_search USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO locum_app', t);
        EXECUTE format('GRANT SELECT ON %I TO locum_search', t);
    END LOOP;
END $$;

-- ─── Keeping places true ────────────────────────────────────────────────────────────────────

-- A message that goes leaves its neighbours' windows, in links and in vectors.
CREATE FUNCTION passages_left() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    UPDATE passages p SET before_id = NULL FROM gone g
    WHERE p.owner_id = g.owner_id AND p.message_id = g.after_id AND p.before_id = g.message_id;
    UPDATE passages p SET after_id = NULL FROM gone g
    WHERE p.owner_id = g.owner_id AND p.message_id = g.before_id AND p.after_id = g.message_id;
    DELETE FROM embeddings e USING gone g
    WHERE e.owner_id = g.owner_id AND e.span = 'window' AND e.message_id IN (g.before_id, g.after_id);
    RETURN NULL;
END $$;
CREATE TRIGGER passages_left AFTER DELETE ON passages REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION passages_left();

-- An edit voids the windows that quote the message; a deletion, or another audience, takes it out of
-- its conversation until the indexing job gives it a new place.
CREATE FUNCTION passage_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    DELETE FROM embeddings e USING passages p
    WHERE p.owner_id = NEW.owner_id AND p.message_id = NEW.id
      AND e.owner_id = p.owner_id AND e.span = 'window'
      AND e.message_id IN (p.message_id, p.before_id, p.after_id);
    IF NEW.deleted_at IS NOT NULL OR OLD.audience_id <> NEW.audience_id OR OLD.source_id <> NEW.source_id THEN
        DELETE FROM passages WHERE owner_id = NEW.owner_id AND message_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER passage_changed
    AFTER UPDATE OF text, caption, deleted_at, audience_id, source_id, sender_name ON messages FOR EACH ROW
    WHEN (OLD.text IS DISTINCT FROM NEW.text OR OLD.caption IS DISTINCT FROM NEW.caption
          OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.audience_id <> NEW.audience_id
          OR OLD.source_id <> NEW.source_id OR OLD.sender_name <> NEW.sender_name)
    EXECUTE FUNCTION passage_changed();

CREATE FUNCTION fact_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    DELETE FROM fact_embeddings WHERE owner_id = NEW.owner_id AND fact_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER fact_changed AFTER UPDATE OF subject, statement ON facts FOR EACH ROW
    WHEN (OLD.subject <> NEW.subject OR OLD.statement <> NEW.statement)
    EXECUTE FUNCTION fact_changed();

-- New words wait in a list that every search reads through: a short one.
ALTER INDEX messages_tsv SET (gin_pending_list_limit = 256);

-- What is embedded of a message: its author counts among its words.
CREATE FUNCTION spoken_line(m messages) RETURNS text LANGUAGE sql STABLE
AS $$ SELECT m.sender_name || ': ' || m.text || CASE WHEN m.caption = '' THEN '' ELSE ' ' || m.caption END $$;

-- ─── What one reader may see ────────────────────────────────────────────────────────────────

CREATE TYPE search_scope AS (
    owner_id   bigint,
    everything boolean,
    audiences  bigint[],
    bounded    boolean,
    joined     timestamptz[],
    "left"     timestamptz[],
    chat_id    bigint,
    since      timestamptz,
    until      timestamptz,
    drafting   boolean
);

CREATE FUNCTION search_scope_of(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint,
    p_chat_id bigint, p_since timestamptz, p_until timestamptz, p_drafting boolean
) RETURNS search_scope LANGUAGE sql STABLE SET search_path = locum, public, pg_temp
AS $$
    -- readable_audiences raises without an owner and a reader, so no scope exists without them.
    SELECT p_owner_id, p_reader_kind = 'owner',
           coalesce(array_agg(r.audience_id ORDER BY r.audience_id), '{}'),
           coalesce(bool_or(isfinite(r.since) OR isfinite(r.until)), false),
           coalesce(array_agg(r.since ORDER BY r.audience_id), '{}'),
           coalesce(array_agg(r.until ORDER BY r.audience_id), '{}'),
           p_chat_id, coalesce(p_since, '-infinity'), coalesce(p_until, 'infinity'),
           coalesce(p_drafting, false)
    FROM readable_audiences(p_owner_id, p_reader_kind, p_reader_id) r
$$;

-- Written to be inlined: with a known scope, the tests that do not apply vanish while planning. The
-- audiences are sorted, so that width_bucket finds a message's own by halving: a person may share
-- hundreds of groups with the owner. CASE, because the planner takes plain comparisons with computed
-- bounds for rarely true, and joins as if nothing were left.
CREATE FUNCTION visible_messages(p_scope search_scope) RETURNS SETOF messages LANGUAGE sql STABLE
AS $$
    SELECT m.* FROM locum.messages m
    WHERE m.owner_id = (p_scope).owner_id
      AND m.deleted_at IS NULL
      AND ((p_scope).everything OR m.audience_id = ANY ((p_scope).audiences))
      AND CASE WHEN (p_scope).bounded THEN
            m.sent_at >= (p_scope).joined[width_bucket(m.audience_id, (p_scope).audiences)]
            AND m.sent_at < (p_scope)."left"[width_bucket(m.audience_id, (p_scope).audiences)]
          ELSE true END
      AND ((p_scope).chat_id IS NULL OR m.chat_id = (p_scope).chat_id)
      AND ((p_scope).since = '-infinity' OR m.sent_at >= (p_scope).since)
      AND ((p_scope).until = 'infinity' OR m.sent_at < (p_scope).until)
      AND (NOT (p_scope).drafting OR m.source_id IN (
            SELECT s.id FROM locum.sources s WHERE s.owner_id = (p_scope).owner_id AND s.may_draft))
$$;

-- One message by its key, if it is visible. OFFSET 0 holds the planner to the key.
CREATE FUNCTION visible_message(p_scope search_scope, p_id bigint) RETURNS SETOF messages LANGUAGE sql STABLE
AS $$ SELECT m.* FROM locum.visible_messages(p_scope) m WHERE m.id = p_id OFFSET 0 $$;

-- Those of the ids that are visible. Planned anew with the scope as constants: fields taken from it row
-- by row cost more than all the rest.
CREATE FUNCTION visible_ids(p_scope search_scope, p_ids bigint[]) RETURNS bigint[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE v_ids bigint[];
BEGIN
    SELECT array_agg(m.id) INTO v_ids
    FROM (SELECT DISTINCT unnest(p_ids)) x(id) CROSS JOIN LATERAL visible_message(p_scope, x.id) m;
    RETURN coalesce(v_ids, '{}');
END $$;

-- ─── The words of a question ────────────────────────────────────────────────────────────────

-- The lexemes of a question in every language that the owner's messages are in, rarest first, with
-- how many of the owner's messages hold each and its inverse document frequency (BM25's).
CREATE FUNCTION search_terms(p_owner_id bigint, p_query text)
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
                  SELECT c.language FROM chats c WHERE c.owner_id = p_owner_id) l(language),
                 unnest(to_tsvector(l.language, left(p_query, 4000))) w
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

-- The messages nearest to a question by meaning, at most p_depth for each span. p_seen: about how many
-- messages the scope shows, of p_total.
CREATE FUNCTION dense_candidates(
    p_scope search_scope, p_embedding halfvec, p_model text, p_depth integer, p_seen bigint, p_total bigint
) RETURNS bigint[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
SET hnsw.iterative_scan = 'relaxed_order' SET hnsw.ef_search = 200
AS $$
DECLARE
    c_spare constant integer := 4;
    c_windows constant integer := 4000;
    v_whole boolean := p_scope.everything AND p_scope.chat_id IS NULL AND NOT p_scope.drafting
                       AND p_scope.since = '-infinity' AND p_scope.until = 'infinity';
    v_indexed boolean := p_total > exact_search_limit()
                         AND p_seen > least(p_total / 20, exact_search_limit());
    -- The dimension is spelled out because the index is on the vector of that dimension.
    v_distance text := CASE WHEN v_indexed THEN format('(v.embedding::halfvec(%1$s)) <#> $3::halfvec(%1$s)',
                                                       vector_dims(p_embedding))
                            ELSE 'v.embedding <#> $3' END;
    v_spare integer;
    v_span text;
    v_found bigint[];
    v_ids bigint[] := '{}';
BEGIN
    FOREACH v_span IN ARRAY ARRAY['turn', 'window'] LOOP
        IF v_span = 'window' AND p_seen > c_windows THEN
            -- Among many, the windows around the nearest turns stand for the nearest windows.
            SELECT array_agg(n.id) INTO v_found
            FROM passages p CROSS JOIN LATERAL (VALUES (p.before_id), (p.after_id)) n(id)
            WHERE p.owner_id = p_scope.owner_id AND p.message_id = ANY (v_ids[:p_depth])
              AND n.id IS NOT NULL;
            RETURN v_ids || v_found;
        END IF;
        v_found := NULL;
        IF NOT v_whole AND (v_indexed OR p_seen > p_total / 4 AND p_seen > c_spare * p_depth) THEN
            -- Most are seen: looking at a few more is cheaper than asking of each whether it is.
            FOREACH v_spare IN ARRAY ARRAY[c_spare, 5 * c_spare] LOOP
                EXECUTE format(
                    'SELECT array_agg(n.id) FROM (
                        SELECT e.message_id AS id FROM (
                            SELECT v.message_id, %3$s AS distance FROM embeddings v
                            WHERE v.owner_id = $1 AND v.model = $2 AND v.span = %1$L
                            ORDER BY distance LIMIT $4 * %2$s) e
                        JOIN LATERAL visible_message($5, e.message_id) m ON true
                        ORDER BY e.distance LIMIT $4) n', v_span, v_spare, v_distance)
                INTO v_found USING p_scope.owner_id, p_model, p_embedding, p_depth, p_scope;
                v_found := coalesce(v_found, '{}');
                EXIT WHEN cardinality(v_found) >= p_depth / 2;
            END LOOP;
        END IF;
        IF v_found IS NULL OR NOT v_indexed AND cardinality(v_found) < p_depth THEN
            EXECUTE format(
                'SELECT array_agg(n.message_id) FROM (
                    SELECT v.message_id FROM embeddings v %1$s
                    WHERE v.owner_id = $1 AND v.model = $2 AND v.span = %2$L
                    ORDER BY %3$s LIMIT $4) n',
                CASE WHEN v_whole THEN ''
                     ELSE 'JOIN visible_messages($5) m ON m.id = v.message_id' END,
                v_span, v_distance)
            INTO v_found USING p_scope.owner_id, p_model, p_embedding, p_depth, p_scope;
        END IF;
        v_ids := v_ids || coalesce(v_found, '{}');
    END LOOP;
    RETURN v_ids;
END $$;

-- The messages that share the rarest words with a question, alone or with their neighbours.
CREATE FUNCTION lexical_candidates(
    p_scope search_scope, p_queries tsquery[], p_idf double precision[], p_depth integer
) RETURNS bigint[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET work_mem = '32MB'
AS $$
DECLARE v_ids bigint[];
BEGIN
    WITH found AS MATERIALIZED (
        SELECT m.id, bit_or(1::bigint << (t.place - 1)::integer) AS words
        FROM unnest(p_queries) WITH ORDINALITY t(query, place)
        JOIN visible_messages(p_scope) m ON m.tsv @@ t.query
        GROUP BY m.id
    ), own_weights AS MATERIALIZED (
        SELECT d.words, (SELECT sum(t.idf) FROM unnest(p_idf) WITH ORDINALITY t(idf, place)
                         WHERE d.words & (1::bigint << (t.place - 1)::integer) <> 0) AS weight
        FROM (SELECT DISTINCT words FROM found) d
    ), matched AS MATERIALIZED (
        -- A window is worth little whose messages are each worth less than all of these.
        SELECT b.id, p.before_id, p.after_id, b.words,
               row_number() OVER (ORDER BY b.weight DESC, b.id DESC) AS place
        FROM (SELECT f.id, f.words, w.weight FROM found f JOIN own_weights w USING (words)
              ORDER BY w.weight DESC, f.id DESC LIMIT 4 * p_depth) b
        LEFT JOIN passages p ON p.owner_id = p_scope.owner_id AND p.message_id = b.id
    ), windows AS MATERIALIZED (
        SELECT s.id, bit_or(s.words) AS words
        FROM (SELECT id, words FROM matched
              UNION ALL SELECT before_id, words FROM matched WHERE before_id IS NOT NULL
              UNION ALL SELECT after_id, words FROM matched WHERE after_id IS NOT NULL) s
        GROUP BY s.id
    ), weights AS MATERIALIZED (
        SELECT d.words, (SELECT sum(t.idf) FROM unnest(p_idf) WITH ORDINALITY t(idf, place)
                         WHERE d.words & (1::bigint << (t.place - 1)::integer) <> 0) AS weight
        FROM (SELECT DISTINCT words FROM windows) d
    )
    SELECT array_agg(c.id) INTO v_ids FROM (
        SELECT m.id FROM matched m WHERE m.place <= p_depth
        UNION
        (SELECT w.id FROM windows w JOIN weights USING (words) ORDER BY weight DESC, w.id DESC LIMIT p_depth)
    ) c;
    RETURN coalesce(v_ids, '{}');
END $$;

-- What speaks for one candidate: it and it with its neighbours, by words and by meaning.
CREATE TYPE message_signals AS (
    id bigint, chat_id bigint, sent_at timestamptz, session_id bigint,
    words_turn double precision, words_window double precision,
    sense_turn double precision, sense_window double precision
);

-- The signals of those of the messages that the scope shows.
CREATE FUNCTION measure_candidates(
    p_scope search_scope, p_ids bigint[], p_queries tsquery[], p_idf double precision[],
    p_embedding halfvec, p_model text
) RETURNS message_signals[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
SET work_mem = '32MB'
AS $$
DECLARE
    v_average double precision := coalesce(
        (SELECT s.average_words FROM corpus_statistics s WHERE s.owner_id = p_scope.owner_id), 10);
    v_visible bigint[];
    v_signals message_signals[];
BEGIN
    -- A variable: from a sub-query the planner expects a handful of rows, and joins all with all.
    SELECT visible_ids(p_scope, p_ids || array_agg(n.id)) INTO v_visible
    FROM passages p CROSS JOIN LATERAL (VALUES (p.before_id), (p.after_id)) n(id)
    WHERE p.owner_id = p_scope.owner_id AND p.message_id = ANY (p_ids) AND n.id IS NOT NULL;
    WITH placed AS MATERIALIZED (
        SELECT p.message_id, p.before_id, p.after_id, p.session_id
        FROM passages p WHERE p.owner_id = p_scope.owner_id AND p.message_id = ANY (p_ids)
    ), places AS MATERIALIZED (
        SELECT c.id, p.before_id, p.after_id, coalesce(p.session_id, -c.id) AS session_id
        FROM (SELECT DISTINCT unnest(p_ids)) c(id) LEFT JOIN placed p ON p.message_id = c.id
    ), texts AS MATERIALIZED (
        SELECT m.id, m.chat_id, m.sent_at, m.tsv
        FROM messages m
        WHERE m.owner_id = p_scope.owner_id AND m.id = ANY (v_visible)
    ), pieces AS MATERIALIZED (
        SELECT x.id, x.chat_id, x.sent_at, length(x.tsv) AS size, coalesce(k.words, 0) AS words
        FROM texts x
        LEFT JOIN (SELECT y.id, bit_or(1::bigint << (t.place - 1)::integer) AS words
                   FROM texts y JOIN unnest(p_queries) WITH ORDINALITY t(query, place) ON y.tsv @@ t.query
                   GROUP BY y.id) k ON k.id = x.id
    ), windows AS MATERIALIZED (
        SELECT own.id, own.chat_id, own.sent_at, p.session_id, own.size, own.words,
               own.size + coalesce(b.size, 0) + coalesce(a.size, 0) AS window_size,
               own.words | coalesce(b.words, 0) | coalesce(a.words, 0) AS window_words,
               -- A window that quotes what this reader may not see counts as the message alone.
               (p.before_id IS NULL OR b.id IS NOT NULL) AND (p.after_id IS NULL OR a.id IS NOT NULL) AS whole
        FROM places p
        JOIN pieces own ON own.id = p.id
        LEFT JOIN pieces b ON b.id = p.before_id
        LEFT JOIN pieces a ON a.id = p.after_id
    ), weights AS MATERIALIZED (
        SELECT d.words, coalesce((SELECT sum(t.idf) FROM unnest(p_idf) WITH ORDINALITY t(idf, place)
                                  WHERE d.words & (1::bigint << (t.place - 1)::integer) <> 0), 0) AS weight
        FROM (SELECT w.words FROM windows w UNION SELECT w.window_words FROM windows w) d
    ), near AS MATERIALIZED (
        SELECT e.message_id, max(-(e.embedding <#> p_embedding)) FILTER (WHERE e.span = 'turn') AS turn,
               max(-(e.embedding <#> p_embedding)) FILTER (WHERE e.span = 'window') AS around
        FROM embeddings e
        WHERE e.owner_id = p_scope.owner_id AND e.model = p_model AND e.span IN ('turn', 'window')
          AND p_embedding IS NOT NULL AND e.message_id = ANY (p_ids)
        GROUP BY e.message_id
    )
    -- BM25 with k1 = 0.9, b = 0.4, each word counted once.
    SELECT array_agg(ROW(w.id, w.chat_id, w.sent_at, w.session_id,
               one.weight * 1.9 / (1 + 0.9 * (0.6 + 0.4 * w.size / v_average)),
               three.weight * 1.9 / (1 + 0.9 * (0.6 + 0.4 * w.window_size / (3 * v_average))),
               greatest(coalesce(n.turn, 0), 0),
               greatest(coalesce(CASE WHEN w.whole THEN n.around ELSE n.turn END, 0), 0))::message_signals)
    INTO v_signals
    FROM windows w
    JOIN weights one ON one.words = w.words
    JOIN weights three ON three.words = w.window_words
    LEFT JOIN near n ON n.message_id = w.id;
    RETURN coalesce(v_signals, '{}');
END $$;

-- The best of the candidates: each signal scaled by its best, plus the best of the candidate's session.
-- Weights measured, not learned.
CREATE FUNCTION fuse_candidates(p_signals message_signals[], p_limit integer)
RETURNS TABLE (id bigint, chat_id bigint, session_id bigint, score real, lexical real, lexical_window real,
               dense real, dense_window real)
LANGUAGE plpgsql STABLE ROWS 20
SET search_path = locum, public, pg_temp SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH fused AS MATERIALIZED (
        SELECT s.*, coalesce(s.words_turn / nullif(max(s.words_turn) OVER (), 0), 0)
                  + coalesce(s.words_window / nullif(max(s.words_window) OVER (), 0), 0)
                  + coalesce(s.sense_turn / nullif(max(s.sense_turn) OVER (), 0), 0)
                  + coalesce(s.sense_window / nullif(max(s.sense_window) OVER (), 0), 0) AS total
        FROM unnest(p_signals) s
    )
    SELECT f.id, f.chat_id, f.session_id,
           (f.total + coalesce(max(f.total) OVER (PARTITION BY f.session_id)
                               / nullif(max(f.total) OVER (), 0), 0))::real AS score,
           f.words_turn::real, f.words_window::real, f.sense_turn::real, f.sense_window::real
    FROM fused f
    WHERE f.total > 0
    ORDER BY score DESC, f.sent_at DESC, f.id DESC
    LIMIT p_limit;
END $$;

-- How many rows are ranked one by one before indexes must choose the candidates.
CREATE FUNCTION exact_search_limit() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 20000 $$;

-- What may be worth ranking: the messages that words or meaning point at, and the question's words.
CREATE FUNCTION find_candidates(
    p_scope search_scope, p_query text, p_embedding halfvec, p_model text, p_depth integer, p_exact boolean,
    OUT ids bigint[], OUT queries tsquery[], OUT idf double precision[], OUT bounded boolean
) LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
AS $$
DECLARE
    -- Words are taken rarest first until the messages that hold them are this many.
    c_budget constant bigint := 2000;
    v_total bigint;
    v_seen bigint;
    v_some integer;
    v_audiences bigint[];
    v_heard bigint[];
    v_counted_at timestamptz;
BEGIN
    -- How many messages are seen decides how to search, never what is shown: what was counted when the
    -- statistics were refreshed will do, and only audiences that are younger are counted now.
    SELECT s.messages, s.audiences, s.heard, s.refreshed_at INTO v_total, v_audiences, v_heard, v_counted_at
    FROM corpus_statistics s WHERE s.owner_id = p_scope.owner_id;
    v_total := coalesce(v_total, 0);
    IF p_scope.everything THEN
        v_seen := v_total;
    ELSE
        IF v_counted_at IS NULL OR p_scope.until < v_counted_at THEN
            v_audiences := '{}';  -- Of an earlier time: counted now, all of them.
        END IF;
        SELECT coalesce(sum(a.heard), 0) INTO v_seen
        FROM unnest(v_audiences, v_heard) a(id, heard) WHERE a.id = ANY (p_scope.audiences);
        -- Only the others in the condition: the index would read all rows of those that were counted.
        v_audiences := ARRAY(SELECT unnest(p_scope.audiences) EXCEPT SELECT unnest(v_audiences));
        SELECT v_seen + count(*) INTO v_seen FROM (
            SELECT FROM messages m
            WHERE m.owner_id = p_scope.owner_id AND m.sent_at < p_scope.until AND m.audience_id = ANY (v_audiences)
            LIMIT exact_search_limit() + 1) s;
    END IF;
    bounded := v_seen > exact_search_limit() AND NOT p_exact;
    IF bounded THEN
        p_depth := 2 * p_depth;  -- Among more rows, more come close.
    END IF;
    WITH terms AS (
        SELECT t.*, sum(t.messages) OVER (ORDER BY t.messages, t.lexeme) AS so_far,
               row_number() OVER (ORDER BY t.messages, t.lexeme) AS place
        FROM search_terms(p_scope.owner_id, p_query) t
    )
    SELECT array_agg(t.query ORDER BY t.place), array_agg(t.idf ORDER BY t.place),
           count(*) FILTER (WHERE t.so_far <= c_budget OR v_seen BETWEEN 1 AND c_budget
                            OR t.place = 1 AND t.messages <= 5 * c_budget)
    INTO queries, idf, v_some FROM terms t;
    queries := coalesce(queries, '{}');
    idf := coalesce(idf, '{}');
    ids := '{}';
    IF p_exact THEN
        SELECT array_agg(m.id) INTO ids FROM visible_messages(p_scope) m;
        RETURN;
    END IF;
    IF v_some > 0 THEN
        ids := lexical_candidates(p_scope, queries[:v_some], idf[:v_some], p_depth);
    END IF;
    IF p_embedding IS NOT NULL THEN
        ids := ids || dense_candidates(p_scope, p_embedding, p_model, p_depth, v_seen, v_total);
    END IF;
END $$;

-- What speaks for each message that may be worth ranking.
CREATE FUNCTION weigh_messages(
    p_scope search_scope, p_query text, p_embedding halfvec, p_model text, p_depth integer, p_exact boolean
) RETURNS message_signals[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
AS $$
DECLARE
    -- So many of the best tell in which sessions to look on, and so many messages are looked at there.
    c_best constant integer := 20;
    c_mates constant integer := 400;
    c record;
    v_signals message_signals[];
    v_mates bigint[];
BEGIN
    c := find_candidates(p_scope, p_query, p_embedding, p_model, p_depth, p_exact);
    v_signals := measure_candidates(p_scope, c.ids, c.queries, c.idf, p_embedding, p_model);
    IF c.bounded THEN
        -- The best message of a session lifts the others, also those that no index pointed at.
        SELECT array_agg(m.message_id) INTO v_mates FROM (
            SELECT p.message_id FROM (
                SELECT f.session_id, max(f.score) AS score FROM fuse_candidates(v_signals, c_best) f
                GROUP BY f.session_id) b
            JOIN passages p ON p.owner_id = p_scope.owner_id AND p.session_id = b.session_id
            ORDER BY b.score DESC LIMIT c_mates) m
        WHERE m.message_id <> ALL (c.ids);
        v_signals := v_signals || measure_candidates(p_scope, v_mates, c.queries, c.idf, p_embedding, p_model);
    END IF;
    RETURN v_signals;
END $$;

-- ─── Facts ──────────────────────────────────────────────────────────────────────────────────

-- A fact is shown when its own audience is readable, and every message it rests on falls in the
-- span of time that the reader shares, before p_until, and from sources that may be drafted from.
CREATE FUNCTION rank_facts(
    p_scope search_scope, p_query text, p_embedding halfvec, p_model text, p_limit integer,
    p_as_of timestamptz
) RETURNS TABLE (id bigint, score real, lexical real, dense real)
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = locum, public, pg_temp SET jit = off
AS $$
BEGIN
    RETURN QUERY
    WITH terms AS MATERIALIZED (
        SELECT t.query, t.idf FROM search_terms(p_scope.owner_id, p_query) t
    ), signals AS MATERIALIZED (
        SELECT f.id, f.valid_from,
               coalesce((SELECT sum(t.idf) FROM terms t WHERE f.tsv @@ t.query), 0) AS words,
               greatest(coalesce(-(e.embedding <#> p_embedding), 0), 0) AS sense
        FROM facts f
        LEFT JOIN fact_embeddings e ON e.owner_id = f.owner_id AND e.model = p_model AND e.fact_id = f.id
        WHERE f.owner_id = p_scope.owner_id AND NOT f.hidden
          AND CASE WHEN p_as_of = 'infinity' THEN f.valid_to = 'infinity'
                   ELSE f.valid_from <= p_as_of AND p_as_of < f.valid_to END
          AND (p_scope.everything OR f.audience_id = ANY (p_scope.audiences))
          AND (p_scope.chat_id IS NULL OR EXISTS (
                SELECT FROM fact_sources s JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
                WHERE s.owner_id = f.owner_id AND s.fact_id = f.id AND m.chat_id = p_scope.chat_id))
          AND (NOT (p_scope.bounded OR p_scope.drafting OR p_scope.until <> 'infinity'
                    OR p_scope.since <> '-infinity') OR NOT EXISTS (
                SELECT FROM fact_sources s
                JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
                JOIN sources o ON o.owner_id = m.owner_id AND o.id = m.source_id
                WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
                  AND (m.sent_at >= p_scope.until OR m.sent_at < p_scope.since
                       OR p_scope.drafting AND NOT o.may_draft
                       OR EXISTS (SELECT FROM unnest(p_scope.audiences, p_scope.joined, p_scope."left")
                                  a(id, joined, "left")
                                  WHERE a.id = f.audience_id
                                    AND (m.sent_at < a.joined OR m.sent_at >= a."left")))))
    ), fused AS (
        SELECT s.*, coalesce(s.words / nullif(max(s.words) OVER (), 0), 0)
                  + coalesce(s.sense / nullif(max(s.sense) OVER (), 0), 0) AS total
        FROM signals s
    )
    SELECT f.id, f.total::real, f.words::real, f.sense::real
    FROM fused f WHERE f.total > 0
    ORDER BY f.total DESC, f.valid_from DESC, f.id DESC
    LIMIT p_limit;
END $$;

-- ─── The three roads ────────────────────────────────────────────────────────────────────────

CREATE FUNCTION search_memory(
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
            v_scope, p_query, p_embedding, p_model, greatest(100, 2 * p_limit), false), p_limit) f;
    END IF;
    IF p_fact_limit > 0 THEN
        RETURN QUERY SELECT 'fact'::text, r.id, NULL::bigint, r.score, r.lexical, NULL::real, r.dense, NULL::real
        FROM rank_facts(v_scope, p_query, p_embedding, p_model, p_fact_limit,
                        coalesce(p_as_of, 'infinity')) r;
    END IF;
END $$;

-- The same ranking over every visible row, however long that takes: what benchmarks compare with.
CREATE FUNCTION search_memory_exactly(
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
        p_query, p_embedding, p_model, 200, true), p_limit) f;
END $$;

-- A chat's own last messages, oldest first: what everybody who is in it now may learn and was there for.
-- p_drafting: without the sources that may not be drafted from. The console's own chats are shown to
-- themselves all the same: they are simulated, and nothing else can be answered there.
--
-- A line whose audience nobody knew (the owner's, as it was said) counts as said to those who were
-- visibly there: in a direct chat to its one counterpart, in a group to all who are there still. Where it
-- is not known who else listens, only the running conversation is shown, from when the last one came.
CREATE FUNCTION recent_turns(
    p_owner_id bigint, p_chat_id bigint, p_thread_id bigint, p_until timestamptz, p_limit integer,
    p_drafting boolean DEFAULT false
) RETURNS TABLE (id bigint, sender_id bigint, sender_name text, origin text, text text, caption text,
                 sent_at timestamptz, platform_message_id text, reply_to text)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    c_running constant interval := '1 hour';
    v_audiences bigint[];
    v_joined timestamptz[];
    v_left timestamptz[];
    v_own bigint[];
    v_own_since timestamptz;
    v_sources bigint[];
BEGIN
    IF p_owner_id IS NULL OR p_chat_id IS NULL OR p_until IS NULL OR p_limit IS NULL THEN
        RAISE EXCEPTION 'an owner, a chat, a time and a number are required'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT coalesce(array_agg(r.audience_id ORDER BY r.audience_id), '{}'),
           coalesce(array_agg(r.since ORDER BY r.audience_id), '{}'),
           coalesce(array_agg(r.until ORDER BY r.audience_id), '{}')
    INTO v_audiences, v_joined, v_left FROM readable_audiences(p_owner_id, 'chat', p_chat_id) r;
    SELECT coalesce(array_agg(a.id), '{}') INTO v_own FROM audiences a
    WHERE a.owner_id = p_owner_id AND (a.kind = 'owner' OR a.chat_id = p_chat_id);
    SELECT CASE c.kind
             WHEN 'direct' THEN CASE WHEN there.ever <= 1 THEN '-infinity'::timestamptz ELSE 'infinity' END
             WHEN 'group' THEN greatest(there.since, CASE WHEN there.since IS NULL OR NOT c.members_known
                                                          THEN p_until - c_running END)
             ELSE 'infinity' END
    INTO v_own_since
    FROM chats c CROSS JOIN LATERAL (
        SELECT count(DISTINCT m.contact_id) AS ever, max(m.joined_at) FILTER (WHERE m.left_at > now()) AS since
        FROM chat_members m WHERE m.owner_id = p_owner_id AND m.chat_id = c.id
    ) there
    WHERE c.owner_id = p_owner_id AND c.id = p_chat_id;
    SELECT coalesce(array_agg(s.id), '{}') INTO v_sources FROM sources s
    WHERE s.owner_id = p_owner_id AND (s.may_draft OR s.kind = 'console' OR NOT coalesce(p_drafting, false));
    RETURN QUERY
        SELECT * FROM (
            SELECT m.id, m.sender_id, m.sender_name, m.origin, m.text, m.caption, m.sent_at,
                   m.platform_message_id, m.reply_to
            FROM messages m
            WHERE m.owner_id = p_owner_id AND m.chat_id = p_chat_id AND m.sent_at < p_until
              -- Not IS NOT DISTINCT FROM: the planner takes that for next to nothing, and reads all.
              AND (p_thread_id IS NULL AND m.thread_id IS NULL OR m.thread_id = p_thread_id)
              AND m.deleted_at IS NULL
              -- CASE, for the same reason.
              AND CASE WHEN m.audience_id = ANY (v_audiences)
                       THEN m.sent_at >= v_joined[width_bucket(m.audience_id, v_audiences)]
                            AND m.sent_at < v_left[width_bucket(m.audience_id, v_audiences)]
                       ELSE m.audience_id = ANY (v_own) AND NOT m.audience_set AND m.sent_at >= v_own_since END
              AND CASE WHEN m.source_id = ANY (v_sources) THEN true ELSE false END
            ORDER BY m.sent_at DESC, m.id DESC LIMIT p_limit
        ) last ORDER BY last.sent_at, last.id;
END $$;

-- What the owner once wrote by hand to the like: the burst of typed messages that came next, before
-- anybody else spoke. Both sides are visible in the scope. A question is like another as a turn: what
-- stands around it counts for nothing here.
CREATE FUNCTION answered_like(p_scope search_scope, p_signals message_signals[], p_limit integer)
RETURNS TABLE (asked_id bigint, score real, reply_ids bigint[], reply text, asked text, replied_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = locum, public, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_asked bigint[];
    v_likeness real[];
BEGIN
    WITH liked AS (
        SELECT s.id, (s.sense_turn + 0.5 * coalesce(s.words_turn / nullif(max(s.words_turn) OVER (), 0), 0))::real
                     AS likeness
        FROM (SELECT id, sense_turn, words_turn FROM unnest(p_signals)) s
        JOIN messages m ON m.owner_id = p_scope.owner_id AND m.id = s.id
        WHERE m.origin = 'contact' AND m.text <> ''
        ORDER BY likeness DESC, s.id DESC
    )
    SELECT array_agg(l.id ORDER BY l.likeness DESC, l.id DESC),
           array_agg(l.likeness ORDER BY l.likeness DESC, l.id DESC)
    INTO v_asked, v_likeness FROM liked l;
    -- Read in order of likeness, and no further than until enough are found.
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT a.id, reply.ids, reply.words, a.text, reply.began, n.likeness, n.place
        FROM unnest(v_asked, v_likeness) WITH ORDINALITY n(id, likeness, place)
        JOIN messages a ON a.owner_id = p_scope.owner_id AND a.id = n.id
        JOIN chats c ON c.owner_id = p_scope.owner_id AND c.id = a.chat_id
        CROSS JOIN LATERAL (
            SELECT array_agg(b.id ORDER BY b.sent_at, b.id) AS ids,
                   string_agg(b.text, E'\n' ORDER BY b.sent_at, b.id) AS words, min(b.sent_at) AS began
            FROM (
                SELECT f.*, bool_and(f.ours AND f.pause <= interval '10 minutes')
                            OVER (ORDER BY f.place) AS unbroken
                FROM (
                    SELECT m.id, m.sent_at, m.text,
                           m.origin = 'typed' AND NOT m.automatic AND NOT m.forwarded
                           AND m.text <> ''
                           AND (m.reply_to IS NULL OR m.reply_to = a.platform_message_id) AS ours,
                           m.sent_at - lag(m.sent_at, 1, m.sent_at) OVER following AS pause,
                           row_number() OVER following AS place
                    FROM messages m
                    WHERE m.owner_id = p_scope.owner_id AND m.chat_id = a.chat_id
                      -- The first says nothing new, but tells the planner that both ends are near.
                      AND m.sent_at >= a.sent_at AND m.sent_at < a.sent_at + interval '1 day'
                      AND (m.sent_at, m.id) > (a.sent_at, a.id)
                      AND m.thread_id IS NOT DISTINCT FROM a.thread_id AND m.deleted_at IS NULL
                    WINDOW following AS (ORDER BY m.sent_at, m.id)
                    ORDER BY m.sent_at, m.id LIMIT 5
                ) f
            ) b
            WHERE b.unbroken
        ) reply
        WHERE reply.ids IS NOT NULL
          -- In a room of many, what comes late answers somebody else.
          AND reply.began - a.sent_at <= CASE WHEN c.kind = 'direct' THEN interval '12 hours'
                                              ELSE interval '10 minutes' END
        ORDER BY n.place LIMIT 2 * p_limit
    )
    SELECT f.id, f.likeness, f.ids, f.words, f.text, f.began FROM found f
    WHERE NOT EXISTS (SELECT FROM unnest(f.ids) r(id) WHERE NOT EXISTS (SELECT FROM visible_message(p_scope, r.id)))
    ORDER BY f.place LIMIT p_limit;
END $$;

-- All that a draft needs of memory for one turn, from one look at it: the best messages and facts, and
-- how the owner answered the like. From sources that may be drafted from.
CREATE FUNCTION recall_memory(
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
        FROM fuse_candidates(v_signals, p_limit) f;
    RETURN QUERY
        SELECT 'fact'::text, r.id, NULL::bigint, r.score, r.lexical, NULL::real, r.dense, NULL::real,
               NULL::bigint[], NULL::text, NULL::text, NULL::timestamptz
        FROM rank_facts(v_scope, p_query, p_embedding, p_model, p_fact_limit, 'infinity') r;
    RETURN QUERY
        SELECT 'past'::text, a.asked_id, NULL::bigint, a.score, NULL::real, NULL::real, NULL::real, NULL::real,
               a.reply_ids, a.reply, a.asked, a.replied_at
        FROM answered_like(v_scope, v_signals, p_past_limit) a;
END $$;

-- The words of given messages, for evidence: those that the reader may see, in time order.
CREATE FUNCTION read_messages(p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_ids bigint[])
RETURNS TABLE (id bigint, sender_id bigint, sender_name text, origin text, text text, caption text,
               sent_at timestamptz, platform_message_id text, reply_to text)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 20
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE v_scope search_scope;
BEGIN
    v_scope := search_scope_of(p_owner_id, p_reader_kind, p_reader_id, NULL, '-infinity', 'infinity', false);
    RETURN QUERY
        SELECT m.id, m.sender_id, m.sender_name, m.origin, m.text, m.caption, m.sent_at,
               m.platform_message_id, m.reply_to
        FROM (SELECT DISTINCT unnest(p_ids)) x(id) CROSS JOIN LATERAL visible_message(v_scope, x.id) m
        ORDER BY m.sent_at, m.id;
END $$;

-- ─── Who may call what ──────────────────────────────────────────────────────────────────────

GRANT CREATE ON SCHEMA locum TO locum_search;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'locum'::regnamespace AND p.proname IN (
        'search_scope_of', 'visible_messages', 'visible_message', 'visible_ids',
        'search_terms', 'dense_candidates', 'lexical_candidates',
        'measure_candidates', 'fuse_candidates', 'find_candidates', 'exact_search_limit', 'weigh_messages',
        'rank_facts', 'answered_like', 'search_memory', 'search_memory_exactly', 'recall_memory', 'recent_turns',
        'read_messages')
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO locum_search', f);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'locum'::regnamespace AND p.proname IN (
        'search_memory', 'search_memory_exactly', 'recall_memory', 'recent_turns', 'read_messages',
        'exact_search_limit')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO locum_app', f);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA locum FROM locum_search;
