"""Groups that the bot is in as itself."""

from core.bot import Capability, Outgoing, ReceiptStatus
from core.events import AccessChanged, Author, MessageEdited, MessageNew, Reaction
from core.vocabulary import ChatKind
from tests.bots.telegram.scene import JONAS, MALLORY, MARA, Scene

WALKERS = -1_000_500_600


def mention(text: str, name: str) -> list[dict[str, object]]:
    return [{"type": "mention", "offset": text.index(name), "length": len(name)}]


async def test_a_groups_message_stands_under_the_groups_own_id(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    written = scene.world.group_writes(group, JONAS, "who comes?")
    event = await scene.only(MessageNew)
    assert event.chat == scene.chat(group)
    assert event.key == f"message:{WALKERS}:{written['message_id']}"
    assert (event.author, event.sender.id, event.chat_title) == (Author.CONTACT, "42", "Walkers")
    assert (event.chat_kind, event.members, event.mentions_owner) == (ChatKind.GROUP, None, False)


async def test_a_group_with_a_public_name_is_public(scene: Scene) -> None:
    group = scene.world.opens_group(-1_000_500_601, "Everyone", username="everyone")
    scene.world.group_writes(group, JONAS, "hi")
    assert (await scene.only(MessageNew)).chat_kind is ChatKind.PUBLIC


async def test_owners_bots_and_anonymous_administrators_are_told_apart(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    robot = {"id": 9, "is_bot": True, "first_name": "Robot"}
    scene.world.group_writes(group, MARA, "me")
    scene.world.group_writes(group, robot, "beep")
    scene.world.group_writes(group, robot, "we all", sender_chat=group)
    events = [event for event in await scene.settle() if isinstance(event, MessageNew)]
    assert [event.author for event in events] == [Author.OWNER, Author.BOT, Author.CONTACT]
    assert events[2].sender.id == str(WALKERS)


async def test_the_owner_is_meant_when_named_or_answered(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    mine = scene.world.group_writes(group, MARA, "I bring cake")
    await scene.settle()
    smile = "😀 @Mara?"
    at = [{"type": "mention", "offset": 3, "length": 5}]
    scene.world.group_writes(group, JONAS, smile, entities=at)
    scene.world.group_writes(group, JONAS, "@locum_bot?", entities=mention("@locum_bot?", "@locum_bot"))
    scene.world.group_writes(
        group, JONAS, "you!", entities=[{"type": "text_mention", "offset": 0, "length": 3, "user": MARA}]
    )
    scene.world.group_writes(group, JONAS, "great", reply_to_message=mine)
    scene.world.group_writes(group, JONAS, "@dana", entities=mention("@dana", "@dana"))
    scene.world.group_writes(group, JONAS, "@", entities=[{"type": "mention", "offset": 0, "length": 1}])
    events = [event for event in await scene.settle() if isinstance(event, MessageNew)]
    assert [event.mentions_owner for event in events] == [True, True, True, True, False, False]


async def test_with_privacy_on_the_bot_hears_what_is_meant_for_it(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers", privacy=True)
    scene.world.group_writes(group, JONAS, "just talking")
    scene.world.group_writes(
        group, JONAS, "@locum_bot is she coming?", entities=mention("@locum_bot", "@locum_bot")
    )
    assert (await scene.only(MessageNew)).mentions_owner


async def test_in_a_group_the_bot_writes_as_itself_and_calls_nobody(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    assert Capability.SEND_AS_BOT in scene.bot.capabilities(scene.chat(group))
    assert Capability.SEND_AS_OWNER not in scene.bot.capabilities(scene.chat(group))
    receipt = await scene.bot.send(scene.chat(group), Outgoing(key="reply:1", text="ask @dana"))
    assert receipt.status is ReceiptStatus.SENT
    (form,) = scene.telegram.asked("sendMessage")
    assert "business_connection_id" not in form
    assert "@dana" not in form["text"]


async def test_a_topic_of_a_forum_is_a_thread_and_answers_go_there(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers", forum=True)
    start = scene.world.post(
        "group", group, MARA, {"forum_topic_created": {"name": "Food", "icon_color": 7322096}}
    )
    scene.world.group_writes(
        group, JONAS, "cake?", message_thread_id=77, is_topic_message=True, reply_to_message=start
    )
    event = await scene.only(MessageNew)
    assert (event.chat.thread, event.reply_to, event.mentions_owner) == ("77", None, False)
    await scene.bot.send(event.chat, Outgoing(key="reply:1", text="yes"))
    assert scene.telegram.asked("sendMessage")[-1]["message_thread_id"] == "77"


async def test_reactions_put_on_and_taken_off_are_told(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    message = scene.world.group_writes(group, MARA, "cake!")
    await scene.settle()
    scene.world.reacts(message, JONAS, ["👍"], ["❤"])
    off, on = await scene.settle()
    assert isinstance(off, Reaction)
    assert isinstance(on, Reaction)
    assert (off.emoji, off.added, on.emoji, on.added) == ("👍", False, "❤", True)
    assert (on.message_id, on.sender.id, on.author) == (str(message["message_id"]), "42", Author.CONTACT)
    assert off.key != on.key


async def test_an_edit_in_a_group_is_told(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    message = scene.world.group_writes(group, JONAS, "six")
    await scene.settle()
    scene.world.edits(message, "seven")
    event = await scene.only(MessageEdited)
    assert (event.chat, event.text) == (scene.chat(group), "seven")


async def test_what_the_bot_may_do_in_a_group_is_told_when_it_changes(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    scene.world.bot_becomes(group, "member")
    event = await scene.only(AccessChanged)
    assert (event.chat, event.can_read, event.can_send) == (scene.chat(group), True, True)
    scene.world.bot_becomes(group, "left")
    event = await scene.only(AccessChanged)
    assert (event.can_read, event.can_send) == (False, False)


async def test_a_bot_that_is_not_in_the_group_is_refused(scene: Scene) -> None:
    nowhere = scene.chat({"id": -1_000_999})
    receipt = await scene.bot.send(nowhere, Outgoing(key="reply:1", text="hi"))
    assert receipt.status is ReceiptStatus.REFUSED
    assert "not a member" in receipt.reason


async def test_what_telegram_itself_notes_in_a_group_is_nobodys_message(scene: Scene) -> None:
    group = scene.world.opens_group(WALKERS, "Walkers")
    scene.world.group_writes(group, JONAS, new_chat_members=[MALLORY])
    scene.world.group_writes(group, JONAS, new_chat_title="Runners")
    assert await scene.settle() == ()


async def test_a_group_that_grows_goes_on_under_another_id(scene: Scene) -> None:
    group = scene.world.opens_group(-500, "Walkers")
    scene.world.group_writes(group, JONAS, migrate_to_chat_id=WALKERS)
    event = await scene.only(AccessChanged)
    assert (event.chat, event.can_send) == (scene.chat(group), False)
    assert str(WALKERS) in event.detail
