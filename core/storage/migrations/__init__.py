"""The schema as numbered SQL, forward only; a merged migration is never edited."""
