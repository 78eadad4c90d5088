"""Situations and recalled rows made by hand, for the pure functions of the reply path."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.ids import AccountId, ChatId, ContactId, MessageId, OwnerId
from core.memory.messages import StoredMessage
from core.memory.profiles import Style
from core.memory.search import Spoken
from core.policy import Policy
from core.reply.compose import Candidate
from core.reply.recall import Answered, Recalled
from core.reply.situation import Account, Situation
from core.vocabulary import ChatKind, DraftOrigin, Intent, Mode, Origin

NOW = datetime(2026, 10, 10, 12, 0, tzinfo=UTC)

POLICY = Policy(
    mode=Mode.SUGGEST,
    kill_switch=False,
    paused_until=None,
    taken_over_until=None,
    quiet_from=None,
    quiet_until=None,
    time_zone="UTC",
)
ACCOUNT = Account(
    owner_id=OwnerId(1),
    id=AccountId(1),
    platform="loopback",
    name="mara",
    platform_user_id="U04",
    owner_name="Mara Lindqvist",
    time_zone="Europe/Stockholm",
)
NOTHING = Recalled(recent=(), memories=(), facts=(), answered=(), deferrals=(), profile=None, biography=None)


def said(text: str, *, minutes_ago: float = 1, mentions_owner: bool = False) -> StoredMessage:
    return StoredMessage(
        id=MessageId(1),
        chat_id=ChatId(1),
        thread_id=None,
        platform_message_id="1",
        sender_id=1,
        sender_name="Ines",
        origin=Origin.CONTACT,
        sent_at=NOW - timedelta(minutes=minutes_ago),
        text=text,
        caption="",
        reply_to=None,
        mentions_owner=mentions_owner,
        deleted=False,
    )


def situation(*texts: str, policy: Policy = POLICY, **changed: Any) -> Situation:
    """Ines writes these lines in a direct chat, unless something is changed."""
    plain = Situation(
        account=ACCOUNT,
        chat_id=ChatId(1),
        chat_kind=ChatKind.DIRECT,
        chat_title="Ines",
        thread_id=None,
        contact_id=ContactId(1),
        contact_name="Ines",
        incoming=tuple(said(text) for text in texts),
        replies_to_owner=False,
        asked=False,
        policy=policy,
        now=NOW,
    )
    return replace(plain, **changed)


def spoken(text: str, *, number: int = 5, by_owner: bool = True) -> Spoken:
    return Spoken(
        id=MessageId(number),
        sender_id=None if by_owner else 1,
        sender_name="Mara" if by_owner else "Ines",
        origin="typed" if by_owner else "contact",
        text=text,
        caption="",
        sent_at=NOW - timedelta(days=1),
        platform_message_id=str(number),
        reply_to=None,
    )


def answered(asked: str, reply: str, likeness: float, days_ago: float = 1, number: int = 7) -> Answered:
    return Answered(
        asked_id=MessageId(number),
        asked=asked,
        reply_ids=(MessageId(number + 1),),
        reply=reply,
        likeness=likeness,
        replied_at=NOW - timedelta(days=days_ago),
    )


def candidate(
    text: str,
    *,
    origin: DraftOrigin = DraftOrigin.MODEL,
    intent: Intent = Intent.INFORM,
    confidence: float = 0.6,
    **changed: Any,
) -> Candidate:
    plain = Candidate(text=text, intent=intent, origin=origin, confidence=confidence, risks=frozenset())
    return replace(plain, **changed)


def style(**changed: Any) -> Style:
    return replace(Style(messages=20, mean_words=4.0, lowercase_share=1.0), **changed)
