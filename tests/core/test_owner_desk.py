"""The owner's desk: what is asked for in a chat with Locum is done, and told in a sentence."""

import json
from datetime import timedelta

import pytest

from core.errors import BadInput
from core.events import Gap
from core.ids import OwnerId
from core.owner_desk import PostgresDesk
from core.privacy import privacy_text
from core.reply.inbox import Lane
from core.settings import Settings
from core.storage.database import Database
from core.vocabulary import ChatKind, Mode
from tests.core.reply.world import World


async def privacy() -> str:
    return "All stays here."


def desk_of(world: World) -> PostgresDesk:
    return PostgresDesk(
        world.database,
        world.host.account,
        privacy=privacy,
        clock=world.clock,
        troubles=lambda: ("slack: away",),
    )


async def asked_by_ines(database: Database, owner: OwnerId, platform: str = "telegram") -> World:
    world = await World.open(database, owner, platform=platform)
    world.bot.say("ines", "ines", "Are you free on Friday evening?")
    await world.pump(seconds=10)
    return world


async def test_the_status_tells_chats_cards_pauses_and_troubles(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner)
    desk = desk_of(world)
    await desk.pause(3)
    lines = (await desk.status()).splitlines()
    assert lines[0] == "1 chat, 1 open card."
    assert any(line.startswith("Paused until") for line in lines)
    assert lines[-1] == "slack: away"
    assert await desk.pause(None) == "Not paused any more."
    assert "Paused" not in await desk.status()


async def test_a_gap_is_told_with_the_chat_it_is_in(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner)
    since = world.clock.now() - timedelta(hours=2)
    gap = Gap(key="gap:1", chat=world.bot.chat("ines"), at=world.clock.now(), since=since)
    await world.host.path.receive(world.host.account, gap)
    await world.path.work(Lane(owner_id=owner, account_id=world.host.account.id, chat="ines"))
    assert f"Messages of ines may be missing: {since:%Y-%m-%d %H:%M}" in await desk_of(world).status()


async def test_a_pause_of_one_chat_holds_there_alone(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner)
    desk = desk_of(world)
    await desk.pause(1, world.bot.chat("ines"))
    for contact in ("ines", "dana"):
        world.bot.say(contact, contact, "When does the train leave on Monday?")
    await world.pump(seconds=10)
    assert {card.chat.chat for card in world.bot.cards.values()} == {"dana"}
    chat = await desk.chat(world.bot.chat("ines"))
    assert chat is not None
    assert chat.paused_until is not None


async def test_a_draft_is_found_by_its_number_while_its_card_is_open(
    database: Database, owner: OwnerId
) -> None:
    world = await asked_by_ines(database, owner)
    desk = desk_of(world)
    draft = world.card.drafts[0]
    found = await desk.draft(draft.draft)
    assert found is not None
    assert (found.chat, found.text) == (world.bot.chat("ines"), draft.text)
    why = await desk.why(draft.draft)
    assert "Read: 1 message\nDecided: suggest" in why
    assert "rests on" in why
    world.bot.owner_types("ines", "I'll call you")
    await world.pump()
    assert await desk.draft(draft.draft) is None
    assert await desk.draft(999_999) is None
    assert await desk.why(999_999) == "Nothing is kept about that draft any more."


async def test_another_accounts_draft_is_not_found(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner)
    other = await World.open(database, owner, platform="slack")
    assert await desk_of(other).draft(world.card.drafts[0].draft) is None
    assert await desk_of(other).chats() == ()


async def test_chats_are_listed_with_their_rules_and_changed(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner)
    desk = desk_of(world)
    (chat,) = await desk.chats("INE")
    assert (chat.kind, chat.mode, chat.listened) == (ChatKind.DIRECT, Mode.SUGGEST, True)
    assert chat.newest_at == world.clock.now() - timedelta(seconds=10)
    assert (await desk.set_mode(chat.ref, Mode.OFF)).startswith("ines: off")
    assert (await desk.listen(chat.ref, on=False)).startswith("ines: from now on, nothing")
    changed = await desk.chat(chat.ref)
    assert changed is not None
    assert (changed.mode, changed.listened) == (Mode.OFF, False)
    assert "does not send unasked on Telegram" in await desk.set_mode(chat.ref, Mode.AUTO)
    assert "not known" in await desk.listen(world.bot.chat("nobody"), on=True)


async def test_forgetting_tells_first_and_removes_when_confirmed(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner)
    desk = desk_of(world)
    told = await desk.forget("ines")
    assert "This would go for good: 1 message" in told
    assert told.startswith("ines (")
    assert len(await world.rows("SELECT FROM messages")) == 1
    assert (await desk.forget("ines", confirmed=True)).startswith("Forgotten: 1 message")
    assert await world.rows("SELECT FROM messages") == []
    with pytest.raises(BadInput, match="is called 'nobody'"):
        await desk.forget("nobody", confirmed=True)


async def test_an_export_holds_what_is_kept_about_somebody_and_nothing_else(
    database: Database, owner: OwnerId
) -> None:
    world = await asked_by_ines(database, owner)
    world.bot.say("dana", "dana", "Nothing to do with it")
    await world.pump(seconds=10)
    desk = desk_of(world)
    about = json.loads(await desk.export("ines"))
    assert [message["text"] for message in about["messages"]] == ["Are you free on Friday evening?"]
    assert about["drafts"] != []
    assert len(json.loads(await desk.export())["messages"]) == 2
    with pytest.raises(BadInput, match="nobody"):
        await desk.export("nobody")


async def test_an_export_holds_what_others_said_of_somebody(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner)
    world.bot.say("dana", "dana", "Ines has moved to Lyon")
    await world.pump(seconds=10)
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            WITH said AS (SELECT id, audience_id FROM messages WHERE text LIKE 'Ines%%'),
            fact AS (
                INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, slot, statement, confidence,
                                   audience_id, valid_from, extractor)
                SELECT %(owner)s, 'contact', a.contact_id, 'Ines', 'home', 'home_city', 'lives in Lyon', 0.9,
                       said.audience_id, now(), 'rules'
                FROM said, contact_accounts a WHERE a.platform_user_id = 'ines' RETURNING id)
            INSERT INTO fact_sources (owner_id, fact_id, message_id) SELECT %(owner)s, fact.id, said.id FROM fact, said
            """,
            {"owner": owner},
        )
    about = json.loads(await desk_of(world).export("ines"))
    assert [fact["statement"] for fact in about["facts"]] == ["lives in Lyon"]
    assert [message["text"] for message in about["messages"]] == ["Are you free on Friday evening?"]


async def test_what_became_of_the_account_is_in_the_audit(database: Database, owner: OwnerId) -> None:
    world = await World.open(database, owner, platform="slack")
    await desk_of(world).heard("revoked")
    assert await world.rows("SELECT subject ->> 'state' FROM audit WHERE action = 'account.changed'") == [
        ("revoked",)
    ]


async def test_the_privacy_text_says_what_the_consents_say(database: Database, owner: OwnerId) -> None:
    world = await asked_by_ines(database, owner, "discord")
    account = world.host.account
    local = await privacy_text(database, account, Settings())
    assert "No profiles of people" in local
    assert "No model is trained" in local
    assert "Nothing of it leaves this machine." in local
    remote = Settings(model_url="https://models.example.org/v1")
    assert "not sent to the model that drafts (models.example.org)" in await privacy_text(
        database, account, remote
    )
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sources SET may_leave = true WHERE owner_id = %s", [owner])
    assert "sent to the model that drafts (models.example.org)." in await privacy_text(
        database, account, remote
    )
