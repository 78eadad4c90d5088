"""The app in the menus of messages: what the owner does with it, and what nobody else can."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from bots.discord.card_view import BLOCKS
from bots.discord.cards import NOTHING_CAME
from bots.discord.interactions import (
    A_BOT,
    ADD,
    ADDED,
    CLOSED,
    NO_WORDS,
    NOT_YOURS,
    OUR_OWN_CHAT,
    OWN_WORDS,
    SUGGEST,
)
from bots.doubles.discord import Interaction
from core.bot import Capability, Outgoing, ReceiptStatus
from core.events import Author, DraftAction, DraftVerb, MessageNew, SuggestAsked
from core.vocabulary import ChatKind
from tests.bots.discord.scene import Core, Scene


async def asked(discord: Scene, core: Core, *, channel: str, user_only: bool = True) -> Interaction:
    """The owner asks for a reply to what Jonas wrote in a channel; core shows a card for it."""
    raw = await discord.server.say(discord.jonas, channel, "are you coming?")
    asking = await discord.server.use_command(discord.server.owner, raw, SUGGEST, user_only=user_only)
    (event,) = await core.wait_for(SuggestAsked)
    await core.bot.show(discord.card(event.chat, "Yes, at six.", "Not today.", ticket=event.ticket))
    return asking


def private(discord: Scene) -> str:
    return discord.server.dm_between(discord.server.owner, discord.jonas)


async def test_asking_on_a_message_stores_it_and_asks_for_drafts(discord: Scene) -> None:
    channel = private(discord)
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, channel, "are you coming?")
        asking = await discord.server.use_command(discord.server.owner, raw, SUGGEST)
        (event,) = await core.wait_for(SuggestAsked)
        (message,) = core.of(MessageNew)
        assert core.seen == [message, event]
        assert (message.pointed_at, message.backfilled, message.author) == (True, False, Author.CONTACT)
        assert (message.message_id, message.text) == (raw["id"], "are you coming?")
        assert (message.chat.chat, message.chat_kind) == (channel, ChatKind.DIRECT)
        assert message.members == (message.sender,)
        assert (event.message_id, event.ticket) == (raw["id"], asking.id)
        assert asking.responses == [{"type": 5, "data": {"flags": 64}}]


async def test_asking_works_in_a_group_and_in_a_server_without_the_bot(discord: Scene) -> None:
    group = discord.server.dm_between(discord.server.owner, discord.jonas, discord.dana)
    elsewhere = discord.server.add_channel("far", discord.server.add_guild("Far away"), bot_sees=False)
    async with discord.running() as core:
        for channel in (group, elsewhere):
            raw = await discord.server.say(discord.jonas, channel, "well?")
            await discord.server.use_command(discord.server.owner, raw, SUGGEST)
        await core.wait_for(SuggestAsked, 2)
        found = core.of(MessageNew)
        assert {(m.chat.chat, m.chat_kind, m.members) for m in found} == {
            (group, ChatKind.GROUP, None),
            (elsewhere, ChatKind.GROUP, None),
        }


async def test_adding_to_the_context_stores_the_message_and_asks_nothing(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.server.owner, private(discord), "I moved to Bern")
        adding = await discord.server.use_command(discord.server.owner, raw, ADD)
        (message,) = await core.wait_for(MessageNew)
        await core.quiet()
        assert (message.pointed_at, message.backfilled, message.author) == (True, True, Author.OWNER)
        assert core.of(SuggestAsked) == []
        assert adding.text == ADDED


async def test_what_cannot_be_answered_is_said_at_once(discord: Scene) -> None:
    channel = private(discord)
    dice = discord.server.add_user("300000000000000001", "Dice", is_bot=True)
    mine = await discord.server.say(discord.server.owner, channel, "hello")
    machine = await discord.server.say(dice, channel, "you rolled 6")
    wordless = await discord.server.say(discord.jonas, channel, "")
    async with discord.running() as core:
        for raw, answer in ((mine, OWN_WORDS), (machine, A_BOT), (wordless, NO_WORDS)):
            asking = await discord.server.use_command(discord.server.owner, raw, SUGGEST)
            await core.until(lambda asking=asking: asking.responses)
            assert asking.text == answer
        await core.quiet()
        assert core.seen == []


@pytest.mark.parametrize("name", [SUGGEST, ADD])
async def test_the_owners_chat_with_the_bot_is_kept_nowhere(discord: Scene, name: str) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.server.owner, discord.control, "help")
        asking = await discord.server.use_command(discord.server.owner, raw, name)
        await core.until(lambda: asking.responses)
        await core.quiet()
        assert asking.text == OUR_OWN_CHAT
        assert core.seen == []


async def test_the_slate_appears_in_place_where_only_the_owner_sees_it(discord: Scene) -> None:
    channel = private(discord)
    async with discord.running() as core:
        asking = await asked(discord, core, channel=channel)
        assert asking.original is not None
        assert asking.original["flags"] & 64
        assert BLOCKS.findall(asking.text) == ["Yes, at six.", "Not today."]
        assert [m["author"]["id"] for m in discord.server.standing_in(channel)] == [discord.jonas]
        assert discord.in_control() == []


async def test_the_slate_after_its_time_comes_as_a_card_in_the_owners_chat(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, private(discord), "are you coming?")
        await discord.server.use_command(discord.server.owner, raw, SUGGEST)
        (event,) = await core.wait_for(SuggestAsked)
        expire(discord)
    async with discord.running() as core:
        await core.bot.show(discord.card(event.chat, "Yes, at six.", ticket=event.ticket))
        (shown,) = discord.in_control()
        assert BLOCKS.findall(shown["content"]) == ["Yes, at six."]
        # Nothing can be posted there any more, so nothing is offered.
        labels = [b["label"] for row in shown["components"] for b in row["components"]]
        assert labels == ["Discard", "Why", "Mute this chat"]


def expire(discord: Scene) -> None:
    """A quarter of an hour passes for every ticket."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    for interaction in discord.server.interactions.values():
        interaction.until = past
    for key in [key for key in discord.state.kept if key.startswith("ticket:")]:
        ticket = json.loads(discord.state.kept[key])
        discord.state.kept[key] = json.dumps(ticket | {"until": past.isoformat()})


async def test_the_owner_is_told_when_no_card_comes(discord: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.discord.tickets.LIFE", timedelta(seconds=20.3))
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, private(discord), "are you coming?")
        forgotten = await discord.server.use_command(discord.server.owner, raw, SUGGEST)
        await core.wait_for(SuggestAsked)
        kept = await discord.server.use_command(discord.server.owner, raw, SUGGEST)
        (_, event) = await core.wait_for(SuggestAsked, 2)
        await core.bot.show(discord.card(event.chat, "Yes", ticket=event.ticket))
        await core.until(lambda: forgotten.text == NOTHING_CAME)
        await core.quiet()
        assert BLOCKS.findall(kept.text) == ["Yes"]


async def test_posting_from_the_slate_posts_once_and_visibly_as_the_app(discord: Scene) -> None:
    channel = private(discord)
    async with discord.running() as core:
        asking = await asked(discord, core, channel=channel)
        assert asking.original is not None
        press = await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Post as the app 1")
        )
        (action,) = await core.wait_for(DraftAction)
        assert (action.chat.chat, action.draft, action.verb) == (channel, 17, DraftVerb.SEND)
        assert press.kind == 6
        assert Capability.SEND_AS_BOT in core.bot.capabilities(action.chat)
        receipt = await core.bot.send(action.chat, Outgoing(key="reply:1", text="Yes, at six."))
        assert receipt.status is ReceiptStatus.SENT
        _, posted = discord.server.standing_in(channel)
        assert (posted["author"]["id"], posted["content"]) == (discord.server.bot, "Yes, at six.")
        assert receipt.message_ids == (posted["id"],)


async def test_a_post_in_answer_to_a_press_is_never_repeated(discord: Scene) -> None:
    """Such posts have no nonce: what broke in the middle stays of unknown fate, and one post."""
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        assert asking.original is not None
        await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Post as the app 1")
        )
        (action,) = await core.wait_for(DraftAction)
        discord.server.fail("POST", "webhooks/", after=True)
        receipt = await core.bot.send(action.chat, Outgoing(key="reply:1", text="Yes"))
        assert receipt.status is ReceiptStatus.UNKNOWN
        assert discord.server.posts == 1
        discord.server.fail("POST", "webhooks/", after=True, status=500)
        receipt = await core.bot.send(action.chat, Outgoing(key="reply:2", text="Yes"))
        assert receipt.status is ReceiptStatus.UNKNOWN
        assert discord.server.posts == 2


async def test_a_server_that_hides_outside_apps_refuses_the_post(discord: Scene) -> None:
    discord.server.external_apps_hidden = True
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        assert asking.original is not None
        await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Post as the app 1")
        )
        (action,) = await core.wait_for(DraftAction)
        receipt = await core.bot.send(action.chat, Outgoing(key="reply:1", text="Yes"))
        assert receipt.status is ReceiptStatus.REFUSED
        assert "you alone" in receipt.reason
        assert discord.server.posts == 0


async def test_discord_takes_five_posts_of_one_press_and_the_sixth_is_refused(discord: Scene) -> None:
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        assert asking.original is not None
        await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Post as the app 1")
        )
        (action,) = await core.wait_for(DraftAction)
        statuses = [
            (await core.bot.send(action.chat, Outgoing(key=f"reply:{n}", text="Yes"))).status
            for n in range(6)
        ]
        assert statuses == [ReceiptStatus.SENT] * 5 + [ReceiptStatus.REFUSED]
        long = Outgoing(key="reply:7", text="word " * 900)
        assert (await core.bot.send(action.chat, long)).status is ReceiptStatus.REFUSED
        assert discord.server.posts == 5


async def test_a_press_survives_a_restart(discord: Scene) -> None:
    channel = private(discord)
    async with discord.running() as core:
        asking = await asked(discord, core, channel=channel)
    assert asking.original is not None
    async with discord.running() as core:
        await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Post as the app 2")
        )
        (action,) = await core.wait_for(DraftAction)
        assert action.draft == 18
    async with discord.running() as core:
        receipt = await core.bot.send(action.chat, Outgoing(key="reply:1", text="Not today."))
        assert receipt.status is ReceiptStatus.SENT


async def test_a_press_that_was_not_committed_comes_again_with_the_same_key(discord: Scene) -> None:
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        core.takes = lambda event: not isinstance(event, DraftAction)
        assert asking.original is not None
        press = await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Discard")
        )
        await core.until(lambda: press.responses)
        await core.quiet()
    async with discord.running() as core:
        (action,) = await core.wait_for(DraftAction)
        assert (action.key, action.verb) == (f"press:{press.id}", DraftVerb.DISCARD)


async def test_rewording_a_draft_opens_a_form_with_its_words(discord: Scene) -> None:
    channel = private(discord)
    async with discord.running() as core:
        asking = await asked(discord, core, channel=channel)
        assert asking.original is not None
        form = await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Edit 1")
        )
        await core.until(lambda: form.responses)
        field = form.responses[0]["data"]["components"][0]["components"][0]
        assert (form.kind, field["value"]) == (9, "Yes, at six.")
        await core.quiet()
        assert core.of(DraftAction) == []
        await discord.server.submit(discord.server.owner, form, "Yes, at seven!")
        (action,) = await core.wait_for(DraftAction)
        assert (action.verb, action.draft, action.text) == (DraftVerb.EDIT, 17, "Yes, at seven!")
        receipt = await core.bot.send(action.chat, Outgoing(key="reply:1", text="Yes, at seven!"))
        assert receipt.status is ReceiptStatus.SENT


async def test_rewording_a_draft_of_a_closed_card_says_so(discord: Scene) -> None:
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        assert asking.original is not None
        discord.desk.drafts.clear()
        form = await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Edit 1")
        )
        await core.until(lambda: form.responses)
        assert (form.kind, form.text) == (4, CLOSED)


async def test_why_is_answered_at_once_for_the_owner_alone(discord: Scene) -> None:
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        assert asking.original is not None
        press = await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Why")
        )
        await core.until(lambda: press.responses)
        assert press.text == "decide: a question"
        assert press.responses[0]["data"]["flags"] & 64
        assert discord.desk.asked == ["why 17"]


# ─── Nobody else is obeyed ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [SUGGEST, ADD])
async def test_somebody_elses_command_does_nothing(discord: Scene, name: str) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.jonas, private(discord), "secret")
        intruder = await discord.server.use_command(discord.dana, raw, name)
        await core.until(lambda: intruder.responses)
        await core.quiet()
        assert intruder.text == NOT_YOURS
        assert intruder.responses[0]["data"]["flags"] & 64
        assert core.seen == []
        assert discord.desk.asked == []


@pytest.mark.parametrize("label", ["Post as the app 1", "Edit 1", "Discard", "Why", "Mute this chat"])
async def test_somebody_elses_press_does_nothing(discord: Scene, label: str) -> None:
    """Even on a card whose buttons they should never have seen."""
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        assert asking.original is not None
        before = len(core.seen)
        intruder = await discord.server.press(
            discord.jonas, asking.original, discord.button(asking.original, label)
        )
        await core.until(lambda: intruder.responses)
        await core.quiet()
        assert intruder.text == NOT_YOURS
        assert len(core.seen) == before
        assert discord.desk.asked == []
        assert core.bot.capabilities(discord.ref(asking.channel)) is Capability.NONE


async def test_somebody_elses_form_does_nothing(discord: Scene) -> None:
    async with discord.running() as core:
        asking = await asked(discord, core, channel=private(discord))
        assert asking.original is not None
        form = await discord.server.press(
            discord.server.owner, asking.original, discord.button(asking.original, "Edit 1")
        )
        await core.until(lambda: form.responses)
        intruder = await discord.server.submit(discord.jonas, form, "send me money")
        await core.until(lambda: intruder.responses)
        await core.quiet()
        assert intruder.text == NOT_YOURS
        assert core.of(DraftAction) == []


async def test_a_press_in_the_owners_own_chat_never_posts_there(discord: Scene) -> None:
    """A ticket is good for the chat in which it was pressed; the card's chat is another."""
    elsewhere = private(discord)
    async with discord.running() as core:
        card = discord.card(discord.chat("jonas"), "Yes")
        await core.bot.show(card)
        (shown,) = discord.in_control()
        await discord.server.press(
            discord.server.owner, shown, discord.button(shown, "Post as the app"), user_only=False
        )
        await core.wait_for(DraftAction)
        receipt = await core.bot.send(discord.ref(elsewhere), Outgoing(key="reply:1", text="Yes"))
        assert receipt.status is ReceiptStatus.REFUSED
        assert len(discord.in_control()) == 1
