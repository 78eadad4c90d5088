"""The neutral JSONL: strict about every field, patient with every line."""

import gzip
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from tests.core.history.exports import broken, entries, jsonl, messages, record, survey

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ID = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)


def test_a_file_is_read_plain_or_packed(tmp_path: Path) -> None:
    plain = jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara")])
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert messages(plain) == messages(packed)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "the line is not an object"),
        (json.dumps(record(1) | {"sent_at": "2026-01-01T00:00:00"}), "sent_at has no offset from UTC"),
        (json.dumps(record(1) | {"sent_at": "yesterday"}), "sent_at is not an ISO 8601 time"),
        (json.dumps(record(1) | {"chat": {"id": "1", "kind": "secret"}}), "chat.kind is not"),
        (json.dumps(record(1) | {"text": None}), "text is not a text"),
        (json.dumps(record(1) | {"surprise": 1}), "unknown field 'surprise'"),
        (json.dumps(record(1) | {"id": ""}), "id is not an id"),
        (json.dumps(record(1) | {"sender": {}}), "sender.id is not an id"),
    ],
)
def test_a_wrong_line_is_reported_with_its_number_and_passed_over(
    tmp_path: Path, line: str, reason: str
) -> None:
    path = jsonl(tmp_path / "a.jsonl", [record(1), "", line, record(2)])
    found = broken(path)
    assert [(b.file, b.position) for b in found] == [("a.jsonl", "line 3")]
    assert found[0].reason.startswith(reason)
    assert len(messages(path)) == 2


def test_the_account_that_is_a_sender_is_the_owner(tmp_path: Path) -> None:
    found = survey(jsonl(tmp_path / "a.jsonl", [record(1), record(2, sender="mara")]))
    assert found.owners == {("console", "mara"): "mara"}
    assert "account" in found.how


def test_an_owner_that_nothing_tells_is_asked_for_with_candidates(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl",
        [record(1, account="x"), record(2, account="x"), record(3, "?", sender="z", account="x")],
    )
    with pytest.raises(BadInput, match=r"ana \(2\), z \(1\)"):
        survey(path)
    with pytest.raises(BadInput, match="nobody with that id"):
        survey(path, "nobody")
    assert survey(path, "console:z").owners == {("console", "x"): "z"}


def test_each_platform_has_its_own_owner(tmp_path: Path) -> None:
    lines = [record(1), record(2, platform="slack", account="acme", sender="U1")]
    path = jsonl(tmp_path / "a.jsonl", lines)
    found = survey(path, "slack:U1", "console:ana")
    assert found.owners == {("console", "mara"): "ana", ("slack", "acme"): "U1"}


def test_members_come_and_go_as_the_lists_say(tmp_path: Path) -> None:
    def group(number: int, *members: str) -> dict[str, object]:
        chat = {"id": "g", "kind": "group", "title": "G", "members": [{"id": m, "name": m} for m in members]}
        return record(number, chat=chat, sender="mara")

    found = survey(
        jsonl(tmp_path / "a.jsonl", [group(1, "ana", "ben"), group(2, "ana"), group(3, "ana", "ben")])
    )
    stays = next(iter(found.chats.values())).stays
    assert [(s.joined.minute, s.left and s.left.minute) for s in stays["ben"]] == [(1, 2), (3, None)]
    assert [(s.joined.minute, s.left) for s in stays["ana"]] == [(1, None)]


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            ID,
            ID,
            TEXT,
            st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis wants naive bounds
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_history_comes_back_as_it_was(
    rows: list[tuple[str, str, str, datetime]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [
        record(0, text, sender=sender, id=number, sent_at=at.isoformat()) for number, sender, text, at in rows
    ]
    path = jsonl(tmp_path_factory.mktemp("jsonl") / "a.jsonl", lines)
    assert [(m.id, m.sender.id, m.text, m.sent_at) for m in messages(path)] == rows


@settings(max_examples=120, deadline=None)
@given(raw=st.binary(max_size=400), at=st.integers(0, 600))
def test_any_bytes_are_reported_or_refused(
    raw: bytes, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = "\n".join(json.dumps(record(n)) for n in range(3)).encode()
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_bytes(good[:at] + raw + good[at:])
    with suppress(BadInput):
        assert entries(path)


@settings(max_examples=80, deadline=None)
@given(
    odd=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    field=st.sampled_from([*record(1), "attachments", "reactions", "edited_at", "forwarded"]),
)
def test_any_value_in_any_field_does_not_stop_the_rest(
    odd: object, field: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = jsonl(tmp_path_factory.mktemp("jsonl") / "a.jsonl", [record(1) | {field: odd}, record(2)])
    assert "m2" in [m.id for m in messages(path)]
