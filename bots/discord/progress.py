"""How far core has what the gateway said: the number that the next session may resume from.

Discord's gateway knows no acknowledgement. But it replays a session from any number we name, so we name
the last one before which everything is committed, in heartbeats and when resuming alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel


class Written(BaseModel):
    """How far a session was safe, as it is written down."""

    session: str
    url: str
    """Where Discord wants this session to be resumed."""
    seq: int
    at: datetime


@dataclass(slots=True)
class Progress:
    """The deliveries of one session that core does not have yet, and so how far it is safe.

    A delivery is open while it is being translated (it holds its own name then), and until all events
    it became are acknowledged.
    """

    session: str = ""
    url: str = ""
    arriving: int | None = None
    """The number of the delivery that is being read off the socket."""
    _seen: int = 0
    _open: dict[int, set[str]] = field(default_factory=dict[int, set[str]])

    @property
    def safe(self) -> int:
        """Everything up to this number is committed; under 0 while what came before the session is not."""
        return min(self._open, default=self._seen + 1) - 1

    @property
    def resume_from(self) -> int | None:
        """What to tell Discord; a session's first number is READY's, which carries nothing."""
        return max(self.safe, 1) if self.session else None

    def begin(self, session: str, url: str) -> str:
        """The hold on a new session: it is safe only once everything before it is, and this is settled."""
        before = {key for keys in self._open.values() for key in keys}
        self.session, self.url, self._seen = session, url, 0
        self._open = {0: before}
        return self._hold(0)

    def restart(self, written: Written | None) -> None:
        """Forget what is open: from here on it is replayed, and what core has by then comes to nothing."""
        self.session, self.url = (written.session, written.url) if written else ("", "")
        self._seen, self._open = written.seq if written else 0, {}

    def arrive(self, seq: int) -> str | None:
        """The hold on a delivery; None for one that is only replayed to us."""
        if seq <= self._seen:
            return None
        self._seen = seq
        self._open[seq] = set()
        return self._hold(seq)

    def settle(self, hold: str, keys: Iterable[str] = ()) -> None:
        """What was held became these events, or none."""
        for waiting in self._open.values():
            if hold in waiting:
                waiting.update(keys)
        self.acknowledge(hold)

    def acknowledge(self, key: str) -> None:
        for seq in [seq for seq, waiting in self._open.items() if key in waiting]:
            self._open[seq].discard(key)
            if not self._open[seq]:
                del self._open[seq]

    def written(self, at: datetime) -> Written:
        return Written(session=self.session, url=self.url, seq=self.safe, at=at)

    def _hold(self, seq: int) -> str:
        hold = f"held:{self.session}:{seq}"
        self._open[seq].add(hold)
        return hold
