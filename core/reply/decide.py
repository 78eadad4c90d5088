"""Deciding: policy first, then whether the owner would answer at all, then what is at risk.

The trigger is a handful of rules about words until one is learned from the owner's own habits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.reply.situation import Situation
from core.reply.wording import (
    is_acknowledgement,
    is_question,
    mentions,
    risks_of,
    smuggles_instructions,
    words,
)
from core.vocabulary import ChatKind, Decision, Risk

STALE = timedelta(hours=24)
"""After this long a turn gets no card: what waited so long is the owner's to pick up."""

TOO_LITTLE = 2
"""Words of a statement that asks for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What to do about a turn, and why. `wait_until` postpones it."""

    decision: Decision
    why: str
    risks: frozenset[Risk] = frozenset()
    wait_until: datetime | None = None


def decide(situation: Situation) -> Judgement:
    """Silent, suggest, or auto; the ceiling is the owner's policy."""
    if not situation.text.strip():
        return Judgement(decision=Decision.SILENT, why="nothing is left to answer")
    if reason := situation.policy.forbids_speaking(situation.now):
        return Judgement(decision=Decision.SILENT, why=reason)
    risks = incoming_risks(situation)
    if situation.asked:
        return Judgement(decision=Decision.SUGGEST, why="the owner asked", risks=risks)
    if situation.now - situation.incoming[-1].sent_at > STALE:
        return Judgement(decision=Decision.SILENT, why="it has waited too long")
    speaks, why = would_answer(situation)
    if not speaks:
        return Judgement(decision=Decision.SILENT, why=why)
    if quiet_ends := situation.policy.quiet_ends(situation.now):
        return Judgement(decision=Decision.SILENT, why="quiet hours", wait_until=quiet_ends)
    if forbidden := situation.policy.forbids_auto(situation.now):
        return Judgement(decision=Decision.SUGGEST, why=f"{why}; {forbidden}", risks=risks)
    if risks:
        return Judgement(
            decision=Decision.SUGGEST, why=f"{why}; it touches {', '.join(sorted(risks))}", risks=risks
        )
    return Judgement(decision=Decision.AUTO, why=why, risks=risks)


def would_answer(situation: Situation) -> tuple[bool, str]:
    """Whether the owner would answer the turn at all, and the rule that says so."""
    lines = [message.words for message in situation.incoming if message.words]
    if all(is_acknowledgement(line) for line in lines):
        return False, "an acknowledgement"
    if situation.chat_kind is not ChatKind.DIRECT:
        return _would_answer_in_company(situation, lines)
    if any(is_question(line) for line in lines):
        return True, "a question"
    if sum(len(words(line)) for line in lines) <= TOO_LITTLE:
        return False, "too little to answer"
    return True, "said to the owner"


def _would_answer_in_company(situation: Situation, lines: list[str]) -> tuple[bool, str]:
    if situation.replies_to_owner:
        return True, "a reply to the owner"
    account = situation.account
    first_name = account.owner_name.split()[0] if account.owner_name else ""
    names = tuple(filter(None, (account.owner_name, first_name, account.platform_user_id)))
    marked = any(message.mentions_owner for message in situation.incoming)
    if marked or any(mentions(line, names) for line in lines):
        return True, "the owner is mentioned"
    return False, "group talk"


def incoming_risks(situation: Situation) -> frozenset[Risk]:
    """What the incoming lines touch; text that talks to the machine is as risky as it gets."""
    risks = risks_of(situation.text) - {Risk.PROMISE}
    if smuggles_instructions(situation.text):
        return risks | {Risk.PRIVACY, Risk.AMBIGUITY}
    return risks
