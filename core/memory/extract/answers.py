# ruff: noqa: E501 -- a pattern is read on one line
"""What somebody says by answering: "Where do you work?" - "At the harbour" states where they work.

A question and the short answer that follows it become the clause that the answerer would have written. And
what one says of the other ("you live in Bergen, right?") is theirs once they say yes, and nobody's once no.
"""

import re

from core.memory.extract.sentences import INTERJECTION, spell_out
from core.memory.extract.statements import SHARED

YES = re.compile(
    r"^(?:yes|yeah|yep|yup|yea|ya|sure do|sure am|i do|i am|i have|i did|indeed|correct|exactly|that's right|right|true|of course|definitely|absolutely)\b",
    re.IGNORECASE,
)
NO = re.compile(r"^(?:no|none|nope|nah|not really|not any ?more|never|nothing|nowhere)\b", re.IGNORECASE)
FINITE = re.compile(
    r"\b(?:I|I'm|I've|I'll|we|you|he|she|it|they|is|are|was|were|it's|that's|don't|can't|won't|do|did|have|has|had|will|would|could)\b",
    re.IGNORECASE,
)
LONGEST_ANSWER = 8
QUESTIONS = tuple(
    (re.compile(pattern, re.IGNORECASE), clause)
    for pattern, clause in (
        (r"where do you (?P<verb>work|live|study|teach|train|volunteer)(?: now| these days| at the moment)?", "I {verb} {at_answer}"),
        (r"where are you (?P<doing>working|living|studying|staying|moving|going|travell?ing|flying)\b(?P<rest>[^?]*)", "I'm {doing} {at_answer}"),
        (r"where are you from", "I'm from {answer}"),
        (r"where did you (?P<verb>grow up|go|move|study|work|live|stay)\b(?P<rest>[^?]*)", "I {past} {at_answer}"),
        (r"what do you do(?: for (?:a living|work))?", "I'm {a_answer}"),
        (r"what (?:do|did) you study", "I study {answer}"),
        (r"what are you (?P<doing>reading|watching|playing|studying|cooking|making|building|learning|writing|working on|listening to)\b(?: now| these days| at the moment| lately| right now)?", "I'm {doing} {answer}"),
        (r"(?:what's|what is) your favou?rite (?P<thing>[\w ]{3,24}?)", "my favourite {thing} is {answer}"),
        (r"(?:what's|what is) your (?P<thing>job|name|birthday|phone number|number|email|email address|address)", "my {thing} is {answer}"),
        (r"(?:what's|what is) your (?P<pet>dog|cat|puppy|kitten|rabbit|horse|bird|turtle|hamster)(?:'s name| called)?", "my {pet} is called {answer}"),
        (r"how old are you", "I'm {answer} years old"),
        (r"when(?: is|'s) your birthday", "my birthday is {on_answer}"),
        (r"how many (?P<thing>kids|children|brothers|sisters|siblings|dogs|cats|pets|turtles)(?: do you have| have you got)", "I have {answer} {thing}"),
        (r"what instrument(?: do you play)?", "I play {answer}"),
    )
)  # fmt: skip
CONFIRMED = (
    (
        re.compile(
            r"^do you (?P<rest>(?:live|work|study|have|play|speak|own|drive|eat|drink|smoke|like|love|enjoy|teach|run|climb|volunteer)\b[^?,]*)",
            re.IGNORECASE,
        ),
        "I {rest}",
    ),
    (
        re.compile(
            r"^are you (?P<rest>(?!sure|ok|okay|serious|kidding|there|free|ready|coming|in\b|up\b|going to tell)[^?,]*)",
            re.IGNORECASE,
        ),
        "I'm {rest}",
    ),
    (
        re.compile(
            r"^have you (?:ever )?(?P<rest>(?:been|read|seen|watched|visited|tried|finished|moved|started|met|played|booked|quit|found|got|gotten)\b[^?,]*)",
            re.IGNORECASE,
        ),
        "I've {rest}",
    ),
    (re.compile(r"^(?:so )?(?:you're|you are) (?P<rest>[^?,]*)", re.IGNORECASE), "I'm {rest}"),
    (
        re.compile(
            r"^(?:so )?you (?P<rest>(?:live|work|study|have|play|speak|own|moved|went|started|got|bought|quit|like|love)\b[^?,]*)",
            re.IGNORECASE,
        ),
        "I {rest}",
    ),
)
ANY = re.compile(
    r"\bany (?=(?:kids|children|siblings|brothers|sisters|pets|dogs|cats|allergies)\b)", re.IGNORECASE
)
VAGUE = re.compile(
    r"\b(?:any|anymore|anything|something|other|only|favou?rites?|advice|plans?|goals?|tips|ideas?|thoughts|events|memories|specific|that|this|it|them|those|these|one|else|before|or)\b",
    re.IGNORECASE,
)
"""A yes to this says too little."""
LONGEST_CONFIRMED = 8
PLACED = re.compile(
    r"(?:in|at|on|near|from|outside|with|for|by|close|to|around|under|over|up|down|back|home|abroad|here|there)\b",
    re.IGNORECASE,
)
PAST = {
    "grow up": "grew up",
    "go": "went",
    "move": "moved",
    "study": "studied",
    "work": "worked",
    "live": "lived",
    "stay": "stayed",
}


def last_question(text: str) -> str | None:
    """The question that a message ends with, alone; None where it asks nothing, or several things."""
    spelled = spell_out(SHARED.sub("", text)).strip()
    if not spelled.endswith("?"):
        return None
    sentences = re.split(r"(?<=[.!?…])\s+", spelled)
    asked = [sentence for sentence in sentences if sentence.endswith("?")]
    return INTERJECTION.sub("", asked[-1]) if len(asked) == 1 else None


def answered(question: str, reply: str) -> str | None:
    """The clause that the answerer states, in the first person; None where the reply answers nothing."""
    plain = spell_out(SHARED.sub("", reply)).strip()
    first = re.split(r"(?<=[.!?…])\s+|,\s+(?=(?:I|we|it|but|and|you)\b)|\s+[-–—]\s+", plain, maxsplit=1)[
        0
    ].strip()
    if YES.match(plain):
        return _confirmed(question)
    short = INTERJECTION.sub("", f"{first} ").strip(" .!,")
    if (
        NO.match(first)
        or not short
        or first.endswith("?")
        or FINITE.search(short)
        or len(short.split()) > LONGEST_ANSWER
    ):
        return None
    for pattern, clause in QUESTIONS:
        match = pattern.search(question)
        if match:
            return clause.format(**_words(match.groupdict(), short))
    return None


def _words(groups: dict[str, str | None], answer: str) -> dict[str, str]:
    parts = {name: value or "" for name, value in groups.items()}
    article = (
        ""
        if re.match(r"(?:an?|the|in|at|with|for)\b", answer, re.IGNORECASE)
        else "an "
        if answer[:1].lower() in "aeiou"
        else "a "
    )
    lower = (
        answer[:1].lower() + answer[1:]
        if re.match(r"(?:At|In|On|To|With|For|The|A|An|My|From)\b", answer)
        else answer
    )
    verb = (parts.get("verb") or parts.get("doing", "")).casefold()
    place = (
        "at"
        if verb.startswith("work")
        else "to"
        if verb in {"go", "going", "move", "moving", "flying", "travelling", "traveling"}
        else "in"
    )
    return parts | {
        "at_answer": lower if PLACED.match(lower) else f"{place} {lower}",
        "answer": lower,
        "a_answer": f"{article}{lower}",
        "on_answer": lower if lower.startswith("on ") else f"on {lower}",
        "past": PAST.get(parts.get("verb", "").casefold(), ""),
    }


def _confirmed(question: str) -> str | None:
    for pattern, clause in CONFIRMED:
        match = pattern.match(question)
        if match:
            rest = ANY.sub("", match["rest"]).strip(" ?.!")
            if VAGUE.search(rest) or len(rest.split()) > LONGEST_CONFIRMED:
                return None
            return clause.format(rest=re.sub(r"\byour\b", "my", rest)) if rest else None
    return None


def reply_is(reply: str, pattern: re.Pattern[str]) -> bool:
    """Whether the reply opens with a yes, or a no: give `YES` or `NO`."""
    return pattern.match(spell_out(reply).strip()) is not None
