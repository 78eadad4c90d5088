"""The sample history: Mara Lindqvist, eight months, three platforms; every word of it invented here.

`scripts/*.txt` are the chats as they were written, one file a chat; `compile.py` gives them times and
ids. `docs/sample.md` tells who is who, which secrets there are, and what changed when.
"""
