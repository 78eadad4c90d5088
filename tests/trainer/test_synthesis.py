"""Facts become examples of many kinds, balanced, and few beside what the owner really wrote."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import ModelUnavailable
from core.models.faces import ChatTurn, Sample, Sampling
from trainer.filters import Against, Filtered, answer_of, filter_examples
from trainer.matrix import Item, items_of, unanswerable
from trainer.synthesis import SynthesisCounts, Voice, ask_teacher, dress, synthesise
from trainer.tasks import WEIGHTS, Reasoning, Task, reasoned, styles_for
from trainer.teachable import Teachable, first_person
from trainer.verdicts import Verdicts
from trainer.windows import Window

VOICE = Voice(owner="Mara", time_zone="UTC")
DAY = datetime(2026, 2, 3, tzinfo=UTC)
STATED = (
    ("home", "home_city", "Mara lives in Porto"), ("work", "employer", "Mara works at Brightwell"),
    ("work", "job", "Mara works as a carpenter"), ("diet", "diet", "Mara is vegetarian"),
    ("pet", "", "Mara has a dog called Rex"), ("language", "", "Mara speaks Danish"),
    ("hobby", "", "Mara plays chess"), ("birthday", "birthday", "Mara's birthday is 3 May"),
    ("education", "school", "Mara studies at Lund University"), ("home", "origin", "Mara is from Visby"),
    ("preference", "", "Mara's favourite film is Alien"), ("event", "", "Mara ran a marathon"),
)  # fmt: skip


def fact(number: int, kind: str, slot: str, statement: str, **changes: object) -> Teachable:
    given: dict[str, object] = {
        "id": number,
        "subject": "Mara",
        "kind": kind,
        "slot": slot,
        "statement": statement,
        "valid_from": DAY + timedelta(days=number),
        "valid_to": None,
        "replaced_by": None,
        "sources": (100 + number,),
        "words": statement.replace("Mara", "I"),
        "may_leave": True,
        **changes,
    }
    return Teachable(**given)  # pyright: ignore[reportArgumentType] -- of the types above


FACTS = [fact(number, *stated) for number, stated in enumerate(STATED)]
MOVED = [
    fact(50, "home", "home_city", "Mara lives in Visby", valid_to=DAY, replaced_by=51),
    fact(51, "home", "home_city", "Mara lives in Porto", valid_from=DAY),
]


def made_of(facts: Sequence[Teachable], real: int = 100_000) -> list[Window]:
    return synthesise(facts, VOICE, real, {})[0]


async def filtered(
    windows: Sequence[Window], facts: Sequence[Teachable] = FACTS, **others: object
) -> Filtered:
    given: dict[str, object] = {"names": frozenset[str](), **others}
    return await filter_examples(
        windows,
        Against(facts={one.id: one for one in facts}, owner="Mara", **given),  # pyright: ignore[reportArgumentType] -- of the types above
    )


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("Mara lives in Porto", "I live in Porto"),
        ("Mara's birthday is 3 May", "My birthday is 3 May"),
        ("Mara broke their left arm", ""),
        ("Mara plays chess", "I play chess"),
    ],
)
def test_a_statement_is_said_by_its_owner(statement: str, said: str) -> None:
    assert first_person(fact(1, "x", "", statement)) == said


def test_every_kind_of_question_and_of_rewriting_is_there() -> None:
    asked = {item.question for item in items_of([*FACTS, *MOVED])}
    assert asked >= {
        "lookup", "time", "change", "multi-hop", "global", "yes", "no", "statement", "reverse", "cloze", "reply",
        "reply, gold shown", "reply, conflict", "enhance", "critic, missed", "critic, met",
    }  # fmt: skip


def test_yes_and_no_are_as_many_and_a_fixed_share_has_no_answer() -> None:
    windows = made_of(FACTS)
    counted = Counter(window.question for window in windows)
    assert counted["yes"] == counted["no"] > 0
    memory = [window for window in windows if window.kind in {Task.MEMORY_SELF, Task.MEMORY_THIRD}]
    share = sum(window.question == "unanswerable" for window in memory) / len(memory)
    assert 0.14 < share < 0.21


@pytest.mark.parametrize("real", [0, 500, 4000, 40_000])
def test_synthesised_examples_never_crowd_out_real_ones(real: int) -> None:
    learned = Counter[str]()
    for window in made_of(FACTS, real):
        share = "memory" if window.kind.startswith("memory") else window.kind
        learned[share] += len(window.turns[-1].text)
    assert learned["memory"] <= real * WEIGHTS["memory"] / WEIGHTS["reply"]
    assert learned.total() <= real * 40 / 45


def test_every_example_names_its_facts_and_their_messages() -> None:
    for window in made_of([*FACTS, *MOVED]):
        assert window.facts
        assert window.message_ids == tuple(sorted(100 + each for each in set(window.facts)))


def test_a_false_value_stands_in_a_question_alone() -> None:
    for item in items_of(FACTS):
        if item.question == "no":
            assert item.answer.startswith("No. ")
            assert item.facts[0].statement.split()[-1] in item.answer


async def test_what_the_templates_make_passes_the_filters() -> None:
    windows = made_of([*FACTS, *MOVED])
    done = await filtered(windows, [*FACTS, *MOVED])
    for name in ("schema", "grounding", "privacy"):
        assert not done.sieves[name].dropped, (name, done.sieves[name].dropped)
    assert len(done.kept) > 0.6 * len(windows)
    said = Counter(" ".join(answer_of(window).casefold().split()) for window in done.kept)
    assert max(said.values()) <= max(0.02 * len(windows), 1)
    asked = Counter(window.question for window in done.kept)
    assert asked["yes"] == asked["no"]


@pytest.mark.parametrize("style", [Reasoning.WEAK, Reasoning.MULTI_STEP, Reasoning.STRONG])
async def test_reasoning_stands_before_the_answer_and_is_never_in_a_reply(style: Reasoning) -> None:
    windows, _ = synthesise(FACTS, VOICE, 400_000, styles_for(style, 0))
    for window in windows:
        thought = window.turns[-1].text.startswith("<think>")
        assert thought == (window.kind != Task.RECALL)
        assert "<" not in answer_of(window)
    assert not (await filtered(windows)).sieves["schema"].dropped


def test_a_small_base_is_not_made_to_reason() -> None:
    assert styles_for("auto", 135_000_000) == {}
    assert styles_for("off", 7_000_000_000) == {}
    assert styles_for("auto", 7_000_000_000)[Task.ENHANCE] is Reasoning.WEAK
    assert styles_for("strong", 0)[Task.MEMORY_SELF] is Reasoning.STRONG
    assert reasoned(Reasoning.NONE, "?", (), "so") == "so"


async def test_what_no_source_says_is_dropped() -> None:
    items = items_of(FACTS)
    lookup = next(item for item in items if item.question == "lookup" and "Porto" in item.answer)
    false = [
        lookup,
        *(_answered(lookup, said) for said in ("I live in Leeds.", "Since 1999: I live in Porto.")),
    ]
    done = await filtered([dress(item, VOICE, {}) for item in false])
    assert done.sieves["grounding"].dropped.total() == 2
    assert [name for name, _, _ in done.samples] == ["grounding", "grounding"]


def _answered(item: Item, answer: str) -> Item:
    return replace(item, answer=answer)


async def test_a_fact_that_few_may_know_by_now_takes_its_examples_along() -> None:
    windows = made_of(FACTS)
    done = await filtered(windows, FACTS[1:])
    assert all(0 not in window.facts for window in done.kept)


async def test_secrets_people_and_rejected_examples_are_left_out() -> None:
    items = [item for item in items_of(FACTS) if item.question == "lookup"][:3]
    windows = [dress(item, VOICE, {}) for item in items]
    (rejected, *_) = windows
    phone = dress(fact_item("My number is +351 912 345 678"), VOICE, {})
    other = dress(fact_item("I live with Tomás"), VOICE, {})
    done = await filtered(
        [*windows, phone, other],
        [
            *FACTS,
            fact(90, "home", "", "Mara lives with Tomás"),
            fact(91, "x", "", "My number is +351 912 345 678"),
        ],
        names=frozenset({"tomás"}),
        verdicts=Verdicts(rejected=frozenset({rejected.mark})),
    )
    assert set(done.sieves["privacy"].dropped) == {"it holds phone", "it names somebody else"}
    assert done.sieves["owner"].dropped.total() == 1
    assert rejected.mark not in {window.mark for window in done.kept}


def fact_item(answer: str) -> Item:
    number, statement = (91, answer) if "number" in answer else (90, "Mara lives with Tomás")
    return Item(
        task=Task.MEMORY_SELF, question="lookup", asked="Tell me?", answer=answer,
        facts=(fact(number, "home", "", statement),),
    )  # fmt: skip


async def test_the_same_example_is_learned_once() -> None:
    window = made_of(FACTS)[0]
    done = await filtered([window, window])
    assert done.sieves["duplicates"].dropped == {"exact": 1}


class Scripted:
    """A teacher and judge that answers from a function."""

    name = "scripted@127.0.0.1"
    context_tokens = 4096

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer, self.heard = answer, list[str]()

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        del samples, sampling, adapter
        self.heard.append(turns[-1].text)
        return (Sample(text=self.answer(turns[-1].text), finish="stop", tokens=1),)

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        return len(turns)

    async def close(self) -> None: ...


async def test_a_teacher_elsewhere_is_sent_only_statements_that_may_leave() -> None:
    def word(asked: str) -> str:
        if "Porto" in asked:
            return "no list at all"
        return "Here: " + json.dumps([{"task": "memory_self", "asked": "What am I?", "answer": "It is so."}])

    teacher = Scripted(word)
    kept_here = fact(70, "home", "", "Mara keeps this here", may_leave=False)
    counts = SynthesisCounts()
    items = await ask_teacher(teacher, [*FACTS[:3], kept_here], "Mara", outside=True, counts=counts)
    assert len(items) == counts.taught == 2
    assert counts.untaught == 2
    assert sorted(teacher.heard) == sorted(f"Statement: {one.statement}" for one in FACTS[:3])


async def test_a_teacher_that_is_gone_leaves_the_templates() -> None:
    def gone(_: str) -> str:
        raise ModelUnavailable("away")

    assert await ask_teacher(Scripted(gone), FACTS, "Mara", outside=False, counts=SynthesisCounts()) == []


def well_judged(asked: str) -> str:
    known, answer = (
        asked.split("Question:", maxsplit=1)[0].casefold(),
        asked.rsplit("Answer:", 1)[1].casefold(),
    )
    return "good" if set(answer.strip(". ").split()[-1:]) <= set(known.replace(".", " ").split()) else "bad"


async def test_a_judge_that_passes_its_controls_judges() -> None:
    lookup = next(item for item in items_of(FACTS) if item.question == "lookup")
    bad = dress(_answered(lookup, "It rains a lot"), VOICE, {})
    done = await filtered([dress(lookup, VOICE, {}), bad], judge=Scripted(well_judged))
    assert done.sieves["judge"].dropped == {"the judge found it bad": 1}
    assert done.sieves["judge"].told.startswith("Judged by scripted")


async def test_a_judge_that_calls_everything_good_does_not_judge() -> None:
    done = await filtered(made_of(FACTS), judge=Scripted(lambda _asked: "good"))
    assert not done.sieves["judge"].dropped
    assert "planted controls" in done.sieves["judge"].told
    assert (await filtered([])).sieves["judge"].told.startswith("Not run: no judge is named")


def test_without_facts_nothing_is_unanswerable() -> None:
    assert unanswerable([], "Mara", 5) == []
    assert made_of([]) == []
