import pytest

from core.ids import OwnerId
from core.storage.database import Database
from tests.core.reply.world import World


@pytest.fixture
async def world(database: Database, owner: OwnerId) -> World:
    return await World.open(database, owner)
