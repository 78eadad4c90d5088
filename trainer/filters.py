"""Five filters between what was made and what is learned: schema, duplicates, grounding, judge, privacy.

Each says how many it saw and dropped, and keeps a few of those for the owner to look at. Behind them
stand the owner's own verdicts, and the rule that no answer is learned too often. The owner's real replies
need no grounding and no judge: they are the truth that is learned.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from core.errors import BadInput, ModelError
from core.models.faces import ChatTurn, Generator, Sampling
from core.models.turns import CONTROL
from core.reply.wording import checkable_details, words
from trainer.budget import Deadline
from trainer.duplicates import near_duplicates
from trainer.matrix import shape_of
from trainer.placeholders import EVERYDAY, PLACEHOLDER, conceal_personal
from trainer.split import Part
from trainer.synthesis import balanced, without_turn
from trainer.tasks import Task
from trainer.teachable import Teachable
from trainer.verdicts import Verdicts
from trainer.windows import REPLY, Window, is_worth_learning

SAMPLES = 3
"""Dropped examples of each filter that are kept for the owner."""
LONGEST_ANSWER = 1500
LONG = 12
"""Words of a real talk from which repeating it is copying: "coming?", "yes" is life, and not a duplicate."""
SAME_ANSWER = 0.02
"""Share of the rows that one answer may have."""
FREE_WORDS = 3
"""Words up to which a real reply may come as often as its owner says it."""
CONTROLS, QUALIFIED = 10, 0.8
"""Planted examples that a judge is tried on, and the share of them that it must judge rightly."""

_THINK = re.compile(r"<think>.+?</think><answer>(.+)</answer>", re.DOTALL)
_SELF = frozenset({"i'd", "i've", "i'm", "i'll", "i’d", "i’ve", "i’m", "i’ll"})
"""What looks like a name within a sentence."""
_TAG = re.compile(r"</?(?:think|answer)>")


@dataclass(slots=True, kw_only=True)
class Sieve:
    """What one filter did."""

    seen: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    """By reason."""
    told: str = ""
    """Why it did not run, or who judged."""

    def as_document(self) -> dict[str, Any]:
        return {"seen": self.seen, "dropped": dict(self.dropped), "told": self.told}


@dataclass(slots=True, kw_only=True)
class Filtered:
    """What is left, and what each filter has to say."""

    kept: list[Window]
    sieves: dict[str, Sieve]
    samples: list[tuple[str, str, Window]]
    """(filter, why, example), a few of each filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """What examples are held against."""

    facts: Mapping[int, Teachable]
    """Those that may be taught at this moment."""
    owner: str
    names: frozenset[str]
    """Words of people's names, folded."""
    verdicts: Verdicts = field(default_factory=Verdicts)
    judge: Generator | None = None
    outside: bool = True
    """The judge is on another machine."""
    until: Deadline | None = None
    """From then on nothing more is judged."""


async def filter_examples(windows: Sequence[Window], against: Against) -> Filtered:
    """What may be learned of them. Held-out windows are never dropped: they judge, and are not learned."""
    held_out = [window for window in windows if window.part is Part.HELD_OUT]
    left = [window for window in windows if window.part is not Part.HELD_OUT]
    done = Filtered(kept=[], sieves={}, samples=[])
    left = _keep(done, "schema", left, [_shape_fault(window) for window in left])
    left = _keep(done, "duplicates", left, _duplicate_faults(left, against.verdicts))
    left = _keep(done, "grounding", left, [_grounding_fault(window, against) for window in left])
    faults, told = await _judged(left, against)
    left = _keep(done, "judge", left, faults, told)
    left = _keep(done, "privacy", left, [_privacy_fault(window, against) for window in left])
    rejected = ["you rejected it" if one.mark in against.verdicts.rejected else "" for one in left]
    left = _keep(done, "owner", left, rejected)
    done.kept = [*_no_answer_too_often(done, left), *held_out]
    return done


def _keep(
    done: Filtered, name: str, windows: Sequence[Window], faults: Sequence[str], told: str = ""
) -> list[Window]:
    done.sieves[name] = Sieve(
        seen=len(windows), dropped=Counter(fault for fault in faults if fault), told=told
    )
    bad = [(name, fault, window) for window, fault in zip(windows, faults, strict=True) if fault]
    done.samples += bad[:SAMPLES]
    return [window for window, fault in zip(windows, faults, strict=True) if not fault]


# ─── schema ──────────────────────────────────────────────────────────────────────────────────


def _shape_fault(window: Window) -> str:
    """What is wrong with the shape of an example; empty where nothing is."""
    roles = [turn.role for turn in window.turns]
    if roles[:1] != ["system"] or any(one == other for one, other in pairwise(roles)):
        return "the turns do not alternate"
    learned = [turn for turn in window.turns if turn.learn]
    if not learned or any(turn.role != "assistant" or not turn.text.strip() for turn in learned):
        return "nothing to learn"
    if any(len(turn.text) > LONGEST_ANSWER for turn in learned):
        return "too long"
    if any(CONTROL.search(turn.text) for turn in learned):
        return "control tokens"
    if window.kind == REPLY:
        return "hardly a word of the owner's is left" if all(_mostly_hidden(t.text) for t in learned) else ""
    if any(_TAG.search(turn.text) and not _THINK.fullmatch(turn.text) for turn in learned):
        return "broken reasoning"
    return "a placeholder in an answer" if any(PLACEHOLDER.search(turn.text) for turn in learned) else ""


def _mostly_hidden(text: str) -> bool:
    return len(PLACEHOLDER.sub(" ", text).split()) < len(PLACEHOLDER.findall(text))


# ─── duplicates ──────────────────────────────────────────────────────────────────────────────


def _duplicate_faults(windows: Sequence[Window], verdicts: Verdicts) -> list[str]:
    """Exact ones of synthesised examples; near ones of those and of long real talks, each among its kind."""
    faults = ["" for _ in windows]
    by_kind: dict[str, list[int]] = {}
    for place, window in enumerate(windows):
        by_kind.setdefault(window.kind, []).append(place)
    for kind, places in by_kind.items():
        seen: set[str] = set()
        compared: list[int] = []
        for place in places:
            text = _talk(windows[place])
            free = kind == REPLY and len(text.split()) < LONG
            if not free and text in seen:
                faults[place] = "exact"
            elif not free:
                compared.append(place)
            seen.add(text)
        like = 0.8 if kind == REPLY else 0.9
        for again in near_duplicates([_talk(windows[place]) for place in compared], like):
            faults[compared[again]] = "near"
    return [
        "" if fault and window.mark in verdicts.approved else fault
        for window, fault in zip(windows, faults, strict=True)
    ]


def _talk(window: Window) -> str:
    return "\n".join(turn.text for turn in window.turns[1:])


# ─── grounding ───────────────────────────────────────────────────────────────────────────────


def _grounding_fault(window: Window, against: Against) -> str:
    """Names, numbers and dates of a synthesised answer stand in what it rests on."""
    if window.kind == REPLY:
        return ""
    facts = [against.facts.get(each) for each in window.facts]
    if not all(facts):
        return "it rests on a fact that may not be taught any more"
    held = [fact for fact in facts if fact]
    days = [f"{day:%Y-%m-%d}" for fact in held for day in (fact.valid_from, fact.valid_to) if day]
    source = "\n".join([against.owner, *days, *(f"{fact.statement}\n{fact.words}" for fact in held)])
    said = answer_of(window)
    known = checkable_details(source) | frozenset(words(source)) | checkable_details(window.turns[1].text)
    if window.question == "no":
        # What is false stands in the question: only what is so may stand in the answer.
        known = checkable_details(source) | frozenset(words(source))
    return "it says something that its sources do not" if checkable_details(said) - known - _SELF else ""


def answer_of(window: Window) -> str:
    """The answer without the way to it."""
    text = window.turns[-1].text
    match = _THINK.fullmatch(text)
    return match[1] if match else text


# ─── judge ───────────────────────────────────────────────────────────────────────────────────

JUDGING = (
    "You check question and answer pairs against what is known. Answer with one word: good, if the answer fits the "
    "question and says nothing but what is known; else bad."
)


async def _judged(windows: Sequence[Window], against: Against) -> tuple[list[str], str]:
    """The judge's faults, and a sentence: who judged, or why nobody did."""
    nothing = ["" for _ in windows]
    if against.judge is None:
        return nothing, "Not run: no judge is named (LOCUM_TEACHER_URL)."
    right, of = await _tried(against.judge, against)
    if of < CONTROLS or right < QUALIFIED * of:
        return nothing, f"Not run: {against.judge.name} judged {right} of {of} planted controls rightly."
    faults: list[str] = []
    unjudged = 0
    for window in windows:
        if against.until is not None and against.until.passed:
            faults.append("")
            unjudged += 1
            continue
        judged = window.kind in {Task.MEMORY_SELF, Task.MEMORY_THIRD} and window.question != "unanswerable"
        facts = [against.facts[each] for each in window.facts] if judged else []
        sendable = judged and all(fact.may_leave or not against.outside for fact in facts)
        approved = window.mark in against.verdicts.approved
        verdict = (
            await _verdict(against.judge, facts, window.turns[1].text, answer_of(window))
            if sendable and not approved
            else "good"
        )
        faults.append("the judge found it bad" if verdict == "bad" else "")
    late = f" {unjudged} were not judged for want of time." if unjudged else ""
    return faults, f"Judged by {against.judge.name}: {right} of {of} planted controls right.{late}"


async def _tried(judge: Generator, against: Against) -> tuple[int, int]:
    """Planted controls judged rightly, and how many there were: true statements, and ones with another value."""
    right = total = 0
    for fact in against.facts.values():
        found = shape_of(fact)
        if found is None or total >= 2 * CONTROLS or (against.outside and not fact.may_leave):
            continue
        _, shape, value = found
        if not shape.others:
            continue
        asked = shape.of[0].format(o=against.owner)
        for answer, wanted in (
            (fact.statement, "good"),
            (fact.statement.replace(value, shape.others[0]), "bad"),
        ):
            right += await _verdict(judge, [fact], asked, answer) == wanted
            total += 1
    return right, total


async def _verdict(judge: Generator, facts: Sequence[Teachable], asked: str, answer: str) -> str:
    """`good`, `bad`, or empty for an answer that is none: that drops nothing."""
    known = "\n".join(f"- {fact.statement}" for fact in facts)
    turns = [
        ChatTurn(role="system", text=JUDGING),
        ChatTurn(role="user", text=f"Known:\n{known}\nQuestion: {asked}\nAnswer: {answer}"),
    ]
    try:
        (sample,) = await judge.chat(turns, sampling=Sampling(max_tokens=4, temperature=0.0))
    except (ModelError, BadInput):
        return ""
    said = words(sample.text)
    return said[0] if said and said[0] in {"good", "bad"} else ""


# ─── privacy ─────────────────────────────────────────────────────────────────────────────────


def _privacy_fault(window: Window, against: Against) -> str:
    """Secrets and numbers that got through, in whatever turn; and other people in synthesised answers."""
    for turn in window.turns:
        if kinds := conceal_personal(PLACEHOLDER.sub(" ", turn.text)).kinds:
            return f"it holds {kinds[0]}"
    if window.kind != REPLY:
        told = frozenset(words(_talk(window))) & against.names
        if any(not EVERYDAY.keeps(name) for name in told - frozenset(words(against.owner))):
            return "it names somebody else"
    return ""


# ─── no answer too often ─────────────────────────────────────────────────────────────────────


def _no_answer_too_often(done: Filtered, windows: Sequence[Window]) -> list[Window]:
    """One answer has at most two rows of a hundred; a real reply of a few words is the owner's to repeat.

    Of real windows the turn alone is no longer learned. Rows: learned turns, real and synthesised apart,
    so that many of the one kind do not lend room to the other.
    """
    real = sum(turn.learn for window in windows if window.kind == REPLY for turn in window.turns)
    most = {True: max(int(SAME_ANSWER * real), 1), False: max(int(SAME_ANSWER * (_rows(windows) - real)), 1)}
    said = Counter[tuple[bool, str]]()
    sieve = Sieve(seen=_rows(windows))
    kept: list[Window] = []
    for window in windows:
        left = window
        for place, turn in enumerate(window.turns):
            is_real = window.kind == REPLY
            answer = turn.text if is_real else answer_of(window)
            if not turn.learn or (is_real and len(turn.text.split()) <= FREE_WORDS):
                continue
            key = (is_real, " ".join(answer.casefold().split()))
            said[key] += 1
            if said[key] > most[is_real]:
                left = without_turn(left, place)
                sieve.dropped["the same answer too often"] += 1
                if sieve.dropped.total() <= SAMPLES:
                    done.samples.append(("answers", "the same answer too often", window))
        if is_worth_learning(left):
            kept.append(left)
    done.sieves["answers"] = sieve
    synthesised = balanced([window for window in kept if window.kind != REPLY])
    return [*(window for window in kept if window.kind == REPLY), *synthesised]


def _rows(windows: Sequence[Window]) -> int:
    return sum(turn.learn for window in windows for turn in window.turns)
