-- What the owner decides by hand about what is already stored.

ALTER TABLE messages ADD COLUMN audience_set boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN messages.audience_set IS
    'The owner said who may learn it; else its audience is what was known of the chat when it was said';
