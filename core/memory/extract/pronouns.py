# ruff: noqa: E501 -- word lists are read as words
"""Whom "I", "my" and "their" mean in a clause, and how much of it is clear without what was said elsewhere."""

import re

from core.memory.extract.grammar import is_past, third_person

UNRESOLVED = re.compile(
    r"\b(?:its?|he|she|him|hers?|his|they|them|their|theirs|there|here|those|these|ones?|ours|us|you|your|yours|yourself|u|ur|something|anything|everything|whatever|stuff)\b",
    re.IGNORECASE,
)
POINTING = re.compile(
    r"\b(?:this|that)(?=\s*(?:$|[.,!]|and\b|is\b|was\b|one\b|stuff\b|thing\b|with\b|to\b|for\b|in\b|on\b|at\b))|^(?:this|that)\b|\bthis\b(?! (?:time|way|year|week|month|summer|winter|spring|fall|autumn|morning|evening|afternoon))|\b(?:with|at|on|in|of|for|from|to|about|took|made|got|saw) that\b|\bthat (?=(?:happens?|works?|counts?|matters?|possible|real|game|song|place|book|movie|film|show|day|moment|feeling|photo|pic|picture|one|kind|type|same|trip|event|class|dance|team|spot|area|way|stuff|very|whole|next|first|last|other|little|big|old|new|guy|girl|boy)\b)",
    re.IGNORECASE,
)
ANTECEDENT = re.compile(
    r"\b(?:people|kids|children|friends|family|parents|folks|others|everyone|women|men|members|[a-z]{3,}s)\b",
    re.IGNORECASE,
)
"""Several that "their" may mean, named before it in the same clause."""
PEOPLE = re.compile(
    r"people|kids|children|friends|family|parents|folks|others|everyone|women|men|members|dogs|cats|pets|turtles|pups"
    r"|\w+(?:ers|ists|ents|ors|ants|mates)",
    re.IGNORECASE,
)
SEVERAL = frozenset(("their", "they", "them", "theirs"))
NO_PLURAL = frozenset(
    "this always was has does his its towards sometimes lots as less gets class unless across".split()
)
NEW = re.compile(
    r"\b(?:this|these) (?=(?:really |super |so )?(?:amazing|cool|great|awesome|new|little|beautiful|delicious|inspiring|huge|big|old|fun|nice|special|lovely|adorable|cute|gorgeous|incredible|tasty|yummy|wonderful)\b)",
    re.IGNORECASE,
)
INTRODUCED = re.compile(
    r"\b(?:this|these) (?=[a-z]{3,})(?!(?:is|was|at|in|on|to|for|with|by|from|as|and|or|about|up|over|out|so|when|because|time|way|week|month|year|morning|evening|afternoon|summer|winter|spring|fall|autumn|will|would|can|could|has|had|made|makes|through|after|before|since|all|one|ones|together)\b)"
)
"""In telling what one did, "this" brings up what is new: "I read this book"."""
SHOWN = re.compile(r"\b(?:this|that|the) (?:pic|photo|picture|shot)\b", re.IGNORECASE)
"""What was shared beside the words."""
PLEONASTIC = re.compile(
    r"\b(?:mak(?:e|es|ing)|made|find(?:s|ing)?|found) it (?=\w+ to\b)|\bas it\b", re.IGNORECASE
)
DROPPED = re.compile(
    r"(?:,|\s(?:and|or|so that|so|to|for|with|after|before|while|as|that|about|from|by|where|since|during))\s+(?=\S)"
)
"""Where an addition begins that a statement is true without."""
UNFINISHED = frozenset(
    "wanting trying going looking needing hoping planning starting thinking able ready happy excited".split()
)
"""What cannot end a statement."""
LOOSE_END = re.compile(
    r"(?:\s+(?:not|to|and|or|of|for|with|a|the|at|on|in|just|by|as|about|only|even|so|that|from|even|while|when|where|because|like|more|most|since|until|after|before|into|through))+$",
    re.IGNORECASE,
)
OWN_VERB = re.compile(r"\bI (?P<adverb>(?:really|also|just|never|always|still|even) )?(?P<verb>[a-z']+)\b")


def own_words(words: str, speaker: str, *, theirs: bool = False) -> str:
    """The words with "my", "me" and "I" as whom they mean; `theirs`, where the sentence is theirs."""
    who = speaker
    words = OWN_VERB.sub(
        lambda match: f"{who} {match['adverb'] or ''}{third_person(match['verb']) or match['verb']}",
        words,
    )
    for pattern, meant in (
        (r"\b(?:my|our)\b", "their" if theirs else f"{who}'s"),
        (r"\bmine\b", f"{who}'s"),
        (r"\b(?:myself|ourselves)\b", "themselves"),
        (r"\bwe're\b", f"{who} and others are"),
        (r"\bI'm\b", f"{who} is"),
        (r"\bI've\b", f"{who} has"),
        (r"\bwe(?= all\b| both\b|'|\s)", f"{who} and others"),
        (r"\b(?:me|I)\b(?!')", who),
    ):
        words = re.sub(pattern, meant, words, flags=re.IGNORECASE if "my" in pattern else 0)
    return words


def introduced(words: str, *, past: bool) -> str:
    """The words with "this book" as "a book" where "this" brings up what is new: always so in telling what one did."""
    words = SHOWN.sub("a photo", NEW.sub(_introduced, words))
    return INTRODUCED.sub(_introduced, words) if past else words


def _introduced(match: re.Match[str]) -> str:
    if match.string[: match.start()].casefold().endswith("all "):
        return "the "
    if match[0] == "these ":
        return "some "
    return "an " if match.string[match.end() : match.end() + 1].lower() in "aeiou" else "a "


def clear_part(words: str) -> str | None:
    """The words up to where they lean on something said elsewhere; None when nothing clear is left."""
    for _ in range(4):
        dark = _first_unclear(words)
        if dark is None:
            return words
        cuts = [match.start() for match in DROPPED.finditer(words) if match.start() < dark]
        if not cuts:
            return None
        words = LOOSE_END.sub("", words[: cuts[-1]].strip(" ,"))
        last = words.split()[-1] if words else ""
        if not last or is_past(last) or third_person(last) or last in UNFINISHED:
            return None
    return None


def _first_unclear(words: str) -> int | None:
    bare = PLEONASTIC.sub(lambda match: " " * len(match[0]), words)
    for match in UNRESOLVED.finditer(bare):
        if match[0].casefold() in SEVERAL and _has_antecedent(
            bare[: match.start()], people=match[0].casefold() in ("they", "them")
        ):
            continue
        return match.start()
    pointing = POINTING.search(bare)
    return pointing.start() if pointing else None


def _has_antecedent(words: str, *, people: bool) -> bool:
    """Whether several are named that "their" may mean; "them" is taken for people alone."""
    return any(
        bool(PEOPLE.fullmatch(word)) if people else _is_plural(word) for word in ANTECEDENT.findall(words)
    )


def _is_plural(word: str) -> bool:
    return word.casefold() not in NO_PLURAL and not (word[-1] == "s" and _is_verb(word))


def _is_verb(word: str) -> bool:
    """Whether the word is what he or she does: "tries", "loves", "teaches"."""
    lower = word.casefold()
    return any(third_person(base) for base in (lower[:-1], lower[:-2], lower[:-3] + "y"))


def is_clear(words: str) -> bool:
    """Whether nothing in the words leans on what was said elsewhere."""
    return not (UNRESOLVED.search(words) or POINTING.search(words))
