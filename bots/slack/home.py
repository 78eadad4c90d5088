"""The app's home page: how Locum fares, the pause, and the rules of each chat."""

from collections.abc import Sequence

from bots.slack.blocks import DIVIDER, actions, button, context, header, packed, plain, section
from bots.slack.web import Json
from core.desk import DeskChat
from core.vocabulary import Mode

CHATS = 20
MODE_LABELS = {Mode.OFF: "off", Mode.SUGGEST: "suggest", Mode.AUTO: "answer by itself"}


def home_view(status: str, chats: Sequence[DeskChat], told: str = "") -> Json:
    """The page; `told` is what the desk answered to the owner's last press."""
    blocks = [
        header("Locum"),
        *([context(told)] if told else []),
        section(status),
        actions(
            button("Pause 3 hours", "pause:3", "3"),
            button("Pause a day", "pause:24", "24"),
            button("Resume", "resume", "0"),
            button("Refresh", "refresh", "0"),
        ),
        DIVIDER,
    ]
    for chat in chats[:CHATS]:
        blocks += _chat_blocks(chat)
    if not chats:
        blocks.append(context("No chats yet. Locum knows a chat once somebody writes there."))
    return {"type": "home", "blocks": blocks}


def _chat_blocks(chat: DeskChat) -> list[Json]:
    external = " · shared with another organisation" if chat.external else ""
    listening = "listens" if chat.listened else "does not listen"
    return [
        section(f"{chat.title or chat.ref.chat}\nLocum {listening}{external}"),
        actions(_listen_button(chat), _mode_choice(chat)),
    ]


def _listen_button(chat: DeskChat) -> Json:
    if chat.listened:
        return button("Stop listening", "listen:off", packed(chat.ref))
    return button("Listen", "listen:on", packed(chat.ref))


def _mode_choice(chat: DeskChat) -> Json:
    choices = [
        {"text": plain(label), "value": f"{mode.value} {packed(chat.ref)}"}
        for mode, label in MODE_LABELS.items()
    ]
    return {
        "type": "static_select",
        "action_id": "mode",
        "options": choices,
        "initial_option": choices[list(MODE_LABELS).index(chat.mode)],
    }
