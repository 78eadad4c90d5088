"""From candidates to a slate: past answers weighed, babble dropped, three different drafts at most."""

from dataclasses import replace

import pytest

from core.errors import ModelUnavailable
from core.memory.profiles import Profile
from core.models.faces import Sample
from core.reply.compose import (
    MODEL_SAMPLES,
    ActiveAdapter,
    Candidate,
    compose,
    past_candidates,
    prompt_context,
)
from core.reply.criticise import criticise
from core.reply.decide import Judgement
from core.reply.gate import MOST_DRAFTS, WEAK, Slate, auto_draft, gate
from core.reply.past import weigh
from core.reply.putting_off import put_off
from core.reply.recall import Recalled
from core.vocabulary import Decision, DraftOrigin, Intent, Risk
from tests.core.reply.situations import NOTHING, NOW, answered, candidate, situation, spoken, style
from tests.standins import ScriptedGenerator

SUGGEST = Judgement(decision=Decision.SUGGEST, why="a question")
AUTO = Judgement(decision=Decision.AUTO, why="a question")
PAST, MODEL, DEFERRAL = DraftOrigin.PAST_REPLY, DraftOrigin.MODEL, DraftOrigin.DEFERRAL


def profiled(**changed: float) -> Profile:
    return Profile(contact_id=None, name="Ines", style=style(**changed), their_style=style(), lines=())


def judged(text: str, *, asked: str = "are you free on tuesday?", recalled: Recalled = NOTHING) -> str:
    """Why a model's draft would leave the slate."""
    here = situation(asked)
    return criticise(here, recalled, prompt_context(here, recalled), (candidate(text),))[0].dropped


# ─── past answers ────────────────────────────────────────────────────────────────────────────


def test_a_newer_answer_to_the_same_question_makes_the_older_outdated() -> None:
    old = answered("what coffee can i bring you?", "oat flat white please", 0.8, 170)
    new = answered("still oat flat white as coffee?", "black filter now", 0.45, 2)
    best, other = weigh("what coffee do you want?", (old, new), NOW)
    assert (best.answered, best.outdated) == (new, False)
    assert (other.answered, other.outdated) == (old, True)
    assert best.fit > WEAK


def test_a_newer_answer_to_another_question_replaces_nothing() -> None:
    old = answered("what coffee can i bring you?", "black filter", 0.8, 20)
    new = answered("do you want lunch?", "yes, 12:15", 0.5, 2)
    assert weigh("which coffee?", (old, new), NOW)[0].answered == old


def test_a_statement_replaces_no_answer_to_a_question() -> None:
    old = answered("have you called mum?", "tonight", 0.8, 20)
    new = answered("dad cried more than mum", "he went to look at the car", 0.5, 2)
    assert not any(one.outdated for one in weigh("have you called mum?", (old, new), NOW))


def test_a_past_answer_fades_with_age() -> None:
    fits = [weigh("lunch?", (answered("lunch?", "yes", 0.8, days),), NOW)[0].fit for days in (0, 60, 400)]
    assert fits == sorted(fits, reverse=True)
    assert fits[2] >= 0.4


@pytest.mark.parametrize(
    ("asked", "reply"),
    [("cancelled for free until tonight", "do it. november?"), ("soft or hard: the wall", "beta or lies?")],
)
def test_what_only_sounds_alike_is_too_weak_for_a_slate(asked: str, reply: str) -> None:
    here = situation("are you free tuesday?")
    past = past_candidates(here, replace(NOTHING, answered=(answered(asked, reply, 0.45, 60),)))
    assert gate(SUGGEST, past, trust_model=False).shown == ()


def test_a_past_answer_with_details_of_its_own_day_is_flagged() -> None:
    recalled = replace(NOTHING, answered=(answered("which train?", "the 11:29", 0.9),))
    (draft,) = past_candidates(situation("which train?"), recalled)
    assert Risk.AMBIGUITY in draft.risks
    assert draft.evidence == (7, 8)


# ─── putting off ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("are you free?", "let me check and get back to you"),
        ("hur mår du och katten?", "jag kollar och återkommer"),
        ("wann kommst du und wie?", "ich schau nach und melde mich"),
    ],
)
def test_a_plain_deferral_speaks_the_language_of_the_question(text: str, words: str) -> None:
    assert put_off(text, NOTHING, asked=True) == (words, ())


def test_a_statement_is_not_put_off_like_a_question() -> None:
    assert put_off("i cried at work", NOTHING, asked=False)[0].startswith("just saw this")


def test_a_deferral_has_capitals_where_the_owner_writes_so() -> None:
    profile = profiled(lowercase_share=0.0)
    text, _ = put_off("is it ready?", replace(NOTHING, profile=profile), asked=True)
    assert text == "Let me check and get back to you."


def test_the_owners_own_deferral_comes_first_without_what_it_was_about() -> None:
    lines = (
        spoken("Let me think about what Tomasz said on the 14th.", number=1),
        spoken("Thank you for thinking of me. Let me sleep on it.", number=2),
        spoken("Not today though. Let me sleep on it.", number=3),
    )
    text, evidence = put_off("would you lead it?", replace(NOTHING, deferrals=lines), asked=True)
    assert text == "Let me sleep on it."
    assert evidence in {(2,), (3,)}


# ─── the model ───────────────────────────────────────────────────────────────────────────────


async def drafted(*lines: str, recalled: Recalled = NOTHING) -> tuple[Candidate, ...]:
    return await compose(situation("are you free on tuesday?"), recalled, ScriptedGenerator(*lines), None)


async def test_every_sample_becomes_a_candidate_and_a_deferral_comes_last() -> None:
    drafts = await drafted("yes", "no", "maybe", "which one?")
    assert [draft.origin for draft in drafts] == [MODEL] * MODEL_SAMPLES + [DEFERRAL]
    assert [draft.intent for draft in drafts[:2]] == [Intent.AGREE, Intent.DECLINE]


async def test_a_sample_that_did_not_end_is_dropped() -> None:
    drafts = await drafted("word " * 200)
    assert all("come to an end" in draft.dropped for draft in drafts if draft.origin is MODEL)


async def test_a_model_that_is_not_sure_of_its_words_stays_off_the_slate() -> None:
    class Unsure(ScriptedGenerator):
        async def chat(self, *_: object, **__: object) -> tuple[Sample, ...]:  # pyright: ignore[reportIncompatibleMethodOverride] -- one answer for all
            return (Sample(text="yes", finish="stop", tokens=1, mean_logprob=-2.5),)

    drafts = await compose(situation("are you free?"), NOTHING, Unsure(), None)
    assert "not sure" in drafts[0].dropped


async def test_without_a_generator_the_owners_words_stand_alone() -> None:
    recalled = replace(NOTHING, answered=(answered("are you free on tuesday?", "no, climbing", 0.9),))
    drafts = await compose(situation("are you free on tuesday?"), recalled, None, None)
    assert [draft.origin for draft in drafts] == [PAST, DEFERRAL]


async def test_a_model_that_is_away_says_so() -> None:
    with pytest.raises(ModelUnavailable):
        await compose(situation("are you free?"), NOTHING, ScriptedGenerator(fails=True), None)


async def test_the_adapter_is_asked_for_by_name_and_kept_on_the_draft() -> None:
    adapter = ActiveAdapter(id=3, name="mara-3")  # pyright: ignore[reportArgumentType] -- a row's id
    drafts = await compose(
        situation("free?"), NOTHING, ScriptedGenerator("yes", adapters=["mara-3"]), adapter
    )
    assert drafts[0].adapter == adapter


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("As an AI language model I cannot attend", "assistant"),
        ("Hi [name], tuesday works", "assistant"),
        ("I'd be happy to help with tuesday!", "assistant"),
        ("are you free on tuesday?", "repeats what was asked"),
        ("Are you free on Tuesday", "repeats what was asked"),
        ("no no no no no yes no no no no", "circles"),
        ("tuesday at 18:45", "nothing supports"),
        ("only with Bernadette", "nothing supports"),
        (" ".join(f"word{n}" for n in range(61)), "too long"),
        ("elephants migrate southwards through enormous yellow grasslands yearly", "something else"),
    ],
)
def test_babble_is_dropped_with_its_reason(text: str, reason: str) -> None:
    assert reason in judged(text)


@pytest.mark.parametrize("text", ["yes", "no, tuesday is climbing", "maybe, which hour?", "tuesday works"])
def test_what_a_person_would_write_stands(text: str) -> None:
    assert judged(text) == ""


def test_a_detail_that_a_memory_supports_stands() -> None:
    recalled = replace(NOTHING, memories=(spoken("climbing starts at 18:45"),))
    assert judged("tuesday at 18:45", recalled=recalled) == ""


def test_a_copy_of_an_earlier_line_is_dropped() -> None:
    recalled = replace(NOTHING, recent=(spoken("the wall was lovely today"),))
    assert "copies" in judged("the wall was lovely today!", recalled=recalled)


def test_two_drafts_that_say_the_same_leave_one() -> None:
    here = situation("are you free on tuesday?")
    drafts = (candidate("yes, works"), candidate("Yes, works!"))
    first, second = criticise(here, NOTHING, prompt_context(here, NOTHING), drafts)
    assert (first.dropped, second.dropped) == ("", "it says what another draft says")


def test_a_draft_much_longer_than_usual_is_dropped() -> None:
    profile = profiled(mean_words=2.0)
    text = "tuesday free are you on tuesday tuesday works are you free on one tuesday then"
    assert "longer than the owner" in judged(text, recalled=replace(NOTHING, profile=profile))


# ─── the gate ────────────────────────────────────────────────────────────────────────────────


def slate_of(*candidates: Candidate, judgement: Judgement = SUGGEST, trust_model: bool = False) -> Slate:
    return gate(judgement, candidates, trust_model=trust_model)


def test_at_most_three_drafts_of_different_intents_pass() -> None:
    drafts = [candidate(f"{intent}", intent=intent, confidence=0.9) for intent in Intent]
    slate = slate_of(*drafts, *drafts)
    assert len(slate.shown) == MOST_DRAFTS
    assert len({draft.intent for draft in slate.shown}) == MOST_DRAFTS
    assert len(slate.left_out) == 2 * len(drafts) - MOST_DRAFTS
    assert all(draft.dropped for draft in slate.left_out)


def test_past_words_come_first_until_the_model_has_earned_it_and_the_deferral_last() -> None:
    drafts = (
        candidate("later", origin=DEFERRAL, intent=Intent.DEFER, confidence=0.25),
        candidate("yes", origin=MODEL, intent=Intent.AGREE, confidence=0.9),
        candidate("it is at 19", origin=PAST, confidence=0.5),
    )
    assert [d.origin for d in slate_of(*drafts).shown] == [PAST, MODEL, DEFERRAL]
    assert [d.origin for d in slate_of(*drafts, trust_model=True).shown] == [MODEL, PAST, DEFERRAL]


def test_a_weak_draft_is_left_out_and_a_deferral_is_never_too_weak() -> None:
    drafts = (
        candidate("it is at 19", origin=PAST, confidence=WEAK - 0.01),
        candidate("later", origin=DEFERRAL, intent=Intent.DEFER, confidence=0.25),
    )
    slate = slate_of(*drafts)
    assert [draft.origin for draft in slate.shown] == [DEFERRAL]
    assert slate.left_out[0].dropped == "it is too weak"


def test_no_draft_at_all_is_silence() -> None:
    assert slate_of(candidate("x", dropped="it is empty")).decision is Decision.SILENT


@pytest.mark.parametrize(
    ("draft", "decision"),
    [
        (candidate("yes", confidence=0.9), Decision.AUTO),
        (candidate("yes", confidence=0.6), Decision.SUGGEST),
        (candidate("yes", confidence=0.9, risks=frozenset({Risk.PROMISE})), Decision.SUGGEST),
        (candidate("later", origin=DEFERRAL, confidence=0.9), Decision.SUGGEST),
    ],
)
def test_auto_stands_only_for_a_sure_draft_that_touches_nothing(draft: Candidate, decision: Decision) -> None:
    slate = slate_of(draft, judgement=AUTO)
    assert slate.decision is decision
    assert (auto_draft(slate) is not None) == (decision is Decision.AUTO)


def test_the_risks_of_the_question_are_on_every_draft() -> None:
    judgement = Judgement(decision=Decision.SUGGEST, why="", risks=frozenset({Risk.MONEY}))
    assert slate_of(candidate("yes"), judgement=judgement).shown[0].risks == {Risk.MONEY}
