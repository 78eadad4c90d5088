"""The same statement in the first, second and third person: who speaks decides what the owner is called.

Facts are stored in the third person. Told by the owner "Mara lives in Oslo" is "I live in Oslo", told to the
owner "You live in Oslo", and "Kit is Mara's sister" is "Kit is my sister". English, as facts are; a statement
in other words keeps its form.
"""

import re
from typing import Literal

Person = Literal["first", "second", "third"]

PRONOUNS: dict[str, tuple[str, str, str]] = {"first": ("I", "me", "my"), "second": ("you", "you", "your")}
"""As subject, as object, and of what is theirs."""

VERBS = {
    "first": {"is": "am", "was": "was", "isn't": "am not"},
    "second": {"is": "are", "was": "were", "isn't": "aren't"},
}
BOTH = {"has": "have", "does": "do", "goes": "go", "doesn't": "don't", "hasn't": "haven't"}

ADVERBS = r"(?:no longer|usually|often|always|never|also|still|now|just|really)"


def in_person(statement: str, owner: str, person: Person) -> str:
    """The statement with the owner named as that person names them; as it is in the third.

    A name of several words is known by its first one too.
    """
    if person == "third" or not owner:
        return statement
    subject, thing, possessive = PRONOUNS[person]
    named = "|".join(re.escape(name) for name in dict.fromkeys((owner, owner.split(maxsplit=1)[0])))
    told = re.sub(rf"\b(?:{named})['’]s\b", possessive, statement)
    speaks = re.match(rf"(?:{named})\b(?P<adverb>(?: {ADVERBS})*) (?P<verb>[a-z]+(?:n't)?)\b", told)
    if speaks:
        verb = _bent(speaks["verb"], person)
        told = f"{subject}{speaks['adverb']} {verb}{told[speaks.end() :]}"
        told = _theirs(told, possessive)
    told = re.sub(rf"\b(?:{named})\b", thing, told)
    return told[:1].upper() + told[1:]


def _bent(verb: str, person: str) -> str:
    """The verb as it follows I or you; what does not end in s does not bend."""
    irregular = VERBS[person] | BOTH
    if verb in irregular:
        return irregular[verb]
    if not verb.endswith("s") or verb.endswith("ss"):
        return verb
    if verb.endswith("ies"):
        return f"{verb[:-3]}y"
    if verb.endswith(("ches", "shes", "sses", "xes", "zes")):
        return verb[:-2]
    return verb[:-1]


def _theirs(told: str, possessive: str) -> str:
    """What the subject has is not said of "their" any more: "left their job"."""
    return re.sub(r"\btheir\b", possessive, told, count=1)
