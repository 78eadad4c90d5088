"""The few building blocks of the pages: an element with its attributes, and a list that changes in place."""

from collections.abc import Callable, Container, Hashable, Sequence
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from typing import Generic, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from core.errors import LocumError

T = TypeVar("T")

SEND_ON_ENTER = """(event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    emit(event.target.value);
}"""
GROW = """(event) => {
    event.target.style.height = "auto";
    event.target.style.height = event.target.scrollHeight + "px";
    emit(event.target.value);
}"""


def tag(kind: str, classes: str = "", text: str = "", **attributes: str) -> TextElement:
    """An HTML element. Its text is text, whoever wrote it; `aria_label` becomes `aria-label`."""
    element = TextElement(tag=kind, text=text)
    element.classes(classes)
    for name, value in attributes.items():
        element.props[name.replace("_", "-")] = value
    return element


def telling(handler: Callable[[GenericEventArguments], object]) -> Callable[[GenericEventArguments], object]:
    """The handler, which says on the page what Locum refuses."""

    async def handle(event: GenericEventArguments) -> None:
        try:
            result = handler(event)
            if isawaitable(result):
                await result
        except LocumError as error:
            ui.notify(str(error), type="warning", multi_line=True, close_button="OK")

    return handle


def button(text: str, on_press: Callable[[], object], classes: str = "", **attributes: str) -> TextElement:
    """A button that calls `on_press`."""
    element = tag("button", f"button {classes}", text, type="button", **attributes)
    element.on("click", telling(lambda _: on_press()), args=[])
    return element


def value_of(element_id: str) -> str:
    """JavaScript that emits what stands in a text field."""
    return f'() => emit(document.getElementById("{element_id}").value)'


class Rows(Generic[T]):
    """A list on the page. Showing it again touches only the rows that changed."""

    def __init__(
        self,
        container: ui.element,
        *,
        key: Callable[[T], Hashable],
        draw: Callable[[T], None],
        kind: str = "li",
        classes: str = "",
    ) -> None:
        self._container = container
        self._key = key
        self._draw = draw
        self._kind = kind
        self._classes = classes
        self._shown: dict[Hashable, tuple[T, TextElement]] = {}

    def show(self, items: Sequence[T]) -> bool:
        """Whether anything changed."""
        wanted = {self._key(item): item for item in items}
        changed = self._remove_all_but(wanted.keys())
        for key, item in wanted.items():
            if key not in self._shown or self._shown[key][0] != item:
                self._put(key, item)
                changed = True
        if list(self._shown) != list(wanted):
            self._arrange(list(wanted))
        return changed

    def redraw(self, key: Hashable) -> None:
        """Draw a row again whose data did not change, but what the page knows about it did."""
        if key in self._shown:
            self._put(key, self._shown[key][0])

    def _remove_all_but(self, kept: Container[Hashable]) -> bool:
        gone = [key for key in self._shown if key not in kept]
        for key in gone:
            self._shown.pop(key)[1].delete()
        return bool(gone)

    def _put(self, key: Hashable, item: T) -> None:
        if key in self._shown:
            element = self._shown[key][1]
            element.clear()
        else:
            with self._container:
                element = tag(self._kind, self._classes)
        self._shown[key] = (item, element)
        with element:
            self._draw(item)

    def _arrange(self, order: Sequence[Hashable]) -> None:
        self._shown = {key: self._shown[key] for key in order}
        for position, (_, element) in enumerate(self._shown.values()):
            element.move(target_index=position)


def when(at: datetime, now: datetime | None = None) -> str:
    """A time as people say it: the hour today, else the day."""
    now = now or datetime.now(UTC)
    local, today = at.astimezone(), now.astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M}"
    if local.date() == (today - timedelta(days=1)).date():
        return f"yesterday {local:%H:%M}"
    return f"{local.day} {local:%b}" if local.year == today.year else f"{local.day} {local:%b %Y}"
