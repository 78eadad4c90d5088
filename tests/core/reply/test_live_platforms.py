"""What live platforms do to a conversation: disorder, groups nobody opted in, windows that close."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.bot_state import PostgresState
from core.events import (
    Author,
    DraftAction,
    DraftVerb,
    Event,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Person,
    Reaction,
    SuggestAsked,
)
from core.ids import OwnerId
from core.listening import set_listening
from core.memory.forgetting import find_everything_of, find_named, forget
from core.memory.retention import keep_retention
from core.owners import ensure_owner
from core.reply.apply import apply_event
from core.storage.database import Database
from core.vocabulary import ChatKind
from tests.core.reply.world import TIMING, World

INES = Person(id="ines", name="Ines")


def message(world: World, number: int, text: str, **more: object) -> MessageNew:
    values: dict[str, object] = {
        "key": f"message:{number}",
        "chat": world.bot.chat("ines"),
        "at": world.clock.now() + timedelta(seconds=number),
        "message_id": str(number),
        "sender": INES,
        "author": Author.CONTACT,
        "text": text,
        "chat_title": "Ines",
        "members": (INES,),
    } | more
    return MessageNew(**values)  # pyright: ignore[reportArgumentType] -- a test's own words


async def apply(world: World, events: Sequence[Event]) -> None:
    for event in events:
        async with world.database.owner(world.owner) as connection:
            await apply_event(connection, world.host.account, event, world.clock.now(), TIMING)


async def stored(world: World) -> list[tuple[object, ...]]:
    return await world.rows(
        """
        SELECT m.platform_message_id, m.text, m.deleted_at IS NOT NULL,
               (SELECT array_agg(r.emoji ORDER BY r.emoji) FROM reactions r
                WHERE r.owner_id = m.owner_id AND r.message_id = m.id)
        FROM messages m ORDER BY m.platform_message_id"""
    )


# ─── Disorder ────────────────────────────────────────────────────────────────────────────────


def conversation(world: World) -> list[Event]:
    """Three messages; the first is edited twice, the second deleted, the third liked."""
    first = message(world, 1, "Can you come at six?")
    later = [first.at + timedelta(minutes=minute) for minute in (1, 2)]
    edits = [
        MessageEdited(
            key=f"edit:1:{number}",
            chat=first.chat,
            at=at,
            message_id="1",
            text=text,
            original=message(world, 1, text),
        )
        for number, (at, text) in enumerate(zip(later, ("Can you come at seven?", "At eight?"), strict=True))
    ]
    return [
        first,
        message(world, 2, "Bring the blue folder"),
        message(world, 3, "It is at the office"),
        *edits,
        MessagesDeleted(key="deleted:2", chat=first.chat, at=later[1], message_ids=("2",)),
        Reaction(
            key="reaction:3",
            chat=first.chat,
            at=later[1],
            message_id="3",
            sender=INES,
            author=Author.CONTACT,
            emoji="👍",
        ),
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_conversation_in_any_order_and_twice_ends_in_the_same_store(
    database: Database, data: st.DataObject
) -> None:
    owner = await ensure_owner(database, f"owner-{next(_owners)}")
    world = await World.open(database, owner, platform="telegram")
    events = conversation(world)
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=5))))
    await apply(world, [message(world, 0, "Hello!"), *shuffled])
    seen = [row[:3] for row in await stored(world) if not row[2]]
    assert seen == [
        ("0", "Hello!", False),
        ("1", "At eight?", False),
        ("3", "It is at the office", False),
    ]
    assert (await stored(world))[-1][3] == ["👍"]
    assert await world.rows("SELECT FROM messages WHERE text LIKE '%%folder%%'") == []


_owners = itertools.count()


async def test_an_edit_of_a_message_that_never_came_brings_the_message_and_a_card(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="telegram")
    whole = message(world, 1, "Are you free on Friday evening?")
    await apply(
        world,
        [
            MessageEdited(
                key="edit:1", chat=whole.chat, at=whole.at, message_id="1", text=whole.text, original=whole
            )
        ],
    )
    await world.pump(seconds=10)
    assert [line.text for line in world.card.incoming] == ["Are you free on Friday evening?"]


async def test_an_edit_of_something_old_that_never_came_is_kept_and_not_answered(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="telegram")
    now = world.clock.now()
    whole = message(world, 1, "Are you free on Friday evening?", at=now - timedelta(days=30))
    await apply(
        world,
        [
            MessageEdited(
                key="edit:1", chat=whole.chat, at=now, message_id="1", text=whole.text, original=whole
            )
        ],
    )
    await world.pump(seconds=10)
    assert await world.rows("SELECT text FROM messages") == [("Are you free on Friday evening?",)]
    assert world.bot.cards == {}


# ─── Groups and other organisations ──────────────────────────────────────────────────────────


def in_group(world: World, number: int, text: str, **more: object) -> MessageNew:
    return message(
        world,
        number,
        text,
        chat=world.bot.chat("crew"),
        chat_kind=ChatKind.GROUP,
        chat_title="The crew",
        members=None,
        mentions_owner=True,
        **more,
    )


async def test_a_group_nobody_opted_in_is_known_by_name_and_not_kept(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="slack")
    await apply(world, [in_group(world, 1, "Mara, when do you come?")])
    await world.pump(seconds=10)
    assert await world.rows("SELECT title, kind FROM chats") == [("The crew", "group")]
    assert await world.rows("SELECT FROM messages") == []
    assert await world.rows("SELECT FROM contacts") == []
    assert world.bot.cards == {}


async def test_who_reacts_in_a_group_nobody_opted_in_is_not_kept(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="slack")
    said = in_group(world, 1, "Mara, when do you come?")
    reaction = Reaction(
        key="reaction:1",
        chat=said.chat,
        at=said.at,
        message_id="1",
        sender=INES,
        author=Author.CONTACT,
        emoji="👍",
    )
    await apply(world, [said, reaction])
    assert await world.rows("SELECT FROM contacts") == []
    assert await world.rows("SELECT FROM early_reactions") == []


async def test_who_asked_not_to_be_kept_leaves_no_reaction_and_no_name(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="telegram")
    said = message(world, 1, "Hello there")
    await apply(world, [said])
    async with database.owner(owner) as connection:
        await forget(connection, owner, await find_everything_of(connection, owner, "Ines"))
    dana = Person(id="dana", name="Dana")
    crew = message(
        world, 2, "Ines is here, too", chat=world.bot.chat("crew"), sender=dana, members=(dana, INES)
    )
    liked = [
        Reaction(
            key=f"reaction:{chat.chat}",
            chat=chat,
            at=world.clock.now() + timedelta(minutes=1),
            message_id="2",
            sender=INES,
            author=Author.CONTACT,
            emoji="👍",
        )
        for chat in (crew.chat, said.chat)
    ]
    await apply(world, [crew, *liked])
    assert await world.rows("SELECT display_name FROM contact_accounts ORDER BY platform_user_id") == [
        ("Dana",),
        ("",),
    ]
    assert await world.rows("SELECT FROM reactions") == []
    assert await world.rows("SELECT FROM early_reactions") == []


async def test_a_group_is_kept_from_when_its_owner_says_so(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="slack")
    await apply(world, [in_group(world, 1, "before")])
    ((chat_id,),) = await world.rows("SELECT id FROM chats")
    async with database.owner(owner) as connection:
        await set_listening(connection, owner, chat_id, on=True)  # pyright: ignore[reportArgumentType] -- an id
    await apply(world, [in_group(world, 2, "after")])
    assert await world.rows("SELECT text FROM messages") == [("after",)]


async def test_a_direct_chat_with_another_organisation_is_closed_until_opened(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="slack")
    await apply(world, [message(world, 1, "Hello from Acme", external=True), message(world, 2, "And again")])
    assert await world.rows("SELECT FROM messages") == []
    assert await world.rows("SELECT external FROM chats") == [(True,)]


async def test_a_message_that_its_owner_points_at_is_kept_wherever_it_stands(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="discord")
    pointed = in_group(world, 1, "What time does the museum close?", pointed_at=True, backfilled=True)
    await apply(world, [pointed])
    await world.pump(seconds=10)
    assert world.bot.cards == {}
    await apply(
        world,
        [SuggestAsked(key="ask:1", chat=pointed.chat, at=world.clock.now(), message_id="1", ticket="t")],
    )
    await world.pump(seconds=10)
    assert world.card.ticket == "t"


async def test_what_is_pointed_at_is_answered_only_when_its_owner_asks(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="telegram")
    await apply(world, [message(world, 1, "Can you lend me a tent on Friday?", pointed_at=True)])
    await world.pump(seconds=10)
    assert await world.rows("SELECT FROM turns") == []


async def test_who_opted_out_puts_no_new_words_into_what_was_kept(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="telegram")
    await apply(world, [message(world, 1, "before")])
    await world.rows("UPDATE contacts SET opted_out_at = now() RETURNING 1")
    whole = message(world, 1, "after")
    edit = MessageEdited(
        key="edit:1", chat=whole.chat, at=whole.at, message_id="1", text=whole.text, original=whole
    )
    await apply(world, [edit])
    assert await world.rows("SELECT text FROM messages") == [("before",)]


async def test_a_press_that_names_another_chat_sends_nothing(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="telegram")
    await apply(world, [message(world, 1, "Are you free on Friday evening?")])
    await world.pump(seconds=10)
    forged = DraftAction(
        key="press:1",
        chat=world.bot.chat("jonas"),
        at=world.clock.now(),
        draft=world.card.drafts[0].draft,
        verb=DraftVerb.SEND,
    )
    await apply(world, [forged])
    await world.pump()
    assert world.bot.sent == []
    await apply(world, [replace(forged, chat=world.bot.chat("ines"))])
    await world.pump()
    assert len(world.bot.sent) == 1


async def test_reactions_to_what_was_never_kept_do_not_pile_up(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="telegram")
    liked = Reaction(
        key="reaction",
        chat=world.bot.chat("ines"),
        at=world.clock.now(),
        message_id="of last year",
        sender=INES,
        author=Author.CONTACT,
        emoji="👍",
    )
    toggles = [
        replace(liked, added=number % 2 == 0, at=liked.at + timedelta(seconds=number)) for number in range(20)
    ]
    await apply(world, [message(world, 1, "Hello!"), *toggles])
    assert await world.rows("SELECT count(*) FROM early_reactions") == [(1,)]
    await keep_retention(database, owner, world.clock.now() + timedelta(days=4))
    assert await world.rows("SELECT count(*) FROM early_reactions") == [(0,)]


async def test_the_card_of_what_was_forgotten_is_taken_away_and_the_name_with_it(
    database: Database, owner: OwnerId
) -> None:
    world = await World.open(database, owner, platform="telegram")
    await apply(world, [message(world, 1, "Are you free on Friday evening?")])
    await world.pump(seconds=10)
    state = PostgresState(database, owner, world.host.account.id)
    await state.put(f"card:{world.card.key}", "where it stands")
    await state.put("direct:ines", "Ines")
    await state.put("commands", "ours")
    await world.host.show_cards()
    assert len(world.bot.cards) == 1
    async with database.owner(owner) as connection:
        await forget(connection, owner, await find_named(connection, owner, "Ines"))
    await world.host.show_cards()
    assert world.bot.cards == {}
    assert await state.keys("direct:") == ()
    assert await state.keys("commands") == ("commands",)


# ─── Windows ─────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_sent_after_the_platforms_window_closed(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="telegram")
    closes = world.clock.now() + timedelta(hours=23)
    await apply(world, [message(world, 1, "Are you free on Friday evening?", send_until=closes)])
    await world.pump(seconds=10)
    draft = world.card.drafts[0].draft
    world.clock.move(hours=23.5)
    world.bot.press(draft, DraftVerb.SEND)
    await world.pump()
    assert world.bot.sent == []
    assert "does not let us send" in world.card.note


async def test_a_new_message_opens_the_window_again(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="telegram")
    now = world.clock.now()
    await apply(world, [message(world, 1, "Hi there", send_until=now - timedelta(hours=1))])
    await apply(world, [message(world, 2, "Are you free on Friday?", send_until=now + timedelta(hours=24))])
    await world.pump(seconds=10)
    world.bot.press(world.card.drafts[0].draft, DraftVerb.SEND)
    await world.pump()
    assert len(world.bot.sent) == 1
