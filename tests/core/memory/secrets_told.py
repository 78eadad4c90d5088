"""Two hundred secrets, each told to somebody: a world to attack memory from every chat of it.

Everything is generated from a seed: who is in which chat and when, to whom a secret was told and how, and what
happened since (somebody joined or left, was merged, was put in a circle, opted out; a message was edited,
forwarded, stands in a thread). `may_learn` says who may learn it, from the rules of the design alone.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.ids import ChatId, MessageId, OwnerId
from core.memory.circles import put_in_circle
from core.memory.consents import opt_out
from core.memory.membership import ensure_audience
from core.memory.merging import merge_contacts
from core.memory.references import FoundContact
from core.memory.sharing import Audience, share_message
from core.storage.database import Connection
from tests.core.memory.world import NOON, World, one

CASES = 200
PEOPLE = tuple(f"Person{number:02d}" for number in range(14))
THINGS = (
    "diagnosis",
    "salary",
    "wedding",
    "lawsuit",
    "passcode",
    "mortgage",
    "vacancy",
    "surgery",
    "inheritance",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A chat, and who is in it now; `since` when they joined. `known`: all of them are known."""

    title: str
    id: ChatId
    kind: str
    since: dict[str, datetime | None]
    known: bool = True

    @property
    def members(self) -> frozenset[str]:
        return frozenset(self.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One secret: its own word stands nowhere else. `told_to` is by name, None for anyone; `given`: how, by hand."""

    number: int
    word: str
    thing: str
    place: Place
    message: MessageId
    sent_at: datetime
    told_to: frozenset[str] | None
    given: str
    way: str
    rows: bool
    """Facts, topics, summaries and promises rest on it, too."""

    @property
    def question(self) -> str:
        return f"what do you know about the {self.thing} {self.word}?"


@dataclass(slots=True)
class Secrets:
    """The world, its places and its secrets."""

    world: World
    places: list[Place] = field(default_factory=list[Place])
    secrets: list[Secret] = field(default_factory=list[Secret])
    merged: dict[str, str] = field(default_factory=dict[str, str])
    silent: set[str] = field(default_factory=set[str])

    def person(self, name: str) -> str:
        """Whom a name stands for, merged contacts being one."""
        return self.merged.get(name, name)

    def may_learn(self, secret: Secret, asker: Place) -> bool:
        """The rule: every current member is known, and the secret's audience includes each of them."""
        if secret.told_to is None:
            return True
        if not asker.known or not asker.members:
            return False
        left = {PEOPLE[3]} if secret.given == "circle" else set[str]()
        told = {self.person(name) for name in secret.told_to - left}
        return {self.person(name) for name in asker.members} <= told


async def tell_secrets(connection: Connection, owner: OwnerId, seed: int) -> Secrets:
    """The world as of that seed."""
    chance = random.Random(seed)  # noqa: S311 -- a generated world
    made = Secrets(world=await World(owner).open(connection))
    for name in PEOPLE:
        await made.world.contact(connection, name)
    await _make_places(connection, made, chance)
    for name in PEOPLE[:4]:
        await put_in_circle(connection, owner, _found(made, name), "friends")
    for number in range(CASES):
        made.secrets.append(await _tell(connection, made, chance, number))
    await _change(connection, owner, made)
    return made


def _found(made: Secrets, name: str) -> FoundContact:
    return FoundContact(id=made.world.contacts[name], name=name)


async def _make_places(connection: Connection, made: Secrets, chance: random.Random) -> None:
    """A direct chat with each, groups of all sizes, one whose members are not all known, and a public channel."""
    world = made.world
    for name in PEOPLE:
        await _place(connection, made, f"with {name}", "direct", {name: None})
    for number in range(8):
        names = chance.sample(PEOPLE[:-2], chance.randint(2, 5))
        await _place(connection, made, f"group {number}", "group", dict.fromkeys(names))
    await _place(connection, made, "half known", "group", dict.fromkeys(PEOPLE[:2]), known=False)
    public = await _place(connection, made, "channel", "public", dict.fromkeys(PEOPLE[:3]), known=False)
    anyone = await ensure_audience(connection, world.owner, "anyone")
    alone = await ensure_audience(connection, world.owner, "owner")
    world.audiences[public.title], world.audiences["half known"] = anyone, alone
    for title in ("channel", "half known"):
        await connection.execute(
            "UPDATE chats SET audience_id = %s, members_known = false WHERE id = %s",
            [world.audiences[title], world.chats[title]],
        )


async def _place(
    connection: Connection,
    made: Secrets,
    title: str,
    kind: str,
    since: dict[str, datetime | None],
    *,
    known: bool = True,
) -> Place:
    chat = await made.world.chat(connection, title, *since, kind=kind)
    if kind == "direct":
        (name,) = since
        audience = await ensure_audience(
            connection, made.world.owner, "contacts", contacts=[made.world.contacts[name]]
        )
        made.world.audiences[title] = audience
        await connection.execute("UPDATE chats SET audience_id = %s WHERE id = %s", [audience, chat])
    place = Place(title=title, id=chat, kind=kind, since=since, known=known)
    made.places.append(place)
    return place


async def _tell(connection: Connection, made: Secrets, chance: random.Random, number: int) -> Secret:
    place = chance.choice(made.places)
    word, thing = f"zq{number:03d}{chance.randrange(10**6):06d}x", chance.choice(THINGS)
    way = chance.choice(("plain", "plain", "edited", "forwarded", "thread", "by owner"))
    speaker = None if way == "by owner" or not place.members else chance.choice(sorted(place.members))
    sent_at = NOON + timedelta(minutes=10 * number)
    at_first = f"the {thing} is {word}" if way != "edited" else f"the {thing} is a surprise"
    world = made.world
    # What was asked just before, so that the owner's words are a past reply, too.
    await world.say(connection, place.title, next(iter(sorted(place.members)), None),
                    f"what about the {thing} then?", sent_at - timedelta(minutes=1))  # fmt: skip
    message = await world.say(connection, place.title, speaker, at_first, sent_at)
    if way == "edited":
        await connection.execute(
            "UPDATE messages SET text = %s WHERE id = %s", [f"the {thing} is {word}", message]
        )
    if way == "forwarded":
        await connection.execute("UPDATE messages SET forwarded = true WHERE id = %s", [message])
    if way == "thread":
        thread = await one(
            connection,
            b"INSERT INTO threads (owner_id, chat_id, platform_thread_id) VALUES (%s, %s, %s) RETURNING id",
            [world.owner, place.id, f"t{number}"],
        )
        await connection.execute("UPDATE messages SET thread_id = %s WHERE id = %s", [thread, message])
    told, given = await _give(connection, made, chance, place, message)
    rows = chance.random() < 0.7
    if rows:
        await _conclude(connection, made, message, word, thing, speaker)
    return Secret(
        number=number, word=word, thing=thing, place=place, message=message, sent_at=sent_at,
        told_to=told, given=given, way=way, rows=rows,
    )  # fmt: skip


async def _give(
    connection: Connection, made: Secrets, chance: random.Random, place: Place, message: MessageId
) -> tuple[frozenset[str] | None, str]:
    """Whom it was said to, or whom the owner gave it to by hand."""
    hand = chance.choice(("", "", "", "owner", "anyone", "contacts", "circle"))
    owner = made.world.owner
    if hand == "owner":
        await share_message(connection, owner, message, Audience(kind="owner"))
        return frozenset(), hand
    if hand == "anyone":
        await share_message(connection, owner, message, Audience(kind="anyone"))
        return None, hand
    if hand == "contacts":
        names = chance.sample(PEOPLE, chance.randint(1, 3))
        contacts = tuple(made.world.contacts[name] for name in names)
        await share_message(connection, owner, message, Audience(kind="contacts", contacts=contacts))
        return frozenset(names), hand
    if hand == "circle":
        await share_message(connection, owner, message, Audience(kind="circle", circle="friends"))
        return frozenset(PEOPLE[:4]), hand
    if place.kind == "public":
        return None, hand
    return (place.members if place.known else frozenset()), hand


async def _conclude(
    connection: Connection, made: Secrets, message: MessageId, word: str, thing: str, speaker: str | None
) -> None:
    """A fact about the owner or whoever said it, a topic, a summary and a promise, all as wide as the message."""
    world = made.world
    values = {
        "owner": world.owner, "message": message, "word": f"{thing} {word}",
        "contact": world.contacts[speaker] if speaker else None,
        "subject": speaker or "Mara", "kind": "contact" if speaker else "owner",
        "anybody": world.contacts[speaker or PEOPLE[0]],
    }  # fmt: skip
    for statement in (
        b"""WITH f AS (INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, statement, confidence,
                audience_id, valid_from, extractor, value_key)
            SELECT owner_id, %(kind)s, %(contact)s::bigint, %(subject)s, 'trait',
                   %(subject)s || ' has the ' || %(word)s, 0.9, audience_id, sent_at, 'test', %(word)s
            FROM messages WHERE owner_id = %(owner)s AND id = %(message)s
            RETURNING owner_id, id)
            INSERT INTO fact_sources SELECT owner_id, id, %(message)s FROM f""",
        b"""WITH t AS (INSERT INTO topics (owner_id, name, description, audience_id)
            SELECT owner_id, %(word)s, %(word)s, audience_id FROM messages
            WHERE owner_id = %(owner)s AND id = %(message)s
            RETURNING owner_id, id)
            INSERT INTO topic_sources SELECT owner_id, id, %(message)s FROM t""",
        b"""WITH s AS (INSERT INTO sessions (owner_id, chat_id, started_at, ended_at, message_count)
            SELECT owner_id, chat_id, sent_at, sent_at, 1 FROM messages WHERE owner_id = %(owner)s AND id = %(message)s
            RETURNING owner_id, id), y AS (
            INSERT INTO session_summaries (owner_id, session_id, chat_id, summary, audience_id, extractor)
            SELECT s.owner_id, s.id, m.chat_id, %(word)s, m.audience_id, 'test' FROM s, messages m
            WHERE m.owner_id = %(owner)s AND m.id = %(message)s RETURNING owner_id, id)
            INSERT INTO summary_sources SELECT owner_id, id, %(message)s FROM y""",
        b"""WITH c AS (INSERT INTO commitments (owner_id, by_owner, contact_id, statement, audience_id, extractor,
                value_key)
            SELECT owner_id, true, %(anybody)s, %(word)s, audience_id, 'test', %(word)s
            FROM messages WHERE owner_id = %(owner)s AND id = %(message)s RETURNING owner_id, id)
            INSERT INTO commitment_sources SELECT owner_id, id, %(message)s FROM c""",
    ):
        await connection.execute(statement, values)


async def _change(connection: Connection, owner: OwnerId, made: Secrets) -> None:
    """What happened after everything was said."""
    later = NOON + timedelta(days=30)
    groups = [place for place in made.places if place.title.startswith("group")]
    # Somebody joined the first two groups later: what was said before is not theirs.
    for place in groups[:2]:
        newcomer = next(name for name in PEOPLE if name not in place.members)
        await made.world.join(connection, place.title, newcomer, later)
        place.since[newcomer] = later
    # Somebody left two others.
    for place in groups[2:4]:
        gone = min(place.members)
        await connection.execute(
            "UPDATE chat_members SET left_at = %s WHERE chat_id = %s AND contact_id = %s",
            [later, place.id, made.world.contacts[gone]],
        )
        del place.since[gone]
    # A friend left the circle, and a stranger joined it.
    await put_in_circle(connection, owner, _found(made, PEOPLE[3]), "work")
    await put_in_circle(connection, owner, _found(made, PEOPLE[5]), "friends")
    # The last two are one person; another one opted out.
    await merge_contacts(connection, owner, _found(made, PEOPLE[-2]), _found(made, PEOPLE[-1]))
    made.merged[PEOPLE[-1]] = PEOPLE[-2]
    made.silent.add(PEOPLE[6])
    await opt_out(connection, owner, _found(made, PEOPLE[6]))
