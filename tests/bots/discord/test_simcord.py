"""The bot on simcord, a simulator of Discord written by others: the same hands, another judge.

simcord feeds discord.py's own parsers and answers its REST calls with Discord's own checks and codes. It
has no sockets, sessions, nonces or user-installed apps: those are tried on our double.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import discord as library
import pytest
from pydantic import SecretStr
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle, UserHandle
from simcord.env import Env

from bots.discord.bot import DiscordBot
from bots.discord.card_view import BLOCKS
from bots.discord.config import DiscordConfig
from bots.discord.interactions import ADD, NOT_YOURS, SUGGEST
from core.bot import Capability, Card, CardDraft, Outgoing, ReceiptStatus
from core.desk import DeskDraft
from core.events import (
    Author,
    ChatRef,
    DraftAction,
    DraftVerb,
    Event,
    MessageEdited,
    MessageNew,
    MessageRef,
    MessagesDeleted,
    Reaction,
    SuggestAsked,
)
from core.vocabulary import ChatKind, Intent
from tests.bots.standins import MemoryDesk, MemoryState

E = TypeVar("E", bound=Event)


class BotWithoutGateway(DiscordBot):
    """The bot with simcord in place of sockets: it is logged in and told what happens from outside."""

    def __init__(self, owner: UserHandle, state: MemoryState, desk: MemoryDesk, *, content: bool) -> None:
        config = DiscordConfig(
            token=SecretStr("t"), patience=0.02, owner_id=str(owner.id), message_content=content
        )
        super().__init__(config=config, account=str(owner.id), state=state, desk=desk)
        self._session.client = self._session.new_client()

    @property
    def client(self) -> library.Client:
        return self._session.client

    def open(self) -> None:
        self._mailbox.open()

    def close(self) -> None:
        self._mailbox.close()


@dataclass(slots=True, kw_only=True)
class Simulated:
    """One world of simcord's, and the bot in it as core sees it."""

    env: Env
    mara: UserHandle
    """The owner."""
    bot: BotWithoutGateway
    state: MemoryState
    desk: MemoryDesk
    seen: list[Event] = field(default_factory=list[Event])
    listening: asyncio.Task[None] | None = None

    def listen(self) -> None:
        self.bot.open()
        self.listening = asyncio.create_task(self._take_in())

    async def _take_in(self) -> None:
        async for event in self.bot.events():
            self.seen.append(event)
            await self.bot.acknowledge(event)

    async def stop(self) -> None:
        self.bot.close()
        if self.listening is not None:
            await self.listening

    def ref(self, channel: ChannelHandle) -> ChatRef:
        return ChatRef(platform="discord", account=str(self.mara.id), chat=str(channel.id))

    async def of(self, kind: type[E]) -> list[E]:
        await self.env.settle()
        await asyncio.sleep(0)
        return [event for event in self.seen if isinstance(event, kind)]

    def card(self, chat: ChatRef, text: str, ticket: str = "") -> Card:
        draft = CardDraft(draft=17, text=text, intent=Intent.AGREE, origin="model", confidence=0.5)
        self.desk.drafts[17] = DeskDraft(draft=17, chat=chat, text=text)
        return Card(
            key="card-1-1", chat=chat, chat_title="Jonas", incoming=(), drafts=(draft,), ticket=ticket
        )

    async def restart(self) -> None:
        """Another process of the bot, on what the first one wrote down."""
        await self.stop()
        self.bot = BotWithoutGateway(self.mara, self.state, self.desk, content=True)
        await self.env.restart_bot(self.bot.client)
        self.listen()


@asynccontextmanager
async def simulated(*, content: bool = True) -> AsyncGenerator[Simulated]:
    env = Env(library.Client(intents=library.Intents.none()))
    mara = env.create_user("mara", global_name="Mara")  # the bot has to know its owner before it starts
    state, desk = MemoryState(), MemoryDesk()
    bot = BotWithoutGateway(mara, state, desk, content=content)
    env.bot = bot.client
    made = Simulated(env=env, mara=mara, bot=bot, state=state, desk=desk)
    await env.start()
    with env.time_context():
        made.listen()
        try:
            yield made
        finally:
            await made.stop()
            await env.shutdown()
    assert env.errors == []


@dataclass(slots=True, kw_only=True)
class Server:
    channel: ChannelHandle
    mara: MemberActor
    jonas: MemberActor


def server(made: Simulated) -> Server:
    guild = made.env.create_guild("Climbing")
    return Server(
        channel=guild.create_text_channel("general"),
        mara=guild.add_member(made.mara),
        jonas=guild.add_member(made.env.create_user("jonas", global_name="Jonas")),
    )


async def test_what_people_do_in_a_server_is_heard() -> None:
    async with simulated() as made:
        here = server(made)
        message = await here.jonas.send(here.channel, f"are you coming, <@{made.mara.id}>?")
        await here.mara.send(here.channel, "I am", reply_to=message)
        await here.jonas.edit(message, "are you coming at six?")
        await here.jonas.react(message, "👍")
        await here.jonas.delete(message)
        asked, answered = await made.of(MessageNew)
        assert (asked.text, asked.author, asked.mentions_owner) == (
            "are you coming, @Mara?",
            Author.CONTACT,
            True,
        )
        assert (asked.chat_title, asked.chat_kind) == ("Climbing · general", ChatKind.GROUP)
        assert (answered.author, answered.reply_to) == (Author.OWNER, str(message.id))
        assert [edit.text for edit in await made.of(MessageEdited)] == ["are you coming at six?"]
        assert [reaction.emoji for reaction in await made.of(Reaction)] == ["👍"]
        assert [gone.message_ids for gone in await made.of(MessagesDeleted)] == [(str(message.id),)]


async def test_pins_are_no_edits() -> None:
    async with simulated() as made:
        here = server(made)
        message = await here.jonas.send(here.channel, "the address")
        owner = MemberActor(made.env, made.env.guild, made.env.guild.owner)
        await owner.set_pinned(message, pinned=True)
        assert await made.of(MessageEdited) == []


async def test_without_the_content_intent_words_come_only_where_the_bot_is_meant() -> None:
    async with simulated(content=False) as made:
        here = server(made)
        await here.jonas.send(here.channel, "among ourselves")
        bot = made.env.backend.bot_user.id
        await here.jonas.send(here.channel, f"<@{bot}> hello")
        await here.jonas.send_dm("just us")
        meant, direct = await made.of(MessageNew)
        assert meant.text.endswith(" hello")
        assert direct.text == "just us"


async def test_a_forward_is_read_by_its_snapshot() -> None:
    async with simulated() as made:
        here = server(made)
        other = made.env.guild.create_text_channel("other")
        message = await here.jonas.send(here.channel, "meet at the wall")
        await here.jonas.forward(message, other)
        _, forward = await made.of(MessageNew)
        assert (forward.text, forward.reply_to) == ("meet at the wall", None)


async def test_a_thread_is_a_chat_of_its_own() -> None:
    async with simulated() as made:
        here = server(made)
        channel = made.bot.client.get_channel(here.channel.id)
        assert isinstance(channel, library.TextChannel)
        thread = await channel.create_thread(name="knots", type=library.ChannelType.public_thread)
        (handle,) = here.channel.threads
        await here.jonas.send(handle, "figure eight")
        (message,) = await made.of(MessageNew)
        assert (message.chat.chat, message.chat_title) == (str(thread.id), "Climbing · knots")


async def test_direct_chats_are_answered_as_the_bot() -> None:
    async with simulated() as made:
        here = server(made)
        await here.jonas.send_dm("hello?")
        (message,) = await made.of(MessageNew)
        assert (message.chat_kind, message.chat_title) == (ChatKind.DIRECT, "Jonas")
        assert Capability.SEND_AS_BOT in made.bot.capabilities(message.chat)
        receipt = await made.bot.send(
            message.chat, Outgoing(key="reply:1", text="Hi", reply_to=message.message_id)
        )
        assert receipt.status is ReceiptStatus.SENT
        (echo,) = [m for m in await made.of(MessageNew) if m.author is Author.SELF_AS_BOT]
        assert (echo.message_id, echo.text) == (receipt.message_ids[0], "Hi")


async def test_history_is_given_oldest_first_under_the_keys_of_live_messages() -> None:
    async with simulated() as made:
        here = server(made)
        raws = [await here.jonas.send(here.channel, f"line {n}") for n in range(30)]
        live = {m.message_id: m.key for m in await made.of(MessageNew)}
        read = [m async for m in made.bot.history(made.ref(here.channel), after=str(raws[4].id), limit=20)]
        assert [m.text for m in read] == [f"line {n}" for n in range(5, 25)]
        assert all(live[m.message_id] == m.key and m.backfilled for m in read)


async def test_suggest_a_reply_defers_in_secret_and_fills_the_slate_in() -> None:
    async with simulated() as made:
        here = server(made)
        message = await here.jonas.send(here.channel, "are you coming?")
        asking = await here.mara.context_menu(here.channel, SUGGEST, message)
        assert (asking.deferred, asking.ephemeral) == (True, True)
        (asked,) = await made.of(SuggestAsked)
        assert asked.message_id == str(message.id)
        await made.bot.show(made.card(asked.chat, "Yes, at six.", asked.ticket))
        assert asking.response is not None
        assert asking.response.ephemeral
        assert BLOCKS.findall(asking.response.content) == ["Yes, at six."]


async def test_buttons_and_form_work_after_a_restart() -> None:
    async with simulated() as made:
        here = server(made)
        message = await here.jonas.send(here.channel, "are you coming?")
        asking = await here.mara.context_menu(here.channel, SUGGEST, message)
        (asked,) = await made.of(SuggestAsked)
        await made.bot.show(made.card(asked.chat, "Yes, at six.", asked.ticket))
        await made.restart()
        assert asking.response is not None
        form = await here.mara.click(asking.response, label="Edit")
        assert form.modal is not None
        await here.mara.submit_modal(form, {"text": "Yes, at seven!"})
        await here.mara.click(asking.response, label="Post as the app")
        edited, sent = await made.of(DraftAction)
        assert (edited.verb, edited.text, edited.chat) == (DraftVerb.EDIT, "Yes, at seven!", asked.chat)
        assert sent.verb is DraftVerb.SEND
        why = await here.mara.click(asking.response, label="Why")
        assert why.response is not None
        assert (why.response.content, why.response.ephemeral) == ("decide: a question", True)


async def test_a_card_in_the_owners_chat_can_be_pressed_after_a_restart_and_is_taken_away() -> None:
    async with simulated() as made:
        here = server(made)
        await here.jonas.send_dm("hello?")
        (message,) = await made.of(MessageNew)
        await made.bot.show(made.card(message.chat, "Hi"))
        await made.restart()
        (shown,) = made.mara.dm_channel.history()
        await made.mara.click(shown, label="Discard")
        (action,) = await made.of(DraftAction)
        assert (action.verb, action.chat) == (DraftVerb.DISCARD, message.chat)
        await made.bot.withdraw("card-1-1", "discarded")
        (shown,) = made.mara.dm_channel.history()
        assert (shown.content, shown.components) == ("Discarded.", [])


async def test_the_owners_line_in_the_direct_chat_is_a_command_and_no_message() -> None:
    async with simulated() as made:
        await made.mara.send_dm("status")
        await made.env.settle()
        assert [m.content for m in made.mara.dm_channel.history()][-1] == "All is well."
        assert made.seen == []


async def test_somebody_else_gets_one_line_and_nothing_else() -> None:
    async with simulated() as made:
        here = server(made)
        message = await here.mara.send(here.channel, "secret")
        for name in (SUGGEST, ADD):
            tried = await here.jonas.context_menu(here.channel, name, message)
            assert tried.response is not None
            assert (tried.response.content, tried.response.ephemeral) == (NOT_YOURS, True)
        assert await made.of(SuggestAsked) == []
        assert len(await made.of(MessageNew)) == 1


@pytest.mark.parametrize(
    ("status", "code", "fate"),
    [
        (403, 50013, ReceiptStatus.REFUSED),
        (404, 10003, ReceiptStatus.REFUSED),
        (400, 50035, ReceiptStatus.REFUSED),
        (500, 0, ReceiptStatus.UNKNOWN),
    ],
)
async def test_real_error_codes_become_receipts(status: int, code: int, fate: ReceiptStatus) -> None:
    async with simulated() as made:
        here = server(made)
        made.env.inject_error("POST", "/channels/*/messages", status=status, code=code, times=None)
        receipt = await made.bot.send(made.ref(here.channel), Outgoing(key="reply:1", text="Hi"))
        assert receipt.status is fate
        assert receipt.reason


async def test_where_permissions_forbid_writing_nothing_is_offered() -> None:
    async with simulated() as made:
        here = server(made)
        channel = made.bot.client.get_channel(here.channel.id)
        assert isinstance(channel, library.TextChannel)
        await channel.set_permissions(channel.guild.default_role, send_messages=False)
        await channel.set_permissions(channel.guild.me, send_messages=False)
        await made.env.settle()
        assert Capability.SEND_AS_BOT not in made.bot.capabilities(made.ref(here.channel))
        receipt = await made.bot.send(made.ref(here.channel), Outgoing(key="reply:1", text="Hi"))
        assert receipt.status is ReceiptStatus.REFUSED


async def test_our_own_messages_are_edited_deleted_and_reacted_to() -> None:
    async with simulated() as made:
        here = server(made)
        chat = made.ref(here.channel)
        receipt = await made.bot.send(chat, Outgoing(key="reply:1", text="at six"))
        message = MessageRef(chat=chat, id=receipt.message_ids[0])
        assert (await made.bot.edit(message, "at seven")).status is ReceiptStatus.SENT
        fetched = await made.bot.fetch(message)
        assert fetched is not None
        assert fetched.text == "at seven"
        assert (await made.bot.react(message, "👍")).status is ReceiptStatus.SENT
        assert (await made.bot.delete([message])).status is ReceiptStatus.SENT
        assert await made.bot.fetch(message) is None
