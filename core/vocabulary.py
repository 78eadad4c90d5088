"""The closed sets of words that rows, events and labels are written in.

The values are stored: a value is added by a migration, and never renamed.
"""

from enum import StrEnum


class Origin(StrEnum):
    """Whose words a message is. Only `typed`, and the owner's part of `edited`, teach style."""

    TYPED = "typed"
    """By the owner's own hand."""
    ACCEPTED = "accepted"
    """A draft of ours that the owner sent as it was."""
    EDITED = "edited"
    """A draft of ours that the owner changed and sent."""
    AUTO = "auto"
    """Sent by us, under the owner's policy."""
    CONTACT = "contact"
    BOT = "bot"


class Mode(StrEnum):
    """The ceiling on decisions in one chat."""

    OFF = "off"
    SUGGEST = "suggest"
    AUTO = "auto"


class Decision(StrEnum):
    """What to do about an incoming turn."""

    SILENT = "silent"
    SUGGEST = "suggest"
    AUTO = "auto"
    ASK = "ask"
    """Ask the owner one question first."""


class Intent(StrEnum):
    """What a draft does; a slate holds at most one draft of each."""

    AGREE = "agree"
    DECLINE = "decline"
    ASK = "ask"
    DEFER = "defer"
    INFORM = "inform"


class DraftOrigin(StrEnum):
    """Where a draft's words come from."""

    MODEL = "model"
    PAST_REPLY = "past_reply"
    DEFERRAL = "deferral"
    EXPERT = "expert"
    """What a model outside knows of the world: neither the owner's words nor memory's."""


class Risk(StrEnum):
    """What a draft touches. A draft with any risk is never sent unasked."""

    PROMISE = "promise"
    MONEY = "money"
    PRIVACY = "privacy"
    EMOTION = "emotion"
    AMBIGUITY = "ambiguity"


class Outcome(StrEnum):
    """What became of a draft: the label that it leaves for training and calibration."""

    SENT = "sent"
    EDITED = "edited"
    DISCARDED = "discarded"
    IGNORED = "ignored"
    OVERTAKEN = "overtaken"
    """The owner typed something else instead, or the conversation moved on."""


class DraftState(StrEnum):
    """Where a draft stands."""

    PROPOSED = "proposed"
    DROPPED = "dropped"
    """Refused by the gate; why is kept on the draft."""
    SENDING = "sending"
    SENT = "sent"
    DISCARDED = "discarded"
    EXPIRED = "expired"
    OVERTAKEN = "overtaken"


class TurnState(StrEnum):
    """Where the answer to one incoming turn stands."""

    SETTLING = "settling"
    WORKING = "working"
    SUGGESTED = "suggested"
    SILENT = "silent"
    ANSWERED = "answered"
    SUPERSEDED = "superseded"
    FAILED = "failed"


class OutboxState(StrEnum):
    """Where a send stands. `in_flight` that nobody holds any more becomes `unknown`, never `queued`."""

    QUEUED = "queued"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class ChatKind(StrEnum):
    DIRECT = "direct"
    GROUP = "group"
    PUBLIC = "public"


class SourceKind(StrEnum):
    """How text reached us; consents differ between them."""

    API = "api"
    EXPORT = "export"
    CONSOLE = "console"
