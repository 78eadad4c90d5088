-- What the owner thinks of examples, and whether a message still says what was learned from it.

ALTER TABLE training_example_sources ADD COLUMN fingerprint text NOT NULL DEFAULT '';
COMMENT ON COLUMN training_example_sources.fingerprint IS
    'Of the message''s words and reach as they were read; empty: before fingerprints were kept';

-- digest '': the message itself is not to be learned, in whatever example. Else the example of that
-- digest, which has a row for each message that it rests on; no words are copied.
CREATE TABLE training_verdicts (
    owner_id   bigint NOT NULL,
    digest     text NOT NULL,
    message_id bigint NOT NULL,
    verdict    text NOT NULL CHECK (verdict IN ('approved', 'rejected')),
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, digest, message_id),
    CHECK (digest <> '' OR verdict = 'rejected'),
    FOREIGN KEY (owner_id, message_id) REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX ON training_verdicts (owner_id, message_id);

-- A digest of words that were forgotten in part would still tell whether somebody guessed them.
CREATE FUNCTION verdict_forgotten() RETURNS trigger LANGUAGE plpgsql SET search_path = locum, public, pg_temp
AS $$
BEGIN
    -- Asked first: a statement that deletes nothing fires the trigger all the same.
    IF EXISTS (SELECT FROM training_verdicts v JOIN gone g USING (owner_id, digest) WHERE digest <> '') THEN
        DELETE FROM training_verdicts v USING gone g
        WHERE v.owner_id = g.owner_id AND v.digest = g.digest AND g.digest <> '';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER verdict_forgotten AFTER DELETE ON training_verdicts REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION verdict_forgotten();

ALTER TABLE training_verdicts ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_verdicts FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON training_verdicts TO locum_app
    USING (owner_id = current_owner()) WITH CHECK (owner_id = current_owner());
CREATE POLICY search_reads ON training_verdicts FOR SELECT TO locum_search USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON training_verdicts TO locum_app;
GRANT SELECT ON training_verdicts TO locum_search;
