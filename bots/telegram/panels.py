"""A chat's settings, with buttons: its mode, whether it is listened to, a pause, and forgetting it."""

from dataclasses import dataclass

from telegram import InlineKeyboardMarkup, MaybeInaccessibleMessage

from bots.telegram.card_view import Page, rows_of
from bots.telegram.control import Control, Place
from bots.telegram.plain import quoted
from bots.telegram.translate import Viewpoint
from core.bot import BotState
from core.clock import Clock
from core.desk import Desk, DeskChat
from core.errors import BadInput
from core.events import ChatRef
from core.vocabulary import Mode

CHAT, FORGET = "c", "f"
PAUSE_HOURS = 8.0
UNKNOWN = (
    "I have not heard anything from that chat yet. Its settings can be changed once somebody writes there."
)
MOST_LISTED = 12
MOST_LABEL = 40
MOST_ASKED = 20
MODES = {mode.value: mode for mode in Mode}
MODE_LABELS = {Mode.OFF: "Off", Mode.SUGGEST: "Suggest", Mode.AUTO: "Auto"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panels:
    """The owner's switches. Each press asks for a state, so that a press repeated changes nothing more."""

    control: Control
    desk: Desk
    state: BotState
    view: Viewpoint
    clock: Clock

    async def open(self, chat: str, place: Place) -> None:
        """Show a chat's settings."""
        known = await self.desk.chat(self.view.chat(chat))
        if known is None:
            await self.control.say(UNKNOWN, place=place)
        else:
            await self.control.post(Page(self._words(known)), place, self._buttons(known))

    async def list(self, part: str, place: Place) -> None:
        """The chats whose title has that part, a button each."""
        chats = await self.desk.chats(part, MOST_LISTED)
        if not chats:
            await self.control.say("No chat is called that." if part else "No chats yet.", place=place)
            return
        lines = [f"{quoted(chat.title or chat.ref.chat)}: {_in_short(chat)}" for chat in chats]
        labels = [
            ((chat.title or chat.ref.chat)[:MOST_LABEL], f"{CHAT}:{chat.ref.chat}:open") for chat in chats
        ]
        await self.control.say("\n".join(lines), place=place, markup=rows_of(labels))

    async def ask_to_forget(self, what: str, place: Place) -> None:
        """Tell what would go, and go on only at a press."""
        try:
            would = await self.desk.forget(what)
        except BadInput as error:
            await self.control.say(quoted(str(error)), place=place)
            return
        asked = await self.control.say(
            quoted(would), place=place, markup=rows_of([("Forget it", FORGET), ("Keep it", "x")])
        )
        await self.state.put(f"forget:{asked.message_id}", what)
        await self._drop_old_questions()

    async def press(self, data: str, place: Place, message: MaybeInaccessibleMessage | None) -> str:
        """What a press led to, in a few words."""
        kind, _, rest = data.partition(":")
        if kind == CHAT:
            chat, _, what = rest.rpartition(":")
            return await self._switch(self.view.chat(chat), what, place, message)
        if kind in (FORGET, "x") and message is not None:
            return await self._settle_question(message.message_id, place, confirmed=kind == FORGET)
        return ""

    async def _switch(
        self, ref: ChatRef, what: str, place: Place, message: MaybeInaccessibleMessage | None
    ) -> str:
        known = await self.desk.chat(ref)
        if known is None or what == "open":
            await self.open(ref.chat, place)
            return ""
        if what == "forget":
            # By its id: what a chat is called is for others to choose, and may be somebody else's name.
            await self.ask_to_forget(ref.chat, place)
            return ""
        sentence = await self._change(ref, what)
        changed = await self.desk.chat(ref)
        if changed is not None and message is not None:
            await self.control.rewrite(
                place, message.message_id, Page(self._words(changed)), self._buttons(changed)
            )
        return sentence[:190]

    async def _change(self, ref: ChatRef, what: str) -> str:
        if what in MODES:
            return await self.desk.set_mode(ref, MODES[what])
        if what in ("listen", "deaf"):
            return await self.desk.listen(ref, on=what == "listen")
        if what in ("pause", "resume"):
            return await self.desk.pause(PAUSE_HOURS if what == "pause" else None, ref)
        return ""

    async def _settle_question(self, message_id: int, place: Place, *, confirmed: bool) -> str:
        """A question is kept until it is settled, so that a press that comes again is no other."""
        key = f"forget:{message_id}"
        what = await self.state.get(key)
        if what is None:
            return "This question is settled."
        try:
            told = await self.desk.forget(what, confirmed=True) if confirmed else "Kept."
        except BadInput as error:  # gone meanwhile, or there are two of that name now
            told = str(error)
        await self.control.rewrite(place, message_id, Page(quoted(told)), None)
        await self.state.remove(key)
        return ""

    async def _drop_old_questions(self) -> None:
        keys = sorted(await self.state.keys("forget:"), key=lambda key: int(key.partition(":")[2]))
        for key in keys[:-MOST_ASKED]:
            await self.state.remove(key)

    def _words(self, chat: DeskChat) -> str:
        return f"{quoted(chat.title or chat.ref.chat)}\n{_in_short(chat)}"

    def _buttons(self, chat: DeskChat) -> InlineKeyboardMarkup:
        where = f"{CHAT}:{chat.ref.chat}"
        modes = [
            (f"• {label}" if mode is chat.mode else label, f"{where}:{mode}")
            for mode, label in MODE_LABELS.items()
        ]
        paused = chat.paused_until is not None and chat.paused_until > self.clock.now()
        return rows_of(
            [
                *modes,
                ("Don't listen", f"{where}:deaf") if chat.listened else ("Listen", f"{where}:listen"),
                ("Resume", f"{where}:resume") if paused else (f"Pause {PAUSE_HOURS:.0f} h", f"{where}:pause"),
                ("Forget…", f"{where}:forget"),
            ],
            width=3,
        )


def _in_short(chat: DeskChat) -> str:
    heard = "listening" if chat.listened else "not listening"
    paused = f", paused until {chat.paused_until:%Y-%m-%d %H:%M} UTC" if chat.paused_until else ""
    return f"{chat.mode.value}, {heard}{paused}"
