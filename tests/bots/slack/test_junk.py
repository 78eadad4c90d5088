"""Payloads as Slack never sends them: each is confirmed, and none stops what comes after."""

import asyncio
import json
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bots.doubles.slack import OWNER
from core.events import EVENTS, DraftAction, MessageNew
from tests.bots.slack.life import Life
from tests.contract.slack_platform import slack

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 1 << 70)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(
        ["D0JONAS", "U0JONAS", OWNER, "im", "message", "message_changed", "99999999999.9", "\0"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

MESSAGE: dict[str, Any] = {
    "type": "message",
    "channel": "D0JONAS",
    "channel_type": "im",
    "user": "U0JONAS",
    "text": "hello",
    "ts": "1764079870.000100",
    "event_ts": "1764079870.000100",
}
EVENT_BASES: list[dict[str, Any]] = [
    MESSAGE,
    MESSAGE | {"subtype": "message_changed", "message": dict(MESSAGE), "previous_message": dict(MESSAGE)},
    MESSAGE | {"subtype": "message_deleted", "deleted_ts": "1764079870.000100"},
    MESSAGE
    | {"files": [{"id": "F1"}], "blocks": [{"type": "rich_text", "elements": []}], "edited": {"ts": "1.0"}},
    {
        "type": "reaction_added",
        "user": "U0JONAS",
        "reaction": "wave",
        "item": {"channel": "D0JONAS", "ts": "1764079870.000100"},
        "event_ts": "1764079870.000100",
    },
    {"type": "member_left_channel", "user": OWNER, "channel": "C1", "event_ts": "1764079870.000100"},
    {"type": "app_home_opened", "user": OWNER, "tab": "home"},
]
PRESS_BASES: list[dict[str, Any]] = [
    {
        "type": "block_actions",
        "user": {"id": OWNER},
        "trigger_id": "t",
        "view": {"id": "V"},
        "actions": [{"action_id": name, "action_ts": "1.0", "value": '{"c":"D0JONAS","t":null,"d":41}'}],
    }
    for name in ("send:1", "edit:1", "why:1", "discard", "mute", "use:1", "pause:3", "listen:on", "mode")
] + [
    {
        "type": "view_submission",
        "user": {"id": OWNER},
        "view": {
            "id": "V",
            "callback_id": "edit_draft",
            "private_metadata": '{"c":"D0JONAS","t":null,"d":41}',
            "state": {"values": {"words:0:x": {"words": {"value": "hi"}}}},
        },
    },
    {
        "type": "message_action",
        "callback_id": "suggest_reply",
        "user": {"id": OWNER},
        "trigger_id": "t",
        "action_ts": "1.0",
        "channel": {"id": "D0JONAS"},
        "message": {"type": "message", "user": "U0JONAS", "text": "hi", "ts": "1764079870.000100"},
    },
]


def paths(value: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [here] if here else []
    items: list[tuple[object, object]] = []
    if isinstance(value, dict):
        items = list(value.items())  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType] -- any JSON
    elif isinstance(value, list):
        items = list(enumerate(value))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType] -- any JSON
    for key, inner in items:
        found += paths(inner, (*here, key))
    return found


@st.composite
def spoiled(draw: st.DrawFn, bases: list[dict[str, Any]]) -> dict[str, Any]:
    """A payload with something missing, or with something else in its place."""
    payload: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(bases))))
    for _ in range(draw(st.integers(1, 2))):
        *parents, last = draw(st.sampled_from(paths(payload) or [("type",)]))
        place: Any = payload
        for key in parents:
            place = place[key]
        if draw(st.booleans()):
            place[last] = draw(JUNK)
        else:
            del place[last]
    return payload


@given(
    events=st.lists(spoiled(EVENT_BASES), max_size=20), presses=st.lists(spoiled(PRESS_BASES), max_size=20)
)
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_whatever_a_payload_holds_it_is_confirmed_and_nothing_stops(
    events: list[dict[str, Any]], presses: list[dict[str, Any]]
) -> None:
    async def scenario() -> None:
        async with slack() as platform, Life(platform) as life:
            life.card("a draft that is open")
            for event in events:
                await life.double.bring_event(event, anyway=True)
            for press in presses:
                await life.double.brings_press(press)
            await life.double.writes("U0JONAS", "D0JONAS", "and after all that?")
            await life.quiet()
            assert life.ended_with is None
            assert "and after all that?" in life.texts
            for event in life.seen:
                assert EVENTS.validate_json(EVENTS.dump_json(event)) == event
            assert {action.draft for action in life.of(DraftAction)} <= {41} | set(range(1 << 8))
            assert all(message.message_id for message in life.of(MessageNew))

    asyncio.run(scenario())
