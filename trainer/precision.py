"""In which numbers to multiply: found by a short measurement, not by what the processor says of itself.

Some processors list instructions for bfloat16 that their libraries then do not use, and are tens of
times slower with it; on others it doubles the rate. Weights that are learned, sums, norms and the head
stay in float32 either way.
"""

import time
from collections.abc import Callable
from typing import Any

import torch as _torch

torch: Any = _torch

ROWS, WIDTH, INNER = 256, 576, 1536
WORTH_IT = 1.3
"""bfloat16 must be this many times as fast as float32, in the slowest of its three products."""


def choose_precision(wanted: str, device: str = "cpu") -> Any:
    """The torch dtype of matrix products: `wanted`, or for `auto` what this device is faster with."""
    if wanted != "auto":
        return getattr(torch, wanted)
    if device != "cpu":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if gain_of_bfloat16() >= WORTH_IT else torch.float32


def gain_of_bfloat16() -> float:
    """How many times as fast as float32 the products of a training step are: forward, and both backward."""
    gains: list[float] = []
    with torch.no_grad():
        x, w, y = torch.randn(ROWS, WIDTH), torch.randn(INNER, WIDTH), torch.randn(ROWS, INNER)
        halves = [tensor.bfloat16() for tensor in (x, w, y)]
        for plain, half in zip(_products(x, w, y), _products(*halves), strict=True):
            slow = _seconds(half, at_most=3)
            gains.append(_seconds(plain, at_most=3) / slow)
    return min(gains)


def _products(x: Any, w: Any, y: Any) -> list[Callable[[], Any]]:
    return [lambda: x @ w.t(), lambda: y @ w, lambda: y.t() @ x]


def _seconds(product: Callable[[], Any], *, at_most: int) -> float:
    """The best of a few, in processor time; after a first one that warms up."""
    product()
    best = float("inf")
    for _ in range(at_most):
        began = time.process_time()
        product()
        best = min(best, time.process_time() - began)
    return max(best, 1e-9)
