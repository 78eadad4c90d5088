"""What people write in Slack, as core is told of it."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.doubles.slack import BOT_USER, OWNER
from bots.slack.directory import Conversation
from bots.slack.markup import escaped, parts_of
from bots.slack.translate import Scene, Us, text_of
from core.events import Author, MessageEdited, MessageNew, MessageRef, MessagesDeleted, Reaction
from core.history.archive import Archive
from core.history.record import HistoryMessage
from core.history.slack import Slack as Importer
from core.history.slack import slack_root
from core.vocabulary import ChatKind
from tests.bots.slack.life import Life, until
from tests.contract.slack_platform import Slack

JONAS, DANA = "U0JONAS", "U0DANA"


def a_channel(life: Life, channel: str = "C0PLANS", **changed: object) -> str:
    life.double.workspace.add_channel(channel, "channel", [OWNER, JONAS, DANA], name="plans", **changed)  # pyright: ignore[reportArgumentType] -- a test's own words
    return channel


async def test_a_direct_message_names_its_contact_and_nobody_else(life: Life) -> None:
    await life.double.writes(JONAS, "D0JONAS", "are you there?")
    (message,) = await life.sees(MessageNew)
    assert (message.author, message.chat_kind, message.chat_title) == (
        Author.CONTACT,
        ChatKind.DIRECT,
        "Jonas",
    )
    assert [member.id for member in message.members or ()] == [JONAS]


async def test_a_channel_is_a_group_of_its_members_for_a_workspace_is_not_the_world(life: Life) -> None:
    await life.double.writes(JONAS, a_channel(life), "hello all")
    (message,) = await life.sees(MessageNew)
    assert (message.chat_kind, message.chat_title) == (ChatKind.GROUP, "#plans")
    assert {member.id for member in message.members or ()} == {JONAS, DANA}


async def test_a_group_of_direct_messages_is_called_by_its_people(life: Life) -> None:
    life.double.workspace.add_channel("G0TRIO", "mpim", [OWNER, JONAS, DANA], name="mpdm-x--y-1")
    await life.double.writes(DANA, "G0TRIO", "lunch?")
    (message,) = await life.sees(MessageNew)
    assert (message.chat_kind, message.chat_title) == (ChatKind.GROUP, "Jonas, Dana")


async def test_the_members_of_a_very_large_channel_count_as_unknown(life: Life) -> None:
    crowd = [f"U9{number:04d}" for number in range(401)]
    life.double.workspace.add_channel("C0ALL", "channel", [OWNER, JONAS, *crowd])
    await life.double.writes(JONAS, "C0ALL", "welcome")
    (message,) = await life.sees(MessageNew)
    assert message.members is None


async def test_who_came_is_a_member_from_then_on_and_who_left_is_none(life: Life) -> None:
    life.double.workspace.add_user("U0EVE", "Eve")
    channel = a_channel(life)
    await life.double.writes(JONAS, channel, "one")
    await life.sees(MessageNew)
    await life.double.joins("U0EVE", channel)
    await life.double.writes(JONAS, channel, "two")
    await life.sees(MessageNew, 2)
    await life.double.leaves(DANA, channel)
    await life.double.writes(JONAS, channel, "three")
    messages = await life.sees(MessageNew, 3)
    assert [sorted(member.name for member in message.members or ()) for message in messages] == [
        ["Dana", "Jonas"],
        ["Dana", "Eve", "Jonas"],
        ["Eve", "Jonas"],
    ]
    assert life.texts == ["one", "two", "three"]


async def test_a_channel_shared_with_another_organisation_is_marked_external(life: Life) -> None:
    await life.double.writes(JONAS, a_channel(life, external=True), "hello")
    (message,) = await life.sees(MessageNew)
    assert message.external


async def test_a_channel_that_is_shared_meanwhile_is_external_from_the_first_message_that_says_so(
    life: Life,
) -> None:
    channel = a_channel(life)
    await life.double.writes(JONAS, channel, "among us")
    await life.sees(MessageNew)
    life.double.workspace.channels[channel].external = True
    await life.double.writes(JONAS, channel, "and now with Acme")
    assert [message.external for message in await life.sees(MessageNew, 2)] == [False, True]


async def test_a_chat_that_slack_does_not_tell_about_counts_as_external(life: Life) -> None:
    life.double.workspace.add_channel("G0SECRET", "group", [OWNER, JONAS])
    life.double.workspace.scopes["xoxp-owner"] = {"users:read"}
    event = {"type": "message", "channel": "G0SECRET", "channel_type": "group", "user": JONAS, "text": "psst"}
    payload = event | {"ts": life.double.workspace.stamp()}
    await life.double.bring_event(payload | {"event_ts": payload["ts"]}, external=None)
    (message,) = await life.sees(MessageNew)
    assert (message.external, message.members) == (True, None)


async def test_an_event_of_a_chat_that_slack_does_not_let_us_see_holds_up_no_other(life: Life) -> None:
    reaction = {"type": "reaction_added", "user": JONAS, "reaction": "wave", "event_ts": "1700000000.000100"}
    await life.double.bring_event(reaction | {"item": {"channel": "C0GONE", "ts": "1700000000.000000"}})
    await life.double.writes(JONAS, "D0JONAS", "hello")
    await life.sees(MessageNew)
    await life.quiet()
    assert life.of(Reaction) == []


async def test_what_the_owner_types_is_the_owners_and_a_reply_names_its_thread(life: Life) -> None:
    channel = a_channel(life)
    root = await life.double.writes(JONAS, channel, "who is in?")
    await life.double.writes(OWNER, channel, "me", thread=root)
    first, second = await life.sees(MessageNew, 2)
    assert (first.chat.thread, first.reply_to) == (None, None)
    assert (second.author, second.chat.thread, second.reply_to) == (Author.OWNER, root, root)


async def test_a_reply_that_is_also_sent_to_the_channel_is_one_message_of_its_thread(life: Life) -> None:
    channel = a_channel(life)
    root = await life.double.writes(JONAS, channel, "who is in?")
    await life.double.writes(DANA, channel, "all of us", thread=root, broadcast=True)
    _, second = await life.sees(MessageNew, 2)
    assert (second.text, second.chat.thread) == ("all of us", root)


async def test_what_comes_by_two_subscriptions_has_one_key(doubled: Life) -> None:
    stamp = await doubled.double.writes(JONAS, "D0JONAS", "hi")
    await doubled.double.rewrites("D0JONAS", stamp, "hello")
    await doubled.double.reacts(OWNER, "D0JONAS", stamp, "wave")
    await doubled.double.erases("D0JONAS", stamp)
    await doubled.sees(MessagesDeleted, 2)
    assert len(doubled.seen) == 8
    assert len({event.key for event in doubled.seen}) == 4


async def test_a_bots_message_is_a_bots(life: Life) -> None:
    channel = a_channel(life)
    await life.double.writes_markup(
        "", channel, "build 7 is green", subtype="bot_message", bot_id="B7", username="CI"
    )
    await life.double.writes_markup(
        "", channel, "", subtype="bot_message", bot_id="B7", attachments=[{"fallback": "build 8 is red"}]
    )
    first, second = await life.sees(MessageNew, 2)
    assert (first.author, first.sender.name, first.sender.is_bot) == (Author.BOT, "CI", True)
    assert (second.author, second.text) == (Author.BOT, "build 8 is red")


async def test_what_another_app_posts_in_the_owners_name_is_not_typed(life: Life) -> None:
    await life.double.writes_markup(OWNER, "D0JONAS", "Out of office", bot_id="B9", app_id="A9")
    (message,) = await life.sees(MessageNew)
    assert (message.author, message.automatic) == (Author.OWNER, True)


async def test_joins_topics_and_empty_messages_are_no_events(life: Life) -> None:
    channel = a_channel(life)
    await life.double.writes_markup(JONAS, channel, "set the topic", subtype="channel_topic")
    await life.double.writes_markup(JONAS, channel, "")
    await life.double.writes(JONAS, channel, "a word")
    await life.sees(MessageNew)
    await life.quiet()
    assert life.texts == ["a word"]


async def test_markup_is_read_as_plain_text_with_names(life: Life) -> None:
    a_channel(life)
    await life.double.writes_markup(
        JONAS,
        "D0JONAS",
        "<@U0OWNER> ask <@U0DANA> in <#C0PLANS> or <#C1|old>: "
        "<https://example.org|the page> &lt;b&gt; &amp;amp; <!here>",
    )
    (message,) = await life.sees(MessageNew)
    assert message.text == (
        "@Mara ask @Dana in #plans or #old: the page (https://example.org) <b> &amp; @here"
    )
    assert message.mentions_owner


async def test_only_the_owners_own_id_is_a_mention_of_the_owner(life: Life) -> None:
    await life.double.writes_markup(JONAS, "D0JONAS", f"<@{OWNER}2> <@U0DANA> <@{OWNER}|mara>")
    await life.double.writes_markup(JONAS, "D0JONAS", f"<@{OWNER}2> &lt;@{OWNER}&gt; @Mara")
    first, second = await life.sees(MessageNew, 2)
    assert (first.mentions_owner, second.mentions_owner) == (True, False)


async def test_files_are_told_by_their_names(life: Life) -> None:
    await life.double.uploads(JONAS, "D0JONAS", "plan.pdf", b"%PDF", text="the plan")
    (message,) = await life.sees(MessageNew)
    (file,) = message.attachments
    assert (message.text, file.name, file.size_bytes) == ("the plan", "plan.pdf", 4)


class Listener:
    """A transcriber that hears what was put there."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, str]] = []

    async def transcribe(self, audio: bytes, media_type: str) -> str:
        self.heard.append((audio, media_type))
        return "see you at six"


async def test_a_voice_clip_is_transcribed_where_the_owner_listens_and_nowhere_else(
    workspace: Slack,
) -> None:
    listener = Listener()
    for chat in ("jonas", "dana"):
        workspace.desk.know(workspace.chat(chat), chat, listened=chat == "jonas")
    clip = {"subtype": "slack_audio", "mimetype": "audio/webm"}
    async with Life(workspace, bot=workspace.new_bot(transcriber=listener)) as life:
        await life.double.uploads(JONAS, "D0JONAS", "clip.webm", b"sound", **clip)
        await life.double.uploads(DANA, "D0DANA", "clip.webm", b"other sound", **clip)
        first, second = await life.sees(MessageNew, 2)
    assert first.attachments[0].transcript == "see you at six"
    assert second.attachments[0].transcript == ""
    assert listener.heard == [(b"sound", "audio/webm")]


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.org/clip",
        "http://files.slack.com/clip",
        "https://files.slack.com.example.org/clip",
        "https://slack.com@example.org/clip",
        "http://localhost/files/clip",
        "/clip",
        "https://[",
    ],
)
async def test_the_owners_token_is_shown_to_slack_alone(workspace: Slack, url: str) -> None:
    listener = Listener()
    workspace.desk.know(workspace.chat("jonas"), "Jonas")
    async with Life(workspace, bot=workspace.new_bot(transcriber=listener)) as life:
        clip = {"subtype": "slack_audio", "mimetype": "audio/webm", "url_private_download": url}
        await life.double.uploads(JONAS, "D0JONAS", "clip.webm", b"sound", **clip)
        await life.sees(MessageNew)
        web = life.bot._here().web  # pyright: ignore[reportPrivateUsage] -- asked directly, for no server is there
        assert not web.is_slacks(url)
        assert web.is_slacks("https://files.slack.com/files-pri/T0-F0/download/clip.webm")
    assert listener.heard == []


# ─── edits, deletions, reactions ─────────────────────────────────────────────────────────────


async def test_an_edit_brings_the_whole_message_with_its_new_words(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "at six")
    await life.double.rewrites("D0JONAS", stamp, "at seven")
    (edit,) = await life.sees(MessageEdited)
    assert (edit.message_id, edit.text) == (stamp, "at seven")
    assert edit.original is not None
    assert (edit.original.key, edit.original.text) == (f"message:D0JONAS:{stamp}", "at seven")


async def test_a_preview_is_no_edit(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "see example.org")
    await life.double.unfurls("D0JONAS", stamp)
    await life.quiet()
    assert life.of(MessageEdited) == []


async def test_a_deleted_message_is_told_even_when_a_tombstone_stays(life: Life) -> None:
    channel = a_channel(life)
    alone = await life.double.writes(JONAS, channel, "oops")
    root = await life.double.writes(JONAS, channel, "root")
    await life.double.writes(DANA, channel, "reply", thread=root)
    await life.double.erases(channel, alone)
    await life.double.erases(channel, root)
    first, second = await life.sees(MessagesDeleted, 2)
    assert (first.message_ids, second.message_ids) == ((alone,), (root,))


async def test_a_reaction_is_named_as_the_importer_names_it(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "done")
    await life.double.reacts(JONAS, "D0JONAS", stamp, "+1")
    await life.double.reacts(JONAS, "D0JONAS", stamp, "+1", added=False)
    put, taken = await life.sees(Reaction, 2)
    assert (put.emoji, put.added, put.author, put.message_id) == ("+1", True, Author.CONTACT, stamp)
    assert not taken.added


async def test_a_reaction_of_ours_is_known_as_ours(life: Life) -> None:
    stamp = await life.double.writes(JONAS, "D0JONAS", "done")
    message = MessageRef(chat=life.workspace.chat("jonas"), id=stamp)
    await life.bot.react(message, "👍")
    (reaction,) = await life.sees(Reaction)
    assert reaction.author is Author.SELF_AS_OWNER


async def test_a_message_that_slack_never_described_like_that_holds_up_no_other(life: Life) -> None:
    for broken in ({"type": "message"}, {"type": "message", "channel": "D0JONAS", "channel_type": "im"}, {}):
        await life.double.bring_event(broken, anyway=True)
    await life.double.bring_event(
        {"type": "message", "channel": "D0JONAS", "user": JONAS, "ts": "never"}, anyway=True
    )
    await life.double.writes(JONAS, "D0JONAS", "still here?")
    await life.sees(MessageNew)
    await life.quiet()
    assert life.texts == ["still here?"]


async def test_a_person_whom_slack_does_not_tell_about_goes_by_the_id(life: Life) -> None:
    life.double.workspace.add_channel("C0X", "channel", [OWNER, "U0GHOST"])
    await life.double.writes("U0GHOST", "C0X", "boo")
    (message,) = await life.sees(MessageNew)
    assert (message.sender.id, message.sender.name) == ("U0GHOST", "U0GHOST")


# ─── the same as an import ───────────────────────────────────────────────────────────────────


def export_of(life: Life, folder: Path) -> Archive:
    """The workspace as Slack would export it."""
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        users = [user.told() for user in life.double.workspace.users.values()]
        channels = life.double.workspace.channels
        archive.writestr("users.json", json.dumps(users))
        for listing, kind in (("channels.json", "channel"), ("dms.json", "im")):
            listed = [one for one in channels.values() if one.kind == kind]
            archive.writestr(
                listing,
                json.dumps([{"id": one.id, "name": one.name, "members": one.members} for one in listed]),
            )
            for one in listed:
                day = json.dumps(list(one.messages.values()))
                archive.writestr(f"{one.id if kind == 'im' else one.name}/2026-11-25.json", day)
    return Archive(path)


async def test_an_import_of_the_same_chats_meets_the_same_messages(life: Life, tmp_path: Path) -> None:
    channel = a_channel(life)
    root = await life.double.writes(JONAS, channel, "who & what <is> in?")
    await life.double.writes(OWNER, channel, "me", thread=root)
    await life.double.writes(DANA, channel, "all", thread=root, broadcast=True)
    await life.double.writes_markup(JONAS, "D0JONAS", "<@U0DANA> says <https://x.org|hi> in <#C0PLANS>")
    await life.double.uploads(DANA, "D0DANA", "plan.pdf", b"x")
    live = await life.sees(MessageNew, 5)
    archive = export_of(life, tmp_path)
    imported = [
        entry
        for entry in Importer(archive, slack_root(archive) or "").entries()
        if isinstance(entry, HistoryMessage)
    ]
    rows = {(one.chat.id, one.id): one for one in imported}
    assert len(rows) == len(live) == 5
    for message in live:
        row = rows[message.chat.chat, message.message_id]
        assert (row.text, row.sent_at, row.sender.id, row.reply_to) == (
            message.text,
            message.at,
            message.sender.id,
            message.reply_to,
        )
        assert (row.chat.account, row.chat.kind) == (message.chat.account, message.chat_kind)
        assert row.attachments == message.attachments


def plain_scene() -> Scene:
    conversation = Conversation(id="C1", kind=ChatKind.GROUP, title="", members=None, external=False)
    return Scene(us=Us(team="T", owner_id=OWNER, bot_user_id=BOT_USER), conversation=conversation)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
@settings(max_examples=200, deadline=None)
def test_whatever_is_sent_is_read_back_as_it_was_but_for_calls_to_everybody(text: str) -> None:
    calm = text_of({"text": escaped(text)}, plain_scene())
    assert calm.replace("\u2060", "") == text.replace("\u2060", "")
    assert "<" not in escaped(text)
    assert "@channel" not in escaped(text).lower()


@given(st.text(alphabet="ab <>&@.\n", min_size=1, max_size=9000))
@settings(max_examples=60, deadline=None)
def test_a_long_text_is_cut_into_messages_that_slack_takes_whole(text: str) -> None:
    parts = parts_of(text)
    assert all(0 < len(part) <= 4000 for part in parts)
    assert " ".join(text_of({"text": part}, plain_scene()) for part in parts).split() == text.split()


async def test_a_mail_address_can_be_copied_and_nobody_is_called(life: Life) -> None:
    assert escaped("write to anna@example.org, @channel") == "write to anna@example.org, @\u2060channel"


def test_the_microseconds_of_a_stamp_are_kept() -> None:
    from bots.slack.translate import when  # noqa: PLC0415

    assert when({"ts": "1764079870.000123"}) == datetime.fromtimestamp(1764079870, UTC) + timedelta(
        microseconds=123
    )


@pytest.mark.parametrize("kind", ["me_message", "file_share"])
async def test_messages_of_that_subtype_are_messages(life: Life, kind: str) -> None:
    await life.double.writes(JONAS, "D0JONAS", "waves", subtype=kind)
    (message,) = await life.sees(MessageNew)
    assert message.text == "waves"
    await until(lambda: not life.double.unconfirmed)
