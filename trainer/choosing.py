"""Pairs as token ids, and what a night makes of those it has: preference training, SFT on edits, or nothing."""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.models.faces import ChatTurn
from core.models.turns import messages
from trainer.dpo import Kind, Preference, prefer
from trainer.examples import NOT_LEARNED, Example, encode
from trainer.likelihood import load_base, room
from trainer.preferences import Choice
from trainer.recipe import Recipe
from trainer.replay import general_chats
from trainer.sft import train
from trainer.windows import Window, WindowTurn

ENDLESS = 1 << 30
LEAST_EDITS = 8
"""Fewer cannot be learned from and judged by."""


def learn_choices(
    base: Path,
    choices: Sequence[Choice],
    start: Path,
    recipe: Recipe,
    out: Path,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Go on from the adapter in `start`; what came of it lands in `out`, where there was anything to learn.

    Enough pairs are learned as preferences, together with what was sent or dismissed as it stood. With fewer
    edits, what the owner sent instead is learned like any other reply; a quarter of them, the latest, says
    which state is kept, and that may be the one it began with.
    """
    pairs = sum(choice.kind == Kind.PAIR for choice in choices)
    alone = len(choices) - pairs
    if not pairs and alone < recipe.preferring.least_pairs:
        return {"kind": "none"}
    tokenizer, model = load_base(base, recipe.threads)
    most = room(model, recipe.window_tokens)
    general = general_chats(tokenizer, most)
    if max(pairs, alone) >= recipe.preferring.least_pairs:
        rows = encode_choices(tokenizer, choices, most, recipe.seed)
        if rows:
            found = prefer(model, rows, start, recipe, out, general=general, tell=tell)
            return {"kind": "preferences", "rows": len(rows), **asdict(found)}
        return {"kind": "none"}
    return _sft_on_edits(model, encode_edits(tokenizer, choices, most), start, recipe, out, general, tell)


def _sft_on_edits(
    model: Any,
    edits: Sequence[Example],
    start: Path,
    recipe: Recipe,
    out: Path,
    general: Sequence[Example],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    kept, judged = edits[: -len(edits) // 4 or None], edits[-len(edits) // 4 :]
    if len(edits) < LEAST_EDITS:
        return {"kind": "none"}
    gentle = replace(
        recipe,
        learning_rate=recipe.preferring.edit_learning_rate,
        epochs=1,
        minutes=recipe.preferring.minutes,
    )
    found = train(
        model,
        kept,
        judged,
        gentle,
        out,
        lambda at: tell(f"edits: step {at.step}"),
        replay=general,
        start=start,
    )
    return {"kind": "edits", "rows": len(kept), **asdict(found)}


def encode_choices(
    tokenizer: Any, choices: Sequence[Choice], most_tokens: int, seed: int
) -> list[Preference]:
    """Rows of at most that many tokens: the oldest turns give way, for both replies alike."""
    chance = random.Random(seed)  # noqa: S311 -- a draw, no secret
    found: list[Preference] = []
    for place, choice in enumerate(choices):
        worse = choice.worse or _something_else(choices, place, chance)
        if worse and (row := _row(tokenizer, choice, worse.turns[-1], most_tokens)):
            found.append(row)
    return found


def encode_edits(tokenizer: Any, choices: Sequence[Choice], most_tokens: int) -> list[Example]:
    """What the owner sent in place of drafts, as examples like any other reply of theirs."""
    chosen = [choice.only.turns for choice in choices if choice.kind == Kind.PAIR]
    return [example for turns in chosen if (example := encode(tokenizer, turns, most_tokens))]


def _something_else(choices: Sequence[Choice], place: int, chance: random.Random) -> Window | None:
    """A reply that answered another message."""
    mine = choices[place].only
    others = [c.only for c in choices if c.only.turns[:-1] != mine.turns[:-1]]
    return chance.choice(others) if others else None


def _row(tokenizer: Any, choice: Choice, second: WindowTurn, most_tokens: int) -> Preference | None:
    system, *chat = choice.only.turns[:-1]
    while chat:
        row = _fitting(tokenizer, [system, *chat], choice, second)
        if row is None or len(row.ids) <= most_tokens:
            return row
        chat = chat[1:]
    return None


def _fitting(
    tokenizer: Any, context: list[WindowTurn], choice: Choice, second: WindowTurn
) -> Preference | None:
    prompt = _prompt(tokenizer, context)
    replies = [_reply(tokenizer, context, turn, prompt) for turn in (choice.only.turns[-1], second)]
    (first, one), (other, two) = replies
    if not first or not other:
        return None
    hidden = {*one, *(len(first) + place for place in two)}
    return Preference(
        kind=Kind(choice.kind), prompt=tuple(prompt), first=first, second=other, hidden=frozenset(hidden)
    )


def _prompt(tokenizer: Any, context: Sequence[WindowTurn]) -> list[int]:
    chat = messages([ChatTurn(role=turn.role, text=turn.text) for turn in context])  # pyright: ignore[reportArgumentType] -- a role, read from JSON
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _reply(
    tokenizer: Any, context: Sequence[WindowTurn], reply: WindowTurn, prompt: Sequence[int]
) -> tuple[tuple[int, ...], list[int]]:
    """The reply's tokens up to the end of its turn, and the places of those that do not count."""
    example = encode(tokenizer, [*context, reply], ENDLESS)
    if example is None or list(example.ids[: len(prompt)]) != list(prompt):
        return (), []
    targets = example.targets[len(prompt) :]
    length = 1 + max(place for place, target in enumerate(targets) if target != NOT_LEARNED)
    hidden = [place for place in range(length) if targets[place] == NOT_LEARNED]
    return example.ids[len(prompt) : len(prompt) + length], hidden
