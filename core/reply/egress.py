"""What may leave this machine: of a turn and what was recalled for it, the part whose sources allow it.

Each source says whether its messages may be sent to the models on other machines that the settings name.
Telegram, Slack and Discord want the account owner's word for that; until it is given, what was said there
is drafted on by this machine's own model, or not at all.
"""

from dataclasses import replace

from core.ids import MessageId, OwnerId
from core.memory.profiles import Profile
from core.reply.recall import Recalled
from core.reply.situation import Situation
from core.storage.database import Connection

KEPT_HERE = (
    "what is said in this chat may not be sent to another machine "
    "(locum memory consents --source {platform} --leave allows it)"
)


async def held_back(
    connection: Connection, owner_id: OwnerId, situation: Situation, recalled: Recalled
) -> frozenset[MessageId]:
    """Those of the turn's and the recalled messages that stay on this machine."""
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
        WHERE m.owner_id = %s AND m.id = ANY (%s) AND NOT s.may_leave""",
        [owner_id, list(_all(situation, recalled))],
    )
    return frozenset(MessageId(int(row[0])) for row in await cursor.fetchall())


def _all(situation: Situation, recalled: Recalled) -> set[MessageId]:
    lines = [
        line
        for profile in (recalled.profile, recalled.biography)
        if profile is not None
        for line in profile.lines
    ]
    return {
        *(message.id for message in situation.incoming),
        *(said.id for said in (*recalled.recent, *recalled.memories)),
        *(source for fact in recalled.facts for source in fact.source_ids),
        *(source for line in lines for source in line.sources),
        *(recalled.earlier.source_ids if recalled.earlier is not None else ()),
    }


def may_be_sent(situation: Situation, held: frozenset[MessageId]) -> bool:
    """Whether the turn itself may be put before a model elsewhere."""
    return not any(message.id in held for message in situation.incoming)


def for_outside(recalled: Recalled, held: frozenset[MessageId]) -> Recalled:
    """What a model elsewhere may be shown: a statement goes only if all that it rests on may."""
    if not held:
        return recalled
    return replace(
        recalled,
        recent=tuple(said for said in recalled.recent if said.id not in held),
        memories=tuple(said for said in recalled.memories if said.id not in held),
        facts=tuple(fact for fact in recalled.facts if held.isdisjoint(fact.source_ids)),
        profile=_profile(recalled.profile, held),
        biography=_profile(recalled.biography, held),
        earlier=recalled.earlier
        if recalled.earlier is not None and held.isdisjoint(recalled.earlier.source_ids)
        else None,
    )


def _profile(profile: Profile | None, held: frozenset[MessageId]) -> Profile | None:
    if profile is None:
        return None
    return replace(profile, lines=tuple(line for line in profile.lines if held.isdisjoint(line.sources)))
