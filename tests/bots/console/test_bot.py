"""The console's bot beyond the contract: what holds over a restart of the process."""

from bots.console.bot import REMEMBERED, ConsoleBot
from core.bot import Outgoing, ReceiptStatus
from core.events import Author, Person

DANA = Person(id="contact-1", name="Dana")


async def test_a_send_repeated_by_another_process_is_the_same_message() -> None:
    message = Outgoing(key="reply:1", text="On my way")
    before, after = ConsoleBot("mara"), ConsoleBot("mara")
    first = await before.send(before.chat("contact-1"), message)
    second = await after.send(after.chat("contact-1"), message)
    assert first.message_ids == second.message_ids


def test_lines_of_two_processes_never_share_a_key() -> None:
    before, after = ConsoleBot("mara"), ConsoleBot("mara")
    assert before.say("contact-1", DANA, "hi").key != after.say("contact-1", DANA, "hi").key


async def test_a_line_is_safe_only_once_it_was_acknowledged() -> None:
    bot = ConsoleBot("mara")
    said = bot.say("contact-1", DANA, "hi")
    assert not bot.is_safe(said)
    await bot.acknowledge(said)
    assert bot.is_safe(said)


async def test_what_was_sent_long_ago_is_forgotten_and_not_sent_twice_to_the_same_id() -> None:
    bot = ConsoleBot("mara")
    chat = bot.chat("contact-1")
    first = await bot.send(chat, Outgoing(key="reply:0", text="old"))
    for number in range(1, REMEMBERED + 1):
        await bot.send(chat, Outgoing(key=f"reply:{number}", text="new"))
    again = await bot.send(chat, Outgoing(key="reply:0", text="old"))
    assert again.status is ReceiptStatus.SENT
    assert again.message_ids == first.message_ids


def test_what_the_owner_types_is_the_owners() -> None:
    typed = ConsoleBot("mara").owner_types("contact-1", DANA, "on it")
    assert (typed.author, typed.sender.id, typed.members) == (Author.OWNER, "mara", (DANA,))


def test_a_watcher_is_told_until_it_stops_watching() -> None:
    bot, told = ConsoleBot("mara"), list[int]()
    stop = bot.watch(lambda: told.append(1))
    bot.say("contact-1", DANA, "hi")
    stop()
    bot.say("contact-1", DANA, "hi again")
    assert told == [1]
