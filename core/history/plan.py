"""Before the messages: the batch, and a row for every account, person and chat of the export."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.events import Person
from core.history.record import UNNAMED
from core.history.survey import AccountKey, Stay, Survey, SurveyedChat
from core.ids import AccountId, AudienceId, BatchId, ChatId, ContactId, OwnerId, SourceId
from core.memory.membership import (
    Chat,
    Stint,
    add_members,
    close_stays,
    current_members,
    ensure_audience,
    lock_chat,
    settle_audience,
)
from core.memory.people import (
    ensure_account,
    ensure_chat,
    ensure_contact_accounts,
    ensure_source,
    realm,
)
from core.storage.database import Connection
from core.vocabulary import ChatKind, SourceKind

MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a chat's messages go, or in `left_out` the kind of refusal."""

    chat_id: ChatId
    audience_id: AudienceId
    source_id: SourceId
    owner: str
    senders: Mapping[str, int]
    """contact_account by platform user id."""
    silent: frozenset[str] = frozenset()
    """Platform user ids of people who opted out."""
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    batch: BatchId
    places: Mapping[tuple[str, str, str], Place]
    new_chats: int
    new_contacts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    id: AccountId
    platform: str
    name: str
    source_id: SourceId
    owner: str
    people: Mapping[str, tuple[ContactId, int]]
    opted_out: frozenset[ContactId]
    forgotten: frozenset[str]


async def make_plan(
    connection: Connection,
    owner_id: OwnerId,
    survey: Survey,
    *,
    label: str,
    training: bool | None,
) -> Plan:
    """The batch's plan; every row that it needs is there when it returns. One transaction."""
    keys = survey.accounts()
    named = {key: (key[0], survey.owners[key]) if key[1] == UNNAMED else key for key in keys}
    sources = {key: await _source(connection, owner_id, named[key], training=training) for key in keys}
    batch = await _open_batch(connection, owner_id, sources[keys[0]], survey.format, label)
    accounts = {
        key: await _account(connection, owner_id, key, named[key][1], survey, sources[key], batch)
        for key in keys
    }
    places = {
        key: await _place(connection, owner_id, surveyed, accounts[key[0], key[1]], batch)
        for key, surveyed in survey.chats.items()
    }
    cursor = await connection.execute(
        """
        SELECT (SELECT count(*) FROM chats WHERE owner_id = %s AND batch_id = %s),
               (SELECT count(*) FROM contacts WHERE owner_id = %s AND batch_id = %s)""",
        [owner_id, batch, owner_id, batch],
    )
    row = await cursor.fetchone()
    chats, contacts = (int(row[0]), int(row[1])) if row else (0, 0)
    return Plan(batch=batch, places=places, new_chats=chats, new_contacts=contacts)


async def _source(
    connection: Connection, owner_id: OwnerId, key: AccountKey, *, training: bool | None
) -> SourceId:
    source = await ensure_source(connection, owner_id, SourceKind.EXPORT, *key, may_train=bool(training))
    if training is not None:
        await connection.execute(
            "UPDATE sources SET may_train = %s WHERE owner_id = %s AND id = %s AND may_train <> %s",
            [training, owner_id, source, training],
        )
    return source


async def _open_batch(
    connection: Connection, owner_id: OwnerId, source: SourceId, format_name: str, label: str
) -> BatchId:
    cursor = await connection.execute(
        """
        INSERT INTO import_batches (owner_id, source_id, format, label) VALUES (%s, %s, %s, %s)
        RETURNING id""",
        [owner_id, source, format_name, label],
    )
    row = await cursor.fetchone()
    assert row is not None, "INSERT ... RETURNING gives a row"  # noqa: S101 -- for the type checker
    return BatchId(int(row[0]))


async def _account(
    connection: Connection,
    owner_id: OwnerId,
    key: AccountKey,
    name: str,
    survey: Survey,
    source: SourceId,
    batch: BatchId,
) -> _Account:
    platform = key[0]
    owner = survey.owners[key]
    account = await ensure_account(connection, owner_id, platform, name, owner, batch=batch)
    cursor = await connection.execute(
        "SELECT name FROM accounts WHERE owner_id = %s AND id = %s", [owner_id, account]
    )
    row = await cursor.fetchone()
    stored = str(row[0]) if row else name
    forgotten = await _forgotten_chats(connection, owner_id, platform, {name, stored})
    chats = [chat for chat in survey.of_account(key) if chat.chat.id not in forgotten]
    people = await ensure_contact_accounts(
        connection, owner_id, platform, realm(platform, stored), list(_people(chats, owner)), batch
    )
    cursor = await connection.execute(
        "SELECT id FROM contacts WHERE owner_id = %s AND opted_out_at IS NOT NULL", [owner_id]
    )
    opted_out = frozenset(ContactId(int(row[0])) for row in await cursor.fetchall())
    return _Account(
        id=account,
        platform=platform,
        name=stored,
        source_id=source,
        owner=owner,
        people=people,
        opted_out=opted_out,
        forgotten=forgotten,
    )


def _people(chats: Iterable[SurveyedChat], owner: str) -> Iterable[Person]:
    found: dict[str, Person] = {}
    for chat in chats:
        for key, stays in chat.stays.items():
            if key != owner:
                found.setdefault(key, stays[-1].person)
    return found.values()


async def _forgotten_chats(
    connection: Connection, owner_id: OwnerId, platform: str, names: set[str]
) -> frozenset[str]:
    cursor = await connection.execute(
        """
        SELECT platform_chat_id FROM tombstones
        WHERE owner_id = %s AND platform = %s AND account = ANY (%s) AND platform_message_id IS NULL""",
        [owner_id, platform, list(names)],
    )
    return frozenset(str(row[0]) for row in await cursor.fetchall())


async def _place(
    connection: Connection,
    owner_id: OwnerId,
    surveyed: SurveyedChat,
    account: _Account,
    batch: BatchId,
) -> Place:
    others = {key: stays for key, stays in surveyed.stays.items() if key != account.owner}
    if surveyed.chat.id in account.forgotten:
        return _nowhere("forgotten")
    contacts = {key: account.people[key][0] for key in others}
    silent = frozenset(key for key, contact in contacts.items() if contact in account.opted_out)
    if silent and surveyed.chat.kind == ChatKind.DIRECT:
        return _nowhere("opted_out")
    chat, audience = await _chat(connection, owner_id, surveyed, account, others, contacts, batch)
    return Place(
        chat_id=chat.id,
        audience_id=audience,
        source_id=account.source_id
        if _teaches(surveyed, others)
        else await _untaught(connection, owner_id, account),
        owner=account.owner,
        senders={key: account.people[key][1] for key in others},
        silent=silent,
    )


def _teaches(surveyed: SurveyedChat, others: Mapping[str, list[Stay]]) -> bool:
    """Whether people talk here: a chat of two with a bot is none."""
    bots = [stays[-1].person.is_bot for stays in others.values()]
    return surveyed.chat.teaches and not (surveyed.chat.kind == ChatKind.DIRECT and bots and all(bots))


async def _untaught(connection: Connection, owner_id: OwnerId, account: _Account) -> SourceId:
    """The source of what is remembered and never trained on, whatever was agreed for the rest."""
    name = f"{account.name}: notes and bots"
    return await ensure_source(
        connection, owner_id, SourceKind.EXPORT, account.platform, name, may_train=False
    )


def _nowhere(why: str) -> Place:
    return Place(
        chat_id=ChatId(0),
        audience_id=AudienceId(0),
        source_id=SourceId(0),
        owner="",
        senders={},
        left_out=why,
    )


async def _chat(
    connection: Connection,
    owner_id: OwnerId,
    surveyed: SurveyedChat,
    account: _Account,
    others: Mapping[str, list[Stay]],
    contacts: Mapping[str, ContactId],
    batch: BatchId,
) -> tuple[Chat, AudienceId]:
    """The chat with its members merged in, and the audience of what this export holds of it."""
    known = await lock_chat(connection, owner_id, account.id, surveyed.chat.id)
    chat = await ensure_chat(
        connection,
        owner_id,
        account.id,
        surveyed.chat.id,
        surveyed.chat.kind,
        surveyed.chat.title,
        batch=batch,
    )
    if chat.kind != ChatKind.PUBLIC:
        stale = known is not None and await _is_older(connection, owner_id, chat, surveyed.last)
        current = set(await current_members(connection, owner_id, chat.id)) if known else set[ContactId]()
        stints = [
            _stint(stay, contacts[key], surveyed, ends=stale and contacts[key] not in current)
            for key, stays in others.items()
            for stay in stays
        ]
        await add_members(connection, owner_id, chat.id, stints, batch)
        if known is not None and not stale and surveyed.listed:
            staying = [stint.contact_id for stint in stints if stint.left is None]
            await close_stays(connection, owner_id, chat.id, staying, surveyed.last, batch)
    by_import = chat.batch_id is not None
    chat = await settle_audience(
        connection,
        owner_id,
        chat,
        members_known=chat.members_known or (by_import and surveyed.listed),
        batch=batch,
    )
    return chat, await _audience(connection, owner_id, chat, surveyed)


async def _is_older(connection: Connection, owner_id: OwnerId, chat: Chat, last: datetime) -> bool:
    """The chat went on after this export, so that its last members may have left since."""
    if chat.batch_id is None:
        return True
    cursor = await connection.execute(
        "SELECT max(sent_at) > %s FROM messages WHERE owner_id = %s AND chat_id = %s",
        [last, owner_id, chat.id],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


def _stint(stay: Stay, contact: ContactId, surveyed: SurveyedChat, *, ends: bool) -> Stint:
    if surveyed.chat.kind == ChatKind.DIRECT:
        return Stint(contact_id=contact, joined=None)
    members = surveyed.chat.members
    unlisted = surveyed.listed and members is not None and stay.person.id not in {m.id for m in members}
    left = stay.left or (stay.seen + MOMENT if ends or unlisted else None)
    return Stint(contact_id=contact, joined=stay.joined, left=left)


async def _audience(
    connection: Connection, owner_id: OwnerId, chat: Chat, surveyed: SurveyedChat
) -> AudienceId:
    """Who was listening to what this export holds: not known from a list means the owner only."""
    if chat.kind == ChatKind.GROUP:
        if surveyed.listed:
            return await ensure_audience(connection, owner_id, "chat", chat_id=chat.id)
        return await ensure_audience(connection, owner_id, "owner")
    return chat.audience_id
