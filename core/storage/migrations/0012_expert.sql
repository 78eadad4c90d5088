-- A draft may be an expert's answer: words that are neither the owner's nor memory's.

ALTER TABLE drafts DROP CONSTRAINT drafts_origin_check;
ALTER TABLE drafts ADD CONSTRAINT drafts_origin_check
    CHECK (origin IN ('model', 'past_reply', 'deferral', 'expert'));
