"""Two hundred secrets and those who ask for them: nobody gets one that they may not learn, by any road.

And whoever may learn it does get it, by every road: refusing everybody would be no protection.
"""

import random
from datetime import timedelta

from core.audience import Reader
from core.ids import AccountId, MessageId, OwnerId
from core.memory.index import index_messages
from core.memory.messages import StoredMessage
from core.memory.portraits import known_commitments, last_said
from core.memory.profiles import known_facts, read_profile
from core.memory.profiling import refresh_profiles
from core.memory.search import read_messages, recall_memory, recent_turns, search_memory
from core.memory.summaries import known_summaries
from core.memory.topics import known_topics
from core.reply.compose import compose, prompt_context
from core.reply.prompt import prompt_turns
from core.reply.recall import recall
from core.reply.situation import read_account, situation_of
from core.reply.travel import find_question
from core.storage.database import Connection, Database
from core.vocabulary import Origin
from tests.core.memory.secrets_told import CASES, Place, Secret, Secrets, tell_secrets
from tests.core.memory.world import NOON
from tests.standins import HashEmbedder, ScriptedGenerator

NOW = NOON + timedelta(days=60)
EMBEDDER = HashEmbedder()


def ask_about(made: Secrets, chance: random.Random) -> list[tuple[Secret, Place, bool]]:
    """One case a secret: every other one by somebody who may learn it, where anybody may."""
    cases: list[tuple[Secret, Place, bool]] = []
    for secret in made.secrets:
        may = [place for place in made.places if made.may_learn(secret, place)]
        may_not = [place for place in made.places if not made.may_learn(secret, place)]
        wanted = may if (secret.number % 2 and may) or not may_not else may_not
        asker = secret.place if secret.place in wanted and chance.random() < 0.3 else chance.choice(wanted)
        cases.append((secret, asker, asker in may))
    return cases


async def test_no_secret_reaches_anybody_who_may_not_learn_it(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        made = await tell_secrets(connection, owner, seed=7)
    await index_messages(database, owner, EMBEDDER)
    await refresh_profiles(database, owner)
    leaks: list[str] = []
    refusals: list[str] = []
    cases = ask_about(made, random.Random(11))  # noqa: S311 -- a generated world
    assert len(cases) == CASES
    assert 60 < sum(allowed for *_, allowed in cases) < 140, "both kinds of asker"
    whatever: dict[str, dict[str, str]] = {}
    for secret, asker, allowed in cases:
        if asker.title not in whatever:
            whatever[asker.title] = await shown_whatever_is_asked(database, owner, made, asker)
        found, expected = await shown_when_asked(database, owner, made, secret, asker)
        found |= whatever[asker.title]
        for road, words in found.items():
            if secret.word in words and not allowed:
                leaks.append(f"{secret.number} ({secret.way}, {secret.given}) by {road} in {asker.title}")
            if allowed and road in expected and secret.word not in words:
                refusals.append(f"{secret.number} ({secret.way}, {secret.given}) by {road} in {asker.title}")
    assert leaks == []
    assert refusals == []


async def shown_whatever_is_asked(
    database: Database, owner: OwnerId, made: Secrets, asker: Place
) -> dict[str, str]:
    """What the people of a chat may learn by the roads that take no question."""
    reader = Reader.chat(asker.id)
    async with database.owner(owner) as connection:
        return {
            "facts": str(await known_facts(connection, owner_id=owner, reader=reader, limit=500)),
            "profiles": await _profiles(connection, owner, made, reader),
            **await _statements(connection, owner, made, reader),
        }


async def shown_when_asked(
    database: Database, owner: OwnerId, made: Secrets, secret: Secret, asker: Place
) -> tuple[dict[str, str], set[str]]:
    """What each road shows in the asker's chat, and the roads on which whoever may learn the secret finds it."""
    reader = Reader.chat(asker.id)
    (vector,) = await EMBEDDER.embed([secret.question])
    async with database.owner(owner) as connection:
        expected = await _stored(connection, made, secret, asker)
        hits = await search_memory(
            connection, owner_id=owner, reader=reader, query=secret.question, vector=vector, model=EMBEDDER.name,
            limit=10, facts=10,
        )  # fmt: skip
        recalled = await recall_memory(
            connection, owner_id=owner, reader=reader, query=secret.question, vector=vector,
            model=EMBEDDER.name, until=NOW, limit=10, facts=10, past=10,
        )  # fmt: skip
        shown = {
            "search": await _words(connection, [(hit.kind, hit.id) for hit in hits]),
            "recall": await _words(connection, [(hit.kind, hit.id) for hit in recalled.hits]),
            "past replies": " ".join(f"{past.asked} {past.reply}" for past in recalled.past),
            "messages": str(
                await read_messages(connection, owner_id=owner, reader=reader, ids=[secret.message])
            ),
            "own lines": await _own_lines(connection, owner, secret, asker),
        }
    return shown | await _drafted(database, owner, made, secret, asker), expected


async def _stored(connection: Connection, made: Secrets, secret: Secret, asker: Place) -> set[str]:
    """The roads on which the secret stands at all: opting out took what was concluded from one's words."""
    expected = {"search", "recall", "messages", "prompt"}
    if secret.place == asker and secret.given == "" and asker.kind != "public":
        expected.add("own lines")
    for road, statement in (
        ("facts", b"SELECT 1 FROM facts WHERE position(%s IN statement) > 0"),
        ("profiles", b"SELECT 1 FROM facts WHERE position(%s IN statement) > 0"),
        ("topics", b"SELECT 1 FROM topics WHERE position(%s IN name) > 0"),
        ("summaries", b"SELECT 1 FROM session_summaries WHERE position(%s IN summary) > 0"),
        ("commitments", b"SELECT 1 FROM commitments WHERE position(%s IN statement) > 0"),
    ):
        cursor = await connection.execute(statement, [secret.word])
        if await cursor.fetchone():
            expected.add(road)
    return expected


async def _words(connection: Connection, hits: list[tuple[str, int]]) -> str:
    """What stands in the rows that a search points at."""
    cursor = await connection.execute(
        """
        SELECT coalesce(string_agg(text || ' ' || caption, ' '), '') FROM messages WHERE id = ANY (%s)
        UNION ALL SELECT coalesce(string_agg(statement, ' '), '') FROM facts WHERE id = ANY (%s)""",
        [[id_ for kind, id_ in hits if kind == "message"], [id_ for kind, id_ in hits if kind == "fact"]],
    )
    return " ".join(str(row[0]) for row in await cursor.fetchall())


async def _own_lines(connection: Connection, owner: OwnerId, secret: Secret, asker: Place) -> str:
    cursor = await connection.execute("SELECT thread_id FROM messages WHERE id = %s", [secret.message])
    (row,) = await cursor.fetchall()
    said = [
        await recent_turns(
            connection, owner_id=owner, chat_id=asker.id, thread_id=thread, until=NOW, limit=500
        )
        for thread in {None, row[0]}
    ]
    return str(said)


async def _profiles(connection: Connection, owner: OwnerId, made: Secrets, reader: Reader) -> str:
    people = [None, *made.world.contacts.values()]
    return str(
        [await read_profile(connection, owner_id=owner, reader=reader, contact_id=each) for each in people]
    )


async def _statements(
    connection: Connection, owner: OwnerId, made: Secrets, reader: Reader
) -> dict[str, str]:
    """Topics, summaries, promises and last words, by the functions that serve them."""
    last = [
        await last_said(connection, owner_id=owner, reader=reader, contact_id=each, limit=500)
        for each in made.world.contacts.values()
    ]
    return {
        "topics": str(await known_topics(connection, owner_id=owner, reader=reader, limit=500)),
        "summaries": str(await known_summaries(connection, owner_id=owner, reader=reader, limit=500)),
        "commitments": str(await known_commitments(connection, owner_id=owner, reader=reader, limit=500)),
        "last said": str(last),
    }


async def _drafted(
    database: Database, owner: OwnerId, made: Secrets, secret: Secret, asker: Place
) -> dict[str, str]:
    """The finished prompt as the model sees it, what is drafted, and what the drafts say they rest on."""
    incoming = _asked(secret, asker)
    async with database.owner(owner) as connection:
        account = await read_account(connection, owner, AccountId(made.world.account))
        situation = await situation_of(connection, account, asker.id, None, (incoming,), NOW, asked=True)
    (vector,) = await EMBEDDER.embed([secret.question])
    recalled = await recall(database, situation, vector, EMBEDDER.name)
    generator = ScriptedGenerator("ok")
    candidates = await compose(situation, recalled, generator, None)
    prompt = "\n".join(turn.text for turn in prompt_turns(prompt_context(situation, recalled)))
    assert await find_question(database, situation, EMBEDDER) is None or secret.rows, "it asks about a fact"
    async with database.owner(owner) as connection:
        rests_on = [("message", int(each)) for one in candidates for each in one.evidence]
        evidence = await _words(connection, rests_on)
    return {
        "prompt": prompt.replace(secret.question, ""),
        "what the model was asked": str(generator.asked).replace(secret.question, ""),
        "drafts": " ".join(one.text for one in candidates),
        "evidence": evidence,
    }


def _asked(secret: Secret, asker: Place) -> StoredMessage:
    return StoredMessage(
        id=MessageId(0), chat_id=asker.id, thread_id=None, platform_message_id="now", sender_id=None,
        sender_name="Somebody", origin=Origin.CONTACT, sent_at=NOW, text=secret.question, caption="",
        reply_to=None, mentions_owner=False, deleted=False,
    )  # fmt: skip
