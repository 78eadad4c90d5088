"""Events that wait for their acknowledgement."""

import asyncio
from datetime import UTC, datetime

from bots.mailbox import Mailbox
from core.events import ChatRef, Gap


def gap(key: str) -> Gap:
    return Gap(key=key, chat=ChatRef(platform="p", account="a", chat="c"), at=datetime.now(UTC))


async def test_an_event_acknowledged_before_it_was_taken_is_not_handed_over() -> None:
    mailbox = Mailbox()
    mailbox.open()
    mailbox.put(gap("first"))
    mailbox.acknowledge(gap("first"))
    taking = asyncio.ensure_future(anext(aiter(mailbox.events())))
    await asyncio.sleep(0.01)
    mailbox.put(gap("second"))
    assert (await asyncio.wait_for(taking, 30)).key == "second"


async def test_an_event_put_twice_waits_for_two_acknowledgements() -> None:
    mailbox = Mailbox()
    for _ in range(2):
        mailbox.put(gap("twice"))
    mailbox.acknowledge(gap("twice"))
    assert [event.key for event in mailbox.waiting] == ["twice"]


async def test_a_closed_mailbox_hands_over_nothing() -> None:
    mailbox = Mailbox()
    mailbox.put(gap("waiting"))
    assert [event async for event in mailbox.events()] == []
