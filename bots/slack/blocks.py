"""Block Kit, as far as Locum uses it. Words of people stand in plain text alone, which Slack never reads as markup."""

import json
from typing import Literal

from bots.slack.web import Json
from core.events import ChatRef

SECTION = 3000
"""Characters of one text, as Slack allows."""
HEADER = 150
BUTTON = 75


def plain(text: str, most: int = SECTION) -> Json:
    return {
        "type": "plain_text",
        "text": text if len(text) <= most else text[: most - 1] + "…",
        "emoji": False,
    }


def pieces(text: str) -> list[str]:
    """The whole text in texts of the length that Slack allows: joined they are the text again."""
    return [text[start : start + SECTION] for start in range(0, len(text), SECTION)] or [" "]


def section(text: str, block_id: str = "") -> Json:
    return {"type": "section", "text": plain(text or " "), **({"block_id": block_id} if block_id else {})}


def header(text: str) -> Json:
    return {"type": "header", "text": plain(text, HEADER)}


def context(*texts: str) -> Json:
    return {"type": "context", "elements": [plain(text) for text in texts]}


def link(url: str, label: str) -> Json:
    """A link to a message. The address is Slack's own; the label is ours."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{url}|{label}>"}]}


def button(label: str, action: str, value: str, style: Literal["", "primary", "danger"] = "") -> Json:
    return {
        "type": "button",
        "text": plain(label, BUTTON),
        "action_id": action,
        "value": value,
        **({"style": style} if style else {}),
    }


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


DIVIDER: Json = {"type": "divider"}


def packed(chat: ChatRef, draft: int = 0) -> str:
    """A chat and a draft, as a button or a modal carries them to us and back."""
    return json.dumps({"c": chat.chat, "t": chat.thread, "d": draft}, separators=(",", ":"))


def unpacked(value: str, platform: str, account: str) -> tuple[ChatRef, int]:
    """Raises `ValueError` or `KeyError` for what `packed` did not write."""
    given = json.loads(value)
    if not isinstance(given, dict):
        raise TypeError
    chat = ChatRef(platform=platform, account=account, chat=str(given["c"]), thread=given["t"])  # pyright: ignore[reportUnknownArgumentType] -- JSON of our own
    return chat, int(given["d"])  # pyright: ignore[reportUnknownArgumentType] -- as above
