"""What a run's samples quote goes when it is edited away while the run is under way."""

import json
from pathlib import Path

from core.ids import OwnerId
from core.storage.database import Database
from tests.core.memory.world import World
from trainer.preparation import drop_stale_samples
from trainer.runs import SAMPLES, Run


async def test_samples_go_with_a_wording_that_was_edited_away(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    run = Run(id=1, folder=tmp_path)
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        said = await world.say(connection, "Kit", "Kit", "I have a cat named Xylo")
        run.path(SAMPLES).write_text(json.dumps({"message_ids": [said]}) + "\n", encoding="utf-8")
        await connection.execute(
            "INSERT INTO training_runs (owner_id, id, state, started_at) VALUES (%s, 1, 'running', '2020-01-01')",
            [owner],
        )
        await drop_stale_samples(connection, owner, run)
        assert run.path(SAMPLES).exists()
        await connection.execute(
            "INSERT INTO message_edits (owner_id, message_id, text_before, edited_at) VALUES (%s, %s, '', now())",
            [owner, said],
        )
        await drop_stale_samples(connection, owner, run)
        assert not run.path(SAMPLES).exists()
