"""The owner's desk: what waits for an answer, the drafts for it, and what each rests on."""

from collections.abc import Callable, Sequence

from nicegui import ui
from nicegui.events import GenericEventArguments

from bots.card_text import QuestionText, question_text
from bots.console.board import Board, DeskCard, DeskDraft, Stage
from bots.console.bot import ConsoleBot
from bots.console.parts import GROW, SEND_ON_ENTER, Rows, button, tag, value_of, when
from core.bot import Evidence
from core.events import DraftVerb
from core.ids import TurnId
from core.vocabulary import DraftState, Intent, Risk

INTENTS = {
    Intent.AGREE: "Agree",
    Intent.DECLINE: "Decline",
    Intent.ASK: "Ask back",
    Intent.DEFER: "Defer",
    Intent.INFORM: "Inform",
}
ORIGINS = {
    "model": "written by the model",
    "past_reply": "you said this before",
    "deferral": "an honest delay",
    "expert": "an expert's answer",
}
RISKS = {
    Risk.PROMISE: "makes a promise",
    Risk.MONEY: "about money",
    Risk.PRIVACY: "touches privacy",
    Risk.EMOTION: "emotional",
    Risk.AMBIGUITY: "could be misread",
}
STATES = {
    DraftState.PROPOSED: "",
    DraftState.DROPPED: "left out",
    DraftState.SENDING: "sending…",
    DraftState.SENT: "sent",
    DraftState.DISCARDED: "discarded",
    DraftState.EXPIRED: "expired",
    DraftState.OVERTAKEN: "overtaken",
}
PRESSED = {
    DraftVerb.SEND: "sending…",
    DraftVerb.EDIT: "sending your words…",
    DraftVerb.DISCARD: "discarding…",
    DraftVerb.MUTE: "muting…",
}
OUTCOMES = {
    "sent": "Sent as it was",
    "edited": "Sent in your words",
    "discarded": "Discarded",
    "ignored": "Not answered in time",
    "expired": "Expired",
    "overtaken": "You answered yourself",
    "superseded": "The conversation moved on",
    "muted": "Muted",
    "unknown": "Perhaps sent: look in the chat",
    "refused": "The platform refused it",
    "cancelled": "Not sent",
}


class Desk:
    """The middle of the page: open cards, then what was settled within the hour."""

    def __init__(self, bot: ConsoleBot, board: Board, *, on_press: Callable[[], None]) -> None:
        self._bot = bot
        self._board = board
        self._on_press = on_press
        self._wording: dict[int, str] = {}
        """Drafts that the owner is editing, with the words to start from."""
        self._pressed: dict[int, DraftVerb] = {}
        self._reasons: dict[TurnId, tuple[Stage, ...]] = {}

    def build(self) -> None:
        with tag("section", "pane desk", aria_label="Your desk"), tag("div", "scroll"):
            with tag("header", "desk-head"):
                tag("h2", "", "Your desk")
                self._count = tag("p", "muted", "", role="status")
            self._empty = tag("div", "empty big")
            with self._empty:
                tag("p", "", "Nothing waits for you.")
                tag("p", "muted", "When somebody writes what you would answer, drafts appear here.")
            open_cards = tag("div", "cards")
            self._settled_head = tag("h3", "eyebrow", "Settled within the hour")
            settled = tag("div", "cards settled")
        self._open = Rows[DeskCard](
            open_cards, key=lambda card: card.turn_id, draw=self._draw_card, kind="article", classes="card"
        )
        self._settled = Rows[DeskCard](
            settled,
            key=lambda card: card.turn_id,
            draw=self._draw_settled,
            kind="article",
            classes="card small",
        )

    def show(self, cards: Sequence[DeskCard]) -> int:
        """How many cards wait for the owner."""
        waiting = [card for card in cards if card.closed_at is None]
        settled = [card for card in cards if card.closed_at is not None]
        self._forget_pressed(waiting)
        self._open.show(waiting)
        self._settled.show(settled[:12])
        self._empty.set_visibility(not waiting)
        self._settled_head.set_visibility(bool(settled))
        self._count.set_text(f"{len(waiting)} waiting" if waiting else "")
        return len(waiting)

    def _forget_pressed(self, waiting: Sequence[DeskCard]) -> None:
        """A press is answered when the draft's state moved on."""
        proposed = {d.draft.draft for c in waiting for d in c.drafts if d.state is DraftState.PROPOSED}
        self._pressed = {draft: verb for draft, verb in self._pressed.items() if draft in proposed}

    # ── drawing ──────────────────────────────────────────────────────────────────────────────

    def _draw_card(self, card: DeskCard) -> None:
        title = card.chat_title or card.chat.chat
        with tag("header", "card-head"):
            tag("h3", "", title)
            tag("span", "chip", card.chat.platform.capitalize())
            tag("span", "spring")
            button("Why", lambda: self._toggle_why(card), "quiet", aria_label=f"Why these drafts for {title}")
            button("Mute", lambda: self._mute(card), "quiet", aria_label=f"Mute {title}")
        with tag("blockquote", "incoming"):
            for said in card.incoming:
                with tag("p", ""):
                    if said.sender != title:
                        tag("span", "sender", said.sender)
                    tag("span", "", said.text)
                    tag("time", "muted", when(said.sent_at), datetime=said.sent_at.isoformat())
        if card.turn_id in self._reasons:
            draw_reasons(self._reasons[card.turn_id])
        if card.question and card.drafts:
            self._draw_question(card, question_text(card.question))
        for number, draft in enumerate(card.drafts, start=1):
            self._draw_draft(card, draft, number)

    def _draw_question(self, card: DeskCard, question: QuestionText) -> None:
        """Whether something that was told to others may be told here: one tap."""
        first = card.drafts[0].draft.draft
        with tag("section", "draft", aria_label="A question to you"):
            tag("p", "draft-text", question.text)
            with tag("div", "actions"):
                for label, verb in question.answers:
                    button(label, lambda verb=verb: self._answer(card, first, verb))

    def _draw_draft(self, card: DeskCard, draft: DeskDraft, number: int) -> None:
        shown = draft.draft
        with tag("section", f"draft {draft.state}", aria_label=f"Draft {number}: {INTENTS[shown.intent]}"):
            with tag("div", "draft-head"):
                tag("span", f"chip intent {shown.intent}", INTENTS[shown.intent])
                tag("span", "muted", ORIGINS.get(shown.origin, shown.origin))
                for risk in shown.risks:
                    tag("span", "chip risk", RISKS[risk])
            if shown.draft in self._wording:
                self._draw_editor(card, draft)
            else:
                tag("p", "draft-text", shown.text)
                self._draw_buttons(card, draft)
            draw_evidence(shown.evidence, "Rests on")
            if shown.adapter:
                tag("p", "muted fine", f"Voice: {shown.adapter}")

    def _draw_buttons(self, card: DeskCard, draft: DeskDraft) -> None:
        number = draft.draft.draft
        state = PRESSED[self._pressed[number]] if number in self._pressed else STATES[draft.state]
        with tag("div", "actions"):
            if state:
                tag("span", "state", state, role="status")
            else:
                button("Send", lambda: self._press(card, number, DraftVerb.SEND), "primary")
                button("Edit", lambda: self._edit(card, draft))
                button("Discard", lambda: self._press(card, number, DraftVerb.DISCARD), "quiet")
            if draft.reason:
                tag("span", "muted", draft.reason)
            tag("span", "spring")
            _draw_confidence(draft.draft.confidence)

    def _draw_editor(self, card: DeskCard, draft: DeskDraft) -> None:
        number = draft.draft.draft
        field_id = f"wording-{number}"
        field = tag(
            "textarea", "field", self._wording[number], id=field_id, aria_label="Your wording", rows="2"
        )
        field.on("input", lambda event: self._keep_wording(number, event), js_handler=GROW)
        with tag("div", "actions"):
            send = tag("button", "button primary", "Send edited", type="button")
            button("Cancel", lambda: self._stop_editing(card, number), "quiet")
        send.on("click", lambda event: self._send_edited(card, draft, event), js_handler=value_of(field_id))
        field.on("keydown", lambda event: self._send_edited(card, draft, event), js_handler=SEND_ON_ENTER)
        ui.run_javascript(f'setTimeout(() => document.getElementById("{field_id}")?.focus(), 50)')

    def _draw_settled(self, card: DeskCard) -> None:
        title = card.chat_title or card.chat.chat
        with tag("header", "card-head"):
            tag("h3", "", title)
            tag("span", f"chip outcome {card.outcome}", OUTCOMES.get(card.outcome, card.outcome or "Settled"))
            tag("span", "spring")
            button(
                "Why",
                lambda: self._toggle_why(card),
                "quiet",
                aria_label=f"Why, for the settled card of {title}",
            )
        for draft in card.drafts:
            if draft.state in {DraftState.SENT, DraftState.SENDING}:
                tag("p", "draft-text", draft.final_text or draft.draft.text)
                if draft.state is DraftState.SENDING:
                    tag("p", "state", STATES[draft.state])
                if draft.reason:
                    tag("p", "muted", draft.reason)
        if card.turn_id in self._reasons:
            draw_reasons(self._reasons[card.turn_id])

    # ── pressing ─────────────────────────────────────────────────────────────────────────────

    def _press(self, card: DeskCard, draft: int, verb: DraftVerb, text: str | None = None) -> None:
        self._bot.press(card.chat, draft, verb, text)
        self._pressed[draft] = verb
        self._redraw(card)
        self._on_press()

    def _answer(self, card: DeskCard, draft: int, verb: DraftVerb) -> None:
        """The drafts stay as they are until the card comes anew."""
        self._bot.press(card.chat, draft, verb)
        self._on_press()

    def _edit(self, card: DeskCard, draft: DeskDraft) -> None:
        self._wording[draft.draft.draft] = draft.draft.text
        self._redraw(card)

    def _keep_wording(self, draft: int, event: GenericEventArguments) -> None:
        """What stands in the field survives the card being drawn again."""
        if draft in self._wording and isinstance(event.args, str):
            self._wording[draft] = event.args

    def _stop_editing(self, card: DeskCard, draft: int) -> None:
        self._wording.pop(draft, None)
        self._redraw(card)

    def _send_edited(self, card: DeskCard, draft: DeskDraft, event: GenericEventArguments) -> None:
        text = event.args.strip() if isinstance(event.args, str) else ""
        if not text:
            ui.notify("There are no words to send.")
            return
        number = draft.draft.draft
        if self._wording.pop(number, None) is None:
            return
        same = text == draft.draft.text
        self._press(card, number, DraftVerb.SEND if same else DraftVerb.EDIT, None if same else text)

    def _mute(self, card: DeskCard) -> None:
        if card.drafts:
            self._press(card, card.drafts[0].draft.draft, DraftVerb.MUTE)

    async def _toggle_why(self, card: DeskCard) -> None:
        if self._reasons.pop(card.turn_id, None) is None:
            self._reasons[card.turn_id] = await self._board.why(card.turn_id)
        self._redraw(card)

    def _redraw(self, card: DeskCard) -> None:
        self._open.redraw(card.turn_id)
        self._settled.redraw(card.turn_id)


def _draw_confidence(confidence: float) -> None:
    percent = round(confidence * 100)
    with tag(
        "span",
        "confidence",
        role="meter",
        aria_label="Confidence",
        aria_valuemin="0",
        aria_valuemax="100",
        aria_valuenow=str(percent),
        title=f"Confidence {percent} of 100",
    ):
        with tag("span", "bar"):
            tag("span", "fill", style=f"width: {percent}%")
        tag("span", "muted", f"{percent}%")


def draw_evidence(evidence: Sequence[Evidence], label: str) -> None:
    """The messages that something rests on, folded away until they are asked for."""
    if not evidence:
        return
    count = f"{len(evidence)} message" + ("s" if len(evidence) > 1 else "")
    with tag("details", "evidence"):
        tag("summary", "", f"{label} {count}")
        with tag("ul", ""):
            for said in evidence:
                with tag("li", ""):
                    tag("p", "text", said.text)
                    tag("p", "meta", " · ".join(dict.fromkeys(_placed(said))))


def _placed(said: Evidence) -> tuple[str, ...]:
    """Who said it, where and when. A direct chat is called by its contact: told once is enough."""
    return (said.sender, *said.chat_title.split(" · "), when(said.sent_at))


def draw_reasons(stages: Sequence[Stage]) -> None:
    """What each stage of the reply path decided, and why."""
    with tag("div", "reasons", role="region", aria_label="Why"):
        if not stages:
            tag("p", "muted", "Nothing was written down about this turn.")
        with tag("dl", ""):
            for stage in stages:
                tag("dt", "", stage.stage.capitalize())
                with tag("dd", ""):
                    tag("span", "", stage.decided)
                    for name, value in stage.why:
                        tag("span", "muted fine", value if name == "why" else f"{name}: {value}")
