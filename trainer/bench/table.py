"""The table: every figure with its 90 % interval, and whether each goal was met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bench.judging import Question
from trainer.evaluate import Draws
from trainer.figures import Interval
from trainer.style import Copies, auc, length_divergence, shape, told_apart

Figures = NDArray[np.float64]
STYLE_DRAWS = 200

PERSONAL = 0.06
"""Bits/byte that the wrong person's adapter must lack: the goal, twice the first measurement."""
GENERAL_RISE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One row's raw figures at all moments."""

    told: Sequence[dict[str, Any]]
    unconditional: Mapping[str, float]

    @property
    def nats(self) -> Figures:
        return np.array([one["nats"][0] for one in self.told], dtype=np.float64)

    def ranks(self, questions: Sequence[Question], *, pmi: bool) -> Figures:
        """Place of the true reply among its candidates; equals count as better than it."""
        found: list[int] = []
        for question, one in zip(questions, self.told, strict=True):
            less = [self.unconditional[text] if pmi else 0.0 for text in question.candidates]
            scores = [nats - base for nats, base in zip(one["nats"], less, strict=True)]
            found.append(1 + sum(other <= scores[0] for other in scores[1:]))
        return np.array(found, dtype=np.float64)

    @property
    def samples(self) -> list[str]:
        return [text for one in self.told for text in one["samples"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """The person's own messages: those of the held-out part with their conversations, and those learned."""

    held_out: Sequence[str]
    clusters: Sequence[str]
    learned: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    goal: str
    met: bool
    figure: str


def table(
    questions: Sequence[Question],
    rows: Mapping[str, Judged],
    general: Mapping[str, dict[str, float]],
    real: Real,
    seed: int,
) -> dict[str, Any]:
    """Everything that is reported of one person, as plain JSON data."""
    sizes = np.array([one["bytes"] for one in rows["base"].told], dtype=np.float64)
    draws = Draws([question.moment.cluster for question in questions], sizes, seed)
    own = rows["own"]
    first = {name: _first(row, questions) for name, row in rows.items()}
    against = {
        name: {
            "bits_per_byte": asdict(draws.interval(own.nats - row.nats)),
            "recall_at_1": asdict(draws.mean(first["own"] - first[name])),
        }
        for name, row in rows.items()
        if name != "own"
    }
    style = _style(questions, rows, real)
    told: dict[str, Any] = {
        "moments": len(questions),
        "clusters": draws.clusters,
        "candidates": [min(sizes_), max(sizes_)]
        if (sizes_ := [len(q.candidates) for q in questions])
        else [],
        "rows": {name: _figures(row, questions, draws) for name, row in rows.items()},
        "own_minus": against,
        "personal_part": asdict(draws.interval(rows["wrong"].nats - own.nats)),
        "memory_on_top": asdict(draws.interval(rows["own_memory"].nats - own.nats)),
        "names_matter": asdict(draws.interval(rows["own_shuffled_names"].nats - own.nats)),
        "style": style,
        "general": dict(general),
    }
    return {**told, "goals": [asdict(goal) for goal in _goals(told)]}


def _figures(row: Judged, questions: Sequence[Question], draws: Draws) -> dict[str, Any]:
    by_pmi, by_chance = (row.ranks(questions, pmi=pmi) for pmi in (True, False))
    return {
        "bits_per_byte": asdict(draws.interval(row.nats)),
        "recall_at_1": asdict(draws.mean((by_pmi == 1).astype(np.float64))),
        "mrr": asdict(draws.mean(1 / by_pmi)),
        "recall_at_1_likelihood": asdict(draws.mean((by_chance == 1).astype(np.float64))),
        "mrr_likelihood": asdict(draws.mean(1 / by_chance)),
        "prompt_tokens": float(np.mean([one["prompt_tokens"] for one in row.told])),
    }


def _first(row: Judged, questions: Sequence[Question]) -> Figures:
    return (row.ranks(questions, pmi=True) == 1).astype(np.float64)


# ─── style ───────────────────────────────────────────────────────────────────────────────────


def _style(questions: Sequence[Question], rows: Mapping[str, Judged], real: Real) -> dict[str, Any]:
    """Each writing row against the person's own messages; the floor is the person against themself."""
    chance = np.random.default_rng(len(real.held_out))
    order = _drawn(chance, len(real.held_out))
    writing = {name: row for name, row in rows.items() if row.samples}
    each = len(next(iter(writing.values())).samples) if writing else 0
    count = min(each, len(order) // 2)
    copies = Copies(real.learned)
    found: dict[str, Any] = {
        "messages_each": count,
        "floor": _floor(real, count),
        "own_repeats": copies.rate(real.held_out),
        "shape": shape(real.held_out),
        "rows": {},
    }
    mine = [real.held_out[place] for place in order[:count]]
    groups = [real.clusters[place] for place in order[:count]]
    for name, row in writing.items():
        samples = row.samples
        owners = [
            q.moment.cluster for q, one in zip(questions, row.told, strict=True) for _ in one["samples"]
        ]
        taken = _drawn(chance, len(samples))[:count]
        texts, clusters = [samples[i] for i in taken], [owners[i] for i in taken]
        scores = told_apart(mine, texts, groups, clusters)
        found["rows"][name] = {
            "auc": asdict(_auc_interval(scores, [*groups, *clusters], count)),
            "copy_rate": copies.rate(samples),
            "length_divergence_bits": length_divergence(samples, real.held_out),
            "shape": shape(samples),
        }
    return found


def _drawn(chance: np.random.Generator, size: int) -> list[int]:
    return [int(place) for place in chance.permutation(size)]


def _floor(real: Real, count: int) -> float:
    """Mean over five draws of two halves, by whole conversations where there are enough."""
    found: list[float] = []
    for seed in range(5):
        order = _drawn(np.random.default_rng(seed), len(real.held_out))
        one, other = order[:count], order[count : 2 * count]
        texts, groups = real.held_out, real.clusters
        scores = told_apart(
            [texts[i] for i in one],
            [texts[i] for i in other],
            [groups[i] for i in one],
            [groups[i] for i in other],
        )
        found.append(auc(scores, count))
    return float(np.mean(found))


def _auc_interval(scores: Figures, clusters: Sequence[str], firsts: int) -> Interval:
    """Drawn by whole conversations; the classifier is not trained again."""
    weights = Draws(clusters, np.ones(len(clusters)), 20).weights(STYLE_DRAWS)
    drawn = [auc(scores, firsts, one) for one in weights if one[:firsts].any() and one[firsts:].any()]
    low, high = np.quantile(drawn, [0.05, 0.95])
    return Interval(value=auc(scores, firsts), low=float(low), high=float(high))


# ─── goals ───────────────────────────────────────────────────────────────────────────────────


def _goals(told: dict[str, Any]) -> list[Goal]:
    goals: list[Goal] = []
    for other in ("base_few_shot", "base_memory", "wrong"):
        goals.append(_better(told, other, "bits_per_byte", lambda i: i["high"] < 0))
        goals.append(_better(told, other, "recall_at_1", lambda i: i["low"] > 0))
    personal = told["personal_part"]
    goals.append(
        Goal(
            goal=f"personal part of {PERSONAL} bits/byte",
            met=personal["value"] >= PERSONAL and personal["low"] > 0,
            figure=shown(personal),
        )
    )
    style = told["style"]["rows"]
    own, base, floor = style["own"]["auc"]["value"], style["base"]["auc"]["value"], told["style"]["floor"]
    goals.append(
        Goal(
            goal="style at least halfway from the base to the floor",
            met=own <= (base + floor) / 2,
            figure=f"base {base:.3f}, own {own:.3f}, floor {floor:.3f}",
        )
    )
    before, after = (told["general"][name]["bits_per_byte"] for name in ("base", "own"))
    rise = after / before - 1
    goals.append(
        Goal(goal="general loss up by 1 % at most", met=rise <= GENERAL_RISE, figure=f"{100 * rise:+.2f} %")
    )
    return goals


def _better(told: dict[str, Any], other: str, figure: str, clear: Callable[[dict[str, float]], bool]) -> Goal:
    interval = told["own_minus"][other][figure]
    return Goal(goal=f"own beats {other} on {figure}", met=clear(interval), figure=shown(interval))


def shown(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:+.3f} [{interval['low']:+.3f}, {interval['high']:+.3f}]"
