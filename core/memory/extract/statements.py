# ruff: noqa: E501 -- word lists are read as words, and chats have curly quotes
"""Which clauses of a message may be taken as statements, where no rule says what to look for.

More is let through than in `sentences`: what hangs on a statement may suppose or joke, and is cut off later.
"""

import re
from collections.abc import Iterator

from core.memory.extract.grammar import is_past
from core.memory.extract.sentences import (
    DATE_FIRST,
    INTERJECTION,
    LONGEST_SENTENCE,
    QUOTED_LINE,
    SPLIT,
    is_shouted,
    spell_out,
)

SHARED = re.compile(r"\[[^\]]*\]")
"""What an importer noted in brackets is not the speaker's."""
CLAUSE = re.compile(
    r"(?:,\s*)?\b(?:and|but|so|because|since|cause|cuz|plus|though|although)\s+(?=(?:I|I'm|I've|I'll|my|we|we're|we've|it|it's|that's|he|she|they)\b)"
    r"|,\s+(?=(?:I|I'm|I've|I'll|my|we|we're|we've|it|it's|that's)\b)|\s+[-–—]\s*|\s*[-–—]\s+|:\s+",
    re.IGNORECASE,
)
SUPPOSED = re.compile(
    r"""\b(?:if|unless|whether|wouldn't|couldn't|might|maybe|perhaps|probably|wish|imagine|pretend\w*|suppos\w+
    |hypothetically|almost|nearly|basically|literally|practically|technically|apparently|virtually|felt?\ like
    |feels?\ like|as\ if|as\ though|should|shall|joking|jokes?|kidding|jk|lol|lmao|rofl|(?:ha){2,}h?|he(?:he)+|or\ something
    |kinda|kind\ of|sort\ of|metaphor\w*|supposedly|theoretically|bet|swear|guess|pretty\ sure|not\ sure|in\ theory
    |in\ another\ life|spiritually|could|(?<!I\ )would|must\ have|seems?|seemed)\b|/s\b|[😂🤣😜😝😉🙃🤪]""",
    re.IGNORECASE | re.VERBOSE,
)
QUOTE = re.compile(r"[\"“”«»]([^\"“”«»]*)[\"“”«»]")
LONGEST_TITLE = 8
PERSON = r"(?:mom|mum|mother|dad|father|parents|sister|brother|siblings?|wife|husband|partner|girlfriend|boyfriend|fiancée?|son|sons|daughter|daughters|kids?|children|child|family|families|friends?|best friend|cousins?|aunt|uncle|niece|nephew|grandma|grandmother|grandpa|grandfather|grandparents|roommate|boss|colleagues?|coworkers?|co-workers?|team|teammates?|coach|teacher|mentor|neighbou?rs?|dog|dogs|cat|cats|puppy|pups?|pets?|turtles?)"
AND_I = re.compile(rf"\b((?:[Mm]y (?:[\w'-]+ ){{0,2}}?{PERSON}|[A-Z][\w'-]+)),? and I\b(?!')")
CONDITION = re.compile(
    r"^\W*(?:when|once|the more)\b|\b(?:if|unless|whenever|as soon as|every time)\b", re.IGNORECASE
)


def statements(text: str) -> Iterator[str]:
    """The clauses of a message that may state something, with regular spelling; jokes and questions left out."""
    for sentence in SPLIT.split(SHARED.sub("", QUOTED_LINE.sub("", text))):
        if not sentence or len(sentence) > LONGEST_SENTENCE or "?" in sentence or is_shouted(sentence):
            continue
        if any(len(title.split()) > LONGEST_TITLE for title in QUOTE.findall(sentence)):
            continue
        regular = INTERJECTION.sub("", _punctuated_outside(spell_out(sentence)), count=1)
        before = ""
        for part in CLAUSE.split(AND_I.sub(r"\1 & I", _dated_last(regular))):
            on_condition, before = _is_condition(before), part
            if on_condition:
                continue
            clause = INTERJECTION.sub("", part.strip(" ,"), count=1).strip()
            if clause:
                yield clause


def _is_condition(part: str) -> bool:
    """Whether what follows holds only when this does; "when I was small" is a time."""
    return bool(CONDITION.search(part)) and not any(is_past(word) for word in part.split())


def _punctuated_outside(sentence: str) -> str:
    """Of 'called "Dune."' 'called "Dune".': a title is cut nowhere."""
    sentence = re.sub(
        r"(?:^|(?<=\s))'?(?:cause|cuz|cos)(?= (?:I|it|we|my|the|he|she|they|you)\b)", "because", sentence
    )
    return re.sub(r"([.,!])([\"”])", r"\2\1", sentence)


def _dated_last(sentence: str) -> str:
    return DATE_FIRST.sub(
        lambda match: f"{match['rest'].rstrip()} {match['date'].lower()}",
        re.sub(r"^(?:just|only|so|and) (?=yesterday|last|this|today)", "", sentence, flags=re.IGNORECASE),
    )
