-- Which messages are worth ranking, found faster: words by an index that knows whose they are, small
-- memories measured whole, and candidates measured in one pass over sorted keys.

-- ─── Words, owner by owner ──────────────────────────────────────────────────────────────────

-- The words of a message as numbers that no other owner's share. An index of plain words has one list
-- for "lunch" however many people had it, and a search for one of them would read it to the end.
CREATE FUNCTION owned_word(p_owner_id bigint, p_word text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT hashtextextended(p_word, p_owner_id) $$;

-- Costly in the planner's eyes: it is there to be looked up, never to be worked out for row after row.
CREATE FUNCTION owned_words(p_owner_id bigint, p_tsv tsvector) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 1000
AS $$ SELECT array_agg(hashtextextended(w.word, p_owner_id)) FROM unnest(tsvector_to_array(p_tsv)) w(word) $$;

-- New words wait in a list that every search reads through: a short one.
CREATE INDEX messages_words ON messages USING gin (owned_words(owner_id, tsv)) WITH (gin_pending_list_limit = 256);
DROP INDEX messages_tsv;

CREATE OR REPLACE FUNCTION analyze_memory() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = locum, public, pg_temp
AS $$
BEGIN
    PERFORM gin_clean_pending_list('messages_words'), gin_clean_pending_list('facts_tsv');
    ANALYZE messages, passages, embeddings, fact_embeddings, chats, chat_members, audiences, audience_members;
END $$;

-- As in 0013, but that words are counted among the owner's own.
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
                       WHERE m.owner_id = p_owner_id
                         AND owned_words(m.owner_id, m.tsv) @> ARRAY[owned_word(p_owner_id, w.word)])) AS found
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

-- ─── How much is looked at ──────────────────────────────────────────────────────────────────

-- Up to so many visible messages, all of them are measured: the ranking is exact. Both limits are settings
-- so that benchmarks can force the ways of large owners on small ones; neither widens what is shown.
CREATE OR REPLACE FUNCTION exact_search_limit() RETURNS integer LANGUAGE sql STABLE
AS $$ SELECT coalesce(nullif(current_setting('locum.exact_search_limit', true), '')::integer, 1500) $$;

-- Up to so many, every vector is compared; with more, an index of near vectors is asked.
CREATE FUNCTION exact_distance_limit() RETURNS integer LANGUAGE sql STABLE
AS $$ SELECT coalesce(nullif(current_setting('locum.exact_distance_limit', true), '')::integer, 20000) $$;

CREATE OR REPLACE FUNCTION prepare_large_owner(p_owner_id bigint, p_model text) RETURNS boolean LANGUAGE plpgsql
SET search_path = locum, public, pg_temp
AS $$
DECLARE v_dimension integer;
BEGIN
    IF (SELECT count(*) FROM (
            SELECT FROM embeddings WHERE owner_id = p_owner_id AND model = p_model AND span = 'turn'
            LIMIT exact_distance_limit() + 1) s) <= exact_distance_limit() THEN
        RETURN false;
    END IF;
    SELECT dimension INTO v_dimension FROM embeddings WHERE owner_id = p_owner_id AND model = p_model LIMIT 1;
    PERFORM build_vector_index(p_owner_id, p_model, v_dimension);
    RETURN true;
END $$;

-- ─── Candidates ─────────────────────────────────────────────────────────────────────────────

DROP FUNCTION find_candidates, weigh_messages, lexical_candidates, dense_candidates, visible_ids;

-- The messages nearest to a question by meaning, at most p_depth for each span. p_seen: about how many
-- messages the scope shows, of p_total.
CREATE FUNCTION dense_candidates(
    p_scope search_scope, p_embedding halfvec, p_model text, p_depth integer, p_seen bigint, p_total bigint
) RETURNS bigint[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
SET hnsw.iterative_scan = 'relaxed_order' SET hnsw.ef_search = 400
AS $$
DECLARE
    c_windows constant integer := 6000;
    v_whole boolean := p_scope.everything AND p_scope.chat_id IS NULL AND NOT p_scope.drafting
                       AND p_scope.since = '-infinity' AND p_scope.until = 'infinity';
    -- Of few among many, the index finds mostly the others.
    v_indexed boolean := least(p_seen, p_total)
                         > greatest(exact_distance_limit(), least(3 * exact_distance_limit(), p_total / 16));
    -- The dimension is spelled out because the index is on the vector of that dimension.
    v_distance text := CASE WHEN v_indexed THEN format('(v.embedding::halfvec(%1$s)) <#> $3::halfvec(%1$s)',
                                                       vector_dims(p_embedding))
                            ELSE 'v.embedding <#> $3' END;
    v_spare integer := CASE WHEN v_whole THEN 1
                            ELSE ceil(1.5 * p_total / greatest(p_seen, 1)) + 1 END;
    v_visible bigint[];
    v_span text;
    v_near bigint[];
    v_ids bigint[] := '{}';
BEGIN
    FOREACH v_span IN ARRAY ARRAY['turn', 'window'] LOOP
        IF v_span = 'window' AND p_seen > least(c_windows, exact_distance_limit()) THEN
            -- Among many, the windows around the nearest turns stand for the nearest windows.
            SELECT array_agg(n.id) INTO v_near
            FROM passages p CROSS JOIN LATERAL (VALUES (p.before_id), (p.after_id)) n(id)
            WHERE p.owner_id = p_scope.owner_id AND p.message_id = ANY (v_ids) AND n.id IS NOT NULL;
            RETURN v_ids || v_near;
        END IF;
        v_near := '{}';
        IF v_whole OR v_indexed OR p_seen > p_total / 4 THEN
            -- Most are seen: looking at a few more is cheaper than asking of each whether it is.
            LOOP
                EXECUTE format(
                    'SELECT array_agg(e.message_id ORDER BY e.distance) FROM (
                        SELECT v.message_id, %2$s AS distance FROM embeddings v
                        WHERE v.owner_id = $1 AND v.model = $2 AND v.span = %1$L
                        ORDER BY distance LIMIT $4) e', v_span, v_distance)
                INTO v_near USING p_scope.owner_id, p_model, p_embedding, p_depth * v_spare;
                EXIT WHEN v_whole;
                v_near := visible_of(p_scope, v_near, p_depth);
                -- Fewer are visible than was thought, or far from the question.
                EXIT WHEN NOT v_indexed OR cardinality(v_near) >= p_depth / 2 OR v_spare > 50;
                v_spare := 8 * v_spare;
            END LOOP;
        END IF;
        IF NOT v_whole AND NOT v_indexed AND cardinality(v_near) < p_depth THEN
            v_visible := coalesce(v_visible, visible_up_to(p_scope, NULL), '{}');
            EXECUTE format(
                'SELECT array_agg(e.message_id) FROM (
                    SELECT v.message_id FROM embeddings v
                    WHERE v.owner_id = $1 AND v.model = $2 AND v.span = %1$L
                      AND v.message_id = ANY ((SELECT $5)::bigint[])
                    ORDER BY %2$s LIMIT $4) e', v_span, v_distance)
            INTO v_near USING p_scope.owner_id, p_model, p_embedding, p_depth, v_visible;
        END IF;
        v_ids := v_ids || v_near;
    END LOOP;
    RETURN v_ids;
END $$;

-- The first p_limit of the ids that are visible, in their order.
CREATE FUNCTION visible_of(p_scope search_scope, p_ids bigint[], p_limit integer) RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET enable_nestloop = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT n.id FROM unnest(p_ids) WITH ORDINALITY n(id, place)
        JOIN (SELECT m.id FROM visible_messages(p_scope) m WHERE m.id = ANY ((SELECT p_ids)::bigint[])) m
          ON m.id = n.id
        ORDER BY n.place LIMIT p_limit);
END $$;

-- The messages that share the rarest words with a question, alone or with their neighbours.
CREATE FUNCTION lexical_candidates(
    p_scope search_scope, p_words text[], p_idf double precision[], p_depth integer
) RETURNS bigint[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
SET work_mem = '32MB'
AS $$
DECLARE
    v_low double precision[] := word_weights(p_idf[:8]);
    v_high double precision[] := word_weights(p_idf[9:]);
    v_ids bigint[];
BEGIN
    WITH found AS MATERIALIZED (
        SELECT m.id, bit_or(1 << (t.place - 1)::integer) AS words
        FROM unnest(p_words) WITH ORDINALITY t(word, place)
        JOIN visible_messages(p_scope) m
          ON owned_words(m.owner_id, m.tsv) @> ARRAY[owned_word((p_scope).owner_id, t.word)]
        GROUP BY m.id
    ), best AS MATERIALIZED (
        -- A window is worth little whose messages are each worth less than all of these.
        SELECT f.id, f.words, v_low[(f.words & 255) + 1] + v_high[(f.words >> 8) + 1] AS weight
        FROM found f ORDER BY weight DESC, f.id DESC LIMIT 4 * p_depth
    ), windows AS (
        SELECT s.id, bit_or(s.words) AS words
        FROM (SELECT b.id, b.words FROM best b
              UNION ALL
              SELECT n.id, b.words FROM best b
              JOIN passages p ON p.owner_id = p_scope.owner_id AND p.message_id = b.id
              LEFT JOIN passages pb ON pb.owner_id = p_scope.owner_id AND pb.message_id = p.before_id
              LEFT JOIN passages pa ON pa.owner_id = p_scope.owner_id AND pa.message_id = p.after_id
              CROSS JOIN LATERAL (VALUES (p.before_id), (p.after_id), (pb.before_id), (pa.after_id)) n(id)
              WHERE n.id IS NOT NULL) s
        GROUP BY s.id
    )
    SELECT array_agg(c.id) INTO v_ids FROM (
        (SELECT b.id FROM best b ORDER BY b.weight DESC, b.id DESC LIMIT p_depth)
        UNION
        (SELECT w.id FROM windows w
         ORDER BY v_low[(w.words & 255) + 1] + v_high[(w.words >> 8) + 1] DESC, w.id DESC LIMIT p_depth)
    ) c;
    RETURN coalesce(v_ids, '{}');
END $$;

-- What each set of up to eight words weighs together: element 1 + n is for the words whose bits n has.
CREATE FUNCTION word_weights(p_idf double precision[]) RETURNS double precision[] LANGUAGE sql IMMUTABLE
AS $$
    SELECT array_agg((SELECT coalesce(sum(t.idf), 0) FROM unnest(p_idf) WITH ORDINALITY t(idf, place)
                      WHERE n >> (t.place - 1)::integer & 1 = 1) ORDER BY n)
    FROM generate_series(0, (1 << cardinality(p_idf)) - 1) n
$$;

-- All messages of the scope, unless they are more than p_most: then null.
CREATE FUNCTION visible_up_to(p_scope search_scope, p_most integer) RETURNS bigint[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE v_ids bigint[];
BEGIN
    SELECT array_agg(v.id) INTO v_ids FROM (SELECT m.id FROM visible_messages(p_scope) m LIMIT p_most + 1) v;
    RETURN CASE WHEN cardinality(v_ids) > p_most THEN NULL ELSE coalesce(v_ids, '{}') END;
END $$;

-- About how many messages the scope shows, and how many the owner has. It decides how to search, never
-- what is shown: what was counted when the statistics were refreshed will do, and only audiences that
-- are younger, and scopes that statistics know nothing of, are counted now.
CREATE FUNCTION scope_size(p_scope search_scope, OUT seen bigint, OUT total bigint) LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    v_audiences bigint[];
    v_heard bigint[];
    v_counted_at timestamptz;
    v_counted bigint;
BEGIN
    SELECT s.messages, s.audiences, s.heard, s.refreshed_at INTO total, v_audiences, v_heard, v_counted_at
    FROM corpus_statistics s WHERE s.owner_id = p_scope.owner_id;
    total := coalesce(total, 0);
    seen := total;
    IF NOT p_scope.everything THEN
        SELECT coalesce(sum(a.heard), 0) INTO seen
        FROM unnest(v_audiences, v_heard) a(id, heard) WHERE a.id = ANY (p_scope.audiences);
        -- Only the others in the condition: the index would read all rows of those that were counted.
        v_audiences := ARRAY(SELECT unnest(p_scope.audiences) EXCEPT SELECT unnest(v_audiences));
        SELECT seen + count(*) INTO seen FROM (
            SELECT FROM messages m WHERE m.owner_id = p_scope.owner_id AND m.audience_id = ANY (v_audiences)
            LIMIT exact_distance_limit() + 1) s;
    END IF;
    IF seen > exact_search_limit() AND (p_scope.chat_id IS NOT NULL OR p_scope.since > '-infinity'
                                        OR p_scope.until < v_counted_at) THEN
        SELECT count(*) INTO v_counted FROM (
            SELECT FROM visible_messages(p_scope) m LIMIT exact_distance_limit() + 1) s;
        seen := CASE WHEN v_counted > exact_distance_limit() THEN seen ELSE v_counted END;
    END IF;
END $$;

-- What may be worth ranking: the messages that words or meaning point at, and the question's words.
-- whole: they are all that the scope shows.
CREATE FUNCTION find_candidates(
    p_scope search_scope, p_query text, p_embedding halfvec, p_model text, p_depth integer, p_exact boolean,
    OUT ids bigint[], OUT queries tsquery[], OUT idf double precision[], OUT whole boolean
) LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
AS $$
DECLARE
    -- Words are taken rarest first until the messages that hold them, seen or not, are this many.
    v_budget bigint := 4000;
    v_size record;
    v_words text[];
    v_some integer;
BEGIN
    v_size := scope_size(p_scope);
    IF v_size.total > exact_distance_limit() THEN
        -- Among more rows more come close, and of an owner's many a narrow audience sees few.
        p_depth := 2 * p_depth;
        v_budget := 10000;
    END IF;
    WITH terms AS (
        SELECT t.*, sum(t.messages) OVER rarest AS so_far, row_number() OVER rarest AS place
        FROM search_terms(p_scope.owner_id, p_query) t WINDOW rarest AS (ORDER BY t.messages, t.lexeme)
    )
    SELECT coalesce(array_agg(t.query ORDER BY t.place), '{}'),
           coalesce(array_agg(t.idf ORDER BY t.place), '{}'), array_agg(t.lexeme ORDER BY t.place),
           count(*) FILTER (WHERE t.so_far <= v_budget OR t.place = 1 AND t.messages <= 3 * v_budget)
    INTO queries, idf, v_words, v_some FROM terms t;
    IF p_exact THEN
        ids := visible_up_to(p_scope, NULL);
    ELSIF v_size.seen <= 2 * exact_search_limit() THEN
        ids := visible_up_to(p_scope, exact_search_limit());
    END IF;
    whole := ids IS NOT NULL;
    IF whole THEN
        RETURN;
    END IF;
    ids := '{}';
    IF v_some > 0 THEN
        ids := lexical_candidates(p_scope, v_words[:v_some], idf[:v_some], p_depth);
    END IF;
    IF p_embedding IS NOT NULL THEN
        ids := ids || dense_candidates(p_scope, p_embedding, p_model, p_depth, v_size.seen, v_size.total);
    END IF;
END $$;

-- What speaks for each message that may be worth ranking.
CREATE FUNCTION weigh_messages(
    p_scope search_scope, p_query text, p_embedding halfvec, p_model text, p_depth integer, p_exact boolean
) RETURNS message_signals[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
AS $$
DECLARE
    -- So many of the best tell in which sessions to look on, and so many more are measured there.
    c_best constant integer := 10;
    c_mates constant integer := 200;
    c record;
    v_signals message_signals[];
BEGIN
    c := find_candidates(p_scope, p_query, p_embedding, p_model, p_depth, p_exact);
    v_signals := measure_candidates(p_scope, c.ids, c.queries, c.idf, p_embedding, p_model);
    IF c.whole THEN
        RETURN v_signals;
    END IF;
    -- The best message of a session lifts the others, also those that nothing else points at.
    RETURN v_signals || measure_candidates(
        p_scope, mates_of(p_scope, v_signals, named_times(p_query), c_best, c_mates), c.queries, c.idf, p_embedding, p_model);
END $$;

-- Messages of the best ones' sessions, at most p_limit, that are not among the measured.
CREATE FUNCTION mates_of(
    p_scope search_scope, p_signals message_signals[], p_times tstzmultirange, p_best integer, p_limit integer)
RETURNS bigint[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT p.message_id
        FROM (SELECT f.session_id, max(f.score) AS score FROM fuse_candidates(p_signals, p_best, p_times) f
              GROUP BY f.session_id) b
        JOIN passages p ON p.owner_id = p_scope.owner_id AND p.session_id = b.session_id
        WHERE NOT EXISTS (SELECT FROM unnest(p_signals) s WHERE s.id = p.message_id)
        ORDER BY b.score DESC, p.message_id LIMIT p_limit);
END $$;

-- ─── Measuring ──────────────────────────────────────────────────────────────────────────────

-- Those of the messages that the scope shows, with which of a question's words each holds: bit by bit in
-- the order of the queries, of which there are at most sixteen (search_terms). Planned anew with queries
-- and scope as constants; the ids stand in a sub-query because the planner would weigh each of them.
CREATE FUNCTION match_words(p_scope search_scope, p_ids bigint[], p_queries tsquery[])
RETURNS TABLE (id bigint, chat_id bigint, sent_at timestamptz, sender_name text, language regconfig,
               asks boolean, size integer, words integer)
LANGUAGE plpgsql STABLE ROWS 1000
SET search_path = locum, public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE v_any tsquery := (SELECT string_agg(q::text, ' | ')::tsquery FROM unnest(p_queries) q);
BEGIN
    RETURN QUERY
    SELECT m.id, m.chat_id, m.sent_at, m.sender_name, m.language,
           m.text LIKE '%?%' OR m.text LIKE '%？%' OR m.text LIKE '%؟%', length(m.tsv),
           CASE WHEN m.tsv @@ v_any THEN
               (m.tsv @@ p_queries[1])::integer
               | coalesce((m.tsv @@ p_queries[2])::integer << 1, 0)
               | coalesce((m.tsv @@ p_queries[3])::integer << 2, 0)
               | coalesce((m.tsv @@ p_queries[4])::integer << 3, 0)
               | coalesce((m.tsv @@ p_queries[5])::integer << 4, 0)
               | coalesce((m.tsv @@ p_queries[6])::integer << 5, 0)
               | coalesce((m.tsv @@ p_queries[7])::integer << 6, 0)
               | coalesce((m.tsv @@ p_queries[8])::integer << 7, 0)
               | coalesce((m.tsv @@ p_queries[9])::integer << 8, 0)
               | coalesce((m.tsv @@ p_queries[10])::integer << 9, 0)
               | coalesce((m.tsv @@ p_queries[11])::integer << 10, 0)
               | coalesce((m.tsv @@ p_queries[12])::integer << 11, 0)
               | coalesce((m.tsv @@ p_queries[13])::integer << 12, 0)
               | coalesce((m.tsv @@ p_queries[14])::integer << 13, 0)
               | coalesce((m.tsv @@ p_queries[15])::integer << 14, 0)
               | coalesce((m.tsv @@ p_queries[16])::integer << 15, 0)
           ELSE 0 END
    FROM visible_messages(p_scope) m WHERE m.id = ANY ((SELECT p_ids)::bigint[]);
END $$;

-- The signals of 0013, of those of the messages that the scope shows. Every table is read in one pass over
-- sorted keys, and joined by hashing; planned once.
CREATE OR REPLACE FUNCTION measure_candidates(
    p_scope search_scope, p_ids bigint[], p_queries tsquery[], p_idf double precision[],
    p_embedding halfvec, p_model text
) RETURNS message_signals[] LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET work_mem = '32MB'
-- A plan for any number of rows expects ten, and would join all with all in loops.
SET enable_nestloop = off SET enable_mergejoin = off
AS $$
DECLARE
    v_average double precision := coalesce(
        (SELECT s.average_words FROM corpus_statistics s WHERE s.owner_id = p_scope.owner_id), 10);
    v_low double precision[] := word_weights(p_idf[:8]);
    v_high double precision[] := word_weights(p_idf[9:]);
    v_owner_id bigint := p_scope.owner_id;
    v_before bigint[];
    v_near bigint[];
    v_far bigint[];
    v_signals message_signals[];
BEGIN
    SELECT array_agg(p.before_id), array_agg(p.before_id) || array_agg(p.after_id) INTO v_before, v_near
    FROM passages p WHERE p.owner_id = v_owner_id AND p.message_id = ANY (p_ids);
    SELECT array_agg(p.before_id) || array_agg(p.after_id) INTO v_far
    FROM passages p WHERE p.owner_id = v_owner_id AND p.message_id = ANY (v_near);
    WITH pieces AS MATERIALIZED (
        SELECT w.id, w.chat_id, w.sent_at, w.sender_name, w.language, w.asks, w.size, w.words
        FROM match_words(p_scope, p_ids || v_near || v_far, p_queries) w
    ), names AS MATERIALIZED (
        SELECT n.sender_name, n.language,
               EXISTS (SELECT FROM unnest(p_queries) t(query)
                       WHERE to_tsvector(n.language, searchable(n.sender_name)) @@ t.query) AS named
        FROM (SELECT DISTINCT sender_name, language FROM pieces) n
    ), places AS MATERIALIZED (
        SELECT p.message_id, p.before_id, p.after_id, p.session_id
        FROM passages p WHERE p.owner_id = v_owner_id AND p.message_id = ANY (p_ids || v_near)
    ), turns AS MATERIALIZED (
        SELECT e.message_id, -(e.embedding <#> p_embedding) AS sense
        FROM embeddings e
        WHERE e.owner_id = v_owner_id AND e.model = p_model AND e.span = 'turn'
          AND p_embedding IS NOT NULL AND e.message_id = ANY (p_ids || v_before)
    ), surroundings AS MATERIALIZED (
        SELECT e.message_id, -(e.embedding <#> p_embedding) AS sense
        FROM embeddings e
        WHERE e.owner_id = v_owner_id AND e.model = p_model AND e.span = 'window'
          AND p_embedding IS NOT NULL AND e.message_id = ANY (p_ids)
    ), windows AS (
        SELECT own.id, own.chat_id, own.sent_at, p.session_id, own.size, own.words, n.named,
               own.size + coalesce(b.size, 0) + coalesce(a.size, 0) + coalesce(bb.size, 0)
                   + coalesce(aa.size, 0) AS window_size,
               own.words | coalesce(b.words, 0) | coalesce(a.words, 0) | coalesce(bb.words, 0)
                   | coalesce(aa.words, 0) AS window_words,
               -- A window that quotes what this reader may not see counts as the message alone.
               (p.before_id IS NULL OR b.id IS NOT NULL) AND (p.after_id IS NULL OR a.id IS NOT NULL) AS whole,
               asked.id AS asked_id, asked.size AS asked_size, coalesce(asked.words, 0) AS asked_words
        FROM (SELECT DISTINCT unnest(p_ids)) c(id)
        JOIN pieces own ON own.id = c.id
        JOIN names n ON n.sender_name = own.sender_name AND n.language = own.language
        LEFT JOIN places p ON p.message_id = c.id
        LEFT JOIN places further_back ON further_back.message_id = p.before_id
        LEFT JOIN places further_on ON further_on.message_id = p.after_id
        LEFT JOIN pieces b ON b.id = p.before_id
        LEFT JOIN pieces a ON a.id = p.after_id
        LEFT JOIN pieces bb ON bb.id = further_back.before_id
        LEFT JOIN pieces aa ON aa.id = further_on.after_id
        LEFT JOIN pieces asked ON asked.id = b.id AND asked.asks AND asked.sender_name <> own.sender_name
        OFFSET 0
    )
    -- BM25 with k1 = 0.9, b = 0.4, each word counted once. The numbers are cast: a bare 0.36 is a numeric.
    SELECT array_agg(ROW(w.id, w.chat_id, w.sent_at, coalesce(w.session_id, -w.id),
               (v_low[(w.words & 255) + 1] + v_high[(w.words >> 8) + 1])
                   * 1.9::float8 / (1.54::float8 + 0.36::float8 / v_average * w.size::float8),
               (v_low[(w.window_words & 255) + 1] + v_high[(w.window_words >> 8) + 1])
                   * 1.9::float8 / (1.54::float8 + 0.072::float8 / v_average * w.window_size::float8),
               greatest(coalesce(t.sense, 0), 0),
               greatest(coalesce(CASE WHEN w.whole THEN s.sense ELSE t.sense END, 0), 0),
               coalesce((v_low[(w.asked_words & 255) + 1] + v_high[(w.asked_words >> 8) + 1])
                   * 1.9::float8 / (1.54::float8 + 0.36::float8 / v_average * w.asked_size::float8), 0),
               greatest(coalesce(q.sense, 0), 0), w.size, w.named)::message_signals)
    INTO v_signals
    FROM windows w
    LEFT JOIN turns t ON t.message_id = w.id
    LEFT JOIN turns q ON q.message_id = w.asked_id
    LEFT JOIN surroundings s ON s.message_id = w.id;
    RETURN coalesce(v_signals, '{}');
END $$;

-- ─── Who may call what ──────────────────────────────────────────────────────────────────────

GRANT CREATE ON SCHEMA locum TO locum_search;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'locum'::regnamespace AND p.proname IN (
        'owned_word', 'word_weights', 'match_words', 'visible_of', 'visible_up_to', 'scope_size', 'mates_of',
        'dense_candidates', 'lexical_candidates', 'find_candidates', 'weigh_messages', 'exact_distance_limit')
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO locum_search', f);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA locum FROM locum_search;
GRANT EXECUTE ON FUNCTION exact_distance_limit TO locum_app;
