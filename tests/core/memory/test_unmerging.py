"""Two contacts that were taken for one: apart again, with what they had and what came since by account."""

from collections.abc import Sequence
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from core.audience import Reader
from core.errors import BadInput
from core.events import Person
from core.ids import AccountId, ChatId, ContactId, MessageId, OwnerId
from core.memory.circles import put_in_circle
from core.memory.extraction import extract_new
from core.memory.facts import list_facts
from core.memory.forgetting import find_everything_of, forget
from core.memory.membership import Stint, add_members
from core.memory.merging import list_merges, merge_contacts, propose_merges
from core.memory.people import Chat, ensure_account, ensure_chat, ensure_contact_account, note_sender
from core.memory.profiling import refresh_profiles
from core.memory.references import FoundContact, find_contact
from core.memory.search import read_messages
from core.memory.sharing import Audience, share_message
from core.memory.unmerging import list_merged, unmerge_contact
from core.owners import ensure_owner
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind
from tests.core.memory.world import NOON, one

NAMES = ("Ines", "Inès", "Bo")
REMEMBERED = (
    "contact_accounts", "chat_members", "messages", "facts", "fact_sources", "commitments", "commitment_sources",
    "topics", "session_summaries", "profiles", "profile_lines", "chats", "contacts",
)  # fmt: skip


class People:
    """Ines on Telegram, Inès on Slack, and Bo on both: each with a direct chat, as bots write them."""

    def __init__(self, owner: OwnerId) -> None:
        self.owner, self.count, self.source = owner, 0, 0
        self.found: dict[str, FoundContact] = {}
        self.sender: dict[str, int] = {}
        self.chat: dict[str, Chat] = {}
        self.account: dict[str, AccountId] = {}

    async def open(self, connection: Connection) -> "People":
        self.source = await one(
            connection,
            b"INSERT INTO sources (owner_id, kind, platform) VALUES (%s, 'export', 'telegram') RETURNING id",
            [self.owner],
        )
        for name, platform in zip(NAMES, ("telegram", "slack", "telegram"), strict=True):
            self.account[name] = await ensure_account(connection, self.owner, platform, "me")
            person = Person(id=f"u-{name}", name=name)
            contact, account = await ensure_contact_account(connection, self.owner, platform, "", person)
            if platform == "slack":
                await connection.execute("UPDATE contact_accounts SET realm = 'me' WHERE id = %s", [account])
            self.found[name] = FoundContact(id=contact, name=name)
            self.sender[name] = account
            self.chat[name] = await ensure_chat(
                connection,
                self.owner,
                self.account[name],
                f"c-{name}",
                ChatKind.DIRECT,
                name,
                [person],
                at=NOON,
            )
        return self

    async def group(self, connection: Connection, title: str, *names: str, known: bool = True) -> None:
        self.chat[title] = await ensure_chat(
            connection, self.owner, self.account["Ines"], f"c-{title}", ChatKind.GROUP, title,
            [] if known else None, at=NOON,
        )  # fmt: skip
        stints = [Stint(contact_id=self.found[name].id, joined=NOON) for name in names]
        await add_members(connection, self.owner, self.chat[title].id, stints)

    async def say(self, connection: Connection, title: str, name: str | None, text: str) -> MessageId:
        self.count += 1
        cursor = await connection.execute(
            "SELECT audience_id FROM chats WHERE owner_id = %s AND id = %s", [self.owner, self.chat[title].id]
        )
        row = await cursor.fetchone()
        assert row is not None
        return MessageId(
            await one(
                connection,
                b"""INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_id, sender_name, origin,
                    sent_at, text, audience_id, source_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                    RETURNING id""",
                [
                    self.owner, self.chat[title].id, f"m{self.count}", self.sender[name] if name else None,
                    name or "Mara", "contact" if name else "typed", NOON + timedelta(minutes=self.count), text,
                    row[0], self.source,
                ],
            )
        )  # fmt: skip

    async def merge(self, connection: Connection) -> None:
        await merge_contacts(connection, self.owner, self.found["Ines"], self.found["Inès"])

    async def part(self, connection: Connection) -> None:
        await unmerge_contact(connection, self.owner, self.found["Ines"])

    async def sees(self, connection: Connection, name: str, message: MessageId) -> bool:
        reader = Reader.contact(self.found[name].id)
        return bool(await read_messages(connection, owner_id=self.owner, reader=reader, ids=[message]))


async def rows(connection: Connection, tables: Sequence[str] = REMEMBERED) -> dict[str, list[str]]:
    """Every row of these tables, but for the audiences' numbers: whom they name instead."""
    found: dict[str, list[str]] = {}
    for table in tables:
        cursor = await connection.execute(
            sql.SQL("SELECT x::text FROM ({}) q(x) ORDER BY 1").format(
                sql.SQL(
                    "SELECT (to_jsonb(t) - 'audience_id' - 'tsv' - 'batch_id') || jsonb_build_object('to', ("
                    " SELECT concat_ws(' ', a.kind, a.chat_id, a.circle, a.digest) FROM audiences a"
                    " WHERE a.id = (to_jsonb(t) ->> 'audience_id')::bigint)) FROM {} t"
                ).format(sql.Identifier(table))
            )
        )
        found[table] = [str(row[0]) for row in await cursor.fetchall()]
    return found


NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A failing world is small already, and each try takes seconds."""

SLOW = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)

SAYINGS = st.lists(
    st.tuples(
        st.sampled_from(("Ines", "Inès", "Bo", "both", "with Bo")),
        st.sampled_from((
            "I live in Oslo", "I live in Lyon", "I have a cat named Pip", "I'll send you the report tomorrow",
            "I work at Initech",
        )),
        st.booleans(),
        st.sampled_from(("", "", "owner", "anyone", "Ines", "Inès", "Bo", "Ines+Inès", "Inès+Bo", "friends")),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip
CIRCLES = st.tuples(*[st.sampled_from(("strangers", "friends", "work"))] * 3)


async def told(
    database: Database, people: People, sayings: Sequence[tuple[str, str, bool, str]]
) -> list[MessageId]:
    """Said by whoever the chat is with, or by the owner; some of it given to others by hand."""
    said: list[MessageId] = []
    async with database.owner(people.owner) as connection:
        for title, text, by_owner, given_to in sayings:
            speaker = {"both": "Inès", "with Bo": "Bo"}.get(title, title)
            message = await people.say(connection, title, None if by_owner else speaker, text)
            said.append(message)
            if given_to == "friends":
                cursor = await connection.execute(
                    "SELECT 1 FROM contacts WHERE owner_id = %s AND circle = 'friends' AND merged_into IS NULL",
                    [people.owner],
                )
                if await cursor.fetchone():
                    await share_message(
                        connection, people.owner, message, Audience(kind="circle", circle="friends")
                    )
            elif given_to in ("owner", "anyone"):
                await share_message(connection, people.owner, message, Audience(kind=given_to))
            elif given_to:
                contacts = tuple(people.found[name].id for name in given_to.split("+"))
                await share_message(
                    connection, people.owner, message, Audience(kind="contacts", contacts=contacts)
                )
    return said


async def world(database: Database, owner: OwnerId, circles: Sequence[str] = ("strangers",) * 3) -> People:
    async with database.owner(owner) as connection:
        people = await People(owner).open(connection)
        await people.group(connection, "both", "Ines", "Inès")
        await people.group(connection, "with Bo", "Inès", "Bo")
        for name, circle in zip(NAMES, circles, strict=True):
            await put_in_circle(connection, owner, people.found[name], circle)
    return people


async def learn(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sessions SET extracted_at = NULL WHERE owner_id = %s", [owner])
    await extract_new(database, owner)
    await refresh_profiles(database, owner)


@settings(max_examples=8, deadline=None, phases=NO_SHRINKING, suppress_health_check=SLOW)
@given(before=SAYINGS, circles=CIRCLES)
async def test_merging_and_taking_apart_changes_nothing(
    database: Database, before: list[tuple[str, str, bool, str]], circles: tuple[str, str, str]
) -> None:
    owner = await _fresh(database)
    people = await world(database, owner, circles)
    await told(database, people, before)
    await learn(database, owner)
    async with database.owner(owner) as connection:
        stood = await rows(connection)
        await people.merge(connection)
    async with database.owner(owner) as connection:
        await people.part(connection)
        assert await rows(connection) == stood
        cursor = await connection.execute("SELECT count(*) FROM merge_rows")
        assert await cursor.fetchone() == (0,)


@settings(max_examples=8, deadline=None, phases=NO_SHRINKING, suppress_health_check=SLOW)
@given(before=SAYINGS, since=SAYINGS, circles=CIRCLES)
async def test_nobody_learns_more_by_merging_and_taking_apart(
    database: Database,
    before: list[tuple[str, str, bool, str]],
    since: list[tuple[str, str, bool, str]],
    circles: tuple[str, str, str],
) -> None:
    """Merged, the two know what either knew; Bo knows no more. Apart, each knows at most what each was told."""
    owner = await _fresh(database)
    people = await world(database, owner, circles)
    earlier = await told(database, people, before)
    async with database.owner(owner) as connection:
        knew = {name: {m for m in earlier if await people.sees(connection, name, m)} for name in NAMES}
        await people.merge(connection)
    async with database.owner(owner) as connection:
        merged = {m for m in earlier if await people.sees(connection, "Ines", m)}
        assert merged <= knew["Ines"] | knew["Inès"]
        assert {m for m in earlier if await people.sees(connection, "Bo", m)} == knew["Bo"]
    # There is no Inès now: what is given to her is given to Ines.
    later = await told(
        database, people, [(where, text, mine, to.replace("Inès", "Ines")) for where, text, mine, to in since]
    )
    await learn(database, owner)
    async with database.owner(owner) as connection:
        await people.part(connection)
    async with database.owner(owner) as connection:
        for name in NAMES:
            assert {m for m in earlier if await people.sees(connection, name, m)} <= knew[name]
        for message, (title, _, _, given_to) in zip(later, since, strict=True):
            heard = {"Ines": title in ("Ines", "both"), "Inès": title in ("Inès", "both", "with Bo")}
            for name, there in heard.items():
                if await people.sees(connection, name, message) and given_to != "anyone":
                    assert there, f"{name} was not told what was said in {title}, given to {given_to!r}"
        for name in NAMES:
            statement = await _statements_beyond_messages(connection, owner, people.found[name].id)
            assert statement == []


async def _statements_beyond_messages(
    connection: Connection, owner: OwnerId, contact: ContactId
) -> list[tuple[object, ...]]:
    """Facts that the contact may learn though it may learn none of the messages that say them."""
    cursor = await connection.execute(
        """
        SELECT k.fact_id, k.statement FROM known_facts(%(owner)s, 'contact', %(contact)s, NULL, NULL, NULL, 200) k
        WHERE NOT EXISTS (SELECT FROM read_messages(%(owner)s, 'contact', %(contact)s, k.source_ids))""",
        {"owner": owner, "contact": contact},
    )
    return await cursor.fetchall()


_made = iter(range(10**6))


async def _fresh(database: Database) -> OwnerId:
    """An owner of its own for each example: the database is one for all of them."""
    return await ensure_owner(database, f"mara{next(_made)}", display_name="Mara")


async def test_what_came_since_goes_to_the_one_by_whose_account_it_came(
    database: Database, owner: OwnerId
) -> None:
    people = await world(database, owner)
    async with database.owner(owner) as connection:
        await people.merge(connection)
    async with database.owner(owner) as connection:
        slack = await people.say(connection, "Inès", "Inès", "I live in Lyon")
        telegram = await people.say(connection, "Ines", "Ines", "I have a cat named Pip")
        assert await people.sees(connection, "Ines", slack)
    await learn(database, owner)
    async with database.owner(owner) as connection:
        assert {fact.contact_id for fact in await list_facts(connection, owner)} == {people.found["Ines"].id}
        await people.part(connection)
    await learn(database, owner)
    async with database.owner(owner) as connection:
        told = {fact.statement: fact.contact_id for fact in await list_facts(connection, owner)}
        assert told == {
            "Inès lives in Lyon": people.found["Inès"].id,
            "Ines has a cat called Pip": people.found["Ines"].id,
        }
        assert [await people.sees(connection, name, slack) for name in NAMES] == [False, True, False]
        assert [await people.sees(connection, name, telegram) for name in NAMES] == [True, False, False]
        later = await people.say(connection, "Inès", None, "see you")
        assert [await people.sees(connection, name, later) for name in NAMES] == [False, True, False]


async def test_what_the_owner_gave_to_the_merged_person_is_given_to_neither(
    database: Database, owner: OwnerId
) -> None:
    people = await world(database, owner)
    async with database.owner(owner) as connection:
        said = await people.say(connection, "Bo", None, "I moved to Oslo")
        await people.merge(connection)
    async with database.owner(owner) as connection:
        both = tuple(people.found[name].id for name in ("Ines", "Bo"))
        await share_message(connection, owner, said, Audience(kind="contacts", contacts=both))
        assert await people.sees(connection, "Ines", said)
    async with database.owner(owner) as connection:
        await people.part(connection)
        assert [await people.sees(connection, name, said) for name in NAMES] == [False, False, True]


async def test_who_joined_a_group_since_and_cannot_be_told_apart_makes_its_members_unknown(
    database: Database, owner: OwnerId
) -> None:
    people = await world(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute(
            "UPDATE contact_accounts SET platform = 'telegram', realm = 'x' WHERE realm = 'me'"
        )
        await people.group(connection, "new", "Bo")
        await people.merge(connection)
    async with database.owner(owner) as connection:
        await note_sender(connection, owner, people.chat["new"], people.found["Ines"].id, NOON)
    async with database.owner(owner) as connection:
        await people.part(connection)
        cursor = await connection.execute(
            "SELECT members_known FROM chats WHERE id = %s", [people.chat["new"].id]
        )
        assert await cursor.fetchone() == (False,)


async def test_the_later_merge_is_taken_apart_first(database: Database, owner: OwnerId) -> None:
    people = await world(database, owner)
    async with database.owner(owner) as connection:
        await people.merge(connection)
        await merge_contacts(connection, owner, people.found["Bo"], people.found["Ines"])
    async with database.owner(owner) as connection:
        with pytest.raises(BadInput, match="No contact"):
            await find_contact(connection, owner, str(people.found["Ines"].id))
        with pytest.raises(BadInput, match="take that one apart first"):
            await people.part(connection)
        assert [merge.name for merge in await list_merged(connection, owner)] == ["Ines", "Inès"]
        await unmerge_contact(connection, owner, people.found["Bo"], "ines")
        await people.part(connection)
        assert await list_merged(connection, owner) == []
        with pytest.raises(BadInput, match="Nobody was merged"):
            await people.part(connection)


async def test_those_who_were_taken_apart_are_not_proposed_again(database: Database, owner: OwnerId) -> None:
    people = await world(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE contact_accounts SET display_name = 'Ines Moreau'")
        assert await propose_merges(connection, owner) > 0
        await people.merge(connection)
        assert all(people.found["Inès"].id not in (p.contact_id, p.other_id)
                   for p in await list_merges(connection, owner))  # fmt: skip
    async with database.owner(owner) as connection:
        await people.part(connection)
        await propose_merges(connection, owner)
        pairs = [{p.contact_id, p.other_id} for p in await list_merges(connection, owner)]
        assert {people.found["Ines"].id, people.found["Inès"].id} not in pairs


async def test_who_was_merged_is_forgotten_whole(database: Database, owner: OwnerId, conninfo: str) -> None:
    people = await world(database, owner)
    async with database.owner(owner) as connection:
        await people.say(connection, "Inès", "Inès", "I play the xylophone")
        await people.merge(connection)
    await learn(database, owner)
    async with database.owner(owner) as connection:
        await forget(connection, owner, await find_everything_of(connection, owner, "Ines"))
        assert await list_merged(connection, owner) == []
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("SELECT display_name FROM locum.contacts ORDER BY id")
        assert await cursor.fetchall() == [("(forgotten)",), ("(forgotten)",), ("Bo",)]
        cursor = await connection.execute("SELECT count(*) FROM locum.messages WHERE text <> ''")
        assert await cursor.fetchone() == (0,)


async def test_an_open_chat_says_to_whom_it_belongs(database: Database, owner: OwnerId) -> None:
    people = await world(database, owner)
    async with database.owner(owner) as connection:
        await people.merge(connection)
    async with database.owner(owner) as connection:
        await people.part(connection)
        for name in NAMES:
            cursor = await connection.execute(
                "SELECT a.digest FROM chats c JOIN audiences a ON a.id = c.audience_id WHERE c.id = %s",
                [ChatId(people.chat[name].id)],
            )
            assert await cursor.fetchone() == (str(people.found[name].id),)
