"""Archives are opened with suspicion."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

from core.errors import BadInput
from core.history.archive import Archive
from tests.core.history.exports import entries, jsonl, record, zipped


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("result.json", b"0" * (40 * 2**20))
    assert path.stat().st_size < 100_000
    with pytest.raises(BadInput, match="unpacks 200-fold"):
        Archive(path)


def test_a_gzip_bomb_is_stopped_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(
        gzip.compress(b'{"platform":"a","account":"b","chat":{},"sender":{}}\n' + b"\n" * (64 * 2**20))
    )
    with pytest.raises(BadInput, match="unpacks more than 200-fold"):
        entries(path)


def test_an_entry_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"_chat.txt": "13/01/2026, 09:05 - Ana: x\n" * 50})
    raw = path.read_bytes()
    size = (50 * 27).to_bytes(4, "little")
    assert raw.count(size) == 2
    path.write_bytes(raw.replace(size, (20).to_bytes(4, "little")))
    with pytest.raises(BadInput, match=r"declares|damaged"):
        entries(path)


@pytest.mark.parametrize("name", ["../out.json", "/etc/x.json", "a/../../b.json", "C:/x.json", "..\\x.json"])
def test_names_that_leave_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="leaves the archive"):
        Archive(zipped(tmp_path / "a.zip", {name: "{}"}))


def test_links_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.json")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(BadInput, match="holds a link"):
        Archive(tmp_path / "a.zip")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "result.json").symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="leads out of"):
        Archive(folder)


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.history.archive.MOST_ENTRIES", 3)
    with pytest.raises(BadInput, match="4 entries"):
        Archive(zipped(tmp_path / "a.zip", {f"{n}.json": "{}" for n in range(4)}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"hello": 1}'),
        ("a.txt", b"dear diary"),
        ("a.bin", os.urandom(500)),
        ("a.zip", b"PK\x03\x04xx"),
        ("e", b""),
    ],
)
def test_what_is_no_export_is_refused_with_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match="no export that Locum knows"):
        entries(tmp_path / name)


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        Archive(tmp_path / "nothing")


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    jsonl(tmp_path / "history.json", [record(1)])
    assert len(entries(tmp_path / "history.json")) == 1
    with pytest.raises(BadInput, match="no export of the kind slack"):
        entries(tmp_path / "history.json", format_name="slack")
