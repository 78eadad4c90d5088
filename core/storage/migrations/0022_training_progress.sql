ALTER TABLE training_runs ADD COLUMN progress jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN training_runs.progress IS
    'Where the run stands, written at most every two seconds while it is under way. Step names, figures and
     sentences of Locum''s own; never a word of a message';
