"""The owner's past answers, weighed: which of them would fit what is asked now.

Search says how alike two questions are; here it counts whether both ask about the same thing, how
old the answer is, and whether the owner has given a newer one since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.reply.recall import Answered
from core.reply.wording import is_question, topic_words, words

HALF_LIFE_DAYS = 120.0
"""The part of a past answer's weight that fades is half gone after this long: plans and habits change."""

OTHER_KIND = 0.8
"""Kept of the likeness of a question to a statement, and of two texts without a common topic."""

DODGE_WORDS = 3
DODGED = 0.6
"""Words of a counter-question that answers nothing by itself, and what is kept of its likeness."""

INHERITED = 0.9
"""Kept of the fit of an older answer's question by the answer that replaces it."""

SAME_TOPIC = 1 / 3
"""Share of what the older question has in common with the text that the newer one must have too."""

AS_LIKE = 0.45
LEAST_LIKE = 0.38
"""How alike a newer answer's question must be, of the older one's and at all, to make the older outdated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A past answer and how well it fits, 0 to 1; `outdated` when the owner has said it anew since."""

    answered: Answered
    fit: float
    outdated: bool


def weigh(text: str, answered: Sequence[Answered], now: datetime) -> tuple[Weighed, ...]:
    """Past answers to the like of `text`, those that still hold first, best first.

    An answer that replaces an older one takes over how well the older one's question fits.
    """
    by_age = sorted(answered, key=lambda past: past.replied_at)
    topic = topic_words(text)
    topics = [topic_words(past.asked) for past in by_age]
    fits: list[float] = []
    outdated: set[int] = set()
    for place, past in enumerate(by_age):
        replaced = [
            older
            for older in range(place)
            if _is_as_good(text, past, by_age[older]) and _covers(topics[place], topic & topics[older])
        ]
        outdated.update(replaced)
        fit = _fit(text, past, same_topic=bool(topic & topics[place]))
        fits.append(max([fit, *(INHERITED * fits[older] for older in replaced)]))
    weighed = [
        Weighed(
            answered=past,
            fit=round(min(fits[place] * _freshness(past.replied_at, now), 0.95), 3),
            outdated=place in outdated,
        )
        for place, past in enumerate(by_age)
    ]
    return tuple(sorted(weighed, key=lambda one: (one.outdated, -one.fit)))


def _fit(text: str, past: Answered, *, same_topic: bool) -> float:
    fit = past.likeness
    if is_question(text) != is_question(past.asked):
        fit *= OTHER_KIND
    if not same_topic:
        fit *= OTHER_KIND
    if past.reply.rstrip().endswith("?") and len(words(past.reply)) <= DODGE_WORDS:
        fit *= DODGED
    return fit


def _freshness(at: datetime, now: datetime) -> float:
    days = max((now - at).total_seconds() / 86400, 0.0)
    return 0.5 + 0.5 * 0.5 ** (days / HALF_LIFE_DAYS)


def _is_as_good(text: str, newer: Answered, older: Answered) -> bool:
    """True when the newer answer is one, and its question asks much as the older one's and this text do."""
    return (
        newer.replied_at > older.replied_at
        and newer.likeness >= max(LEAST_LIKE, AS_LIKE * older.likeness)
        and is_question(newer.asked) >= is_question(text)
        and not newer.reply.rstrip().endswith("?")
    )


def _covers(topic: frozenset[str], about: frozenset[str]) -> bool:
    """True when a question of that topic is about what this text and an older question have in common."""
    return bool(about) and len(about & topic) >= SAME_TOPIC * len(about)
