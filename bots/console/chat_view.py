"""The simulated chat: the owner plays a contact, and can step in by hand."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from nicegui import ui
from nicegui.events import GenericEventArguments

from bots.console.board import Acquaintance, Board, ChatView, Line, Verdict
from bots.console.bot import ConsoleBot
from bots.console.parts import GROW, SEND_ON_ENTER, Rows, button, tag, telling, value_of, when
from core.events import Author, Person
from core.ids import ChatId, ContactId, TurnId
from core.vocabulary import Mode, Origin, TurnState

NEWCOMER = "new"
UNSTORED = timedelta(seconds=30)
"""How long a line stands on the page that core has and the chat's rows do not show yet."""

HANDS = {
    Origin.ACCEPTED: "draft, sent as it was",
    Origin.EDITED: "draft, edited by you",
    Origin.AUTO: "sent by Locum",
    Origin.TYPED: "typed by you",
}
SCROLL_DOWN = """setTimeout(() => {
    const lines = document.getElementById("lines");
    if (lines) lines.scrollTop = lines.scrollHeight;
}, 30)"""
FOCUS_NAME = 'setTimeout(() => document.getElementById("newcomer")?.focus(), 50)'
EMPTY_NAME = 'document.getElementById("newcomer").value = ""'
MODES = {
    Mode.OFF: ("Off", "Locum reads along and says nothing"),
    Mode.SUGGEST: ("Suggest", "Locum drafts, you send"),
    Mode.AUTO: ("Auto", "Locum sends what is safe by itself"),
}
VERDICTS = {
    TurnState.SETTLING: "waits for the rest of the thought",
    TurnState.WORKING: "is drafting",
    TurnState.SUGGESTED: "put drafts on your desk",
    TurnState.SILENT: "stays silent",
    TurnState.ANSWERED: "is done with this one",
    TurnState.SUPERSEDED: "left it to you",
    TurnState.FAILED: "could not draft a reply",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Whom the owner plays."""

    person: Person
    contact_id: ContactId
    chat_id: ChatId


class ChatPane:
    """The left of the page: whom to play, the chat, and the two pens."""

    def __init__(
        self,
        bot: ConsoleBot,
        board: Board,
        owner_name: str,
        *,
        on_change: Callable[[], Awaitable[None]],
        show_why: Callable[[TurnId], Awaitable[None]],
    ) -> None:
        self._bot = bot
        self._board = board
        self._owner_name = owner_name
        self._on_change = on_change
        self._show_why = show_why
        self._people: tuple[Acquaintance, ...] = ()
        self._welcoming = False
        """A newcomer's name is being typed."""
        self._pen: Literal["contact", "owner"] = "contact"
        self._view: ChatView | None = None
        self._choice = ""
        """The person chosen last, by the page or by the owner."""
        self.played: Played | None = None

    # ── drawing ──────────────────────────────────────────────────────────────────────────────

    def build(self) -> None:
        with tag("section", "pane chat", aria_label="Simulated chat"):
            with tag("header", "pane-head"):
                tag("label", "eyebrow", "You are playing", **{"for": "who"})
                self._picker = tag("div", "picker")
                self._modes = tag("div", "segments", role="radiogroup", aria_label="Mode of this chat")
            self._empty = tag("p", "empty")
            self._lines = tag("ol", "lines", aria_label="Messages", aria_live="polite", id="lines")
            self._verdict = tag("div", "verdict", role="status", aria_label="What Locum does")
            self._composer = tag("form", "composer", aria_label="Write a message")
        self._composer.on("submit.prevent", js_handler="() => {}")
        self._rows = Rows[Line](
            self._lines, key=lambda line: line.message_id, draw=self._draw_line, classes="line"
        )
        self._build_picker()
        self._draw_composer()

    def _build_picker(self) -> None:
        """Both ways to name somebody. They stay for good: what is chosen on an element that was just
        replaced would be lost.
        """
        with self._picker:
            self._who = tag("select", "who", id="who", aria_label="Contact to play")
            self._newcomer = tag("form", "newcomer", aria_label="Someone new")
        with self._newcomer:
            tag("input", "field", id="newcomer", aria_label="Their name", placeholder="Their name")
            tag("button", "button primary", "Start", type="submit")
            button("Cancel", self._welcome_nobody, "quiet")
        self._who.on("change", telling(self._choose), js_handler="(event) => emit(event.target.value)")
        self._newcomer.on("submit.prevent", telling(self._welcome), js_handler=value_of("newcomer"))
        self._draw_people()

    def _draw_people(self) -> None:
        if self._welcoming:
            self._welcoming = False
            ui.run_javascript(EMPTY_NAME)
        self._newcomer.set_visibility(False)
        self._who.set_visibility(True)
        self._who.clear()
        chosen = str(self.played.contact_id) if self.played else ""
        known = {str(p.contact_id): _introduced(p) for p in self._people}
        if self.played and chosen not in known:
            known[chosen] = self.played.person.name
        with self._who:
            for value, text in {"": "Choose somebody…", **known, NEWCOMER: "Someone new…"}.items():
                option = tag("option", "", text, value=value)
                if value == chosen:
                    option.props["selected"] = True

    def _ask_for_a_name(self) -> None:
        self._welcoming, self._choice = True, NEWCOMER
        self._who.set_visibility(False)
        self._newcomer.set_visibility(True)
        ui.run_javascript(FOCUS_NAME)

    def _draw_modes(self) -> None:
        self._modes.clear()
        if self._view is None:
            return
        with self._modes:
            for mode, (name, meaning) in MODES.items():
                button(
                    name,
                    lambda mode=mode: self._set_mode(mode),
                    "segment",
                    role="radio",
                    aria_checked="true" if mode is self._view.mode else "false",
                    title=meaning,
                )

    def _draw_composer(self) -> None:
        self._composer.clear()
        self._composer.set_visibility(self.played is not None)
        if self.played is None:
            return
        name = _first_name(self.played.person.name)
        owner = _first_name(self._owner_name)
        label = f"Write as {name}" if self._pen == "contact" else f"Write as {owner}, by hand"
        with self._composer:
            with tag("div", "pens-row"):
                with tag("div", "segments pens", role="radiogroup", aria_label="Who writes"):
                    self._pen_button("contact", name)
                    self._pen_button("owner", f"{owner} (you)")
                self._ask = button(
                    "Suggest a reply",
                    self._ask_for_drafts,
                    "ask",
                    title=f"Drafts for what {name} said last, also where Locum stayed silent",
                )
                self._ask.set_visibility(self._can_ask())
            with tag("div", f"pen-row {self._pen}"):
                field = tag("textarea", "field", id="composer", aria_label=label, placeholder=label, rows="1")
                send = tag("button", "button primary send", "Send", type="button", aria_label="Send message")
        field.on("keydown", telling(self._type), js_handler=SEND_ON_ENTER)
        field.on("input", js_handler=GROW)
        send.on("click", telling(self._type), js_handler=value_of("composer"))

    def _pen_button(self, pen: Literal["contact", "owner"], name: str) -> None:
        checked = "true" if pen == self._pen else "false"
        button(name, lambda: self._take_pen(pen), "segment", role="radio", aria_checked=checked)

    def _draw_line(self, line: Line) -> None:
        side = "theirs" if line.origin in {Origin.CONTACT, Origin.BOT} else "ours"
        with tag("div", f"bubble {side}"):
            if line.deleted:
                tag("p", "text gone", "deleted")
            else:
                tag("p", "text", line.text)
            with tag("p", "meta"):
                tag("span", "sender", line.sender)
                tag("time", "", when(line.sent_at), datetime=line.sent_at.isoformat())
                if side == "ours":
                    tag("span", "hand", HANDS[line.origin])
                if line.edited:
                    tag("span", "", "edited")
                if not line.safe:
                    tag("span", "waiting", "not delivered yet")

    def _draw_verdict(self) -> None:
        self._verdict.clear()
        verdict = self._view.verdict if self._view else None
        if verdict is None:
            return
        quiet_until = self._view.taken_over_until if self._view else None
        with self._verdict:
            tag("span", f"dot {verdict.state}")
            tag("span", "", _said_of(verdict))
            if quiet_until and quiet_until > datetime.now(UTC):
                tag("span", "", f"· you took over, nothing is sent unasked until {when(quiet_until)}")
            button(
                "Why", lambda: self._show_why(verdict.turn_id), "quiet", aria_label="Why, for the last turn"
            )

    # ── changing ─────────────────────────────────────────────────────────────────────────────

    def show_people(self, people: tuple[Acquaintance, ...]) -> None:
        if people != self._people:
            self._people = people
            if not self._welcoming:
                self._draw_people()

    async def refresh(self) -> None:
        """Show the chat as it stands now."""
        if self.played is None:
            self._empty.set_text(
                "Choose a contact, write something as them, and watch Locum draft the owner's reply."
            )
            return
        view = await self._board.chat(self.played.chat_id)
        before, self._view = self._view, view
        if before is None or before.mode is not view.mode:
            self._draw_modes()
        if before is None or (before.verdict, before.taken_over_until) != (
            view.verdict,
            view.taken_over_until,
        ):
            self._draw_verdict()
        lines = self._merged(view.lines)
        self._ask.set_visibility(self._can_ask())
        self._empty.set_visibility(not lines)
        self._empty.set_text(f"Nothing said yet. Write something as {self.played.person.name}.")
        if self._rows.show(lines):
            ui.run_javascript(SCROLL_DOWN)

    async def play(self, person: Person, contact_id: ContactId | None) -> None:
        """Take that person's part."""
        if person.id == self._choice:
            return
        self._choice = person.id
        opened = await self._board.open_chat(person, contact_id)
        if person.id != self._choice:
            return  # somebody else was chosen meanwhile
        self.played = Played(person=person, contact_id=opened.contact_id, chat_id=opened.chat_id)
        self._view, self._pen = None, "contact"
        self._rows.show(())
        self._draw_people()
        self._draw_composer()
        await self._on_change()

    async def play_the_latest(self) -> None:
        """On a page where nobody was chosen yet: take the part of whom the owner heard from last."""
        if self._people and not self._choice and not self._welcoming:
            await self.play(self._people[0].person, self._people[0].contact_id)

    async def _choose(self, event: GenericEventArguments) -> None:
        chosen = _text(event.args)
        if chosen == NEWCOMER:
            self._ask_for_a_name()
        for known in self._people:
            if str(known.contact_id) == chosen:
                await self.play(known.person, known.contact_id)

    async def _welcome(self, event: GenericEventArguments) -> None:
        name = _text(event.args).strip()[:80]
        if name:
            await self.play(Person(id=f"guest-{uuid4().hex[:12]}", name=name), None)

    def _welcome_nobody(self) -> None:
        self._choice = self.played.person.id if self.played else ""
        self._draw_people()

    async def _set_mode(self, mode: Mode) -> None:
        if self.played:
            await self._board.set_mode(self.played.chat_id, mode)
            await self._on_change()

    def _can_ask(self) -> bool:
        """Whether core has something of the contact's that a draft could answer."""
        return self._view is not None and any(line.origin is Origin.CONTACT for line in self._view.lines)

    def _ask_for_drafts(self) -> None:
        if self.played:
            self._bot.ask(self._bot.chat(self.played.person.id))
            ui.notify("Asked for drafts.")

    def _take_pen(self, pen: Literal["contact", "owner"]) -> None:
        self._pen = pen
        self._draw_composer()

    async def _type(self, event: GenericEventArguments) -> None:
        """What was typed is on its way; the field is emptied unless something else stands in it by now."""
        text = _text(event.args)
        if self.played is None or not text.strip():
            return
        type_as = self._bot.say if self._pen == "contact" else self._bot.owner_types
        type_as(self.played.person.id, self.played.person, text.strip())
        ui.run_javascript(
            f"""const field = document.getElementById("composer");
            if (field && field.value === {_quoted(text)}) {{ field.value = ""; field.style.height = "auto"; }}
            field?.focus();"""
        )
        await self.refresh()

    def _merged(self, stored: Sequence[Line]) -> tuple[Line, ...]:
        """The chat's rows, and after them what is too young to be among them."""
        if self.played is None:
            return tuple(stored)
        chat = self._bot.chat(self.played.person.id)
        known = {line.message_id for line in stored}
        typed = [
            Line(
                message_id=message.message_id,
                sender=message.sender.name if message.author is Author.CONTACT else self._owner_name,
                origin=Origin.CONTACT if message.author is Author.CONTACT else Origin.TYPED,
                sent_at=message.at,
                text=message.text,
                safe=self._bot.is_safe(message),
            )
            for message in self._bot.typed(chat)
        ]
        posted = [
            Line(
                message_id=message.message_id,
                sender=self._owner_name,
                origin=Origin.ACCEPTED,
                sent_at=message.at,
                text=message.text,
            )
            for message in self._bot.posted(chat)
        ]
        oldest = datetime.now(UTC) - UNSTORED
        young = [
            line
            for line in [*typed, *posted]
            if line.message_id not in known and (not line.safe or line.sent_at > oldest)
        ]
        return (*stored, *sorted(young, key=lambda line: line.sent_at))


def _introduced(known: Acquaintance) -> str:
    elsewhere = [platform.capitalize() for platform in known.platforms if platform != "console"]
    return f"{known.person.name} · {', '.join(elsewhere)}" if elsewhere else known.person.name


def _first_name(name: str) -> str:
    return name.split(maxsplit=1)[0] if name.strip() else name


def _said_of(verdict: Verdict) -> str:
    explained = verdict.state is TurnState.SILENT and verdict.why
    return f"Locum {VERDICTS[verdict.state]}" + (f": {verdict.why}" if explained else "")


def _text(args: Any) -> str:
    return args if isinstance(args, str) else ""


def _quoted(text: str) -> str:
    """The text as a JavaScript string that can stand in a script."""
    return json.dumps(text).replace("<", "\\u003c")
