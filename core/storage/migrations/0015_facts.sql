-- A fact is what its tellings make of it, in whatever order they were read: so each source keeps what it
-- said, since when, and until when; and what says that something is over keeps what that is.

ALTER TABLE fact_sources ADD COLUMN told text;
ALTER TABLE fact_sources ADD COLUMN told_at timestamptz;
ALTER TABLE fact_sources ADD COLUMN true_from timestamptz;
ALTER TABLE fact_sources ADD COLUMN true_until timestamptz;
ALTER TABLE fact_sources ADD COLUMN told_confidence real CHECK (told_confidence BETWEEN 0 AND 1);
COMMENT ON COLUMN fact_sources.told IS
    'The statement as this telling makes it; null: as the fact has it. Messages of one telling share told_at';
COMMENT ON COLUMN fact_sources.true_until IS 'When what was told is over by its own words; null: never';

ALTER TABLE facts ADD COLUMN ends_slot text;
ALTER TABLE facts ADD COLUMN ends_key text;
ALTER TABLE facts ADD CONSTRAINT ends_both CHECK ((ends_slot IS NULL) = (ends_key IS NULL));
COMMENT ON COLUMN facts.ends_key IS
    'What this says is over: the value key, in ends_slot, of facts of the same subject and kind; of a plan a word';
CREATE INDEX facts_endings ON facts (owner_id, audience_id, kind) WHERE ends_key IS NOT NULL;

-- As known_facts in 0004, with two things more: p_fact_ids asks for these facts alone; and of facts that a
-- reader knows from several audiences, one slot has one value: the one that began, or was corrected, last.
CREATE FUNCTION known_facts_of(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint,
    p_contact_id bigint, p_subject_kind text, p_as_of timestamptz, p_limit integer,
    p_drafting boolean, p_fact_ids bigint[]
) RETURNS TABLE (
    fact_id bigint, subject_kind text, contact_id bigint, subject text, kind text, slot text,
    statement text, confidence real, hearsay boolean, pinned boolean, valid_from timestamptz,
    valid_to timestamptz, source_ids bigint[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = locum, public, pg_temp
AS $$
BEGIN
    IF p_owner_id IS NULL OR p_owner_id IS DISTINCT FROM current_owner() THEN
        RAISE EXCEPTION 'facts are read by their owner' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_limit IS NULL OR p_limit < 0 OR (p_contact_id IS NOT NULL) <> (coalesce(p_subject_kind, '') = 'contact')
    THEN
        RAISE EXCEPTION 'a limit, and a contact with subject kind contact, are required'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH readable AS MATERIALIZED (
        SELECT r.audience_id, r.since, r.until
        FROM readable_audiences(p_owner_id, p_reader_kind, p_reader_id) r
    ), wanted AS MATERIALIZED (
        SELECT f.id, f.audience_id FROM facts f
        WHERE f.owner_id = p_owner_id AND NOT f.hidden
          AND (p_subject_kind IS NULL OR f.subject_kind = p_subject_kind)
          AND (p_contact_id IS NULL OR f.contact_id = p_contact_id)
          AND f.valid_from <= coalesce(p_as_of, now())
          AND (p_fact_ids IS NULL OR f.id = ANY (p_fact_ids) OR f.slot <> '' AND EXISTS (
                SELECT FROM facts a WHERE a.owner_id = p_owner_id AND a.id = ANY (p_fact_ids)
                AND a.slot = f.slot AND a.kind = f.kind AND a.subject_kind = f.subject_kind
                AND a.contact_id IS NOT DISTINCT FROM f.contact_id))
    ), told AS MATERIALIZED (
        SELECT f.id, array_agg(m.id ORDER BY m.sent_at, m.id) AS ids, max(m.sent_at) AS last_told
        FROM wanted w
        JOIN facts f ON f.owner_id = p_owner_id AND f.id = w.id
        JOIN readable r ON r.audience_id = f.audience_id
        JOIN fact_sources s ON s.owner_id = p_owner_id AND s.fact_id = f.id
        JOIN messages m ON m.owner_id = p_owner_id AND m.id = s.message_id
        JOIN sources o ON o.owner_id = p_owner_id AND o.id = m.source_id
        GROUP BY f.id
        HAVING bool_and(m.sent_at >= r.since AND m.sent_at < r.until)
           AND (bool_and(o.may_profile) OR min(f.subject_kind) = 'owner')
           AND (bool_and(o.may_draft) OR NOT coalesce(p_drafting, false))
    ), dated AS MATERIALIZED (
        SELECT f.id, f.slot, f.subject_kind, f.contact_id, f.kind, f.valid_to,
               greatest(f.valid_from, f.corrected_at) AS decided_at, t.ids, t.last_told
        FROM told t JOIN facts f ON f.owner_id = p_owner_id AND f.id = t.id
    )
    SELECT f.id, f.subject_kind, f.contact_id, f.subject, f.kind, f.slot, f.statement, f.confidence,
           f.hearsay, f.pinned, f.valid_from, f.valid_to, d.ids
    FROM dated d
    JOIN facts f ON f.owner_id = p_owner_id AND f.id = d.id
    LEFT JOIN contacts c ON c.owner_id = p_owner_id AND c.id = f.contact_id
    WHERE c.opted_out_at IS NULL AND d.valid_to > coalesce(p_as_of, now())
      AND (p_fact_ids IS NULL OR d.id = ANY (p_fact_ids))
      AND (d.slot = '' OR NOT EXISTS (
            SELECT FROM dated later
            WHERE later.slot = d.slot AND later.kind = d.kind AND later.subject_kind = d.subject_kind
              AND later.contact_id IS NOT DISTINCT FROM d.contact_id
              AND (later.decided_at, later.id) > (d.decided_at, d.id)))
    -- Half of a statement's weight is gone after a year.
    ORDER BY f.pinned DESC, f.corrected_at IS NOT NULL DESC,
             f.confidence * power(0.5, greatest(extract(epoch FROM coalesce(p_as_of, now()) - d.last_told), 0)
                                       / 31557600) DESC, f.id
    LIMIT p_limit;
END $$;

CREATE OR REPLACE FUNCTION known_facts(
    p_owner_id bigint, p_reader_kind text, p_reader_id bigint,
    p_contact_id bigint, p_subject_kind text, p_as_of timestamptz, p_limit integer,
    p_drafting boolean DEFAULT false
) RETURNS TABLE (
    fact_id bigint, subject_kind text, contact_id bigint, subject text, kind text, slot text,
    statement text, confidence real, hearsay boolean, pinned boolean, valid_from timestamptz,
    valid_to timestamptz, source_ids bigint[]
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = locum, public, pg_temp
AS $$
    SELECT * FROM known_facts_of(p_owner_id, p_reader_kind, p_reader_id, p_contact_id, p_subject_kind,
                                 p_as_of, p_limit, p_drafting, NULL)
$$;

GRANT CREATE ON SCHEMA locum TO locum_search;
ALTER FUNCTION known_facts_of OWNER TO locum_search;
REVOKE CREATE ON SCHEMA locum FROM locum_search;
REVOKE ALL ON FUNCTION known_facts_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION known_facts_of TO locum_app, locum_search;

-- A fact that loses the telling whose words it has takes the words of the earliest one left: what was
-- edited away is said nowhere.
CREATE FUNCTION telling_gone() RETURNS trigger LANGUAGE plpgsql
SET search_path = locum, public, pg_temp AS $$
BEGIN
    UPDATE facts f SET statement = t.told, valid_from = least(t.true_from, f.valid_to)
    FROM (
        SELECT s.told, s.true_from FROM fact_sources s
        WHERE s.owner_id = OLD.owner_id AND s.fact_id = OLD.fact_id AND s.told IS NOT NULL
        ORDER BY s.true_from, s.told_at, s.message_id LIMIT 1) t
    WHERE f.owner_id = OLD.owner_id AND f.id = OLD.fact_id AND f.corrected_at IS NULL
      AND f.statement = OLD.told
      AND NOT EXISTS (SELECT FROM fact_sources o WHERE o.owner_id = OLD.owner_id AND o.fact_id = OLD.fact_id
                      AND o.told = OLD.told AND o.true_from <= OLD.true_from);
    RETURN NULL;
END $$;
CREATE TRIGGER telling_gone AFTER DELETE ON fact_sources FOR EACH ROW WHEN (OLD.told IS NOT NULL)
    EXECUTE FUNCTION telling_gone();
