"""Telegram Desktop's exports, with every trap that is known of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.history.record import HistoryMessage
from tests.core.history.exports import broken, entries, messages, skipped, survey

OWNER, ANA = 5_000_000_001, 42
"""The owner's id needs more than 32 bits, as new ones do."""


def message(number: int, text: Any = "hello", sender: int = ANA, **changes: object) -> dict[str, Any]:
    return {
        "id": number,
        "type": "message",
        "date": "2026-03-29T02:30:00",
        "date_unixtime": str(1_774_000_000 + number),
        "from": "Ana",
        "from_id": f"user{sender}",
        "text": text,
    } | changes


def chat(*items: object, kind: str = "personal_chat", number: int = ANA, **changes: Any) -> dict[str, Any]:
    return {"name": "Ana", "type": kind, "id": number, "messages": list(items)} | changes


def write(path: Path, content: object) -> Path:
    text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def account(*chats: dict[str, Any], left: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": OWNER, "first_name": "Mara"},
        "contacts": {"about": "", "list": [{"user_id": 1, "first_name": "x"}]},
        "chats": {"about": "", "list": list(chats)},
        "left_chats": {"about": "", "list": list(left)},
    }


def test_one_personal_chat_tells_its_owner_by_its_id(tmp_path: Path) -> None:
    path = write(tmp_path / "result.json", chat(message(1), message(2, sender=OWNER)))
    found = survey(path)
    assert list(found.owners.values()) == [str(OWNER)]
    assert [m.sender.id for m in messages(path)] == [str(ANA), str(OWNER)]


def test_a_whole_account_tells_its_owner_and_all_its_chats(tmp_path: Path) -> None:
    group = chat(message(1), kind="private_group", number=7)
    gone = chat(message(1), kind="private_supergroup", number=8)
    path = write(tmp_path / "result.json", account(chat(message(1)), group, left=(gone,)))
    assert list(survey(path).owners.values()) == [str(OWNER)]
    assert [m.chat.id for m in messages(path)] == [str(ANA), "-7", "-1008"]


def test_control_characters_written_as_x_escapes_are_read(tmp_path: Path) -> None:
    raw = json.dumps(chat(message(1, "a@b"), message(2, "back\\x1f"), message(3, sender=OWNER)), indent=1)
    path = write(tmp_path / "result.json", raw.replace("a@b", "a\\x1Fb"))
    assert [m.text for m in messages(path)] == ["a\x1fb", "back\\x1f", "hello"]


def test_a_bare_document_id_is_read(tmp_path: Path) -> None:
    raw = json.dumps(chat(message(1, "x", reactions=[{"document_id": "@@"}]), message(2)), indent=1)
    path = write(tmp_path / "result.json", raw.replace('"@@"', "video_files/sticker.webm"))
    assert len(messages(path)) == 2


def test_text_lists_are_joined_with_nothing_and_links_are_kept(tmp_path: Path) -> None:
    parts: list[object] = ["see ", {"type": "text_link", "text": "this", "href": "https://x.example"}, "!"]
    entities = [{"type": "plain", "text": "from "}, {"type": "bold", "text": "entities"}]
    path = write(
        tmp_path / "result.json", chat(message(1, parts), message(2, "other", text_entities=entities))
    )
    assert [m.text for m in messages(path)] == ["see this (https://x.example)!", "from entities"]


def test_unix_time_wins_over_local_time(tmp_path: Path) -> None:
    path = write(tmp_path / "result.json", chat(message(1), message(2)))
    times = [m.sent_at.timestamp() for m in messages(path)]
    assert times == [1_774_000_001, 1_774_000_002]


def test_deleted_accounts_have_no_name_and_sometimes_no_id(tmp_path: Path) -> None:
    path = write(
        tmp_path / "result.json",
        chat(message(1) | {"from": None}, message(2) | {"from": None, "from_id": None}),
    )
    assert [m.sender.name for m in messages(path)] == ["Deleted account", "Deleted account"]


def test_integer_senders_of_old_exports_are_users(tmp_path: Path) -> None:
    path = write(tmp_path / "result.json", chat(message(1, from_id=(1 << 32) + 77), message(2, from_id=78)))
    assert [m.sender.id for m in messages(path)] == ["77", "78"]


def test_messages_from_before_a_migration_keep_their_negative_ids(tmp_path: Path) -> None:
    path = write(
        tmp_path / "result.json",
        chat(message(-999_999_995), message(5), kind="private_supergroup", number=9),
    )
    assert [m.id for m in messages(path)] == ["-999999995", "5"]


def test_login_codes_are_left_out_and_never_shown(tmp_path: Path) -> None:
    codes = {"type": "verification_codes", "id": 777, "messages": [message(1, "Login code: 12345")]}
    path = write(tmp_path / "result.json", account(codes, chat(message(1))))
    assert skipped(path) == ["verification_codes"]
    assert "12345" not in repr(entries(path))


def test_an_export_of_only_my_messages_is_noticed(tmp_path: Path) -> None:
    group = chat(message(1, sender=OWNER), message(2, sender=OWNER), kind="private_group", number=7)
    path = write(tmp_path / "result.json", account(group, chat(message(1), message(2, sender=OWNER))))
    assert [c.chat.id for c in survey(path).one_sided()] == ["-7"]


def test_media_polls_and_forwards_are_understood(tmp_path: Path) -> None:
    missing = "(File not included. Change data exporting settings to download.)"
    poll = {
        "question": [{"type": "plain", "text": "When?"}],
        "answers": [{"text": "Now"}, {"text": ["La", "ter"]}],
    }
    path = write(
        tmp_path / "result.json",
        chat(
            message(1, "", photo=missing, photo_file_size=9),
            message(2, "", file="f/round.mp4", media_type="video_message"),
            message(3, "", poll=poll),
            message(4, forwarded_from=None),
            message(5, "", type="service", action="phone_call"),
            message(6, "x", type="unsupported"),
        ),
    )
    found = messages(path)
    assert [m.attachments[0].kind for m in found[:3]] == ["photo", "video_message", "poll"]
    assert found[0].attachments[0].reference == ""
    assert found[2].attachments[0].caption == "When?\nNow\nLater"
    assert found[3].forwarded
    assert skipped(path) == ["service", "unsupported"]


def test_a_broken_message_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = write(
        tmp_path / "result.json", chat(message(1), {"type": "message", "id": "x", "text": "a"}, message(3))
    )
    assert [m.id for m in messages(path)] == ["1", "3"]
    assert [b.position for b in broken(path)] == ["message 2 of chat 42"]


def test_a_file_that_ends_in_the_middle_gives_what_came_before(tmp_path: Path) -> None:
    raw = json.dumps(chat(message(1), message(2), message(3)), indent=1)
    path = write(tmp_path / "result.json", raw[: raw.rindex('"id"')])
    assert [m.id for m in messages(path)] == ["1", "2"]
    assert len(broken(path)) == 1


def test_reactions_with_a_giver_are_kept(tmp_path: Path) -> None:
    given_by = [{"from": "Ana", "from_id": f"user{ANA}", "date": "2026-01-01T00:00:00"}]
    path = write(
        tmp_path / "result.json",
        chat(message(1, reactions=[{"type": "emoji", "count": 1, "emoji": "👍", "recent": given_by}])),
    )
    assert [(r.sender.id, r.emoji) for r in messages(path)[0].reactions] == [("42", "👍")]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=8))
def test_any_text_comes_back_as_it_was(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tg") / "result.json"
    write(path, chat(*(message(n, text) for n, text in enumerate(texts))))
    expected = [text.replace("\0", "") for text in texts]
    assert [m.text for m in messages(path)] == [text for text in expected if text]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_export_never_crashes_the_reader(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = bytearray(json.dumps(account(chat(message(1), message(2, ["a", {"text": "b"}])))).encode())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("tg") / "result.json"
    path.write_bytes(bytes(raw))
    try:
        found = entries(path)
    except BadInput:
        return
    assert all(entry for entry in found)


@settings(max_examples=80, deadline=None)
@given(
    odd=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    field=st.sampled_from(
        ["id", "from_id", "from", "text", "date_unixtime", "reactions", "poll", "edited", "type"]
    ),
)
def test_any_value_in_any_field_is_a_message_or_a_reported_one(
    odd: object, field: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tg") / "result.json"
    write(path, chat(message(1) | {field: odd}, message(2)))
    found = entries(path)
    assert any(isinstance(entry, HistoryMessage) and entry.id == "2" for entry in found)


def test_the_hour_that_comes_twice_and_messages_out_of_order_keep_their_true_times(tmp_path: Path) -> None:
    first = message(1) | {"date": "2026-10-25T02:30:00", "date_unixtime": "1792888200"}
    again = message(2) | {"date": "2026-10-25T02:10:00", "date_unixtime": "1792890600"}
    path = write(tmp_path / "result.json", chat(again, first))
    assert [(m.id, m.sent_at.isoformat()) for m in messages(path)] == [
        ("2", "2026-10-25T01:10:00+00:00"),
        ("1", "2026-10-25T00:30:00+00:00"),
    ]
