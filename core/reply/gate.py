"""The gate: at most three drafts of different intents pass, and the decision is lowered where it must be."""

from dataclasses import dataclass, replace

from core.ids import FactId
from core.reply.compose import Candidate
from core.reply.decide import Judgement
from core.vocabulary import Decision, DraftOrigin, Intent, Risk

MOST_DRAFTS = 3
WEAK = 0.44
"""Confidence below which a draft is left out; a deferral claims nothing and is never too weak."""

SURE = 0.75
"""Confidence that a draft needs to be sent unasked."""

NEVER_UNASKED = frozenset({DraftOrigin.DEFERRAL, DraftOrigin.EXPERT})
"""Words that say nothing yet, and words that nothing the owner knows supports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """What the owner is shown, best first, and everything that was left out with its reason."""

    decision: Decision
    why: str
    shown: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]
    question: FactId | None = None
    """A fact that the owner is asked about first; see travel.py."""


def gate(judgement: Judgement, candidates: tuple[Candidate, ...], *, trust_model: bool) -> Slate:
    """The slate. `trust_model`: the model has earned the first place; else the owner's past words have it."""
    flagged = [replace(candidate, risks=candidate.risks | judgement.risks) for candidate in candidates]
    shown: list[Candidate] = []
    left_out: list[Candidate] = []
    for candidate in sorted(flagged, key=lambda c: _rank(c, trust_model=trust_model)):
        reason = candidate.dropped or _refusal(candidate, shown)
        (left_out if reason else shown).append(replace(candidate, dropped=reason))
    decision, why = _lowered(judgement, shown)
    return Slate(decision=decision, why=why, shown=tuple(shown), left_out=tuple(left_out))


def _rank(candidate: Candidate, *, trust_model: bool) -> tuple[int, float]:
    """The expert goes before the model, which does not know what the expert was asked."""
    trusted = DraftOrigin.EXPERT, DraftOrigin.MODEL
    order = trusted if trust_model else (DraftOrigin.PAST_REPLY, DraftOrigin.EXPERT)
    if candidate.intent is Intent.DEFER and candidate.origin is DraftOrigin.DEFERRAL:
        return len(order) + 1, -candidate.confidence
    place = order.index(candidate.origin) if candidate.origin in order else len(order)
    return place, -candidate.confidence


def _refusal(candidate: Candidate, shown: list[Candidate]) -> str:
    if candidate.confidence < WEAK and candidate.origin is not DraftOrigin.DEFERRAL:
        return "it is too weak"
    if len(shown) >= MOST_DRAFTS:
        return "the slate is full"
    if any(other.intent is candidate.intent for other in shown):
        return f"a better draft says the same thing ({candidate.intent})"
    return ""


def _lowered(judgement: Judgement, shown: list[Candidate]) -> tuple[Decision, str]:
    """Auto stands only for a sure draft of the owner's own kind that touches nothing."""
    if not shown:
        return Decision.SILENT, "no draft is good enough"
    if judgement.decision is not Decision.AUTO:
        return judgement.decision, judgement.why
    best = shown[0]
    if best.risks:
        return Decision.SUGGEST, f"the draft touches {', '.join(sorted(best.risks))}"
    if best.origin is DraftOrigin.EXPERT:
        return Decision.SUGGEST, "an expert's answer is never sent unasked"
    if best.confidence < SURE or best.origin in NEVER_UNASKED:
        return Decision.SUGGEST, "the draft is not sure enough"
    return Decision.AUTO, judgement.why


def auto_draft(slate: Slate) -> Candidate | None:
    """The one draft that may leave unasked; None unless the slate says so."""
    if slate.decision is not Decision.AUTO or not slate.shown or slate.shown[0].risks & set(Risk):
        return None
    return None if slate.shown[0].origin in NEVER_UNASKED else slate.shown[0]
