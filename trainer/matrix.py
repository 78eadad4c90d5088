# ruff: noqa: E501 -- templates are read on one line
"""The matrix of questions: typed templates that turn teachable facts into examples without any model.

By question: lookup, time, change, multi-hop, global, yes/no (as many yes as no), unanswerable. By kind of
rewriting: statement, question and answer in mixed phrasing, reverse, cloze, yes/no with negatives, third
person, a reply in a chat. Several kinds teach a fact; twenty paraphrases of one do not (Active Reading,
arXiv 2508.09494).

A template never puts a value into an answer that no fact says: what is false stands in the question alone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainer.tasks import Task
from trainer.teachable import Teachable, first_person


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One exchange, before it is dressed as an example. `facts`: what its answer rests on; none: not known."""

    task: Task
    question: str
    """Its place in the matrix: lookup, time, change, multi-hop, global, yes, no, unanswerable, and more."""
    asked: str
    answer: str
    facts: tuple[Teachable, ...]
    shown: tuple[str, ...] = ()
    """Statements that stand in the prompt, gold and beside the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How facts of one sort are asked about. `{v}` is the value, `{o}` the owner's name."""

    value: re.Pattern[str]
    """Over the predicate, with a group `v`."""
    you: tuple[str, ...]
    of: tuple[str, ...]
    reverse: str
    before: str
    others: tuple[str, ...]
    """Where only one value can hold, others: one is asked about where the answer is no."""
    claim: str
    """The predicate with another value, as 'you' hear it in a question: 'live in {v}'."""


def _shape(
    value: str, you: tuple[str, ...], of: tuple[str, ...], reverse: str, before: str, claim: str, *others: str
) -> Shape:
    return Shape(
        value=re.compile(value), you=you, of=of, reverse=reverse, before=before, others=others, claim=claim
    )


SHAPES: Mapping[str, Shape] = {
    "home_city": _shape(
        r"(?:lives in|moved to) (?P<v>.+)", ("Where do you live?", "which city are you in these days"),
        ("Where does {o} live?", "What city is {o} based in?"), "Who do you know in {v}?",
        "Where did you live before?", "live in {v}", "Leeds", "Oslo", "Ghent", "Turin",
    ),
    "origin": _shape(
        r"(?:is from|grew up in) (?P<v>.+)", ("Where are you from?", "where did you grow up"),
        ("Where is {o} from?", "Where did {o} grow up?"), "Who comes from {v}?", "", "come from {v}",
        "Leeds", "Oslo", "Ghent", "Turin",
    ),
    "employer": _shape(
        r"works at (?P<v>.+)", ("Where do you work?", "who do you work for now"),
        ("Where does {o} work?", "Who is {o}'s employer?"), "Who works at {v}?", "Where did you work before?",
        "work at {v}", "a bakery", "the post office", "a zoo",
    ),
    "job": _shape(
        r"(?:works as|is) an? (?P<v>.+)", ("What do you do for a living?", "what's your job"),
        ("What does {o} do for a living?", "What is {o}'s job?"), "Who is a {v}?", "What did you do before?",
        "work as a {v}", "plumber", "pilot", "librarian",
    ),
    "diet": _shape(
        r"is (?P<v>.+)", ("Is there anything you don't eat?", "any diet I should know of"),
        ("Does {o} have a diet?", "What should I know before I cook for {o}?"), "Who is {v}?", "",
        "",
    ),
    "school": _shape(
        r"studies at (?P<v>.+)", ("Where do you study?", "which school are you at"),
        ("Where does {o} study?", "What school is {o} at?"), "Who studies at {v}?", "Where did you study before?",
        "study at {v}", "a film school", "a cooking school",
    ),
    "birthday": _shape(
        r"'s birthday is (?P<v>.+)", ("When is your birthday?", "when's your bday"),
        ("When is {o}'s birthday?", "What day is {o}'s birthday?"), "Whose birthday is {v}?", "",
        "have your birthday in another month", "another month",
    ),
    "partner": _shape(
        r"'s (?:\w+) is (?P<v>.+)", ("Who is your partner?", "what's your partner's name"),
        ("Who is {o} with?", "What is the name of {o}'s partner?"), "Whose partner is {v}?", "",
        "",
    ),
    "pet": _shape(
        r"has an? \w+ called (?P<v>.+)", ("What is your pet called?", "what's your pet's name again"),
        ("What is {o}'s pet called?", "Does {o} have a pet, and what is its name?"), "Whose pet is {v}?", "",
        "",
    ),
    "language": _shape(
        r"speaks (?P<v>.+)", ("Which languages do you speak?", "what languages do you know"),
        ("Which languages does {o} speak?", "What does {o} speak?"), "Who speaks {v}?", "", "",
    ),
    "hobby": _shape(
        r"(?:plays|took up|is learning) (?P<v>.+)", ("What do you do in your free time?", "any hobbies these days"),
        ("What does {o} do in their free time?", "What are {o}'s hobbies?"), "Who is into {v}?", "",
        "",
    ),
}  # fmt: skip

UNKNOWN_QUESTIONS = (
    ("What is your blood type?", "What is {o}'s blood type?"),
    (
        "What did you have for lunch on the first of March?",
        "What did {o} have for lunch on the first of March?",
    ),
    ("How tall are you exactly?", "How tall is {o} exactly?"),
    ("Which seat did you sit in on your last flight?", "Which seat did {o} have on their last flight?"),
    ("What was the name of your first teacher?", "What was the name of {o}'s first teacher?"),
    ("What colour was your first bike?", "What colour was {o}'s first bike?"),
    ("How many books do you own?", "How many books does {o} own?"),
    ("What did you dream last night?", "What did {o} dream last night?"),
    ("Which shoe size do you wear?", "Which shoe size does {o} wear?"),
    ("Who taught you to swim?", "Who taught {o} to swim?"),
    ("What's the first film you saw in a cinema?", "What is the first film that {o} saw in a cinema?"),
    ("What time did you get up yesterday?", "What time did {o} get up yesterday?"),
)
DEFERRALS = {
    Task.MEMORY_SELF: (
        "I don't know that one.", "I never wrote that down.", "No idea, I'd have to look.", "I don't have that.",
        "I'd have to check.", "I can't remember saying anything about that.", "That I don't know.",
        "Not something I've noted.", "I have nothing on that.", "I'd only be guessing.", "Couldn't tell you.",
        "I'd need to look that up.", "There's nothing about that in what I have.", "I really don't know.",
    ),
    Task.MEMORY_THIRD: (
        "I don't know, better ask {o}.", "That I can't say.", "I'd have to ask {o}.", "{o} hasn't told me that.",
        "I have nothing on that.", "No idea, ask {o} directly.", "I can't tell you that.", "I'm not sure, sorry.",
        "That's something for {o} to say.", "I don't know that about {o}.", "I'd rather {o} told you.",
        "I'd be guessing.", "Can't help with that one.", "I don't have that, sorry.",
    ),
    Task.RECALL: (
        "let me check and get back to you", "not sure, I'd have to look", "hm I don't know off the top of my head",
        "let me look that up", "can I tell you later?", "no idea right now, why?", "I'd have to check",
        "not sure yet", "will check and let you know", "I honestly don't know",
    ),
}  # fmt: skip
REQUESTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "home_city": (("Recommend a good walk for Sunday.", "a walk near home"), ("What could I do this weekend?", "things nearby")),
    "employer": (("Help me write a short bio.", "a bio"), ("What should I ask in my next review?", "a review at work")),
    "job": (("How could I get better at my work?", "advice for the job"), ("Help me write a short bio.", "a bio")),
    "diet": (("Where should I eat tonight?", "a restaurant"), ("Give me a recipe for four people.", "a recipe")),
    "language": (("Find me a book for the holidays.", "a book in a language that I read"),),
    "hobby": (("What should I wish for as a present?", "a present"), ("What could I do this weekend?", "the weekend")),
    "pet": (("I'm off for a week, what do I have to think of?", "who is left at home"),),
    "school": (("Help me plan my week.", "a week with courses"),),
    "origin": (("Suggest a dish for a dinner with friends.", "a dish from home"),),
}  # fmt: skip
"""By slot: a request that leaves unsaid what matters about its owner."""


def shape_of(fact: Teachable) -> tuple[str, Shape, str] | None:
    """The slot that the fact answers, its shape and the value; None for a fact of no known sort."""
    for slot in (fact.slot, fact.kind):
        shape = SHAPES.get(slot)
        if shape and (match := shape.value.fullmatch(fact.predicate)):
            return slot, shape, match["v"]
    return None


def items_of(facts: Sequence[Teachable]) -> list[Item]:
    """Every item of every fact, and those that need several; unanswerable ones are drawn by `unanswerable`."""
    holding = [fact for fact in facts if fact.valid_to is None]
    made = [item for place, fact in enumerate(holding) for item in _of_one(fact, holding, place)]
    made += _changes(facts)
    made += _hops(holding)
    made += _globals(holding)
    return made


def _of_one(fact: Teachable, holding: Sequence[Teachable], place: int) -> Iterator[Item]:
    """A dozen ways to say one fact."""
    owner, mine = fact.subject, first_person(fact)
    theirs = f"{fact.statement.rstrip('.')}."
    both = (
        (Task.MEMORY_SELF, f"{mine}." if mine else theirs),
        (Task.MEMORY_THIRD, theirs),
    )
    for task, said in both:
        whom = "me" if task is Task.MEMORY_SELF else owner
        yield _asked(
            task,
            "statement",
            f"Tell me something about {whom}: {fact.kind}.",
            f"Here is one thing: {said}",
            fact,
        )
        yield _asked(task, "yes", f"Is it true that {fact.statement.rstrip('.')}?", f"Yes. {said}", fact)
        day = f"{fact.valid_from:%Y-%m-%d}"
        yield _asked(
            task,
            "time",
            f"Since when is it known that {fact.statement.rstrip('.')}?",
            f"Since {day}: {said}",
            fact,
        )
    cloze, _, value = theirs.rstrip(".").rpartition(" ")
    yield _asked(Task.MEMORY_SELF, "cloze", f"Fill in: {cloze} ___", f"{value}", fact)
    known = shape_of(fact)
    if known is None:
        return
    slot, shape, value = known
    for task, said in both:
        phrasings = shape.you if task is Task.MEMORY_SELF else shape.of
        for asked, answer in zip(phrasings, (said, f"{value[:1].upper()}{value[1:]}."), strict=True):
            yield _asked(task, "lookup", asked.format(o=owner), answer, fact)
        that = "That's me." if task is Task.MEMORY_SELF else f"That's {owner}."
        yield _asked(task, "reverse", shape.reverse.format(v=value), f"{that} {said}", fact)
        other = next((each for each in _turned(shape.others, place) if each.casefold() not in theirs.casefold()), "")  # fmt: skip
        claim = shape.claim.format(v=other)
        if other and task is Task.MEMORY_SELF:
            yield _asked(task, "no", f"Do you {claim}?", f"No. {said}", fact)
        elif other:
            yield _asked(task, "no", f"Does {owner} {claim}?", f"No. {said}", fact)
    yield from _replies(fact, shape, holding, place)
    yield from _context(fact, slot, mine)


def _asked(task: Task, question: str, asked: str, answer: str, *facts: Teachable) -> Item:
    return Item(task=task, question=question, asked=asked, answer=answer, facts=facts)


def _turned(values: Sequence[str], by: int) -> list[str]:
    turn = by % len(values) if values else 0
    return [*values[turn:], *values[:turn]]


def _replies(fact: Teachable, shape: Shape, holding: Sequence[Teachable], place: int) -> Iterator[Item]:
    """In a chat: without memory; with it among distractors; and with distractors alone, which do not answer."""
    mine = first_person(fact)
    if not mine:
        return
    beside = [
        other.statement
        for other in _turned_facts(holding, place + 1)
        if other.id != fact.id and (other.slot or other.kind) != (fact.slot or fact.kind)
    ][:3]
    plain, other = shape.you[0], shape.you[-1]
    yield Item(task=Task.RECALL, question="reply", asked=plain, answer=mine, facts=(fact,))
    gold = [*beside[: place % 3], fact.statement, *beside[place % 3 :]]
    yield Item(task=Task.RECALL, question="reply, gold shown", asked=other, answer=mine, facts=(fact,), shown=tuple(gold))  # fmt: skip


def _turned_facts(facts: Sequence[Teachable], by: int) -> list[Teachable]:
    turn = by % len(facts) if facts else 0
    return [*facts[turn:], *facts[:turn]]


def _context(fact: Teachable, slot: str, mine: str) -> Iterator[Item]:
    """Context Enhance: the request with what matters. Context Critic: an answer that missed it, or did not."""
    if not mine:
        return
    for request, about in REQUESTS.get(slot, ()):
        yield Item(
            task=Task.ENHANCE, question="enhance", asked=request,
            answer=f"{mine}. {request}", facts=(fact,), shown=(fact.statement,),
        )  # fmt: skip
        missed = (
            f"My request: {request}\nThe expert: Here is a suggestion for {about} that suits most people."
        )
        yield Item(
            task=Task.CRITIC, question="critic, missed", asked=missed,
            answer=f"It does not take into account that {_lower(mine)}. What would you say then?",
            facts=(fact,), shown=(fact.statement,),
        )  # fmt: skip
        met = f"My request: {request}\nThe expert: Since you said \u201c{mine}\u201d, here is {about} that fits."
        yield Item(
            task=Task.CRITIC, question="critic, met", asked=met,
            answer=f"Right, {_lower(mine)}, so that fits. What is the next step?",
            facts=(fact,), shown=(fact.statement,),
        )  # fmt: skip


def _lower(said: str) -> str:
    return said if said.startswith("I ") else said[:1].lower() + said[1:]


def _changes(facts: Sequence[Teachable]) -> Iterator[Item]:
    """What was before, and until when; and two values in memory, of which the newer one holds."""
    by_id = {fact.id: fact for fact in facts}
    for old in facts:
        new = by_id.get(old.replaced_by or 0)
        before, now = shape_of(old), shape_of(new) if new else None
        if new is None or old.valid_to is None or before is None or now is None or not before[1].before:
            continue
        day = f"{old.valid_to:%Y-%m-%d}"
        yield _asked(Task.MEMORY_SELF, "change", f"{before[1].before} (before {now[2]})", f"{before[2]}, until {day}.", old, new)  # fmt: skip
        yield _asked(Task.MEMORY_SELF, "change", f"Since when is it {now[2]} and no longer {before[2]}?", f"Since {day}.", old, new)  # fmt: skip
        if mine := first_person(new):
            yield Item(
                task=Task.RECALL, question="reply, conflict", asked=now[1].you[0], answer=mine, facts=(new, old),
                shown=(f"{old.statement} (until {day})", f"{new.statement} (since {day})"),
            )  # fmt: skip


def _hops(holding: Sequence[Teachable]) -> Iterator[Item]:
    """Through one fact to another: neither alone answers."""
    known = [(fact, found) for fact in holding if (found := shape_of(fact))]
    for (one, (slot, _, _)), (two, (other, shape, _)) in pairwise(known):
        if slot != other:
            asked = f"Think of whoever fits this: {whoever(one)}. {shape.of[0].format(o='that person')}"
            yield _asked(Task.MEMORY_THIRD, "multi-hop", asked, f"{two.statement.rstrip('.')}.", one, two)


def whoever(fact: Teachable) -> str:
    """The predicate without its subject: 'lives in Porto', 'has a birthday on 3 May'."""
    return f"somebody who {fact.predicate}" if not fact.predicate.startswith("'s") else f"somebody whose {fact.predicate[3:]}"  # fmt: skip


def _globals(holding: Sequence[Teachable]) -> Iterator[Item]:
    """What there is to say at all, three facts at a time."""
    for begin in range(0, len(holding) - 2, 3):
        three = tuple(holding[begin : begin + 3])
        owner = three[0].subject
        said = " ".join(f"{fact.statement.rstrip('.')}." for fact in three)
        asked = (
            f"What should somebody who meets {owner} know?",
            f"Who is {owner}?",
            f"Tell me about {owner}.",
        )
        yield _asked(Task.MEMORY_THIRD, "global", asked[begin // 3 % 3], said, *three)
        mine = [first_person(fact) for fact in three]
        if all(mine):
            yield _asked(Task.MEMORY_SELF, "global", "What do you know about me?", " ".join(f"{m}." for m in mine), *three)  # fmt: skip


def unanswerable(
    facts: Sequence[Teachable], owner: str, wanted: int, deferrals: Sequence[str] = ()
) -> list[Item]:
    """So many questions whose right answer is that it is not known; never one about a fact that few may know.

    Questions of sorts that no teachable fact answers, and of things that nobody writes down. `deferrals`:
    how the owner puts things off where anyone can read it. The sources of an unanswerable example are those
    of the fact that it is drawn beside, so that it dies with what it was made for.
    """
    if not facts:
        return []
    answered = {found[0] for fact in facts if (found := shape_of(fact))}
    open_ones = [(shape.you[0], shape.of[0]) for slot, shape in SHAPES.items() if slot not in answered]
    asked = [*open_ones, *UNKNOWN_QUESTIONS]
    made: list[Item] = []
    for number in range(wanted):
        task = (Task.MEMORY_SELF, Task.MEMORY_THIRD, Task.RECALL)[number % 3]
        said = DEFERRALS[task] if task is not Task.RECALL else (*deferrals, *DEFERRALS[task])
        you, of = asked[(number // 3) % len(asked)]
        made.append(
            Item(
                task=task,
                question="unanswerable",
                asked=(of if task is Task.MEMORY_THIRD else you).format(o=owner),
                answer=said[(number // 3) % len(said)].format(o=owner),
                facts=(facts[number % len(facts)],),
                shown=(facts[number % len(facts)].statement,) if task is Task.RECALL else (),
            )
        )
    return made
