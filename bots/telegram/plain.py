"""Telegram's formatted text as plain words, with links kept in them."""

from collections.abc import Sequence

from telegram import MessageEntity

from bots.words import NO_BREAK, without_mentions


def plain_text(text: str, entities: Sequence[MessageEntity]) -> str:
    """The text, in which `words` with a link under them read `words (link)`, as our importer writes it."""
    raw = text.encode("utf-16-le", "surrogatepass")
    links = [entity for entity in entities if entity.type == MessageEntity.TEXT_LINK and entity.url]
    for entity in sorted(links, key=lambda entity: entity.offset, reverse=True):
        start, end = 2 * entity.offset, 2 * (entity.offset + entity.length)
        if not 0 <= start < end <= len(raw):
            continue
        if (url := entity.url or "") != raw[start:end].decode("utf-16-le", "replace"):
            raw = raw[:end] + f" ({url})".encode("utf-16-le") + raw[end:]
    return raw.decode("utf-16-le", "replace")


def entity_text(text: str, entity: MessageEntity) -> str:
    """The words that an entity covers; its offsets count UTF-16 units."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le", "replace")


def quoted(text: str) -> str:
    """Other people's words, in which nothing can be tapped: no name, and no command such as /pause."""
    return without_mentions(text).replace("/", f"/{NO_BREAK}")
