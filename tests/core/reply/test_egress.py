"""What goes to models on other machines: only what its source allows."""

import pytest

from core.ids import OwnerId
from core.memory.consents import Wishes, change_consents, find_source
from core.models.outside import Outside, leaves_machine, outside_models
from core.settings import Settings
from core.storage.database import Database
from tests.core.reply.world import World
from tests.standins import ScriptedGenerator


async def world_of(database: Database, owner: OwnerId, generator: ScriptedGenerator) -> World:
    world = await World.open(database, owner, platform="telegram", generator=generator)
    object.__setattr__(world.path, "outside", Outside(model=True))
    return world


async def test_a_live_platforms_words_are_put_before_no_model_elsewhere_until_allowed(
    database: Database, owner: OwnerId
) -> None:
    generator = ScriptedGenerator("I will be there at six.")
    world = await world_of(database, owner, generator)
    world.bot.say("ines", "ines", "When do you come on Friday?")
    await world.pump(seconds=5)
    assert generator.asked == []
    (why,) = await world.rows("SELECT why ->> 'trouble' FROM stages WHERE stage = 'compose'")
    assert "--source telegram --leave" in str(why[0])
    assert len(world.card.drafts) == 1


async def test_with_the_owners_word_it_is_sent(database: Database, owner: OwnerId) -> None:
    generator = ScriptedGenerator("I will be there at six.")
    world = await world_of(database, owner, generator)
    world.bot.say("ines", "ines", "Hello there, how was the trip?")
    await world.pump(seconds=5)
    async with database.owner(owner) as connection:
        source = await find_source(connection, owner, "telegram")
        await change_consents(connection, owner, source, Wishes(leave=True))
    world.bot.say("ines", "ines", "When do you come on Friday?")
    await world.pump(seconds=5)
    assert generator.asked != []


async def test_a_model_on_this_machine_is_never_held_back(database: Database, owner: OwnerId) -> None:
    generator = ScriptedGenerator("I will be there at six.")
    world = await World.open(database, owner, platform="telegram", generator=generator)
    world.bot.say("ines", "ines", "When do you come on Friday?")
    await world.pump(seconds=5)
    assert generator.asked != []


@pytest.mark.parametrize(
    ("url", "leaves"),
    [
        ("", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://192.168.1.5:8000/v1", True),
        ("https://api.example.org/v1", True),
        ("http://localhost.example.org/v1", True),
    ],
)
def test_an_address_of_another_machine_is_known(url: str, leaves: bool) -> None:
    assert leaves_machine(url) is leaves


def test_a_remote_backend_without_its_address_in_use_is_not_outside() -> None:
    settings = Settings(backend="llama", model_url="https://api.example.org/v1")
    assert outside_models(settings) == Outside(model=False, expert=False)
