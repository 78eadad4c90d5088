"""What Locum knows about the contact in front of it, and how its parts are."""

from collections.abc import Sequence

from bots.console.board import Health, Memory, RememberedFact
from bots.console.desk_view import draw_evidence
from bots.console.parts import Rows, tag, when

STATES = {"ready": "ready", "loading": "loading…", "trouble": "needs attention"}


class MemoryPane:
    """The right of the page."""

    def build(self) -> None:
        with tag("aside", "pane memory", aria_label="Memory and status"):
            with tag("header", "pane-head"):
                self._title = tag("h2", "", "Memory")
                self._note = tag("p", "muted", "")
            with tag("div", "scroll"):
                self._empty = tag("p", "empty", "Choose a contact to see what Locum knows about them.")
                profile = tag("ul", "profile", aria_label="Profile")
                self._promises_head = tag("h3", "eyebrow", "Open promises")
                promises = tag("ul", "promises", aria_label="Open promises")
                self._facts_head = tag("h3", "eyebrow", "Facts")
                facts = tag("ul", "facts", aria_label="Facts")
            with tag("footer", "status", aria_label="Status"):
                tag("h3", "eyebrow", "Services and models")
                health = tag("ul", "health", aria_label="Services and models")
        self._profile = Rows[tuple[int, str]](
            profile, key=lambda line: line[0], draw=lambda line: _draw_text(line[1])
        )
        self._promises = Rows[tuple[int, str]](
            promises, key=lambda line: line[0], draw=lambda line: _draw_text(line[1])
        )
        self._facts = Rows[RememberedFact](
            facts, key=lambda fact: (fact.statement, fact.since), draw=_draw_fact, classes="fact"
        )
        self._health = Rows[Health](health, key=lambda part: part.name, draw=_draw_health)
        self.show(None, "")

    def show(self, memory: Memory | None, name: str) -> None:
        known = memory or Memory(profile=(), facts=(), open_commitments=())
        self._title.set_text(f"What Locum knows about {name}" if name else "Memory")
        self._note.set_text(
            "You see all of it; a chat sees only what everyone in it may know." if name else ""
        )
        self._empty.set_visibility(not (known.profile or known.facts or known.open_commitments))
        self._empty.set_text(
            f"Nothing yet about {name}. Facts appear as conversations are read."
            if name
            else "Choose a contact to see what Locum knows about them."
        )
        self._profile.show(tuple(enumerate(known.profile)))
        self._promises.show(tuple(enumerate(known.open_commitments)))
        self._facts.show(known.facts)
        self._promises_head.set_visibility(bool(known.open_commitments))
        self._facts_head.set_visibility(bool(known.facts))

    def show_health(self, parts: Sequence[Health]) -> None:
        self._health.show(parts)


def _draw_text(text: str) -> None:
    tag("p", "text", text)


def _draw_fact(fact: RememberedFact) -> None:
    over = fact.until is not None
    tag("p", "text past" if over else "text", fact.statement)
    since = f"since {when(fact.since)}" if not over else f"until {when(fact.until)}" if fact.until else ""
    marks = [fact.kind, since]
    marks += ["hearsay"] if fact.hearsay else []
    marks += ["pinned"] if fact.pinned else []
    tag("p", "meta", " · ".join(marks))
    draw_evidence(fact.sources, "Known from")


def _draw_health(part: Health) -> None:
    tag("span", f"dot {part.state}")
    tag("span", "", part.name)
    tag("span", "muted", part.detail or STATES[part.state])
