"""The row to beat: the base with memory in its prompt, as serving would show it.

Memory here is what the owner said earlier in the same conversation partner's chat: exchanges of the
dataset, found by their words (TF-IDF), older than the week that is judged. Nothing of another chat is
shown, for its audience may be another.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, cast

import numpy as np

from trainer.examples import Moment
from trainer.split import LEARNED
from trainer.windows import Window, WindowTurn

SHOWN = 4
CHARACTERS = 160
HEADING = "You know:"
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    chat: str
    week: tuple[int, ...]
    asked: str
    answered: str


class Recollection:
    """Earlier exchanges of the owner's, found by their words."""

    def __init__(self, windows: Sequence[Window]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 -- seconds to import

        self._known = [
            exchange
            for window in windows
            for exchange in _exchanges(window)
            if WORD.search(exchange.answered)
        ]
        self._vectors: Any = None
        self._words = cast("Any", TfidfVectorizer)(sublinear_tf=True, token_pattern=WORD.pattern)
        if self._known:
            self._vectors = self._words.fit_transform([f"{e.asked} {e.answered}" for e in self._known])

    def remembered(self, moment: Moment) -> tuple[WindowTurn, ...]:
        """The moment's context with what memory knows; as it was where it knows nothing."""
        system, *chat = moment.context
        found = self._found(moment)
        if not found or HEADING in system.text:
            return moment.context
        *told, last = system.text.split("\n")
        memories = [
            f"- {side[:CHARACTERS]}"
            for exchange in found
            for side in (exchange.asked, f"You: {exchange.answered}")
        ]
        return (replace(system, text="\n".join([*told, HEADING, *memories, last])), *chat)

    def _found(self, moment: Moment) -> list[_Exchange]:
        if self._vectors is None:
            return []
        chat, week = moment.cluster.rsplit(":", 1)
        asked = next((turn.text for turn in reversed(moment.context) if turn.role == "user"), "")
        scores = np.asarray((self._vectors @ self._words.transform([asked]).T).todense()).ravel()
        before = _week(week)
        usable = np.array([e.chat == chat and e.week < before for e in self._known])
        best = np.argsort(-np.where(usable, scores, 0.0), kind="stable")[:SHOWN]
        return [self._known[int(place)] for place in best if usable[place] and scores[place] > 0]


def _exchanges(window: Window) -> list[_Exchange]:
    """Of windows that are learned from: held-out words teach nobody, memory neither."""
    if window.part not in LEARNED:
        return []
    return [
        _Exchange(
            chat=window.chat, week=_week(window.week), asked=before.text[-CHARACTERS:], answered=turn.text
        )
        for before, turn in pairwise(window.turns)
        if turn.learn and before.role == "user"
    ]


def _week(week: str) -> tuple[int, ...]:
    return tuple(int(part) for part in week.split("-"))
