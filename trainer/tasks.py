"""The synthesised tasks, and how an answer is written in each style of reasoning.

Second Me's four tasks (arXiv 2503.08102): Memory QA for the owner and before a third party, Context
Enhance, Context Critic; and a chat reply with memory in its prompt, some of it beside the point (RAFT,
arXiv 2403.10131). Its three styles of reasoning: Weak (a thought, free of form), Multi-step (numbered
steps, then the answer), Strong (named parts, bounded in length, each statement with its source).
"""

from enum import StrEnum

WEIGHTS = {"reply": 45, "memory": 20, "context": 10, "recall": 10}
"""Shares of what is learned (training notes, 1.2); general chat, 15, is the training's own to add."""


class Task(StrEnum):
    MEMORY_SELF = "memory_self"
    MEMORY_THIRD = "memory_third_party"
    ENHANCE = "context_enhance"
    CRITIC = "context_critic"
    RECALL = "reply_from_memory"


SHARE_OF = {
    Task.MEMORY_SELF: "memory",
    Task.MEMORY_THIRD: "memory",
    Task.ENHANCE: "context",
    Task.CRITIC: "context",
    Task.RECALL: "recall",
}

SYSTEMS = {
    Task.MEMORY_SELF: "You are {owner}'s memory. {owner} asks; answer as {owner} would of themself. "
    "Say so where you do not know.",
    Task.MEMORY_THIRD: "You speak for {owner} to somebody else. Say only what anyone may know of {owner}, "
    "and say so where you do not know.",
    Task.ENHANCE: "{owner} wants to ask an expert. Put {owner}'s request so that the expert knows what matters "
    "about {owner}. Add nothing that is not known.",
    Task.CRITIC: "An expert answered {owner}'s request. Say as {owner} what fits and what does not.",
}
"""`RECALL` has the prompt that serving writes."""


class Reasoning(StrEnum):
    """How the way to an answer is written before it."""

    NONE = "none"
    WEAK = "weak"
    MULTI_STEP = "multi-step"
    STRONG = "strong"


LEAST_PARAMETERS = 1_500_000_000
"""Below, tokens of reasoning cost a model more than they bring (training notes, 1.2)."""
MOST_THOUGHT = 400
"""Characters of a Strong thought."""


def styles_for(setting: str, parameters: int) -> dict[Task, Reasoning]:
    """The style of each task that may be reasoned about. `auto`: none for a small base.

    For a large one, what the paper's own table found best: Weak for Context Enhance, Strong for the rest.
    That has not been measured here: until it has, `auto` is their word.
    """
    if setting == "off" or (setting == "auto" and parameters < LEAST_PARAMETERS):
        return {}
    thoughtful = (Task.MEMORY_SELF, Task.MEMORY_THIRD, Task.ENHANCE, Task.CRITIC)
    if setting == "auto":
        return {task: Reasoning.WEAK if task is Task.ENHANCE else Reasoning.STRONG for task in thoughtful}
    return dict.fromkeys(thoughtful, Reasoning(setting))


def reasoned(style: Reasoning, question: str, known: tuple[str, ...], answer: str) -> str:
    """The answer with the way to it, in that style; known statements are what it rests on."""
    if style is Reasoning.NONE:
        return answer
    thought = {Reasoning.WEAK: _weak, Reasoning.MULTI_STEP: _multi_step, Reasoning.STRONG: _strong}[style](
        question, known
    )
    return f"<think>{thought}</think><answer>{answer}</answer>"


def _weak(_: str, known: tuple[str, ...]) -> str:
    if not known:
        return "I find nothing about that in what I know, so I should not guess."
    return f"What I know about that: {' '.join(known)}"


def _multi_step(question: str, known: tuple[str, ...]) -> str:
    found = " ".join(known) or "nothing that says so."
    last = "Say what follows from it." if known else "Say that I do not know."
    return f"1. Asked: {question}\n2. Known: {found}\n3. {last}"


def _strong(question: str, known: tuple[str, ...]) -> str:
    cited = "\n".join(f"[{number}] {statement}" for number, statement in enumerate(known, 1)) or "none"
    therefore = f"rests on {', '.join(f'[{n}]' for n in range(1, len(known) + 1))}" if known else "not known"
    return f"QUESTION: {question}\nEVIDENCE:\n{cited}\nTHEREFORE: {therefore}"[:MOST_THOUGHT]
