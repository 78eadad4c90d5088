"""`locum bench topics`, on a conversation of a handful of lines."""

from datetime import UTC, datetime, timedelta

from core.bench.recall import Conversation, Question
from core.bench.records import Record
from core.bench.topics import measure_conversation, summarise
from core.ids import OwnerId
from core.storage.database import Database
from tests.core.memory.test_topics import BOAT, KILN
from tests.standins import HashEmbedder

AT = datetime(2026, 3, 1, tzinfo=UTC)


async def test_pairs_about_one_thing_are_told_from_pairs_about_two(
    database: Database, owner: OwnerId
) -> None:
    records = [
        Record(
            id=f"D{day}.{place}",
            sender="Ines" if place % 2 else "Kit",
            sent_at=AT + timedelta(days=day, minutes=place),
            text=line,
        )
        for day, lines in enumerate((KILN, BOAT, KILN, BOAT))
        for place, line in enumerate(lines)
    ]
    conversation = Conversation(
        name="small",
        records=tuple(records),
        questions=(
            Question(text="the kiln?", category="multi-hop", evidence=("D0.1", "D2.2")),
            Question(text="both?", category="multi-hop", evidence=("D0.1", "D1.2", "D0.2")),
            Question(text="one?", category="single-hop", evidence=("D0.1",)),
        ),
    )
    measured = await measure_conversation(database, owner, HashEmbedder(), conversation)
    assert (measured.messages, measured.groups, measured.topics, measured.in_topics) == (16, 2, 2, 1.0)
    assert (measured.pairs, measured.together) == (3, 0.333)
    assert (
        0.25 < measured.random_together < 0.4
    )  # of pairs from two days, one in three is about the same thing
    told = summarise([measured, measured])
    assert (told["pairs"], told["together"]) == (6, 0.333)
    assert set(measured.seconds) == {"vectors", "facts", "summaries", "groups", "names"}
