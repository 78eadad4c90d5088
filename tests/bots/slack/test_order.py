"""Whatever order, however often and in however many lives things come: the same events, and no message twice."""

import asyncio
import copy
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bots.doubles.slack import OWNER, Fault, SlackDouble
from bots.doubles.slack_workspace import Json
from core.bot import Outgoing, ReceiptStatus
from core.events import Event
from tests.bots.slack.life import Life, until
from tests.contract.slack_platform import Slack, slack

JONAS, DANA = "U0JONAS", "U0DANA"

ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "write", "reply", "broadcast", "edit", "unfurl", "erase", "react", "bot", "join"]
        ),
        st.sampled_from(["D0JONAS", "D0DANA", "C0PLANS"]),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=12,
)


@dataclass(slots=True, kw_only=True)
class Story:
    """What happened, as Slack would tell it in order: the envelopes."""

    double: SlackDouble
    stamps: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    async def act(self, act: str, chat: str, number: int) -> None:
        stamps = self.stamps.setdefault(chat, [])
        who = (
            (JONAS, OWNER, DANA)[number % 3]
            if chat == "C0PLANS"
            else (OWNER, chat.replace("D0", "U0"))[number % 2]
        )
        if act in ("write", "reply", "broadcast") or not stamps:
            thread = stamps[0] if act != "write" and stamps else None
            stamps.append(
                await self.double.writes(
                    who,
                    chat,
                    f"line {number} & <more>",
                    thread=thread,
                    broadcast=act == "broadcast" and bool(thread),
                )
            )
            return
        stamp = stamps[number % len(stamps)]
        match act:
            case "edit":
                await self.double.rewrites(chat, stamp, f"edited {number}")
            case "unfurl":
                await self.double.unfurls(chat, stamp)
            case "erase" if stamp != stamps[0]:
                stamps.remove(stamp)
                await self.double.erases(chat, stamp)
            case "react":
                await self.double.reacts(who, chat, stamp, f"sign_{self.double.workspace.number()}")
            case "bot":
                await self.double.writes_markup("", chat, "beep", subtype="bot_message", bot_id="B7")
            case _:
                await self.double.writes_markup(who, chat, "joined", subtype="channel_topic")


async def told(platform: Slack, script: list[tuple[str, str, int]]) -> list[Json]:
    double = platform.double
    double.workspace.add_channel("C0PLANS", "channel", [OWNER, JONAS, DANA], name="plans")
    double.holding = []
    story = Story(double=double)
    for act in script:
        await story.act(*act)
    envelopes, double.holding = double.holding, None
    return envelopes


async def events_of(
    platform: Slack, lives: list[list[Json]], *, forgetful: random.Random | None = None
) -> dict[str, Event]:
    """The events by key, of envelopes that come in so many lives of the bot."""
    found: dict[str, Event] = {}
    for number, envelopes in enumerate(lives):
        last = number == len(lives) - 1
        async with Life(platform, bot=platform.new_bot()) as life:
            life.acknowledging = last or forgetful is None or forgetful.random() < 0.5
            for envelope in envelopes:
                await platform.double.bring_envelope(envelope)
            if last:
                await platform.double.redeliver()
                await life.quiet()
        for event in life.seen:
            assert found.setdefault(event.key, event) == event
    return found


@given(script=ACTS, seed=st.integers(0, 1 << 30), cut=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_the_same_conversation_gives_the_same_events_however_it_is_delivered(
    script: list[tuple[str, str, int]], seed: int, cut: float
) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)  # noqa: S311 -- no secret
        async with slack() as platform:
            envelopes = await told(platform, script)
            plain = await events_of(platform, [copy.deepcopy(envelopes)])
            again = [*envelopes, *chance.sample(envelopes, len(envelopes) // 2)]
            for number, envelope in enumerate(again):
                again[number] = copy.deepcopy(envelope) | {"envelope_id": f"X{number}"}
            chance.shuffle(again)
            at = int(len(again) * cut)
            mixed = await events_of(platform, [again[:at], again[at:]], forgetful=chance)
        assert mixed == plain

    asyncio.run(scenario())


FAULTS = st.lists(
    st.builds(
        Fault,
        kind=st.sampled_from(["drop", "status", "error", "late"]),
        taken=st.booleans(),
        code=st.sampled_from(["internal_error", "fatal_error", "is_archived", "not_in_channel"]),
    ).filter(lambda fault: fault.taken == (fault.kind == "late") or fault.kind in ("drop", "status")),
    max_size=3,
)


@given(posts=FAULTS, looks=FAULTS, repeats=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_reply_stands_there_once_or_never_and_the_receipt_never_lies(
    posts: list[Fault], looks: list[Fault], repeats: int
) -> None:
    async def scenario() -> None:
        async with slack() as platform, Life(platform) as life:
            platform.double.api.faults["chat.postMessage"] = list(posts)
            platform.double.api.faults["conversations.history"] = list(looks)
            for number in range(repeats):
                text = f"reply {number}"
                receipt = await life.bot.send(platform.chat("jonas"), Outgoing(key=text, text=text))
                standing = [found for found in platform.standing_in("jonas") if found[1] == text]
                assert len(standing) <= 1
                if receipt.status is ReceiptStatus.SENT:
                    assert [message_id for message_id, _ in standing] == list(receipt.message_ids)
                if receipt.status is ReceiptStatus.REFUSED:
                    assert standing == []
            assert platform.double.api.count("chat.postMessage") == repeats
            await until(lambda: not platform.double.unconfirmed)

    asyncio.run(scenario())
