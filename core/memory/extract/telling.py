# ruff: noqa: E501 -- word lists are read as words, and chats have curly quotes
"""Any plain statement about one's own life, retold in the third person, with its dates made absolute.

What no rule knows by its pattern is still known by its grammar: somebody says of themselves, of those close
to them, or of a group with them, what they did, do or are going to do. The words stay the speaker's; whom
"I", "my", "we" and "she" mean, and when "yesterday" was, is resolved. What leans on something said elsewhere
("I loved it"), is only courtesy ("I'm glad"), or supposes, asks or jokes, is left.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from core.memory.extract.dates import When, find_when
from core.memory.extract.grammar import is_adverb, is_past, plural, third_person
from core.memory.extract.sentences import (
    DATE_FIRST,
    INTERJECTION,
    LONGEST_SENTENCE,
    QUOTED_LINE,
    SPLIT,
    is_shouted,
    spell_out,
)

MOST_WORDS = 26
SHARED = re.compile(r"\[[^\]]*\]")
"""What an importer noted in brackets is not the speaker's."""
CLAUSE = re.compile(
    r"(?:,\s*)?\b(?:and|but|so|because|since|cause|cuz|plus|though|although)\s+(?=(?:I|I'm|I've|I'll|my|we|we're|we've|it|it's|that's|he|she|they)\b)"
    r"|,\s+(?=(?:I|I'm|I've|I'll|my|we|we're|we've|it|it's|that's)\b)|\s+[-–—]\s*|\s*[-–—]\s+|:\s+",
    re.IGNORECASE,
)
TAIL = re.compile(
    r"\s*[.!?;:…(]|,?\s+(?:but|so|because|since (?!(?:last|\d|\w+day|january|february|march|april|may|june|july|august|september|october|november|december|childhood|high|college))|though|although|which|who(?= (?:I|we|you))|if|unless|whether|as if|like I|when|whenever|where|while|even though|just in case|cuz)\b"
    r"|,\s+(?:it|it's|that|that's|this|they|he|she|you|thanks|right|too|as well|haha|lol|no|yes|take|check|look|see|let|and (?:it|it's|that|they|he|she|the rest|look|check))\b|\s+and\s+(?:it|it's|that's|they|they're|he|she|I'm|I|hope|have fun|look at|check)\b",
    re.IGNORECASE,
)
"""Where the statement ends and what is thought of it begins."""
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
COURTESY = re.compile(
    r"""^(?:I'm|I've|I'll|I'd|I|we're|we'll|we've|we|my)\b(?:\ (?:just|also|so|really|very|always|still|totally|definitely|super|truly|all|both|been|too|pretty|can't|couldn't|can|have|am|be|to|not|even|do|did|don't|didn't))*\ ?
    (?:glad|happy\ (?:for|to\ (?:hear|help|see|share))|thrilled|(?:excited|stoked|pumped|nervous|curious|eager|keen)\ (?:for|to\ (?:hear|see|share|show|try\ it))|sorry|proud|sure
    |here\ (?:for|to)|want(?:ed)?\ to\ (?:tell|say|ask|let|share|thank)|\d+|late|early|pregnant|rooting|wait|look(?:ing)?\ forward|hear(?:d)?|see\ (?:what|how|why|that|it|you)|saying|thankful|grateful|blessed|lucky|appreciate\w*|honou?red
    |touched|amazed|impressed|keep\ (?:you|it\ up)|let\ (?:you|me)|know|think|thinking\ (?:the|it|that)|believe|mean|agree\w*|understand|understood|thought|feel|feeling|felt
    |hope|hoping|remember|check\ (?:it|that|them|those|this)|get\ (?:it|that|you|what|how|why)|got\ (?:you|it|this|your)|love\ (?:it|that|this|those|these|how|your|the\ idea)|miss\ (?:you|u)|wondering|told\ you|tell\ you
    |show(?:ed)?\ you|cheer|interested\ to|fine|ok|okay|good|great|well|doing\ (?:well|good|great|alright|ok|okay|fine)|swamped|busy|beat|exhausted
    |tired|with\ you|right\ there|like\ that|down\ for|up\ for|all\ (?:ears|for)|on\ (?:it|my\ way)|off\ to\ (?:bed|sleep)|back|in!?$)\b""",
    re.IGNORECASE | re.VERBOSE,
)
UNRESOLVED = re.compile(
    r"\b(?:it|he|she|him|hers?|his|they|them|their|theirs|there|here|those|these|ones?|ours|us|you|your|yours|yourself|u|ur|something|anything|everything|whatever|stuff)\b",
    re.IGNORECASE,
)
POINTING = re.compile(
    r"\b(?:this|that)(?=\s*(?:$|[.,!]|and\b|is\b|was\b|one\b|stuff\b|thing\b|with\b|to\b|for\b|in\b|on\b|at\b))|^(?:this|that)\b|\bthis\b(?! (?:time|way|year|week|month|summer|winter|spring|fall|autumn|morning|evening|afternoon))|\b(?:with|at|on|in|of|for|from|to|about|took|made|got|saw) that\b|\bthat (?=(?:game|song|place|book|movie|film|show|day|moment|feeling|photo|pic|picture|one|kind|type|same|trip|event|class|dance|team|spot|area|way|stuff|very|whole|next|first|last)\b)",
    re.IGNORECASE,
)
ANTECEDENT = re.compile(
    r"\b(?:people|kids|children|friends|family|parents|folks|others|everyone|women|men|members|[a-z]{3,}s)\b",
    re.IGNORECASE,
)
"""Several that "their" may mean, named before it in the same clause."""
BARE_LIKING = re.compile(
    r"\b(?:loves?|loved|likes?|liked|enjoys?|enjoyed|adores?|digs?) (?:the|that|those) \w+(?:,? (?:and|&) (?:the )?\w+)?$"
)
"""Of what, was said elsewhere: "I love the colours"."""
NEW = re.compile(
    r"\b(?:this|these) (?=(?:really |super |so )?(?:amazing|cool|great|awesome|new|little|beautiful|delicious|inspiring|huge|big|old|fun|nice|special|lovely|adorable|cute|gorgeous|incredible|tasty|yummy|wonderful)\b)",
    re.IGNORECASE,
)
SHOWN = re.compile(r"\b(?:this|that|the) (?:pic|photo|picture|shot)\b", re.IGNORECASE)
"""What was shared beside the words."""
STOP = re.compile(
    r"\s*[.!?;:…(]|,?\s+(?:but|though|although|if|unless|whether|as if|like I|even though|and (?:it|that)\b)"
)
LOOSE_END = re.compile(
    r"(?:\s+(?:not|to|and|or|of|for|with|a|the|at|on|in|just|by|as|about|only|even|so|that|from))+$",
    re.IGNORECASE,
)
NO_PLURAL = frozenset(
    "this always was has does his its towards sometimes lots as less gets class unless across".split()
)
INTRODUCED = re.compile(
    r"\b(?:this|these) (?=[a-z]{3,})(?!(?:is|was|at|in|on|to|for|with|by|from|as|and|or|about|up|over|out|so|when|because|time|way|week|month|year|morning|evening|afternoon|summer|winter|spring|fall|autumn|will|would|can|could|has|had|made|makes|through|after|before|since|all|one|ones|together)\b)"
)
"""In telling what one did, "this" brings up what is new: "I read this book"."""
DROPPED = re.compile(
    r"(?:,|\s(?:and|or|so that|so|to|for|with|after|before|while|as|that|about|from|by|where|since|during))\s+(?=\S)"
)
"""Where an addition begins that a statement is true without."""
PLEONASTIC = re.compile(
    r"\b(?:mak(?:e|es|ing)|made|find(?:s|ing)?|found) it (?=\w+ to\b)|\bas it\b", re.IGNORECASE
)
PERSON = r"(?:mom|mum|mother|dad|father|parents|sister|brother|siblings?|wife|husband|partner|girlfriend|boyfriend|fiancée?|son|sons|daughter|daughters|kids?|children|child|family|families|friends?|best friend|cousins?|aunt|uncle|niece|nephew|grandma|grandmother|grandpa|grandfather|grandparents|roommate|boss|colleagues?|coworkers?|co-workers?|team|teammates?|coach|teacher|mentor|neighbou?rs?|dog|dogs|cat|cats|puppy|pups?|pets?|turtles?)"
POSSESSED = re.compile(
    r"^(?:my|our|the(?= (?:kids|children|family|team|wife|dogs?|cats?|turtles)\b)) (?P<what>(?:[\w'-]+ ){0,3}?[\w'-]+) (?P<verb>is|are|was|were|has|have|had|loves?|likes?|enjoys?|lives?|works?|plays?|wants?|went|got|took|made|gave|came|started|won|lost|passed|taught|told|bought|helped|moved|visited|loved|decided|inspired|needs?|goes|keeps?|helps?|includes?|involves?|showed|suggested|recommended|asked|said|joined|finished|opened|closed|graduated|died|adopted|broke|cooked|baked|painted|wrote|built|ran|saw|found|sent|grew|became|turned|celebrated|surprised|encouraged|supported|raised)\b(?P<rest>.*)$",
    re.IGNORECASE,
)
COMPANY = re.compile(
    rf"^(?P<who>(?:[Mm]y (?:[\w'-]+ ){{0,2}}?{PERSON}|a (?:few )?(?:[\w'-]+ )?(?:friends?|colleagues?|coworker)(?: of mine)?|[A-Z][\w'-]+))(?: & I| and I|, and I) (?P<rest>.+)$"
    rf"|^me and (?P<other>my (?:[\w'-]+ ){{0,2}}?{PERSON}|[A-Z][\w'-]+) (?P<others_rest>.+)$",
)
AND_I = re.compile(rf"\b((?:[Mm]y (?:[\w'-]+ ){{0,2}}?{PERSON}|[A-Z][\w'-]+)),? and I\b(?!')")
CONDITION = re.compile(
    r"^\W*(?:if|unless|when|whenever|once|as soon as|every time|the more)\b", re.IGNORECASE
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
FILLER = frozenset(
    """a an the and or to of in on at for with from by as is are was were be been being am has have had do does did will would
    can could not no so very really too also just even still more most much many lot lots bit some any all both such great good
    nice amazing awesome fun cool wonderful fantastic incredible important special super pretty way things thing stuff time times
    sure well new now then back up out off over about into through around than that this who what when how which other others
    going go get got getting make makes made take takes took keep keeps feel feels felt know think want wants need needs try
    trying tried like likes love loves lovely enjoy enjoys glad happy excited best better big little super day days own me my
    always never ever recently finally already told lately here there today week month year us again right together herself
    himself myself themselves his her their because if see saw look looking looks experience journey world life people
    bed fan hooked huge totally details figuring kept keeping push pushing forward positive strong believe believing grind grinding plugging moving stay staying strive striving true self
    motivated determined inspired energized support supported supporting back hard difference impact awesome amazing
    """.split()
)
WORD = re.compile(r"[^\W_][\w'’-]*")
SMALL = frozenset(
    "a an the and or of to really very so just also still even already actually finally".split()
)
DATED_BY = re.compile(
    r"\b(?:since|until|till|by|from|for|before|after|around|about|of|the|between|on|in|during) $",
    re.IGNORECASE,
)
NO_DATE_MEANT = re.compile(r"^(?:today|tonight|now)$", re.IGNORECASE)

OWN_VERB = re.compile(r"\bI (?P<adverb>(?:really|also|just|never|always|still|even) )?(?P<verb>[a-z']+)\b")
NEGATIVE = re.compile(r"\b(?:not|never|no|nobody|nothing|cannot|hardly)\b|n't\b", re.IGNORECASE)

LEAST_WORDS = 2
LONGEST_EXCLAMATION = 3
LIGHT = frozenset(
    """live lives lived living work works working worked moved moving turned started starts hate hates lost booked called looked
    sat stood ran came left gave found brought spent used ended passed happened based based given had having has said saw
    watching playing doing done thinking trying ready excited passionate interested tempted""".split()
)
"""Verbs, and what stands in their place, that say little by themselves."""
DIGITS = re.compile(r"\b\d[\d.,:/-]*\b")

Tense = Literal["past", "future", "now", "wish", "habit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One statement in the third person."""

    text: str
    tense: Tense
    when: When | None


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


def is_past_of(predicate: str) -> bool:
    """Whether the predicate tells what happened: then what hangs on it happened too."""
    words = [word for word in predicate.lstrip("=").split() if not is_adverb(word)]
    return bool(words) and (is_past(words[0]) or words[0].casefold() in ("'ve", "has", "have"))


def _is_condition(part: str) -> bool:
    """Whether what follows holds only when this does; "when I was small" is a time."""
    return bool(CONDITION.match(part)) and not any(is_past(word) for word in part.split())


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


class Teller:
    """Retells the clauses of one message, in order: "she" is who was spoken of before."""

    def __init__(
        self, speaker: str, local_time: datetime, *, addressee: str = "", least: int = LEAST_WORDS
    ) -> None:
        self._speaker = speaker
        self._local_time = local_time
        self._least = least
        self._addressee = addressee
        self._spoken_of: tuple[str, str] | None = None

    def tell(self, clause: str) -> Told | None:
        """The clause in the third person; None for what is no plain statement of one's own life."""
        found = self._sentence(clause)
        named = list(NAMED_PERSON.finditer(clause))
        if len(named) == 1:
            self._spoken_of = (named[0]["role"].casefold(), f"{self._speaker}'s {named[0]['what']}")
        elif len(named) > 1:
            self._spoken_of = None
        return found

    def _sentence(self, clause: str) -> Told | None:
        if COURTESY.match(clause):
            return None
        split = self._subject_and_predicate(clause)
        if split is None:
            return None
        subject, many, predicate = split
        short = TAIL.split(predicate, maxsplit=1)[0]
        told = self._told(subject, short, many=many)
        return told or (
            self._told(subject, STOP.split(predicate, maxsplit=1)[0], many=many)
            if is_past_of(predicate)
            else None
        )

    def _told(self, subject: str, predicate: str, *, many: bool) -> Told | None:
        cut = self._without_address(predicate).strip(" ,.-!")
        if NEGATIVE.search(cut) or SUPPOSED.search(cut) or len(cut.split()) > MOST_WORDS:
            return None
        turned = self._turn(cut, many=many)
        if turned is None:
            return None
        words, tense = turned
        words = SHOWN.sub("a photo", NEW.sub(_introduced, words))
        if tense == "past":
            words = INTRODUCED.sub(_introduced, words)
        if (subject == self._speaker and re.search(r"\btogether\b", words)) or BARE_LIKING.search(words):
            return None
        kept = _clear_part(words)
        if kept is None:
            return None
        resolved = self._own(kept, theirs=subject == self._speaker or many)
        dated, when = _absolute(
            resolved, self._local_time, "future" if tense in ("future", "wish") else "past"
        )
        if not _says_something(dated, self._speaker, self._least):
            return None
        if when is None and tense in ("past", "now", "future"):
            dated = f"{dated} (told {self._local_time:%Y-%m-%d})"
        return Told(text=f"{subject} {dated}", tense=tense, when=when)

    def _without_address(self, words: str) -> str:
        """Without the other's name at the end: "I joined a gym, Ines"."""
        called = {self._addressee.casefold(), *self._addressee.casefold().split()[:1]}
        before, comma, last = words.rstrip(" .!").rpartition(",")
        return before if comma and last.strip().casefold() in called else words

    def _own(self, words: str, *, theirs: bool = False) -> str:
        """The words with "my", "me" and "I" as whom they mean; `theirs`, where the sentence is theirs."""
        who = self._speaker
        words = OWN_VERB.sub(
            lambda match: f"{who} {match['adverb'] or ''}{third_person(match['verb']) or match['verb']}",
            words,
        )
        for pattern, meant in (
            (r"\b(?:my|our)\b", "their" if theirs else f"{who}'s"),
            (r"\bmine\b", f"{who}'s"),
            (r"\bmyself\b", "themselves"),
            (r"\bI'm\b", f"{who} is"),
            (r"\bI've\b", f"{who} has"),
            (r"\bwe(?= all\b| both\b|'|\s)", f"{who} and others"),
            (r"\b(?:me|I)\b(?!')", who),
        ):
            words = re.sub(pattern, meant, words, flags=re.IGNORECASE if "my" in pattern else 0)
        return words

    def _subject_and_predicate(self, clause: str) -> tuple[str, bool, str] | None:
        """Who, whether they are several, and what is said of them, still in the first person."""
        who = self._speaker
        if match := re.match(r"^I(?='| )", clause):
            return (
                who,
                False,
                clause[match.end() :].strip() if clause[match.end()] == " " else clause[match.end() :],
            )
        if match := re.match(r"^we(?='| )", clause, re.IGNORECASE):
            return f"{who} and others", True, clause[match.end() :].strip()
        if match := COMPANY.match(clause):
            other = match["who"] or match["other"]
            return f"{who} and {self._own(other)}", True, match["rest"] or match["others_rest"]
        if match := POSSESSED.match(clause):
            if UNRESOLVED.search(match["what"]) or RATED.search(match["what"]):
                return None
            return f"{who}'s {match['what']}", False, f"={match['verb']}{match['rest']}"
        return self._advice(clause) or self._of_others(clause) or self._left_out(clause)

    def _of_others(self, clause: str) -> tuple[str, bool, str] | None:
        """Of "she", "he" and "they" who were named before, and of what is something to the speaker."""
        if (match := SAME_PERSON.match(clause)) and self._spoken_of:
            role, name = self._spoken_of
            fits = {"she": SHE, "he": HE, "they": THEY}[match["who"].casefold()]
            if role in fits:
                verb = {"'s": "is ", "'re": "are "}.get(match["short"] or "", "")
                return name, False, f"={verb}{match['rest']}"
            return None
        if (match := ABOUT_ME.match(clause)) and third_person(clause.split(maxsplit=1)[0]) is None:
            if (
                SUPPOSED.search(match["who"])
                or UNRESOLVED.search(match["who"])
                or POINTING.search(match["who"])
            ):
                return None
            return _capital(self._own(match["who"])), False, f"={match['verb']}{match['rest']}"
        return None

    def _advice(self, clause: str) -> tuple[str, bool, str] | None:
        match = ADVICE.match(clause)
        if not match or not self._addressee:
            return None
        return self._speaker, False, f"=advises {self._addressee} to {match['what']}"

    def _left_out(self, clause: str) -> tuple[str, bool, str] | None:
        """The speaker, where the sentence leaves "I" out."""
        who = self._speaker
        if match := SHARING.match(clause):
            return who, False, f"shared {match['what']}"
        if match := GOING_ON.match(clause):
            return who, False, f"'m {clause[match.start('doing') :]}"
        first = re.match(
            r"^(?:(?:just|also|finally|recently|actually|even|already|only) )*(?P<verb>[a-z]+)\b",
            clause,
            re.IGNORECASE,
        )
        if (
            first
            and is_past(first["verb"])
            and first["verb"].casefold() not in NO_STATE
            and first["verb"].casefold()
            not in {"was", "were", "had", "did", "could", "would", "might"}
            - ({"had"} if re.search(r"\bhad (?:an?|my|the|some)\b", clause) else set())
            and not re.search(r"\bme\b", clause)
            and len(clause.split()) > LONGEST_EXCLAMATION
        ):
            return who, False, clause[:1].lower() + clause[1:]
        return None

    def _turn(self, predicate: str, *, many: bool) -> tuple[str, Tense] | None:
        """The predicate with its verb in the third person, and when it speaks of."""
        if predicate.startswith("="):
            words = predicate[1:]
            return words, _tense(words.split()[0], words)
        tokens = predicate.split()
        place = 0
        while place < len(tokens) and is_adverb(tokens[place]):
            place += 1
        if place >= len(tokens) or place > 3:  # noqa: PLR2004 -- more than three adverbs is no plain statement
            return None
        verb = tokens[place]
        turned = plural(verb) if many else third_person(verb)
        if turned is None or (
            verb.casefold() == "'d" and not re.match(r"'d (?:really )?(?:love|like) to\b", predicate)
        ):
            return None
        words = " ".join([*tokens[:place], turned, *tokens[place + 1 :]])
        return words, _tense(verb, " ".join(tokens[place:]))


def _tense(verb: str, words: str) -> Tense:
    lower = verb.casefold()
    rest = words[len(verb) :].strip().casefold()
    if re.match(
        r"(?:\w+ly |just |also |really |still )*(?:want|hope|hoping|wanting|dream|dreaming|plan|planning|would (?:love|like)|aim|aiming|considering|thinking (?:of|about)|trying to|looking (?:to|into))\b",
        f"{lower} {rest}" if lower not in ("'m", "'re", "'d", "am", "is", "are") else rest,
    ) and not is_past(verb):
        return "wish"
    if lower in ("'ll", "will", "won't") or re.match(r"(?:\w+ly |just |also )*going to\b", rest):
        return "future"
    if lower in ("'m", "'re", "am", "is", "are"):
        return "now"
    if lower in ("'ve", "has", "have") and re.match(
        r"(?:\w+ly |just |also |never |always |already |recently |finally )*(?:been|\w+ed|[a-z]+n|gone|done|come|had|got|met|made|found|won|taken|read|put|set|cut|hit|become|run|kept|left|lost)\b",
        rest,
    ):
        return "past"
    return "past" if is_past(verb) else "habit"


def _absolute(words: str, local_time: datetime, lean: Literal["past", "future"]) -> tuple[str, When | None]:
    """The words with each relative date as a day, week or month of the calendar; the first of them."""
    first: When | None = None
    done, rest = "", words
    for _ in range(3):
        when = find_when(rest, local_time, lean)
        if when is None or when.text not in rest:
            break
        before, _, after = rest.partition(when.text)
        label = when.label
        bare = DATED_BY.search(done + before)
        if not bare:
            label = (
                f"on {label}"
                if when.is_day
                else f"in {label}"
                if label[0].isdigit()
                else f"in {label}"
                if label.startswith("the week of")
                else f"on {label}"
            )
        done, rest = f"{done}{before}{label}", after
        first = first or when
    return re.sub(r"\s+", " ", done + rest).strip(), first


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _introduced(match: re.Match[str]) -> str:
    if match[0] == "these ":
        return "some "
    return "an " if match.string[match.end() : match.end() + 1].lower() in "aeiou" else "a "


def _clear_part(words: str) -> str | None:
    """The words up to where they lean on something said elsewhere; None when nothing clear is left."""
    for _ in range(4):
        dark = _first_unclear(words)
        if dark is None:
            return words
        cuts = [match.start() for match in DROPPED.finditer(words) if match.start() < dark]
        if not cuts:
            return None
        words = LOOSE_END.sub("", words[: cuts[-1]].strip(" ,"))
        if not words or is_past(words.split()[-1]) or third_person(words.split()[-1]):
            return None
    return None


def _first_unclear(words: str) -> int | None:
    bare = PLEONASTIC.sub(lambda match: " " * len(match[0]), words)
    for match in UNRESOLVED.finditer(bare):
        if match[0].casefold() in ("their", "they", "them", "theirs") and _has_antecedent(
            bare[: match.start()]
        ):
            continue
        return match.start()
    pointing = POINTING.search(bare)
    return pointing.start() if pointing else None


def _has_antecedent(words: str) -> bool:
    return any(
        word.casefold() not in NO_PLURAL and (word[-1] != "s" or third_person(word[:-1]) is None)
        for word in ANTECEDENT.findall(words)
    )


def _says_something(words: str, speaker: str, least: int) -> bool:
    """Whether more is said than how things feel: beside the verb a name or number, or two words that carry meaning."""
    found = [
        word
        for word in WORD.findall(DIGITS.sub("", words))
        if len(word) > 2 and word.casefold() not in FILLER and not word.startswith(speaker)  # noqa: PLR2004 -- shorter words carry little
    ]
    verbs = 1 if found and found[0].casefold() in LIGHT else 0
    dated = DIGITS.search(words) is not None
    named = sum(word[0].isupper() for word in found)
    return len(found) - verbs + named >= least - dated


def key_of(told: Told, speaker: str) -> str:
    """What is said, without small words: two tellings of it on different days are one where it lasts."""
    words = [word.casefold() for word in WORD.findall(told.text.removeprefix(speaker))]
    return " ".join(word for word in words if word not in SMALL)
