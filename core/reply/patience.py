"""How long things are waited for before somebody counts as dead or a server as away."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """All in seconds. A lease is renewed several times before it ends, and outlives any one send."""

    lane: float = 30.0
    """A worker's lease on a lane."""
    renew: float = 8.0
    send: float = 60.0
    """A host's hold on one message on its way out; longer than `send_timeout`."""
    send_timeout: float = 30.0
    recovery: float = 15.0
    """Between two looks for sends that nobody holds any more."""
    idle: float = 0.3
    """Between two looks at the outbox and the cards."""
    retry: float = 5.0
    """Times the number of tries: how long a turn that failed waits for the next."""
    away: float = 2.0
    """Before a server that was away is tried again."""
    sweep: float = 0.5
    wakeup: float = 2.0
    """What an event's wake-up may take before the sweep takes it for lost."""
    watch: float = 0.25
    """Between two looks whether a turn that is being answered is still current."""
