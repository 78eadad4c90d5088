"""Exports as their platforms write them, built for the tests."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.history.archive import Archive
from core.history.detect import open_reader
from core.history.importing import Report, Wishes, import_history
from core.history.record import Broken, Entry, HistoryMessage, Skipped
from core.history.survey import Survey, find_owner, take_survey
from core.ids import OwnerId
from core.storage.database import Database

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def record(number: int, text: str = "hello", *, sender: str = "ana", **changes: Any) -> dict[str, Any]:
    """A neutral record in the direct chat of `mara` (the owner) and Ana."""
    return {
        "platform": "console",
        "account": "mara",
        "chat": {"id": "c1", "kind": "direct", "title": "Ana"},
        "id": f"m{number}",
        "sender": {"id": sender, "name": sender.title()},
        "sent_at": (START + timedelta(minutes=number)).isoformat(),
        "text": text,
        "reply_to": None,
        "thread": None,
    } | changes


def jsonl(path: Path, records: Sequence[object]) -> Path:
    lines = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def zipped(path: Path, files: Mapping[str, object]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, str) else json.dumps(content))
    return path


def entries(path: Path, **options: Any) -> list[Entry]:
    with closing(Archive(path)) as archive:
        return list(open_reader(archive, **options).entries())


def messages(path: Path, **options: Any) -> list[HistoryMessage]:
    return [entry for entry in entries(path, **options) if isinstance(entry, HistoryMessage)]


def skipped(path: Path, **options: Any) -> list[str]:
    return [entry.kind for entry in entries(path, **options) if isinstance(entry, Skipped)]


def broken(path: Path, **options: Any) -> list[Broken]:
    return [entry for entry in entries(path, **options) if isinstance(entry, Broken)]


def survey(path: Path, *owners: str, **options: Any) -> Survey:
    with closing(Archive(path)) as archive:
        taken = take_survey(open_reader(archive, **options))
    find_owner(taken, owners, None)
    return taken


async def load(database: Database, owner: OwnerId, path: Path, *owners: str, **wishes: Any) -> Report:
    return await import_history(database, owner, path, Wishes(owners=owners, **wishes))


async def dump(database: Database, owner: OwnerId) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that an import may touch, by what it says rather than by its id."""
    async with database.owner(owner) as connection:
        found: dict[str, list[tuple[Any, ...]]] = {}
        for name, query in DUMPS.items():
            cursor = await connection.execute(query.encode())
            found[name] = sorted(await cursor.fetchall(), key=repr)
    return found


DUMPS = {
    "accounts": "SELECT platform, name, platform_user_id FROM accounts",
    "contacts": "SELECT display_name, circle FROM contacts",
    "contact_accounts": "SELECT platform, realm, platform_user_id, display_name FROM contact_accounts",
    "chats": """
        SELECT c.platform_chat_id, c.kind, c.title, c.members_known, a.kind, a.digest <> ''
        FROM chats c JOIN audiences a ON a.owner_id = c.owner_id AND a.id = c.audience_id""",
    "members": """
        SELECT c.platform_chat_id, p.display_name, m.joined_at::text, m.left_at::text
        FROM chat_members m JOIN chats c ON c.id = m.chat_id JOIN contacts p ON p.id = m.contact_id""",
    "messages": """
        SELECT c.platform_chat_id, m.platform_message_id, m.sender_name, m.origin, m.sent_at, m.edited_at,
               m.text, m.caption, m.reply_to, m.forwarded, t.platform_thread_id, a.kind
        FROM messages m JOIN chats c ON c.id = m.chat_id JOIN audiences a ON a.id = m.audience_id
        LEFT JOIN threads t ON t.id = m.thread_id""",
    "edits": "SELECT m.platform_message_id, e.text_before FROM message_edits e JOIN messages m ON m.id = e.message_id",
    "reactions": "SELECT m.platform_message_id, r.emoji FROM reactions r JOIN messages m ON m.id = r.message_id",
    "attachments": """
        SELECT m.platform_message_id, a.kind, a.name
        FROM attachments a JOIN messages m ON m.id = a.message_id""",
    "threads": "SELECT platform_thread_id FROM threads",
    "changes": "SELECT kind, row_id, before FROM import_changes",
}
