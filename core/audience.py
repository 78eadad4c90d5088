"""Who may learn a thing, and who would be reading it."""

from dataclasses import dataclass
from typing import Literal, Self

from core.ids import ChatId, ContactId


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Before whose eyes retrieved text would come. There is no default, and no reader means an error.

    A chat stands for all of its current members; where they are not all known, for everybody.
    """

    kind: Literal["owner", "contact", "chat"]
    id: int | None

    @classmethod
    def owner(cls) -> Self:
        return cls(kind="owner", id=None)

    @classmethod
    def contact(cls, contact_id: ContactId) -> Self:
        return cls(kind="contact", id=contact_id)

    @classmethod
    def chat(cls, chat_id: ChatId) -> Self:
        return cls(kind="chat", id=chat_id)
