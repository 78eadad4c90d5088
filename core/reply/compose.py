"""Composing: candidates from the owner's past, the model, an expert who is asked, and one honest deferral.

Nothing is judged here; `criticise` and `gate` do that. Confidence is a rule of thumb until it is
calibrated on labels: it orders a slate and says how much a past answer resembles the question.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.ids import AdapterId, MessageId
from core.memory.profiles import KnownFact, Profile, Style
from core.memory.search import Spoken
from core.memory.summaries import KnownSummary
from core.models.faces import Generator, Sample, Sampling
from core.reply.expert import Advice, Expert, Voice, ask_expert
from core.reply.past import weigh
from core.reply.prompt import Line, PromptContext, clip, prompt_turns
from core.reply.putting_off import put_off
from core.reply.recall import SHOWN_MEMORIES, Recalled
from core.reply.situation import Situation
from core.reply.wording import checkable_details, intent_of, is_alike, is_question, risks_of
from core.storage.database import side_by_side
from core.vocabulary import DraftOrigin, Intent, Risk

MODEL_SAMPLES = 3
MOST_TOKENS = 48
MEMORY_CHARACTERS = 160
PROFILE_LINES = 4
SUMMARY_CHARACTERS = 320
CHAT_CHARACTERS = 1500
"""Two cores read some hundred tokens a second: what the prompt holds is what the owner waits for."""

MODEL_CONFIDENCE = {"base": 0.45, "adapter": 0.55}
LEAST_SURE = -1.5
"""Nats a token that a model must give its own words on average. Measured on chat prompts: a model of 135
million parameters gives -2.2 to -2.9 to its ramblings; it is not sure of them, and neither are we."""
EXPERT_CONFIDENCE = 0.45
"""Below the owner's past replies, but for the weakest that a slate shows: nothing of the owner's supports it."""

DEFERRAL_CONFIDENCE = 0.25
"""Below every draft that is shown beside it: it says nothing yet."""

MOSTLY, OFTEN, CASUAL, FORMAL = 0.6, 0.25, 0.4, 0.75
"""Shares of messages from which a habit is worth naming."""

CLOSENESS = {"family": "family", "friends": "a friend", "work": "from work"}
LANGUAGES = {
    "en": "English", "sv": "Swedish", "de": "German", "fr": "French", "es": "Spanish", "nl": "Dutch",
    "it": "Italian", "pt": "Portuguese", "da": "Danish",
}  # fmt: skip
"""Those that `core.memory.style` tells apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveAdapter:
    id: AdapterId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One possible reply. `dropped` says why it left the slate; empty while it stands."""

    text: str
    intent: Intent
    origin: DraftOrigin
    confidence: float
    risks: frozenset[Risk]
    evidence: tuple[MessageId, ...] = ()
    model: str = ""
    adapter: ActiveAdapter | None = None
    note: str = ""
    """What the owner must know of it; it stands on the card."""
    dropped: str = ""


def prompt_context(situation: Situation, recalled: Recalled) -> PromptContext:
    """What the model may see for this turn: recalled rows alone, which are inside the audience."""
    earlier = [
        Line(
            speaker=said.sender_name,
            by_owner=said.sender_id is None,
            text=f"{said.text} {said.caption}".strip(),
        )
        for said in recalled.recent
        if said.text or said.caption
    ]
    incoming = [
        Line(speaker=message.sender_name, by_owner=False, text=message.words)
        for message in situation.incoming
    ]
    profile = recalled.profile
    return PromptContext(
        owner_name=situation.account.owner_name,
        contact_name=situation.contact_name or situation.chat_title,
        relation=describe_relation(profile.relation, profile.circle, profile.style) if profile else "",
        platform=situation.account.platform,
        chat_kind=situation.chat_kind,
        at=situation.now,
        time_zone=situation.account.time_zone,
        style=describe_style(profile.style) if profile else "",
        memories=memory_lines(
            recalled.memories, recalled.facts, (recalled.biography, profile), recalled.earlier
        ),
        lines=clip([*earlier, *incoming], CHAT_CHARACTERS),
    )


def memory_lines(
    memories: Sequence[Spoken],
    facts: Sequence[KnownFact],
    profiles: Sequence[Profile | None],
    earlier: KnownSummary | None = None,
) -> tuple[str, ...]:
    """What the model is told that it knows: statements first, then what was said, with its date."""
    lines = [line.statement for profile in profiles if profile for line in profile.lines[:PROFILE_LINES]]
    said = (
        f"{m.sender_name} ({m.sent_at:%Y-%m-%d}): {m.text[:MEMORY_CHARACTERS]}"
        for m in memories[:SHOWN_MEMORIES]
    )
    session = (_shortened(earlier.summary),) if earlier is not None else ()
    return (*dict.fromkeys([*(fact.statement for fact in facts), *lines]), *said, *session)


def describe_relation(relation: str, circle: str, style: Style) -> str:
    """Who the contact is to the owner, how close, and in which language and register the owner writes to them.

    Never who in particular: what is learned for one sister should hold for the next.
    """
    traits = [
        relation,
        CLOSENESS.get(circle, ""),
        f"in {LANGUAGES[style.language]}" if style.language in LANGUAGES else "",
        ("casual" if style.formality < CASUAL else "formal" if style.formality > FORMAL else "")
        if style.messages
        else "",
    ]
    return ", ".join(trait for trait in traits if trait)


def _shortened(summary: str) -> str:
    """A summary on one line of the prompt's budget."""
    words = " / ".join(summary.splitlines())
    return words if len(words) <= SUMMARY_CHARACTERS else words[:SUMMARY_CHARACTERS].rsplit(" ", 1)[0] + "…"


def describe_style(style: Style) -> str:
    """How the owner writes to this contact, in words that a model can follow."""
    if not style.messages:
        return ""
    traits = [
        f"about {max(round(style.mean_words), 1)} words a message",
        "in lower case" if style.lowercase_share > MOSTLY else "",
        "with emoji" if style.emoji_per_message > OFTEN else "hardly any emoji",
        "casually" if style.formality < CASUAL else "",
    ]
    return ", ".join(trait for trait in traits if trait) + "."


async def compose(
    situation: Situation,
    recalled: Recalled,
    generator: Generator | None,
    adapter: ActiveAdapter | None,
    expert: Expert | None = None,
    shown: Recalled | None = None,
) -> tuple[Candidate, ...]:
    """Every candidate, best first within its origin. Without a generator: the owner's own words alone.

    `shown` is what the model may see of it, where that is less than all. The expert is waited for beside
    the model, and only where one is configured.
    """
    past = past_candidates(situation, recalled)
    drafting = model_candidates(situation, shown or recalled, generator, adapter)
    if expert is None:
        return (*past, *await drafting, deferral(situation, recalled))
    drafted, advised = await side_by_side(
        drafting, expert_candidates(situation, recalled, generator, adapter, expert)
    )
    return (*past, *advised, *drafted, deferral(situation, recalled))


def past_candidates(situation: Situation, recalled: Recalled) -> tuple[Candidate, ...]:
    """How the owner answered the like before, best first; what was said anew since is dropped."""
    return tuple(
        Candidate(
            text=weighed.answered.reply,
            intent=intent_of(weighed.answered.reply),
            origin=DraftOrigin.PAST_REPLY,
            confidence=weighed.fit,
            risks=risks_of(weighed.answered.reply) | _dated(weighed.answered.reply, situation.text),
            evidence=(weighed.answered.asked_id, *weighed.answered.reply_ids),
            dropped="a newer answer says it anew" if weighed.outdated else "",
        )
        for weighed in weigh(situation.text, recalled.answered, situation.now)
    )


def _dated(reply: str, asked: str) -> frozenset[Risk]:
    """A past answer that names times, numbers or names of its own day may be wrong today."""
    return frozenset({Risk.AMBIGUITY}) if checkable_details(reply) - checkable_details(asked) else frozenset()


async def model_candidates(
    situation: Situation, recalled: Recalled, generator: Generator | None, adapter: ActiveAdapter | None
) -> tuple[Candidate, ...]:
    """What the model would say, several times over; nothing where there is none."""
    if generator is None:
        return ()
    context = prompt_context(situation, recalled)
    samples = await generator.chat(
        prompt_turns(context),
        samples=MODEL_SAMPLES,
        sampling=Sampling(max_tokens=MOST_TOKENS, stop=("\n\n",)),
        adapter=adapter.name if adapter else None,
    )
    quoted = recalled.earlier.quoted_ids if recalled.earlier is not None else []
    shown = [memory.id for memory in recalled.memories[:SHOWN_MEMORIES]]
    evidence = tuple(dict.fromkeys([*shown, *quoted, *_told_by(recalled)]))
    return tuple(
        Candidate(
            text=sample.text.strip(),
            intent=intent_of(sample.text),
            origin=DraftOrigin.MODEL,
            confidence=MODEL_CONFIDENCE["adapter" if adapter else "base"],
            risks=risks_of(sample.text),
            evidence=evidence,
            model=generator.name,
            adapter=adapter,
            dropped=_unsure(sample),
        )
        for sample in samples
    )


def _told_by(recalled: Recalled) -> list[MessageId]:
    """The messages behind the statements in the prompt: where one goes, or is for fewer, so do drafts on it."""
    profiles = [profile for profile in (recalled.biography, recalled.profile) if profile is not None]
    lines = [line for profile in profiles for line in profile.lines[:PROFILE_LINES]]
    facts = [source for fact in recalled.facts for source in fact.source_ids]
    return [*facts, *(source for line in lines for source in line.sources)]


def _unsure(sample: Sample) -> str:
    """Why the model itself does not stand behind a sample; empty where it does."""
    if sample.finish != "stop":
        return "it did not come to an end"
    if sample.mean_logprob is not None and sample.mean_logprob < LEAST_SURE:
        return "the model is not sure of its words"
    return ""


async def expert_candidates(
    situation: Situation,
    recalled: Recalled,
    generator: Generator | None,
    adapter: ActiveAdapter | None,
    expert: Expert,
) -> tuple[Candidate, ...]:
    """What the expert knows, where the turn asks what neither the owner nor memory knows: one at most."""
    style = describe_style(recalled.profile.style) if recalled.profile is not None else ""
    voice = Voice(generator=generator, adapter=adapter.name if adapter else None, style=style)
    advice = await ask_expert(expert, situation, recalled, voice)
    return (_advised(advice, adapter),) if advice is not None else ()


def _advised(advice: Advice, adapter: ActiveAdapter | None) -> Candidate:
    return Candidate(
        text=advice.text,
        intent=intent_of(advice.text),
        origin=DraftOrigin.EXPERT,
        confidence=EXPERT_CONFIDENCE,
        risks=risks_of(advice.text),
        model=advice.model,
        adapter=adapter if advice.rounds else None,
        note=f"an expert says so ({advice.model}); nothing in memory does",
    )


def deferral(situation: Situation, recalled: Recalled) -> Candidate:
    """Putting it off honestly: in words the owner has used here, else in the plainest there are."""
    asked = any(is_question(message.words) for message in situation.incoming)
    text, evidence = put_off(situation.text, recalled, asked=asked)
    return Candidate(
        text=text,
        intent=Intent.DEFER,
        origin=DraftOrigin.DEFERRAL,
        confidence=DEFERRAL_CONFIDENCE,
        risks=risks_of(text) - {Risk.PROMISE},
        evidence=evidence,
    )


def is_copy(text: str, others: Sequence[str]) -> bool:
    """True when the text says again what one of the others says."""
    return any(is_alike(text, other, 0.8) for other in others)
