"""However connections break and processes die, core ends up with the same, and a reply is posted once."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots.discord.progress import Progress
from bots.discord.raw import Raw
from core.bot import Outgoing, ReceiptStatus
from core.events import Event, MessageEdited, MessageNew, MessagesDeleted, Reaction
from tests.bots.discord.scene import Scene, scene

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PEOPLE = st.sampled_from(["say", "say", "edit", "delete", "react", "unfurl"])
MISHAPS = st.sampled_from(["drop", "reconnect", "invalid", "crash", "commit nothing"])
STORY = st.lists(st.one_of(PEOPLE, PEOPLE, MISHAPS), min_size=4, max_size=24)


@dataclass(slots=True)
class Told:
    """What core must have in the end, by what people did."""

    messages: dict[str, str] = field(default_factory=dict[str, str])
    edits: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    deleted: set[str] = field(default_factory=set[str])
    reactions: int = 0
    standing: list[Raw] = field(default_factory=list[Raw])


async def happens(discord: Scene, told: Told, step: str) -> None:
    """One thing that people do, or that befalls the connection."""
    server = discord.server
    match step:
        case "say":
            raw = await server.say(discord.jonas, discord.with_jonas, f"line {len(told.messages)}")
            told.messages[raw["id"]] = raw["content"]
            told.standing.append(raw)
        case "edit" if told.standing:
            raw = await server.rewrite(told.standing[0], f"edit {len(told.edits)}")
            told.edits.append((raw["id"], raw["content"]))
        case "delete" if told.standing:
            raw = told.standing.pop()
            await server.erase(raw)
            told.deleted.add(raw["id"])
        case "react" if told.standing:
            await server.put_reaction(discord.jonas, told.standing[0], "👍")
            told.reactions += 1
        case "unfurl" if told.standing:
            await server.unfurl(told.standing[0])
        case "drop":
            await server.drop_sockets()
        case "reconnect":
            await server.send_op(7)
        case "invalid":
            await server.send_op(9, data=True)
        case _:
            pass


async def lived_through(discord: Scene, story: list[str]) -> tuple[Told, list[Event]]:
    """The story, told to process after process, and every event that one of them got committed."""
    told, committed = Told(), list[Event]()
    rest = list(story)
    while True:
        async with discord.running() as core:
            while rest and (step := rest.pop(0)) != "crash":
                if step == "commit nothing":
                    await core.quiet()
                    core.takes = lambda _: False
                await happens(discord, told, step)
            if not rest:
                break
        committed += core.seen
    committed += core.seen
    async with discord.running() as core:  # the last process gets everything
        await core.quiet()
        await core.quiet()
    return told, committed + core.seen


@FEW
@given(story=STORY)
def test_no_event_is_lost_or_changed_by_dropped_connections_and_dying_processes(story: list[str]) -> None:
    async def live() -> None:
        async with scene() as discord:
            told, events = await lived_through(discord, story)
            by_key = {event.key: event for event in events}
            found = list(by_key.values())
            messages = {e.message_id: e.text for e in found if isinstance(e, MessageNew)}
            edits = [(e.message_id, e.text) for e in found if isinstance(e, MessageEdited)]
            gone = {i for e in found if isinstance(e, MessagesDeleted) for i in e.message_ids}
            assert messages == told.messages
            assert Counter(edits) == Counter(told.edits)
            assert gone == told.deleted
            assert len([e for e in found if isinstance(e, Reaction)]) == told.reactions

    asyncio.run(live())


@FEW
@given(story=STORY)
def test_events_of_one_process_keep_their_order_and_come_once(story: list[str]) -> None:
    """Replays within a process are recognised: what it already has does not come again."""

    async def live() -> None:
        async with scene() as discord, discord.running() as core:
            told = Told()
            for step in story:
                await happens(discord, told, step)
            await core.until(lambda: len(core.of(MessageNew)) >= len(told.messages))
            await core.quiet()
            assert [m.message_id for m in core.of(MessageNew)] == list(told.messages)
            changes = [e.key for e in core.seen if not isinstance(e, MessageEdited)]
            assert len(changes) == len(set(changes))

    asyncio.run(live())


@FEW
@given(
    lines=st.lists(st.booleans(), min_size=1, max_size=8),
    lost=st.sets(st.integers(0, 7)),
    committed=st.integers(0, 6),
)
def test_no_message_is_lost_with_a_session(lines: list[bool], lost: set[int], committed: int) -> None:
    """Sessions are lost between any two messages, and processes die in the middle of committing."""

    async def live() -> None:
        async with scene() as discord:
            said: list[str] = []
            seen: list[Event] = []

            async def process(texts: int, takes: int) -> None:
                async with discord.running() as core:
                    begun = list[Event]()
                    core.takes = lambda event: (begun.append(event), len(begun) <= takes)[1]
                    for _ in range(texts):
                        raw = await discord.server.say(discord.jonas, discord.with_jonas, f"line {len(said)}")
                        said.append(raw["id"])
                    await core.quiet()
                    seen.extend(core.seen)
                know_newest(discord, seen)

            for number, speaks in enumerate(lines):
                if number in lost:
                    discord.server.forget_sessions()
                await process(1 if speaks else 2, committed)
            await process(0, 1000)
            found = {e.message_id for e in seen if isinstance(e, MessageNew)}
            assert found == set(said)

    asyncio.run(live())


def know_newest(discord: Scene, seen: list[Event]) -> None:
    """Core knows how far it has each chat."""
    newest = max(
        (e for e in seen if isinstance(e, MessageNew)), key=lambda e: int(e.message_id), default=None
    )
    if newest is not None:
        discord.desk.know(newest.chat, "Jonas", newest=newest.message_id, newest_at=newest.at)


@FEW
@given(
    faults=st.lists(st.sampled_from([(0, True), (0, False), (500, True), (503, True), (429, False), (403, False)]),
                    max_size=4),
    length=st.sampled_from([1, 3000, 5000]),
)  # fmt: skip
def test_a_reply_is_posted_at_most_once_and_its_receipt_is_true(
    faults: list[tuple[int, bool]], length: int
) -> None:
    text = "".join(f"word{n} " for n in range(length // 6 + 1)).strip()

    async def live() -> None:
        async with scene() as discord, discord.running() as core:
            for status, after in faults:
                wait = 0.01 if status == 429 else 0.0
                discord.server.fail("POST", "messages", status=status, after=after, retry_after=wait)
            receipt = await core.bot.send(discord.chat("jonas"), Outgoing(key="reply:1", text=text))
            standing = discord.standing_in("jonas")
            words = " ".join(content for _, content in standing).split()
            assert Counter(words).most_common(1)[0:1] == [] or max(Counter(words).values()) == 1
            match receipt.status:
                case ReceiptStatus.SENT:
                    assert words == text.split()
                    assert receipt.message_ids == tuple(message_id for message_id, _ in standing)
                case ReceiptStatus.REFUSED:
                    assert standing == []
                case _:
                    assert receipt.status is ReceiptStatus.UNKNOWN
                    assert receipt.reason

    asyncio.run(live())


# ─── The ledger alone ────────────────────────────────────────────────────────────────────────


@given(
    deliveries=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    order=st.randoms(use_true_random=False),
    done=st.floats(0, 1),
)
def test_what_is_safe_is_exactly_what_lies_before_the_first_open_delivery(
    deliveries: list[int], order: Random, done: float
) -> None:
    progress = Progress()
    progress.settle(progress.begin("s", "url"))
    keys: dict[str, int] = {}
    for seq, count in enumerate(deliveries, start=1):
        hold = progress.arrive(seq)
        assert hold is not None
        mine = [f"{seq}:{n}" for n in range(count)]
        keys |= dict.fromkeys(mine, seq)
        progress.settle(hold, mine)
        assert progress.arrive(seq) is None
    shuffled = sorted(keys)
    order.shuffle(shuffled)
    acknowledged = shuffled[: int(done * len(shuffled))]
    for key in acknowledged:
        progress.acknowledge(key)
    still_open = [seq for key, seq in keys.items() if key not in acknowledged]
    assert progress.safe == min(still_open, default=len(deliveries) + 1) - 1


def test_a_new_session_waits_for_what_the_last_one_left() -> None:
    progress = Progress()
    progress.settle(progress.begin("one", "url"))
    hold = progress.arrive(1)
    assert hold is not None
    progress.settle(hold, ["left"])
    fill = progress.begin("two", "url")
    ready = progress.arrive(1)
    assert ready is not None
    progress.settle(ready)
    progress.settle(fill, ["found"])
    assert progress.safe < 1
    progress.acknowledge("found")
    assert progress.safe < 1
    progress.acknowledge("left")
    assert progress.safe == 1
