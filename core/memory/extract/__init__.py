"""What a statement in a chat says: the local extractor, and the teacher's."""
