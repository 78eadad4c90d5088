"""What Locum knows about the contact in front of it, and how its parts are."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from bots.console.board import (
    Board,
    Health,
    Memory,
    RememberedFact,
    RememberedSession,
    RememberedTopic,
    RememberedVersion,
)
from bots.console.desk_view import draw_evidence
from bots.console.parts import GROW, SEND_ON_ENTER, Rows, button, tag, value_of, when
from bots.console.training_view import TrainingPart
from core.ids import FactId
from core.training_status import TrainingStatus

OWNER_SEES = "You see all of it. A chat sees only what everyone in it may know."
NOTHING_KNOWN = "Nothing yet. Facts appear as conversations are read."
NOTHING_FOUND = "None of it has these words."
NOBODY_CHOSEN = "Choose a contact to see what Locum knows about them."
SHORT = 24
STATES = {"ready": "ready", "loading": "loading…", "trouble": "needs attention"}


class MemoryPane:
    """The right of the page: read, found by words, corrected, pinned, hidden, removed."""

    def __init__(self, board: Board, *, on_change: Callable[[], Awaitable[None]]) -> None:
        self._board = board
        self._on_change = on_change
        self._wording: dict[FactId, str] = {}
        """Facts that the owner is correcting, with the words to start from."""
        self._doubted: FactId | None = None
        """The fact that one more press removes."""
        self._sought = ""
        self._memory: Memory | None = None
        self._name = ""

    def build(self) -> None:
        with tag("aside", "pane memory", aria_label="Memory and status"):
            with tag("header", "pane-head"):
                self._title = tag("h2", "", "Memory")
                self._note = tag("p", "muted", "")
                self._search = tag(
                    "input", "field", type="search", placeholder="Find a fact", aria_label="Find a fact"
                )
                self._search.on("input", self._seek, js_handler="(event) => emit(event.target.value)")
            with tag("div", "scroll"):
                self._empty = tag("p", "empty")
                self._manner = tag("p", "manner")
                facts = tag("ul", "facts", aria_label="Facts")
                self._promises_head = tag("h3", "eyebrow", "Open promises")
                promises = tag("ul", "promises", aria_label="Open promises")
                self._earlier_head = tag("h3", "eyebrow", "Not true any more")
                earlier = tag("ul", "facts past", aria_label="Not true any more")
                self._hidden_head = tag("h3", "eyebrow", "Hidden: kept, and used nowhere")
                hidden = tag("ul", "facts unused", aria_label="Hidden facts")
                self._topics_head = tag("h3", "eyebrow", "What you come back to")
                topics = tag("ul", "facts", aria_label="Topics")
                self._sessions_head = tag("h3", "eyebrow", "What was said when")
                sessions = tag("ul", "facts", aria_label="Sessions")
                self._versions_head = tag("h3", "eyebrow", "How this profile changed")
                versions = tag("ul", "facts", aria_label="Profile versions")
            self._training = TrainingPart()
            with tag("footer", "status", aria_label="Status"):
                tag("h3", "eyebrow", "Services and models")
                health = tag("ul", "health", aria_label="Services and models")
        self._facts = self._fact_rows(facts)
        self._earlier = self._fact_rows(earlier)
        self._hidden = self._fact_rows(hidden)
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
        self._memory, self._name = memory, name
        known = memory or Memory(manner="", facts=(), earlier=(), hidden=(), open_commitments=())
        facts, earlier, hidden = (self._found(each) for each in (known.facts, known.earlier, known.hidden))
        self._title.set_text(f"About {name}" if name else "Memory")
        self._note.set_text(OWNER_SEES if name else "")
        said = known.open_commitments or known.topics or known.sessions
        anything = bool(known.facts or known.earlier or known.hidden or said)
        self._search.set_visibility(anything)
        self._empty.set_text(NOTHING_FOUND if anything else NOTHING_KNOWN if name else NOBODY_CHOSEN)
        topics = () if self._sought else known.topics
        sessions = () if self._sought else known.sessions
        versions = () if self._sought else known.versions
        promises = () if self._sought else tuple(enumerate(known.open_commitments))
        self._empty.set_visibility(not (facts or earlier or hidden or promises or topics or sessions))
        self._manner.set_text(known.manner)
        self._manner.set_visibility(bool(known.manner) and not self._sought)
        self._facts.show(facts)
        self._promises.show(promises)
        self._promises_head.set_visibility(bool(promises))
        self._earlier.show(earlier)
        self._earlier_head.set_visibility(bool(earlier))
        self._hidden.show(hidden)
        self._hidden_head.set_visibility(bool(hidden))
        self._topics.show(topics)
        self._topics_head.set_visibility(bool(topics))
        self._sessions.show(sessions)
        self._sessions_head.set_visibility(bool(sessions))
        self._versions.show(versions)
        self._versions_head.set_visibility(bool(versions))

    def show_health(self, parts: Sequence[Health]) -> None:
        self._health.show(parts)

    def show_training(self, training: TrainingStatus) -> None:
        self._training.show(training)

    # ── finding ──────────────────────────────────────────────────────────────────────────────

    def _seek(self, event: GenericEventArguments) -> None:
        self._sought = event.args if isinstance(event.args, str) else ""
        self.show(self._memory, self._name)

    def _found(self, facts: Sequence[RememberedFact]) -> tuple[RememberedFact, ...]:
        """Those that have every word sought, in what they say or where it was said."""
        words = self._sought.casefold().split()
        return tuple(fact for fact in facts if all(word in _all_words(fact) for word in words))

    # ── drawing ──────────────────────────────────────────────────────────────────────────────

    def _fact_rows(self, container: TextElement) -> Rows[RememberedFact]:
        return Rows[RememberedFact](
            container, key=lambda fact: fact.fact_id, draw=self._draw_fact, classes="fact"
        )

    def _draw_fact(self, fact: RememberedFact) -> None:
        if fact.fact_id in self._wording:
            self._draw_editor(fact)
            return
        tag("p", "text", fact.statement)
        time = f"until {when(fact.until)}" if fact.until else f"since {when(fact.since)}"
        marks = {"hearsay": fact.hearsay, "pinned": fact.pinned, "your words": fact.corrected}
        tag("p", "meta", " · ".join([fact.kind, time, *(mark for mark, holds in marks.items() if holds)]))
        draw_evidence(fact.sources, "Known from")
        self._draw_buttons(fact)

    def _draw_buttons(self, fact: RememberedFact) -> None:
        number, board = fact.fact_id, self._board
        with tag("div", "actions fact-actions", role="group", aria_label=f"Change: {fact.statement}"):
            button("Correct", lambda: self._start(fact), "quiet")
            if not fact.hidden:
                pin = "Unpin" if fact.pinned else "Pin"
                button(
                    pin, lambda: self._change(lambda: board.pin_fact(number, pinned=not fact.pinned)), "quiet"
                )
            hide = "Use again" if fact.hidden else "Hide"
            button(
                hide, lambda: self._change(lambda: board.hide_fact(number, hidden=not fact.hidden)), "quiet"
            )
            if self._doubted == number:
                button(
                    "Remove for good",
                    lambda: self._change(lambda: board.remove_fact(number)),
                    "danger",
                    title="The fact goes and is not read again; its messages stay",
                )
            else:
                button("Remove", lambda: self._doubt(number), "quiet")

    def _draw_editor(self, fact: RememberedFact) -> None:
        field_id = f"fact-{fact.fact_id}"
        field = tag(
            "textarea",
            "field",
            self._wording[fact.fact_id],
            id=field_id,
            aria_label="As it should be",
            rows="2",
        )
        field.on("input", lambda event: self._keep_wording(fact.fact_id, event), js_handler=GROW)
        with tag("div", "actions"):
            save = tag("button", "button primary", "Save", type="button")
            button("Cancel", lambda: self._stop(fact.fact_id), "quiet")
        save.on("click", lambda event: self._save(fact, event), js_handler=value_of(field_id))
        field.on("keydown", lambda event: self._save(fact, event), js_handler=SEND_ON_ENTER)
        ui.run_javascript(f'setTimeout(() => document.getElementById("{field_id}")?.focus(), 50)')

    # ── changing ─────────────────────────────────────────────────────────────────────────────

    async def _change(self, change: Callable[[], Awaitable[None]]) -> None:
        self._doubted = None
        await change()
        await self._on_change()

    def _doubt(self, fact_id: FactId) -> None:
        before, self._doubted = self._doubted, fact_id
        for each in (before, fact_id):
            self._redraw(each)

    def _start(self, fact: RememberedFact) -> None:
        self._wording[fact.fact_id] = fact.statement
        self._redraw(fact.fact_id)

    def _keep_wording(self, fact_id: FactId, event: GenericEventArguments) -> None:
        """What stands in the field survives the fact being drawn again."""
        if fact_id in self._wording and isinstance(event.args, str):
            self._wording[fact_id] = event.args

    def _stop(self, fact_id: FactId) -> None:
        self._wording.pop(fact_id, None)
        self._redraw(fact_id)

    async def _save(self, fact: RememberedFact, event: GenericEventArguments) -> None:
        text = event.args.strip() if isinstance(event.args, str) else ""
        if not text:
            ui.notify("There are no words to save.")
            return
        if self._wording.pop(fact.fact_id, None) is None:
            return
        self._redraw(fact.fact_id)
        if text != fact.statement:
            await self._change(lambda: self._board.correct_fact(fact.fact_id, text))

    def _redraw(self, fact_id: FactId | None) -> None:
        for rows in (self._facts, self._earlier, self._hidden):
            rows.redraw(fact_id)


def _all_words(fact: RememberedFact) -> str:
    return " ".join((fact.statement, fact.kind, *(said.text for said in fact.sources))).casefold()


def _draw_text(text: str) -> None:
    tag("p", "text", text)


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
