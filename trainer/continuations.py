"""How likely several texts are after one prompt, and what a model would write there: the prompt is read once."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from core.models.faces import ChatTurn
from core.models.turns import messages
from trainer.figures import BASE
from trainer.likelihood import RESHAPED, torch


@dataclass(slots=True, kw_only=True)
class Read:
    """A prompt that the model has read."""

    tokens: int
    cache: Any
    following: Any
    """(vocabulary,): logits of the token after the prompt."""


class Reader:
    """The base with adapters beside it, one of them in use."""

    def __init__(self, tokenizer: Any, adapted: Any, most_tokens: int) -> None:
        self.tokenizer = tokenizer
        self._adapted = adapted
        self._model = adapted.get_base_model()
        self._most_tokens = most_tokens
        self._model.eval()

    @property
    def model(self) -> Any:
        """The base as transformers knows it, with whoever is in use."""
        return self._model

    def using(self, name: str) -> Any:
        """A context in which that adapter speaks, or the base."""
        if name == BASE:
            return self._adapted.disable_adapter()
        self._adapted.set_adapter(name)
        self._model.eval()
        return nullcontext()

    def prompt(self, turns: Sequence[ChatTurn]) -> list[int]:
        """Token ids of a prompt as serving gives it; the oldest turns of the chat give way where it is too long."""
        system, chat = turns[:1], list(turns[1:])
        while True:
            text = self.tokenizer.apply_chat_template(
                messages([*system, *chat]), add_generation_prompt=True, tokenize=False
            )
            ids = [int(token) for token in self.tokenizer(text, add_special_tokens=False)["input_ids"]]
            if len(ids) <= self._most_tokens or len(chat) <= 1:
                return ids
            chat = chat[1:]

    def words(self, text: str) -> list[int]:
        return [int(token) for token in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def cut(self, text: str, tokens: int) -> str:
        """Its first tokens: as long as what is generated may be."""
        return str(self.tokenizer.decode(self.words(text)[:tokens])).strip()

    def read(self, ids: Sequence[int]) -> Read:
        """The prompt's cache, and what may follow it."""
        with torch.inference_mode():
            logits, cache = self._forward([list(ids)], None, last_only=True)
        return Read(tokens=len(ids), cache=cache, following=logits[0, -1])

    def nats(self, read: Read, continuations: Sequence[Sequence[int]], at_once: int = 20) -> list[float]:
        """Minus the natural log of each text's probability after the prompt; ends of turns are no part of it."""
        order = sorted(range(len(continuations)), key=lambda place: len(continuations[place]))
        found = [0.0] * len(continuations)
        for begin in range(0, len(order), at_once):
            places = order[begin : begin + at_once]
            for place, value in zip(
                places, self._nats(read, [continuations[p] for p in places]), strict=True
            ):
                found[place] = value
        return found

    def sample(
        self, read: Read, count: int, most_tokens: int, seed: int, temperature: float = 0.7
    ) -> list[str]:
        """What the model would write there, `count` times; ended by itself or after that many tokens."""
        chance = torch.Generator().manual_seed(seed)
        end = int(self.tokenizer.eos_token_id)
        cache = _repeated(read.cache, count)
        logits = read.following.expand(count, -1)
        written: list[list[int]] = [[] for _ in range(count)]
        ended = [False] * count
        with torch.inference_mode():
            for _ in range(most_tokens):
                drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=chance)
                for row, token in enumerate(drawn[:, 0].tolist()):
                    ended[row] = ended[row] or token == end
                    if not ended[row]:
                        written[row].append(int(token))
                if all(ended):
                    break
                logits, cache = self._forward(drawn.tolist(), cache)
                logits = logits[:, -1]
        return [str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip() for tokens in written]

    def kl_from_base(self, name: str, prompts: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
        """Mean nats per token by which the adapter's next-token distribution left the base's.

        KL(adapter ‖ base) at every token of the given answers, each after its prompt.
        """
        total, count = 0.0, 0
        with torch.inference_mode():
            for prompt, answer in prompts:
                ids = [[*prompt, *answer]]
                logs: list[Any] = []
                for speaker in (name, BASE):
                    with self.using(speaker):
                        logits, _ = self._forward(ids, None)
                        logs.append(logits[0, len(prompt) - 1 : -1].double().log_softmax(-1))
                own, base = logs
                total += float((own.exp() * (own - base)).sum())
                count += len(answer)
        return total / count

    def _nats(self, read: Read, continuations: Sequence[Sequence[int]]) -> list[float]:
        longest = max(len(tokens) for tokens in continuations)
        ids = torch.tensor([[*tokens, *([0] * (longest - len(tokens)))] for tokens in continuations])
        seen = torch.tensor([[1.0] * len(c) + [0.0] * (longest - len(c)) for c in continuations])
        first = -read.following.float().log_softmax(-1)[ids[:, 0]].double()
        if longest == 1:
            return [float(value) for value in first.tolist()]
        with torch.inference_mode():
            # What pads the right end is never looked back at: the causal mask is enough.
            logits, _ = self._forward(
                ids[:, :-1].tolist(), _repeated(read.cache, len(continuations)), where=seen[:, 1:] > 0
            )
            each = torch.zeros(seen.shape[0], longest - 1, dtype=torch.float64)
            targets = ids[:, 1:][seen[:, 1:] > 0]
            each[seen[:, 1:] > 0] = torch.nn.functional.cross_entropy(
                logits.float(), targets, reduction="none"
            ).double()
        return [float(value) for value in (first + each.sum(1)).tolist()]

    def _forward(
        self, ids: list[list[int]], cache: Any, *, last_only: bool = False, where: Any = None
    ) -> Any:
        """(logits, cache): of all positions, of the last one, or flat of those where a mask holds."""
        given = {"input_ids": torch.tensor(ids), "past_key_values": cache, "use_cache": True}
        if any(getattr(self._model.config, entry, None) for entry in RESHAPED):
            out = self._model(**given, logits_to_keep=1 if last_only else 0)
            return (out.logits if where is None else out.logits[where]), out.past_key_values
        out = self._model.get_decoder()(**given)
        states = out.last_hidden_state[:, -1:] if last_only else out.last_hidden_state
        states = states if where is None else states[where]
        return self._model.get_output_embeddings()(states), out.past_key_values


def _repeated(cache: Any, times: int) -> Any:
    """The prompt's cache for so many texts, leaving the prompt's own as it was."""
    own = copy.deepcopy(cache)
    own.batch_repeat_interleave(times)
    return own
