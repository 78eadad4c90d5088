"""`locum memory profile`, `biography` and `now`: who people are to the owner, who the owner is, and where."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from core.audience import Reader
from core.commands.days import clock, end_of_day
from core.commands.memory_topics import JsonOption, ReaderOption, as_reader, out, print_json, run
from core.errors import BadInput
from core.ids import ContactId
from core.memory.extraction import owner_of
from core.memory.now_card import NowCard, read_now
from core.memory.persons import in_person
from core.memory.portraits import Commitment, Portrait, read_portrait
from core.memory.profile_versions import (
    ProfileDiff,
    ProfileVersion,
    VersionLine,
    list_versions,
    read_diff,
    read_version,
)
from core.memory.profiles import Profile, Style
from core.memory.references import find_contact
from core.runtime import Locum
from core.storage.database import Connection
from core.terminal import said

ENOUGH = 5
"""Messages from which a style is told."""


class Person(StrEnum):
    """Who speaks: the owner, somebody to the owner, or somebody about the owner."""

    FIRST = "first"
    SECOND = "second"
    THIRD = "third"


PersonOption = Annotated[
    Person,
    typer.Option(help="Who speaks: you ('I live'), Locum to you ('you live'), or about you ('Mara lives')."),
]
AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="As it was known to be on that day: YYYY-MM-DD.")
]
VersionOption = Annotated[
    int | None,
    typer.Option("--version", min=1, help="As it was written then; with --diff, what that one changed."),
]
DiffOption = Annotated[bool, typer.Option("--diff", help="What the last version changed.")]
VersionsOption = Annotated[bool, typer.Option("--versions", help="Which versions there are.")]


def register(memory: typer.Typer) -> None:
    """Add the commands to `locum memory`."""
    memory.command("profile")(show_profile)
    memory.command("biography")(show_biography)
    memory.command("now")(show_now)


def show_profile(
    contact: Annotated[str, typer.Argument(help="A name, a platform's id, or the number Locum shows.")],
    *,
    person: PersonOption = Person.THIRD,
    as_of: AsOfOption = None,
    version: VersionOption = None,
    diff: DiffOption = False,
    versions: VersionsOption = False,
    reader: ReaderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who a contact is to you, how the two of you write, what is open, and what was said last.

    Each line ends with the numbers of the messages that it rests on.
    """

    async def work(locum: Locum, connection: Connection) -> None:
        found = await find_contact(connection, locum.owner_id, contact)
        await _show(
            locum, connection, found.id, person, as_of=as_of, version=version, diff=diff, versions=versions,
            reader=reader, as_json=as_json,
        )  # fmt: skip

    run(work)


def show_biography(
    *,
    person: PersonOption = Person.THIRD,
    as_of: AsOfOption = None,
    version: VersionOption = None,
    diff: DiffOption = False,
    versions: VersionsOption = False,
    reader: ReaderOption = None,
    as_json: JsonOption = False,
) -> None:
    """What is known of you, how you write, what you come back to, and what is open."""

    async def work(locum: Locum, connection: Connection) -> None:
        await _show(
            locum, connection, None, person, as_of=as_of, version=version, diff=diff, versions=versions,
            reader=reader, as_json=as_json,
        )  # fmt: skip

    run(work)


def show_now(
    *, person: PersonOption = Person.SECOND, reader: ReaderOption = None, as_json: JsonOption = False
) -> None:
    """Where you are, whether you can be reached, until when, and what comes next."""

    async def work(locum: Locum, connection: Connection) -> None:
        card = await read_now(
            connection,
            owner_id=locum.owner_id,
            reader=await as_reader(connection, locum, reader) or Reader.owner(),
            at=datetime.now(UTC),
            zone=ZoneInfo(locum.settings.time_zone),
        )
        if as_json:
            print_json(asdict(card))
            return
        name = await owner_of(connection, locum.owner_id)
        for line in now_lines(card, name, person, ZoneInfo(locum.settings.time_zone)):
            out.print(said(line))

    run(work)


async def _show(
    locum: Locum,
    connection: Connection,
    contact_id: ContactId | None,
    person: Person,
    *,
    as_of: str | None,
    version: int | None,
    diff: bool,
    versions: bool,
    reader: str | None,
    as_json: bool,
) -> None:
    own = reader in (None, "owner")
    if not own and (diff or versions or version is not None):
        raise BadInput("Versions are for your eyes: leave --reader out, or --version, --versions and --diff.")
    if as_of is not None and (diff or versions or version is not None):
        raise BadInput("--as-of asks what was true on a day, --version what was written: give one of them.")
    name, zone = await owner_of(connection, locum.owner_id), locum.settings.time_zone
    if versions:
        _show_versions(await list_versions(connection, locum.owner_id, contact_id), zone, as_json=as_json)
    elif diff:
        changed = await read_diff(connection, locum.owner_id, contact_id, version)
        _show_diff(changed, name, person, as_json=as_json)
    elif version is not None:
        written = await read_version(connection, locum.owner_id, contact_id, version)
        _show_version(written, name, person, zone, as_json=as_json)
    else:
        portrait = await read_portrait(
            connection,
            owner_id=locum.owner_id,
            reader=await as_reader(connection, locum, reader) or Reader.owner(),
            contact_id=contact_id,
            as_of=end_of_day(as_of, zone),
        )
        _show_portrait(portrait, name, person, zone, as_json=as_json)


# ─── On the terminal ─────────────────────────────────────────────────────────────────────────


def _show_portrait(
    portrait: Portrait | None, owner: str, person: Person, zone: str, *, as_json: bool
) -> None:
    if portrait is None:
        if as_json:
            print_json({"profile": None, "commitments": []})
        else:
            out.print("Nothing is known yet: 'locum memory extract' reads what was imported.")
        return
    if as_json:
        told = asdict(portrait)
        for line in told["profile"]["lines"]:
            line["told"] = in_person(line["statement"], owner, person.value)
        print_json(told)
        return
    for line in portrait_lines(portrait, owner, person, zone):
        out.print(said(line, "" if line.startswith(" ") else "bold"))


def portrait_lines(portrait: Portrait, owner: str, person: Person, zone: str) -> list[str]:
    """The portrait as lines of text; those that are indented say something, the others head them."""
    profile = portrait.profile
    standing = ", ".join(part for part in (portrait.relation, portrait.circle) if part)
    version = f"  [version {portrait.version}]" if portrait.version else ""
    lines = [f"{profile.name}{f' ({standing})' if standing else ''}{version}"]
    lines += [
        f"  {in_person(line.statement, owner, person.value)}{' (hearsay)' if line.hearsay else ''}"
        f"  [fact {line.fact_id}; {_blame(line.sources)}]"
        for line in profile.lines
    ]
    manners = _manners(profile)
    lines += ["How you write", *manners] if manners else []
    if portrait.topics:
        lines.append("Topics")
        lines += [
            f"  {topic.name}: {topic.messages} messages, last {topic.last_seen:%Y-%m-%d}  [topic {topic.topic_id}]"
            for topic in portrait.topics
        ]
    if portrait.commitments:
        lines.append("Open")
        lines += [
            f"  {in_person(each.statement, owner, person.value)}{_due(each, zone)}  [{_blame(each.source_ids)}]"
            for each in portrait.commitments
        ]
    if portrait.last_said:
        lines.append("Last said")
        lines += [
            f"  {clock(each.sent_at, zone)}: {each.text}  [{each.message_id}]" for each in portrait.last_said
        ]
    return lines


def _due(promise: Commitment, zone: str) -> str:
    """When it is due, where the statement itself does not end with that day."""
    if promise.due_at is None:
        return ""
    due = clock(promise.due_at, zone)
    return "" if f"(due {due[:10]})" in promise.statement else f", due {due}"


def _blame(sources: Sequence[int]) -> str:
    shown = ", ".join(str(each) for each in sources[:4])
    more = f" and {len(sources) - 4} more" if len(sources) > 4 else ""  # noqa: PLR2004 -- a line's worth
    return f"from {shown}{more}"


def _manners(profile: Profile) -> list[str]:
    sides = [("you", profile.style), ("they", profile.their_style)]
    return [
        f"  {whose} write {manner(style)}" for whose, style in sides if style and style.messages >= ENOUGH
    ]


def manner(style: Style) -> str:
    """How one side writes, in words; latency is told where it is known."""
    latency = style.reply_latency_seconds
    parts = [
        f"{style.mean_words:g} words a message",
        f"{style.messages_per_burst:g} messages in a row",
        f"{style.lowercase_share:.0%} in lower case",
        f"{style.emoji_per_message:g} emoji a message",
        f"formality {style.formality:g} of 1",
        f"opening with “{style.greeting}”" if style.greeting else "mostly without a greeting",
        f"answering within {_span(latency)}" if latency is not None else "",
        f"in {style.language}" if style.language else "",
    ]
    return ", ".join(part for part in parts if part)


def _span(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 -- as people say it
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} hours"  # noqa: PLR2004 -- likewise


def _show_versions(versions: list[tuple[int, datetime]], zone: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"versions": [{"version": number, "created_at": at} for number, at in versions]})
        return
    for number, at in versions:
        out.print(f"version {number}  {clock(at, zone)}")


def _show_version(written: ProfileVersion, owner: str, person: Person, zone: str, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(written))
        return
    out.print(f"version {written.version}, {clock(written.created_at, zone)}", style="bold")
    for line in written.lines:
        out.print(said(f"  {_told(line, owner, person)}"))
    for whose, style in (("you", written.styles.owner), ("they", written.styles.contact)):
        if style and style.messages >= ENOUGH:
            out.print(said(f"  {whose} write {manner(style)}"))


def _show_diff(changed: ProfileDiff, owner: str, person: Person, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(changed))
        return
    since = f"since version {changed.older}" if changed.older else "the first"
    out.print(f"version {changed.newer}, {since}", style="bold")
    for line in changed.removed:
        out.print(said(f"- {_told(line, owner, person)}", "red"))
    for line in changed.added:
        out.print(said(f"+ {_told(line, owner, person)}", "green"))
    for what, before, after in changed.changed:
        out.print(said(f"~ {what}: {before} → {after}"))


def _told(line: VersionLine, owner: str, person: Person) -> str:
    until = f" (until {line.valid_to:%Y-%m-%d})" if line.valid_to else ""
    return f"{in_person(line.statement, owner, person.value)}{until}  [fact {line.fact_id}; {_blame(line.sources)}]"


def now_lines(card: NowCard, owner: str, person: Person, zone: ZoneInfo) -> list[str]:
    """The card as lines of text, each with the messages that it rests on."""
    if card.whereabouts is not None:
        where = in_person(card.whereabouts.statement, owner, person.value)
        until = f", until {card.until.astimezone(zone):%Y-%m-%d %H:%M}" if card.until else ""
        lines = [f"{where}{until}  [{_blame(card.whereabouts.source_ids)}]"]
    elif card.home is not None:
        told = in_person(card.home.statement, owner, person.value)
        lines = [f"Nothing is known of today. {told}.  [{_blame(card.home.source_ids)}]"]
    else:
        lines = ["Nothing is known of where you are."]
    lines.append(f"Availability: {card.availability}.")
    for fact in card.coming:
        told = in_person(fact.statement, owner, person.value)
        lines.append(f"Coming: {told}  [{_blame(fact.source_ids)}]")
    return lines
