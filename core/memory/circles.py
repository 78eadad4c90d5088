"""Trust circles: every contact is in one, and a row can be given to all who are in it.

What is given to a circle is given to those who are in it at that moment. Who joins later does not learn
it by joining: the owner gives it again, or moves them in with what was given before. Who leaves loses it
at once. So a circle never widens what was said, and what the owner sees when they give is what they give.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from core.errors import BadInput
from core.ids import AudienceId, ContactId, OwnerId
from core.memory.membership import ensure_audience
from core.memory.references import FoundContact
from core.memory.traces import withdraw_from
from core.storage.database import Connection

NOBODYS = "strangers"
"""The circle that everybody is in whom the owner put in no other."""
USUAL = ("family", "friends", "work", NOBODYS)
NAME = re.compile(r"[^\W_][\w -]{0,39}")
LEFT = "somebody left the circle that it was given to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """A circle and who is in it, by name."""

    name: str
    members: tuple[str, ...]


def circle_name(text: str) -> str:
    """The name as it is kept. Raises `BadInput` for what is none."""
    name = " ".join(text.split()).casefold()
    if not NAME.fullmatch(name):
        raise BadInput(f"'{text}' is no name for a circle: letters, digits, spaces, _ and -, 40 at most.")
    return name


async def list_circles(connection: Connection, owner_id: OwnerId) -> list[Circle]:
    """The usual circles and the owner's own, the members of each in order; of strangers none are named."""
    cursor = await connection.execute(
        """
        SELECT circle, array_agg(display_name ORDER BY lower(display_name), id) FROM contacts
        WHERE owner_id = %s AND merged_into IS NULL AND circle <> %s GROUP BY circle""",
        [owner_id, NOBODYS],
    )
    found = {str(row[0]): tuple(row[1]) for row in await cursor.fetchall()}
    names = [*USUAL, *sorted(set(found) - set(USUAL))]
    return [Circle(name=name, members=found.get(name, ())) for name in names]


async def members_of(connection: Connection, owner_id: OwnerId, circle: str) -> list[ContactId]:
    """Who is in it now. Whoever opted out or was forgotten is given nothing. `BadInput` when nobody is in it."""
    name = circle_name(circle)
    cursor = await connection.execute(
        """
        SELECT id FROM contacts
        WHERE owner_id = %s AND circle = %s AND merged_into IS NULL AND opted_out_at IS NULL ORDER BY id""",
        [owner_id, name],
    )
    people = [ContactId(int(row[0])) for row in await cursor.fetchall()]
    if not people:
        raise BadInput(
            f"Nobody is in the circle '{name}': 'locum contacts circle NAME {name}' puts somebody in."
        )
    return people


async def circle_audience(
    connection: Connection, owner_id: OwnerId, circle: str, besides: Sequence[ContactId] = ()
) -> AudienceId:
    """Everybody who is in the circle now, and those besides."""
    people = await members_of(connection, owner_id, circle)
    return await ensure_audience(
        connection, owner_id, "circle", contacts=[*people, *besides], circle=circle_name(circle)
    )


async def put_in_circle(
    connection: Connection,
    owner_id: OwnerId,
    contact: FoundContact,
    circle: str,
    *,
    also_earlier: bool = False,
) -> None:
    """The contact is in that circle from now on, and in no other; what the old one was given they lose.

    `also_earlier`: what the new one was given before is theirs, too.
    """
    name = circle_name(circle)
    cursor = await connection.execute(
        "SELECT circle FROM contacts WHERE owner_id = %s AND id = %s FOR UPDATE", [owner_id, contact.id]
    )
    row = await cursor.fetchone()
    if row is None:
        raise BadInput(f"{contact.name} is no contact any more.")
    await connection.execute(
        "UPDATE contacts SET circle = %s WHERE owner_id = %s AND id = %s", [name, owner_id, contact.id]
    )
    if row[0] != name:
        await leave_circle(connection, owner_id, contact.id, str(row[0]))
    if also_earlier:
        await _join_earlier(connection, owner_id, contact.id, name)
    await connection.execute(
        "INSERT INTO audit (owner_id, actor, action, subject) VALUES (%s, 'owner', 'circle.changed', %s)",
        [owner_id, Jsonb({"contact": contact.id, "circle": name, "also_earlier": also_earlier})],
    )


async def leave_circle(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId, circle: str, merge: int | None = None
) -> None:
    """What was given to the circle is no longer known to the contact; drafts that rest on it are withdrawn."""
    for audience, members in await _given(connection, owner_id, circle, contact_id, holding=True):
        await withdraw_from(connection, owner_id, audience, LEFT)
        people = [each for each in members if each != contact_id]
        new = (
            await ensure_audience(connection, owner_id, "circle", contacts=people, circle=circle)
            if people
            else await ensure_audience(connection, owner_id, "owner")
        )
        await _move(connection, owner_id, audience, new, merge)


async def leave_other_circles(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId, circle: str, merge: int
) -> None:
    """What other circles than that one were given is no longer known to the contact; noted for the merge's undoing."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT a.circle FROM audiences a
        JOIN audience_members m ON m.owner_id = a.owner_id AND m.audience_id = a.id
        WHERE a.owner_id = %s AND a.kind = 'circle' AND a.circle <> %s AND m.contact_id = %s ORDER BY 1""",
        [owner_id, circle, contact_id],
    )
    for row in await cursor.fetchall():
        await leave_circle(connection, owner_id, contact_id, str(row[0]), merge)


async def _join_earlier(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId, circle: str
) -> None:
    for audience, members in await _given(connection, owner_id, circle, contact_id, holding=False):
        new = await ensure_audience(
            connection, owner_id, "circle", contacts=[*members, contact_id], circle=circle
        )
        await _move(connection, owner_id, audience, new)


async def _given(
    connection: Connection, owner_id: OwnerId, circle: str, contact_id: ContactId, *, holding: bool
) -> list[tuple[AudienceId, list[ContactId]]]:
    """The audiences of what was given to the circle, with their members, that hold the contact or do not."""
    cursor = await connection.execute(
        """
        SELECT a.id, array_agg(m.contact_id ORDER BY m.contact_id)
        FROM audiences a JOIN audience_members m ON m.owner_id = a.owner_id AND m.audience_id = a.id
        WHERE a.owner_id = %s AND a.kind = 'circle' AND a.circle = %s
        GROUP BY a.id HAVING bool_or(m.contact_id = %s) = %s ORDER BY a.id""",
        [owner_id, circle, contact_id, holding],
    )
    return [
        (AudienceId(int(row[0])), [ContactId(int(each)) for each in row[1]])
        for row in await cursor.fetchall()
    ]


async def _move(
    connection: Connection, owner_id: OwnerId, old: AudienceId, new: AudienceId, merge: int | None = None
) -> None:
    twins = "delete" if merge is None else "leave"
    await connection.execute("SELECT move_audience(%s, %s, %s, %s, %s)", [owner_id, old, new, merge, twins])
    if merge is None:
        await connection.execute("DELETE FROM audiences WHERE owner_id = %s AND id = %s", [owner_id, old])
