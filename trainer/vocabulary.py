"""Words that give nobody away: everyday words, and those that the owner's chats share widely.

What was said to few may teach how the owner speaks, and no more. No finder of names knows every name,
so the rule is turned around: in such lines a word is kept only if it is known to be everyday. Known are
a list of common English words, the small words of nine languages, and, in whatever language, words that
are said in several of the owner's chats and hardly ever begin with a capital inside a sentence.

`common_words.txt`: the 6,000 most frequent lower-case words of SmolLM2's vocabulary (Apache-2.0) that are
more frequent in lower case than with a capital, which names are not, and that MiniLM's vocabulary
(Apache-2.0) has as whole words.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.memory.style import FUNCTION_WORDS

LEAST_CHATS = 4
"""Chats in which a word must have been said to count as everyday."""
MOST_CAPITALISED = 0.2
"""Share of a word's places inside sentences at which it may begin with a capital."""

WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
_STRETCHED = re.compile(r"(\w)\1{2,}")
_LAUGHTER = re.compile(
    r"(?:(?:h|j)[aeiou]+){2,}h?|(?:lo)+l+|x+d+|(?:he|hi|ha){2,}|m+h*m+|a+h+|o+h+|u+h+m*|e+h+|w+o+w+"
)
_ENDINGS = ("'s", "'ll", "'re", "'ve", "'d", "'m", "n't", "in'")
_AFTER_A_STOP = ".!?\u2026:\n\"'\u201c(*-\u2013"

CHAT_WORDS = frozenset(
    """ive dont cant wont didnt doesnt isnt wasnt arent couldnt wouldnt shouldnt youre theyre thats whats hes shes
    weve theyve ill youll lol haha yeah yep yup nope nah tbh idk idc btw imo imho wanna gotta gonna kinda sorta
    lemme gimme dunno pls plz thx ty tnx omg hey hiya damn shit shitty fuck fucking fucked crap lmao rofl xd tho
    cuz coz bc u ur r k kk ok okay okey yo sup tmrw tmr tonite ugh wow yay oops meh aw aww argh hmm hm huh yikes
    afaik fwiw iirc asap brb ttyl nvm np wtf jk smh dude bro mate guys folks ppl sec lil bit y'all ain't y'know
    yes hello welcome please maybe perhaps however although unlike besides unfortunately fortunately none false
    center north south east west church river god lord hell hall lake hill street park valley queen king english
    hi can't won't weird neat alright suppose bunch figured forgot hopefully assuming tonight yesterday anyways
    annoying guessing nevermind crazy gotcha ugly heh honestly worries trivial lazy hungry messy silly funny ew
    cheers lovely bloody awesome sleepy hungry tired sorry thanks thank bye goodnight morning evening
    tack hej hejsan japp jo nej jag vi ni kul ok okej snart ikväll imorgon kanske bara mycket också sedan
    danke bitte tschüss hallo genau klar gut schon mal heute morgen vielleicht auch noch
    merci salut oui non d'accord ouais super bien aussi demain peut-être bisous
    gracias hola vale sí bueno claro mañana también quizás jaja
    grazie ciao sì certo bene domani anche forse va bene
    obrigado obrigada olá sim claro amanhã também talvez
    bedankt hoi ja nee leuk goed morgen ook misschien""".split()
)
SENSITIVE = frozenset(
    """pregnant pregnancy abortion miscarriage cancer tumor tumour diabetes diabetic depression depressed anxiety
    asthma bipolar autism autistic adhd hiv aids epilepsy disease illness diagnosis diagnosed therapy therapist
    psychiatrist psychologist medication pills surgery rehab addiction addict alcoholic overdose suicide suicidal
    gay lesbian bisexual transgender queer divorce divorced affair arrested prison jail convicted immigrant
    muslim christian jewish catholic atheist hindu communist salary bankrupt debt vegetarian vegan nurse doctor
    lawyer teacher engineer soldier""".split()
)
"""Ordinary words that say of a person what few are told: never everyday."""


@cache
def everyday_words() -> frozenset[str]:
    """What is known to be everyday before a single message is read."""
    listed = (Path(__file__).parent / "common_words.txt").read_text(encoding="utf-8").split()
    small = (word for words in FUNCTION_WORDS.values() for word in words.split())
    return frozenset([*listed, *small, *CHAT_WORDS]) - SENSITIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Which words of a line that was said to few may stand in an example."""

    shared: frozenset[str] = frozenset()
    """Of the owner's chats: see `Hearing`."""

    def keeps(self, word: str) -> bool:
        """Whether a word is everyday, in one of its forms; `word` as it was written."""
        plain = word.casefold().replace("\u2019", "'").strip("'-")
        return self._known(plain) or any(
            plain.endswith(ending) and self._known(plain[: -len(ending)]) for ending in _ENDINGS
        )

    def _known(self, word: str) -> bool:
        everyday = everyday_words()
        forms = (word, _STRETCHED.sub(r"\1", word), _STRETCHED.sub(r"\1\1", word))
        return (
            len(word) == 1
            or any(form in everyday or form in self.shared for form in forms)
            or _LAUGHTER.fullmatch(word) is not None
            or ("-" in word and all(self._known(part) for part in word.split("-") if part))
        )


@dataclass(slots=True, kw_only=True)
class Hearing:
    """Who says what where, counted while messages are read; holds words alone, and for a run."""

    _chats: dict[str, set[int]] = field(default_factory=lambda: defaultdict[str, set[int]](set))
    _inside: dict[str, list[int]] = field(default_factory=lambda: defaultdict[str, list[int]](lambda: [0, 0]))

    def hear(self, text: str, chat_id: int) -> None:
        for match in WORD.finditer(text):
            word = match[0].casefold().replace("\u2019", "'")
            chats = self._chats[word]
            if len(chats) < LEAST_CHATS:
                chats.add(chat_id)
            before = text[: match.start()].rstrip(" \t")
            if before and before[-1] not in _AFTER_A_STOP:
                counts = self._inside[word]
                counts[0] += 1
                counts[1] += match[0][0].isupper()

    def vocabulary(self) -> Vocabulary:
        """The words that are said in several chats and are no names by how they are written."""
        shared = {
            word
            for word, chats in self._chats.items()
            if len(chats) >= LEAST_CHATS and word not in SENSITIVE and not self._looks_like_a_name(word)
        }
        return Vocabulary(shared=frozenset(shared))

    def _looks_like_a_name(self, word: str) -> bool:
        inside, capitalised = self._inside.get(word, (0, 0))
        return capitalised > MOST_CAPITALISED * inside
