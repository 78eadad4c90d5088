"""One import from path to report: open, survey, know the owner, load."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import BadInput
from core.history.archive import Archive
from core.history.detect import open_reader
from core.history.load import Loaded, load_history
from core.history.spool import Spool
from core.history.survey import Ask, Survey, describe_owner, find_owner, take_survey
from core.history.whatsapp import AskDayFirst
from core.ids import BatchId, OwnerId
from core.storage.database import Database

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, bytes read, bytes in all)."""


def _silent(_what: str, _done: int, _total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the person asked for; where nobody can be asked, the questions are None."""

    format: str = "auto"
    owners: tuple[str, ...] = ()
    training: bool | None = None
    """None: the source's consent stays as it is, and a new source's is no."""
    day_first: bool | None = None
    time_zone: str = "UTC"
    ask_owner: Ask | None = None
    ask_day_first: AskDayFirst | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an import did, or would do."""

    format: str
    messages_read: int
    messages_new: int
    messages_updated: int
    chats: int
    contacts: int
    owner: Mapping[str, object]
    skipped: Mapping[str, int]
    errors: Sequence[Mapping[str, str]]
    errors_total: int
    batch: BatchId | None
    dry_run: bool
    first: datetime | None
    last: datetime | None
    one_sided: Sequence[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "messages_read": self.messages_read,
            "messages_new": self.messages_new,
            "messages_updated": self.messages_updated,
            "chats": self.chats,
            "contacts": self.contacts,
            "owner": dict(self.owner),
            "skipped": dict(self.skipped),
            "errors": [dict(error) for error in self.errors],
            "errors_total": self.errors_total,
            "batch": self.batch,
            "dry_run": self.dry_run,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "one_sided": [dict(chat) for chat in self.one_sided],
        }


async def preview_history(path: Path, wishes: Wishes, *, on_progress: Progress = _silent) -> Report:
    """What an import would find: nothing is stored, and an owner who is not certain is not asked for."""
    with closing(await asyncio.to_thread(Archive, path)) as archive:
        survey = await _survey(archive, wishes, on_progress)
    try:
        find_owner(survey, wishes.owners, None)
    except BadInput as error:
        survey.how = f"unknown: {error}"
    return _report(survey, None)


async def import_history(
    database: Database, owner_id: OwnerId, path: Path, wishes: Wishes, *, on_progress: Progress = _silent
) -> Report:
    """Imports an export. Raises `BadInput` where it is refused; then nothing was stored."""
    with closing(await asyncio.to_thread(Archive, path)) as archive, Spool() as spool:
        survey = await _survey(archive, wishes, on_progress, spool)
        find_owner(survey, wishes.owners, wishes.ask_owner)
        loaded = await load_history(
            database,
            owner_id,
            spool,
            survey,
            label=path.name,
            training=wishes.training,
            on_progress=lambda done: on_progress("Storing", done, spool.size),
        )
    return _report(survey, loaded)


async def _survey(
    archive: Archive, wishes: Wishes, on_progress: Progress, spool: Spool | None = None
) -> Survey:
    reader = await asyncio.to_thread(
        open_reader,
        archive,
        wishes.format,
        time_zone=wishes.time_zone,
        day_first=wishes.day_first,
        ask_day_first=wishes.ask_day_first,
    )
    total = reader.total_bytes
    return await asyncio.to_thread(
        take_survey, reader, lambda done: on_progress("Reading", done, total), spool
    )


def _report(survey: Survey, loaded: Loaded | None) -> Report:
    """Chats and people are those of the export, known before or not."""
    chats = survey.chats.values()
    people = {
        (platform, person)
        for (platform, account, _), chat in survey.chats.items()
        for person in chat.stays
        if person != survey.owners.get((platform, account))
    }
    skipped = Counter(loaded.skipped if loaded else survey.skipped)
    return Report(
        format=survey.format,
        messages_read=survey.messages,
        messages_new=loaded.messages_new if loaded else 0,
        messages_updated=loaded.messages_updated if loaded else 0,
        chats=len(survey.chats),
        contacts=len(people),
        owner=describe_owner(survey),
        skipped={kind: count for kind, count in sorted(skipped.items()) if count},
        errors=[{"file": e.file, "position": e.position, "reason": e.reason} for e in survey.errors],
        errors_total=survey.errors_total,
        batch=loaded.batch if loaded else None,
        dry_run=loaded is None,
        first=min((chat.first for chat in chats), default=None),
        last=max((chat.last for chat in chats), default=None),
        one_sided=[_one_sided(survey, chat.chat.id, chat.messages) for chat in survey.one_sided()][:50],
    )


def _one_sided(survey: Survey, chat_id: str, messages: int) -> Mapping[str, Any]:
    by_owner = any(
        set(chat.sent) <= set(survey.owners.values())
        for key, chat in survey.chats.items()
        if key[2] == chat_id
    )
    return {"chat": chat_id, "messages": messages, "only_owner": by_owner}
