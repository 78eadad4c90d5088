"""`locum contacts unmerge`: two people who were taken for one."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from core.memory.profiling import refresh_profiles
from core.memory.references import find_contact
from core.memory.unmerging import unmerge_contact
from core.runtime import open_locum
from core.settings import load_settings
from core.terminal import said

out = Console(highlight=False)


def register(contacts: typer.Typer) -> None:
    """Add the command to `locum contacts`."""
    contacts.command("unmerge")(unmerge)


def unmerge(
    contact: Annotated[
        str, typer.Argument(help="The contact that the other became part of: name or number.")
    ],
    other: Annotated[
        str, typer.Argument(help="Which one, where several did: the name or number it had.")
    ] = "",
) -> None:
    """Take two contacts apart again. Each has what it had before, and what came since by account.

    What cannot be told apart goes to neither: facts are read anew, and what you gave to both as one person
    has to be given again. They are not proposed as one again.
    """

    async def change() -> str:
        async with open_locum(load_settings()) as locum:
            async with locum.database.owner(locum.owner_id) as connection:
                keep = await find_contact(connection, locum.owner_id, contact)
                apart = await unmerge_contact(connection, locum.owner_id, keep, other)
            await refresh_profiles(locum.database, locum.owner_id)
        return f"{keep.name} ({keep.id}) and {apart.name} ({apart.id}) are two again."

    out.print(said(asyncio.run(change())))
