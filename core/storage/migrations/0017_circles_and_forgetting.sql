-- Trust circles, contacts that can be taken apart again, and the one question whether a fact may travel.

-- ─── Circles ────────────────────────────────────────────────────────────────────────────────

-- Every contact is in one circle: family, friends, work, strangers, or one of the owner's own.
ALTER TABLE contacts DROP CONSTRAINT contacts_circle_check;
ALTER TABLE contacts ADD CONSTRAINT contacts_circle_check CHECK (length(circle) BETWEEN 1 AND 40);

-- What is given to a circle is given to those who are in it at that moment, and is theirs while they
-- stay in it. Whoever joins later does not learn it, unless the owner gives it again; whoever leaves
-- loses it. So the row's own members are all that a reader is held against, as with kind contacts.
ALTER TABLE audiences ADD COLUMN circle text NOT NULL DEFAULT '';
ALTER TABLE audiences DROP CONSTRAINT audiences_kind_check;
ALTER TABLE audiences ADD CONSTRAINT audiences_kind_check
    CHECK (kind IN ('owner', 'anyone', 'chat', 'contacts', 'circle'));
ALTER TABLE audiences DROP CONSTRAINT audiences_check1;
ALTER TABLE audiences ADD CONSTRAINT audiences_digest_check CHECK ((kind IN ('contacts', 'circle')) = (digest <> ''));
ALTER TABLE audiences ADD CONSTRAINT audiences_circle_check CHECK ((kind = 'circle') = (circle <> ''));
ALTER TABLE audiences DROP CONSTRAINT audiences_owner_id_kind_chat_id_digest_key;
ALTER TABLE audiences ADD CONSTRAINT audiences_one_of_each
    UNIQUE NULLS NOT DISTINCT (owner_id, kind, chat_id, circle, digest);
COMMENT ON COLUMN audiences.digest IS 'Kinds contacts and circle: the sorted contact ids, comma separated';
COMMENT ON COLUMN audiences.circle IS 'Kind circle: its name; the members are those who were in it and have not left since';

ALTER TABLE messages ADD COLUMN audience_set_at timestamptz;
ALTER TABLE facts ADD COLUMN audience_set_at timestamptz;
COMMENT ON COLUMN messages.audience_set_at IS 'When the owner last said who may learn it';
COMMENT ON COLUMN facts.audience_set_at IS 'When the owner last said who may learn it; null: it follows its messages';

CREATE OR REPLACE FUNCTION readable_audiences(p_owner_id bigint, p_reader_kind text, p_reader_id bigint)
RETURNS TABLE (audience_id bigint, since timestamptz, until timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = locum, pg_temp
-- A planner that takes these tables for nearly empty would join every chat with every audience.
SET enable_nestloop = off
AS $$
DECLARE
    readers bigint[];
    known boolean := true;
BEGIN
    IF p_owner_id IS NULL OR p_reader_kind IS NULL
       OR p_reader_kind NOT IN ('owner', 'contact', 'chat')
       OR (p_reader_kind = 'owner') <> (p_reader_id IS NULL) THEN
        RAISE EXCEPTION 'an owner and a reader are required' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- This runs as a role that reads every owner's rows, and every search passes through here.
    IF p_owner_id IS DISTINCT FROM current_owner() THEN
        RAISE EXCEPTION 'memory is read by its owner' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF p_reader_kind = 'owner' THEN
        RETURN QUERY SELECT a.id, '-infinity'::timestamptz, 'infinity'::timestamptz
                     FROM audiences a WHERE a.owner_id = p_owner_id;
        RETURN;
    ELSIF p_reader_kind = 'contact' THEN
        SELECT array_agg(c.id) INTO readers FROM contacts c
        WHERE c.owner_id = p_owner_id AND c.id = p_reader_id;
        known := readers IS NOT NULL;
    ELSE
        SELECT c.members_known AND c.kind <> 'public',
               (SELECT array_agg(DISTINCT m.contact_id) FROM chat_members m
                WHERE m.owner_id = p_owner_id AND m.chat_id = p_reader_id AND m.left_at > now())
        INTO known, readers
        FROM chats c WHERE c.owner_id = p_owner_id AND c.id = p_reader_id;
        known := coalesce(known, false) AND readers IS NOT NULL;
    END IF;
    RETURN QUERY
        SELECT a.id, '-infinity'::timestamptz, 'infinity'::timestamptz
        FROM audiences a WHERE a.owner_id = p_owner_id AND a.kind = 'anyone';
    IF NOT known THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT a.id, '-infinity'::timestamptz, 'infinity'::timestamptz
        FROM audiences a
        WHERE a.owner_id = p_owner_id AND a.kind IN ('contacts', 'circle')
          AND (SELECT count(*) FROM audience_members m WHERE m.owner_id = p_owner_id
               AND m.audience_id = a.id AND m.contact_id = ANY (readers)) = cardinality(readers);
    -- Of several stints in a group only the latest counts: too little is shown, never too much.
    RETURN QUERY
        SELECT a.id, max(stint.joined_at), min(stint.left_at)
        FROM (
            -- All their stints in one pass: chat by chat it took ten milliseconds for each search in 160 chats.
            SELECT DISTINCT ON (m.chat_id, m.contact_id) m.chat_id, m.joined_at, m.left_at
            FROM chat_members m
            WHERE m.owner_id = p_owner_id AND m.contact_id = ANY (readers)
            ORDER BY m.chat_id, m.contact_id, m.joined_at DESC
        ) stint
        JOIN audiences a ON a.owner_id = p_owner_id AND a.kind = 'chat' AND a.chat_id = stint.chat_id
        GROUP BY a.id HAVING count(*) = cardinality(readers);
END $$;

CREATE OR REPLACE FUNCTION refuse_wider() RETURNS trigger LANGUAGE plpgsql
SET search_path = locum, public, pg_temp AS $$
DECLARE mine audiences; its audiences; parent bigint;
BEGIN
    EXECUTE format('SELECT ($1).%I', TG_ARGV[1]) INTO parent USING NEW;
    EXECUTE format('SELECT a.* FROM %I s JOIN audiences a ON a.owner_id = s.owner_id AND a.id = s.audience_id
                    WHERE s.owner_id = $1 AND s.id = $2', TG_ARGV[0]) INTO mine USING NEW.owner_id, parent;
    SELECT a.* INTO its FROM messages m JOIN audiences a ON a.owner_id = m.owner_id AND a.id = m.audience_id
        WHERE m.owner_id = NEW.owner_id AND m.id = NEW.message_id;
    IF mine.id = its.id OR mine.kind = 'owner' OR its.kind = 'anyone' THEN
        RETURN NEW;
    END IF;
    IF mine.kind IN ('contacts', 'circle') AND its.kind IN ('contacts', 'circle') AND NOT EXISTS (
        SELECT FROM audience_members m WHERE m.owner_id = NEW.owner_id AND m.audience_id = mine.id
        AND NOT EXISTS (SELECT FROM audience_members w WHERE w.owner_id = NEW.owner_id
                        AND w.audience_id = its.id AND w.contact_id = m.contact_id)) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% % would be known more widely than message %', TG_ARGV[0], parent, NEW.message_id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- ─── Two contacts that are one, until the owner says otherwise ──────────────────────────────

ALTER TABLE contacts ADD COLUMN merged_into bigint;
ALTER TABLE contacts ADD CONSTRAINT contacts_merged_into_fkey
    FOREIGN KEY (owner_id, merged_into) REFERENCES contacts ON DELETE CASCADE;
CREATE INDEX contacts_merged_into ON contacts (owner_id, merged_into) WHERE merged_into IS NOT NULL;
COMMENT ON COLUMN contacts.merged_into IS 'The contact that this one is part of; null: itself';

CREATE TABLE merges (
    owner_id   bigint NOT NULL,
    id         bigint GENERATED BY DEFAULT AS IDENTITY,
    contact_id bigint NOT NULL,
    other_id   bigint NOT NULL,
    merged_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, id),
    UNIQUE (owner_id, other_id),
    CHECK (contact_id <> other_id),
    FOREIGN KEY (owner_id, contact_id) REFERENCES contacts ON DELETE CASCADE,
    FOREIGN KEY (owner_id, other_id) REFERENCES contacts ON DELETE CASCADE
);
CREATE INDEX ON merges (owner_id, contact_id);

-- What a merge moved, row by row: ids and times alone, so that nothing here has to be forgotten.
CREATE TABLE merge_rows (
    owner_id bigint NOT NULL,
    id       bigint GENERATED BY DEFAULT AS IDENTITY,
    merge_id bigint NOT NULL,
    kind     text NOT NULL,
    row_id   bigint NOT NULL,
    before   jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, merge_id) REFERENCES merges ON DELETE CASCADE
);
CREATE INDEX ON merge_rows (owner_id, merge_id, kind);

-- Every row of one audience becomes one of another's, in whatever table. With a merge, what moved is
-- noted. A row that stands there already under a unique key cannot move: p_twins says whether it stays
-- behind ('leave': the old audience still has its readers) or goes ('delete': they may know it no more).
CREATE FUNCTION move_audience(p_owner_id bigint, p_old bigint, p_new bigint, p_merge_id bigint, p_twins text)
RETURNS void LANGUAGE plpgsql SET search_path = locum, public, pg_temp AS $$
DECLARE t text; v_ids bigint[]; v_id bigint; v_moved bigint[];
BEGIN
    IF p_twins NOT IN ('leave', 'delete') OR p_old = p_new THEN
        RAISE EXCEPTION 'two audiences, and leave or delete, are required' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR t IN SELECT c.relname FROM pg_class c
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'audience_id' AND NOT a.attisdropped
             JOIN pg_attribute i ON i.attrelid = c.oid AND i.attname = 'id' AND NOT i.attisdropped
             WHERE c.relnamespace = 'locum'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1
    LOOP
        EXECUTE format('SELECT array_agg(id) FROM %I WHERE owner_id = $1 AND audience_id = $2', t)
            INTO v_ids USING p_owner_id, p_old;
        CONTINUE WHEN v_ids IS NULL;
        v_moved := v_ids;
        BEGIN
            EXECUTE format('UPDATE %I SET audience_id = $3 WHERE owner_id = $1 AND audience_id = $2', t)
                USING p_owner_id, p_old, p_new;
        EXCEPTION WHEN unique_violation THEN
            v_moved := '{}';
            FOREACH v_id IN ARRAY v_ids LOOP
                BEGIN
                    EXECUTE format('UPDATE %I SET audience_id = $3 WHERE owner_id = $1 AND id = $2', t)
                        USING p_owner_id, v_id, p_new;
                    v_moved := v_moved || v_id;
                EXCEPTION WHEN unique_violation THEN
                    IF p_twins = 'delete' THEN
                        EXECUTE format('DELETE FROM %I WHERE owner_id = $1 AND id = $2', t) USING p_owner_id, v_id;
                    END IF;
                END;
            END LOOP;
        END;
        INSERT INTO merge_rows (owner_id, merge_id, kind, row_id, before)
        SELECT p_owner_id, p_merge_id, 'audience', m.id, jsonb_build_object('table', t, 'old', p_old, 'new', p_new)
        FROM unnest(v_moved) m(id) WHERE p_merge_id IS NOT NULL;
    END LOOP;
    -- So that an import can still be undone.
    UPDATE import_changes SET before = before || jsonb_build_object('audience_id', p_new)
    WHERE owner_id = p_owner_id AND kind = 'chat' AND (before ->> 'audience_id')::bigint = p_old;
END $$;
-- Rows that a merge moved from one audience to another, and that are still where it put them, go back.
CREATE FUNCTION restore_audience(p_owner_id bigint, p_merge_id bigint, p_table text, p_old bigint, p_new bigint)
RETURNS void LANGUAGE plpgsql SET search_path = locum, public, pg_temp AS $$
BEGIN
    EXECUTE format(
        'UPDATE %I t SET audience_id = $3 FROM merge_rows r
         WHERE r.owner_id = $1 AND r.merge_id = $2 AND r.kind = ''audience'' AND r.before ->> ''table'' = $5
           AND (r.before ->> ''old'')::bigint = $3 AND (r.before ->> ''new'')::bigint = $4
           AND t.owner_id = r.owner_id AND t.id = r.row_id AND t.audience_id = $4', p_table)
    USING p_owner_id, p_merge_id, p_old, p_new, p_table;
END $$;

-- Statements that are younger than a merge, about the merged contact or known to it, with the side of all
-- their messages: 'other' or 'keep' where each was said by an account or in a direct chat of that one, and
-- they are known to just those who know the messages, as these stand apart.
CREATE FUNCTION statements_since(
    p_owner_id bigint, p_table text, p_sources text, p_key text, p_about boolean, p_contact_id bigint,
    p_since timestamptz, p_kept_accounts bigint[], p_other_accounts bigint[],
    p_kept_chats bigint[], p_other_chats bigint[]
) RETURNS TABLE (id bigint, audience_id bigint, knows boolean, about boolean, decided boolean, side text, sources bigint[])
LANGUAGE plpgsql STABLE SET search_path = locum, public, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT t.id, t.audience_id, k.knows, k.about, k.decided,
                CASE WHEN bool_or(m.audience_id <> t.audience_id) THEN ''neither''
                     WHEN bool_and(coalesce(m.sender_id = ANY ($5), false) OR m.chat_id = ANY ($7)) THEN ''other''
                     WHEN bool_and(coalesce(m.sender_id = ANY ($4), false) OR m.chat_id = ANY ($6)) THEN ''keep''
                     ELSE ''neither'' END,
                array_agg(m.id)
         FROM %1$I t
         CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM audience_members a WHERE a.owner_id = t.owner_id
                                            AND a.audience_id = t.audience_id AND a.contact_id = $2) AS knows,
                                    %2$s AS about, %3$s AS decided, %4$s AS given) k
         JOIN %5$I s ON s.owner_id = t.owner_id AND s.%6$I = t.id
         JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
         WHERE t.owner_id = $1 AND (k.knows OR k.about) AND (t.created_at > $3 OR k.given)
         GROUP BY t.id, t.audience_id, k.knows, k.about, k.decided',
        p_table,
        CASE WHEN p_about THEN 't.contact_id = $2' ELSE 'false' END,
        CASE p_table WHEN 'facts' THEN 't.corrected_at IS NOT NULL OR t.pinned OR t.hidden OR t.audience_set_at IS NOT NULL'
                     ELSE 'false' END,
        CASE p_table WHEN 'facts' THEN 'coalesce(t.audience_set_at > $3, false)' ELSE 'false' END,
        p_sources, p_key)
    USING p_owner_id, p_contact_id, p_since, p_kept_accounts, p_other_accounts, p_kept_chats, p_other_chats;
END $$;

CREATE FUNCTION drop_statement(p_owner_id bigint, p_table text, p_id bigint)
RETURNS void LANGUAGE plpgsql SET search_path = locum, public, pg_temp AS $$
BEGIN
    EXECUTE format('DELETE FROM %I WHERE owner_id = $1 AND id = $2', p_table) USING p_owner_id, p_id;
END $$;

-- A statement in another audience and, where one is given, about another contact; a twin of what stands goes.
CREATE FUNCTION part_statement(
    p_owner_id bigint, p_table text, p_id bigint, p_audience_id bigint, p_contact_id bigint
) RETURNS void LANGUAGE plpgsql SET search_path = locum, public, pg_temp AS $$
BEGIN
    EXECUTE format('UPDATE %I SET audience_id = $3 %s WHERE owner_id = $1 AND id = $2', p_table,
                   CASE WHEN p_contact_id IS NULL THEN '' ELSE ', contact_id = $4' END)
    USING p_owner_id, p_id, p_audience_id, p_contact_id;
EXCEPTION WHEN unique_violation THEN
    PERFORM drop_statement(p_owner_id, p_table, p_id);
END $$;

REVOKE ALL ON FUNCTION move_audience, restore_audience, statements_since, drop_statement, part_statement FROM PUBLIC;
GRANT EXECUTE ON FUNCTION move_audience, restore_audience, statements_since, drop_statement, part_statement
    TO locum_app;

-- ─── May a fact travel ──────────────────────────────────────────────────────────────────────

-- One question on a card: something that the owner told others would answer what is asked here.
CREATE TABLE travel_questions (
    owner_id    bigint NOT NULL,
    id          bigint GENERATED BY DEFAULT AS IDENTITY,
    fact_id     bigint NOT NULL,
    chat_id     bigint NOT NULL,
    turn_id     bigint,
    people      bigint[] NOT NULL DEFAULT '{}',
    circle      text NOT NULL DEFAULT '',
    answer      text NOT NULL DEFAULT '' CHECK (answer IN ('', 'people', 'circle', 'nobody')),
    asked_at    timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    PRIMARY KEY (owner_id, id),
    UNIQUE (owner_id, fact_id, chat_id),
    FOREIGN KEY (owner_id, fact_id) REFERENCES facts ON DELETE CASCADE,
    FOREIGN KEY (owner_id, chat_id) REFERENCES chats ON DELETE CASCADE,
    FOREIGN KEY (owner_id, turn_id) REFERENCES turns ON DELETE SET NULL (turn_id)
);
CREATE INDEX ON travel_questions (owner_id, turn_id);
COMMENT ON COLUMN travel_questions.answer IS 'Empty: not answered yet. An answer is not asked for again';
COMMENT ON COLUMN travel_questions.people IS
    'Whom the owner is asked about, and in circle where all of them are: an answer is for them alone';

-- The owner answers what stands on the card: of a fact that says something else by now, nothing was asked.
CREATE FUNCTION question_outdated() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    DELETE FROM travel_questions WHERE owner_id = NEW.owner_id AND fact_id = NEW.id AND answer = '';
    RETURN NULL;
END $$;
CREATE TRIGGER question_outdated AFTER UPDATE OF statement, hidden, audience_id ON facts FOR EACH ROW
    WHEN (OLD.statement IS DISTINCT FROM NEW.statement OR OLD.hidden <> NEW.hidden
          OR OLD.audience_id <> NEW.audience_id)
    EXECUTE FUNCTION question_outdated();

-- The owner's own facts that the people of a chat may not learn, nearest to a question first: for the
-- owner's eyes alone. What was never told to anybody is not among them, nor what is hidden, was narrowed
-- to the owner by hand, rests on sources that may not be drafted from, or was decided for this chat.
CREATE FUNCTION facts_kept_back(
    p_owner_id bigint, p_chat_id bigint, p_query text, p_embedding halfvec, p_model text, p_limit integer
) RETURNS TABLE (fact_id bigint, statement text, lexical real, dense real)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 5
SET search_path = locum, public, pg_temp SET jit = off
AS $$
DECLARE
    -- Whose card it would stand on: what may not leave where it was said is not shown on another platform.
    v_platform text := (SELECT a.platform FROM chats c JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
                        WHERE c.owner_id = p_owner_id AND c.id = p_chat_id);
BEGIN
    IF p_chat_id IS NULL OR p_limit IS NULL THEN
        RAISE EXCEPTION 'a chat and a limit are required' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH readable AS MATERIALIZED (
        -- Raises for anybody but the owner in charge.
        SELECT r.audience_id, r.since, r.until FROM readable_audiences(p_owner_id, 'chat', p_chat_id) r
    ), own AS MATERIALIZED (
        SELECT f.id, f.statement, f.tsv, f.slot, f.kind, f.value_key
        FROM facts f
        JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id AND a.kind NOT IN ('owner', 'anyone')
        WHERE f.owner_id = p_owner_id AND f.subject_kind = 'owner' AND NOT f.hidden AND NOT f.hearsay
          AND f.valid_from <= now() AND f.valid_to > now()
          AND NOT EXISTS (SELECT FROM travel_questions q WHERE q.owner_id = p_owner_id AND q.fact_id = f.id
                          AND q.chat_id = p_chat_id AND q.answer <> '')
    ), known AS MATERIALIZED (
        SELECT f.id, f.slot, f.kind, f.value_key FROM facts f JOIN readable r ON r.audience_id = f.audience_id
        WHERE f.owner_id = p_owner_id AND f.subject_kind = 'owner' AND f.valid_to > now()
          AND NOT EXISTS (SELECT FROM fact_sources s JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
                          WHERE s.owner_id = p_owner_id AND s.fact_id = f.id
                            AND NOT (m.sent_at >= r.since AND m.sent_at < r.until))
    ), kept AS MATERIALIZED (
        SELECT o.* FROM own o
        WHERE NOT EXISTS (SELECT FROM known k WHERE k.id = o.id
                          OR k.kind = o.kind AND k.slot = o.slot AND k.value_key = o.value_key AND o.value_key <> '')
          AND NOT EXISTS (
              SELECT FROM fact_sources s
              JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
              JOIN sources u ON u.owner_id = m.owner_id AND u.id = m.source_id
              WHERE s.owner_id = p_owner_id AND s.fact_id = o.id
                AND (NOT u.may_draft OR NOT u.may_leave AND u.platform <> v_platform AND v_platform <> 'console'))
    ), terms AS MATERIALIZED (
        SELECT t.query, t.idf FROM search_terms(p_owner_id, p_query) t
    ), whole AS (
        SELECT nullif(sum(t.idf), 0) AS idf FROM terms t
    ), measured AS (
        SELECT k.id, k.statement,
               coalesce((SELECT sum(t.idf) FROM terms t WHERE k.tsv @@ t.query) / (SELECT w.idf FROM whole w), 0)::real
                   AS words,
               greatest(coalesce(-(e.embedding <#> p_embedding), 0), 0)::real AS sense
        FROM kept k
        LEFT JOIN fact_embeddings e ON e.owner_id = p_owner_id AND e.model = p_model AND e.fact_id = k.id
    )
    SELECT d.id, d.statement, d.words, d.sense FROM measured d WHERE d.words > 0 OR d.sense > 0
    ORDER BY d.words + d.sense DESC, d.id DESC LIMIT p_limit;
END $$;

-- ─── Rows of one owner ──────────────────────────────────────────────────────────────────────

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['merges', 'merge_rows', 'travel_questions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_rows ON %I TO locum_app
                        USING (owner_id = current_owner()) WITH CHECK (owner_id = current_owner())', t);
        EXECUTE format('CREATE POLICY search_reads ON %I FOR SELECT TO locum_search USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO locum_app', t);
        EXECUTE format('GRANT SELECT ON %I TO locum_search', t);
    END LOOP;
END $$;

GRANT CREATE ON SCHEMA locum TO locum_search;
ALTER FUNCTION facts_kept_back OWNER TO locum_search;
REVOKE CREATE ON SCHEMA locum FROM locum_search;
REVOKE ALL ON FUNCTION facts_kept_back FROM PUBLIC;
GRANT EXECUTE ON FUNCTION facts_kept_back TO locum_app;

-- ─── Edited away ────────────────────────────────────────────────────────────────────────────

-- What somebody took back by an edit on a platform is kept no longer than what they deleted. What an import
-- replaced stays until the import can no longer be undone.
UPDATE message_edits SET text_before = '' WHERE batch_id IS NULL;
ALTER TABLE message_edits ADD COLUMN made_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE message_edits ADD COLUMN made_in xid8 NOT NULL DEFAULT pg_current_xact_id();
COMMENT ON COLUMN message_edits.text_before IS 'Empty: edited on a platform, and the old wording is nowhere';
COMMENT ON COLUMN message_edits.made_in IS
    'The transaction that brought it: what was read before that one ended was read in the old wording';
