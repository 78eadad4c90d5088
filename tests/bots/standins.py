"""What a bot is given by core, in memory: its state, and its owner's desk."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from core.desk import DeskChat, DeskDraft
from core.errors import BadInput
from core.events import ChatRef
from core.vocabulary import ChatKind, Mode


class MemoryState:
    """A bot's state that outlives the bot, but not the test."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self.kept.get(key)

    async def put(self, key: str, value: str) -> None:
        self.kept[key] = value

    async def remove(self, key: str) -> None:
        self.kept.pop(key, None)

    async def keys(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(key for key in self.kept if key.startswith(prefix)))


@dataclass(slots=True, kw_only=True)
class MemoryDesk:
    """A desk that does what it is told, and remembers it in `asked`."""

    asked: list[str] = field(default_factory=list[str])
    known: dict[ChatRef, DeskChat] = field(default_factory=dict[ChatRef, DeskChat])
    drafts: dict[int, DeskDraft] = field(default_factory=dict[int, DeskDraft])

    def know(self, ref: ChatRef, title: str, **changed: object) -> None:
        """A chat that core has heard of."""
        chat = DeskChat(
            ref=ref,
            title=title,
            kind=ChatKind.DIRECT,
            mode=Mode.SUGGEST,
            listened=True,
            external=False,
            paused_until=None,
            newest=None,
            newest_at=None,
        )
        self.known[ref] = replace(chat, **changed)  # pyright: ignore[reportArgumentType] -- a test's own words

    async def status(self) -> str:
        return self._note("status", "All is well.")

    async def privacy(self) -> str:
        return self._note("privacy", "What is said here stays on this machine.")

    async def pause(self, hours: float | None, chat: ChatRef | None = None) -> str:
        where = chat.chat if chat else "everywhere"
        return self._note(f"pause {hours} {where}", "Paused." if hours else "Not paused any more.")

    async def why(self, draft: int) -> str:
        return self._note(f"why {draft}", "decide: a question")

    async def draft(self, number: int) -> DeskDraft | None:
        return self.drafts.get(number)

    async def chats(self, like: str = "", limit: int = 20) -> tuple[DeskChat, ...]:
        fitting = [chat for chat in self.known.values() if like.lower() in chat.title.lower()]
        newest = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(fitting, key=lambda chat: chat.newest_at or newest, reverse=True)[:limit])

    async def chat(self, ref: ChatRef) -> DeskChat | None:
        return self.known.get(ref)

    async def set_mode(self, chat: ChatRef, mode: Mode) -> str:
        self.known[chat] = replace(self.known[chat], mode=mode)
        return self._note(f"mode {chat.chat} {mode}", f"{self.known[chat].title}: {mode}.")

    async def listen(self, chat: ChatRef, *, on: bool) -> str:
        self.known[chat] = replace(self.known[chat], listened=on)
        return self._note(f"listen {chat.chat} {on}", "Listening." if on else "Not listening.")

    async def forget(self, what: str, *, confirmed: bool = False) -> str:
        if what == "nobody":
            raise BadInput("Nobody is called that.")
        return self._note(
            f"forget {what} {confirmed}", "Forgotten." if confirmed else "Would go: 3 messages."
        )

    async def export(self, what: str = "") -> bytes:
        if what == "nobody":
            raise BadInput("Nobody is called that.")
        self._note(f"export {what}", "")
        return b'{"messages": []}'

    async def heard(self, account_state: str) -> None:
        self._note(f"heard {account_state}", "")

    def _note(self, asked: str, answer: str) -> str:
        self.asked.append(asked)
        return answer
