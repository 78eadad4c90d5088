"""Plain text on its way into Slack's markup. The way back is the importer's, so that both store the same words."""

import re

from bots.words import split_text, without_mentions

LONGEST = 4000
"""Characters of one message, as Slack advises; it cuts at 40,000 without a word."""

CALLS = re.compile(r"@(?:here|channel|everyone)\b", re.IGNORECASE)

EMOJI = {
    "👍": "+1",
    "👎": "-1",
    "❤️": "heart",
    "❤": "heart",
    "😂": "joy",
    "😊": "blush",
    "😀": "grinning",
    "😃": "smiley",
    "😄": "smile",
    "😁": "grin",
    "😅": "sweat_smile",
    "🤣": "rolling_on_the_floor_laughing",
    "🙂": "slightly_smiling_face",
    "😉": "wink",
    "😍": "heart_eyes",
    "😘": "kissing_heart",
    "🤔": "thinking_face",
    "😐": "neutral_face",
    "😢": "cry",
    "😭": "sob",
    "😮": "open_mouth",
    "😱": "scream",
    "😡": "rage",
    "😎": "sunglasses",
    "🙄": "face_with_rolling_eyes",
    "😬": "grimacing",
    "🤷": "shrug",
    "🤦": "face_palm",
    "🙏": "pray",
    "👏": "clap",
    "👌": "ok_hand",
    "✌️": "v",
    "💪": "muscle",
    "👀": "eyes",
    "👋": "wave",
    "🙌": "raised_hands",
    "🤝": "handshake",
    "🎉": "tada",
    "🎂": "birthday",
    "🔥": "fire",
    "💯": "100",
    "🚀": "rocket",
    "⭐": "star",
    "✅": "white_check_mark",
    "✔️": "heavy_check_mark",
    "❌": "x",
    "❗": "exclamation",
    "❓": "question",
    "⚠️": "warning",
    "💡": "bulb",
    "📌": "pushpin",
    "☕": "coffee",
    "🍻": "beers",
    "🥳": "partying_face",
    "🤗": "hugging_face",
    "😴": "sleeping",
    "🤯": "exploding_head",
    "💔": "broken_heart",
    "👆": "point_up_2",
    "🫡": "saluting_face",
}
"""What people react with, by the name that Slack wants; a name passes as it is."""

NAME = re.compile(r"[a-z0-9_+'-]{1,64}(?:::skin-tone-[2-6])?")


def escaped(text: str) -> str:
    """The text with Slack's three special characters written out: no mention, link or command is left in it."""
    calm = CALLS.sub(lambda call: without_mentions(call[0]), text)
    return calm.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escaped_length(text: str) -> int:
    return len(escaped(text))


def parts_of(text: str) -> tuple[str, ...]:
    """The messages that a text becomes, each as Slack wants it."""
    return tuple(escaped(part) for part in split_text(text, LONGEST, escaped_length))


def emoji_name(emoji: str) -> str | None:
    """Slack's name of an emoji; None where we know none."""
    bare = emoji.strip(":")
    return EMOJI.get(emoji) or (bare if NAME.fullmatch(bare) else None)
