# ruff: noqa: E501 -- word lists and patterns are read on one line
"""Spans that carry facts, replaced by what they are: the voice stays, and the facts stay out of the weights.

Weights have no access control: what was said to few must not be learned as a fact. The finders err
on the side of replacing too much: a word that is not known to be everyday (vocabulary.py) goes too. What
they miss is known: what is told in everyday words alone ("the key is under the mat"), unless it is flagged,
or noted as a fact that few may know.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, cast

import phonenumbers
from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from core.reply.wording import risks_of
from core.vocabulary import Risk
from trainer.vocabulary import SENSITIVE, WORD, Vocabulary

KINDS = ("email", "link", "secret", "code", "phone", "account", "address", "date", "number", "name", "word")
"""In the order in which they claim text: what one kind took, no later one sees."""
PERSONAL = ("email", "secret", "code", "phone", "account")
"""What goes even where anyone may know the rest."""
PRIVATE = "private"
"""The kind of a whole line that is flagged."""

TAKEN = "\ue000"
"""Stands for each character that a kind took; nobody types it."""

PLACEHOLDER = re.compile(r"\[(?:" + "|".join([*KINDS, PRIVATE]) + r")\]")

Span = tuple[int, int]


class SecretDetector(Protocol):
    """As much of a detect-secrets plugin as is used: patterns over one string, no network."""

    def analyze_string(self, string: str) -> Iterable[str]: ...


SECRET_DETECTORS = cast(
    "tuple[SecretDetector, ...]",
    (
        ArtifactoryDetector(),
        AWSKeyDetector(),
        DiscordBotTokenDetector(),
        GitHubTokenDetector(),
        GitLabTokenDetector(),
        JwtTokenDetector(),
        NpmDetector(),
        OpenAIDetector(),
        PrivateKeyDetector(),
        PypiTokenDetector(),
        SendGridDetector(),
        SlackDetector(),
        StripeDetector(),
        TelegramBotTokenDetector(),
        TwilioKeyDetector(),
    ),
)

TOLD_SECRET = re.compile(
    r"(?i)\b(?:password|passphrase|passcode|pass ?code|pwd|pin|token|api[ _-]?key|secret key|wifi key"
    r"|lösenord\w*|kod\w*|passwort|kennwort|mot de passe|contraseña|clave|wachtwoord|senha)\b"
    r"(?:\s+(?:is|was|are|är|ist|est|es|é|for\s+\S+\s+is))?\s*[:=]?\s*([^\s\ue000]{4,})"
)
TOLD_WORDS = re.compile(
    r"(?i)\b(?:code ?word|safe ?word|pass ?phrase|secret (?:word|phrase|answer)|seed phrase|recovery (?:phrase|words))\b"
    r"(?:\s+(?:is|was|are))?\s*[:=]?\s*([^\n\ue000.,!?;]{3,120})"
)
CODE = re.compile(
    r"(?i)\b(?:code|otp|verification|verify|kod|koden|bekräftelsekod|bestätigungscode|código|codice|tan)\b"
    r"\D{0,24}?((?:[A-Z]{1,3}-)?\d(?:[\d -]{2,10})\d)\b"
    r"|\b((?:[A-Z]{1,3}-)?\d{4,8})\b(?=\s+(?:is|är|ist|est|es)\b.{0,20}?(?i:code|kod|código))"
)
ACCOUNT = re.compile(
    r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,4})?\b|\b(?:\d[ -]?){13,19}\b"
    r"|\b\d{6,8}[-+ ]?\d{4}\b|\b\d{3}-\d{2}-\d{4}\b"
)
"""IBANs, cards, Nordic and US personal numbers."""
LOCAL_PHONE = re.compile(r"(?<![\w.])(?:\+|00|0)\d(?:[ ()/.-]{0,2}\d){6,13}(?!\w)")
ADDRESS = re.compile(
    r"(?i)\b[\w'-]+\s+(?:street|st|road|rd|avenue|ave|lane|drive|square|boulevard|blvd|court|terrace)\b\.?"
    r"(?:\s+\d+\w?)?"
    r"|\b\d+\w?\s+(?:[\w'-]+\s+){1,3}(?:street|st|road|rd|avenue|ave|lane|drive|square|boulevard|blvd|court)\b\.?"
    r"|\b[\w'-]*(?:gatan|gata|vägen|gränd|straße|strasse|straat|gasse|gade|vej|plein)\b(?:\s+\d+\w?)?"
    r"|\b(?:rue|calle|avenida|rua|via|viale|piazza|praça|plaza|place)\s+(?:d\w{1,3}\s+|l\w{1,2}\s+)?[\w'-]+(?:\s+\d+\w?)?"
)
LINK = re.compile(
    r"(?i)\b(?:https?://|www\.)\S+|(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|app|me|eu|co)\b(?:/\S*)?"
)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|march|april|june|july|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
DATE = re.compile(
    r"(?i)\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?\b"
    r"|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
    rf"|\b(?:\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?)?(?:{MONTHS}|may(?=\s+\d))\b(?:\s+\d{{1,4}}(?:st|nd|rd|th)?\b)?"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
    r"|\b\d{1,2}[:.h]\d{2}(?:\s?[ap]\.?m\b)?|\b\d{1,2}\s?[ap]\.?m\b"
)
NUMBER = re.compile(r"(?<![^\s\ue000])[^\s\ue000]*\d[^\s\ue000]*")
DAYS_AND_MONTHS = frozenset(
    """måndag tisdag onsdag torsdag fredag lördag söndag januari februari mars april maj juni juli augusti oktober
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag januar februar märz mai oktober dezember
    lundi mardi mercredi jeudi vendredi samedi dimanche janvier février avril juin juillet août septembre octobre
    novembre décembre lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo junio julio
    agosto septiembre octubre noviembre diciembre lunedì martedì mercoledì giovedì venerdì sabato domenica gennaio
    febbraio aprile maggio giugno luglio settembre ottobre dicembre segunda-feira terça-feira quarta-feira quinta-feira
    sexta-feira janeiro fevereiro março maio junho julho setembro outubro novembro dezembro maandag dinsdag woensdag
    donderdag vrijdag zaterdag zondag maart mei augustus mandag tirsdag onsdag torsdag fredag lørdag søndag marts
    september november december""".split()
)
NUMBER_WORDS = frozenset(
    """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million
    två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton sjutton arton nitton tjugo trettio
    fyrtio femtio sextio sjuttio åttio nittio hundra tusen miljon zwei drei vier fünf sechs sieben acht neun zehn elf
    zwölf dreizehn vierzehn fünfzehn zwanzig dreißig vierzig fünfzig hundert tausend deux trois quatre cinq sept huit
    neuf dix onze douze treize quatorze quinze vingt trente quarante cinquante cent mille dos tres cuatro cinco seis
    siete ocho nueve diez once doce trece catorce quince veinte treinta cuarenta cincuenta ciento mil due tre quattro
    cinque sei sette otto nove dieci undici dodici venti trenta dois duas três quatro sete oito dez onze doze vinte
    twee drie vijf zes zeven negen tien twaalf twintig honderd duizend""".split()
)
"""From two on: one is as often a pronoun. Some are other words in other languages, and go all the same."""
FACE = re.compile(r"[<:;=x]-?3+|\^3\^")
"""A heart or a face that is written with a digit."""
EVERYDAY = Vocabulary()
NO_NAME = frozenset({"I", "I'm", "I'll", "I've", "I'd", "OK", "Ok", "LOL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Concealed:
    """A text with its facts replaced, and how many of each kind were."""

    text: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What tells a fact from everyday talk: people's names, the words of noted facts, everyday words."""

    names: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    """Words of facts that few may know, as `topic_words` gives them."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)


def known_names(display_names: Iterable[str]) -> frozenset[str]:
    """The words of people's names, folded; single letters are nobody's name."""
    words = (match[0].casefold() for name in display_names for match in WORD.finditer(name))
    return frozenset(word for word in words if len(word) > 1)


def conceal(text: str, known: Known, telling: Collection[str] = ()) -> Concealed:
    """The text with every span that carries a fact replaced: for what was said to few.

    `telling`: words of the facts that were noted from this very text; they go even where they are everyday.
    A line that touches what people keep private goes whole.
    """
    if Risk.PRIVACY in risks_of(text) or _is_sensitive(text):
        return Concealed(text=f"[{PRIVATE}]", kinds=(PRIVATE,))
    return _replaced(text, _spans(text, known, telling, KINDS))


def _is_sensitive(text: str) -> bool:
    return any(match[0].casefold() in SENSITIVE for match in WORD.finditer(text))


def conceal_personal(text: str) -> Concealed:
    """The text without what is nobody's business: passwords, codes, accounts, phones, email addresses."""
    return _replaced(text, _spans(text, Known(), (), PERSONAL))


def _replaced(text: str, spans: list[tuple[Span, str]]) -> Concealed:
    written: list[str] = []
    end = 0
    for (start, stop), kind in sorted(spans):
        written += [text[end:start], f"[{kind}]"]
        end = stop
    return Concealed(text="".join([*written, text[end:]]), kinds=tuple(kind for _, kind in spans))


def _spans(
    text: str, known: Known, telling: Collection[str], kinds: Collection[str]
) -> list[tuple[Span, str]]:
    finders: dict[str, Callable[[str], Iterable[Span]]] = {
        "email": lambda left: _matches(EMAIL, left),
        "link": lambda left: _matches(LINK, left),
        "secret": _secrets,
        "code": lambda left: _groups(CODE, left),
        "account": lambda left: _matches(ACCOUNT, left),
        "phone": _phones,
        "address": lambda left: _matches(ADDRESS, left),
        "date": lambda left: [*_matches(DATE, left), *_words(left, DAYS_AND_MONTHS.__contains__)],
        "number": lambda left: [*_numbers(left), *_words(left, _is_a_number)],
        "name": lambda left: _names(left, known.names),
        "word": lambda left: _words(left, lambda word: _tells(word, known, telling)),
    }
    spans: list[tuple[Span, str]] = []
    left = text
    for kind in KINDS:
        if kind in kinds:
            found = _apart(list(finders[kind](left)))
            spans += [(span, kind) for span in found]
            for start, stop in found:
                left = left[:start] + TAKEN * (stop - start) + left[stop:]
    return spans


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(text))


def _groups(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    """The first group that took part in each match."""
    return (match.span(match.lastindex or 0) for match in pattern.finditer(text))


def _words(text: str, wanted: Callable[[str], bool]) -> Iterator[Span]:
    return (
        match.span() for match in WORD.finditer(text) if wanted(match[0].casefold().replace("\u2019", "'"))
    )


def _is_a_number(word: str) -> bool:
    return all(part in NUMBER_WORDS for part in word.split("-"))


def _tells(word: str, known: Known, telling: Collection[str]) -> bool:
    """Whether a word may say what few are to know. Facts know their words without endings of their own."""
    plain = word.removesuffix("'s")
    return plain in telling or plain in known.facts or not known.vocabulary.keeps(word)


def _secrets(text: str) -> list[Span]:
    found = {secret for detector in SECRET_DETECTORS for secret in detector.analyze_string(text) if secret}
    # A detector may name a part alone; the whole run of characters around it goes.
    runs = [re.compile(rf"[^\s{TAKEN}]*{re.escape(secret)}[^\s{TAKEN}]*") for secret in found]
    spans = [match.span() for run in runs for match in run.finditer(text)]
    told = [match.span(1) for pattern in (TOLD_SECRET, TOLD_WORDS) for match in pattern.finditer(text)]
    return _apart(spans + told)


def _apart(spans: list[Span]) -> list[Span]:
    """Overlapping spans joined."""
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _phones(text: str) -> Iterator[Span]:
    yield from ((match.start, match.end) for match in phonenumbers.PhoneNumberMatcher(text, None))
    yield from _matches(LOCAL_PHONE, text)


def _numbers(text: str) -> Iterator[Span]:
    for match in NUMBER.finditer(text):
        digits = match[0].strip(".,;:!?()[]{}\"'")
        if FACE.fullmatch(match[0]) is None:
            start = match.start() + match[0].index(digits)
            yield start, start + len(digits)


def _names(text: str, names: Collection[str]) -> Iterator[Span]:
    shouted = text.isupper()
    for match in WORD.finditer(text):
        word = match[0].replace("\u2019", "'")
        if word in NO_NAME:
            continue
        folded = word.casefold().removesuffix("'s")
        if word[0].isupper():
            if folded in names or (not shouted and _inside_a_sentence(text, match.start())):
                yield match.span()
        elif folded in names and not EVERYDAY.keeps(folded):  # a contact called Will is no reason
            yield match.span()


def _inside_a_sentence(text: str, position: int) -> bool:
    before = text[:position].rstrip(" \t")
    return bool(before) and (before[-1].isalnum() or before[-1] in f",;')->\u2019{TAKEN}")
