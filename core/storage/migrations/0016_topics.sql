-- Topics and session summaries: what their readers are told, what the owner decided about them, and how
-- they follow their messages. What a row may be shown on (the time its messages span, the sources they
-- came from) is kept by triggers, so that no writer can forget it.

-- ─── Columns ────────────────────────────────────────────────────────────────────────────────

ALTER TABLE topics
    ADD COLUMN theme_id           bigint,
    ADD COLUMN named_by_owner     boolean NOT NULL DEFAULT false,
    ADD COLUMN described_by_owner boolean NOT NULL DEFAULT false,
    ADD COLUMN pinned             boolean NOT NULL DEFAULT false,
    ADD COLUMN hidden             boolean NOT NULL DEFAULT false,
    ADD COLUMN owner_only         boolean NOT NULL DEFAULT false,
    ADD COLUMN deleted_at         timestamptz,
    ADD COLUMN extractor          text NOT NULL DEFAULT '',
    ADD COLUMN messages           integer NOT NULL DEFAULT 0,
    ADD COLUMN named_at           integer NOT NULL DEFAULT 0,
    ADD COLUMN first_seen         timestamptz NOT NULL DEFAULT 'infinity',
    ADD COLUMN last_seen          timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN consents           bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN model              text NOT NULL DEFAULT '',
    ADD COLUMN centroid           halfvec,
    ADD COLUMN language           regconfig NOT NULL DEFAULT 'pg_catalog.english',
    ADD COLUMN tsv                tsvector GENERATED ALWAYS AS
                                  (to_tsvector(language, name || ' ' || description)) STORED,
    ADD CHECK (deleted_at IS NULL OR (name = '' AND description = '')),
    ADD CHECK (theme_id <> id),
    ADD FOREIGN KEY (owner_id, theme_id) REFERENCES topics ON DELETE SET NULL (theme_id);
ALTER TABLE topics ALTER COLUMN name SET DEFAULT '';
CREATE INDEX topics_of_audience ON topics (owner_id, audience_id);
CREATE INDEX topics_of_theme ON topics (owner_id, theme_id) WHERE theme_id IS NOT NULL;
COMMENT ON COLUMN topics.name IS 'Empty: too little was said about it yet to call it a topic';
COMMENT ON COLUMN topics.theme_id IS
    'The eldest topic about the same thing, said to others: a link for the owner''s eyes alone';
COMMENT ON COLUMN topics.owner_only IS
    'The owner named it, and then told that one of its messages is for fewer people';
COMMENT ON COLUMN topics.deleted_at IS 'The owner does not want it: it keeps its messages, so that none comes back';
COMMENT ON COLUMN topics.named_at IS 'How many messages it had when it was named';
COMMENT ON COLUMN topics.consents IS 'Ids of the sources that its messages came from';
COMMENT ON COLUMN topics.centroid IS 'Mean of its messages'' vectors of that model, not of length 1; null: to be taken anew';

-- A message is about one thing: of its segment of the conversation.
CREATE UNIQUE INDEX one_topic_per_message ON topic_sources (owner_id, message_id);

CREATE TABLE topic_versions (
    owner_id    bigint NOT NULL,
    topic_id    bigint NOT NULL,
    version     integer NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    extractor   text NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, topic_id, version),
    FOREIGN KEY (owner_id, topic_id) REFERENCES topics ON DELETE CASCADE
);

ALTER TABLE session_summaries
    ADD COLUMN current      boolean NOT NULL DEFAULT true,
    ADD COLUMN pinned       boolean NOT NULL DEFAULT false,
    ADD COLUMN hidden       boolean NOT NULL DEFAULT false,
    ADD COLUMN owner_only   boolean NOT NULL DEFAULT false,
    ADD COLUMN corrected_at timestamptz,
    ADD COLUMN deleted_at   timestamptz,
    ADD COLUMN decided      boolean GENERATED ALWAYS AS
                            (pinned OR hidden OR corrected_at IS NOT NULL OR deleted_at IS NOT NULL) STORED,
    ADD COLUMN messages     integer NOT NULL DEFAULT 0,
    ADD COLUMN first_said   timestamptz NOT NULL DEFAULT 'infinity',
    ADD COLUMN last_said    timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN consents     bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN chat_id      bigint,
    ADD COLUMN language     regconfig NOT NULL DEFAULT 'pg_catalog.english',
    ADD COLUMN tsv          tsvector GENERATED ALWAYS AS (to_tsvector(language, summary)) STORED,
    ADD CHECK (deleted_at IS NULL OR summary = ''),
    ALTER COLUMN session_id DROP NOT NULL,
    DROP CONSTRAINT session_summaries_owner_id_session_id_version_key,
    DROP CONSTRAINT session_summaries_owner_id_session_id_fkey,
    ADD FOREIGN KEY (owner_id, session_id) REFERENCES sessions ON DELETE SET NULL (session_id),
    ADD FOREIGN KEY (owner_id, chat_id) REFERENCES chats ON DELETE CASCADE;
UPDATE session_summaries y SET chat_id = s.chat_id FROM sessions s
    WHERE s.owner_id = y.owner_id AND s.id = y.session_id;
CREATE UNIQUE INDEX one_current_summary ON session_summaries (owner_id, session_id, audience_id) WHERE current;
CREATE INDEX summaries_in_order ON session_summaries (owner_id, audience_id, last_said) WHERE current;
CREATE INDEX summaries_told ON session_summaries (owner_id, audience_id) WHERE current AND extractor <> 'local';
CREATE INDEX summaries_of_chat ON session_summaries (owner_id, chat_id, last_said);
CREATE INDEX summaries_of_session ON session_summaries (owner_id, session_id);
CREATE INDEX summaries_tsv ON session_summaries USING gin (tsv);
COMMENT ON COLUMN session_summaries.session_id IS
    'Null: its session was cut anew, and what the owner decided about it waits for the next one there';
COMMENT ON COLUMN session_summaries.decided IS 'By the owner: it outlives its session';

ALTER TABLE summary_sources ADD COLUMN quoted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN summary_sources.quoted IS 'Its words stand in the summary; the others were counted';

ALTER TABLE sessions ADD COLUMN summarised_at timestamptz;
ALTER TABLE sessions ADD COLUMN summary_version integer NOT NULL DEFAULT 0;
CREATE INDEX sessions_to_summarise ON sessions (owner_id, started_at) WHERE summarised_at IS NULL;

ALTER TABLE passages ADD COLUMN grouped boolean NOT NULL DEFAULT false;
CREATE INDEX passages_to_group ON passages (owner_id, session_id) WHERE NOT grouped;
COMMENT ON COLUMN passages.grouped IS 'Its topic was looked for; false as soon as it has lost it';

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['topic_versions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_rows ON %I TO locum_app
                        USING (owner_id = current_owner()) WITH CHECK (owner_id = current_owner())', t);
        EXECUTE format('CREATE POLICY search_reads ON %I FOR SELECT TO locum_search USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO locum_app', t);
        EXECUTE format('GRANT SELECT ON %I TO locum_search', t);
    END LOOP;
END $$;

-- ─── Following the messages ─────────────────────────────────────────────────────────────────

CREATE FUNCTION topic_gained() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    UPDATE topics t SET messages = t.messages + g.count, first_seen = least(t.first_seen, g.first),
        last_seen = greatest(t.last_seen, g.last),
        consents = ARRAY(SELECT DISTINCT unnest(t.consents || g.sources) ORDER BY 1)
    FROM (SELECT n.owner_id, n.topic_id, count(*) AS count, min(m.sent_at) AS first, max(m.sent_at) AS last,
                 array_agg(DISTINCT m.source_id) AS sources
          FROM gained n JOIN messages m ON m.owner_id = n.owner_id AND m.id = n.message_id
          GROUP BY n.owner_id, n.topic_id) g
    WHERE t.owner_id = g.owner_id AND t.id = g.topic_id;
    RETURN NULL;
END $$;
CREATE TRIGGER topic_gained AFTER INSERT ON topic_sources REFERENCING NEW TABLE AS gained
    FOR EACH STATEMENT EXECUTE FUNCTION topic_gained();

-- A topic that loses a message loses every word that was made from it, now and in older versions, and
-- its vector. Words of the owner's own stay. The message, where it is still there, is grouped anew.
CREATE FUNCTION topic_lost() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    UPDATE passages p SET grouped = false FROM lost l
    WHERE p.owner_id = l.owner_id AND p.message_id = l.message_id AND p.grouped;
    DELETE FROM topic_versions v USING (SELECT DISTINCT owner_id, topic_id FROM lost) l
    WHERE v.owner_id = l.owner_id AND v.topic_id = l.topic_id;
    UPDATE topics t SET name = CASE WHEN t.named_by_owner THEN t.name ELSE '' END,
        description = CASE WHEN t.described_by_owner THEN t.description ELSE '' END,
        named_at = 0, centroid = NULL, model = '', messages = g.count, first_seen = g.first,
        last_seen = g.last, consents = g.sources
    FROM (SELECT DISTINCT owner_id, topic_id FROM lost) l
    CROSS JOIN LATERAL (
        SELECT count(m.id) AS count, coalesce(min(m.sent_at), 'infinity') AS first,
               coalesce(max(m.sent_at), '-infinity') AS last,
               coalesce(array_agg(DISTINCT m.source_id) FILTER (WHERE m.id IS NOT NULL), '{}') AS sources
        FROM topic_sources s JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
        WHERE s.owner_id = l.owner_id AND s.topic_id = l.topic_id) g
    WHERE t.owner_id = l.owner_id AND t.id = l.topic_id;
    RETURN NULL;
END $$;
CREATE TRIGGER topic_lost AFTER DELETE ON topic_sources REFERENCING OLD TABLE AS lost
    FOR EACH STATEMENT EXECUTE FUNCTION topic_lost();

CREATE FUNCTION summary_gained() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    UPDATE session_summaries y SET messages = y.messages + g.count, first_said = least(y.first_said, g.first),
        last_said = greatest(y.last_said, g.last),
        consents = ARRAY(SELECT DISTINCT unnest(y.consents || g.sources) ORDER BY 1)
    FROM (SELECT n.owner_id, n.summary_id, count(*) AS count, min(m.sent_at) AS first, max(m.sent_at) AS last,
                 array_agg(DISTINCT m.source_id) AS sources
          FROM gained n JOIN messages m ON m.owner_id = n.owner_id AND m.id = n.message_id
          GROUP BY n.owner_id, n.summary_id) g
    WHERE y.owner_id = g.owner_id AND y.id = g.summary_id;
    RETURN NULL;
END $$;
CREATE TRIGGER summary_gained AFTER INSERT ON summary_sources REFERENCING NEW TABLE AS gained
    FOR EACH STATEMENT EXECUTE FUNCTION summary_gained();

-- A summary that loses a message goes, in every version, and its session is summarised anew. What the
-- owner decided stays while a message stays: the owner's words, or the decision alone, without words.
CREATE FUNCTION summary_lost() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    UPDATE sessions s SET summarised_at = NULL
    FROM session_summaries y JOIN lost l ON l.owner_id = y.owner_id AND l.summary_id = y.id
    WHERE s.owner_id = y.owner_id AND s.id = y.session_id;
    DELETE FROM session_summaries y USING lost l
    WHERE y.owner_id = l.owner_id AND y.id = l.summary_id
      AND NOT (y.current AND y.decided);
    UPDATE session_summaries y SET summary = CASE WHEN y.corrected_at IS NULL THEN '' ELSE y.summary END,
        messages = g.count, first_said = g.first, last_said = g.last, consents = g.sources
    FROM (SELECT DISTINCT owner_id, summary_id FROM lost) l
    CROSS JOIN LATERAL (
        SELECT count(m.id) AS count, coalesce(min(m.sent_at), 'infinity') AS first,
               coalesce(max(m.sent_at), '-infinity') AS last,
               coalesce(array_agg(DISTINCT m.source_id) FILTER (WHERE m.id IS NOT NULL), '{}') AS sources
        FROM summary_sources s JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
        WHERE s.owner_id = l.owner_id AND s.summary_id = l.summary_id) g
    WHERE y.owner_id = l.owner_id AND y.id = l.summary_id;
    RETURN NULL;
END $$;
CREATE TRIGGER summary_lost AFTER DELETE ON summary_sources REFERENCING OLD TABLE AS lost
    FOR EACH STATEMENT EXECUTE FUNCTION summary_lost();

-- A session that is cut anew takes its summaries along, but for what the owner decided.
CREATE FUNCTION session_left() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    DELETE FROM session_summaries y
    WHERE y.owner_id = OLD.owner_id AND y.session_id = OLD.id AND NOT (y.current AND y.decided);
    RETURN OLD;
END $$;
CREATE TRIGGER session_left BEFORE DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION session_left();

-- An edit takes the session's summary along (message_changed removes what rests on the old words); here
-- also where there was none.
CREATE FUNCTION summary_outdated() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    UPDATE sessions SET summarised_at = NULL WHERE owner_id = NEW.owner_id AND chat_id = NEW.chat_id
        AND NEW.sent_at BETWEEN started_at AND ended_at AND summarised_at IS NOT NULL;
    UPDATE passages SET grouped = false
        WHERE owner_id = NEW.owner_id AND message_id = NEW.id AND grouped;
    RETURN NULL;
END $$;
CREATE TRIGGER summary_outdated AFTER UPDATE OF text, caption, deleted_at, audience_id, source_id
    ON messages FOR EACH ROW
    WHEN (OLD.text IS DISTINCT FROM NEW.text OR OLD.caption IS DISTINCT FROM NEW.caption
          OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.audience_id <> NEW.audience_id
          OR OLD.source_id <> NEW.source_id)
    EXECUTE FUNCTION summary_outdated();

-- Another audience takes the message out of what was made for the old one.
CREATE FUNCTION audience_moved() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM audiences WHERE owner_id = NEW.owner_id AND id = NEW.audience_id
                   AND kind = 'anyone') THEN
        UPDATE topics t SET owner_only = true FROM topic_sources s
        WHERE s.owner_id = NEW.owner_id AND s.message_id = NEW.id AND t.audience_id <> NEW.audience_id
          AND t.owner_id = s.owner_id AND t.id = s.topic_id AND (t.named_by_owner OR t.described_by_owner);
        UPDATE session_summaries y SET owner_only = true FROM summary_sources s
        WHERE s.owner_id = NEW.owner_id AND s.message_id = NEW.id AND y.audience_id <> NEW.audience_id
          AND y.owner_id = s.owner_id AND y.id = s.summary_id AND y.corrected_at IS NOT NULL;
    END IF;
    DELETE FROM topic_sources s USING topics t
        WHERE s.owner_id = NEW.owner_id AND s.message_id = NEW.id
          AND t.owner_id = s.owner_id AND t.id = s.topic_id AND t.audience_id <> NEW.audience_id;
    DELETE FROM summary_sources s USING session_summaries y
        WHERE s.owner_id = NEW.owner_id AND s.message_id = NEW.id
          AND y.owner_id = s.owner_id AND y.id = s.summary_id AND y.audience_id <> NEW.audience_id;
    RETURN NULL;
END $$;
-- At commit: where people are merged, messages and what rests on them get the same new audience.
CREATE CONSTRAINT TRIGGER audience_moved AFTER UPDATE OF audience_id ON messages
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.audience_id <> NEW.audience_id)
    EXECUTE FUNCTION audience_moved();

-- ─── Reading ────────────────────────────────────────────────────────────────────────────────

CREATE FUNCTION require_reading_owner(p_owner_id bigint, p_limit integer) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = locum, public, pg_temp
AS $$
BEGIN
    IF p_owner_id IS NULL OR p_owner_id IS DISTINCT FROM current_owner() THEN
        RAISE EXCEPTION 'memory is read by its owner' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_limit IS NULL OR p_limit < 0 THEN
        RAISE EXCEPTION 'a limit is required' USING ERRCODE = 'invalid_parameter_value';
    END IF;
END $$;

-- Any of the words of a question, in the languages of the owner's chats; null where it has none.
CREATE FUNCTION any_word_of(p_owner_id bigint, p_query text) RETURNS tsquery LANGUAGE sql STABLE
SET search_path = locum, public, pg_temp
AS $$
    SELECT string_agg(DISTINCT '(' || replace(w.words, ' & ', ' | ') || ')', ' | ')::tsquery
    FROM (SELECT DISTINCT c.language FROM chats c WHERE c.owner_id = p_owner_id) l
    CROSS JOIN LATERAL (SELECT plainto_tsquery(l.language, left(p_query, 4000))::text AS words) w
    WHERE w.words <> ''
$$;

-- The sources of an owner that may not be drafted from, or not be profiled.
CREATE FUNCTION sources_without(p_owner_id bigint, p_drafting boolean, p_profiling boolean)
RETURNS bigint[] LANGUAGE sql STABLE SET search_path = locum, public, pg_temp
AS $$
    SELECT coalesce(array_agg(o.id), '{}') FROM sources o
    WHERE o.owner_id = p_owner_id AND (p_drafting AND NOT o.may_draft OR p_profiling AND NOT o.may_profile)
$$;

-- The accounts of contacts who opted out.
CREATE FUNCTION accounts_left_out(p_owner_id bigint) RETURNS bigint[] LANGUAGE sql STABLE
SET search_path = locum, public, pg_temp
AS $$
    SELECT coalesce(array_agg(a.id), '{}') FROM contacts c
    JOIN contact_accounts a ON a.owner_id = c.owner_id AND a.contact_id = c.id
    WHERE c.owner_id = p_owner_id AND c.opted_out_at IS NOT NULL
$$;

-- The topics that a reader may learn of, those that fit a question first, then the newest. A topic is shown
-- to those alone who may see every one of its messages. p_contact_id: only those that this contact spoke of,
-- or the owner to them. Nobody but the owner sees owner_only, and what comes from people who opted out or
-- from sources that may not be profiled is not shown, but for what the owner wrote.
CREATE FUNCTION known_topics(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint,
    p_contact_id bigint, p_query text, p_limit integer, p_drafting boolean DEFAULT false
) RETURNS TABLE (
    topic_id bigint, theme_id bigint, audience_id bigint, name text, description text, version integer,
    pinned boolean, messages integer, first_seen timestamptz, last_seen timestamptz, score real
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = locum, public, pg_temp SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_words tsquery;
    v_undrafted bigint[] := sources_without(p_owner_id, coalesce(p_drafting, false), false);
    v_unprofiled bigint[] := sources_without(p_owner_id, false, true);
    v_left bigint[] := accounts_left_out(p_owner_id);
BEGIN
    PERFORM require_reading_owner(p_owner_id, p_limit);
    v_words := any_word_of(p_owner_id, p_query);
    IF v_words IS NULL AND coalesce(p_query, '') <> '' THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT t.id, CASE WHEN p_reader_kind = 'owner' THEN t.theme_id END, t.audience_id, t.name, t.description,
           t.version, t.pinned, t.messages, t.first_seen, t.last_seen,
           coalesce(ts_rank(t.tsv, v_words), 0)::real AS fit
    FROM topics t
    JOIN readable_audiences(p_owner_id, p_reader_kind, p_reader_id) r ON r.audience_id = t.audience_id
    WHERE t.owner_id = p_owner_id AND t.name <> '' AND t.messages > 0 AND NOT t.hidden AND t.deleted_at IS NULL
      AND (p_reader_kind = 'owner' OR NOT t.owner_only)
      AND t.first_seen >= r.since AND t.last_seen < r.until
      AND (v_words IS NULL OR t.tsv @@ v_words)
      AND NOT t.consents && v_undrafted
      AND (v_left = '{}' AND NOT t.consents && v_unprofiled OR NOT EXISTS (
            SELECT FROM topic_sources s
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            WHERE s.owner_id = p_owner_id AND s.topic_id = t.id AND m.sender_id IS NOT NULL
              AND (m.source_id = ANY (v_unprofiled) OR m.sender_id = ANY (v_left))))
      AND (p_contact_id IS NULL OR EXISTS (
            SELECT FROM topic_sources s
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            LEFT JOIN contact_accounts a ON a.owner_id = m.owner_id AND a.id = m.sender_id
            WHERE s.owner_id = p_owner_id AND s.topic_id = t.id
              AND (a.contact_id = p_contact_id OR c.kind = 'direct' AND EXISTS (
                    SELECT FROM chat_members w WHERE w.owner_id = c.owner_id AND w.chat_id = c.id
                    AND w.contact_id = p_contact_id))))
    ORDER BY t.pinned DESC, fit DESC, t.last_seen DESC, t.id
    LIMIT p_limit;
END $$;

-- The summaries of earlier sessions that a reader may learn: those that fit a question, else the newest.
-- p_contact_id: of chats in which that contact is. p_until: of sessions that had ended before. p_told: only
-- those in somebody's own words, a teacher's or the owner's.
CREATE FUNCTION known_summaries(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint,
    p_contact_id bigint, p_query text, p_until timestamptz, p_limit integer, p_drafting boolean DEFAULT false,
    p_told boolean DEFAULT false
) RETURNS TABLE (
    summary_id bigint, session_id bigint, chat_id bigint, chat_title text, summary text, version integer,
    extractor text, pinned boolean, corrected boolean, messages integer,
    first_said timestamptz, last_said timestamptz, score real, quoted_ids bigint[], source_ids bigint[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = locum, public, pg_temp SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_words tsquery;
    v_undrafted bigint[] := sources_without(p_owner_id, coalesce(p_drafting, false), false);
    v_unprofiled bigint[] := sources_without(p_owner_id, false, true);
    v_left bigint[] := accounts_left_out(p_owner_id);
BEGIN
    PERFORM require_reading_owner(p_owner_id, p_limit);
    v_words := any_word_of(p_owner_id, p_query);
    IF v_words IS NULL AND coalesce(p_query, '') <> '' THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT f.id, f.session_id, f.chat_id, f.title, f.summary, f.version, f.extractor, f.pinned,
           f.corrected_at IS NOT NULL, f.messages, f.first_said, f.last_said, f.fit,
           ARRAY(SELECT s.message_id FROM summary_sources s WHERE s.owner_id = p_owner_id
                 AND s.summary_id = f.id AND s.quoted ORDER BY s.message_id),
           ARRAY(SELECT s.message_id FROM summary_sources s WHERE s.owner_id = p_owner_id
                 AND s.summary_id = f.id ORDER BY s.message_id)
    FROM (
        SELECT y.*, c.title, coalesce(ts_rank(y.tsv, v_words), 0)::real AS fit
        FROM session_summaries y
        JOIN readable_audiences(p_owner_id, p_reader_kind, p_reader_id) r ON r.audience_id = y.audience_id
        JOIN chats c ON c.owner_id = y.owner_id AND c.id = y.chat_id
        WHERE y.owner_id = p_owner_id AND y.current AND y.summary <> '' AND y.messages > 0 AND NOT y.hidden
          AND y.deleted_at IS NULL AND (p_reader_kind = 'owner' OR NOT y.owner_only)
          AND (NOT coalesce(p_told, false) OR y.extractor <> 'local')
          AND y.first_said >= r.since AND y.last_said < r.until
          AND y.last_said < coalesce(p_until, 'infinity')
          AND (v_words IS NULL OR y.tsv @@ v_words)
          AND NOT y.consents && v_undrafted
          AND (v_left = '{}' AND NOT y.consents && v_unprofiled OR NOT EXISTS (
                SELECT FROM summary_sources s
                JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
                WHERE s.owner_id = p_owner_id AND s.summary_id = y.id AND m.sender_id IS NOT NULL
                  AND (m.source_id = ANY (v_unprofiled) OR m.sender_id = ANY (v_left))))
          AND (p_contact_id IS NULL OR EXISTS (
                SELECT FROM chat_members w WHERE w.owner_id = p_owner_id AND w.chat_id = y.chat_id
                AND w.contact_id = p_contact_id))
        ORDER BY fit DESC, y.pinned DESC, y.last_said DESC, y.id
        LIMIT p_limit
    ) f
    ORDER BY f.fit DESC, f.pinned DESC, f.last_said DESC, f.id;
END $$;

-- Open commitments between the owner and a contact (null: anybody) that a reader may learn, by due date.
CREATE FUNCTION known_commitments(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_contact_id bigint, p_limit integer
) RETURNS TABLE (
    commitment_id bigint, contact_id bigint, by_owner boolean, statement text, due_at timestamptz,
    source_ids bigint[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = locum, public, pg_temp SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    PERFORM require_reading_owner(p_owner_id, p_limit);
    RETURN QUERY
    SELECT k.id, k.contact_id, k.by_owner, k.statement, k.due_at, array_agg(m.id ORDER BY m.sent_at, m.id)
    FROM commitments k
    JOIN readable_audiences(p_owner_id, p_reader_kind, p_reader_id) r ON r.audience_id = k.audience_id
    JOIN contacts c ON c.owner_id = k.owner_id AND c.id = k.contact_id AND c.opted_out_at IS NULL
    JOIN commitment_sources s ON s.owner_id = k.owner_id AND s.commitment_id = k.id
    JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
    JOIN sources o ON o.owner_id = m.owner_id AND o.id = m.source_id
    WHERE k.owner_id = p_owner_id AND k.state = 'open'
      AND (p_contact_id IS NULL OR k.contact_id = p_contact_id)
    GROUP BY k.owner_id, k.id
    HAVING bool_and(m.sent_at >= r.since AND m.sent_at < r.until) AND (k.by_owner OR bool_and(o.may_profile))
    ORDER BY k.due_at NULLS LAST, k.id
    LIMIT p_limit;
END $$;

-- What a contact said last, as far as a reader may know it, newest first.
CREATE FUNCTION last_said(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint, p_contact_id bigint, p_limit integer
) RETURNS TABLE (message_id bigint, chat_id bigint, text text, sent_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = locum, public, pg_temp SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE v_scope search_scope;
BEGIN
    PERFORM require_reading_owner(p_owner_id, p_limit);
    v_scope := search_scope_of(p_owner_id, p_reader_kind, p_reader_id, NULL, '-infinity', 'infinity', false);
    RETURN QUERY
    SELECT x.id, x.chat_id, x.text, x.sent_at
    FROM contacts c
    JOIN contact_accounts a ON a.owner_id = c.owner_id AND a.contact_id = c.id
    CROSS JOIN LATERAL (
        SELECT m.id, m.chat_id, m.text, m.sent_at FROM visible_messages(v_scope) m
        JOIN sources o ON o.owner_id = m.owner_id AND o.id = m.source_id AND o.may_profile
        WHERE m.sender_id = a.id AND m.origin = 'contact' AND m.text <> '' AND NOT m.automatic
          AND NOT m.forwarded
        ORDER BY m.sent_at DESC, m.id DESC LIMIT p_limit
    ) x
    WHERE c.owner_id = p_owner_id AND c.id = p_contact_id AND c.opted_out_at IS NULL
    ORDER BY x.sent_at DESC, x.id DESC
    LIMIT p_limit;
END $$;

GRANT CREATE ON SCHEMA locum TO locum_search;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'locum'::regnamespace AND p.proname IN (
        'require_reading_owner', 'any_word_of', 'sources_without', 'accounts_left_out', 'known_topics', 'known_summaries', 'known_commitments', 'last_said')
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO locum_search', f);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'locum'::regnamespace AND p.proname IN (
        'known_topics', 'known_summaries', 'known_commitments', 'last_said')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO locum_app', f);
    END LOOP;
END $$;
REVOKE CREATE ON SCHEMA locum FROM locum_search;
