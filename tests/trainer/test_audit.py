"""The audit set: frozen at first use, touched once a month, without what was learned word by word."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from core.ids import OwnerId
from tests.trainer.test_poison import OWNER, moment, window
from trainer.audit import LEAST, MOST, Audits, audited_of, unseen
from trainer.examples import Moment
from trainer.figures import Interval
from trainer.split import Part

GAIN = Interval(value=-0.1, low=-0.2, high=-0.05)
NOVEMBER, DECEMBER = datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def counting(seen: list[list[str]]) -> Callable[[list[Moment]], Interval | None]:
    def measure(moments: list[Moment]) -> Interval | None:
        seen.append([one.digest for one in moments])
        return GAIN

    return measure


def test_the_set_is_frozen_at_first_use_and_touched_once_a_month(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    audits = Audits(tmp_path, OwnerId(1))
    moments = [moment(place, OWNER) for place in range(20)]
    first = audits.this_month(NOVEMBER, 7, moments, counting(seen))
    assert audited_of({"audit": first}) == GAIN
    assert audits.this_month(NOVEMBER, 7, moments, counting(seen)) == first  # the same run, resumed
    assert audits.this_month(NOVEMBER, 8, moments, counting(seen)) is None
    assert audited_of({"audit": None}) is None
    later = [*moments[3:], *(moment(place, OWNER) for place in range(20, 90))]
    assert audits.this_month(DECEMBER, 9, later, counting(seen))
    assert seen == [[f"{place:03}" for place in range(20)], [f"{place:03}" for place in range(3, 20)]]
    kept = (tmp_path / "audit" / "1.json").read_text()
    assert "yes" not in kept
    assert set(json.loads(kept)["months"]) == {"2026-11", "2026-12"}
    assert (tmp_path / "audit" / "1.json").stat().st_mode & 0o077 == 0


def test_too_few_moments_freeze_nothing_and_too_many_are_cut(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    audits = Audits(tmp_path, OwnerId(1))
    few = [moment(place, OWNER) for place in range(LEAST - 1)]
    assert audits.this_month(NOVEMBER, 1, few, counting(seen)) is None
    assert audits.this_month(NOVEMBER, 1, [moment(p, OWNER) for p in range(99)], counting(seen))
    assert [len(one) for one in seen] == [MOST]


def test_a_reply_that_was_learned_word_by_word_is_no_test() -> None:
    long = "one two three four five six seven eight nine"
    learned = window(1, (long, long))
    asked = [moment(2, (f"well {long}", "no")), moment(3, ("no", "five six seven eight nine"))]
    assert unseen(asked, [learned]) == asked[1:]
    assert unseen(asked, [replace(learned, part=Part.HELD_OUT)]) == asked
