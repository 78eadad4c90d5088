"""Buttons, shortcuts and windows: what the owner does with them. Nobody else's presses do anything."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from bots.slack.blocks import unpacked
from bots.slack.cards import EDIT_WINDOW, SUGGEST, SUGGEST_WINDOW, words_in
from bots.slack.panel import Panel
from bots.slack.reading import Reading
from bots.slack.translate import PLATFORM
from bots.slack.web import Json
from core.clock import Clock
from core.desk import Desk
from core.errors import AccessRevoked, BadInput, NotAllowed, PlatformError
from core.events import Author, ChatRef, DraftAction, DraftVerb, Event, SuggestAsked
from core.vocabulary import Mode

VERBS = {
    verb.value: verb
    for verb in (
        DraftVerb.SEND,
        DraftVerb.DISCARD,
        DraftVerb.MUTE,
        DraftVerb.TELL,
        DraftVerb.CIRCLE,
        DraftVerb.KEEP,
    )
}

OWN_MESSAGE = "Choose a message that somebody wrote to you."
UNKNOWN_CHAT = "Slack does not let Locum read that chat."


class Presses:
    """One workspace's interactive payloads."""

    def __init__(self, reading: Reading, panel: Panel, desk: Desk, clock: Clock) -> None:
        self._reading, self._panel, self._desk, self._clock = reading, panel, desk, clock
        self._actions: dict[str, Callable[[Json, Json], Awaitable[list[Event]]]] = {
            **dict.fromkeys(VERBS, self._act),
            "edit": self._edit,
            "why": self._why,
            "use": self._use,
            "pause": self._pause,
            "resume": self._resume,
            "refresh": self._refresh,
            "listen": self._listen,
            "mode": self._mode,
        }

    async def take(self, payload: Json) -> list[Event]:
        """The events that come of a payload."""
        user = cast("Json", payload.get("user") or {})
        if str(user.get("id")) != self._reading.us.owner_id:
            return []
        try:
            return await self._handle(payload)
        except (BadInput, NotAllowed) as error:
            await self._panel.say(str(error))
            return []

    async def _handle(self, payload: Json) -> list[Event]:
        match payload.get("type"):
            case "block_actions":
                return [
                    event for action in payload["actions"] for event in await self._press(payload, action)
                ]
            case "view_submission":
                return self._submitted(payload)
            case "message_action" if payload.get("callback_id") == SUGGEST:
                return await self._suggest(payload)
            case _:
                return []

    async def _press(self, payload: Json, action: Json) -> list[Event]:
        handle = self._actions.get(str(action.get("action_id")).partition(":")[0])
        return await handle(payload, action) if handle else []

    # ─── on a card ───────────────────────────────────────────────────────────────────────────

    def _unpacked(self, value: object) -> tuple[ChatRef, int]:
        return unpacked(str(value), PLATFORM, self._reading.us.team)

    async def _act(self, payload: Json, action: Json) -> list[Event]:
        del payload
        chat, draft = self._unpacked(action["value"])
        verb = VERBS[str(action["action_id"]).partition(":")[0]]
        return [
            DraftAction(
                key=f"press:{action['action_ts']}:{action['action_id']}:{draft}",
                chat=chat,
                at=self._clock.now(),
                draft=draft,
                verb=verb,
            )
        ]

    async def _edit(self, payload: Json, action: Json) -> list[Event]:
        await self._panel.open_edit(str(payload["trigger_id"]), *self._unpacked(action["value"]))
        return []

    async def _why(self, payload: Json, action: Json) -> list[Event]:
        del payload
        await self._panel.say(await self._desk.why(self._unpacked(action["value"])[1]))
        return []

    # ─── in a window ─────────────────────────────────────────────────────────────────────────

    async def _use(self, payload: Json, action: Json) -> list[Event]:
        await self._panel.use(str(payload["view"]["id"]), *self._unpacked(action["value"]))
        return []

    def _submitted(self, payload: Json) -> list[Event]:
        """The owner's wording; core sees by itself whether it differs from the draft."""
        view = cast("Json", payload["view"])
        if view.get("callback_id") not in (EDIT_WINDOW, SUGGEST_WINDOW):
            return []
        words = words_in(view)
        if not words.strip():
            return []
        chat, draft = self._unpacked(view["private_metadata"])
        return [
            DraftAction(
                key=f"submit:{view['id']}:{view.get('hash', '')}",
                chat=chat,
                at=self._clock.now(),
                draft=draft,
                verb=DraftVerb.EDIT,
                text=words,
            )
        ]

    async def _suggest(self, payload: Json) -> list[Event]:
        """The shortcut: a window at once, for its trigger lives 3 seconds; then the message, and the wish."""
        ticket = await self._panel.open_thinking(str(payload["trigger_id"]))
        channel, raw = str(payload["channel"]["id"]), cast("Json", payload["message"])
        stamp, pressed = str(raw["ts"]), str(payload["action_ts"])
        try:
            message = await self._reading.message(
                channel, raw, pointed_at=True, key=f"pointed:{channel}:{stamp}:{pressed}"
            )
        except AccessRevoked:
            raise
        except PlatformError:
            await self._panel.note(ticket, UNKNOWN_CHAT)
            return []
        if message is None or message.author is not Author.CONTACT or channel == self._panel.channel:
            await self._panel.note(ticket, OWN_MESSAGE)
            return []
        return [
            message,
            SuggestAsked(
                key=f"ask:{channel}:{stamp}:{pressed}",
                chat=message.chat,
                at=self._clock.now(),
                message_id=stamp,
                ticket=ticket,
            ),
        ]

    # ─── on the home page ────────────────────────────────────────────────────────────────────

    async def _pause(self, payload: Json, action: Json) -> list[Event]:
        del payload
        return await self._home(await self._desk.pause(float(action["value"])))

    async def _resume(self, payload: Json, action: Json) -> list[Event]:
        del payload, action
        return await self._home(await self._desk.pause(None))

    async def _listen(self, payload: Json, action: Json) -> list[Event]:
        del payload
        chat, _ = self._unpacked(action["value"])
        return await self._home(await self._desk.listen(chat, on=action["action_id"] == "listen:on"))

    async def _mode(self, payload: Json, action: Json) -> list[Event]:
        del payload
        selected: Any = action["selected_option"]
        mode, _, value = str(selected["value"]).partition(" ")
        return await self._home(await self._desk.set_mode(self._unpacked(value)[0], Mode(mode)))

    async def _refresh(self, payload: Json, action: Json) -> list[Event]:
        del payload, action
        return await self._home("")

    async def _home(self, told: str) -> list[Event]:
        """The page as it stands now, with what the desk said to the last press."""
        await self._panel.publish_home(told)
        return []
