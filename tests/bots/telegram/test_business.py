"""The owner's private chats: both sides, edits, deletions, and the connection they come through."""

from datetime import timedelta

from core.bot import Capability
from core.events import AccessChanged, Author, MessageEdited, MessageNew, MessagesDeleted, Person
from core.vocabulary import ChatKind
from tests.bots.telegram.scene import DANA, JONAS, MALLORY, Scene, opened


async def test_a_contact_writes_under_the_ids_that_an_import_writes(scene: Scene) -> None:
    written = scene.world.contact_writes(JONAS, "are you there?")
    event = await scene.only(MessageNew)
    assert event.key == f"message:42:{written['message_id']}"
    assert (event.chat, event.message_id) == (scene.chat(JONAS), str(written["message_id"]))
    assert (event.author, event.sender) == (Author.CONTACT, Person(id="42", name="Jonas"))
    assert (event.chat_kind, event.chat_title) == (ChatKind.DIRECT, "Jonas")
    assert event.members == (Person(id="42", name="Jonas"),)


async def test_a_contact_can_be_answered_for_24_hours_after_their_message(scene: Scene) -> None:
    scene.world.contact_writes(JONAS, "hi")
    event = await scene.only(MessageNew)
    assert event.send_until == event.at + timedelta(hours=24)
    scene.world.owner_types(JONAS, "hello")
    assert (await scene.only(MessageNew)).send_until is None


async def test_what_the_owner_types_by_hand_is_the_owners(scene: Scene) -> None:
    scene.world.owner_types(JONAS, "on my way")
    event = await scene.only(MessageNew)
    assert (event.author, event.sender.id, event.chat) == (Author.OWNER, "1001", scene.chat(JONAS))
    assert event.members == (Person(id="42", name="Jonas"),)
    assert not event.automatic


async def test_away_notes_and_scheduled_messages_are_automatic(scene: Scene) -> None:
    scene.world.owner_types(JONAS, "I am on holiday", is_from_offline=True)
    assert (await scene.only(MessageNew)).automatic


async def test_what_our_bot_sent_is_ours_and_what_another_bot_sent_is_a_bots(scene: Scene) -> None:
    scene.world.owner_types(JONAS, "sent by us", sender_business_bot=scene.world.bot)
    assert (await scene.only(MessageNew)).author is Author.SELF_AS_OWNER
    scene.world.owner_types(JONAS, "by another", sender_business_bot=scene.world.bot | {"id": 9})
    assert (await scene.only(MessageNew)).author is Author.BOT


async def test_what_the_owner_passes_on_is_not_the_owners_voice(scene: Scene) -> None:
    origin = {"type": "user", "sender_user": DANA, "date": 1_800_000_000}
    scene.world.owner_types(JONAS, "says Dana", forward_origin=origin)
    assert (await scene.only(MessageNew)).forwarded


async def test_what_another_bot_wrote_for_the_owner_is_not_the_owners_voice(scene: Scene) -> None:
    scene.world.owner_types(JONAS, "a poem by a bot", via_bot=scene.world.bot | {"id": 9})
    event = await scene.only(MessageNew)
    assert (event.author, event.forwarded) == (Author.OWNER, True)


async def test_an_answer_names_what_it_answers(scene: Scene) -> None:
    first = scene.world.contact_writes(JONAS, "six?")
    await scene.settle()
    scene.world.owner_types(JONAS, "yes", reply_to_message=first)
    assert (await scene.only(MessageNew)).reply_to == str(first["message_id"])


async def test_an_edit_brings_the_whole_message(scene: Scene) -> None:
    message = scene.world.contact_writes(JONAS, "at six")
    original = await scene.only(MessageNew)
    scene.world.edits(message, "at seven")
    event = await scene.only(MessageEdited)
    assert (event.message_id, event.text) == (original.message_id, "at seven")
    assert event.original is not None
    assert (event.original.key, event.original.text) == (original.key, "at seven")


async def test_two_edits_in_one_second_are_two_events(scene: Scene) -> None:
    message = scene.world.contact_writes(JONAS, "at six")
    await scene.settle()
    scene.world.edits(message, "at seven", at=1_800_000_000)
    scene.world.edits(message, "at six", at=1_800_000_000)
    first, second = await scene.settle()
    assert first.key != second.key


async def test_a_live_location_that_moves_is_not_told_step_by_step(scene: Scene) -> None:
    place = {"latitude": 47.0, "longitude": 8.0, "live_period": 900}
    message = scene.world.contact_writes(JONAS, location=place)
    assert (await scene.only(MessageNew)).attachments[0].kind == "location"
    message["location"] = place | {"latitude": 47.1}
    scene.world.emit("edited_business_message", message | {"edit_date": message["date"] + 5})
    assert await scene.settle() == ()


async def test_deletions_name_every_message(scene: Scene) -> None:
    messages = [scene.world.contact_writes(JONAS, text) for text in ("a", "b")]
    await scene.settle()
    scene.world.deletes(*messages)
    event = await scene.only(MessagesDeleted)
    assert event.chat == scene.chat(JONAS)
    assert event.message_ids == tuple(str(message["message_id"]) for message in messages)


async def test_two_chats_with_the_same_words_are_two_events(scene: Scene) -> None:
    scene.world.contact_writes(JONAS, "hi")
    scene.world.contact_writes(DANA, "hi")
    one, other = await scene.settle()
    assert (one.chat, other.chat) == (scene.chat(JONAS), scene.chat(DANA))
    assert one.key != other.key


# ─── The connection ──────────────────────────────────────────────────────────────────────────


async def test_without_the_right_to_reply_nothing_can_be_sent_and_the_owner_is_told_the_cure(
    scene: Scene,
) -> None:
    scene.world.connects(rights={"can_read_messages": True})
    event = await scene.only(AccessChanged)
    assert (event.can_read, event.can_send) == (True, False)
    assert "Chat Automation" in event.detail
    assert any("Chat Automation" in said for said in scene.world.bot_said())
    assert Capability.SEND_AS_OWNER not in scene.bot.capabilities(scene.chat(JONAS))


async def test_a_connection_that_ends_takes_reading_and_sending_with_it(scene: Scene) -> None:
    scene.world.disconnects()
    event = await scene.only(AccessChanged)
    assert (event.can_read, event.can_send, event.chat.chat) == (False, False, "")


async def test_rights_that_nobody_needs_are_named_to_the_owner(scene: Scene) -> None:
    scene.world.connects(rights={"can_reply": True, "can_transfer_stars": True})
    await scene.settle()
    assert any("transfer stars" in said for said in scene.world.bot_said())


async def test_after_a_reconnect_messages_go_out_under_the_new_id(scene: Scene) -> None:
    scene.world.disconnects()
    new = scene.world.connects(connection_id="bc-new")
    await scene.settle()
    scene.world.contact_writes(JONAS, "back?")
    await scene.settle()
    await scene.bot.show_typing(scene.chat(JONAS))
    assert scene.telegram.typing[-1]["business_connection_id"] == new["id"]


async def test_an_end_told_after_the_next_beginning_ends_nothing(scene: Scene) -> None:
    old = scene.world.connection
    assert old is not None
    scene.world.connects(connection_id="bc-new")
    scene.world.connects(connection_id=old["id"], enabled=False)
    await scene.settle()
    assert Capability.SEND_AS_OWNER in scene.bot.capabilities(scene.chat(JONAS))


async def test_an_unknown_connection_id_is_asked_about_once(scene: Scene) -> None:
    unheard = {**(scene.world.connection or {}), "id": "bc-unheard"}
    scene.world.connections["bc-unheard"] = unheard
    for text in ("one", "two", "three"):
        scene.world.contact_writes(JONAS, text, connection=unheard)
    assert len(await scene.settle()) == 3
    assert len(scene.telegram.asked("getBusinessConnection")) == 1


async def test_the_connection_is_known_after_a_restart(scene: Scene) -> None:
    await scene.restart()
    assert Capability.SEND_AS_OWNER in scene.bot.capabilities(scene.chat(JONAS))
    scene.world.contact_writes(JONAS, "still there?")
    assert (await scene.only(MessageNew)).author is Author.CONTACT


async def test_a_right_that_was_taken_while_nobody_listened_is_missed_at_the_start(scene: Scene) -> None:
    await scene.stop()
    assert scene.world.connection is not None
    scene.world.connection["rights"] = {"can_read_messages": True}
    await scene.start()
    assert Capability.SEND_AS_OWNER not in scene.bot.capabilities(scene.chat(JONAS))


async def test_somebody_elses_connection_is_left_alone(scene: Scene) -> None:
    theirs = scene.world.connects(MALLORY)
    scene.world.contact_writes(JONAS, "for Mallory's eyes", connection=theirs)
    message = scene.world.owner_types(JONAS, "also not ours", connection=theirs)
    scene.world.edits(message, "still not")
    scene.world.deletes(message)
    assert await scene.settle() == ()
    assert scene.world.bot_said(MALLORY) == []
    assert scene.world.bot_said() == []


async def test_a_message_of_an_unknown_strangers_connection_is_left_alone() -> None:
    async with opened(connected=False) as scene:
        theirs = {
            "id": "bc-x",
            "user": MALLORY,
            "user_chat_id": 666,
            "date": 1,
            "is_enabled": True,
            "rights": {"can_reply": True},
        }
        scene.world.connections["bc-x"] = theirs
        scene.world.contact_writes(JONAS, "psst", connection=theirs)
        assert await scene.settle() == ()
        assert Capability.SEND_AS_OWNER not in scene.bot.capabilities(scene.chat(JONAS))


async def test_in_a_connection_and_groups_each_private_chat_is_told_by_itself(scene: Scene) -> None:
    scene.world.bot_becomes(scene.world.opens_group(-100500, "Walkers"), "member")
    await scene.settle()
    scene.desk.know(scene.chat(JONAS), "Jonas")
    scene.desk.know(scene.chat({"id": -100500}), "Walkers")
    scene.world.disconnects()
    assert (await scene.only(AccessChanged)).chat == scene.chat(JONAS)
