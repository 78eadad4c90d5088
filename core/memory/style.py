# ruff: noqa: E501 -- word lists and patterns are read on one line, and chats have curly quotes
"""How somebody writes, in numbers: from the messages of one direct chat, or of all."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from core.memory.profiles import Style
from core.memory.sessions import bursts

EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff\U0001f300-\U0001f5ff\U0001f600-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001faff"
    "\u2600-\u27bf\u2b50\u2b55]"
)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
SLANG = re.compile(
    r"\b(?:u|ur|lol|lmao|omg|gonna|wanna|gotta|idk|tbh|btw|imo|thx|pls|dont|im|ive|cant|ok|haha\w*|yeah|nah)\b"
)
GREETING = re.compile(
    r"^(hey+|hi+|hello|hej+|hejsan|tja|yo|good morning|morning|good evening|hallo|servus|salut|bonjour|hola|ciao|moin|hiya|sup)\b",
    re.IGNORECASE,
)
GREETED_OFTEN = 0.3
"""The share of openings above which a greeting is a habit."""
FUNCTION_WORDS = {
    "en": "the and to of is it you that was for on are with have this be not but what we my your do can just so",
    "sv": "och att det är jag som på för inte med har du till av den ett om hej men vi så kan ska nu från vad",
    "de": "und der die das ist ich nicht du ein zu es mit auf für wir sich auch dem von aber wie noch ja mal",
    "fr": "le la les et de un une est je tu pas que pour dans ce il elle on avec sur mais vous nous au oui",
    "es": "el la los de que y en un una es no por con para te me lo pero muy si como más qué está yo tú",
    "nl": "de het een en van ik niet dat je is te op voor met er maar ook nog wel wat zijn heb naar goed",
    "it": "il la di che e non un una per sono mi ti con ma come anche è se lo gli questo ho hai del",
    "pt": "o a de que e não um uma para com em os as mas você eu muito por mais como está foi isso se",
    "da": "og at det er jeg på for ikke med har du til af den et om hej men vi så kan skal nu fra hvad",
}
VOCABULARY = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}
ENOUGH_WORDS = 20
"""Function words below which a language is not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One message, and whether it is of the side that is described."""

    mine: bool
    author: int | None
    text: str
    sent_at: datetime


def measure_style(messages: Sequence[Written], *, session_gap: timedelta) -> Style:
    """The style of the side marked `mine`; messages are in order of time."""
    texts = [message.text for message in messages if message.mine and message.text.strip()]
    if not texts:
        return Style()
    count = len(texts)
    lengths = [len(list(run)) for run in bursts(messages, lambda m: (m.mine, m.author)) if run[0].mine]
    return Style(
        messages=count,
        language=language_of(texts),
        mean_words=round(sum(len(WORD.findall(text)) for text in texts) / count, 1),
        messages_per_burst=round(statistics.fmean(lengths), 2),
        emoji_per_message=round(sum(len(EMOJI.findall(text)) for text in texts) / count, 2),
        lowercase_share=round(sum(_is_lower_case(text) for text in texts) / count, 2),
        formality=round(sum(_formality(text) for text in texts) / count, 2),
        greeting=_greeting(messages, session_gap),
        reply_latency_seconds=_reply_latency(messages, session_gap),
    )


def language_of(texts: Sequence[str]) -> str:
    """The language whose function words occur most; empty when there are too few to tell."""
    words = Counter(word.casefold() for text in texts for word in WORD.findall(text))
    counts = {language: sum(words[word] for word in known) for language, known in VOCABULARY.items()}
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] >= min(ENOUGH_WORDS, sum(words.values()) / 5) and counts[best] > 0 else ""


def _is_lower_case(text: str) -> bool:
    return any(letter.isalpha() for letter in text) and not any(letter.isupper() for letter in text)


def _formality(text: str) -> float:
    signs = (
        text[:1].isupper(),
        text.rstrip()[-1:] in ".!?…",
        not EMOJI.search(text),
        not SLANG.search(text.casefold()),
    )
    return sum(signs) / len(signs)


def _greeting(messages: Sequence[Written], gap: timedelta) -> str:
    openings = [
        later.text
        for earlier, later in zip([None, *messages[:-1]], messages, strict=True)
        if later.mine and (earlier is None or later.sent_at - earlier.sent_at > gap)
    ]
    said = Counter(match[1].casefold() for text in openings if (match := GREETING.match(text)))
    if not said:
        return ""
    greeting, times = said.most_common(1)[0]
    return greeting if times >= GREETED_OFTEN * len(openings) else ""


def _reply_latency(messages: Sequence[Written], gap: timedelta) -> float | None:
    latencies = [
        (later.sent_at - earlier.sent_at).total_seconds()
        for earlier, later in pairwise(messages)
        if later.mine and not earlier.mine and later.sent_at - earlier.sent_at <= gap
    ]
    return round(statistics.median(latencies), 1) if latencies else None
