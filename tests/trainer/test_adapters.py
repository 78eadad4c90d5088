"""Versions of an adapter: which one serves, and what becomes of the others and their files."""

import asyncio
import json
from pathlib import Path

import pytest

from core.errors import BadInput, ModelError, NotAllowed, Unsupported
from core.ids import OwnerId
from core.memory.adapter_files import drop_files
from core.models.faces import ChatTurn, Sampling
from core.models.llama import LlamaGenerator
from core.models.loading import BackgroundGenerator
from core.models.local_torch import TorchGenerator
from core.models.remote import RemoteAdapters
from core.models.serving import LORA, MANIFEST, AdapterShelf, adapter_folder, serves
from core.reply.adapters import serving_order
from core.storage.database import Database
from tests.core.models.chatserver import chat_server, honest
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_nightly import night_of
from trainer.adapters import active_adapter, list_adapters, promote, retire, rollback, write_adapter
from trainer.convert import Base
from trainer.nightly import nightly

HELLO = [ChatTurn(role="user", text="hello?")]


async def judged(database: Database, owner: OwnerId, home: Path, name: str, state: str = "active") -> None:
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            "INSERT INTO training_runs (owner_id, state) VALUES (%s, 'done') RETURNING id", [owner]
        )
        row = await cursor.fetchone()
        assert row
        await write_adapter(
            connection,
            owner,
            name=name,
            run_id=int(row[0]),
            base_model="tiny@0",
            state=state,
            reason="As the gate says.",
            scores={},
        )
    adapter_folder(home, name).mkdir(parents=True)


async def states(database: Database, owner: OwnerId) -> dict[str, str]:
    async with database.owner(owner) as connection:
        return {one.name: one.state for one in await list_adapters(connection, owner)}


async def test_a_new_one_takes_the_place_of_the_one_before(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await judged(database, owner, tmp_path, "one")
    await judged(database, owner, tmp_path, "two")
    assert await states(database, owner) == {"one": "kept", "two": "active"}


async def test_rolling_back_goes_one_version_at_a_time_and_ends_at_the_base(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        await judged(database, owner, tmp_path, name)
    served: list[str | None] = []
    for _ in range(3):
        async with database.owner(owner) as connection:
            before = await rollback(connection, owner, tmp_path)
            served.append(before.name if before else None)
    assert served == ["two", "one", None]
    async with database.owner(owner) as connection:
        assert await active_adapter(connection, owner) is None
        with pytest.raises(BadInput, match="nothing to roll back"):
            await rollback(connection, owner, tmp_path)


async def test_rolling_back_passes_over_what_was_retired(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        await judged(database, owner, tmp_path, name)
    async with database.owner(owner) as connection:
        await retire(connection, owner, "two")
        before = await rollback(connection, owner, tmp_path)
    assert before
    assert before.name == "one"


async def test_a_kept_one_can_be_promoted_and_a_refused_or_retired_one_never(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        await judged(database, owner, tmp_path, name)
    await judged(database, owner, tmp_path, "bad", state="refused")
    async with database.owner(owner) as connection:
        assert (await promote(connection, owner, tmp_path, "one")).state == "active"
    assert await states(database, owner) == {"one": "active", "two": "kept", "bad": "refused"}
    async with database.owner(owner) as connection:
        with pytest.raises(NotAllowed, match="As the gate says"):
            await promote(connection, owner, tmp_path, "bad")
        await retire(connection, owner, "two")
        with pytest.raises(NotAllowed, match="Retired by hand"):
            await promote(connection, owner, tmp_path, "two")
        with pytest.raises(BadInput, match="no adapter three"):
            await promote(connection, owner, tmp_path, "three")


async def test_one_whose_files_are_gone_is_not_promoted(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        await judged(database, owner, tmp_path, name)
    adapter_folder(tmp_path, "one").rmdir()
    async with database.owner(owner) as connection:
        with pytest.raises(BadInput, match="files of one are gone"):
            await promote(connection, owner, tmp_path, "one")


async def test_files_of_retired_and_refused_ones_go_and_no_others(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        await judged(database, owner, tmp_path, name)
    await judged(database, owner, tmp_path, "bad", state="refused")
    async with database.owner(owner) as connection:
        await retire(connection, owner, "one")
        assert sorted(await drop_files(connection, owner, tmp_path)) == ["bad", "one"]
        assert await drop_files(connection, owner, tmp_path) == []
    assert adapter_folder(tmp_path, "three").is_dir()
    assert not adapter_folder(tmp_path, "one").exists()


@pytest.mark.parametrize("backend", ["llama", "torch"])
async def test_what_a_night_promotes_is_found_by_a_generator_that_runs_already(
    backend: str, database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    async def opening() -> LlamaGenerator | TorchGenerator:
        if backend == "llama":
            return await LlamaGenerator.load(tiny.gguf, name="tiny@0", threads=1)
        return await TorchGenerator.load(tiny.folder, name="tiny@0", threads=1)

    running = BackgroundGenerator("tiny", opening, AdapterShelf(tmp_path))
    assert not await serves(running, "l2-1")
    await store_weeks(database, owner, questions(200))
    base = Base(name="tiny@0", folder=tiny.folder, gguf=tiny.gguf)
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, base=base))
    assert outcome.state == "promoted", outcome.sentence
    folder = adapter_folder(tmp_path, outcome.adapter)
    told = json.loads((folder / MANIFEST).read_text())["llama"]
    assert told["served"], told
    assert (folder / told["file"]).is_file()
    assert await serves(running, outcome.adapter)
    model = await running.ready()
    assert isinstance(model, LlamaGenerator | TorchGenerator)
    assert await model.adapters() == (outcome.adapter,)
    # Retired: its files go, and it is no longer served.
    async with database.owner(owner) as connection:
        await retire(connection, owner, outcome.adapter)
        await drop_files(connection, owner, tmp_path)
    assert not await serves(running, outcome.adapter)
    await asyncio.sleep(0)
    assert outcome.adapter not in await model.adapters()
    await running.close()


async def test_an_adapter_of_another_base_is_not_served(tiny: Tiny, tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path, "it")
    folder.parent.mkdir()
    folder.symlink_to(tiny.peft)
    shelf = AdapterShelf(tmp_path)
    generator = await TorchGenerator.load(tiny.folder, name="tiny@0", threads=1)
    try:
        for base, expected in (("other@1", False), ("tiny@0", True)):
            (tiny.peft / MANIFEST).write_text(json.dumps({"base_model": base}))
            assert await shelf.serve(generator, "it") is expected
    finally:
        (tiny.peft / MANIFEST).unlink()
        await generator.close()


class SlowShelf(LlamaGenerator):
    """A model whose adapters take as long to load as the test wants."""

    def __init__(self) -> None:
        super().__init__(Path("tiny.gguf"), name="tiny@0", threads=1)
        self.may_load = asyncio.Event()
        self.there: list[str] = []

    async def load_adapter(self, name: str, path: Path) -> None:
        assert path.name == LORA
        await self.may_load.wait()
        self.there.append(name)

    async def unload_adapter(self, name: str) -> None:
        self.there.remove(name)

    async def adapters(self) -> tuple[str, ...]:
        return tuple(self.there)


def placed(home: Path, name: str) -> None:
    folder = adapter_folder(home, name)
    folder.mkdir(parents=True)
    (folder / LORA).write_bytes(b"")
    (folder / MANIFEST).write_text(json.dumps({"base_model": "tiny@0"}))


async def test_no_turn_waits_for_a_newly_promoted_adapter(tmp_path: Path) -> None:
    model, shelf = SlowShelf(), AdapterShelf(tmp_path)
    placed(tmp_path, "old")
    placed(tmp_path, "new")
    first = asyncio.create_task(shelf.serve(model, "old"))
    await asyncio.sleep(0)
    assert not first.done()  # the first turn after a start waits for what is active
    model.may_load.set()
    assert await first
    shelf.settle()
    model.may_load.clear()
    async with asyncio.timeout(5):
        assert not await shelf.serve(model, "new")
        assert await shelf.serve(model, "old")
    model.may_load.set()
    await shelf.close()
    assert await shelf.serve(model, "new")
    await shelf.keep_only(model, {"new"})
    await shelf.close()
    assert await model.adapters() == ("new",)


async def test_llama_answers_all_the_while_an_adapter_comes_and_goes(tiny: Tiny) -> None:
    llama = await LlamaGenerator.load(tiny.gguf, name="tiny@0", threads=1)
    try:
        changing = asyncio.create_task(llama.load_adapter("it", tiny.lora))
        answered = 0
        while not changing.done() or not answered:
            (sample,) = await llama.chat(HELLO, sampling=Sampling(max_tokens=2, seed=1))
            answered += bool(sample.tokens)
        await changing
        running = asyncio.create_task(
            llama.chat(HELLO, sampling=Sampling(max_tokens=200, seed=1), adapter="it")
        )
        await asyncio.sleep(0.05)
        await llama.unload_adapter("it")  # which waits for the call
        assert (await running)[0].tokens
        with pytest.raises(Unsupported):
            await llama.chat(HELLO, adapter="it")
    finally:
        await llama.close()


async def test_a_server_that_loads_adapters_gets_each_version_under_its_own_name(tmp_path: Path) -> None:
    placed(tmp_path, "l2-1")
    placed(tmp_path, "l2-2")
    async with chat_server(honest) as server:
        model = await RemoteAdapters.open(server.url, model="tiny", key="", setting="LOCUM_MODEL")
        model.seen_at = "/models/adapters"
        shelf = AdapterShelf(tmp_path)
        assert await shelf.serve(model, "l2-1")
        assert await shelf.serve(model, "l2-2")
        assert server.adapters["locum-l2-2"] == "/models/adapters/l2-2"
        await model.chat(HELLO, adapter="l2-2")
        await model.chat(HELLO)
        assert [asked["model"] for asked in server.asked] == ["locum-l2-2", "tiny"]
        await shelf.keep_only(model, {"l2-2"})
        await shelf.close()
        assert list(server.adapters) == ["locum-l2-2"]
        with pytest.raises(Unsupported):
            await model.chat(HELLO, adapter="l2-1")
        await model.close()


async def test_a_server_that_does_not_find_the_adapter_serves_its_base(tmp_path: Path) -> None:
    placed(tmp_path, "l2-1")
    async with chat_server(honest) as server:
        model = await RemoteAdapters.open(server.url, model="tiny", key="", setting="LOCUM_MODEL")
        model.seen_at = "/elsewhere"
        assert not await AdapterShelf(tmp_path).serve(model, "l2-1")
        with pytest.raises(ModelError, match="LOCUM_MODEL_ADAPTERS"):
            await model.load_adapter("l2-1", adapter_folder(tmp_path, "l2-1"))
        await model.close()


async def test_the_one_before_drafts_while_the_active_one_is_loading(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async def order() -> list[str]:
        async with database.owner(owner) as connection:
            return [adapter.name for adapter in await serving_order(connection, owner)]

    assert await order() == []
    for name in ("one", "two", "three"):
        await judged(database, owner, tmp_path, name)
    assert await order() == ["three", "two"]
    async with database.owner(owner) as connection:
        await rollback(connection, owner, tmp_path)
    assert await order() == ["two", "one"]  # and not the one that was sent back
    async with database.owner(owner) as connection:
        await retire(connection, owner, "one")
        await retire(connection, owner, "two")
    assert await order() == []


async def test_a_generator_without_adapters_serves_none() -> None:
    from tests.standins import ScriptedGenerator  # noqa: PLC0415 -- for this test alone

    assert not await serves(ScriptedGenerator(""), "it")


async def test_a_server_that_would_not_unload_an_adapter_is_told_until_it_does(tmp_path: Path) -> None:
    placed(tmp_path, "old")
    shelf = AdapterShelf(tmp_path)
    async with chat_server(honest) as server:
        model = await RemoteAdapters.open(server.url, model="tiny", key="", setting="LOCUM_MODEL")
        model.seen_at = "/models/adapters"
        try:
            assert await shelf.serve(model, "old")
            server.unloads = False
            await shelf.keep_only(model, ())
            await shelf.close()
            assert await model.adapters() == ()
            assert server.adapters, "it is still in the server's memory"
            server.unloads = True
            await shelf.keep_only(model, ())
            await shelf.close()
            assert server.adapters == {}
        finally:
            await model.close()


class Vanishing(SlowShelf):
    """Its adapter's files go while it loads."""

    async def load_adapter(self, name: str, path: Path) -> None:
        raise FileNotFoundError(f"{name}: {path}")


async def test_an_adapter_whose_files_go_while_it_loads_stops_nothing(tmp_path: Path) -> None:
    placed(tmp_path, "gone")
    assert not await AdapterShelf(tmp_path).serve(Vanishing(), "gone")
