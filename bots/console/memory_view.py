"""What Locum knows about the contact in front of it, and how its parts are."""

from collections.abc import Sequence

from nicegui.elements.mixins.text_element import TextElement

from bots.console.board import (
    Health,
    Memory,
    RememberedFact,
    RememberedSession,
    RememberedTopic,
    RememberedVersion,
)
from bots.console.desk_view import draw_evidence
from bots.console.parts import Rows, tag, when

OWNER_SEES = "You see all of it. A chat sees only what everyone in it may know."
NOTHING_KNOWN = "Nothing yet. Facts appear as conversations are read."
NOBODY_CHOSEN = "Choose a contact to see what Locum knows about them."
SHORT = 24
STATES = {"ready": "ready", "loading": "loading…", "trouble": "needs attention"}


class MemoryPane:
    """The right of the page."""

    def build(self) -> None:
        with tag("aside", "pane memory", aria_label="Memory and status"):
            with tag("header", "pane-head"):
                self._title = tag("h2", "", "Memory")
                self._note = tag("p", "muted", "")
            with tag("div", "scroll"):
                self._empty = tag("p", "empty")
                self._manner = tag("p", "manner")
                facts = tag("ul", "facts", aria_label="Facts")
                self._promises_head = tag("h3", "eyebrow", "Open promises")
                promises = tag("ul", "promises", aria_label="Open promises")
                self._earlier_head = tag("h3", "eyebrow", "Not true any more")
                earlier = tag("ul", "facts past", aria_label="Not true any more")
                self._topics_head = tag("h3", "eyebrow", "What you come back to")
                topics = tag("ul", "facts", aria_label="Topics")
                self._sessions_head = tag("h3", "eyebrow", "What was said when")
                sessions = tag("ul", "facts", aria_label="Sessions")
                self._versions_head = tag("h3", "eyebrow", "How this profile changed")
                versions = tag("ul", "facts", aria_label="Profile versions")
            with tag("footer", "status", aria_label="Status"):
                tag("h3", "eyebrow", "Services and models")
                health = tag("ul", "health", aria_label="Services and models")
        self._facts = _fact_rows(facts)
        self._earlier = _fact_rows(earlier)
        self._promises = Rows[tuple[int, str]](
            promises, key=lambda line: line[0], draw=lambda line: _draw_text(line[1])
        )
        self._topics = Rows[RememberedTopic](
            topics, key=lambda topic: topic.topic_id, draw=_draw_topic, classes="fact"
        )
        self._sessions = Rows[RememberedSession](
            sessions, key=lambda session: session.summary_id, draw=_draw_session, classes="fact"
        )
        self._versions = Rows[RememberedVersion](
            versions, key=lambda version: version.version, draw=_draw_version, classes="fact"
        )
        self._health = Rows[Health](health, key=lambda part: part.name, draw=_draw_health)
        self.show(None, "")

    def show(self, memory: Memory | None, name: str) -> None:
        """Show what is known about that person; nobody without a name."""
        known = memory or Memory(manner="", facts=(), earlier=(), open_commitments=())
        self._title.set_text(f"About {name}" if name else "Memory")
        self._note.set_text(OWNER_SEES if name else "")
        self._empty.set_text(NOTHING_KNOWN if name else NOBODY_CHOSEN)
        told = known.facts or known.earlier or known.open_commitments or known.topics or known.sessions
        self._empty.set_visibility(not told)
        self._manner.set_text(known.manner)
        self._manner.set_visibility(bool(known.manner))
        self._facts.show(known.facts)
        self._promises.show(tuple(enumerate(known.open_commitments)))
        self._promises_head.set_visibility(bool(known.open_commitments))
        self._earlier.show(known.earlier)
        self._earlier_head.set_visibility(bool(known.earlier))
        self._topics.show(known.topics)
        self._topics_head.set_visibility(bool(known.topics))
        self._sessions.show(known.sessions)
        self._sessions_head.set_visibility(bool(known.sessions))
        self._versions.show(known.versions)
        self._versions_head.set_visibility(bool(known.versions))

    def show_health(self, parts: Sequence[Health]) -> None:
        self._health.show(parts)


def _draw_text(text: str) -> None:
    tag("p", "text", text)


def _fact_rows(container: TextElement) -> Rows[RememberedFact]:
    return Rows[RememberedFact](container, key=lambda fact: fact.fact_id, draw=_draw_fact, classes="fact")


def _draw_fact(fact: RememberedFact) -> None:
    tag("p", "text", fact.statement)
    time = f"until {when(fact.until)}" if fact.until else f"since {when(fact.since)}"
    marks = [fact.kind, time, *(["hearsay"] if fact.hearsay else []), *(["pinned"] if fact.pinned else [])]
    tag("p", "meta", " · ".join(marks))
    draw_evidence(fact.sources, "Known from")


def _draw_topic(topic: RememberedTopic) -> None:
    tag("p", "text", topic.name)
    if topic.description:
        tag("p", "muted", topic.description)
    _draw_timeline(topic.timeline)
    marks = [
        f"{topic.messages} messages",
        f"last {when(topic.last_seen)}",
        *(["pinned"] if topic.pinned else []),
    ]
    tag("p", "meta", " · ".join(marks))


def _draw_timeline(timeline: Sequence[tuple[str, int]]) -> None:
    """A bar a month, as high as what was said in it; its count under the pointer, and read aloud."""
    most = max((messages for _, messages in timeline), default=0)
    with tag("ol", "timeline", aria_label="Messages a month"):
        for month, messages in timeline:
            bar = tag("li", "", title=f"{month}: {messages}", aria_label=f"{month}: {messages}")
            bar.style(f"--share: {messages / most if most else 0:.2f}")


def _draw_session(session: RememberedSession) -> None:
    head, *lines = session.summary.splitlines()
    tag("p", "text", head)
    for line in lines:
        tag("p", "quoted", line)
    version = [f"version {session.version}"] if session.version > 1 else []
    tag("p", "meta", " · ".join([session.by, *version]))
    draw_evidence(session.sources, "Known from")


def _draw_version(version: RememberedVersion) -> None:
    tag("p", "meta", f"version {version.version} · {when(version.created_at)}")
    for statement in version.removed:
        tag("p", "removed", statement)
    for statement in version.added:
        tag("p", "added", statement)
    for change in version.changed:
        tag("p", "muted", change)
    if not (version.removed or version.added or version.changed):
        tag("p", "muted", "Lines were forgotten since.")


def _draw_health(part: Health) -> None:
    """The detail stands there when it is short, below when there is trouble, else under the pointer."""
    short = 0 < len(part.detail) <= SHORT
    tag("span", f"dot {part.state}")
    tag("span", "", part.name)
    tag("span", "muted", part.detail if short else STATES[part.state], title=part.detail)
    if part.state == "trouble" and not short:
        tag("p", "problem", part.detail)
