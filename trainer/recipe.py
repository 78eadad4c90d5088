"""How an adapter is trained: the figures of one run, kept with it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferring:
    """How the adapter learns from what its owner made of drafts."""

    beta: float = 0.4
    """On means over tokens; small models want more than the usual .1."""
    sft_weight: float = 1.0
    learning_rate: float = 1e-5
    epochs: int = 2
    checks: int = 2
    """Looks at how far it has moved, in each epoch."""
    chosen_fall: float = 0.02
    """Of the chosen replies' mean log-probability: the chosen must not become less likely."""
    most_kl: float = 0.05
    """Nats per token on general chats, from where SFT ended."""
    least_pairs: int = 100
    """With fewer edits, what the owner sent is learned as any other reply; so are dismissals passed over."""
    edit_learning_rate: float = 1e-4
    """Of that."""
    minutes: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Where a figure comes from, and what was measured beside it: trainer/JOURNAL.md."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    top_half: bool = True
    """Adapt the upper half of the layers alone: the backward pass ends there, and less is memorised."""
    precision: str = "auto"
    """Of products with frozen weights: `float32`, `bfloat16`, or what a short measurement finds faster."""
    fused: bool = True
    """A layer and its adapter in one product, on CPUs; else peft's own forward."""
    cached: bool = True
    """Keep what the layers below the adapter make of each window, for the next epoch."""
    learning_rate: float = 5e-4
    warm_up: float = 0.1
    """Share of all steps; from there the rate falls to zero in a straight line."""
    most_gradient: float = 1.0
    epochs: int = 2
    batch_tokens: int = 1024
    window_tokens: int = 1024
    checks: int = 2
    """Looks at the validation part in each epoch."""
    patience: int = 2
    """Looks without a gain after which training ends; the best state is kept."""
    kl_weight: float = 0.1
    """Of the distance to the base on general chats, in nats per token, beside the loss."""
    checkpoint_seconds: float = 60.0
    """Work that a kill may cost."""
    validation_windows: int = 40
    minutes: float = 60.0
    preferring: Preferring = field(default_factory=Preferring)
    seed: int = 20
    threads: int = 1
