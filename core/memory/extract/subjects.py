# ruff: noqa: E501 -- a pattern is read on one line
"""Who a clause is about: the speaker, a group with them, somebody or something of theirs, or "she" of before."""

import re
from dataclasses import dataclass

from core.memory.extract.grammar import is_past, third_person
from core.memory.extract.pronouns import is_clear, own_words
from core.memory.extract.statements import PERSON, SUPPOSED

POSSESSED = re.compile(
    r"^(?:my|our|the(?= (?:kids|children|family|team|wife|dogs?|cats?|turtles)\b)) (?P<what>(?:[\w'-]+ ){0,3}?[\w'-]+) (?P<verb>is|are|was|were|has|have|had|loves?|likes?|enjoys?|lives?|works?|plays?|wants?|went|got|took|made|gave|came|started|won|lost|passed|taught|told|bought|helped|moved|visited|loved|decided|inspired|needs?|goes|keeps?|helps?|includes?|involves?|showed|suggested|recommended|asked|said|joined|finished|opened|closed|graduated|died|adopted|broke|cooked|baked|painted|wrote|built|ran|saw|found|sent|grew|became|turned|celebrated|surprised|encouraged|supported|raised)\b(?P<rest>.*)$",
    re.IGNORECASE,
)
COMPANY = re.compile(
    rf"^(?P<who>(?:[Mm]y (?:[\w'-]+ ){{0,2}}?{PERSON}|a (?:few )?(?:[\w'-]+ )?(?:friends?|colleagues?|coworker)(?: of mine)?|[A-Z][\w'-]+))(?: & I| and I|, and I) (?P<rest>.+)$"
    rf"|^me and (?P<other>my (?:[\w'-]+ ){{0,2}}?{PERSON}|[A-Z][\w'-]+) (?P<others_rest>.+)$",
)
SAME_PERSON = re.compile(r"^(?P<who>he|she|they)(?P<short>'s|'re)? (?P<rest>.+)$", re.IGNORECASE)
NAMED_PERSON = re.compile(rf"\bmy (?P<what>(?:[\w-]+ ){{0,1}}?(?P<role>{PERSON}))\b(?!')", re.IGNORECASE)
SHE = frozenset(
    "mom mum mother sister wife girlfriend daughter aunt niece grandma grandmother dog cat puppy pup".split()
)
HE = frozenset(
    "dad father brother husband boyfriend son uncle nephew grandpa grandfather dog cat puppy pup".split()
)
THEY = frozenset(
    "parents siblings sons daughters kids children friends cousins grandparents colleagues coworkers teammates dogs cats pups turtles pets family team".split()
)
NO_STATE = frozenset(
    """excited interested surprised inspired blessed tired amazed impressed bored scared worried shocked concerned touched
    relaxed motivated determined loved agreed based speaking hundred red used wanted related supposed required limited
    continued needed thought told said heard came let put set read cut hit hurt beat felt meant""".split()
)
"""Words in the past's form that open a remark more often than a sentence without its "I"."""
LONGEST_EXCLAMATION = 3
LEFT_OUT = re.compile(
    r"^(?:(?:just|also|finally|recently|actually|even|already|only) )*"
    r"(?P<verb>(?!(?:was|were|did|could|would|might)\b|had\b(?! (?:an?|my|the|some)\b))[a-z]+)\b",
    re.IGNORECASE,
)
"""Chats leave "I" out before what one has done."""
RATED = re.compile(
    r"\b(?:favou?rites?|fave|highlight|point|guess|bad|thoughts?|opinion|heart|advice|pleasure|turn)(?: (?:parts?|things?|ones?|memory))?$",
    re.IGNORECASE,
)
"""Of what, was said elsewhere."""
ABOUT_ME = re.compile(
    r"^(?!(?i:I|we|it|this|that|these|those|they|there|here|he|she|you|your|what|how|why|who|when|where|which|thanks|thank|glad|can't|hope|hopefully|love|would|let|tell|give|check|show|send|keep|make|take|do|don't|have|remember|wish|good|great|congrats|sounds|looks|feels|hey|hi|even|not|no|nothing|so|such)\b)"
    r"(?P<who>[A-Z\"][^,.;!?]{2,70}?) (?P<verb>is|are|was|were|has|have|had|can|will|means?|helps?|makes?|gives?|brings?|keeps?|reminds?|lets?|inspires?|motivates?|[a-z]+ed|got|made|gave|kept|brought|wrote|sent|taught|told|told|left|came|led|felt)\b(?P<rest>.*\b(?:me|my|I)\b.*)$"
)
"""Of something or somebody else, and what it is to the speaker."""
SHARING = re.compile(
    rf"^(?:(?:here's|here is|here are|check out|take a look at|look at) (?=(?:my|our|one of|(?<!out )(?<!at )(?:an?|some|another)|the \w+ (?:I|we)\b|(?<!out )(?<!at )(?:this|these)|part of|\d+)\b)|(?:this is|these are) (?=(?:one of )?(?:my|our) (?:[\w'-]+ )?{PERSON}\b|an? (?:\w+ )?(?:photo|pic|picture|painting|drawing|shot)\b))(?P<what>[^,.!?]{{6,}}).*$",
    re.IGNORECASE,
)
ADVICE = re.compile(
    r"^(?:you (?:should|could|might want to|ought to|need to) |(?:make sure|don't forget|remember) to )(?!see\b|know\b|be (?:so|very)?\s*(?:proud|happy)|have seen)(?P<what>(?:definitely |really |also |totally )*[a-z].*)$",
    re.IGNORECASE,
)
GOING_ON = re.compile(
    r"^(?:(?:just|also) )*(?:(?:still|mostly|currently|been|now) )+(?P<doing>[a-z]+ing)\b(?!.*\b(?:is|are|was|helps?|makes?|can|will|means)\b)",
    re.IGNORECASE,
)
"""Chats leave "I'm" out before what one is doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A clause, cut where its predicate begins."""

    subject: str
    predicate: str
    several: bool = False
    turned: bool = False
    """Whether the predicate is in the third person already."""


SpokenOf = tuple[str, str]
"""What somebody is to the speaker, and what to call them: "daughter", "Mara's daughter"."""


def spoken_of(clause: str, speaker: str) -> list[SpokenOf]:
    """Those of the speaker's people whom the clause names."""
    return [
        (match["role"].casefold(), f"{speaker}'s {match['what']}") for match in NAMED_PERSON.finditer(clause)
    ]


def find_sentence(clause: str, speaker: str, addressee: str, before: SpokenOf | None) -> Sentence | None:
    """The clause with whom it is about; None where that cannot be told. `before` is whom "she" may mean."""
    if match := re.match(r"^I(?='| )", clause):
        return Sentence(subject=speaker, predicate=clause[match.end() :].strip())
    if match := re.match(r"^we(?='| )", clause, re.IGNORECASE):
        return Sentence(
            subject=f"{speaker} and others", predicate=clause[match.end() :].strip(), several=True
        )
    if match := COMPANY.match(clause):
        other = own_words(match["who"] or match["other"], speaker)
        predicate = match["rest"] or match["others_rest"]
        return Sentence(subject=f"{speaker} and {other}", predicate=predicate, several=True)
    return (
        _possessed(clause, speaker)
        or _advice(clause, speaker, addressee)
        or _same_person(clause, before)
        or _about_me(clause, speaker)
        or _left_out(clause, speaker)
    )


def _possessed(clause: str, speaker: str) -> Sentence | None:
    match = POSSESSED.match(clause)
    if not match or not is_clear(match["what"]) or RATED.search(match["what"]):
        return None
    predicate = match["verb"] + match["rest"]
    return Sentence(subject=f"{speaker}'s {match['what']}", predicate=predicate, turned=True)


def _advice(clause: str, speaker: str, addressee: str) -> Sentence | None:
    match = ADVICE.match(clause)
    if not match or not addressee:
        return None
    return Sentence(subject=speaker, predicate=f"advises {addressee} to {match['what']}", turned=True)


def _same_person(clause: str, before: SpokenOf | None) -> Sentence | None:
    """Of "she", "he" and "they", where the clause before named one whom that can mean."""
    match = SAME_PERSON.match(clause)
    if not match or before is None:
        return None
    role, name = before
    if role not in {"she": SHE, "he": HE, "they": THEY}[match["who"].casefold()]:
        return None
    verb = {"'s": "is ", "'re": "are "}.get(match["short"] or "", "")
    return Sentence(subject=name, predicate=verb + match["rest"], turned=True)


def _about_me(clause: str, speaker: str) -> Sentence | None:
    """Of something or somebody else, and what it is to the speaker."""
    match = ABOUT_ME.match(clause)
    if not match or third_person(clause.split(maxsplit=1)[0]) is not None:
        return None
    who = match["who"]
    if SUPPOSED.search(who) or not is_clear(who):
        return None
    named = own_words(who, speaker)
    return Sentence(
        subject=named[:1].upper() + named[1:], predicate=match["verb"] + match["rest"], turned=True
    )


def _left_out(clause: str, speaker: str) -> Sentence | None:
    """The speaker, where the sentence leaves "I" out."""
    if match := SHARING.match(clause):
        return Sentence(subject=speaker, predicate=f"shared {match['what']}")
    if match := GOING_ON.match(clause):
        return Sentence(subject=speaker, predicate=f"'m {clause[match.start('doing') :]}")
    match = LEFT_OUT.match(clause)
    if (
        not match
        or not is_past(match["verb"])
        or match["verb"].casefold() in NO_STATE
        or re.search(r"\bme\b", clause)
        or len(clause.split()) <= LONGEST_EXCLAMATION
    ):
        return None
    return Sentence(subject=speaker, predicate=clause[:1].lower() + clause[1:])
