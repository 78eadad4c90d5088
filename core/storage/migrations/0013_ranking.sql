-- How candidates are ranked: wider windows for words, the answer to a question that was asked, whoever
-- the question names, and how much was said. See trainer/JOURNAL.md for what each is worth.

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
    WITH placed AS MATERIALIZED (
        SELECT p.message_id, p.session_id, p.before_id, p.after_id
        FROM passages p WHERE p.owner_id = p_scope.owner_id AND p.message_id = ANY (p_ids)
    )
    SELECT array_agg(c.id), array_agg(coalesce(p.session_id, -c.id)), array_agg(p.before_id),
           array_agg(p.after_id), array_agg(b.before_id), array_agg(a.after_id)
    INTO v_ids, v_sessions, v_before, v_after, v_second_before, v_second_after
    FROM (SELECT DISTINCT unnest(p_ids)) c(id)
    LEFT JOIN placed p ON p.message_id = c.id
    -- OFFSET 0 holds the planner to the key.
    LEFT JOIN LATERAL (SELECT x.before_id FROM passages x
        WHERE x.owner_id = p_scope.owner_id AND x.message_id = p.before_id OFFSET 0) b ON true
    LEFT JOIN LATERAL (SELECT x.after_id FROM passages x
        WHERE x.owner_id = p_scope.owner_id AND x.message_id = p.after_id OFFSET 0) a ON true;
    -- A variable: from a sub-query the planner expects a handful of rows, and joins all with all.
    v_visible := visible_ids(p_scope, v_ids || array_remove(
        v_before || v_after || v_second_before || v_second_after, NULL));
    WITH places AS MATERIALIZED (
        SELECT * FROM unnest(v_ids, v_sessions, v_before, v_after, v_second_before, v_second_after)
            c(id, session_id, before_id, after_id, second_before_id, second_after_id)
    ), texts AS MATERIALIZED (
        SELECT m.id, m.chat_id, m.sent_at, m.sender_name, m.language, m.tsv, m.text ~ '[?？؟]' AS asks
        FROM messages m
        WHERE m.owner_id = p_scope.owner_id AND m.id = ANY (v_visible)
    ), names AS MATERIALIZED (
        SELECT n.sender_name, n.language,
               EXISTS (SELECT FROM unnest(p_queries) t(query)
                       WHERE to_tsvector(n.language, n.sender_name) @@ t.query) AS named
        FROM (SELECT DISTINCT sender_name, language FROM texts) n
    ), pieces AS MATERIALIZED (
        SELECT x.id, x.chat_id, x.sent_at, x.sender_name, x.asks, n.named, length(x.tsv) AS size,
               coalesce(k.words, 0) AS words
        FROM texts x
        JOIN names n ON n.sender_name = x.sender_name AND n.language = x.language
        LEFT JOIN (SELECT y.id, bit_or(1::bigint << (t.place - 1)::integer) AS words
                   FROM texts y JOIN unnest(p_queries) WITH ORDINALITY t(query, place) ON y.tsv @@ t.query
                   GROUP BY y.id) k ON k.id = x.id
    ), windows AS MATERIALIZED (
        SELECT own.id, own.chat_id, own.sent_at, p.session_id, own.size, own.words, own.named,
               own.size + coalesce(b.size, 0) + coalesce(a.size, 0)
                        + coalesce(bb.size, 0) + coalesce(aa.size, 0) AS window_size,
               own.words | coalesce(b.words, 0) | coalesce(a.words, 0)
                         | coalesce(bb.words, 0) | coalesce(aa.words, 0) AS window_words,
               -- A window that quotes what this reader may not see counts as the message alone.
               (p.before_id IS NULL OR b.id IS NOT NULL) AND (p.after_id IS NULL OR a.id IS NOT NULL) AS whole,
               asked.id AS asked_id, asked.size AS asked_size, coalesce(asked.words, 0) AS asked_words
        FROM places p
        JOIN pieces own ON own.id = p.id
        LEFT JOIN pieces b ON b.id = p.before_id
        LEFT JOIN pieces a ON a.id = p.after_id
        LEFT JOIN pieces bb ON bb.id = p.second_before_id
        LEFT JOIN pieces aa ON aa.id = p.second_after_id
        LEFT JOIN pieces asked ON asked.id = p.before_id AND asked.asks AND asked.sender_name <> own.sender_name
    ), weights AS MATERIALIZED (
        SELECT d.words, coalesce((SELECT sum(t.idf) FROM unnest(p_idf) WITH ORDINALITY t(idf, place)
                                  WHERE d.words & (1::bigint << (t.place - 1)::integer) <> 0), 0) AS weight
        FROM (SELECT w.words FROM windows w UNION SELECT w.window_words FROM windows w
              UNION SELECT w.asked_words FROM windows w) d
    ), near AS MATERIALIZED (
        SELECT e.message_id, max(-(e.embedding <#> p_embedding)) FILTER (WHERE e.span = 'turn') AS turn,
               max(-(e.embedding <#> p_embedding)) FILTER (WHERE e.span = 'window') AS around
        FROM embeddings e
        WHERE e.owner_id = p_scope.owner_id AND e.model = p_model AND e.span IN ('turn', 'window')
          AND p_embedding IS NOT NULL AND e.message_id = ANY (v_ids)
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
    FROM windows w
    JOIN weights one ON one.words = w.words
    JOIN weights five ON five.words = w.window_words
    JOIN weights asked ON asked.words = w.asked_words
    LEFT JOIN near n ON n.message_id = w.id
    LEFT JOIN LATERAL (
        SELECT -(e.embedding <#> p_embedding) AS turn FROM embeddings e
        WHERE e.owner_id = p_scope.owner_id AND e.model = p_model AND e.span = 'turn'
          AND p_embedding IS NOT NULL AND e.message_id = w.asked_id OFFSET 0) q ON true;
    RETURN coalesce(v_signals, '{}');
END $$;

-- The best of the candidates: each signal scaled by its best, plus the best of the candidate's session.
-- Few and round weights, on a plateau: half or twice any of them costs less than a point. Whoever is
-- named, and who says more, comes a little sooner.
CREATE OR REPLACE FUNCTION fuse_candidates(p_signals message_signals[], p_limit integer)
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
                    + 0.5 * ln(1 + least(f.size, c_long)) + 0.5 * f.named::integer)::real AS score,
           f.words_turn::real, f.words_window::real, f.sense_turn::real, f.sense_window::real
    FROM fused f
    WHERE f.total > 0
    ORDER BY score DESC, f.sent_at DESC, f.id DESC
    LIMIT p_limit;
END $$;
