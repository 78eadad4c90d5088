"""The local extractor: rules over clauses, precision before recall, no model.

It reads what somebody says of themselves; what one says of another is kept as hearsay. English first:
of other languages it says nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from core.memory.extract.answers import NO, YES, answered, last_question, reply_is
from core.memory.extract.changes import ENDINGS
from core.memory.extract.claims import Claim, Extracted, Person, Promise, Said, Session
from core.memory.extract.dates import When, find_clock, find_when
from core.memory.extract.everyday import DOES, EVERYDAY, PRESUPPOSED
from core.memory.extract.names import Names
from core.memory.extract.rules import PROMISE, RULES, Rule
from core.memory.extract.sentences import clauses, is_shouted
from core.memory.extract.statements import statements
from core.memory.extract.telling import Teller, Tense, Told, key_of

HEARSAY_WEIGHT = 0.6
RETOLD_WEIGHT = 0.55
"""Confidence of what is understood by its grammar alone: less than of what a rule knows."""
MOST_FREE_WORDS = 9
UNRESOLVED = re.compile(
    r"\b(?:it|this|that|these|those|he|she|they|him|her|his|hers|them|their|theirs|there|here|one|ones|we|our|us|ours"
    r"|together|something|anything|stuff|things?|same|some of|yourself|myself)\b",
    re.IGNORECASE,
)
NEGATED = re.compile(
    r"\b(?:not|never|no longer|n't|nobody|nothing|hardly|barely|anymore)\b|n't\b", re.IGNORECASE
)
OTHERS_VERBS = {"lives": "live", "works": "work", "has": "have", "is": "am", "studies": "study", "plays": "play",
                "speaks": "speak", "got": "got", "moved": "moved", "adopted": "adopted", "broke": "broke",
                "quit": "quit", "lost": "lost", "graduated": "graduated", "was": "was", "turned": "turned",
                "became": "became", "went": "went", "started": "started", "bought": "bought"}  # fmt: skip
OTHER = re.compile(
    r"^(?P<name>[^\W\d_][\w-]+(?: [^\W\d_][\w-]+)??)(?:'(?P<short>s)| (?P<verb>"
    + "|".join(OTHERS_VERBS)
    + r")) (?P<rest>.+)$"
)
YOU = re.compile(r"^(?:you're|you've|you) ", re.IGNORECASE)
SUBJECT_LEFT_OUT = re.compile(
    r"^(?:just |finally |officially )?(?:dropped|lost|sprained|broke|adopted|bought|sold|quit|passed"
    r"|cancelled|signed up for|moved|booked) (?=my\b|an?\b|the\b|to\b|from\b|out of\b|flights?\b|tickets?\b)",
    re.IGNORECASE,
)
"""Chats leave "I" out before what one has done."""
PREFERENCE_VERBS = {"love": "loves", "hate": "hates", "enjoy": "enjoys", "adore": "adores", "dislike": "dislikes",
                    "prefer": "prefers", "can't stand": "cannot stand"}  # fmt: skip
SPACES = re.compile(r"\s+")
NEXT_THOUGHT = re.compile(
    r"[.!?,;:()]|\s(?:and|but|so|because|since|which|who|where|when|as|cause|near me)\b"
)
NEXT_THOUGHT_BUT_LISTS = re.compile(
    r"[.!?,;:()]|\s(?:but|so|because|since|which|who|where|when|as|cause|and I)\b"
)

OWN_NEGATION = re.compile(
    r"^(?:I(?: really| just)? (?:don't|can't|cannot|never)|not (?=(?:on )?\w+days)|(?:no )?meat)\b"
    r"|\bany ?more(?=[\s.!]*$)|\bno fish\b",
    re.IGNORECASE,
)
"""A negation that a rule reads itself; any other leaves a clause to what says that something ended."""
STATEMENTS = (*ENDINGS, *RULES, *EVERYDAY)
FIRST_WORD = re.compile(r"I\b|my\b|", re.IGNORECASE)


def _by_first_word(rules: tuple[Rule, ...]) -> dict[str, tuple[Rule, ...]]:
    """For clauses beginning with "I", "my" or anything else: the rules that can fit, in their order."""
    asks = {
        rule: match[1].lower() if (match := re.match(r"\^(I|my)\b", rule.pattern.pattern)) else ""
        for rule in rules
    }
    return {word: tuple(rule for rule in rules if asks[rule] in ("", word)) for word in ("i", "my", "")}


ALL_RULES, ENDING_RULES = _by_first_word(STATEMENTS), _by_first_word(ENDINGS)
PLURAL = frozenset(("kids", "children", "twins"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One clause, told in the first person of `subject`, by `said.speaker`."""

    text: str
    subject: Person
    said: Said
    local_time: datetime

    @property
    def hearsay(self) -> bool:
        return self.subject != self.said.speaker


class LocalExtractor:
    """An `Extractor` that needs nothing but the text."""

    @property
    def name(self) -> Literal["local"]:
        return "local"

    async def extract(self, session: Session) -> Extracted:
        return extract(session)


def extract(session: Session) -> Extracted:
    """What a session says, by the rules."""
    names = Names((said.text for said in session.said), (person.name for person in session.people))
    claims: list[Claim] = []
    promises: list[Promise] = []
    for place, said in enumerate(session.said):
        heard: list[str] = []
        reply = _reply(session.said, place)
        for clause in _clauses(said, session):
            told = tuple(_first_claim(clause, names, session.time_zone))
            if clause.subject == said.addressee and reply is not None:
                told = tuple(_replied(claim, reply) for claim in told if not reply_is(reply.text, NO))
            claims.extend(told)
            heard += [clause.text for _ in told]
            if not any(claim.kind == "relation" for claim in told):
                claims.extend(_presupposed(clause, names, session.time_zone))
            promised = tuple(_promise(clause, session.time_zone))
            promises.extend(promised)
            heard += [clause.text for _ in promised]
        claims.extend(_retold(said, heard, session.time_zone))
        if reply is not None:
            claims.extend(_by_answer(said, reply, names, session.time_zone))
    return Extracted(claims=tuple(claims), promises=tuple(promises))


def _reply(said: tuple[Said, ...], place: int) -> Said | None:
    """What the other side of a direct chat says next, where the same people hear it."""
    asked, after = said[place], said[place + 1 : place + 2]
    if not after or after[0].speaker != asked.addressee or after[0].audience_id != asked.audience_id:
        return None
    return after[0]


def _replied(claim: Claim, reply: Said) -> Claim:
    """Their own word once they say yes; as it was otherwise."""
    if not reply_is(reply.text, YES) or not reply.may_profile:
        return claim
    sources = (*claim.sources, reply.message_id)
    return replace(claim, hearsay=False, confidence=claim.confidence / HEARSAY_WEIGHT, sources=sources)


def _by_answer(asked: Said, reply: Said, names: Names, zone: ZoneInfo) -> Iterator[Claim]:
    """What the reply states together with the question that it answers."""
    question = last_question(asked.text)
    text = answered(question, reply.text) if question else None
    if text is None:
        return
    local_time = reply.sent_at.astimezone(zone)
    clause = Clause(text=text, subject=reply.speaker, said=reply, local_time=local_time)
    found = next(_first_claim(clause, names, zone), None)
    if found is None:
        told = Teller(reply.speaker.name, local_time, least=1).tell(text)
        found = _claim_of(told, reply, zone) if told else None
    if found is not None:
        yield replace(found, sources=(asked.message_id, reply.message_id))


KINDS: Mapping[Tense, str] = {
    "past": "event", "future": "plan", "now": "activity", "wish": "wish", "habit": "statement",
}  # fmt: skip
"""What a statement that no rule knows is stored as."""


def _retold(said: Said, heard: list[str], zone: ZoneInfo) -> Iterator[Claim]:
    """What the message says beyond what the rules heard in it."""
    addressee = said.addressee.name if said.addressee else ""
    teller = Teller(said.speaker.name, said.sent_at.astimezone(zone), addressee=addressee)
    for clause in statements(said.text):
        told = teller.tell(clause)
        if told and not any(_is_same(clause, each) for each in heard):
            yield _claim_of(told, said, zone)


def _is_same(clause: str, heard: str) -> bool:
    mine, other = (
        re.sub(r"^(?:I|we|just|\s)+\b", "", each, flags=re.IGNORECASE).casefold() for each in (clause, heard)
    )
    shorter = min(len(mine), len(other), 24)
    return mine[:shorter] == other[:shorter]


def _claim_of(told: Told, said: Said, zone: ZoneInfo) -> Claim:
    ahead = told.tense in ("future", "wish")
    begins = _moment(told.when, zone) if told.when and not ahead else said.sent_at
    ends = (
        told.when is not None
        and told.tense == "future"
        and told.when.last >= said.sent_at.astimezone(zone).date()
    )
    return Claim(
        subject=said.speaker,
        kind=KINDS[told.tense],
        slot="",
        key=key_of(told, said.speaker.name),
        statement=told.text,
        confidence=RETOLD_WEIGHT,
        hearsay=False,
        valid_from=min(begins, said.sent_at),
        valid_to=_day_after(told.when, zone) if ends and told.when else None,
        said_at=said.sent_at,
        audience_id=said.audience_id,
        sources=(said.message_id,),
    )


def _day_after(when: When, zone: ZoneInfo) -> datetime:
    return datetime.combine(when.last + timedelta(days=1), time(), zone).astimezone(UTC)


def _clauses(said: Said, session: Session) -> Iterator[Clause]:
    local_time = said.sent_at.astimezone(session.time_zone)
    for text in clauses(said.text):
        whole = f"I {text[:1].lower()}{text[1:]}" if SUBJECT_LEFT_OUT.match(text) else text
        yield Clause(text=whole, subject=said.speaker, said=said, local_time=local_time)
        if YOU.match(text) and said.addressee:
            told = YOU.sub(_in_first_person, text, count=1)
            yield Clause(text=told, subject=said.addressee, said=said, local_time=local_time)
        elif other := _of_another(text, said, session.people):
            yield Clause(text=other[1], subject=other[0], said=said, local_time=local_time)


def _in_first_person(match: re.Match[str]) -> str:
    return {"you're ": "I'm ", "you've ": "I've "}.get(match[0].lower(), "I ")


def _of_another(text: str, said: Said, people: tuple[Person, ...]) -> tuple[Person, str] | None:
    """Somebody known by name, and the clause as they would say it of themselves."""
    match = OTHER.match(text)
    if not match:
        return None
    called = match["name"].casefold()
    who = [p for p in people if called in (p.name.casefold(), p.name.casefold().split()[0])]
    if len(who) != 1 or who[0] == said.speaker:
        return None
    first = "I'm" if match["short"] or match["verb"] == "is" else f"I {OTHERS_VERBS[match['verb']]}"
    rest = re.sub(r"^(?:his|her|their) ", "my ", match["rest"])
    return who[0], f"{first} {rest}"


def _first_claim(clause: Clause, names: Names, zone: ZoneInfo) -> Iterator[Claim]:
    """The claim of the first rule that fits; at most one a clause."""
    negated = NEGATED.search(OWN_NEGATION.sub("", clause.text)) is not None
    first = FIRST_WORD.match(clause.text)
    for rule in (ENDING_RULES if negated else ALL_RULES)[first[0].lower() if first else ""]:
        match = rule.pattern.match(clause.text)
        if match and (rule.of_others or not clause.hearsay):
            claim = _claim(rule, match, clause, names, zone)
            if claim:
                yield claim
                return


def _presupposed(clause: Clause, names: Names, zone: ZoneInfo) -> Iterator[Claim]:
    match = None if clause.hearsay else PRESUPPOSED.pattern.match(clause.text)
    claim = _claim(PRESUPPOSED, match, clause, names, zone) if match else None
    if claim:
        yield claim


def _claim(rule: Rule, match: re.Match[str], clause: Clause, names: Names, zone: ZoneInfo) -> Claim | None:
    dated = match.groupdict().get("after") or clause.text
    when = find_when(f"on {dated.strip()}" if dated != clause.text else dated, clause.local_time, rule.lean)
    when = when if rule.dating != "none" else None
    if rule.dating == "needed" and (when is None or not _fits(rule, when, clause.local_time.date())):
        return None
    if rule.dating == "told" and when and not _fits(rule, when, clause.local_time.date()):
        when = None
    parts = _parts(rule, match, clause, names, when)
    if parts is None:
        return None
    said = clause.said
    statement = _tidy(rule.statement.format(who=clause.subject.name, **parts))
    day = (
        f" ({when.label})"
        if when and not {"{day}", "{date}"} & set(re.findall(r"{\w+}", rule.statement))
        else ""
    )
    begins = _moment(when, zone) if when and rule.lean == "past" else said.sent_at
    return Claim(
        subject=clause.subject,
        kind=rule.kind,
        slot="" if clause.hearsay else _slot(rule, parts),
        key=_tidy(rule.key.format(who=clause.subject.name, **parts)).casefold(),
        statement=statement + day,
        confidence=rule.confidence * (HEARSAY_WEIGHT if clause.hearsay else 1.0),
        hearsay=clause.hearsay,
        valid_from=min(begins, said.sent_at),
        valid_to=_end(rule, when, zone),
        said_at=said.sent_at,
        audience_id=said.audience_id,
        sources=(said.message_id,),
        ends=_ends(rule, parts),
    )


def _ends(rule: Rule, parts: Mapping[str, str]) -> tuple[str, str] | None:
    """Slot and key of what is over; of a plan the word that names it."""
    if not rule.ends:
        return None
    key = _tidy(rule.ends.format(**parts)).casefold()
    return rule.ends_slot, key.split()[-1] if rule.kind == "plan" else key


def _fits(rule: Rule, when: When, today: date) -> bool:
    return when.last >= today if rule.lean == "future" else when.first <= today


def _slot(rule: Rule, parts: Mapping[str, str]) -> str:
    if rule.kind == "preference" and "thing" in parts:
        return f"favourite {parts['thing'].casefold()}"
    return rule.slot


def _parts(
    rule: Rule, match: re.Match[str], clause: Clause, names: Names, when: When | None
) -> dict[str, str] | None:
    """The pattern's groups made fit for a statement; None when one of them is not what it must be."""
    parts = {name: (value or "") for name, value in match.groupdict().items()}
    parts["date"] = when.label if when else ""
    if "{day}" in rule.statement:
        if when is None or not when.is_day:
            return None
        parts["day"] = f"{when.first:%B} {when.first.day}"
    if "name" in parts:
        name = names.leading(parts["name"])
        if name is None:
            return None
        parts["name"] = name
    if "free" in parts:
        free = _free(rule, parts, clause.said, when)
        if free is None:
            return None
        parts["free"] = free
        parts["article"] = "" if clause.said.speaker.name in free else _article(free)
    return parts | _worded(rule, parts)


def _free(rule: Rule, parts: Mapping[str, str], said: Said, when: When | None) -> str | None:
    """The speaker's own words; none are needed where the verb says it all: "went camping"."""
    words = _without(parts["free"], when)
    enough = rule.kind == "habit" or parts.get("verb", "").endswith("ing")
    if enough and words.strip(" .,!-") in {"", "on"}:
        return ""
    return resolve(words, said, lists=rule.kind == "preference")


def _worded(rule: Rule, parts: Mapping[str, str]) -> dict[str, str]:
    """The groups of closed vocabularies, as a statement in the third person needs them."""
    preference = rule.kind == "preference"
    words: dict[str, Callable[[str], str]] = {
        "verb": lambda verb: PREFERENCE_VERBS[verb.casefold()] if preference else verb,
        "does": lambda verb: _third_person(rule, verb.casefold()),
        "thing": lambda thing: thing if preference else thing.lower(),
        "weekday": str.capitalize,
        "often": _how_often,
    }
    changed = {group: word(parts[group]) for group, word in words.items() if group in parts}
    if "trait" in parts:
        changed["a_trait"] = _with_article(parts["trait"])
    if "kin" in parts:
        kin = parts["kin"].casefold()
        changed["a_kin"] = kin if kin in PLURAL else f"{_article(kin)} {kin}"
    return changed


def _how_often(words: str) -> str:
    """Of "Mondays" "on Mondays"; a number of times and "every Monday" as they are."""
    day = re.match(r"(?:on )?(\w+days.*)", words, re.IGNORECASE)
    return f"on {day[1].capitalize()}" if day else words[:1].lower() + words[1:]


def _third_person(rule: Rule, verb: str) -> str:
    """As the rule's statement needs it: "climbs", or after "does not" the verb itself."""
    return verb if "not {does}" in rule.statement else DOES.get(verb, f"{verb}s" if verb[-1] != "s" else verb)


def _with_article(trait: str) -> str:
    noun = trait.casefold() in {
        "morning person",
        "night owl",
        "early bird",
        "only child",
        "introvert",
        "extrovert",
    }
    return f"{_article(trait)} {trait}" if noun else trait


def _article(words: str) -> str:
    return "an" if words[:1].lower() in "aeiou" else "a"


def _without(words: str, when: When | None) -> str:
    """The words before the date, or without it where it comes first."""
    if when is None or when.text not in words:
        return words
    before, _, after = words.partition(when.text)
    return before if before.strip() else after


def resolve(words: str, said: Said, *, lists: bool = False) -> str | None:
    """The words with "my" and "you" replaced by whom they mean; None when something stays unclear.

    They end where another thought begins; with `lists`, "and" begins none.
    """
    cut = (NEXT_THOUGHT_BUT_LISTS if lists else NEXT_THOUGHT).split(words)[0]
    if is_shouted(cut):
        return None
    speaker, addressee = said.speaker.name, said.addressee.name if said.addressee else None
    if re.search(r"\b(?:you|your|yours)\b", cut, re.IGNORECASE):
        if addressee is None:
            return None
        cut = re.sub(r"\byours?\b", f"{addressee}'s", cut, flags=re.IGNORECASE)
        cut = re.sub(r"\byou\b", addressee, cut, flags=re.IGNORECASE)
    cut = re.sub(r"\bmy\b", f"{speaker}'s", cut, flags=re.IGNORECASE)
    cut = re.sub(r"\bme\b", speaker, cut, flags=re.IGNORECASE)
    cut = re.sub(r"\s+(?:on|in|at|by|the|a|to|for|with|of|until|till|from)?\s*$", "", cut.strip())
    cut = re.sub(r"\s+(?:on|in|at|by|to|for|with|of|until|till|from|about|around|like)$", "", cut)
    if not cut or len(cut.split()) > MOST_FREE_WORDS or UNRESOLVED.search(cut) or re.search(r"\bI\b", cut):
        return None
    return cut.strip(" -'")


def _tidy(statement: str) -> str:
    return SPACES.sub(" ", statement).strip()


def _moment(when: When, zone: ZoneInfo) -> datetime:
    return datetime.combine(when.first, time(), zone).astimezone(UTC)


def _end(rule: Rule, when: When | None, zone: ZoneInfo) -> datetime | None:
    """A plan is over when its last day is."""
    if when is None or rule.lean == "past" or rule.slot:
        return None
    return _day_after(when, zone)


def _promise(clause: Clause, zone: ZoneInfo) -> Iterator[Promise]:
    """A promise to the other side of a direct chat: one with a day, or one that names them."""
    said = clause.said
    match = PROMISE.match(clause.text)
    if not match or said.addressee is None or clause.hearsay or NEGATED.search(clause.text):
        return
    when = find_when(clause.text, clause.local_time, "future")
    due = when if when and when.is_day and when.first >= clause.local_time.date() else None
    free = resolve(_without(match["free"], when), said)
    if free is None or not (due or said.addressee.name in free):
        return
    contact = said.speaker if said.speaker.contact_id is not None else said.addressee
    if contact.contact_id is None:
        return
    clock = find_clock(clause.text) or time(23, 59)
    moment = datetime.combine(due.first, clock, zone).astimezone(UTC) if due else None
    verb = match["verb"].lower()
    until = f" (due {due.label})" if due else ""
    yield Promise(
        by=said.speaker,
        contact_id=contact.contact_id,
        statement=f"{said.speaker.name} will {verb} {free}{until}",
        key=_tidy(f"{verb} {free} {due.label if due else ''}").casefold(),
        due_at=moment,
        audience_id=said.audience_id,
        sources=(said.message_id,),
    )
