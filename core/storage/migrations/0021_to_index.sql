-- What the indexing job has yet to look at, so that it reads what is new and not the whole memory to find it.
-- A message or a fact stands here from its insertion on until it has its place and its vectors, and again
-- whenever it loses one of them.

CREATE TABLE to_index (
    owner_id   bigint NOT NULL,
    message_id bigint NOT NULL,
    PRIMARY KEY (owner_id, message_id),
    FOREIGN KEY (owner_id, message_id) REFERENCES messages ON DELETE CASCADE
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE to_index IS 'Messages that may lack a place, or a vector of the model in indexed_models';

CREATE TABLE facts_to_index (
    owner_id bigint NOT NULL,
    fact_id  bigint NOT NULL,
    PRIMARY KEY (owner_id, fact_id),
    FOREIGN KEY (owner_id, fact_id) REFERENCES facts ON DELETE CASCADE
);

-- The embedder that everything not in the lists above has vectors of. Another one makes the job look at
-- everything once.
CREATE TABLE indexed_models (
    owner_id bigint PRIMARY KEY REFERENCES owners ON DELETE CASCADE,
    model    text NOT NULL
);

ALTER TABLE corpus_statistics
    ADD COLUMN placed_since bigint NOT NULL DEFAULT 0,
    ADD COLUMN checked_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN corpus_statistics.placed_since IS
    'How many messages were given a place since it was last counted whether the statistics still hold';

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['to_index', 'facts_to_index', 'indexed_models'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_rows ON %I TO locum_app
                        USING (owner_id = current_owner()) WITH CHECK (owner_id = current_owner())', t);
        EXECUTE format('CREATE POLICY search_reads ON %I FOR SELECT TO locum_search USING (true)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO locum_app', t);
        EXECUTE format('GRANT SELECT ON %I TO locum_search', t);
    END LOOP;
END $$;

-- ─── Into the lists ─────────────────────────────────────────────────────────────────────────

-- Transition table `changed`: rows with owner_id and the message's id in the column that is named.
CREATE FUNCTION index_messages_of() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    IF TG_ARGV[0] = 'id' THEN
        INSERT INTO to_index (owner_id, message_id)
        SELECT c.owner_id, c.id FROM changed c WHERE c.deleted_at IS NULL
        ON CONFLICT DO NOTHING;
    ELSIF EXISTS (SELECT FROM changed) THEN
        -- Locked, so that a message which is being deleted is either still there at the end or left out.
        INSERT INTO to_index (owner_id, message_id)
        SELECT m.owner_id, m.id FROM messages m
        WHERE (m.owner_id, m.id) IN (SELECT c.owner_id, c.message_id FROM changed c)
          AND m.deleted_at IS NULL
        FOR KEY SHARE OF m
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new AFTER INSERT ON messages REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION index_messages_of('id');
CREATE TRIGGER index_unplaced AFTER DELETE ON passages REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION index_messages_of('message_id');
CREATE TRIGGER index_voided AFTER DELETE ON embeddings REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION index_messages_of('message_id');

-- Also what had nothing to lose: a photo that is given a caption, a message that was deleted and is back.
CREATE FUNCTION index_edited() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    INSERT INTO to_index (owner_id, message_id) VALUES (NEW.owner_id, NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER index_edited
    AFTER UPDATE OF text, caption, deleted_at, audience_id, source_id, sender_name ON messages FOR EACH ROW
    WHEN (NEW.deleted_at IS NULL
          AND (OLD.text IS DISTINCT FROM NEW.text OR OLD.caption IS DISTINCT FROM NEW.caption
               OR OLD.deleted_at IS NOT NULL OR OLD.audience_id <> NEW.audience_id
               OR OLD.source_id <> NEW.source_id OR OLD.sender_name <> NEW.sender_name))
    EXECUTE FUNCTION index_edited();

CREATE FUNCTION index_facts_of() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    IF TG_ARGV[0] = 'id' THEN
        INSERT INTO facts_to_index (owner_id, fact_id) SELECT c.owner_id, c.id FROM changed c
        ON CONFLICT DO NOTHING;
    ELSIF EXISTS (SELECT FROM changed) THEN
        INSERT INTO facts_to_index (owner_id, fact_id)
        SELECT f.owner_id, f.id FROM facts f
        WHERE (f.owner_id, f.id) IN (SELECT c.owner_id, c.fact_id FROM changed c)
        FOR KEY SHARE OF f
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new AFTER INSERT ON facts REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION index_facts_of('id');
CREATE TRIGGER index_voided AFTER DELETE ON fact_embeddings REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION index_facts_of('fact_id');

INSERT INTO to_index (owner_id, message_id) SELECT owner_id, id FROM messages WHERE deleted_at IS NULL;
INSERT INTO facts_to_index (owner_id, fact_id) SELECT owner_id, id FROM facts;

-- As in 0014, but that an index which stands is neither counted for nor asked to be built: even then
-- CREATE INDEX IF NOT EXISTS would wait for every writer of vectors, and hold up the next.
CREATE OR REPLACE FUNCTION prepare_large_owner(p_owner_id bigint, p_model text) RETURNS boolean LANGUAGE plpgsql
SET search_path = locum, public, pg_temp
AS $$
DECLARE v_dimension integer;
BEGIN
    IF to_regclass(format('locum.near_%s_%s', p_owner_id, left(md5(p_model), 8))) IS NOT NULL THEN
        RETURN true;
    END IF;
    IF (SELECT count(*) FROM (
            SELECT FROM embeddings WHERE owner_id = p_owner_id AND model = p_model AND span = 'turn'
            LIMIT exact_distance_limit() + 1) s) <= exact_distance_limit() THEN
        RETURN false;
    END IF;
    SELECT dimension INTO v_dimension FROM embeddings WHERE owner_id = p_owner_id AND model = p_model LIMIT 1;
    PERFORM build_vector_index(p_owner_id, p_model, v_dimension);
    RETURN true;
END $$;
