"""The page's part about L2: the night under way with its time left, nights before it, and versions."""

from playwright.async_api import Page, expect
from psycopg.types.json import Jsonb

from core.storage.database import Connection
from tests.bots.console.scene import Scene

GAIN = {"against_base": {"value": -0.12, "low": -0.16, "high": -0.08}}


async def seed_nights(connection: Connection, owner: int) -> None:
    await connection.execute(
        """
        INSERT INTO training_runs (owner_id, id, state, reason, started_at, finished_at, progress) VALUES
        (%(o)s, 1, 'done', 'It predicts the owner''s next message better than the base.', now() - interval '2 days',
         now() - interval '2 days', '{}'),
        (%(o)s, 2, 'skipped', 'Too little to judge by.', now() - interval '1 day', now() - interval '1 day', '{}'),
        (%(o)s, 3, 'running', '', now(), NULL, jsonb_build_object('at', now(), 'step', 'sft', 'share', 0.42,
         'seconds_left', 2520, 'device', 'CPU, 1 thread', 'told', 'step 40 of 95'))""",
        {"o": owner},
    )
    await connection.execute(
        """
        INSERT INTO adapters (owner_id, name, run_id, base_model, path, state, reason, scores, promoted_at)
        VALUES (%s, 'l2-1', 1, 'tiny@0', 'adapters/l2-1', 'active', '', %s, now())""",
        [owner, Jsonb(GAIN)],
    )


async def test_a_night_is_seen_with_its_time_left_and_its_end(scene: Scene, page: Page) -> None:
    part = page.get_by_role("region", name="Training")
    await expect(part).to_contain_text("The base serves, without an adapter.")
    async with scene.database.owner(scene.owner_id) as connection:
        await seed_nights(connection, scene.owner_id)
    await expect(part).to_contain_text(
        "Run 3: learning your voice, 42% done, at most 42 min left.", timeout=20_000
    )
    await expect(part).to_contain_text("CPU, 1 thread · step 40 of 95")
    await expect(part).to_contain_text(
        "l2-1 serves: -0.120 [-0.160, -0.080] bits/byte against the base, less is better."
    )
    await part.get_by_text("Nights and versions").click()
    await expect(part.get_by_label("Last nights").get_by_role("listitem")).to_have_count(2)
    await expect(part.get_by_label("Last nights")).to_contain_text("Too little to judge by.")
    await expect(part.get_by_label("Adapter versions")).to_contain_text("l2-1 · active")
    async with scene.database.owner(scene.owner_id) as connection:
        await connection.execute("UPDATE training_runs SET state = 'done', reason = 'Kept.' WHERE id = 3")
    await expect(part.get_by_label("Night under way").get_by_role("listitem")).to_have_count(
        0, timeout=20_000
    )
