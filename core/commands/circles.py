"""`locum contacts circle` and `circles`: whom you trust with what."""

import asyncio
import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from core.memory.circles import circle_name, list_circles, put_in_circle
from core.memory.references import find_contact
from core.runtime import open_locum
from core.settings import load_settings
from core.terminal import said

out = Console(highlight=False)


def register(contacts: typer.Typer) -> None:
    """Add the commands to `locum contacts`."""
    contacts.command("circle")(circle)
    contacts.command("circles")(circles)


def circle(
    contact: Annotated[str, typer.Argument(help="A contact: name or number.")],
    name: Annotated[str, typer.Argument(help="family, friends, work, strangers, or one of your own.")],
    *,
    also_earlier: Annotated[
        bool, typer.Option("--also-earlier", help="They may learn what the circle was given before, too.")
    ] = False,
) -> None:
    """Put a contact into a circle; everybody is in one. What their old circle was given is no longer theirs.

    'locum memory audience ... --circle friends' gives a row to all who are in the circle at that moment.
    Who comes later learns what is given later, unless you say --also-earlier.
    """

    async def change() -> str:
        async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
            found = await find_contact(connection, locum.owner_id, contact)
            await put_in_circle(connection, locum.owner_id, found, name, also_earlier=also_earlier)
        return f"{found.name} is in the circle {circle_name(name)}."

    out.print(said(asyncio.run(change())))


def circles(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Your circles, and who is in them."""

    async def look() -> dict[str, list[str]]:
        async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
            found = await list_circles(connection, locum.owner_id)
        return {each.name: list(each.members) for each in found}

    found = asyncio.run(look())
    if as_json:
        sys.stdout.write(json.dumps({"circles": found}, ensure_ascii=False) + "\n")
        return
    for name, members in found.items():
        out.print(
            said(f"{name}: {', '.join(members) or ('everybody else' if name == 'strangers' else 'nobody')}")
        )
