"""What a line of chat does, told from its words: simple, English-first rules.

They err towards silence and towards flagging: a missed acknowledgement costs a card, a missed risk
costs trust. Learned judgement replaces them later behind the same functions.
"""

import re
from difflib import SequenceMatcher

from core.vocabulary import Intent, Risk

SHORT = 6
"""Words of the longest acknowledgement."""
GREETING_WORDS = 3
ONE_LINE = 12

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_URL = re.compile(r"https?://\S+")

_ACKNOWLEDGEMENTS = frozenset(
    """ok okay k kk okey yes yep yeah yup ya no nope nah sure thanks thank thx ty tack danke merci cheers
    cool great nice good perfect awesome lovely fine alright right true same indeed haha hahaha lol lmao
    hehe hah xd rofl heh wow oh ah aha oki done noted got it you u so much very a lot np welcome sounds
    will do roger exactly agreed bye night goodnight gn cu see later ttyl love hugs omg yay hey hi hello
    morning evening afternoon all the too deal""".split()
)
_GREETINGS = frozenset("hey hi hello hej hallo yo morning evening afternoon".split())

_ASKING = re.compile(
    r"^(who|what|when|where|why|how|which|whose|can|could|would|will|shall|should|do|does|did|are|is|am|was"
    r"|were|have|has|had|may|might|any|anyone|wanna|want to|fancy|mind|u free|you free|r u)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"\b(can you|could you|would you|will you|please|pls|let me know|lmk|tell me|send me|remind me|need you to"
    r"|any (news|update|idea|chance)|wdyt|what do you think|thoughts|are you|do you)\b",
    re.IGNORECASE,
)

_RISKS: dict[Risk, re.Pattern[str]] = {
    Risk.PROMISE: re.compile(
        r"\b(i'?ll|i will|i promise|promise|i can (do|make|bring|send|pick|come|be)|count me in|i'?m in"
        r"|deal|by (mon|tues|wednes|thurs|fri|satur|sun)day|by tomorrow|by tonight|consider it done|deadline"
        r"|you have my word|i'?ve got this|leave it to me|i'?ll be there|see you (at|on|tomorrow|there))\b",
        re.IGNORECASE,
    ),
    Risk.MONEY: re.compile(
        r"([$€£¥]\s?\d|\d\s?(€|eur|euro|usd|dollars?|bucks|kr|sek|gbp|pounds|k\b)|\b(pay|paid|owe|lend|loan|borrow"
        r"|invoice|salary|rent|deposit|refund|venmo|paypal|swish|transfer|bank|iban|price|cost|expensive"
        r"|money|budget|raise)\b)",
        re.IGNORECASE,
    ),
    Risk.PRIVACY: re.compile(
        r"\b(secret|confidential|between us|don'?t tell|nobody knows|private|password|passcode|pin code|pin|code"
        r"|address|phone number|my number|ssn|passport|diagnos\w+|doctor|therap\w+|pregnan\w+|medication|salary"
        r"|interview\w*|quit(ting)?|resign\w*|layoffs?|reorg\w*|fired)\b",
        re.IGNORECASE,
    ),
    Risk.EMOTION: re.compile(
        r"\b(sorry|condolence\w*|died|death|passed away|funeral|grief|cry(ing)?|cried|hate|furious|angry|upset"
        r"|hurt|heartbroken|broke up|break ?up|divorce|miss (you|her|him|them)|love you|scared|afraid|lonely"
        r"|depress\w+|anxious|panic|worried|apolog\w+|forgive|thank you so much|proud of you|proud)\b",
        re.IGNORECASE,
    ),
}

_INJECTION = re.compile(
    r"\b(ignore (all |any )?(previous|prior|above|your)( \w+)? (instructions?|rules|prompt)|disregard (the|all|your)"
    r"|system prompt|you are (now )?(an? )?(ai|assistant|chatbot|language model)|as an ai|jailbreak"
    r"|repeat (the|your) (prompt|instructions|context)|reveal (your|the) (prompt|instructions|memory|secrets?)"
    r"|print (your|the) (prompt|context|memory)|act as (an?|the)|developer mode|everything you know about"
    r"|forward (all|every|me all)|list (all|every) (your|the) (contacts|messages|secrets))\b",
    re.IGNORECASE,
)
_ASSISTANTESE = re.compile(
    r"(as an ai|language model|i'?m (just )?(an? )?(ai|assistant|chatbot)|how (can|may) i (help|assist)"
    r"|i'?d be happy to|feel free to|i'?m here to help|please provide|let me know if you (need|have)"
    r"|is there anything else"
    r"|i don'?t have (personal|access)|here (is|are) (a|an|some|the|your)|sure[,!] here|certainly[,!]|certainly"
    r"|dear \w+|best regards|sincerely|\[[^\]]+\]|<\|?\w+\|?>|\bthe user\b|\bassistant:|\bsystem:)",
    re.IGNORECASE,
)

_DEFER = re.compile(
    r"\b(let me (check|see|think|look|ask|get back)|i'?ll (check|get back|look into|let you know|have to check|ask"
    r"|think about)|get back to you|not sure yet|need to check|have to check|gotta check|can i (tell|let) you"
    r"|tell you (later|tomorrow|tonight)|will let you know|lemme (check|see|think|look)|i'?d have to check"
    r"|checking|give me a (sec|minute|moment|bit))\b",
    re.IGNORECASE,
)
_DECLINE = re.compile(
    r"^(no|nope|nah|not|sorry|unfortunately|sadly|can'?t|cannot|i can'?t|i won'?t|ugh)\b|"
    r"\b(can'?t make|can'?t (do|come|go|join|sorry)|won'?t (make|be able)"
    r"|not (today|this|going|tonight|free|possible)"
    r"|no can do|i'?m out|have to pass|rain check|maybe next time|don'?t think i can)\b",
    re.IGNORECASE,
)
_AGREE = re.compile(
    r"^(yes|yep|yeah|yup|ya|sure|ok|okay|deal|of course|absolutely|definitely|perfect|great|sounds|works|love to"
    r"|count me in|i'?m in|totally|for sure|gladly|ja|jepp|oui|si|good idea|let'?s|cool|can do|will do|fine)\b|"
    r"\b(works for me|sounds (good|great|fun)|i'?d love|happy to|i'?m in|see you (there|then))\b",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of a text, lower-case, without links."""
    return [match.lower() for match in _WORD.findall(_URL.sub(" ", text))]


def is_acknowledgement(text: str) -> bool:
    """True for what asks for nothing back: 'ok', 'haha', thanks, a lone emoji, a bare greeting of a friend."""
    if "?" in text:
        return False
    spoken = words(text)
    return len(spoken) <= SHORT and all(word in _ACKNOWLEDGEMENTS for word in spoken)


def is_greeting(text: str) -> bool:
    spoken = words(text)
    return 0 < len(spoken) <= GREETING_WORDS and spoken[0] in _GREETINGS


def is_question(text: str) -> bool:
    """True when the text asks: a question mark outside links, a question's opening, or a request."""
    plain = _URL.sub(" ", text)
    return "?" in plain or bool(_ASKING.match(plain.strip())) or bool(_REQUEST.search(plain))


def mentions(text: str, names: tuple[str, ...]) -> bool:
    """True when one of the names (or platform ids) stands in the text as a word or a mention."""
    lowered = text.lower()
    return any(
        re.search(rf"(?<![\w]){re.escape(name.lower())}(?![\w])", lowered) for name in names if len(name) > 1
    )


def smuggles_instructions(text: str) -> bool:
    """True when a contact's text talks to the machine rather than to the owner."""
    return bool(_INJECTION.search(text))


def sounds_like_an_assistant(text: str) -> bool:
    return bool(_ASSISTANTESE.search(text))


def risks_of(text: str) -> frozenset[Risk]:
    """What the text touches, by its words alone."""
    return frozenset(risk for risk, pattern in _RISKS.items() if pattern.search(text))


def is_deferral(text: str) -> bool:
    """True for a short line that puts an answer off without promising one thing or another."""
    return len(words(text)) <= ONE_LINE and bool(_DEFER.search(text))


def intent_of(text: str) -> Intent:
    """What a draft does, for the diversity of a slate."""
    stripped = text.strip()
    if _DEFER.search(stripped):
        return Intent.DEFER
    if _DECLINE.search(stripped):
        return Intent.DECLINE
    if _AGREE.search(stripped):
        return Intent.AGREE
    if stripped.endswith("?"):
        return Intent.ASK
    return Intent.INFORM


def likeness(one: str, other: str) -> float:
    """How alike two texts are to the letter, from 0 to 1, case and spacing aside."""
    left, right = " ".join(one.lower().split()), " ".join(other.lower().split())
    return SequenceMatcher(None, left, right, autojunk=False).ratio() if left and right else 0.0


def checkable_details(text: str) -> frozenset[str]:
    """The details of a text that can be wrong: numbers, times, and names inside a sentence, lower-case."""
    numbers = re.findall(r"\d[\d.,:/-]*", text)
    names = re.findall(r"(?<=[\w,;] )([A-ZÅÄÖÜÉ][\w'’-]{2,})", text)
    return frozenset([number.strip(".,:-/") for number in numbers] + [name.lower() for name in names])
