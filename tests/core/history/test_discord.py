"""Discord's data package and DiscordChatExporter's JSON, with their traps."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.history.record import HistoryMessage
from tests.core.history.exports import broken, entries, messages, skipped, survey, zipped

BIG = 1_234_567_890_123_456_789
"""More than a float holds."""

CSV = (
    "ID,Timestamp,Contents,Attachments\n"
    f'{BIG},2020-03-01 10:00:00.123000+00:00,"two\nlines, ""quoted""",\n'
    f"{BIG + 1},2020-03-01 10:01:00+00:00,,https://cdn.example/a/b.png?x=1\n"
)


def package(
    root: str = "", messages_folder: str = "messages/", account: str = "account/"
) -> dict[str, object]:
    return {
        f"{root}{account}user.json": {"id": "7", "username": "mara"},
        f"{root}{messages_folder}index.json": {"1": "Direct"},
        f"{root}{messages_folder}c1/channel.json": {"id": "1", "type": 1, "recipients": ["7", "42"]},
        f"{root}{messages_folder}c1/messages.json": [
            {"ID": BIG, "Timestamp": "2024-05-01 10:00:00", "Contents": "hi <@42>", "Attachments": ""}
        ],
        f"{root}{messages_folder}2/channel.json": {
            "id": "2",
            "type": 0,
            "name": "x",
            "guild": {"id": "3", "name": "G"},
        },
        f"{root}{messages_folder}2/messages.csv": CSV,
    }


@pytest.mark.parametrize(
    "names",
    [("", "messages/", "account/"), ("", "Messages/", "Compte/"), ("package/", "Nachrichten/", "Konto/")],
)
def test_packages_are_read_whatever_their_folders_are_called(
    tmp_path: Path, names: tuple[str, str, str]
) -> None:
    path = zipped(tmp_path / "package.zip", package(*names))
    found = sorted(messages(path), key=lambda m: (m.chat.id, m.id))
    assert [(m.chat.id, m.chat.kind, m.id) for m in found] == [
        ("1", "direct", str(BIG)),
        ("2", "group", str(BIG)),
        ("2", "group", str(BIG + 1)),
    ]
    assert found[1].text == 'two\nlines, "quoted"'
    assert found[2].attachments[0].name == "b.png"


def test_a_package_knows_its_owner_and_is_one_sided(tmp_path: Path) -> None:
    found = survey(zipped(tmp_path / "package.zip", package()))
    assert list(found.owners.values()) == ["7"]
    assert [chat.chat.id for chat in found.one_sided()] == ["2"]


def test_a_package_with_a_broken_channel_gives_the_rest(tmp_path: Path) -> None:
    files = package() | {"messages/c1/messages.json": "[{", "messages/c9/channel.json": "[]"}
    path = zipped(tmp_path / "package.zip", files)
    assert {m.chat.id for m in messages(path)} == {"2"}
    assert len(broken(path)) == 2


def exporter_message(number: int, text: str = "hello", **changes: object) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": str(BIG + number),
        "type": "Default",
        "timestamp": "2026-01-05T10:00:00.1234567+01:00",
        "timestampEdited": None,
        "content": text,
        "author": {"id": "42", "name": "ana", "nickname": "Ana", "isBot": False},
        "attachments": [],
        "reactions": [],
    }
    return message | changes


def exporter(*items: object, guild: str = "0", kind: str = "DirectTextChat") -> str:
    content = {
        "guild": {"id": guild, "name": "Direct Messages"},
        "channel": {"id": "99", "type": kind, "name": "Ana"},
        "dateRange": {},
        "messages": list(items),
        "messageCount": len(items),
    }
    return json.dumps(content, indent=2)


def test_exporter_times_have_offsets_and_fractions_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    path.write_text(exporter(exporter_message(1)))
    found = messages(path)[0]
    assert found.sent_at.isoformat() == "2026-01-05T09:00:00.123456+00:00"
    assert (found.chat.kind, found.sender.name) == ("direct", "Ana")


def test_exporter_notices_and_numeric_kinds_are_left_out_and_forwards_are_no_replies(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    reply = {"messageId": str(BIG + 1), "type": "Default"}
    forward = {"messageId": str(BIG + 1), "type": "Forward"}
    path.write_text(
        exporter(
            exporter_message(1),
            exporter_message(2, type="Reply", reference=reply),
            exporter_message(3, type="46"),
            exporter_message(4, type="RecipientAdd"),
            exporter_message(5, type="20"),
            exporter_message(
                6, "", reference=forward, forwardedMessage={"content": "again", "attachments": []}
            ),
        )
    )
    found = messages(path)
    assert [m.reply_to for m in found] == [None, str(BIG + 1), None]
    assert (found[2].text, found[2].forwarded) == ("again", True)
    assert skipped(path) == ["service", "service", "command"]


def test_exporter_never_guesses_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    path.write_text(exporter(exporter_message(1)))
    with pytest.raises(BadInput, match="--owner ID"):
        survey(path)


def test_a_folder_of_partitions_is_one_chat(tmp_path: Path) -> None:
    (tmp_path / "a [part 1].json").write_text(exporter(exporter_message(1)))
    (tmp_path / "a [part 2].json").write_text(exporter(exporter_message(2)))
    assert len(survey(tmp_path, "42").chats) == 1


@settings(max_examples=60, deadline=None)
@given(
    odd=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    field=st.sampled_from(
        [
            "id",
            "type",
            "timestamp",
            "timestampEdited",
            "content",
            "author",
            "attachments",
            "reactions",
            "reference",
        ]
    ),
)
def test_any_value_in_any_field_does_not_stop_the_rest(
    odd: object, field: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("dce") / "chat.json"
    path.write_text(exporter(exporter_message(1) | {field: odd}, exporter_message(2)))
    assert any(isinstance(entry, HistoryMessage) and entry.id == str(BIG + 2) for entry in entries(path))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "ID", "Timestamp", "x"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(channel=ANYTHING, written=ANYTHING)
def test_whatever_a_package_holds_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, channel: object, written: object
) -> None:
    files = package() | {"messages/c1/channel.json": channel, "messages/c1/messages.json": written}
    with suppress(BadInput):
        entries(zipped(tmp_path_factory.mktemp("package") / "a.zip", files))
