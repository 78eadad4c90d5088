"""`locum memory consents`, `audience` and `opt-out`: what may be used, before whom, and of whom."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from core.errors import BadInput
from core.ids import FactId, OwnerId
from core.memory.circles import circle_name
from core.memory.consents import (
    Source,
    Wishes,
    Withdrawn,
    change_consents,
    find_source,
    list_sources,
    opt_in,
    opt_out,
)
from core.memory.forgetting import find_everything_of, find_message, find_topic, forget
from core.memory.profiling import refresh_profiles
from core.memory.references import find_contact
from core.memory.sharing import Audience, share_contact, share_fact, share_message, share_topic
from core.runtime import Locum, open_locum
from core.settings import load_settings
from core.storage.database import Connection
from core.terminal import harmless, said

out = Console(highlight=False)

HEADINGS = ("source", "kind", "platform", "name", "messages", "draft", "profile", "training", "leave")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class Row(StrEnum):
    """What has an audience."""

    MESSAGE = "message"
    FACT = "fact"
    TOPIC = "topic"
    CONTACT = "contact"


def register(memory: typer.Typer) -> None:
    """Add the commands to `locum memory`."""
    memory.command("consents")(consents)
    memory.command("audience")(audience)
    memory.command("opt-out")(leave_out)


def consents(
    *,
    source: Annotated[
        str | None, typer.Option(help="Which source: its number, name or platform. Without: all are shown.")
    ] = None,
    draft: Annotated[
        bool | None, typer.Option("--draft/--no-draft", help="Drafts may rest on its messages.")
    ] = None,
    profile: Annotated[
        bool | None, typer.Option("--profile/--no-profile", help="Facts about others may come from it.")
    ] = None,
    training: Annotated[
        bool | None, typer.Option("--training/--no-training", help="Your voice may be learned from it.")
    ] = None,
    leave: Annotated[
        bool | None,
        typer.Option(
            "--leave/--no-leave", help="Models on other machines that your settings name may be sent it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each source may be used for, or change it for one.

    Withdrawn is withdrawn at once: drafts on show that rest on it, facts about others that it told, and
    adapters that learned from it go. What you said of yourself there is no profile of anybody, and stays.
    """
    wishes = Wishes(draft=draft, profile=profile, training=training, leave=leave)
    if wishes.any and source is None:
        raise BadInput("Say which source with --source: 'locum memory consents' lists them.")

    async def work(locum: Locum, connection: Connection) -> None:
        if source is None:
            _show_sources(await list_sources(connection, locum.owner_id), as_json=as_json)
            return
        found = await find_source(connection, locum.owner_id, source)
        if not wishes.any:
            _show_sources([found], as_json=as_json)
            return
        now, gone = await change_consents(connection, locum.owner_id, found, wishes)
        if as_json:
            _print_json({"source": asdict(now), "withdrawn": asdict(gone)})
            return
        _show_sources([now], as_json=False)
        _show_withdrawn(gone)

    _run(work, refresh=wishes.any)


def audience(
    kind: Annotated[Row, typer.Argument(help="What it is.")],
    what: Annotated[
        str,
        typer.Argument(help="Which: its number; a message also by its platform's id, the others by name."),
    ],
    *,
    anyone: Annotated[bool, typer.Option("--anyone", help="Anyone may learn it.")] = False,
    owner: Annotated[bool, typer.Option("--owner", help="Nobody but you.")] = False,
    contact: Annotated[
        list[str] | None, typer.Option(help="Exactly this contact; give it again for more.")
    ] = None,
    circle: Annotated[
        str | None, typer.Option(help="Everybody who is in this circle now; who joins later is not given it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who may learn a message, a fact, what a topic rests on, or what was said with a contact.

    Where a message may be learned by fewer, what was concluded from it is read anew. A fact can be known
    more widely than the messages that say it: those keep their own audience. What is said later to a
    contact, or on a topic, has the audience of where it is said.
    """
    if [anyone, owner, bool(contact), circle is not None].count(True) != 1:
        raise BadInput("Give one of --anyone, --owner, --circle, or --contact (once for each contact).")

    async def work(locum: Locum, connection: Connection) -> None:
        people = [await find_contact(connection, locum.owner_id, name) for name in contact or ()]
        wanted = Audience(
            kind="anyone" if anyone else "owner" if owner else "contacts" if contact else "circle",
            contacts=tuple(sorted({person.id for person in people})),
            circle=circle_name(circle) if circle is not None else "",
        )
        number = await _share(connection, locum.owner_id, kind, what, wanted)
        if as_json:
            _print_json({**asdict(wanted), "kind": kind, "id": number, "audience": wanted.kind})
            return
        names = ", ".join(sorted({person.name for person in people})) or wanted.circle or wanted.kind
        out.print(said(f"The {kind} {number} may be learned by: {names}."))

    _run(work)


async def _share(connection: Connection, owner_id: OwnerId, kind: Row, what: str, wanted: Audience) -> int:
    """The number of what was shared."""
    match kind:
        case Row.MESSAGE:
            (number,) = (await find_message(connection, owner_id, what)).messages
            await share_message(connection, owner_id, number, wanted)
        case Row.FACT:
            if not what.isdigit():
                raise BadInput(f"'{what}' is no fact's number: 'locum memory facts' shows them.")
            number = FactId(int(what))
            await share_fact(connection, owner_id, number, wanted)
        case Row.TOPIC:
            target = await find_topic(connection, owner_id, what)
            assert target.topic_id is not None, "a topic was found"  # noqa: S101 -- for the type checker
            number = target.topic_id
            await share_topic(connection, owner_id, number, target, wanted)
        case Row.CONTACT:
            target = await find_everything_of(connection, owner_id, what)
            assert target.contact_id is not None, "a contact was found"  # noqa: S101 -- for the type checker
            number = target.contact_id
            await share_contact(connection, owner_id, number, target, wanted)
    return number


def leave_out(
    contact: Annotated[str, typer.Argument(help="A name, a platform's id, or the number Locum shows.")],
    *,
    forget_too: Annotated[
        bool, typer.Option("--forget", help="Forget them too: name, messages and all that rests on them.")
    ] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Their messages so far stay with you; nothing is concluded from them."),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="No longer.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --forget: do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Leave a contact out: what they write from now on is not stored, and gets no drafts, until --undo.

    Say what becomes of what they wrote before. --forget removes it everywhere, as 'forget contact' does,
    with the direct chats that you had. --keep leaves you the messages; their profile and what was concluded
    from their words go all the same, also what you corrected or pinned of it, and nothing is trained on it.
    """
    if [forget_too, keep, undo].count(True) != 1:
        raise BadInput(
            "Give --forget, and what they wrote is removed everywhere, or --keep, and the messages stay with you."
        )

    async def work(locum: Locum, connection: Connection) -> None:
        found = await find_contact(connection, locum.owner_id, contact)
        if forget_too and not (yes or as_json) and sys.stdin.isatty():
            question = (
                f"Forget all that {harmless(found.name)} wrote, and your direct chats with them, for good?"
            )
            if not typer.confirm(question, err=True):
                return
        gone = Withdrawn()
        if undo:
            await opt_in(connection, locum.owner_id, found)
        else:
            gone = await opt_out(connection, locum.owner_id, found)
        if forget_too:
            everything = await find_everything_of(connection, locum.owner_id, str(found.id))
            await forget(connection, locum.owner_id, everything)
        if as_json:
            _print_json(
                {
                    "contact": found.id,
                    "name": found.name,
                    "opted_out": not undo,
                    "forgotten": forget_too,
                    "withdrawn": asdict(gone),
                }
            )
            return
        too = ", and forgotten" if forget_too else ""
        out.print(said(f"{found.name} is {'no longer ' if undo else ''}left out{too}."))
        _show_withdrawn(gone)

    _run(work, refresh=True)


def _run(work: Callable[[Locum, Connection], Awaitable[None]], *, refresh: bool = False) -> None:
    async def main() -> None:
        async with open_locum(load_settings()) as locum:
            async with locum.database.owner(locum.owner_id) as connection:
                await work(locum, connection)
            if refresh:
                await refresh_profiles(locum.database, locum.owner_id)

    asyncio.run(main())


def _show_sources(sources: list[Source], *, as_json: bool) -> None:
    if as_json:
        _print_json({"sources": [asdict(source) for source in sources]})
        return
    if not sources:
        out.print("There is no source yet: 'locum import' or 'locum connect' brings messages.")
        return
    table = Table(*HEADINGS, box=None, padding=(0, 1))
    for source in sources:
        allowed = (source.may_draft, source.may_profile, source.may_train, source.may_leave)
        table.add_row(
            str(source.id),
            source.kind,
            source.platform,
            said(source.name),
            str(source.messages),
            *("yes" if each else "no" for each in allowed),
        )
    out.print(table)


def _show_withdrawn(gone: Withdrawn) -> None:
    told = [f"{count} {what.replace('_', ' ')}" for what, count in asdict(gone).items() if count]
    if told:
        out.print(f"Withdrawn: {', '.join(told)}.")


def _print_json(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
