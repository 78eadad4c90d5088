"""A day in the life of a bot on Telegram, from the first burst to being forgotten."""

from core.bot import Outgoing, ReceiptStatus
from core.events import (
    AccessChanged,
    Author,
    DraftAction,
    DraftVerb,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
)
from tests.bots.telegram.scene import JONAS, Scene


async def test_a_day_in_the_life(scene: Scene) -> None:  # noqa: PLR0915 -- a day is long
    world, desk = scene.world, scene.desk
    desk.know(scene.chat(JONAS), "Jonas")

    # Jonas writes a burst; core has each line, in order.
    lines = [world.contact_writes(JONAS, text) for text in ("hey", "dinner on Friday?", "at six?")]
    burst = [event for event in await scene.settle() if isinstance(event, MessageNew)]
    assert [event.text for event in burst] == ["hey", "dinner on Friday?", "at six?"]
    assert all(event.author is Author.CONTACT for event in burst)

    # A card appears while it is being written, where Mara alone sees it; Jonas sees nothing.
    await scene.bot.stream("card-1-1", "Friday")
    await scene.bot.show(scene.card("Friday works, six is fine", "Can't on Friday, sorry"))
    assert list(scene.telegram.streamed.values()) == [["Friday"]]
    assert {"Send 1", "Edit 2"} <= set(world.labels())
    assert [m["text"] for m in world.messages["business", 42].values()] == [
        "hey",
        "dinner on Friday?",
        "at six?",
    ]

    # Mara changes the first draft, and it goes out in her words.
    world.owner_presses("Edit 1")
    await scene.settle()
    world.owner_answers(world.owner_sees()[-1], "Friday works, but at seven")
    action = await scene.only(DraftAction)
    assert (action.verb, action.draft, action.chat) == (DraftVerb.EDIT, 1, scene.chat(JONAS))
    await scene.bot.show_typing(action.chat)
    receipt = await scene.bot.send(action.chat, Outgoing(key="reply:1", text=action.text or ""))
    assert receipt.status is ReceiptStatus.SENT
    await scene.bot.withdraw("card-1-1", "edited")
    assert "Jonas · sent in your words" in world.bot_said()
    assert "Send 1" not in world.labels()

    # Jonas edits a line and deletes another.
    world.edits(lines[2], "at seven then?")
    world.deletes(lines[0])
    changed, deleted = await scene.settle()
    assert isinstance(changed, MessageEdited)
    assert (changed.message_id, changed.text) == (burst[2].message_id, "at seven then?")
    assert isinstance(deleted, MessagesDeleted)
    assert deleted.message_ids == (burst[0].message_id,)

    # Mara takes over by typing herself.
    world.owner_types(JONAS, "and I bring wine")
    assert (await scene.only(MessageNew)).author is Author.OWNER

    # She wants no drafts for an afternoon.
    world.owner_writes("/pause 4")
    assert await scene.settle() == ()
    assert "pause 4.0 everywhere" in desk.asked

    # The line is cut while Jonas writes; the process dies and begins again. Nothing is lost.
    await scene.telegram.be_away()
    world.contact_writes(JONAS, "red or white?")
    await scene.stop()
    await scene.telegram.listen()
    await scene.restart()
    assert (await scene.only(MessageNew)).text == "red or white?"

    # A night later the window is closed, and the reply says so instead of going anywhere.
    world.closes_window(JONAS)
    late = await scene.bot.send(scene.chat(JONAS), Outgoing(key="reply:2", text="white"))
    assert late.status is ReceiptStatus.REFUSED
    assert "24 hours" in late.reason

    # She opens the chat's settings from within the chat, and has Jonas forgotten.
    world.owner_writes("/start bizChat42")
    await scene.settle()
    world.owner_presses("Forget…")
    await scene.settle()
    world.owner_presses("Forget it")
    await scene.settle()
    assert desk.asked[-2:] == ["forget 42 False", "forget 42 True"]

    # In the end she takes the bot out of her chats.
    world.disconnects()
    access = await scene.only(AccessChanged)
    assert (access.can_read, access.can_send) == (False, False)

    # In all that day, Jonas got one message from us.
    ours = [m for m in world.messages["business", 42].values() if "sender_business_bot" in m]
    assert [message["text"] for message in ours] == ["Friday works, but at seven"]
