"""A small world for the console's tests: two people with a history, and a core that follows a script.

The scripted core does with real rows what the reply path does with a model: it stores what the bot
delivers, lays two drafts on the desk for each line of a contact, and sends what the owner presses.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import assert_never

from bots.console.bot import ConsoleBot
from bots.console.pages import build_app
from bots.console.postgres_board import PostgresBoard
from bots.console.read_chats import open_chat
from bots.console.run import RunningConsole, serve
from core.bot import Outgoing
from core.events import (
    AccessChanged,
    Author,
    DraftAction,
    DraftVerb,
    Event,
    Gap,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Person,
    Reaction,
    SuggestAsked,
)
from core.ids import ChatId, ContactId, OwnerId
from core.memory.messages import NewMessage, store_message
from core.memory.people import ensure_account, ensure_chat, ensure_contact_account, ensure_source, realm
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, Origin, Outcome, SourceKind

HISTORY = (
    ("dana", "Are you coming to the climbing hall on Thursday?", 200),
    ("mara", "Yes! I'll bring the blue rope", 199),
    ("dana", "I moved to Lisbon last week, the flat has a balcony", 90),
    ("mara", "A balcony! Then I know where I spend October", 89),
    ("dana", "Can you water the plants while I am away?", 20),
    ("mara", "Sure, I still have the key", 19),
)


@dataclass(kw_only=True)
class Scene:
    """A served console, its owner's database, and everything the bot delivered."""

    database: Database
    owner_id: OwnerId
    bot: ConsoleBot
    console: RunningConsole
    dana: ContactId
    delivered: list[Event] = field(default_factory=list)
    silent: bool = False
    """The scripted core drafts nothing."""
    deaf: bool = False
    """The scripted core does not even take what is delivered."""


async def seed_history(connection: Connection, owner_id: OwnerId) -> ContactId:
    """Dana, known from Telegram, with a history, a profile and facts."""
    account = await ensure_account(connection, owner_id, "telegram", "mara")
    person = Person(id="1001", name="Dana Reis")
    chat = await ensure_chat(
        connection, owner_id, account, "1001", ChatKind.DIRECT, "Dana Reis", members=[person]
    )
    dana, sender = await ensure_contact_account(connection, owner_id, "telegram", "", person)
    source = await ensure_source(connection, owner_id, SourceKind.EXPORT, "telegram", "mara")
    for number, (who, text, days) in enumerate(HISTORY):
        await store_message(
            connection,
            owner_id,
            NewMessage(
                chat_id=chat.id,
                thread_id=None,
                platform_message_id=str(number),
                sender_id=sender if who == "dana" else None,
                sender_name="Dana Reis" if who == "dana" else "Mara",
                origin=Origin.CONTACT if who == "dana" else Origin.TYPED,
                sent_at=datetime.now(UTC) - timedelta(days=days),
                text=text,
                reply_to=None,
                automatic=False,
                audience_id=chat.audience_id,
                source_id=source,
            ),
        )
    await seed_facts(connection, owner_id, dana)
    return dana


async def seed_facts(connection: Connection, owner_id: OwnerId, dana: ContactId) -> None:
    facts = [
        ("Dana lives in Lisbon", "place", 90, None, "2"),
        ("Dana lives in Porto", "place", 900, 90, "2"),
        ("Dana climbs on Thursdays", "habit", 200, None, "0"),
    ]
    for statement, kind, since, until, source in facts:
        await connection.execute(
            """
            WITH fact AS (
                INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, statement, confidence,
                                   audience_id, valid_from, valid_to, extractor)
                SELECT %(owner)s, 'contact', %(dana)s, 'Dana', %(kind)s, %(statement)s, 0.9, m.audience_id,
                       now() - %(since)s * interval '1 day',
                       coalesce(now() - %(until)s * interval '1 day', 'infinity'), 'scene'
                FROM messages m WHERE m.owner_id = %(owner)s AND m.platform_message_id = %(source)s
                RETURNING id)
            INSERT INTO fact_sources (owner_id, fact_id, message_id)
            SELECT %(owner)s, fact.id, m.id FROM fact, messages m
            WHERE m.owner_id = %(owner)s AND m.platform_message_id = %(source)s""",
            {
                "owner": owner_id,
                "dana": dana,
                "kind": kind,
                "statement": statement,
                "since": since,
                "until": until,
                "source": source,
            },
        )
    await connection.execute(
        """
        WITH profile AS (
            INSERT INTO profiles (owner_id, contact_id, version) VALUES (%(owner)s, %(dana)s, 1) RETURNING id)
        INSERT INTO profile_lines (owner_id, profile_id, position, fact_id)
        SELECT %(owner)s, profile.id, row_number() OVER (ORDER BY f.id), f.id FROM profile, facts f
        WHERE f.owner_id = %(owner)s AND f.valid_to = 'infinity'""",
        {"owner": owner_id, "dana": dana},
    )


@asynccontextmanager
async def open_scene(database: Database, owner_id: OwnerId, *, port: int = 0) -> AsyncGenerator[Scene]:
    """The console served over that database, with its history in it."""
    async with database.owner(owner_id) as connection:
        dana = await seed_history(connection, owner_id)
    bot = ConsoleBot("mara")
    board = PostgresBoard(database, owner_id, bot.account)
    await bot.start()
    async with serve(build_app(bot, board, owner_name="Mara"), port=port) as console:
        yield Scene(database=database, owner_id=owner_id, bot=bot, console=console, dana=dana)
    await bot.stop()


async def follow_script(scene: Scene) -> None:
    """Be core, until cancelled."""
    async for event in scene.bot.events():
        if scene.deaf:
            return
        scene.delivered.append(event)
        async with scene.database.owner(scene.owner_id) as connection:
            await _apply(scene, connection, event)
        await scene.bot.acknowledge(event)


async def _apply(scene: Scene, connection: Connection, event: Event) -> None:
    match event:
        case MessageNew():
            await _take_message(scene, connection, event)
        case DraftAction(verb=DraftVerb.SEND | DraftVerb.EDIT):
            await _send(scene, connection, event)
        case DraftAction(verb=DraftVerb.DISCARD):
            await _settle(connection, scene.owner_id, event.draft, "discarded", Outcome.DISCARDED, None)
        case (
            DraftAction()
            | SuggestAsked()
            | MessageEdited()
            | MessagesDeleted()
            | Reaction()
            | AccessChanged()
            | Gap()
        ):
            pass
        case _:
            assert_never(event)


async def _take_message(scene: Scene, connection: Connection, event: MessageNew) -> None:
    assert event.members is not None
    person = event.members[0]
    opened = await open_chat(connection, scene.owner_id, scene.bot.account, person, None)
    message_id = await _store(
        scene,
        connection,
        opened.chat_id,
        event.message_id,
        event.text,
        sender=person if event.author is Author.CONTACT else None,
    )
    if event.author is Author.CONTACT and not scene.silent:
        await lay_card(connection, scene.owner_id, opened.chat_id, message_id)


async def _store(
    scene: Scene,
    connection: Connection,
    chat_id: ChatId,
    platform_id: str,
    text: str,
    *,
    sender: Person | None,
    origin: Origin = Origin.TYPED,
) -> int:
    source = await ensure_source(connection, scene.owner_id, SourceKind.CONSOLE, "console", scene.bot.account)
    sender_id = None
    if sender is not None:
        _, sender_id = await ensure_contact_account(
            connection, scene.owner_id, "console", realm("console", scene.bot.account), sender
        )
    cursor = await connection.execute(
        "SELECT audience_id FROM chats WHERE owner_id = %s AND id = %s", [scene.owner_id, chat_id]
    )
    row = await cursor.fetchone()
    assert row is not None
    message_id, _ = await store_message(
        connection,
        scene.owner_id,
        NewMessage(
            chat_id=chat_id,
            thread_id=None,
            platform_message_id=platform_id,
            sender_id=sender_id,
            sender_name=sender.name if sender else "Mara",
            origin=Origin.CONTACT if sender else origin,
            sent_at=datetime.now(UTC),
            text=text,
            reply_to=None,
            automatic=False,
            audience_id=row[0],
            source_id=source,
        ),
    )
    return message_id


async def lay_card(connection: Connection, owner_id: OwnerId, chat_id: ChatId, message_id: int) -> None:
    """Two drafts for the message, each resting on what was said before, and the stages behind them."""
    await connection.execute(
        """
        WITH turn AS (
            INSERT INTO turns (owner_id, chat_id, first_message_id, last_message_id, state, due_at)
            VALUES (%(owner)s, %(chat)s, %(message)s, %(message)s, 'suggested', now()) RETURNING id
        ), card AS (
            INSERT INTO cards (owner_id, turn_id, version, shown_at) SELECT %(owner)s, id, 0, now() FROM turn
        ), staged AS (
            INSERT INTO stages (owner_id, turn_id, version, stage, decided, why, took_ms)
            SELECT %(owner)s, id, 0, s.stage, s.decided, s.why, 3.2 FROM turn, (VALUES
                ('settle', 'one line, quiet since', '{"waited_seconds": 4.0}'::jsonb),
                ('decide', 'suggest', '{"reasons": ["it is a question"], "mode": "suggest"}'),
                ('recall', '3 messages', '{"used": ["2", "4"]}'),
                ('gate', 'both drafts may be shown', '{}')) AS s (stage, decided, why)
        ), draft AS (
            INSERT INTO drafts (owner_id, turn_id, version, position, text, intent, origin, confidence, risks,
                                state)
            SELECT %(owner)s, turn.id, 0, d.* FROM turn, (VALUES
                (1, 'Sure, I still have the key', 'agree', 'past_reply', 0.74, ARRAY['promise'], 'proposed'),
                (2, 'Let me check and tell you tonight', 'defer', 'deferral', 0.5, ARRAY[]::text[], 'proposed')
            ) AS d (position, text, intent, origin, confidence, risks, state)
            RETURNING id, position
        )
        INSERT INTO draft_evidence (owner_id, draft_id, message_id, position)
        SELECT %(owner)s, draft.id, m.id, row_number() OVER (ORDER BY m.id) FROM draft, messages m
        WHERE draft.position = 1 AND m.owner_id = %(owner)s AND m.platform_message_id IN ('4', '5')""",
        {"owner": owner_id, "chat": chat_id, "message": message_id},
    )


async def _send(scene: Scene, connection: Connection, action: DraftAction) -> None:
    cursor = await connection.execute(
        """
        SELECT d.text, t.chat_id FROM drafts d JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
        WHERE d.owner_id = %s AND d.id = %s""",
        [scene.owner_id, action.draft],
    )
    row = await cursor.fetchone()
    assert row is not None
    text = action.text or str(row[0])
    receipt = await scene.bot.send(action.chat, Outgoing(key=f"draft:{action.draft}", text=text))
    origin = Origin.EDITED if action.text else Origin.ACCEPTED
    await _store(scene, connection, row[1], receipt.message_ids[0], text, sender=None, origin=origin)
    outcome = Outcome.EDITED if action.text else Outcome.SENT
    await _settle(connection, scene.owner_id, action.draft, "sent", outcome, text)


async def _settle(
    connection: Connection, owner_id: OwnerId, draft: int, state: str, outcome: Outcome, text: str | None
) -> None:
    await connection.execute(
        """
        WITH settled AS (
            UPDATE drafts SET state = %(state)s WHERE owner_id = %(owner)s AND id = %(draft)s RETURNING turn_id
        ), labelled AS (
            INSERT INTO labels (owner_id, draft_id, outcome, final_text)
            VALUES (%(owner)s, %(draft)s, %(outcome)s, %(text)s)
        ), answered AS (
            UPDATE turns SET state = 'answered' WHERE owner_id = %(owner)s AND id = (SELECT turn_id FROM settled)
        )
        UPDATE cards SET closed_at = now(), outcome = %(outcome)s
        WHERE owner_id = %(owner)s AND turn_id = (SELECT turn_id FROM settled)""",
        {"owner": owner_id, "draft": draft, "state": state, "outcome": outcome, "text": text},
    )
