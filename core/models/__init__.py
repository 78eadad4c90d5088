"""Embedders and generators: the language models behind two small faces."""
