"""Whatever a platform may do to a stream of events, and wherever it is cut into lives, the store is the same."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.events import DraftVerb
from core.reply.host import BotHost
from core.reply.path import no_step
from tests.core.reply.world import World
from tests.loopback import Crash

CHATS = ("a", "b")
runs = count()

say = st.tuples(st.just("say"), st.sampled_from(CHATS), st.sampled_from(("are you coming?", "ok", "when?")))
types = st.tuples(st.just("type"), st.sampled_from(CHATS), st.sampled_from(("not today", "busy, sorry")))
change = st.tuples(
    st.sampled_from(("edit", "delete")), st.sampled_from(CHATS), st.sampled_from(("and now?", "hm?"))
)
press = st.tuples(st.just("press"), st.sampled_from(CHATS), st.sampled_from(("", "my own words")))
stories = st.lists(st.one_of(say, say, types, change, press, press), min_size=3, max_size=10)
deaths = st.lists(st.integers(min_value=1, max_value=40), max_size=5)


@dataclass(slots=True)
class Story:
    """The people of one run, in chats of their own; `texts` is what must be stored."""

    world: World
    run: int
    texts: dict[str, str] = field(default_factory=dict[str, str])
    last: dict[str, str] = field(default_factory=dict[str, str])

    def act(self, what: str, name: str, text: str) -> None:
        bot, chat = self.world.bot, f"{name}{self.run}"
        if what == "say":
            self.last[chat] = bot.say(chat, chat, text).message_id
            self.texts[self.last[chat]] = text
        elif what == "type":
            self.texts[bot.owner_types(chat, f"{text} ({self.run})").message_id] = f"{text} ({self.run})"
        elif what == "press":
            drafts = [draft for card in bot.cards.values() if card.chat.chat == chat for draft in card.drafts]
            for draft in drafts[:1]:
                bot.press(draft.draft, DraftVerb.EDIT if text else DraftVerb.SEND, text or None)
        elif self.texts.get(self.last.get(chat, "")):
            self._change(what, chat, text)

    def _change(self, what: str, chat: str, text: str) -> None:
        message_id = self.last[chat]
        if what == "edit":
            self.world.bot.rewrite(chat, message_id, text)
        else:
            self.world.bot.erase(chat, message_id)
        self.texts[message_id] = text if what == "edit" else ""


def _dies_after(steps: int) -> Callable[[str], None]:
    left = steps

    def watch(name: str) -> None:
        nonlocal left
        del name
        left -= 1
        if left == 0:
            raise Crash

    return watch


async def _live(world: World, on_step: Callable[[str], None]) -> None:
    """One life, until it has nothing to do or dies; the next host is another."""
    world.path = replace(world.path, on_step=on_step)
    world.host = BotHost(bot=world.bot, account=world.host.account, path=world.path)
    try:
        await world.pump(seconds=5)
    except Crash:
        await world.rows("UPDATE lanes SET held_until = NULL RETURNING lane")
        await world.rows("UPDATE outbox SET held_until = '-infinity' WHERE state = 'in_flight' RETURNING id")
    world.path = replace(world.path, on_step=no_step)
    world.host = BotHost(bot=world.bot, account=world.host.account, path=world.path)
    await world.host.recover()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=stories, lives=deaths, duplicates=st.integers(min_value=0, max_value=2))
async def test_duplicates_and_deaths_change_nothing_in_the_store(
    world: World, story: list[tuple[str, str, str]], lives: list[int], duplicates: int
) -> None:
    told = Story(world, next(runs))
    before = len(world.bot.sent)
    world.bot.duplicates = duplicates
    ends = iter(lives)
    for number, act in enumerate(story):
        told.act(*act)
        if number % 2:
            await _live(world, _dies_after(next(ends, 0)))
    for _ in range(2):
        await _live(world, _dies_after(0))
    stored = {row[0]: row[1] for row in await world.rows("SELECT platform_message_id, text FROM messages")}
    assert {key: stored.get(key) for key in told.texts} == told.texts
    turn_of = {row[0]: row[1] for row in await world.rows("SELECT send_key, turn_id FROM outbox")}
    turns = Counter(turn_of[posted.key] for posted in world.bot.sent[before:])
    assert all(answers == 1 for answers in turns.values())
    assert await world.rows("SELECT 1 FROM turns WHERE state IN ('settling', 'working')") == []
    assert await world.rows("SELECT 1 FROM outbox WHERE state IN ('queued', 'in_flight')") == []
