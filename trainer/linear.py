"""A frozen linear layer with its LoRA matrices as one product: forward one, backward one, and four thin ones.

peft computes `x W + s drop(x) A B` as three products and as many sums, with a mask of the size of the
activations in every layer; drawing those masks alone took 7 % of a step. Here B stands beside W in one
matrix and x A beside x:

    [x | xA] · [W | sB]ᵀ

so that the sum is made inside the product, and one product backward brings the gradients of x and of
xA together. Dropout is drawn for whole columns of A, anew at every step: the same expectation, and a
mask of the size of one row. The frozen part may be bfloat16 (precision.py); A and B are float32.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from trainer.likelihood import peft, torch

ADAPTER = "default"
"""What peft calls the adapter that it makes."""


class _Product(torch.autograd.Function):
    """(rows, in) to (rows, out). `wide` is (out, in + rank): its last columns are written here."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:
        x, down, up, wide, scale, keep = given
        size = down.shape[1]
        kept = (down if keep is None else down * keep).to(wide.dtype)
        beside = torch.empty(x.shape[0], wide.shape[1], dtype=wide.dtype)
        beside[:, :size].copy_(x)
        beside[:, size:].copy_(beside[:, :size] @ kept.t())
        wide[:, size:].copy_(up * scale)
        ctx.save_for_backward(beside, kept)
        ctx.wide, ctx.scale, ctx.keep = wide, scale, keep
        return (beside @ wide.t()).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        beside, kept = ctx.saved_tensors
        size = kept.shape[1]
        given = gradients[0].to(beside.dtype)
        both = given @ ctx.wide
        hidden = both[:, size:].contiguous()
        up = (given.t() @ beside[:, size:]).float().mul_(ctx.scale)
        down = (hidden.t() @ beside[:, :size]).float()
        if ctx.keep is not None:
            down.mul_(ctx.keep)
        x = both[:, :size].float().add_(hidden @ kept) if ctx.needs_input_grad[0] else None
        return x, down, up, None, None, None


class _Frozen(torch.autograd.Function):
    """A product with weights that never change, in their own numbers."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:
        x, weight = given
        ctx.weight = weight
        return (x.to(weight.dtype) @ weight.t()).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (gradients[0].to(ctx.weight.dtype) @ ctx.weight).to(gradients[0].dtype), None


@contextmanager
def fast_linear(adapted: Any, precision: Any) -> Generator[None]:
    """Within it, the layers of a peft model on a CPU multiply as said above, in that precision.

    The head is left alone. What is learned stays in peft's own parameters.
    """
    changed = [
        *(_quicken(layer, precision) for layer in adapted.modules() if _has_lora(layer)),
        *(_lighten(layer, precision) for layer in _frozen(adapted) if precision is not torch.float32),
    ]
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward


def _has_lora(layer: Any) -> bool:
    return isinstance(layer, peft.tuners.lora.Linear)


def _frozen(adapted: Any) -> list[Any]:
    """The linear layers of the decoder that carry no adapter and are part of none."""
    decoder = adapted.get_base_model().get_decoder()
    inside = {id(part) for layer in decoder.modules() if _has_lora(layer) for part in layer.modules()}
    return [
        layer for layer in decoder.modules() if isinstance(layer, torch.nn.Linear) and id(layer) not in inside
    ]


def _quicken(layer: Any, precision: Any) -> Any:
    base, down, up = layer.get_base_layer(), layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    scale, share = float(layer.scaling[ADAPTER]), float(getattr(layer.lora_dropout[ADAPTER], "p", 0.0))
    weight = base.weight.detach()
    wide = torch.cat([weight, torch.zeros(weight.shape[0], down.shape[0])], dim=1).to(precision)
    plain = wide[:, : weight.shape[1]]

    def forward(x: Any) -> Any:
        flat = x.reshape(-1, x.shape[-1])
        if layer.disable_adapters:
            out = _Frozen.apply(flat, plain)
        else:
            out = _Product.apply(flat, down, up, wide, scale, _columns(layer, share, x.shape[-1]))
        if base.bias is not None:
            out = out + base.bias
        return out.view(*x.shape[:-1], -1)

    layer.forward = forward
    return layer


def _columns(layer: Any, share: float, size: int) -> Any:
    """Which columns of A take part in this step, scaled so that their sum is what it was."""
    if not layer.training or not share:
        return None
    return (torch.rand(size) >= share).float().div_(1 - share)


def _lighten(layer: Any, precision: Any) -> Any:
    weight = layer.weight.detach().to(precision)

    def forward(x: Any) -> Any:
        out = _Frozen.apply(x, weight)
        return out if layer.bias is None else out + layer.bias

    layer.forward = forward
    return layer
