"""Spans that carry facts, replaced by what they are: the voice stays, and the facts stay out of the weights.

Weights have no access control: what was said to few must not be learned as a fact. The finders err
on the side of replacing too much. What they miss is known: names, places and numbers written as
plain lower-case words, and names of people who are no contacts at the start of a sentence.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
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

KINDS = ("email", "link", "secret", "phone", "date", "number", "name")
"""In the order in which they claim text: what one kind took, no later one sees."""

TAKEN = "\ue000"
"""Stands for each character that a kind took; nobody types it."""

PLACEHOLDER = re.compile(r"\[(?:" + "|".join(KINDS) + r")\]")

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
    r"(?i)\b(?:password|passphrase|passcode|pass ?code|pwd|pin|token|api[ _-]?key|secret key)\b"
    r"(?:\s+(?:is|was|for\s+\S+\s+is))?\s*[:=]?\s*([^\s\ue000]{4,})"
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
FACE = re.compile(r"[<:;=x]-?3+|\^3\^")
"""A heart or a face that is written with a digit."""
WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
NO_NAME = frozenset({"I", "I'm", "I'll", "I've", "I'd", "OK", "Ok", "LOL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Concealed:
    """A text with its facts replaced, and how many of each kind were."""

    text: str
    kinds: tuple[str, ...]


def known_names(display_names: Iterable[str]) -> frozenset[str]:
    """The words of people's names, folded; single letters are nobody's name."""
    words = (match[0].casefold() for name in display_names for match in WORD.finditer(name))
    return frozenset(word for word in words if len(word) > 1)


def conceal(text: str, names: Collection[str]) -> Concealed:
    """The text with every span that carries a fact replaced: for what was said to few."""
    return _replaced(text, _spans(text, names, KINDS))


def conceal_secrets(text: str) -> Concealed:
    """The text without passwords and keys: for what anyone may know."""
    return _replaced(text, _spans(text, (), ("secret",)))


def _replaced(text: str, spans: list[tuple[Span, str]]) -> Concealed:
    written: list[str] = []
    end = 0
    for (start, stop), kind in sorted(spans):
        written += [text[end:start], f"[{kind}]"]
        end = stop
    return Concealed(text="".join([*written, text[end:]]), kinds=tuple(kind for _, kind in spans))


def _spans(text: str, names: Collection[str], kinds: Collection[str]) -> list[tuple[Span, str]]:
    finders: dict[str, Callable[[str], Iterable[Span]]] = {
        "email": lambda left: _matches(EMAIL, left),
        "link": lambda left: _matches(LINK, left),
        "secret": _secrets,
        "phone": _phones,
        "date": lambda left: _matches(DATE, left),
        "number": _numbers,
        "name": lambda left: _names(left, names),
    }
    spans: list[tuple[Span, str]] = []
    left = text
    for kind in KINDS:
        if kind in kinds:
            found = list(finders[kind](left))
            spans += [(span, kind) for span in found]
            for start, stop in found:
                left = left[:start] + TAKEN * (stop - start) + left[stop:]
    return spans


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span() for match in pattern.finditer(text))


def _secrets(text: str) -> list[Span]:
    found = {secret for detector in SECRET_DETECTORS for secret in detector.analyze_string(text) if secret}
    # A detector may name a part alone; the whole run of characters around it goes.
    runs = [re.compile(rf"[^\s{TAKEN}]*{re.escape(secret)}[^\s{TAKEN}]*") for secret in found]
    spans = [match.span() for run in runs for match in run.finditer(text)]
    return _apart(spans + [match.span(1) for match in TOLD_SECRET.finditer(text)])


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
    # Numbers without a country's prefix are caught as numbers.
    return ((match.start, match.end) for match in phonenumbers.PhoneNumberMatcher(text, None))


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
        if not word[0].isupper() or word in NO_NAME:
            continue
        if word.casefold().removesuffix("'s") in names or (
            not shouted and _inside_a_sentence(text, match.start())
        ):
            yield match.span()


def _inside_a_sentence(text: str, position: int) -> bool:
    before = text[:position].rstrip(" \t")
    return bool(before) and (before[-1].isalnum() or before[-1] in f",;')->\u2019{TAKEN}")
