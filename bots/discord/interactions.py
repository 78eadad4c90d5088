"""What the owner does with the app: message commands, buttons on cards, and the form for rewording.

Everything is answered within Discord's three seconds, before any work is done. Nobody but the owner is
obeyed: others get one fixed line that they alone see, and nothing else happens.
"""

from collections.abc import Callable

import structlog

from bots.discord.card_view import Pressed, edit_form, pressed, quoted_lines
from bots.discord.places import Places
from bots.discord.raw import Raw, part, parts
from bots.discord.rest import Address, Api, at
from bots.discord.sending import MOST_TEXT, SUPPRESS_EMBEDS, plain
from bots.discord.tickets import EPHEMERAL, Ticket, Tickets
from bots.discord.translate import Identities, message_new
from core.clock import Clock
from core.desk import Desk
from core.errors import PlatformError
from core.events import Author, DraftAction, DraftVerb, Event, MessageNew, SuggestAsked

log = structlog.get_logger()

SUGGEST, ADD = "Suggest a reply", "Add to context"
COMMANDS: list[Raw] = [
    {"name": name, "type": 3, "integration_types": [0, 1], "contexts": [0, 1, 2]} for name in (SUGGEST, ADD)
]
"""Both in the menu of every message, wherever the owner is: in servers, direct chats and groups."""

COMMAND, COMPONENT, MODAL = 2, 3, 5
SAY, DEFER, DEFER_UPDATE, FORM = 4, 5, 6, 9
AT_ONCE = 2.5
"""Seconds for the first answer: Discord drops an interaction after three."""

NOT_YOURS = "This is somebody's private assistant. It listens to its owner alone."
OWN_WORDS = "That is your own message. Ask for a reply to somebody else's."
OUR_OWN_CHAT = "What is said between you and me is kept nowhere. Use this in another chat."
NO_WORDS = "There are no words in that message."
A_BOT = "That message is an app's. Ask for a reply to a person's."
ADDED = "Noted. It will be known here when a reply is drafted."
CLOSED = "That card is closed."


class Interactions:
    """Answers interactions, and tells which events they are."""

    def __init__(
        self,
        api: Api,
        places: Places,
        tickets: Tickets,
        desk: Desk,
        clock: Clock,
        owner: str,
        wait_for_card: Callable[[Ticket], None],
    ) -> None:
        self._api, self._places, self._tickets = api, places, tickets
        self._desk, self._clock, self._owner = desk, clock, owner
        self._wait_for_card = wait_for_card

    async def events(self, raw: Raw, who: Identities) -> tuple[Event, ...]:
        user = part(raw, "user") or part(part(raw, "member"), "user")
        if str(user.get("id")) != self._owner:
            await self._say(raw, NOT_YOURS)
            return ()
        data = part(raw, "data")
        if raw["type"] == COMMAND:
            return await self._command(raw, data, who)
        what = pressed(str(data.get("custom_id") or ""))
        if what is None or raw["type"] not in {COMPONENT, MODAL}:
            return ()
        if raw["type"] == MODAL:
            return await self._act(raw, what, text=_typed(data))
        match what.verb:
            case DraftVerb.WHY:
                await self._say(raw, quoted_lines(await self._desk.why(what.draft)))
                return ()
            case DraftVerb.EDIT:
                return await self._open_form(raw, what)
            case _:
                return await self._act(raw, what)

    # ── message commands ─────────────────────────────────────────────────────────────────────

    async def _command(self, raw: Raw, data: Raw, who: Identities) -> tuple[Event, ...]:
        target = part(part(part(data, "resolved"), "messages"), str(data.get("target_id")))
        if data.get("name") not in {SUGGEST, ADD} or not target:
            return ()
        if str(raw["channel_id"]) == self._places.control:
            await self._say(raw, OUR_OWN_CHAT)
            return ()
        message = self._pointed_at(raw, target, who, asked=data["name"] == SUGGEST)
        refusal = _refusal(message, asked=data["name"] == SUGGEST)
        if message is None or refusal:
            await self._say(raw, refusal)
            return ()
        if data["name"] == ADD:
            await self._say(raw, ADDED)
            return (message,)
        await self._answer(raw, DEFER, {"flags": EPHEMERAL})
        ticket = await self._tickets.keep(raw)
        self._wait_for_card(ticket)
        return (message, self._asked(raw, message, ticket.id))

    def _pointed_at(self, raw: Raw, target: Raw, who: Identities, *, asked: bool) -> MessageNew | None:
        """The message the owner named. Only noted, it opens no turn: it counts as read from history."""
        place = self._places.pointed_at(raw, part(target, "author"))
        return message_new(
            target, place, who, key=f"pointed:{raw['id']}", backfilled=not asked, pointed_at=True
        )

    def _asked(self, raw: Raw, message: MessageNew, ticket: str) -> SuggestAsked:
        return SuggestAsked(
            key=f"ask:{raw['id']}",
            chat=message.chat,
            at=self._clock.now(),
            message_id=message.message_id,
            ticket=ticket,
        )

    # ── cards ────────────────────────────────────────────────────────────────────────────────

    async def _open_form(self, raw: Raw, what: Pressed) -> tuple[Event, ...]:
        draft = await self._desk.draft(what.draft)
        if draft is None:
            await self._say(raw, CLOSED)
        else:
            await self._answer(raw, FORM, edit_form(what, draft.text))
        return ()

    async def _act(self, raw: Raw, what: Pressed, text: str | None = None) -> tuple[Event, ...]:
        await self._answer(raw, DEFER_UPDATE)
        if what.verb in {DraftVerb.SEND, DraftVerb.EDIT}:
            await self._tickets.keep(raw, posts=True)
        return (
            DraftAction(
                key=f"press:{raw['id']}",
                chat=self._places.chat(what.chat),
                at=self._clock.now(),
                draft=what.draft,
                verb=what.verb,
                text=text,
                ticket=str(raw["id"]),
            ),
        )

    # ── answers ──────────────────────────────────────────────────────────────────────────────

    async def _say(self, raw: Raw, text: str) -> None:
        """One line that only the person who acted sees."""
        short = text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
        await self._answer(raw, SAY, plain(short) | {"flags": EPHEMERAL | SUPPRESS_EMBEDS})

    async def _answer(self, raw: Raw, kind: int, data: Raw | None = None) -> None:
        """The first answer. One that fails loses nothing: what the owner wants is carried out all the same."""
        body: Raw = {"type": kind} | ({} if data is None else {"data": data})
        try:
            await self._api.call("POST", self._callback(raw), body, seconds=AT_ONCE)
        except PlatformError as error:
            log.warning("interaction.unanswered", kind=kind, error=type(error).__name__)

    def _callback(self, raw: Raw) -> Address:
        path = "/interactions/{webhook_id}/{webhook_token}/callback"
        return at(path, webhook_id=str(raw["id"]), webhook_token=str(raw["token"]))


def _refusal(message: MessageNew | None, *, asked: bool) -> str:
    if message is None:
        return NO_WORDS
    if asked and message.author is Author.OWNER:
        return OWN_WORDS
    return A_BOT if asked and message.author is not Author.CONTACT else ""


def _typed(data: Raw) -> str:
    """What the owner wrote into the form."""
    rows = parts(data, "components")
    fields = [field for row in rows for field in (*parts(row, "components"), part(row, "component"))]
    return next((str(field["value"]) for field in fields if field.get("custom_id") == "text"), "")
