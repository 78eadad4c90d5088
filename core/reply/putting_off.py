"""Putting an answer off honestly: in words that the owner has used here, else in plain ones that fit.

An answer put off is no answer to something that was not asked: a statement gets a word that it was
seen instead.
"""

from collections import Counter
from collections.abc import Sequence

from core.ids import MessageId
from core.memory.profiles import Style
from core.reply.recall import Recalled
from core.reply.wording import DEFERRAL_LINE, checkable_details, is_deferral, language_of, words

PLAIN = {
    "en": ("let me check and get back to you", "just saw this, will write back properly in a bit"),
    "sv": ("jag kollar och återkommer", "såg det här nyss, skriver ordentligt om en stund"),
    "de": ("ich schau nach und melde mich", "gerade gesehen, ich schreibe dir gleich in Ruhe"),
    "fr": ("je regarde et je te dis", "je viens de voir, je te réponds vite"),
    "es": ("lo miro y te digo", "acabo de verlo, te escribo en un rato"),
}
"""For a question, and for what asks nothing; by language."""

LOWERCASE = 0.5
GENERIC_WORDS = 7
"""An owner's line longer than this puts off one thing, and not any."""


def put_off(text: str, recalled: Recalled, *, asked: bool) -> tuple[str, tuple[MessageId, ...]]:
    """Words that put the answer off, and the message that they are the owner's words of, if any."""
    language = language_of(text, _style(recalled).language)
    lines = [said for said in recalled.deferrals if _is_generic(said.text)]
    if asked and (fitting := [said for said in lines if language_of(said.text, language) == language]):
        habits = Counter(_same(said.text) for said in fitting)
        best = max(fitting, key=lambda said: (habits[_same(said.text)], -len(words(said.text))))
        return own_clause(best.text), (best.id,)
    plain = PLAIN.get(language, PLAIN["en"])[0 if asked else 1]
    return _in_register(plain, recalled), ()


def _style(recalled: Recalled) -> Style:
    return recalled.profile.style if recalled.profile is not None else Style()


def _same(text: str) -> str:
    return " ".join(words(own_clause(text)))


def _is_generic(text: str) -> bool:
    clause = own_clause(text)
    return (
        "\n" not in clause
        and "?" not in clause
        and is_deferral(clause)
        and len(words(clause)) <= GENERIC_WORDS
        and not checkable_details(clause)
    )


def own_clause(text: str) -> str:
    """The sentence of a line that puts off, without what was said about one day's matter around it."""
    for sentence in DEFERRAL_LINE.split(text.strip()):
        if is_deferral(sentence):
            return sentence.strip()
    return text.strip()


def _in_register(plain: str, recalled: Recalled) -> str:
    """With a capital and a full stop where the owner writes so to this contact."""
    style = _style(recalled)
    share = style.lowercase_share if style.messages else _lowercase_share(recalled)
    return plain if share > LOWERCASE else f"{plain[0].upper()}{plain[1:]}."


def _lowercase_share(recalled: Recalled) -> float:
    """As a profile has it, of the owner's lines at hand; plain lower case when there are none."""
    mine: Sequence[str] = [
        *(said.text for said in recalled.recent if said.sender_id is None),
        *(past.reply for past in recalled.answered),
    ]
    return sum(text == text.lower() for text in mine) / len(mine) if mine else 1.0
