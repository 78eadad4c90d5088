"""What makes a dataset unfit to learn from, seen before an hour is spent on it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from trainer.gate import Bounds
from trainer.placeholders import PLACEHOLDER, conceal_personal
from trainer.split import LEARNED, Part
from trainer.windows import Window


def objection(windows: Sequence[Window], bounds: Bounds) -> str:
    """Why nothing should be learned from these windows; empty where nothing speaks against it."""
    return " ".join([*_spam(windows, bounds), *_secrets(windows)])


def _spam(windows: Sequence[Window], bounds: Bounds) -> Iterator[str]:
    """Short answers repeat in every life; a long message that comes again and again was not typed each time."""
    learned = [
        " ".join(turn.text.lower().split())
        for window in windows
        if window.part is Part.TRAIN
        for turn in window.turns
        if turn.learn
    ]
    text, times = max(
        Counter(learned).items(), key=lambda item: (len(item[0]) >= bounds.long, item[1]), default=("", 0)
    )
    if len(text) >= bounds.long and times > max(bounds.most_repeated * len(learned), 3):
        yield (
            f"One message of {len(text)} characters is {times} of the {len(learned)} turns to learn from: "
            "an adapter would say little else. 'locum dataset' writes the windows; forget the repetitions, or "
            "take their source out of training."
        )


def _secrets(windows: Sequence[Window]) -> Iterator[str]:
    """Placeholders should stand for them all: what is left says that a file was changed, or a filter failed."""
    found = sum(
        any(conceal_personal(PLACEHOLDER.sub("…", line)).kinds for line in turn.text.split("\n"))
        for window in windows
        if window.part in LEARNED
        for turn in window.turns
    )
    if found:
        yield f"{found} turns of the dataset hold secrets, and weights keep no secrets: nothing was trained."
