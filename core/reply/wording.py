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
    r"^((who|what|when|where|why|how)('?s|'?re)?|which|whose|can|could|would|will|shall|should|do|does|did|are|is|am|was"
    r"|were|have|has|had|may|might|any|anyone|wanna|want to|fancy|mind|u free|you free|r u"
    r"|vad|var|när|hur|varför|vem|vilken|vilket|vilka|kan du|kan vi|ska (du|vi)|vill du|har du|är du|kommer du"
    r"|was|wann|wo|warum|wer|welche\w*|kannst du|hast du|bist du|kommst du|willst du"
    r"|quand|où|pourquoi|comment|qui|quel\w*|tu (peux|viens|es|veux)|cuándo|dónde|cómo|qué|quién|puedes)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"\b(can you|could you|would you|will you|please|pls|let me know|lmk|tell me|send me|remind me|need you to"
    r"|any (news|update|idea|chance)|wdyt|what do you think|thoughts|are you|do you|give me"
    r"|(what|where|when|how)'?s (the|your|my|that))\b",
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
    r"|i don'?t have (personal|access)|here (is|are) (an?|some|the|your) ([a-z]+ ){0,2}"
    r"(list|ideas?|ways?|steps?|tips|suggestions?|options|examples?|response"
    r"|reply|message|draft|summary)|sure[,!] here|^\W*certainly\b|certainly!"
    r"|dear \w+|best regards|sincerely|\[[^\]]+\]|<\|?\w+\|?>|\bthe user\b|\bassistant:|\bsystem:)",
    re.IGNORECASE,
)

_DEFER = re.compile(
    r"\b(let me (check|see|think|look|ask|get back|sleep)|i'?ll (check|get back|look into|let you know|have to check"
    r"|ask|think about)|get back to you|not sure yet|need to check|have to check|gotta check|can i (tell|let) you"
    r"|tell you (later|tomorrow|tonight)|will let you know|lemme (check|see|think|look)|i'?d have to check"
    r"|give me a (sec|minute|moment|bit)|sleep on it|think it over|come back to you|jag (kollar|får kolla|ska kolla)"
    r"|kollar (upp|och)|återkommer|(jag )?hör av mig|låt mig (tänka|kolla)|sover på saken|får se"
    r"|ich (melde mich|schau|frag)|muss (noch )?(schauen|überlegen)|je (te dis|regarde|vérifie))\b",
    re.IGNORECASE,
)
_DECLINE = re.compile(
    r"^(no|nope|nah|not|sorry|unfortunately|sadly|can'?t|cannot|i can'?t|i won'?t|ugh)\b|"
    r"\b(can'?t make|can'?t (do|come|go|join|sorry)|won'?t (make|be able)"
    r"|not (today|this|going|tonight|free|possible)"
    r"|no can do|i'?m out|have to pass|rain check|maybe next time|don'?t think i can)\b",
    re.IGNORECASE,
)
_YES = re.compile(r"(yes|yep|yeah|yup|sure|of course|ja|japp|jadå|oui|sí|si)\b", re.IGNORECASE)
"""Opens an agreement whatever follows: what the rest of the line declines is something else."""

_AGREE = re.compile(
    r"^(yes|yep|yeah|yup|ya|sure|ok|okay|deal|of course|absolutely|definitely|perfect|great|sounds|works|love to"
    r"|count me in|i'?m in|totally|for sure|gladly|ja|jepp|oui|si|good idea|let'?s|cool|can do|will do|fine)\b|"
    r"\b(works for me|sounds (good|great|fun)|i'?d love|happy to|i'?m in|see you (there|then))\b",
    re.IGNORECASE,
)


DEFERRAL_LINE = re.compile(r"(?<=[.!?])\s+|\n")
"""Where one sentence of a line ends and the next begins."""

_EMPTY_WORDS = frozenset(
    """a about again all am an and any are as at be been bring but by can could day days did do does done dont for
    from get give go going good got had has have her here him his how hows i if in is it its just know let like
    me mind more my need new no not now of off ok on one or our out over please really say see send she should
    so still take tell than thanks that the their them then there theres they thing things this time to today
    too up us use want was we well were what whats when where which who why will with would yes yet you your
    youre
    och att det den de en ett i på är av för som med till om du jag vi ni han hon man var vad när hur vem varför
    har hade kan ska skulle vill inte ja nej nu då så här där min din mig dig oss er mår hem kommer lite bra
    der die das und ist ich du wir ihr sie wie was wann wo nicht mit auf für ein eine
    le la les un une des et est je tu il elle nous vous pas que qui pour avec""".split()
)
_LANGUAGE_WORDS = {
    "sv": frozenset(
        "och att det är för som med till jag inte har kan ska vad när hur då så där mig dig".split()
    ),
    "de": frozenset("und ist ich nicht mit auf für ein eine wie was wann wir ihr sie das".split()),
    "fr": frozenset("je tu est pas que pour avec les des une et nous vous quand où".split()),
    "es": frozenset("el los las es que para con una y cuando qué cómo dónde estás tienes".split()),
    "en": frozenset("the and is are you to of it what when how do does can will i my your this that".split()),
}


def topic_words(text: str) -> frozenset[str]:
    """The words of a text that say what it is about, rather than how it is put."""
    return frozenset(word for word in words(text) if len(word) > 2 and word not in _EMPTY_WORDS)  # noqa: PLR2004


def language_of(text: str, usual: str) -> str:
    """The language of a short text by its small words; the usual one of the chat where they don't tell."""
    spoken = words(text)
    counts = {language: sum(word in small for word in spoken) for language, small in _LANGUAGE_WORDS.items()}
    best = max(counts, key=lambda language: (counts[language], language == usual))
    return best if counts[best] > counts.get(usual, 0) else usual or "en"


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
    if _YES.match(stripped):
        return Intent.AGREE
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


def is_alike(one: str, other: str, least: float) -> bool:
    """True when the texts are at least so alike; cheap upper bounds settle most pairs."""
    left, right = " ".join(one.lower().split()), " ".join(other.lower().split())
    if not left or not right:
        return False
    if 2 * min(len(left), len(right)) <= least * (len(left) + len(right)):
        return False
    if 2 * _common_length(left, right) <= least * (len(left) + len(right)):
        return False
    return SequenceMatcher(None, left, right, autojunk=False).ratio() > least


def _common_length(left: str, right: str) -> int:
    """Length of the longest common subsequence: the blocks that `likeness` counts make up one, so no more.

    Bit-parallel (Hyyrö 2004): one addition a character, where difflib compares them all.
    """
    places: dict[str, int] = {}
    for place, character in enumerate(left):
        places[character] = places.get(character, 0) | 1 << place
    everywhere = (1 << len(left)) - 1
    unmatched = everywhere
    for character in right:
        met = unmatched & places.get(character, 0)
        unmatched = ((unmatched + met) | (unmatched - met)) & everywhere
    return len(left) - unmatched.bit_count()


def checkable_details(text: str) -> frozenset[str]:
    """The details of a text that can be wrong: numbers, times, and names inside a sentence, lower-case."""
    numbers = re.findall(r"\d[\d.,:/-]*", text)
    names = re.findall(r"(?<=[\w,;] )([A-ZÅÄÖÜÉ][\w'’-]{2,})", text)
    return frozenset([number.strip(".,:-/") for number in numbers] + [name.lower() for name in names])
