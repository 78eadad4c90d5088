"""Importers: a person's exported chats, read as one neutral stream of records."""
