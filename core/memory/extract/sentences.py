# ruff: noqa: ISC004, RUF001 -- a pattern is read on one line, and chats have curly quotes
"""Chat text cut into clauses that can be taken at their word, and nothing else.

What asks, supposes, quotes, exaggerates or jokes is not taken at its word.
"""

import re
from collections.abc import Iterator

SPLIT = re.compile(r"(?<=[.!?…])\s+|\n+|\s+[-–—]\s+|;\s+|(?<=[^\w\s,.'\"()])\s+(?=[A-Z])")
CLAUSE = re.compile(
    r"(?:,\s*)?\b(?:and|but|so|because|since|cause|cuz|plus)\s+(?=(?:I|I'm|I've|I'll|my|we)\b)"
    r"|,\s+(?=(?:I|I'm|I've|I'll|my)\b)",
    re.IGNORECASE,
)
QUOTED_LINE = re.compile(r"^\s*>.*$", re.MULTILINE)
QUOTED = re.compile(r"[\"“”«»]|(?:^|\s)'[^']{3,}'(?:\s|$)|`")
NOT_MEANT = re.compile(
    r"""\b(?:
        if|unless|whether|would|wouldn't|i'd|could|couldn't|might|may\ (?!\d)|maybe|perhaps|probably|wish|imagine
        |pretend\w*|suppos\w+|hypothetically|almost|nearly|basically|literally|practically|technically
        |apparently|virtually|like\ i|feels?\ like|felt\ like|as\ if|as\ though|should|shall|hopefully|hoping
        |trying|try|wanna|want|thinking|consider\w*|considering|dream\w*|joking|joke|jokes|kidding|jk|lol|lmao
        |rofl|(?:ha){2,}h?|he(?:he)+|used\ to|what\ if|or\ something|kinda|kind\ of|sort\ of|ish|metaphor\w*
        |supposedly|theoretically|bet|swear|guess|pretty\ sure|not\ sure|in\ theory|in\ another\ life
        |one\ day|some\ day|someday|spiritually|emotionally|soul|ghost|song|lyrics?|movie|novel
    )\b|/s\b|[😂🤣😜😝😉🙃🤪]""",
    re.IGNORECASE | re.VERBOSE,
)
CONDITIONAL_START = re.compile(
    r"^(?:when|whenever|once|until|after|before|while|as soon as|even)\b", re.IGNORECASE
)
TOLD_BY_OTHERS = re.compile(
    r"\b(?:he|she|they|everyone|people|mom|mum|dad) (?:said|says|thinks?|thought|told|claims?)\b",
    re.IGNORECASE,
)
INTERJECTION = re.compile(
    r"^(?:(?:oh|ah|ok|okay|so|well|yeah|yes|yep|yup|no|nope|nah|hey|hi|hello|btw|by the way|also|and|but|anyway|"
    r"anyways|right|sure|wow|omg|aw|aww|ooh|hmm|hm|update|news|good news|big news|guess what|honestly|actually|"
    r"fyi|ps|thanks|thank you|absolutely|definitely|exactly|cool|great|nice|awesome|yay|same|sorry|ugh|plus|"
    r"thing is|the thing is|turns out|it's official|confession|fun fact|sadly|unfortunately|luckily|"
    r"as of (?:today|now|this week))"
    r"(?-i:,? (?!My |We |It |Our )[A-Z]\w+)?\s*[,:.!…]*\s+)+",
    re.IGNORECASE,
)
SPELLING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"[’‘´]", "'"),
        (r"\b(?:im|i am|i'm)\b", "I'm"),
        (
            r"\b(?:ive|i have(?= (?:been|moved|started|quit|stopped|got|adopted|bought|broken|decided)\b)|i've)\b",
            "I've",
        ),
        (
            r"\bill(?= (?:be|send|bring|pay|call|text|review|finish|check|book|buy|get|pick|share|forward|return"
            r"|fix|write|ask|let|come|meet|do|make|take|give|have|go|move|start|move|cook|print|read|add|set|put)\b)",
            "I'll",
        ),
        (r"\b(?:i'll|i will)\b", "I'll"),
        (r"\bi'd\b", "I'd"),
        (r"\bi\b", "I"),
        (r"\b(do|does|did|is|was|ca|wo|have|has|could|would|should)nt\b", r"\1n't"),
        (r"\b(?:imma|ima)\b", "I'm going to"),
        (r"\bgonna\b", "going to"),
        (r"\bu\b", "you"),
        (r"\bur\b", "your"),
        (r"\b(?:youre|you are)\b", "you're"),
        (r"\b(?:were|we are|we're)(?= (?:moving|going|getting|expecting|flying|travell?ing)\b)", "we're"),
        (r"\s+", " "),
    )
)
DATE_FIRST = re.compile(
    r"^(?P<date>(?:on |this |next |last )?(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|(?:this|next|last) (?:week(?:end)?|month|year)"
    r"|today|tonight|tomorrow|yesterday|last night|(?:two|three|four|a few) (?:days|weeks|months|years) ago),?\s+"
    r"(?P<rest>(?:I|I'm|I've|I'll|my|we)\b[^,.!;]*)",
    re.IGNORECASE,
)
LETTERS = re.compile(r"[^\W\d_]")
LONGEST_SENTENCE = 300


def spell_out(text: str) -> str:
    """The text with chat spelling of "I'm", "I'll", "don't", "going to" made regular."""
    for pattern, replacement in SPELLING:
        text = pattern.sub(replacement, text)
    return text.strip()


def clauses(text: str) -> Iterator[str]:
    """The clauses of a message that state something, interjections cut off, in order."""
    for sentence in SPLIT.split(QUOTED_LINE.sub("", text)):
        if not sentence or len(sentence) > LONGEST_SENTENCE or "?" in sentence:
            continue
        regular = spell_out(sentence)
        if not _is_meant(regular):
            continue
        plain = INTERJECTION.sub("", regular, count=1)
        for clause in CLAUSE.split(DATE_FIRST.sub(_date_last, plain)):
            stated = INTERJECTION.sub("", clause.strip(" ,"), count=1).strip()
            if stated and not CONDITIONAL_START.match(stated):
                yield stated


def _date_last(match: re.Match[str]) -> str:
    """Of "Yesterday I moved" "I moved yesterday": clauses begin with whom they are about."""
    first, *others = CLAUSE.split(match["rest"].rstrip(), maxsplit=1)
    rest = match["rest"].rstrip()[len(first) :] if others else ""
    return f"{first} {match['date'].lower()}{rest}"


def is_shouted(text: str) -> bool:
    """Whether capitals say nothing here."""
    letters = LETTERS.findall(text)
    return len(letters) > 3 and sum(letter.isupper() for letter in letters) > 0.6 * len(letters)  # noqa: PLR2004 -- most of it


def _is_meant(regular: str) -> bool:
    return not (
        QUOTED.search(regular)
        or NOT_MEANT.search(regular)
        or TOLD_BY_OTHERS.search(regular)
        or CONDITIONAL_START.match(INTERJECTION.sub("", regular))
    )
