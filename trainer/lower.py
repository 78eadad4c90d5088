"""What the frozen lower layers make of an example: the same in every epoch, so computed once.

An adapter on the upper half leaves all below it as it is. Each example's hidden states are computed
alone, without padding, so that they do not depend on the batch that first asked for them: a run that
was resumed sees the same figures. They can be read back into words, so they stay in memory.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from trainer.examples import Example
from trainer.likelihood import torch

MOST_BYTES = 1 << 30
"""Of states kept at once; what does not fit is computed again."""


class LowerStates:
    """States below the first adapted layer, (tokens, hidden) for each example."""

    def __init__(self, model: Any, first: int, most_bytes: int = MOST_BYTES) -> None:
        self._decoder, self._left = model.get_decoder(), most_bytes
        self._layers = list(self._decoder.layers[:first])
        self._kept: dict[tuple[int, ...], Any] = {}

    def of(self, examples: Sequence[Example]) -> Any:
        """(examples, tokens, hidden), padded on the right with zeros."""
        return torch.nn.utils.rnn.pad_sequence([self.one(each.ids) for each in examples], batch_first=True)

    def one(self, ids: tuple[int, ...], seen: dict[str, Any] | None = None) -> Any:
        """(tokens, hidden); `seen` as a batch of that example alone says it. The same ids are seen one way."""
        if (known := self._kept.get(ids)) is not None:
            return known
        states = _after(self._decoder, self._layers, torch.tensor([ids]), seen or {})[0]
        size = states.numel() * states.element_size()
        if size <= self._left:
            self._left -= size
            self._kept[ids] = states
        return states


def lower_states(adapted: Any, sample: Example) -> LowerStates | None:
    """Where they may be kept: something lies below the adapter, and going on from it gives the same states."""
    model, first = adapted.get_base_model(), first_adapted(adapted)
    if not first:
        return None
    kept, ids = LowerStates(model, first), torch.tensor([sample.ids])
    training = model.training
    model.eval()
    with torch.no_grad():
        whole = model.get_decoder()(input_ids=ids).last_hidden_state
        with above(model, first):
            again = model.get_decoder()(inputs_embeds=kept.of([sample])).last_hidden_state
    model.train(training)
    # Some models scale what they take for embeddings: those compute all layers every time.
    return kept if torch.allclose(whole, again, rtol=1e-2, atol=1e-2 * float(whole.abs().max())) else None


def first_adapted(adapted: Any) -> int:
    """The lowest decoder layer with a trainable weight; 0 where nothing below can be kept."""
    layers = adapted.get_base_model().get_decoder().layers
    with_weights = [i for i, layer in enumerate(layers) if any(w.requires_grad for w in layer.parameters())]
    return min(with_weights, default=0)


def _after(decoder: Any, layers: list[Any], ids: Any, seen: dict[str, Any]) -> Any:
    """What those first layers make of the ids."""
    caught: list[Any] = []

    def catch(_layer: Any, _given: Any, told: Any) -> None:
        caught.append(told)

    hook = layers[-1].register_forward_hook(catch)
    try:
        with torch.no_grad(), _only(decoder, layers):
            decoder(input_ids=ids, **seen)
    finally:
        hook.remove()
    (told,) = caught
    return cast("Any", told[0] if isinstance(told, tuple) else told)


@contextmanager
def above(model: Any, first: int) -> Generator[None]:
    """Within it the decoder takes lower states as its `inputs_embeds`, and begins at layer `first`."""
    decoder = model.get_decoder()
    # Layers keep their places: some models choose a mask by them.
    with _only(decoder, [*(_Passing(layer) for layer in decoder.layers[:first]), *decoder.layers[first:]]):
        yield


@contextmanager
def _only(decoder: Any, wanted: list[Any]) -> Generator[None]:
    whole = decoder.layers
    decoder.layers = torch.nn.ModuleList(wanted)
    try:
        yield
    finally:
        decoder.layers = whole


class _Passing(torch.nn.Module):
    """In the place of a lower layer: what comes in goes out."""

    def __init__(self, replaced: Any) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] -- torch is untyped here
        self.attention_type = getattr(replaced, "attention_type", None)

    def forward(self, hidden_states: Any, *_: Any, **__: Any) -> Any:
        return hidden_states
