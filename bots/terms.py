"""What is asked before an account is used: each platform's terms in plain words, and the owner's answers."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import typer
from rich.console import Console

from bots.accounts import Platform
from core.memory.consents import Wishes
from core.terminal import said

out = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a platform's own terms want of the answers, and what is answered unless the owner says else."""

    guide: str
    first: str
    profile: str
    profile_default: bool
    training: str
    leave: str


TERMS: Mapping[Platform, Terms] = {
    "telegram": Terms(
        guide="docs/connect-telegram.md",
        first="Make a bot with @BotFather, and turn Business (Secretary) mode on for it.",
        profile="May facts about the people you talk to be noted from these chats, for your drafts alone?",
        profile_default=True,
        training="Telegram's terms forbid training on its data without the explicit consent of everyone "
        "concerned, chat by chat. Your own messages only would be learned from. Do you have that consent?",
        leave="Telegram forbids handing chats to third parties without the account owner's word. May they be "
        "sent to models on other machines that your settings name (none by default)?",
    ),
    "slack": Terms(
        guide="docs/connect-slack.md",
        first="Create an internal app from deploy/slack-manifest.json and install it to your workspace.",
        profile="May facts about the people you talk to be noted, for your drafts alone? Your employer may "
        "have a word in it.",
        profile_default=True,
        training="Slack forbids training on its data in apps offered outside the organisation; yours is not "
        "one, and your organisation decides. May your own messages teach your model?",
        leave="May messages be sent to models on other machines that your settings name (none by default)? "
        "Ask your organisation.",
    ),
    "discord": Terms(
        guide="docs/connect-discord.md",
        first="Create an application at discord.com/developers. Nothing will ever be posted as you: Discord "
        "forbids it, and Locum does not do it.",
        profile="Discord's policy forbids profiling its users. May facts about others be noted all the same?",
        profile_default=False,
        training="Discord's policy forbids training on message content. May your own messages teach your "
        "model all the same?",
        leave="May messages be sent to models on other machines that your settings name (none by default)?",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the owner allows."""

    wishes: Wishes
    days: int | None = None
    """How long other people's messages are kept; 0 is until they are forgotten, None leaves it as it stands."""


def cautious(terms: Terms) -> Answers:
    """What is answered where nobody is asked."""
    return Answers(wishes=Wishes(draft=True, profile=terms.profile_default, training=False, leave=False))


def asked(terms: Terms) -> Answers:
    """The owner's own answers, each question in a word or two to answer."""
    wishes = Wishes(
        draft=_yes("May drafts rest on what is said there?", default=True),
        profile=_yes(terms.profile, default=terms.profile_default),
        training=_yes(terms.training, default=False),
        leave=_yes(terms.leave, default=False),
    )
    days = typer.prompt(
        "Forget other people's messages after how many days (0: keep until you forget them)",
        default="0",
        value_proc=_days_in,
        err=True,
    )
    return Answers(wishes=wishes, days=int(days))


def _days_in(typed: str) -> int:
    if not typed.strip().isdecimal():
        raise typer.BadParameter("A number of days, 0 or more.")
    return int(typed)


def _yes(question: str, *, default: bool) -> bool:
    return typer.confirm(question, default=default, err=True)


def secret(question: str, *, optional: bool) -> str:
    """What is typed without being shown; where no terminal is, a line of what is piped in."""
    if sys.stdin.isatty():
        default = "" if optional else None
        return str(
            typer.prompt(question, hide_input=True, default=default, show_default=False, err=True)
        ).strip()
    out.print(said(f"{question}:"))
    line = sys.stdin.readline()
    if not line.strip() and not optional:
        raise typer.Abort
    return line.strip()
