# ruff: noqa: E501 -- word lists are read as words
"""Any plain statement about one's own life, retold in the third person, with its dates made absolute.

What no rule knows by its pattern is still known by its grammar: somebody says of themselves, of those close
to them, or of a group with them, what they did, do or are going to do. The words stay the speaker's; whom
"I", "my", "we" and "she" mean, and when "yesterday" was, is resolved. What leans on something said elsewhere
("I loved it"), is only courtesy ("I'm glad"), or supposes, asks or jokes, is left.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from core.memory.extract.dates import When, find_when
from core.memory.extract.grammar import is_adverb, is_past, plural, third_person
from core.memory.extract.pronouns import clear_part, introduced, own_words
from core.memory.extract.statements import SUPPOSED
from core.memory.extract.subjects import Sentence, SpokenOf, find_sentence, spoken_of

MOST_WORDS = 26
LEAST_WORDS = 2
MOST_ADVERBS = 3
COURTESY = re.compile(
    r"""^(?:I'm|I've|I'll|I'd|I|we're|we'll|we've|we|my)\b(?:\ (?:just|also|so|really|very|always|still|totally|definitely|super|truly|all|both|been|too|pretty|can't|couldn't|can|have|am|be|to|not|even|do|did|don't|didn't))*\ ?
    (?:glad|happy\ (?:for|to\ (?:hear|help|see|share))|thrilled|(?:excited|stoked|pumped|nervous|curious|eager|keen)\ (?:for|to\ (?:hear|see|share|show|try\ it))|sorry|proud|sure
    |here\ (?:for|to)|want(?:ed)?\ to\ (?:tell|say|ask|let|share|thank)|\d+|late|early|pregnant|rooting|wait|look(?:ing)?\ forward|hear(?:d)?|see\ (?:what|how|why|that|it|you)|saying|thankful|grateful|blessed|lucky|appreciate\w*|honou?red
    |touched|amazed|impressed|keep\ (?:you|it\ up)|let\ (?:you|me)|know|think|thinking\ (?:the|it|that)|believe|mean|agree\w*|understand|understood|thought|feel|feeling|felt
    |hope|hoping|remember|check\ (?:it|that|them|those|this)|get\ (?:it|that|you|what|how|why)|got\ (?:you|it|this|your)|love\ (?:it|that|this|those|these|how|your|the\ idea)|miss\ (?:you|u)|wondering|told\ you|tell\ you
    |show(?:ed)?\ you|cheer|interested\ to|fine|ok|okay|good|great|well|doing\ (?:well|good|great|alright|ok|okay|fine)|swamped|busy|beat|exhausted
    |tired|with\ you|right\ there|like\ that|down\ for|up\ for|all\ (?:ears|for)|on\ (?:it|my\ way)|off\ to\ (?:bed|sleep)|back|in!?$)\b""",
    re.IGNORECASE | re.VERBOSE,
)
TAIL = re.compile(
    r"\s*[.!?;:…(]|,?\s+(?:but|so|because|since (?!(?:last|\d|\w+day|january|february|march|april|may|june|july|august|september|october|november|december|childhood|high|college))|though|although|which|who(?= (?:I|we|you))|if|unless|whether|as if|like I|when|whenever|where|(?<!a )while|even though|just in case|cuz)\b"
    r"|,\s+(?:it|it's|that|that's|this|they|he|she|you|thanks|right|too|as well|haha|lol|no|yes|take|check|look|see|let|and (?:it|it's|that|they|he|she|the rest|look|check))\b|\s+and\s+(?:it|it's|that's|they|they're|he|she|I'm|I|hope|have fun|look at|check)\b",
    re.IGNORECASE,
)
"""Where the statement ends and what is thought of it begins."""
STOP = re.compile(
    r"\s*[.!?;:…(]|,?\s+(?:but|though|although|if|unless|whether|as if|like I|even though|and (?:it|that)\b)"
)
NEGATIVE = re.compile(r"\b(?:not|never|no|nobody|nothing|cannot|hardly)\b|n't\b", re.IGNORECASE)
LEFT_HANGING = re.compile(
    r"(?:\s+(?:and|or|even|so|that|when|where|while|because|the|an?|not|just|from|until|since))+$",
    re.IGNORECASE,
)
"""What a cut leaves of the clause that it cut off."""
BARE_LIKING = re.compile(
    r"\b(?:loves?|loved|likes?|liked|enjoys?|enjoyed|adores?|digs?) (?:the|that|those) (?:\w+(?:,? (?:and|&) (?:the )?\w+)?$|way\b)"
)
"""Of what, was said elsewhere: "I love the colours"."""
LIGHT = frozenset(
    """live lives lived living work works working worked moved moving turned started starts hate hates lost booked called looked
    sat stood ran came left gave found brought spent used ended passed happened based based given had having has said saw
    watching playing doing done thinking trying ready excited passionate interested tempted""".split()
)
"""Verbs, and what stands in their place, that say little by themselves."""
FILLER = frozenset(
    """a an the and or to of in on at for with from by as is are was were be been being am has have had do does did will would
    can could not no so very really too also just even still more most much many lot lots bit some any all both such great good
    nice amazing awesome fun cool wonderful fantastic incredible important special super pretty way things thing stuff time times
    sure well new now then back up out off over about into through around than that this who what when how which other others
    going go get got getting make makes made take takes took keep keeps feel feels felt know think want wants need needs try
    trying tried like likes love loves lovely enjoy enjoys glad happy excited best better big little super day days own me my
    always never ever recently finally already told lately here there today week month year us again right together herself
    himself myself themselves his her their because if see saw look looking looks experience journey world life people
    pic photo picture shared blast lucky everyone cares care copy needs wanted bed fan hooked huge totally details figuring kept keeping push pushing forward positive strong believe believing grind grinding plugging moving stay staying strive striving true self
    motivated determined inspired energized support supported supporting back hard difference impact awesome amazing
    """.split()
)
SMALL = frozenset(
    "a an the and or of to really very so just also still even already actually finally".split()
)
WORD = re.compile(r"[^\W_][\w'’-]*")
DIGITS = re.compile(r"\b\d[\d.,:/-]*\b")
DATED_BY = re.compile(
    r"\b(?:since|until|till|by|from|for|before|after|around|about|of|the|between|on|in|during) $",
    re.IGNORECASE,
)

Tense = Literal["past", "future", "now", "wish", "habit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One statement in the third person."""

    text: str
    tense: Tense
    when: When | None


class Teller:
    """Retells the clauses of one message, in order: "she" is who was spoken of before."""

    def __init__(
        self, speaker: str, local_time: datetime, *, addressee: str = "", least: int = LEAST_WORDS
    ) -> None:
        self._speaker = speaker
        self._local_time = local_time
        self._addressee = addressee
        self._least = least
        self._before: SpokenOf | None = None

    def tell(self, clause: str) -> Told | None:
        """The clause in the third person; None for what is no plain statement of one's own life."""
        told = None if COURTESY.match(clause) else self._retold(clause)
        named = spoken_of(clause, self._speaker)
        if named:
            self._before = named[0] if len(named) == 1 else None
        return told

    def _retold(self, clause: str) -> Told | None:
        """As short as it says something; of what happened, what hangs on it happened too."""
        sentence = find_sentence(clause, self._speaker, self._addressee, self._before)
        if sentence is None:
            return None
        short = self._told(sentence, TAIL.split(sentence.predicate, maxsplit=1)[0])
        if short is not None or not _is_past(sentence):
            return short
        return self._told(sentence, STOP.split(sentence.predicate, maxsplit=1)[0])

    def _told(self, sentence: Sentence, predicate: str) -> Told | None:
        cut = LEFT_HANGING.sub("", self._without_address(predicate).strip(" ,.-!"))
        if not cut or NEGATIVE.search(cut) or SUPPOSED.search(cut) or len(cut.split()) > MOST_WORDS:
            return None
        turned = (cut, _tense(cut.split(maxsplit=1)[0], cut)) if sentence.turned else _turn(cut, sentence)
        if turned is None:
            return None
        kept = self._resolved(sentence, *turned)
        return self._dated(sentence, kept, turned[1]) if kept else None

    def _resolved(self, sentence: Sentence, words: str, tense: Tense) -> str | None:
        alone = sentence.subject == self._speaker
        words = introduced(words, past=tense == "past")
        if (alone and re.search(r"\btogether\b", words)) or BARE_LIKING.search(words):
            return None
        kept = clear_part(words)
        return own_words(kept, self._speaker, theirs=alone or sentence.several) if kept else None

    def _dated(self, sentence: Sentence, words: str, tense: Tense) -> Told | None:
        ahead = tense in ("future", "wish")
        dated, when = _absolute(words, self._local_time, "future" if ahead else "past")
        if not _says_something(dated, self._speaker, self._least):
            return None
        if when is None and tense in ("past", "now", "future"):
            dated = f"{dated} (told {self._local_time:%Y-%m-%d})"
        return Told(text=f"{sentence.subject} {dated}", tense=tense, when=when)

    def _without_address(self, words: str) -> str:
        """Without the other's name at the end: "I joined a gym, Ines"."""
        called = {self._addressee.casefold(), *self._addressee.casefold().split()[:1]}
        before, comma, last = words.rstrip(" .!").rpartition(",")
        return before if comma and last.strip().casefold() in called else words


def _is_past(sentence: Sentence) -> bool:
    verb = next((word for word in sentence.predicate.split() if not is_adverb(word)), "")
    return is_past(verb) or verb.casefold() in ("'ve", "has", "have")


def _turn(predicate: str, sentence: Sentence) -> tuple[str, Tense] | None:
    """The predicate with its verb in the third person, and when it speaks of."""
    tokens = predicate.split()
    place = 0
    while place < len(tokens) and is_adverb(tokens[place]):
        place += 1
    if place >= len(tokens) or place > MOST_ADVERBS:
        return None
    verb = tokens[place]
    turned = plural(verb) if sentence.several else third_person(verb)
    if turned is None or (
        verb.casefold() == "'d" and not re.match(r"'d (?:really )?(?:love|like) to\b", predicate)
    ):
        return None
    if tokens[place + 1 : place + 2] == ["and"] and len(tokens) > place + 2 and not sentence.several:
        tokens[place + 2] = third_person(tokens[place + 2]) or tokens[place + 2]
    words = " ".join([*tokens[:place], turned, *tokens[place + 1 :]])
    return words, _tense(verb, " ".join(tokens[place:]))


def _tense(verb: str, words: str) -> Tense:
    lower = verb.casefold()
    rest = words[len(verb) :].strip().casefold()
    if re.match(
        r"(?:\w+ly |just |also |really |still )*(?:want|hope|hoping|wanting|dream|dreaming|plan|planning|would (?:love|like)|aim|aiming|considering|thinking (?:of|about)|trying to|looking (?:to|into))\b",
        f"{lower} {rest}" if lower not in ("'m", "'re", "'d", "am", "is", "are") else rest,
    ) and not is_past(verb):
        return "wish"
    if lower in ("'ll", "will", "won't") or re.match(r"(?:\w+ly |just |also )*going to\b", rest):
        return "future"
    if lower in ("'m", "'re", "am", "is", "are"):
        return "now"
    if lower in ("'ve", "has", "have") and re.match(
        r"(?:\w+ly |just |also |never |always |already |recently |finally )*(?:been|\w+ed|[a-z]+n|gone|done|come|had|got|met|made|found|won|taken|read|put|set|cut|hit|become|run|kept|left|lost)\b",
        rest,
    ):
        return "past"
    return "past" if is_past(verb) else "habit"


def _absolute(words: str, local_time: datetime, lean: Literal["past", "future"]) -> tuple[str, When | None]:
    """The words with each relative date as a day, week or month of the calendar; the first of them."""
    first: When | None = None
    done, rest = "", words
    for _ in range(3):
        when = find_when(rest, local_time, lean)
        if when is None or when.text not in rest:
            break
        before, _, after = rest.partition(when.text)
        label = when.label
        bare = DATED_BY.search(done + before)
        if not bare:
            label = (
                f"on {label}"
                if when.is_day
                else f"in {label}"
                if label[0].isdigit()
                else f"in {label}"
                if label.startswith("the week of")
                else f"on {label}"
            )
        done, rest = f"{done}{before}{label}", after
        first = first or when
    return re.sub(r"\s+", " ", done + rest).strip(), first


def _says_something(words: str, speaker: str, least: int) -> bool:
    """Whether more is said than how things feel: beside the verb a name or number, or two words that carry meaning."""
    found = [
        word
        for word in WORD.findall(DIGITS.sub("", words))
        if len(word) > 2 and word.casefold() not in FILLER and not word.startswith(speaker)  # noqa: PLR2004 -- shorter words carry little
    ]
    verbs = 1 if found and found[0].casefold() in LIGHT else 0
    dated = DIGITS.search(words) is not None
    named = sum(word[0].isupper() for word in found)
    return len(found) - verbs + named >= least - dated


def key_of(told: Told, speaker: str) -> str:
    """What is said, without small words: two tellings of it on different days are one where it lasts."""
    words = [word.casefold() for word in WORD.findall(told.text.removeprefix(speaker))]
    return " ".join(word for word in words if word not in SMALL)
