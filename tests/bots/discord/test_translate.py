"""What happens on Discord, as core's events."""

from core.errors import ModelError
from core.events import AccessChanged, Author, MessageEdited, MessageNew, MessagesDeleted, Reaction
from core.vocabulary import ChatKind
from tests.bots.discord.scene import Core, Scene


async def only_message(core: Core) -> MessageNew:
    (message,) = await core.wait_for(MessageNew)
    return message


async def test_a_server_channel_is_a_group_whose_readers_are_unknown(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.dana, discord.channel, "hi all")
        message = await only_message(core)
        assert (message.chat_kind, message.members) == (ChatKind.GROUP, None)
        assert message.chat_title == "Climbing · general"
        assert message.chat.chat == discord.channel
        assert message.chat.thread is None


async def test_a_thread_is_a_chat_of_its_own_as_in_what_is_imported(discord: Scene) -> None:
    thread = discord.server.add_channel("knots", discord.guild, thread_of=discord.channel)
    async with discord.running() as core:
        await discord.server.say(discord.dana, thread, "figure eight")
        message = await only_message(core)
        assert (message.chat.chat, message.chat.thread) == (thread, None)
        assert message.chat_title == "Climbing · knots"


async def test_what_the_owner_types_in_a_server_is_the_owners(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.server.owner, discord.channel, "I'll bring the rope")
        assert (await only_message(core)).author is Author.OWNER


async def test_other_bots_and_webhooks_are_bots(discord: Scene) -> None:
    bot = discord.server.add_user("300000000000000001", "Dice", is_bot=True)
    async with discord.running() as core:
        await discord.server.say(bot, discord.channel, "you rolled 6")
        await discord.server.say(discord.dana, discord.channel, "news", webhook_id="5")
        found = await core.wait_for(MessageNew, 2)
        assert [m.author for m in found] == [Author.BOT, Author.BOT]


async def test_a_mention_of_the_owner_and_a_reply_to_the_owner_are_marked(discord: Scene) -> None:
    owner = discord.server.owner
    async with discord.running() as core:
        mine = await discord.server.say(owner, discord.channel, "who is coming?")
        await discord.server.say(discord.dana, discord.channel, f"<@{owner}> me")
        await discord.server.say(
            discord.jonas, discord.channel, "me too", message_reference={"message_id": mine["id"]}
        )
        await discord.server.say(discord.jonas, discord.channel, "nice weather")
        found = await core.wait_for(MessageNew, 4)
        assert [m.mentions_owner for m in found] == [False, True, True, False]
        assert [m.reply_to for m in found] == [None, None, mine["id"], None]
        assert found[1].text == "@Mara me"


async def test_names_and_emoji_stand_where_ids_were(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.dana, discord.channel, f"<@{discord.jonas}> <:rope:1234> <@999>")
        assert (await only_message(core)).text == "@Jonas :rope: @999"


async def test_without_the_content_intent_only_what_was_meant_for_the_bot_comes(discord: Scene) -> None:
    async with discord.running(message_content=False) as core:
        await discord.server.say(discord.dana, discord.channel, "among ourselves")
        await discord.server.say(discord.dana, discord.channel, f"<@{discord.server.bot}> are you there?")
        await discord.server.say(discord.jonas, discord.with_jonas, "just us")
        found = await core.wait_for(MessageNew, 2)
        await core.quiet()
        assert {m.text for m in found} == {"@Locum are you there?", "just us"}
        assert len(core.seen) == 2


async def test_notices_of_the_platform_are_no_messages(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.dana, discord.channel, "Dana joined", type=7)
        await discord.server.say(discord.dana, discord.channel, "hello")
        assert (await only_message(core)).text == "hello"


async def test_an_edit_is_told_with_the_whole_message_and_previews_are_no_edits(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.dana, discord.channel, "https://example.org at six")
        await discord.server.unfurl(raw)
        await discord.server.rewrite(raw, "https://example.org at seven")
        await discord.server.unfurl(raw)
        (edit, *again) = await core.wait_for(MessageEdited)
        await core.quiet()
        assert edit.text == "https://example.org at seven"
        assert edit.original is not None
        assert edit.original.key == f"message:{discord.channel}:{raw['id']}"
        # A preview of an edited message brings the same edit again, under the same key.
        assert {other.key for other in again} <= {edit.key}


async def test_deletions_are_told_one_by_one_and_in_bulk(discord: Scene) -> None:
    async with discord.running() as core:
        raws = [await discord.server.say(discord.dana, discord.channel, text) for text in "abc"]
        await discord.server.erase(raws[0])
        await discord.server.erase(*raws[1:])
        one, several = await core.wait_for(MessagesDeleted, 2)
        assert one.message_ids == (raws[0]["id"],)
        assert set(several.message_ids) == {raws[1]["id"], raws[2]["id"]}


async def test_a_reaction_put_taken_and_put_again_is_three_events(discord: Scene) -> None:
    async with discord.running() as core:
        raw = await discord.server.say(discord.dana, discord.channel, "done")
        for added in (True, False, True):
            await discord.server.put_reaction(discord.jonas, raw, "👍", added=added)
        found = await core.wait_for(Reaction, 3)
        assert len({reaction.key for reaction in found}) == 3
        assert [reaction.added for reaction in found] == [True, False, True]
        assert {(r.emoji, r.sender.id, r.author) for r in found} == {("👍", discord.jonas, Author.CONTACT)}


async def test_a_reaction_has_the_same_key_when_it_is_replayed(discord: Scene) -> None:
    async with discord.running() as core:
        core.takes = lambda event: not isinstance(event, Reaction)
        raw = await discord.server.say(discord.dana, discord.channel, "done")
        await discord.server.put_reaction(discord.jonas, raw, "👍")
        await core.until(lambda: len(core.offered) == 2)
        first = core.offered[-1]
    async with discord.running() as core:
        (again,) = await core.wait_for(Reaction)
        assert again.key == first.key


async def test_files_stickers_and_forwards_are_attachments_and_words(discord: Scene) -> None:
    photo = {"id": "77", "filename": "wall.png", "content_type": "image/png", "size": 1200, "url": "x"}
    forwarded = {"message": {"content": "meet at the wall", "attachments": [photo]}}
    async with discord.running() as core:
        await discord.server.say(
            discord.dana, discord.channel, "", sticker_items=[{"id": "5", "name": "wave"}]
        )
        await discord.server.say(
            discord.dana,
            discord.channel,
            "",
            message_snapshots=[forwarded],
            message_reference={"type": 1, "message_id": "5", "channel_id": "6"},
        )
        sticker, forward = await core.wait_for(MessageNew, 2)
        assert [(a.kind, a.caption) for a in sticker.attachments] == [("sticker", "wave")]
        assert (forward.text, forward.reply_to) == ("meet at the wall", None)
        assert (sticker.forwarded, forward.forwarded) == (False, True)
        (attached,) = forward.attachments
        assert (attached.kind, attached.name, attached.reference) == ("image", "wall.png", "77")
        assert (attached.media_type, attached.size_bytes) == ("image/png", 1200)


class Ears:
    """Understands one recording, and fails at all others."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, str]] = []

    async def transcribe(self, audio: bytes, media_type: str) -> str:
        self.heard.append((audio, media_type))
        if audio != b"good":
            raise ModelError("noise")
        return "see you at six"


def voice(discord: Scene, name: str) -> dict[str, object]:
    url = f"http://127.0.0.1:{discord.server.port}/file/{name}"
    item = {"id": "9", "filename": name, "content_type": "audio/ogg", "size": 4, "url": url}
    return {"attachments": [item], "flags": 1 << 13}


async def test_a_voice_message_is_turned_into_words_where_there_is_a_transcriber(discord: Scene) -> None:
    discord.server.files |= {"good.ogg": b"good", "bad.ogg": b"bad!"}
    discord.transcriber = Ears()
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "", **voice(discord, "good.ogg"))
        await discord.server.say(discord.jonas, discord.with_jonas, "", **voice(discord, "bad.ogg"))
        await discord.server.say(discord.jonas, discord.with_jonas, "after")
        good, bad, after = await core.wait_for(MessageNew, 3)
        assert [(a.kind, a.transcript) for a in good.attachments] == [("voice", "see you at six")]
        assert [(a.kind, a.transcript) for a in bad.attachments] == [("voice", "")]
        assert after.text == "after"
        assert discord.transcriber.heard[0] == (b"good", "audio/ogg")


async def test_a_voice_message_is_heard_only_where_the_owner_listens(discord: Scene) -> None:
    discord.server.files |= {"good.ogg": b"good"}
    discord.transcriber = Ears()
    discord.desk.know(discord.chat("dana"), "Dana", listened=False)
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.channel, "", **voice(discord, "good.ogg"))
        await discord.server.say(
            discord.dana, discord.server.dm_with_bot(discord.dana), "", **voice(discord, "good.ogg")
        )
        await core.wait_for(MessageNew, 2)
        assert discord.transcriber.heard == []
        discord.desk.know(discord.ref(discord.channel), "general")
        await discord.server.say(discord.jonas, discord.channel, "", **voice(discord, "good.ogg"))
        await core.wait_for(MessageNew, 3)
        assert len(discord.transcriber.heard) == 1


async def test_where_discord_does_not_say_what_a_chat_is_its_people_are_unknown(discord: Scene) -> None:
    author = {"id": discord.jonas, "username": "jonas"}
    async with discord.running():
        places = discord.bot._places  # pyright: ignore[reportPrivateUsage] -- what no double would say
        told = places.pointed_at({"channel_id": "300000000000000001"}, author)
    assert (told.kind, told.members) == (ChatKind.GROUP, None)


async def test_a_voice_message_without_a_transcriber_is_kept_as_one(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.jonas, discord.with_jonas, "", **voice(discord, "good.ogg"))
        assert [a.kind for a in (await only_message(core)).attachments] == ["voice"]


async def test_what_the_bot_says_comes_back_as_its_own(discord: Scene) -> None:
    async with discord.running() as core:
        await discord.server.say(discord.server.bot, discord.channel, "on my way")
        assert (await only_message(core)).author is Author.SELF_AS_BOT


async def test_a_contact_who_never_wrote_before_is_met_and_can_be_answered(discord: Scene) -> None:
    lena = discord.server.add_user("200000000000000009", "Lena")
    channel = discord.server.dm_with_bot(lena)
    async with discord.running() as core:
        assert not core.bot.capabilities(discord.ref(channel))
        await discord.server.say(lena, channel, "hello?")
        message = await only_message(core)
        assert (message.chat_title, message.chat_kind) == ("Lena", ChatKind.DIRECT)
        assert core.bot.capabilities(discord.ref(channel))
    async with discord.running() as core:
        assert core.bot.capabilities(discord.ref(channel))


async def test_losing_a_server_or_a_channel_and_coming_back_is_told(discord: Scene) -> None:
    other = discord.server.add_channel("plans", discord.guild)
    thread = discord.server.add_channel("knots", discord.guild, thread_of=discord.channel)
    async with discord.running() as core:
        await core.quiet()
        assert core.seen == []
        await discord.server.close_channel(thread)
        (closed,) = await core.wait_for(AccessChanged)
        assert (closed.chat.chat, closed.can_read, closed.can_send) == (thread, False, False)
        await discord.server.send_away(discord.guild)
        away = (await core.wait_for(AccessChanged, 3))[1:]
        assert {(e.chat.chat, e.can_send) for e in away} == {(discord.channel, False), (other, False)}
        assert not core.bot.capabilities(discord.ref(other))
        await discord.server.let_in(discord.guild)
        back = (await core.wait_for(AccessChanged, 5))[3:]
        assert {(e.chat.chat, e.can_send) for e in back} == {(discord.channel, True), (other, True)}
        assert core.bot.capabilities(discord.ref(other))
