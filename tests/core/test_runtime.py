"""Opening Locum on servers of its own."""

from pathlib import Path

from core.runtime import open_locum
from core.settings import Settings


async def test_opens_on_its_own_servers_and_finds_its_owner_again(scratch: Path) -> None:
    settings = Settings(home=scratch / "home", database_url=None, redis_url=None, owner="mara")
    async with open_locum(settings) as first:
        await first.redis.set("seen", "yes")
        owner_id = first.owner_id
    async with open_locum(settings) as second:
        assert second.owner_id == owner_id
        assert await second.redis.get("seen") == "yes"
        async with second.database.owner(owner_id) as connection:
            cursor = await connection.execute("SELECT session_user, current_user")
            assert await cursor.fetchone() == ("locum_app", "locum_app")
