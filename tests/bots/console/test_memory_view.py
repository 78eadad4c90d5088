"""The memory's side of the page: topics with their timeline, sessions, and how the profile changed."""

from datetime import UTC, datetime, timedelta

from playwright.async_api import Page, expect

from bots.console.read_memory import without_gaps
from core.ids import MessageId
from core.memory.extraction import extract_new
from core.memory.gathering import gather_new
from core.memory.index import index_messages
from core.memory.profiling import refresh_profiles
from core.memory.topics import Month
from tests.bots.console.scene import Scene
from tests.bots.console.test_page import play_dana
from tests.standins import HashEmbedder

ROPES = (
    "the blue rope is worn at the climbing wall",
    "a new climbing rope costs too much",
    "the climbing wall lends a rope",
    "their rope is worn as well as the wall",
)


async def climb(scene: Scene) -> list[MessageId]:
    """They talk about ropes on two more days, in Dana's chat on Telegram."""
    now = datetime.now(UTC)
    async with scene.database.owner(scene.owner_id) as connection:
        cursor = await connection.execute(
            """
            INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_id, sender_name, origin, sent_at, text,
                                  audience_id, source_id)
            SELECT m.owner_id, m.chat_id, 'rope-' || t.at, CASE WHEN t.mine THEN NULL ELSE m.sender_id END,
                   CASE WHEN t.mine THEN 'Mara' ELSE m.sender_name END,
                   CASE WHEN t.mine THEN 'typed' ELSE 'contact' END, t.at, t.text, m.audience_id, m.source_id
            FROM messages m, unnest(%s::timestamptz[], %s::boolean[], %s::text[]) AS t (at, mine, text)
            WHERE m.owner_id = %s AND m.platform_message_id = '0'
            RETURNING id""",
            [
                [
                    now - timedelta(days=days) + timedelta(minutes=place)
                    for days in (150, 40)
                    for place in range(4)
                ],
                [place % 2 == 1 for _ in range(2) for place in range(4)],
                [*ROPES, *ROPES],
                scene.owner_id,
            ],
        )
        said = [MessageId(row[0]) for row in await cursor.fetchall()]
    await index_messages(scene.database, scene.owner_id, HashEmbedder())
    await extract_new(scene.database, scene.owner_id)
    await gather_new(scene.database, scene.owner_id, HashEmbedder().name)
    await refresh_profiles(scene.database, scene.owner_id)
    return said


async def test_topics_stand_there_with_a_timeline_sessions_with_their_lines_and_versions_with_what_changed(
    answered: Scene, page: Page
) -> None:
    await climb(answered)
    await play_dana(page, answered)
    topics = page.get_by_label("Topics", exact=True)
    await expect(topics).to_contain_text("rope", timeout=20_000)
    await expect(topics).to_contain_text("8 messages")
    bars = topics.get_by_label("Messages a month").get_by_role("listitem")
    assert 4 <= await bars.count() <= 6
    heights = [(await bar.bounding_box() or {"height": 0})["height"] for bar in await bars.all()]
    assert heights[0] == heights[-1] > heights[1] > 0
    sessions = page.get_by_label("Sessions", exact=True)
    await expect(sessions.get_by_role("listitem").filter(has_text="Dana Reis and Mara")).to_have_count(2)
    await expect(sessions).to_contain_text(f"Dana Reis: {ROPES[0]}")
    versions = page.get_by_label("Profile versions", exact=True)
    await expect(versions).to_contain_text("version 1")
    await expect(versions).to_contain_text("Dana climbs on Thursdays")


def test_a_timeline_shows_the_months_in_between_too_and_a_year_at_most() -> None:
    assert without_gaps(()) == ()
    assert without_gaps((Month(month="2025-11", messages=3), Month(month="2026-02", messages=1))) == (
        ("2025-11", 3), ("2025-12", 0), ("2026-01", 0), ("2026-02", 1),
    )  # fmt: skip
    long = without_gaps((Month(month="2020-01", messages=3), Month(month="2026-02", messages=1)))
    assert (len(long), long[-1]) == (12, ("2026-02", 1))
