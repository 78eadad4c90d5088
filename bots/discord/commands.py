"""What the owner types in the direct chat with the bot: asked of the desk, answered there, stored nowhere."""

import io
import time

import discord

from bots.card_text import draft_of
from bots.discord.card_view import quoted, quoted_lines
from bots.discord.raw import Raw
from bots.discord.rest import MESSAGES, Api, at
from bots.discord.sending import LONGEST, MOST_TEXT, nonce_of, plain, post
from bots.words import split_text
from core.clock import Clock
from core.desk import Desk, DeskChat
from core.errors import BadInput
from core.events import DraftAction, DraftVerb
from core.vocabulary import Mode

HELP = """\
I draft replies for you. In any chat: open a message's menu, **Apps**, **Suggest a reply**; or **Add to context**, \
and I only read it. What I post shows as the app: Discord lets nobody but you post as you.
`status` · `chats [NAME]` · `privacy` · `pause [HOURS]` · `resume`
`listen NAME` · `ignore NAME` · `mode off|suggest NAME`
`send CODE` · `edit CODE: YOUR WORDS` · `discard CODE` · `mute CODE` · `why CODE`
`forget NAME`, then `really forget NAME` · `export [NAME]`"""
UNKNOWN = "I don't know that. Write `help` to see what I do."
NO_CARD = "There is no open card with that code."
FORWARDED = (
    "A forwarded message doesn't tell who wrote it. Open the message itself, its menu, **Apps**, "
    "**Suggest a reply**."
)
PAUSE_HOURS = 8.0
VERBS = {
    "send": DraftVerb.SEND,
    "edit": DraftVerb.EDIT,
    "discard": DraftVerb.DISCARD,
    "mute": DraftVerb.MUTE,
}


class Commands:
    def __init__(self, api: Api, desk: Desk, clock: Clock) -> None:
        self._api, self._desk, self._clock = api, desk, clock

    async def events(self, raw: Raw) -> tuple[DraftAction, ...]:
        """Carry out one line of the owner's; a press in words is an event like any press."""
        if raw.get("message_snapshots"):
            await self._say(raw, FORWARDED)
            return ()
        word, _, rest = str(raw.get("content") or "").strip().removeprefix("/").partition(" ")
        word, rest = word.lower(), rest.strip()
        if word in VERBS:
            return await self._press(raw, VERBS[word], rest)
        if word == "export":
            await self._export(raw, rest)
        else:
            await self._say(raw, await self._answer(word, rest))
        return ()

    async def _answer(self, word: str, rest: str) -> str:  # noqa: C901, PLR0911 -- one line a command
        match word:
            case "status":
                return quoted_lines(await self._desk.status())
            case "privacy":
                return quoted_lines(await self._desk.privacy())
            case "pause":
                hours = _hours(rest)
                return "Write `pause 3` for three hours." if hours is None else await self._desk.pause(hours)
            case "resume":
                return await self._desk.pause(None)
            case "chats":
                return _listed(await self._desk.chats(rest))
            case "why":
                draft = draft_of(rest)
                return NO_CARD if draft is None else quoted_lines(await self._desk.why(draft))
            case "listen" | "ignore":
                found = await self._one_chat(rest)
                return (
                    found
                    if isinstance(found, str)
                    else quoted_lines(await self._desk.listen(found.ref, on=word == "listen"))
                )
            case "mode":
                return await self._mode(rest)
            case "forget":
                return await self._forget(rest)
            case "really":
                name = rest.removeprefix("forget ").strip()
                return await self._forget(name, confirmed=True) if name != rest else UNKNOWN
            case "help" | "start":
                return HELP
            case _:
                return UNKNOWN

    async def _forget(self, name: str, *, confirmed: bool = False) -> str:
        if not name:
            return "Whom or what? Write `forget NAME`."
        try:
            told = await self._desk.forget(name, confirmed=confirmed)
        except BadInput as error:
            return quoted_lines(str(error))
        told = quoted_lines(told)
        return told if confirmed else f"{told}\nIf that is what you want: `really forget {name}`"

    async def _mode(self, rest: str) -> str:
        mode, _, name = rest.partition(" ")
        if mode not in set(Mode):
            return "Write `mode off NAME` or `mode suggest NAME`."
        found = await self._one_chat(name)
        return (
            found
            if isinstance(found, str)
            else quoted_lines(await self._desk.set_mode(found.ref, Mode(mode)))
        )

    async def _one_chat(self, name: str) -> DeskChat | str:
        """The chat of that name, or what is wrong with the name."""
        found = await self._desk.chats(name.strip()) if name.strip() else ()
        exact = [chat for chat in found if chat.title.lower() == name.strip().lower()]
        match exact or found:
            case [chat]:
                return chat
            case []:
                return "No chat is called that. Write `chats` to see them."
            case several:
                return "Several are called that:\n" + _listed(tuple(several))

    async def _press(self, raw: Raw, verb: DraftVerb, rest: str) -> tuple[DraftAction, ...]:
        code, _, words = rest.partition(":" if verb is DraftVerb.EDIT else " ")
        number = draft_of(code)
        draft = await self._desk.draft(number) if number is not None else None
        if draft is None:
            await self._say(raw, NO_CARD)
            return ()
        if verb is DraftVerb.EDIT and not words.strip():
            await self._say(raw, f"Write `edit {code.strip()}: YOUR WORDS`.")
            return ()
        return (
            DraftAction(
                key=f"command:{raw['id']}",
                chat=draft.chat,
                at=self._clock.now(),
                draft=draft.draft,
                verb=verb,
                text=words.strip() if verb is DraftVerb.EDIT else None,
            ),
        )

    async def _export(self, raw: Raw, name: str) -> None:
        try:
            kept = await self._desk.export(name)
        except BadInput as error:
            await self._say(raw, quoted_lines(str(error)))
            return
        nonce = nonce_of(f"answer {raw['id']}")
        file = discord.File(io.BytesIO(kept), "locum-export.json")
        where = at(MESSAGES, channel_id=str(raw["channel_id"]))
        await self._api.call("POST", where, plain("What is kept:", nonce=nonce), files=[file])

    async def _say(self, raw: Raw, text: str) -> None:
        """An answer in the owner's chat; the nonce makes one of a command that is delivered twice."""
        deadline = time.monotonic() + LONGEST
        for number, part in enumerate(split_text(text, MOST_TEXT)):
            nonce = nonce_of(f"answer {raw['id']}", number)
            await post(self._api, str(raw["channel_id"]), plain(part), nonce, deadline)


def _hours(rest: str) -> float | None:
    if not rest:
        return PAUSE_HOURS
    try:
        hours = float(rest.split(maxsplit=1)[0].removesuffix("h"))
    except ValueError:
        return None
    return hours if 0 < hours <= 24 * 365 else None


def _listed(chats: tuple[DeskChat, ...]) -> str:
    lines = [
        f"{quoted(chat.title) or 'without a name'} · {chat.mode}{'' if chat.listened else ' · not listened to'}"
        for chat in chats
    ]
    return "\n".join(lines) or "There are no chats yet."
