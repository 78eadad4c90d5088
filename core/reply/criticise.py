"""Criticising: candidates that the owner would not have written leave the slate, each with its reason.

Small models babble: better no draft than gibberish in the owner's voice.
"""

from dataclasses import replace

from core.reply.compose import Candidate, is_copy
from core.reply.prompt import PromptContext
from core.reply.recall import Recalled
from core.reply.situation import Situation
from core.reply.wording import checkable_details, smuggles_instructions, sounds_like_an_assistant, words
from core.vocabulary import DraftOrigin

MOST_WORDS = 60
LEAST_VARIETY = 0.5
"""Share of different words in a draft of eight words or more; below it, it is going in circles."""

ON_TOPIC = 0.1
"""Share of a model draft's longer words that the conversation or the memories know."""


def criticise(
    situation: Situation, recalled: Recalled, context: PromptContext, candidates: tuple[Candidate, ...]
) -> tuple[Candidate, ...]:
    """The same candidates, in order; those that fail say why in `dropped`."""
    seen: list[str] = []
    judged: list[Candidate] = []
    for candidate in candidates:
        reason = candidate.dropped or _fault(situation, recalled, context, candidate)
        if not reason and is_copy(candidate.text, seen):
            reason = "it says what another draft says"
        if not reason:
            seen.append(candidate.text)
        judged.append(replace(candidate, dropped=reason))
    return tuple(judged)


def _fault(situation: Situation, recalled: Recalled, context: PromptContext, candidate: Candidate) -> str:
    spoken = words(candidate.text)
    if not candidate.text.strip():
        return "it is empty"
    if len(spoken) > MOST_WORDS:
        return "it is too long for a chat"
    if is_copy(candidate.text, [message.words for message in situation.incoming]):
        return "it repeats what was asked"
    if candidate.origin is DraftOrigin.MODEL:
        return _babble(candidate.text, spoken) or _model_fault(recalled, context, candidate.text, spoken)
    if candidate.origin is DraftOrigin.EXPERT:
        return _babble(candidate.text, spoken) or _expert_fault(candidate.text)
    return ""


def _babble(text: str, spoken: list[str]) -> str:
    if sounds_like_an_assistant(text):
        return "it sounds like an assistant"
    if len(spoken) >= 8 and len(set(spoken)) / len(spoken) < LEAST_VARIETY:  # noqa: PLR2004 -- a long line
        return "it goes in circles"
    return ""


def _expert_fault(text: str) -> str:
    """Its details are supported by the expert alone, which the draft says; the rest is checked as ever."""
    return "it talks to the machine" if smuggles_instructions(text) else ""


def _model_fault(recalled: Recalled, context: PromptContext, text: str, spoken: list[str]) -> str:
    if recalled.most_words is not None and len(spoken) > recalled.most_words:
        return "it is longer than the owner writes here"
    if is_copy(text, [*context.memories, *(line.text for line in context.lines)]):
        return "it copies what is already there"
    known = {word for line in context.lines for word in words(line.text)}
    known |= {word for memory in context.memories for word in words(memory)}
    longer = [word for word in spoken if len(word) > 4]  # noqa: PLR2004 -- words that carry a topic
    if longer and sum(word in known for word in longer) / len(longer) < ON_TOPIC and len(spoken) > 6:  # noqa: PLR2004
        return "it is about something else"
    if unsupported := checkable_details(text) - _supported(context):
        return f"nothing supports {len(unsupported)} of its details"
    return ""


def _supported(context: PromptContext) -> frozenset[str]:
    """Every detail that the conversation or the memories hold."""
    told = "\n".join([*context.memories, *(line.text for line in context.lines)])
    people = {context.owner_name.lower(), *context.owner_name.lower().split()}
    people |= {context.contact_name.lower(), *context.contact_name.lower().split()}
    everything = frozenset(words(told)) | checkable_details(told) | people
    return everything | {word.removesuffix("'s") for word in everything}
