"""Where the owner alone reads: the app's direct messages with the cards, its windows, its home page."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

import structlog

from bots.slack.cards import (
    card_blocks,
    closed_blocks,
    edit_window,
    headline,
    note_window,
    outcome_text,
    suggest_window,
    thinking_window,
)
from bots.slack.home import CHATS, home_view
from bots.slack.markup import escaped, parts_of
from bots.slack.web import Json, Refused, SlackWeb, Unclear
from core.bot import FORGOTTEN, BotState, Card
from core.desk import Desk
from core.errors import AccessRevoked, PlatformError
from core.events import ChatRef

log = structlog.get_logger()

CARD_MARK = "locum_card"
GONE = frozenset({"message_not_found", "cant_update_message", "channel_not_found", "edit_window_closed"})
REMEMBERED = 200
LOOK_BACK = 20


class Panel:
    """The owner's side of the app. Everything here is posted by the app itself, to the owner alone."""

    def __init__(self, web: SlackWeb, state: BotState, desk: Desk, owner_id: str) -> None:
        self._web, self._state, self._desk, self._owner_id = web, state, desk, owner_id
        self._windows: OrderedDict[str, Card] = OrderedDict()
        self.channel = ""
        """The app's direct messages with the owner."""

    async def open(self) -> None:
        answer = await self._web.change("conversations.open", as_owner=False, users=self._owner_id)
        self.channel = str(answer["channel"]["id"])

    # ─── cards ───────────────────────────────────────────────────────────────────────────────

    async def show(self, card: Card) -> None:
        """The card among the app's messages; the window that asked for it has the drafts, too."""
        standing = await self._standing(card.key)
        blocks = card_blocks(card, await self._permalink(card))
        stamp = await self._renew(standing, headline(card), blocks) if standing else None
        stamp = stamp or await self._post_card(card, blocks)
        kept = {"ts": stamp, "title": card.chat_title, "view": card.ticket}
        await self._state.put(_state_key(card.key), json.dumps(kept))
        if card.ticket:
            self._remember(card.ticket, card)
            await self.update_window(card.ticket, suggest_window(card))

    async def withdraw(self, card_key: str, outcome: str) -> None:
        standing = await self._standing(card_key)
        if standing is None:
            return
        title = (standing["title"] if outcome != FORGOTTEN else "") or "A chat"
        await self._renew(
            standing, escaped(f"{title}: {outcome_text(outcome)}"), closed_blocks(title, outcome)
        )
        if standing["view"]:
            await self.update_window(standing["view"], note_window(outcome_text(outcome)))
        await self._state.remove(_state_key(card_key))

    async def _standing(self, card_key: str) -> dict[str, str] | None:
        kept = await self._state.get(_state_key(card_key))
        return cast("dict[str, str]", json.loads(kept)) if kept else None

    async def _renew(self, standing: dict[str, str], text: str, blocks: Sequence[Json]) -> str | None:
        """The `ts` of the changed message; None when it is gone."""
        try:
            await self._web.change(
                "chat.update",
                as_owner=False,
                channel=self.channel,
                ts=standing["ts"],
                text=text,
                blocks=list(blocks),
            )
        except Refused as refusal:
            if refusal.code in GONE:
                return None
            raise
        return standing["ts"]

    async def _post_card(self, card: Card, blocks: Sequence[Json]) -> str:
        try:
            answer = await self._web.change(
                "chat.postMessage",
                as_owner=False,
                channel=self.channel,
                text=headline(card),
                blocks=list(blocks),
                metadata={"event_type": CARD_MARK, "event_payload": {"key": card.key}},
                unfurl_links=False,
                unfurl_media=False,
            )
        except Unclear:
            found = await self._look_for(card.key)
            if found is None:
                raise
            return found
        return str(answer["ts"])

    async def _look_for(self, card_key: str) -> str | None:
        """A card that was posted though no answer came."""
        answer = await self._web.read_as_bot(
            "conversations.history", channel=self.channel, limit=LOOK_BACK, include_all_metadata=True
        )
        for raw in cast("list[Json]", answer.get("messages") or []):
            metadata = cast("Json", raw.get("metadata") or {})
            if metadata.get("event_type") == CARD_MARK and metadata["event_payload"].get("key") == card_key:
                return str(raw["ts"])
        return None

    async def _permalink(self, card: Card) -> str:
        if not card.incoming:
            return ""
        try:
            answer = await self._web.read(
                "chat.getPermalink", channel=card.chat.chat, message_ts=card.incoming[-1].message_id
            )
        except AccessRevoked:
            raise
        except PlatformError:
            return ""
        return str(answer["permalink"])

    # ─── windows ─────────────────────────────────────────────────────────────────────────────

    def _remember(self, view_id: str, card: Card) -> None:
        self._windows[view_id] = card
        if len(self._windows) > REMEMBERED:
            self._windows.popitem(last=False)

    async def open_thinking(self, trigger_id: str) -> str:
        """The new window's id; empty when Slack opened none: the drafts come as a message in any case."""
        return await self._open_window(trigger_id, thinking_window())

    async def open_edit(self, trigger_id: str, chat: ChatRef, draft: int) -> None:
        found = await self._desk.draft(draft)
        if found is None:
            await self.say("That card is closed.")
        elif not await self._open_window(trigger_id, edit_window(chat, draft, found.text)):
            await self.say("Slack did not open the window. Press Edit again.")

    async def _open_window(self, trigger_id: str, view: Json) -> str:
        try:
            answer = await self._web.change("views.open", as_owner=False, trigger_id=trigger_id, view=view)
        except AccessRevoked:
            raise
        except PlatformError as error:
            log.warning("window.failed", error=type(error).__name__)
            return ""
        return str(answer["view"]["id"])

    async def use(self, view_id: str, chat: ChatRef, draft: int) -> None:
        """Put another draft into the window's field."""
        card = self._windows.get(view_id)
        if card is not None:
            await self.update_window(view_id, suggest_window(card, used=draft))
        elif (found := await self._desk.draft(draft)) is not None:
            await self.update_window(view_id, edit_window(chat, draft, found.text))

    async def note(self, view_id: str, note: str) -> None:
        if view_id:
            await self.update_window(view_id, note_window(note))

    async def update_window(self, view_id: str, view: Json) -> None:
        """A window that was closed meanwhile is none to worry about."""
        try:
            await self._web.change("views.update", as_owner=False, view_id=view_id, view=view)
        except AccessRevoked:
            raise
        except PlatformError as error:
            log.info("window.gone", error=type(error).__name__)

    # ─── words and the home page ─────────────────────────────────────────────────────────────

    async def say(self, text: str) -> None:
        """Tell the owner something, as plain words. What Slack refuses is not tried again."""
        for part in parts_of(text):
            try:
                await self._web.change(
                    "chat.postMessage",
                    as_owner=False,
                    channel=self.channel,
                    text=part,
                    mrkdwn=False,
                    unfurl_links=False,
                    unfurl_media=False,
                )
            except AccessRevoked:
                raise
            except PlatformError as error:
                log.warning("answer.failed", error=type(error).__name__)

    async def hand_over(self, name: str, content: bytes, note: str) -> None:
        """A file for the owner."""
        try:
            await self._web.upload(self.channel, name, content)
        except AccessRevoked:
            raise
        except PlatformError as error:
            log.warning("answer.failed", error=type(error).__name__)
            note = "Slack did not take the file."
        await self.say(note)

    async def publish_home(self, told: str = "") -> None:
        view = home_view(await self._desk.status(), await self._desk.chats(limit=CHATS), told)
        try:
            await self._web.change("views.publish", as_owner=False, user_id=self._owner_id, view=view)
        except AccessRevoked:
            raise
        except PlatformError as error:
            log.warning("home.failed", error=type(error).__name__)


def _state_key(card_key: str) -> str:
    return f"card:{card_key}"
