"""Slack exports, ZIP and folder, with every trap that is known of them."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from tests.core.history.exports import broken, entries, messages, skipped, survey, zipped

USERS = [
    {"id": "U1", "team_id": "T9", "name": "mara", "profile": {"display_name": "Mara"}},
    {"id": "U2", "team_id": "T9", "name": "ana", "profile": {"real_name": "Ana B"}, "deleted": True},
    {"id": "U3", "team_id": "T9", "name": "ben"},
]


def message(stamp: str, text: str = "hello", user: str = "U2", **changes: object) -> dict[str, Any]:
    return {"type": "message", "user": user, "text": text, "ts": stamp} | changes


def export(*day: object, **files: object) -> dict[str, object]:
    return {
        "users.json": USERS,
        "channels.json": [{"id": "C1", "name": "general", "members": ["U1", "U2"]}],
        "dms.json": [{"id": "D1", "members": ["U1", "U2"]}, {"id": "D2", "members": ["U3", "U1"]}],
        "general/2026-01-05.json": list(day),
        **files,
    }


def test_a_zip_and_its_folder_hold_the_same(tmp_path: Path) -> None:
    files = export(message("1767603600.000100"), message("1767603600.000200", user="U1"))
    packed = zipped(tmp_path / "export.zip", files)
    folder = tmp_path / "export"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    assert messages(packed) == messages(folder)
    assert len(messages(folder)) == 2


def test_stamps_a_microsecond_apart_are_two_messages_in_order(tmp_path: Path) -> None:
    path = zipped(tmp_path / "e.zip", export(message("1767603600.000002"), message("1767603600.000001")))
    found = messages(path)
    assert [m.id for m in found] == ["1767603600.000001", "1767603600.000002"]
    assert [m.sent_at.microsecond for m in found] == [1, 2]


def test_a_thread_across_days_is_one_thread(tmp_path: Path) -> None:
    parent = message("1767603600.000001", thread_ts="1767603600.000001", reply_count=1)
    reply = message("1767700000.000001", "late", thread_ts="1767603600.000001", subtype="thread_broadcast")
    path = zipped(tmp_path / "e.zip", export(parent) | {"general/2026-01-06.json": [reply]})
    found = messages(path)
    assert {m.thread for m in found} == {"1767603600.000001"}
    assert [m.reply_to for m in found] == [None, "1767603600.000001"]


def test_joins_bots_huddles_and_tombstones_are_left_out(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "e.zip",
        export(
            message("1.1", subtype="channel_join"),
            message("2.1", bot_id="B1"),
            message("3.1", subtype="bot_message"),
            message("4.1", user="USLACKBOT", subtype="huddle_thread"),
            message("5.1", subtype="tombstone"),
            message("6.1", subtype="me_message"),
            message("7.1", "", files=[{"id": "F1", "name": "a.png", "size": 3}], subtype="file_share"),
        ),
    )
    assert skipped(path) == ["channel_join", "bot", "bot", "bot", "tombstone"]
    assert [m.id for m in messages(path)] == ["6.1", "7.1"]


def test_tokens_are_decoded_before_entities(tmp_path: Path) -> None:
    text = "<@U1> in <#C1|general> &lt;@U2&gt; <https://x.example|here> <!here> <!subteam^S1|@team> &amp;amp;"
    path = zipped(tmp_path / "e.zip", export(message("1.1", text)))
    assert messages(path)[0].text == "@Mara in #general <@U2> here (https://x.example) @here @team &amp;"


def test_users_of_other_workspaces_are_made_up(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "e.zip",
        export(message("1.1", user="U77", user_profile={"display_name": "Zoe"}), message("2.1", user="U88")),
    )
    assert [(m.sender.id, m.sender.name) for m in messages(path)] == [("U77", "Zoe"), ("U88", "U88")]


def test_blocks_win_where_the_text_was_cut(tmp_path: Path) -> None:
    blocks = [
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [
                        {"type": "text", "text": "a < b, says "},
                        {"type": "user", "user_id": "U1"},
                        {"type": "emoji", "name": "wave"},
                    ],
                }
            ],
        }
    ]
    path = zipped(tmp_path / "e.zip", export(message("1.1", "a &lt;", blocks=blocks)))
    assert messages(path)[0].text == "a < b, says @Mara:wave:"


def test_the_owner_is_who_sits_in_every_direct_chat(tmp_path: Path) -> None:
    path = zipped(tmp_path / "e.zip", export(message("1.1")) | {"D1/2026-01-05.json": [message("1.2")]})
    found = survey(path)
    assert found.owners == {("slack", "T9"): "U1"}
    assert {c.chat.id: c.chat.kind for c in found.chats.values()} == {"C1": "group", "D1": "direct"}


def test_without_direct_chats_the_owner_has_to_be_named(tmp_path: Path) -> None:
    files = export(message("1.1"), message("2.1", user="U1"))
    del files["dms.json"]
    path = zipped(tmp_path / "e.zip", files)
    with pytest.raises(BadInput, match=r"--owner ID.*U2 \(1\)"):
        survey(path)
    assert survey(path, "U1").how == "given with --owner"


def test_a_broken_day_and_a_broken_message_do_not_stop_the_rest(tmp_path: Path) -> None:
    files = export(message("1.1"), {"type": "message", "text": "no ts"}, 7) | {
        "general/2026-01-06.json": "{nonsense"
    }
    path = zipped(tmp_path / "e.zip", files)
    assert [m.id for m in messages(path)] == ["1.1"]
    assert len(broken(path)) == 3


@settings(max_examples=60, deadline=None)
@given(
    odd=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    field=st.sampled_from(
        ["ts", "user", "text", "blocks", "files", "reactions", "edited", "subtype", "thread_ts"]
    ),
)
def test_any_value_in_any_field_does_not_stop_the_rest(
    odd: object, field: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("slack") / "e.zip"
    zipped(path, export(message("1.1") | {field: odd}, message("2.1")))
    assert "2.1" in [m.id for m in messages(path)]
    assert entries(path)


def test_a_renamed_channel_stays_the_same_chat(tmp_path: Path) -> None:
    before = zipped(tmp_path / "a.zip", export(message("1767603600.000100")))
    renamed = export() | {
        "channels.json": [{"id": "C1", "name": "town-square", "members": ["U1", "U2"]}],
        "general/2026-01-05.json": [],
        "town-square/2026-01-06.json": [message("1767690000.000100")],
    }
    after = zipped(tmp_path / "b.zip", renamed)
    assert {m.chat.id for m in messages(before) + messages(after)} == {"C1"}
    assert [m.chat.title.lstrip("#") for m in messages(after)] == ["town-square"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "ts", "x"]), inner),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(users=ANYTHING, channels=ANYTHING, day=ANYTHING)
def test_whatever_the_files_hold_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, users: object, channels: object, day: object
) -> None:
    files = export() | {"users.json": users, "channels.json": channels, "general/2026-01-05.json": day}
    with suppress(BadInput):
        entries(zipped(tmp_path_factory.mktemp("slack") / "a.zip", files))
