"""The console's one page: the simulated chat, the owner's desk, the memory, and the switches above."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

from fastapi import FastAPI
from nicegui import ui

from bots.console.board import Board, Switches
from bots.console.bot import ConsoleBot
from bots.console.chat_view import ChatPane
from bots.console.desk_view import Desk, draw_reasons
from bots.console.memory_view import MemoryPane
from bots.console.parts import button, tag, when
from core.errors import LocumError
from core.ids import TurnId

LOOK = Path(__file__).with_name("look.css")
TICK_SECONDS = 0.25
READ_SECONDS = 1.0
"""How often a page reads the board when nothing told it to."""
SLOW_SECONDS = 10.0
"""How often it reads what changes slowly: people, memory, health."""

VIEWS = {"chat": "Chat", "desk": "Desk", "memory": "Memory"}
"""What a narrow screen shows one at a time."""


def build_app(bot: ConsoleBot, board: Board, *, owner_name: str) -> FastAPI:
    """The console's pages for one owner, ready to be served behind the door."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    def root() -> None:
        Page(bot, board, owner_name or bot.account).build()

    ui.run_with(  # pyright: ignore[reportUnknownMemberType] -- NiceGUI leaves callables' results open
        app,
        root=root,
        title="Locum",
        favicon="🫧",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10,
    )
    return app


class Page:
    """One browser's page."""

    def __init__(self, bot: ConsoleBot, board: Board, owner_name: str) -> None:
        self._bot = bot
        self._board = board
        self._owner_name = owner_name
        self._chat = ChatPane(bot, board, owner_name, on_change=self._look_again, show_why=self._show_why)
        self._desk = Desk(bot, board, on_press=self._mark_stale)
        self._memory = MemoryPane(board, on_change=self._look_again)
        self._switches: Switches | None = None
        self._stale = True
        self._read_at = 0.0
        self._slow_at = 0.0
        self._reading = asyncio.Lock()

    def build(self) -> None:
        ui.add_css(LOOK)
        ui.add_head_html('<meta name="referrer" content="no-referrer">')
        self._root = tag("div", "locum view-chat")
        with self._root:
            self._build_top()
            self._trouble = tag("p", "banner trouble", "", role="alert")
            self._stopped = tag("div", "banner stopped", role="alert")
            with tag("main", "panes"):
                self._chat.build()
                self._desk.build()
                self._memory.build()
            self._build_tabs()
        self._trouble.set_visibility(False)
        self._stopped.set_visibility(False)
        unwatch = self._bot.watch(self._mark_stale)
        ui.context.client.on_delete(unwatch)  # pyright: ignore[reportUnknownMemberType] -- as above
        ui.timer(TICK_SECONDS, self._tick)

    # ── drawing ──────────────────────────────────────────────────────────────────────────────

    def _build_top(self) -> None:
        with tag("header", "top"):
            tag("h1", "wordmark", "Locum")
            tag("p", "muted for", f"for {self._owner_name}")
            tag("span", "spring")
            self._controls = tag("div", "controls", role="group", aria_label="Pause and stop")

    def _build_tabs(self) -> None:
        with tag("nav", "tabs", aria_label="Views"):
            self._tabs = {view: self._tab(view, name) for view, name in VIEWS.items()}

    def _tab(self, view: str, name: str) -> ui.element:
        pressed = "true" if view == "chat" else "false"
        return button(name, lambda: self._show_view(view), "tab", aria_pressed=pressed)

    def _show_view(self, view: str) -> None:
        self._root.classes(replace=f"locum view-{view}")
        for name, tab in self._tabs.items():
            tab.props["aria-pressed"] = "true" if name == view else "false"

    def _draw_controls(self, switches: Switches) -> None:
        self._controls.clear()
        with self._controls:
            if switches.paused_until:
                tag("span", "muted", f"Paused until {when(switches.paused_until)}")
                button("Resume", lambda: self._set(lambda: self._board.pause(None)), "primary")
            else:
                button(
                    "Pause 1 h",
                    lambda: self._pause(timedelta(hours=1)),
                    aria_label="Pause for one hour",
                    title="No drafts and no sends for an hour",
                )
            if not switches.killed:
                button(
                    "Stop everything",
                    lambda: self._set(lambda: self._board.set_kill_switch(on=True)),
                    "danger",
                    title="Nothing leaves until you say so, whoever presses what",
                )

    def _draw_stopped(self, switches: Switches) -> None:
        self._stopped.clear()
        self._stopped.set_visibility(switches.killed)
        with self._stopped:
            tag("span", "", "Stopped. Nothing leaves in your name, whatever is pressed.")
            button("Let Locum work again", lambda: self._set(lambda: self._board.set_kill_switch(on=False)))

    async def _show_why(self, turn_id: TurnId) -> None:
        stages = await self._board.why(turn_id)
        with self._root, ui.dialog(value=True), tag("div", "dialog"):
            tag("h2", "", "Why")
            draw_reasons(stages)

    # ── changing ─────────────────────────────────────────────────────────────────────────────

    def _mark_stale(self) -> None:
        self._stale = True

    async def _look_again(self) -> None:
        self._slow_at = 0.0
        self._stale = True
        await self._tick()

    async def _pause(self, length: timedelta) -> None:
        await self._set(lambda: self._board.pause(datetime.now(UTC) + length))

    async def _set(self, change: Callable[[], Awaitable[None]]) -> None:
        await change()
        self._stale = True

    async def _tick(self) -> None:
        """Read the board when something happened, else every second."""
        now = monotonic()
        if self._reading.locked() or not (self._stale or now - self._read_at >= READ_SECONDS):
            return
        async with self._reading:
            self._stale, self._read_at = False, now
            try:
                await self._read(now)
                self._trouble.set_visibility(False)
            except LocumError as error:
                self._trouble.set_text(str(error))
                self._trouble.set_visibility(True)

    async def _read(self, now: float) -> None:
        switches = await self._board.switches()
        if switches != self._switches:
            self._switches = switches
            self._draw_controls(switches)
            self._draw_stopped(switches)
        await self._chat.refresh()
        waiting = self._desk.show(await self._board.cards())
        self._tabs["desk"].props["data-count"] = str(waiting) if waiting else ""
        if now - self._slow_at >= SLOW_SECONDS:
            self._slow_at = now
            await self._read_slow()

    async def _read_slow(self) -> None:
        self._chat.show_people(await self._board.acquaintances())
        await self._chat.play_the_latest()
        played = self._chat.played
        memory = await self._board.memory(played.contact_id) if played else None
        self._memory.show(memory, played.person.name if played else "")
        self._memory.show_health(await self._board.health())
        self._memory.show_training(await self._board.training())
