# ruff: noqa: E501 -- word lists are read as words, and chats have curly quotes
"""Which words are names: capitals where capitals say something, and names already met."""

import re
from collections.abc import Iterable

from core.memory.extract.sentences import is_shouted

CITIES = frozenset(
    word.replace("_", " ")
    for word in """amsterdam ankara antwerp athens atlanta auckland austin bangalore bangkok barcelona basel beijing beirut
    belfast belgrade bergen berlin bern bilbao birmingham bogota bologna bordeaux boston bratislava brighton
    brisbane bristol brooklyn brussels bucharest budapest cairo calgary cambridge canberra cardiff chicago
    cologne copenhagen cork dakar dallas damascus delhi denver detroit dresden dubai dublin dusseldorf edinburgh
    eindhoven florence frankfurt geneva genoa ghent glasgow gothenburg göteborg graz grenoble hague hamburg
    hanoi havana helsinki hong_kong houston istanbul jakarta jerusalem johannesburg karachi kathmandu kiev
    kyiv krakow kuala_lumpur lagos lausanne leeds leipzig lille lima linköping lisbon liverpool ljubljana
    london los_angeles lund luxembourg lyon madrid malmö malmo manchester manila marseille melbourne
    mexico_city miami milan minneapolis minsk montevideo montreal moscow mumbai munich nairobi nantes naples
    new_orleans new_york nice nottingham nuremberg odense oslo ottawa oxford palermo paris perth
    philadelphia phoenix pittsburgh porto portland prague quito reykjavik riga rio rome rotterdam salzburg
    san_diego san_francisco santiago sao_paulo sarajevo seattle seoul seville shanghai sheffield
    singapore skopje sofia stavanger stockholm strasbourg stuttgart sydney taipei tallinn tampere tbilisi
    tehran tel_aviv the_hague tirana tokyo toronto toulouse trieste trondheim tunis turin turku umeå
    uppsala utrecht valencia vancouver venice verona vienna vilnius warsaw washington wellington zagreb zurich
    argentina australia austria belgium brazil canada chile china croatia denmark england finland france
    germany greece iceland india ireland israel italy japan kenya korea mexico morocco netherlands norway
    poland portugal romania scotland serbia spain sweden switzerland thailand turkey ukraine vietnam
    wales""".split()
)
NOT_NAMES = frozenset(
    """i i'm i've i'll i'd a an the my your our his her their this that it me you we he she they and but so
    or not yes no ok okay oh monday tuesday wednesday thursday friday saturday sunday today tomorrow
    january february march april may june july august september october november december here there
    home bed work town school college university mom mum dad god lol omg haha""".split()
)
CONNECTORS = frozenset(
    ("de", "la", "le", "of", "von", "van", "der", "den", "al", "el", "del", "di", "da", "&")
)
MOST_WORDS = 4
CAPITALISED_INSIDE = re.compile(r"(?<=[\w,] )[^\W\d_a-zß-öø-ÿ][\w'’-]*[a-zß-öø-ÿ][\w'’-]*")
TRAILING = ".,!?:;)…"


def is_capitalised(word: str) -> bool:
    return word[:1].isupper() and word.casefold() not in NOT_NAMES


class Names:
    """The names that one session can mean."""

    def __init__(self, texts: Iterable[str], people: Iterable[str]) -> None:
        inside = {
            match.casefold()
            for text in texts
            if not is_shouted(text)
            for match in CAPITALISED_INSIDE.findall(text)
        }
        self._known = (inside | {part.casefold() for name in people for part in name.split()}) - NOT_NAMES

    def leading(self, words: str) -> str | None:
        """The name that these words begin with, capitals restored; None when they begin with none."""
        tokens = words.strip().split()[:MOST_WORDS]
        taken = _capitalised_run(tokens) if not is_shouted(words) else []
        if taken:
            return " ".join(taken)
        return self._known_in_lower_case([token.rstrip(TRAILING).casefold() for token in tokens])

    def _known_in_lower_case(self, tokens: list[str]) -> str | None:
        pair = " ".join(tokens[:2])
        if pair in CITIES:
            return pair.title()
        if tokens and (tokens[0] in CITIES or tokens[0] in self._known):
            return tokens[0].capitalize()
        return None


def _capitalised_run(tokens: list[str]) -> list[str]:
    taken: list[str] = []
    for token in tokens:
        word = token.rstrip(TRAILING).removesuffix("'s")
        if not (is_capitalised(word) or (taken and word in CONNECTORS)):
            break
        taken.append(word)
        if token != word:
            break
    while taken and taken[-1] in CONNECTORS:
        taken.pop()
    return taken
