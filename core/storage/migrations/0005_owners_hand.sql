-- What the owner decides by hand about what is already stored, and what finds words that are to go.

ALTER TABLE messages ADD COLUMN audience_set boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN messages.audience_set IS
    'The owner said who may learn it; else its audience is what was known of the chat when it was said';

-- Events that could not be applied are the only ones that still hold words.
CREATE INDEX inbox_events_set_aside ON inbox_events (owner_id, account_id, lane) WHERE error IS NOT NULL;
