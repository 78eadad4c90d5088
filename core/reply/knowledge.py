"""What a turn wants to know about the world: the words that may be put to somebody outside, or none.

A rule about words, that errs towards nothing: a question that is missed costs an answer, one that is
taken by mistake tells a stranger something. A turn asks about the world where each of its questions

- opens with a question word, once greetings and a "do you know" are taken off, and has two words of a
  topic: "how's work?" and "what happened?" ask after somebody,
- has no personal or pointing word ("you", "du", "our", "she", "it"): those ask the owner, or about
  somebody or something that only these people know,
- names nobody who is in the chat, no kin, and nothing of this day ("tonight", "dinner"),
- has no e-mail address, link, mention or long number, and nothing that touches privacy,

and where the turn does not talk to the machine. English comes first: where a word is personal in one
language and small in another ("i", "du"), it is taken for personal. What is known to slip through: things of one's own
that are named like anybody's ("where is the key?"), and names of people who are not in the chat and in
no memory. What slips through still goes out as these words alone.
"""

import re
from collections.abc import Iterator

from core.reply.past import LEAST_LIKE, weigh
from core.reply.recall import Recalled
from core.reply.situation import Situation
from core.reply.wording import (
    DEFERRAL_LINE,
    checkable_details,
    is_question,
    risks_of,
    smuggles_instructions,
    topic_words,
    words,
)
from core.vocabulary import Risk

MOST_CHARACTERS = 300
"""Of one turn's questions; what is longer tells a story, and a story is about somebody."""

LEAST_TOPIC = 2
"""Words that say what a question is about."""

MOSTLY = 0.5
"""More than this share of a question's topic in a line counts as knowing about it."""

_PRIVATE = re.compile(r"\S@\S|@\w|https?://|www\.|(?:\d[\s().-]*){7,}", re.IGNORECASE)
"""E-mail addresses, mentions, links, and numbers as long as a telephone's."""

_COURTESY = re.compile(
    r"^(?:(?:hey|hi|hello|hej|hallo|yo|oh|so|ok|okay|hmm|btw|by the way|and|also|quick(?: question)?|random"
    r"|(?:silly |random )question|please|pls"
    r"|do you(?: happen to)? know|d'?you know|(?:can|could) you tell me|any idea|remind me"
    r"|vet du|weißt du|tu sais|sabes)\b[\s,:!.–-]*)+",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^(?:who|what|when|where|why|which|whose|how(?!['’]?s\b| (?:is|are|was|were|did|about)\b)"
    r"|vad|var|när|varför|vem|vilken|vilket|vilka|hur(?! (?:är|var|går|gick|mår)\b)"
    r"|was (?:ist|sind|war|heißt|kostet|bedeutet)|wann|wo|warum|wer|welche[rsnm]?|wie(?! (?:ist|war|geht|ging)\b)"
    r"|quand|où|pourquoi|qui|quel(?:le)?s?|cuándo|dónde|qué|quién|cuál|cuánto)(?:['’]?(?:s|re))?\b",
    re.IGNORECASE,
)
"""Without the questions after how somebody or something is doing."""

_ABOUT_PEOPLE = frozenset(
    """i me my mine myself you your yours yourself u ur ya yall we us our ours he him his she her hers they them
    their theirs it its this that these those here
    jag mig min mitt mina du dig din ditt dina vi oss vår vårt ni er han honom hon henne den
    ich mich mir mein meine du dich dir dein deine wir uns unser ihr euch sie ihm ihn
    je moi mon ma mes tu te toi ton ta tes vous votre vos nous notre nos il elle ils elles
    yo mi mis tu tus ti usted ustedes nosotros nuestro nuestra vosotros él ella ellos ellas
    mum mom mummy mommy mother dad daddy father mama papa sister brother wife husband partner son daughter kid
    kids baby grandma grandpa granny aunt uncle cousin boss neighbour neighbor landlord
    today tonight tomorrow yesterday weekend idag ikväll imorgon igår heute morgen gestern
    dinner lunch breakfast meeting party appointment plan plans home""".split()
)


def outside_question(situation: Situation, recalled: Recalled) -> str:
    """The words of a turn that ask about the world what nobody here has said; empty where none do."""
    text = situation.text
    asking = [sentence for sentence in DEFERRAL_LINE.split(text) if is_question(sentence)]
    if not asking or smuggles_instructions(text) or Risk.PRIVACY in risks_of(text):
        return ""
    people = people_here(situation, recalled)
    plain = [_plain(sentence, people) for sentence in asking]
    question = " ".join(plain)
    if not all(is_about_the_world(sentence, people) for sentence in plain):
        return ""
    return "" if is_known(question, situation, recalled) else question


def people_here(situation: Situation, recalled: Recalled) -> frozenset[str]:
    """The words of the names of everybody in the chat, and of the chat."""
    account = situation.account
    names = [account.owner_name, account.name, situation.contact_name, situation.chat_title]
    names += [message.sender_name for message in situation.incoming]
    names += [said.sender_name for said in recalled.recent]
    return frozenset(_stems(" ".join(names)))


def is_about_the_world(question: str, people: frozenset[str]) -> bool:
    """True for a plain question that anybody could ask anybody."""
    return (
        len(question) <= MOST_CHARACTERS
        and bool(_OPENING.match(question))
        and len(topic_words(question)) >= LEAST_TOPIC
        and not _PRIVATE.search(question)
        and not set(_stems(question)) & (_ABOUT_PEOPLE | people)
        and Risk.PRIVACY not in risks_of(question)
        and not smuggles_instructions(question)
    )


def is_known(question: str, situation: Situation, recalled: Recalled) -> bool:
    """True when the owner has answered the like, or a line within the audience speaks about it."""
    if any(past.fit >= LEAST_LIKE for past in weigh(situation.text, recalled.answered, situation.now)):
        return True
    topic, details = topic_words(question), checkable_details(question)
    return any(_tells(line, topic, details) for line in _lines(recalled))


def _tells(line: str, topic: frozenset[str], details: frozenset[str]) -> bool:
    """True when a line has much of the topic, or a name of it, and says more than the question does."""
    spoken = topic_words(line)
    named = len(spoken & topic) > MOSTLY * len(topic) or details & frozenset(words(line))
    return bool(named and spoken - topic)


def _lines(recalled: Recalled) -> Iterator[str]:
    for said in (*recalled.memories, *recalled.recent):
        yield f"{said.text} {said.caption}"
    for fact in recalled.facts:
        yield fact.statement
    for profile in (recalled.biography, recalled.profile):
        for line in profile.lines if profile is not None else ():
            yield line.statement
    if recalled.earlier is not None:
        yield recalled.earlier.summary


def _plain(sentence: str, people: frozenset[str]) -> str:
    """The question without the greeting, the name that is called, and the courtesy before it."""
    spoken = _COURTESY.sub("", sentence.strip()).split()
    while spoken and people.issuperset(_stems(spoken[0])):
        spoken.pop(0)
    return _COURTESY.sub("", " ".join(spoken))


def _stems(text: str) -> list[str]:
    """The words, without what hangs on an apostrophe: "mara's" is Mara, "you're" is you."""
    return [re.split(r"['’]", word)[0] for word in words(text)]
