# ruff: noqa: E501 -- a pattern is read on one line
"""What people say has ended: "no longer", "not ... anymore", "cancelled". Each ends what it names, no more."""

from core.memory.extract.rules import DIETS, EVENTS, I_AM, I_HAVE, NAME, PARTNERS, PETS, PROFESSIONS, I, rule

ANYMORE = r"(?: any ?more\b| any longer\b)"
INSTRUMENTS = r"piano|guitar|violin|drums|clarinet|cello|flute|bass|saxophone|trumpet|ukulele|football|soccer|tennis|basketball|chess|volleyball|hockey|badminton|golf|rugby|handball"

ENDINGS = (
    rule("home", rf"{I}(?:no longer live|do not live|don't live(?=.*{ANYMORE})) in {NAME}", "{who} no longer lives in {name}", "no longer {name}", 0.85, ends="{name}", ends_slot="home_city"),
    rule("home", rf"{I_HAVE}moved (?:away from|out of) {NAME}", "{who} no longer lives in {name}", "no longer {name}", 0.85, dating="told", ends="{name}", ends_slot="home_city"),
    rule("work", rf"{I}(?:no longer work|don't work(?=.*{ANYMORE})) (?:at|for) {NAME}", "{who} no longer works at {name}", "no longer {name}", 0.85, ends="{name}", ends_slot="employer"),
    rule("work", rf"{I_HAVE}(?:quit|resigned from|(?:quit|left) my job at) (?!my\b|the\b|work\b|home\b|him\b|her\b){NAME}", "{who} left {name}", "left {name}", 0.7, dating="told", ends="{name}", ends_slot="employer"),
    rule("work", rf"{I_AM}(?:no longer an?|not an?(?=.*{ANYMORE})) (?P<job>(?:\w+ ){{0,2}}?(?:{PROFESSIONS}))\b", "{who} is no longer a {job}", "no longer {job}", 0.85, ends="{job}", ends_slot="job"),
    rule("diet", rf"{I_AM}(?:no longer|not(?=.*{ANYMORE})) (?:an? )?(?P<diet>{DIETS})\b", "{who} is no longer {diet}", "no longer {diet}", 0.85, ends="{diet}", ends_slot="diet"),
    rule("pet", rf"{I}(?:no longer have|don't have(?=.*{ANYMORE})) an? (?P<pet>{PETS})\b", "{who} no longer has a {pet}", "no longer {pet}", 0.85, ends="{pet}"),
    rule("hobby", rf"{I}(?:no longer play|don't play(?=.*{ANYMORE})) (?:the )?(?P<thing>{INSTRUMENTS})\b", "{who} no longer plays {thing}", "no longer {thing}", 0.85, ends="{thing}"),
    rule("hobby", rf"{I_HAVE}(?:stopped|quit|given up|gave up) playing (?:the )?(?P<thing>{INSTRUMENTS})\b", "{who} no longer plays {thing}", "no longer {thing}", 0.85, ends="{thing}"),
    rule("plan", rf"{I_HAVE}(?:cancelled|canceled|called off) (?:my|the) (?P<name_or_what>(?:[\w']+ ){{0,2}}?(?P<what>trip|holiday|vacation|booking|dinner|party|visit|move|{EVENTS}))\b(?! (?:subscription|membership|order|because))", "{who} cancelled the {name_or_what}", "cancelled {name_or_what}", 0.75, dating="told", of_others=False, ends="{what}"),
    rule("plan", rf"^my (?P<name_or_what>(?:[\w']+ ){{0,2}}?(?P<what>trip|holiday|vacation|booking|dinner|party|visit|move|{EVENTS})) (?:is|was|has been|got|'s been) (?:cancelled|canceled|called off)\b", "{who}'s {name_or_what} is cancelled", "cancelled {name_or_what}", 0.8, of_others=False, ends="{what}"),
    rule("plan", rf"{I_AM}(?:no longer|not) (?:going|flying|travell?ing|moving) to {NAME}(?<!ever)", "{who} is not going to {name}", "not going {name}", 0.7, of_others=False, ends="{name}"),
    rule("relation", rf"{I_HAVE}(?:broke|broken|split) up with my (?P<rel>{PARTNERS})\b", "{who} broke up with their {rel}", "broke up {rel}", 0.85, slot="partner", dating="told"),
    rule("relation", rf"{I_HAVE}(?:broke|broken|split) up with {NAME}", "{who} broke up with {name}", "broke up {name}", 0.8, slot="partner", dating="told"),
)  # fmt: skip
