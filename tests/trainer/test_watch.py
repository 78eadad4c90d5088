"""An adapter whose drafts the owner takes less often than before goes back by itself."""

import random
from collections.abc import Sequence
from pathlib import Path

from core.ids import OwnerId
from core.storage.database import Database
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_adapters import judged, states
from trainer.adapters import active_adapter, find_adapter
from trainer.watch import LIMIT, cusum, watch_acceptance

TAKEN, DISCARDED = "sent", "discarded"


async def label(database: Database, owner: OwnerId, outcomes: Sequence[str]) -> None:
    """The owner's verdicts on drafts of whoever is active, one after the other."""
    async with database.owner(owner) as connection:
        active = await active_adapter(connection, owner)
        for outcome in outcomes:
            await connection.execute(
                """
                WITH turn AS (
                    INSERT INTO turns (owner_id, chat_id, first_message_id, last_message_id, state, due_at)
                    SELECT owner_id, chat_id, id, id, 'answered', now() FROM messages
                    WHERE owner_id = %(owner)s ORDER BY id LIMIT 1
                    RETURNING id
                ), draft AS (
                    INSERT INTO drafts (owner_id, turn_id, version, position, text, intent, origin, confidence,
                                        adapter_id, state)
                    SELECT %(owner)s, turn.id, 0, 0, 'ok', 'inform', 'model', .5, %(adapter)s, 'sent' FROM turn
                    RETURNING id
                )
                INSERT INTO labels (owner_id, draft_id, outcome, final_text, labelled_at)
                SELECT %(owner)s, draft.id, %(outcome)s, CASE WHEN %(outcome)s = 'sent' THEN 'ok' END,
                       clock_timestamp() FROM draft""",
                {"owner": owner, "adapter": active.id if active else None, "outcome": outcome},
            )


async def test_fewer_drafts_taken_than_before_roll_the_adapter_back(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store_weeks(database, owner, questions(2))
    await judged(database, owner, tmp_path, "good")
    await label(database, owner, [TAKEN, TAKEN, DISCARDED] * 12)
    await judged(database, owner, tmp_path, "bad")
    await label(database, owner, [TAKEN, DISCARDED, DISCARDED, DISCARDED] * 3 + ["ignored"] * 9)
    async with database.owner(owner) as connection:
        calm = await watch_acceptance(connection, owner, tmp_path)
    assert calm
    assert not calm.alarm
    assert calm.verdicts == 12
    assert await states(database, owner) == {"bad": "active", "good": "kept"}
    await label(database, owner, [DISCARDED] * 8)
    async with database.owner(owner) as connection:
        seen = await watch_acceptance(connection, owner, tmp_path)
        refused = await find_adapter(connection, owner, "bad")
    assert seen
    assert seen.alarm
    assert await states(database, owner) == {"bad": "refused", "good": "active"}
    assert (
        refused.reason == "Rolled back by itself: You took 15% of its 20 drafts, and 67% of the 36 before it."
    )
    assert seen.sentence == (
        "bad: you took 15% of its 20 drafts, and 67% of the 36 before it, so it was rolled back."
    )
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            "SELECT actor, action, subject FROM audit WHERE owner_id = %s", [owner]
        )
        assert await cursor.fetchall() == [
            ("locum", "adapter.rolled_back", {"adapter": "bad", "serving": "good", "verdicts": 20})
        ]
        assert await watch_acceptance(connection, owner, tmp_path) is None  # nothing served before "good"


async def test_nothing_is_watched_without_a_rate_to_hold(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await store_weeks(database, owner, questions(2))
    async with database.owner(owner) as connection:
        assert await watch_acceptance(connection, owner, tmp_path) is None
    await judged(database, owner, tmp_path, "first")
    await label(database, owner, [DISCARDED] * 40)
    async with database.owner(owner) as connection:
        assert await watch_acceptance(connection, owner, tmp_path) is None
    assert await states(database, owner) == {"first": "active"}


def test_the_alarm_is_rare_where_nothing_changed_and_quick_where_much_did() -> None:
    chance = random.Random(1)  # noqa: S311 -- a simulation

    def verdicts_until_alarm(rate: float, before: float) -> int:
        value: list[bool] = []
        while cusum(value[-400:], before) <= LIMIT and len(value) < 400:
            value += [chance.random() < rate for _ in range(10)]
        return len(value)

    calm = [verdicts_until_alarm(0.5, 0.5) for _ in range(60)]
    fallen = [verdicts_until_alarm(0.25, 0.5) for _ in range(60)]
    assert sum(count >= 400 for count in calm) > 30
    assert sum(fallen) / len(fallen) < 60
