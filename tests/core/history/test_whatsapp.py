"""WhatsApp's text exports in the ways that phones write them."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from tests.core.history.exports import broken, entries, messages, skipped, survey, zipped

IOS = "\u200e[13/01/2026, 09:05:01] Mara: morning\n[13/01/2026, 09:06:00] Ana: second\nline\n"
ANDROID = "1/13/26, 9:05\u202fPM - Ana: hi\n1/14/26, 12:00\u202fAM - Mara: yo\n"


def always(name: str) -> bool:
    return bool(name)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_days_and_months_are_told_apart_over_the_whole_file(tmp_path: Path) -> None:
    ios, android = write(tmp_path / "_chat.txt", IOS), write(tmp_path / "b.txt", ANDROID)
    dots = write(tmp_path / "c.txt", "05.02.26, 10:00 - Ana: x\n25.02.26, 10:00 - Ana: y\n")
    years = write(tmp_path / "d.txt", "2026-02-05 10:00 - Ana: x\n")
    assert [m.sent_at.isoformat() for m in messages(ios)] == [
        "2026-01-13T09:05:01+00:00",
        "2026-01-13T09:06:00+00:00",
    ]
    assert [m.sent_at.isoformat() for m in messages(android)] == [
        "2026-01-13T21:05:00+00:00",
        "2026-01-14T00:00:00+00:00",
    ]
    assert messages(dots)[0].sent_at.month == 2
    assert messages(years)[0].sent_at.day == 5


def test_ambiguous_dates_are_refused_unless_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "3/4/26, 10:00 - Ana: x\n")
    with pytest.raises(BadInput, match="--day-first yes\\|no"):
        entries(path)
    assert messages(path, day_first=True)[0].sent_at.month == 4
    assert messages(path, day_first=False)[0].sent_at.month == 3
    assert messages(path, ask_day_first=always)[0].sent_at.month == 4


def test_lines_without_a_date_belong_to_the_message_before(tmp_path: Path) -> None:
    assert messages(write(tmp_path / "_chat.txt", IOS))[1].text == "second\nline"


def test_senders_lose_marks_and_texts_keep_their_colons(tmp_path: Path) -> None:
    text = "[13/01/2026, 09:05:01] ~\u202fZoe: a: b\n[13/01/2026, 09:05:02] \u202a+49 170\u202c: x\n"
    found = messages(write(tmp_path / "a.txt", text))
    assert [(m.sender.name, m.text) for m in found] == [("Zoe", "a: b"), ("+49 170", "x")]


def test_notices_deletions_and_view_once_are_left_out(tmp_path: Path) -> None:
    head = "[13/01/2026, 09:05:01] "
    lines = ["Messages are end-to-end encrypted", "Ana: This message was deleted", "Ana: ", "Ana: ok"]
    path = write(tmp_path / "a.txt", "".join(f"{head}{line}\n" for line in lines))
    assert skipped(path) == ["service", "deleted", "view_once"]
    assert len(messages(path)) == 1


def test_media_and_edit_marks_are_understood(tmp_path: Path) -> None:
    head = "13/01/2026, 09:05 - "
    lines = [
        "Ana: <Media omitted>",
        "Ana: \u200eIMG-1.jpg (file attached)\ncaption",
        "Ana: \u200e<attached: 0001-PHOTO.jpg>",
        "Ana: typo <This message was edited>",
    ]
    found = messages(write(tmp_path / "a.txt", "".join(f"{head}{line}\n" for line in lines)))
    assert [(m.text, [a.name or a.kind for a in m.attachments]) for m in found] == [
        ("", ["omitted"]),
        ("caption", ["IMG-1.jpg"]),
        ("", ["0001-PHOTO.jpg"]),
        ("typo", []),
    ]


def test_ids_are_the_same_at_every_import_and_differ_for_repeats(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "13/01/2026, 09:05 - Ana: x\n" * 2)
    first, again = [m.id for m in messages(path)], [m.id for m in messages(path)]
    assert first == again
    assert len(set(first)) == 2


def test_a_chat_of_two_is_direct_and_its_owner_has_to_be_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "WhatsApp Chat with Ana.zip", {"_chat.txt": IOS})
    with pytest.raises(BadInput, match="Mara"):
        survey(path)
    found = survey(path, "Mara")
    assert [(c.chat.kind, c.chat.title) for c in found.chats.values()] == [("direct", "Ana")]


def test_who_writes_in_all_chats_of_two_is_named_as_likely_but_not_taken(tmp_path: Path) -> None:
    write(tmp_path / "WhatsApp Chat with Ana.txt", IOS)
    write(tmp_path / "WhatsApp Chat with Ben.txt", IOS.replace("Ana", "Ben"))
    with pytest.raises(BadInput, match="Mara: writes in all 2 chats of two"):
        survey(tmp_path)


def test_a_date_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "13/01/2026, 09:05 - Ana: x\n31/02/2026, 09:05 - Ana: y\n")
    assert [b.position for b in broken(path)] == ["line 2"]


@settings(max_examples=80, deadline=None)
@given(raw=st.binary(max_size=300), cut=st.integers(0, 200))
def test_any_bytes_are_read_or_refused(
    raw: bytes, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("wa") / "a.txt"
    path.write_bytes(IOS.encode()[:cut] + raw + ANDROID.encode())
    with suppress(BadInput):
        assert entries(path)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.text(
            st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=20
        ).filter(lambda text: text not in "<>" and not text.startswith("<")),
        min_size=1,
        max_size=6,
    )
)
def test_any_words_come_back_as_they_were(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("wa") / "a.txt"
    path.write_bytes("".join(f"13/01/2026, 09:05 - Ana: {text}\n" for text in texts).encode())
    assert [m.text for m in messages(path)] == texts
