"""The closed set of events, frozen: stored rows and every bot rest on it.

A field with a default may be added here and there together. A name or a type that changes breaks
every inbox that holds unapplied events.
"""

import dataclasses
import typing

from hypothesis import given
from hypothesis import strategies as st

from core import events
from core.events import EVENTS, Event

FROZEN = {
    "AccessChanged": "key chat at can_read can_send detail=",
    "DraftAction": "key chat at draft verb text= ticket=",
    "Gap": "key chat at since=",
    "MessageEdited": "key chat at message_id text original=",
    "MessageNew": (
        "key chat at message_id sender author text reply_to= mentions_owner= attachments= automatic= "
        "backfilled= chat_kind= chat_title= members= external= pointed_at= send_until= forwarded="
    ),
    "MessagesDeleted": "key chat at message_ids",
    "Reaction": "key chat at message_id sender author emoji added=",
    "SuggestAsked": "key chat at message_id= ticket=",
    "ChatRef": "platform account chat thread=",
    "Person": "id name is_bot=",
    "Attachment": "kind name= caption= transcript= media_type= size_bytes= reference=",
}
"""The fields of each event and of what events are made of; `=` marks one that may be missing."""

KINDS = {
    "AccessChanged": "access_changed",
    "DraftAction": "draft_action",
    "Gap": "gap",
    "MessageEdited": "message_edited",
    "MessageNew": "message_new",
    "MessagesDeleted": "messages_deleted",
    "Reaction": "reaction",
    "SuggestAsked": "suggest_asked",
}


CLOSED_SET: tuple[type[Event], ...] = typing.get_args(Event)


def kind_of(event: type[Event]) -> object:
    return next(field.default for field in dataclasses.fields(event) if field.name == "kind")


def fields_of(name: str) -> str:
    return " ".join(
        field.name + ("=" if field.default is not dataclasses.MISSING else "")
        for field in dataclasses.fields(getattr(events, name))
        if not (name in KINDS and field.name == "kind")
    )


def test_the_set_of_events_is_closed() -> None:
    assert {event.__name__: kind_of(event) for event in CLOSED_SET} == KINDS


def test_no_field_of_an_event_changed() -> None:
    assert {name: fields_of(name) for name in FROZEN} == FROZEN


def test_the_words_of_events_did_not_change() -> None:
    assert [author.value for author in events.Author] == [
        "owner",
        "contact",
        "bot",
        "self_as_owner",
        "self_as_bot",
    ]
    assert [verb.value for verb in events.DraftVerb] == [
        "send",
        "edit",
        "discard",
        "mute",
        "why",
        "tell",
        "circle",
        "keep",
    ]


@given(st.one_of([st.from_type(event) for event in CLOSED_SET]))
def test_every_event_survives_being_stored(event: Event) -> None:
    assert EVENTS.validate_json(EVENTS.dump_json(event)) == event
