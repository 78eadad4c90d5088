"""The expert: a model outside that is asked what neither the owner nor memory knows, in nobody's name.

What leaves the machine is the question (knowledge.py says which), under a prompt that names nobody.
No memory, no line of the chat before it, no style, no name goes with it.

Context Enhance: the generator puts the question clearly. It is given the turn's own text and nothing
else, and no adapter: the base has never read the owner's chats, so that whatever the contact's text
talks it into, it has nothing to tell. Memory whose audience is `anyone` would be allowed there and is not
used: once in a prompt, it could not be told from what was not. What it writes goes out only if it passes
the door that the question passed, and says nothing in other words than the contact's; else the question
goes as it is.

Context Critic: the generator goes over the answer as the owner would, a few rounds at most; what it
finds wrong stays here. Without a generator that is up to it, the answer is cut to the length that the
owner usually writes, between sentences.

A failing expert costs a turn nothing but its answer: the wait is bounded and runs beside the model's
own drafts, and an expert that failed is left alone for a while.
"""

import asyncio
import re
import time
from dataclasses import dataclass

import structlog

from core.errors import BadInput, ModelError
from core.ids import OwnerId
from core.models.faces import ChatTurn, Generator, Sample, Sampling
from core.reply.knowledge import is_about_the_world, outside_question, people_here
from core.reply.recall import Recalled
from core.reply.situation import Situation
from core.reply.wording import (
    DEFERRAL_LINE,
    checkable_details,
    smuggles_instructions,
    sounds_like_an_assistant,
    topic_words,
    words,
)

log = structlog.get_logger()

ASKING = (
    "Answer in at most two short, plain sentences, in the language of the question, without lists or markup. "
    "If you do not know, write only: I don't know."
)
ENHANCING = (
    "Rewrite what is asked in this message as one clear question for somebody who has not read it. "
    "Use nothing but what the message says. Leave out names and anything about the people who write. "
    "Write the question alone."
)
CRITICISING = (
    "You are {name}, texting. {style} You were asked a question and looked the answer up. "
    "Write it as you would text it, in at most {most} words. Keep its facts and add none."
)

ANSWER_TOKENS, QUESTION_TOKENS, REPLY_TOKENS = 160, 64, 64
ENHANCE_SECONDS, CRITICISE_SECONDS = 4.0, 15.0
"""What a turn waits for each; after that the question, or the answer, is taken as it is."""

REST_SECONDS = 300.0
"""How long an expert that failed is not asked again, so that it costs one turn a wait, and not each."""

USUAL_WORDS = 30
"""Words of an answer where nothing is known of how the owner writes."""

_MARKUP = re.compile(r"[*_`#]+|^\s*[-•]\s+", re.MULTILINE)
_NO_IDEA = re.compile(r"\W*i (?:don['’]?t|do not) know", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Expert:
    """A model outside, and whose contacts' questions it may be sent: no other owner chose it."""

    model: Generator
    owner_id: OwnerId
    rounds: int = 2
    seconds: float = 12.0
    """What a turn waits for its answer at most."""
    follows_instructions: bool = False
    """The generator is more than the built-in base, which can neither put a question nor criticise."""
    rests_until: float = 0.0
    """On the monotonic clock."""

    def may_be_asked(self, owner_id: OwnerId) -> bool:
        return owner_id == self.owner_id and time.monotonic() >= self.rests_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who puts the answer in the owner's words."""

    generator: Generator | None
    adapter: str | None
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the expert knows, ready to be shown. `rounds` of criticism; none: its words, cut."""

    text: str
    model: str
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was asked, what the expert said to it, and how long the owner's messages are at most."""

    question: str
    answer: str
    most_words: int


async def ask_expert(expert: Expert, situation: Situation, recalled: Recalled, voice: Voice) -> Advice | None:
    """The answer as the owner would give it; None where it is not to be asked, fails, or does not know."""
    question = outside_question(situation, recalled)
    if not question or not expert.may_be_asked(situation.account.owner_id):
        return None
    started = time.monotonic()
    if voice.generator is not None and expert.follows_instructions:
        question = await enhance(voice.generator, question, situation, recalled)
    answer = await _answer(expert, question)
    if not answer:
        return None
    told = Told(question=question, answer=answer, most_words=round(recalled.most_words or USUAL_WORDS))
    said, rounds = await criticise_as_owner(expert, voice, told, situation.account.owner_name)
    log.info("expert.asked", rounds=rounds, seconds=round(time.monotonic() - started, 2))
    return Advice(text=said or cut(answer, told.most_words), model=expert.model.name, rounds=rounds)


# ─── Context Enhance ─────────────────────────────────────────────────────────────────────────


async def enhance(generator: Generator, question: str, situation: Situation, recalled: Recalled) -> str:
    """The question put more clearly; as it is where that fails, or says more than the turn does."""
    turns = [ChatTurn(role="system", text=ENHANCING), ChatTurn(role="user", text=situation.text)]
    sampling = Sampling(max_tokens=QUESTION_TOKENS, temperature=0.2, stop=("\n",))
    try:
        async with asyncio.timeout(ENHANCE_SECONDS):
            (sample,) = await generator.chat(turns, sampling=sampling, adapter=None)
    except (ModelError, BadInput, TimeoutError) as error:
        log.info("question.unenhanced", error=type(error).__name__)
        return question
    enhanced = sample.text.strip()
    of_the_turn = topic_words(enhanced) | checkable_details(enhanced) <= _details(situation.text)
    fine = sample.finish == "stop" and enhanced.endswith("?") and of_the_turn
    return enhanced if fine and is_about_the_world(enhanced, people_here(situation, recalled)) else question


# ─── the expert ──────────────────────────────────────────────────────────────────────────────


async def _answer(expert: Expert, question: str) -> str:
    """What it says, as plain text; empty where it fails or does not know."""
    turns = [ChatTurn(role="system", text=ASKING), ChatTurn(role="user", text=question)]
    try:
        async with asyncio.timeout(expert.seconds):
            (sample,) = await expert.model.chat(
                turns, sampling=Sampling(max_tokens=ANSWER_TOKENS, temperature=0.2)
            )
    except (ModelError, BadInput, TimeoutError) as error:
        expert.rests_until = time.monotonic() + REST_SECONDS
        log.warning("expert.failed", error=type(error).__name__)
        return ""
    answer = " ".join(_whole_sentences(sample))
    return "" if _NO_IDEA.match(answer) or smuggles_instructions(answer) else answer


def _whole_sentences(sample: Sample) -> list[str]:
    """The sentences of an answer, without the last one where the answer was cut off in it."""
    sentences = [part.strip() for part in DEFERRAL_LINE.split(_MARKUP.sub("", sample.text).strip())]
    whole = sentences if sample.finish == "stop" else sentences[:-1]
    return [sentence for sentence in whole if sentence]


# ─── Context Critic ──────────────────────────────────────────────────────────────────────────


async def criticise_as_owner(expert: Expert, voice: Voice, told: Told, owner_name: str) -> tuple[str, int]:
    """What stands after at most `expert.rounds`, and how many it took; empty and 0 where nothing stands."""
    if voice.generator is None or not (voice.adapter or expert.follows_instructions):
        return "", 0
    turns = _critic_turns(voice, told, owner_name)
    sampling = Sampling(max_tokens=REPLY_TOKENS, temperature=0.4, stop=("\n\n",))
    try:
        async with asyncio.timeout(CRITICISE_SECONDS):
            for number in range(1, expert.rounds + 1):
                (sample,) = await voice.generator.chat(turns, sampling=sampling, adapter=voice.adapter)
                fault = _fault(sample, told)
                if not fault:
                    return sample.text.strip(), number
                turns = [*turns[:2], *_another_round(sample.text, fault)]
    except (ModelError, BadInput, TimeoutError) as error:
        log.info("answer.uncriticised", error=type(error).__name__)
    return "", 0


def _critic_turns(voice: Voice, told: Told, owner_name: str) -> list[ChatTurn]:
    system = CRITICISING.format(name=owner_name, style=voice.style, most=told.most_words)
    asked = f"The question: {told.question}\nThe answer: {told.answer}"
    return [ChatTurn(role="system", text=system), ChatTurn(role="user", text=asked)]


def _another_round(said: str, fault: str) -> list[ChatTurn]:
    return [
        ChatTurn(role="assistant", text=said.strip() or "..."),
        ChatTurn(role="user", text=f"Not yet: {fault}. Write it again."),
    ]


def _fault(sample: Sample, told: Told) -> str:
    """What is wrong with the answer as it was put; empty where nothing is."""
    said = sample.text
    if sample.finish != "stop" or len(words(said)) > told.most_words:
        return "it is too long"
    if sounds_like_an_assistant(said):
        return "it sounds like an assistant"
    if not topic_words(said) & topic_words(told.answer):
        return "it does not say what the answer says"
    if checkable_details(said) - _details(f"{told.question}\n{told.answer}"):
        return "it adds something that the answer does not say"
    return ""


def _details(text: str) -> frozenset[str]:
    """Every word and number of a text, as its details are compared."""
    return frozenset(words(text)) | checkable_details(text)


def cut(answer: str, most_words: int) -> str:
    """The first sentences of an answer that fit, and at least one."""
    first, *others = DEFERRAL_LINE.split(answer)
    kept = [first]
    for sentence in others:
        if len(words(" ".join([*kept, sentence]))) > most_words:
            break
        kept.append(sentence)
    return " ".join(kept)
