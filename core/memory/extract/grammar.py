# ruff: noqa: E501 -- word lists are read as words
"""English verbs as a chat uses them: which words are verbs, in which tense, and the third person of each."""

PAST = frozenset(
    """was were had did went got took made saw bought found won met ate wrote began gave came left lost kept
    built taught caught brought thought felt told said heard held led paid sent slept spent stood sold drove
    rode ran sang swam flew grew knew threw drew wore chose broke woke spoke fell forgot hung hid shot sat
    stuck struck swept tore understood became beat quit cut hit hurt put set let read drank rang sank shook
    stole swore fought sought lent bent dealt fed fled lit lay laid meant rose shone wound could would dug
    ended""".split()
)
NOT_PAST_ED = frozenset("need feed speed bleed breed heed seed proceed succeed exceed embed".split())
THIRD = {
    "am": "is", "'m": "is", "'ve": "has", "have": "has", "do": "does", "don't": "does not", "haven't": "has not",
    "go": "goes", "can": "can", "can't": "cannot", "will": "will", "won't": "will not", "'ll": "will", "'d": "would",
    "cannot": "cannot", "must": "must", "should": "should", "would": "would", "could": "could", "used": "used",
    "wouldn't": "would not", "couldn't": "could not", "didn't": "did not", "wasn't": "was not", "weren't": "was not",
}  # fmt: skip
"""The first person's auxiliaries in the third."""
PLURAL = {
    "am": "are", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "can't": "cannot", "don't": "do not",
    "won't": "will not", "didn't": "did not", "haven't": "have not", "wasn't": "were not", "weren't": "were not",
}  # fmt: skip
ADVERBS = frozenset(
    """just finally now actually currently still officially recently also really already only even always usually
    often sometimes normally generally never ever once definitely totally truly absolutely honestly lately soon
    especially mostly mainly both all kinda sorta then eventually barely""".split()
)
NOT_ADVERBS_LY = frozenset("apply reply supply rely fly family only daily early likely".split())
BASE = frozenset(
    """have do go love enjoy like prefer dislike hate adore live work study play teach learn read write cook bake
    paint draw run swim hike climb dance sing travel volunteer use make take keep want need plan hope own collect
    grow practice practise train coach help run visit spend watch eat drink drive ride bike cycle walk wear speak
    start try find get give call meet organize organise host attend follow listen sell buy save share miss remember
    believe support create design build work meditate journal garden sew knit fish camp surf ski sail teach mentor
    participate compete perform sleep wake jog exercise relax unwind decorate dream aim focus struggle suffer admire
    appreciate value rent commute belong serve lead manage handle offer post blog stream game code program draw
    look set put add mix stay care come bring choose continue recommend cherish join win hold color treasure tend""".split()
)  # fmt: skip


def is_adverb(word: str) -> bool:
    lower = word.casefold()
    return lower in ADVERBS or (lower.endswith("ly") and lower not in NOT_ADVERBS_LY and len(lower) > 4)  # noqa: PLR2004 -- "fly"


def is_past(verb: str) -> bool:
    """Whether the word is a verb in the past, as far as its form tells."""
    lower = verb.casefold()
    return lower in PAST or (lower.endswith("ed") and lower not in NOT_PAST_ED and len(lower) > 3)  # noqa: PLR2004 -- "red"


def third_person(verb: str) -> str | None:
    """What "I" does, as he or she does it; None for a word that is no verb we know."""
    lower = verb.casefold()
    if lower in THIRD:
        return THIRD[lower]
    if is_past(lower):
        return "was" if lower == "were" else lower
    if lower not in BASE:
        return None
    if lower.endswith(("s", "sh", "ch", "x", "z", "o")):
        return f"{lower}es"
    if lower.endswith("y") and lower[-2] not in "aeiou":
        return f"{lower[:-1]}ies"
    return f"{lower}s"


def plural(verb: str) -> str | None:
    """What "I" or "we" do, as several people do it."""
    lower = verb.casefold()
    if lower in PLURAL:
        return PLURAL[lower]
    if is_past(lower):
        return "were" if lower == "was" else lower
    return lower if lower in BASE or lower in THIRD else None
