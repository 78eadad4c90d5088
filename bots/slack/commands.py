"""What the owner types to the app: words without a slash, answered where only the owner reads."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bots.card_text import draft_of
from core.clock import Clock
from core.desk import Desk, DeskChat
from core.errors import BadInput, NotAllowed
from core.events import ChatRef, DraftAction, DraftVerb
from core.vocabulary import Mode

HELP = """\
status – how Locum fares
pause 3 – no drafts for 3 hours; resume ends that
chats [NAME] – your chats and their rules
listen NAME, ignore NAME – keep what is said in a chat, or no more
mode NAME off|suggest – whether drafts are made in a chat
why CODE – how a draft came about
send CODE, edit CODE new words, discard CODE, mute CODE – what a card's buttons do
forget NAME – what would be forgotten; forget NAME for good – do it
export NAME – everything kept about a contact or a chat, as a file
privacy – what is kept, where and how long"""

FOR_GOOD = re.compile(r"\s+for good$", re.IGNORECASE)
MOST_HOURS = 24 * 365.0
VERBS = {
    "send": DraftVerb.SEND,
    "edit": DraftVerb.EDIT,
    "discard": DraftVerb.DISCARD,
    "mute": DraftVerb.MUTE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to tell the owner, and what to hand to core."""

    text: str = ""
    action: DraftAction | None = None
    file_name: str = ""
    file: bytes = b""


Command = Callable[[Desk, str], Awaitable[Answer]]


async def answer(desk: Desk, clock: Clock, typed: str, key: str) -> Answer:
    """Carry out one line. `key` is the line's own: typed once, it acts once."""
    word, _, rest = typed.strip().partition(" ")
    word, rest = word.lower().lstrip("/"), rest.strip()
    if word in VERBS:
        return await _act(desk, clock, VERBS[word], rest, key)
    command = COMMANDS.get(word)
    if command is None:
        return Answer(text=f"I don’t know “{word[:40]}”. This is what I know:\n{HELP}")
    try:
        return await command(desk, rest)
    except (BadInput, NotAllowed) as error:
        return Answer(text=str(error))


async def _act(desk: Desk, clock: Clock, verb: DraftVerb, rest: str, key: str) -> Answer:
    code, _, words = rest.partition(" ")
    draft = await _draft(desk, code)
    if draft is None:
        return Answer(text="No open card has that code. A card shows the code under each draft.")
    if verb is DraftVerb.EDIT and not words.strip():
        return Answer(text=f"Say: edit {code} and then your own words.")
    chat, number = draft
    return Answer(
        action=DraftAction(
            key=f"typed:{key}",
            chat=chat,
            at=clock.now(),
            draft=number,
            verb=verb,
            text=words.strip() if verb is DraftVerb.EDIT else None,
        )
    )


async def _draft(desk: Desk, code: str) -> tuple[ChatRef, int] | None:
    number = draft_of(code)
    found = await desk.draft(number) if number is not None else None
    return (found.chat, found.draft) if found is not None else None


async def _status(desk: Desk, rest: str) -> Answer:
    del rest
    return Answer(text=await desk.status())


async def _privacy(desk: Desk, rest: str) -> Answer:
    del rest
    return Answer(text=await desk.privacy())


async def _pause(desk: Desk, rest: str) -> Answer:
    try:
        hours = float(rest.split(maxsplit=1)[0].removesuffix("h")) if rest else 0.0
    except ValueError:
        hours = 0.0
    if not 0 < hours <= MOST_HOURS:
        return Answer(text="For how many hours? Say for example: pause 3.")
    return Answer(text=await desk.pause(hours))


async def _resume(desk: Desk, rest: str) -> Answer:
    del rest
    return Answer(text=await desk.pause(None))


async def _why(desk: Desk, rest: str) -> Answer:
    number = draft_of(rest)
    if number is None:
        return Answer(text="Which draft? A card shows the code under each draft.")
    return Answer(text=await desk.why(number))


async def _chats(desk: Desk, rest: str) -> Answer:
    found = await desk.chats(rest)
    lines = [_line(chat) for chat in found]
    return Answer(text="\n".join(lines) or "No chat is called that." if rest or lines else "No chats yet.")


def _line(chat: DeskChat) -> str:
    listens = "listened to" if chat.listened else "not listened to"
    external = ", shared with another organisation" if chat.external else ""
    return f"{chat.title or chat.ref.chat}: {chat.mode.value}, {listens}{external}"


async def _one_chat(desk: Desk, name: str) -> DeskChat:
    """The chat of exactly that name, else the only one that fits. Raises `BadInput`."""
    found = await desk.chats(name) if name else ()
    exact = [chat for chat in found if chat.title.lower() == name.lower()]
    fitting = exact or list(found)
    if len(fitting) != 1:
        raise BadInput("Several chats fit that name." if fitting else "No chat is called that.")
    return fitting[0]


async def _listen(desk: Desk, rest: str) -> Answer:
    return Answer(text=await desk.listen((await _one_chat(desk, rest)).ref, on=True))


async def _ignore(desk: Desk, rest: str) -> Answer:
    return Answer(text=await desk.listen((await _one_chat(desk, rest)).ref, on=False))


async def _mode(desk: Desk, rest: str) -> Answer:
    name, _, wanted = rest.rpartition(" ")
    if wanted.lower() not in set(Mode):
        raise BadInput("Say for example: mode Anna suggest, or mode Anna off.")
    return Answer(text=await desk.set_mode((await _one_chat(desk, name.strip())).ref, Mode(wanted.lower())))


async def _forget(desk: Desk, rest: str) -> Answer:
    name = FOR_GOOD.sub("", rest)
    if not name:
        raise BadInput("Whom or what? Say: forget NAME.")
    if name != rest:
        return Answer(text=await desk.forget(name, confirmed=True))
    return Answer(text=f"{await desk.forget(name)}\nTo do it, say: forget {name} for good")


async def _export(desk: Desk, rest: str) -> Answer:
    return Answer(text="Here it is.", file_name="locum-export.json", file=await desk.export(rest))


async def _help(desk: Desk, rest: str) -> Answer:
    del desk, rest
    return Answer(text=HELP)


COMMANDS: dict[str, Command] = {
    "status": _status,
    "privacy": _privacy,
    "pause": _pause,
    "resume": _resume,
    "why": _why,
    "chats": _chats,
    "listen": _listen,
    "ignore": _ignore,
    "mode": _mode,
    "forget": _forget,
    "export": _export,
    "help": _help,
}
