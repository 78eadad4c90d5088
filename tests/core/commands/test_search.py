import json

import pytest
from rich.console import Console

from core.audience import Reader
from core.commands.search import answer_batch, parse_time, read_line
from core.errors import BadInput
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.questions import Ask
from core.memory.references import find_chat, find_reader
from core.storage.database import Database
from tests.core.memory.history import History, open_history
from tests.standins import HashEmbedder


@pytest.fixture
async def history(database: Database, owner: OwnerId) -> History:
    opened = await open_history(database, owner)
    chat = await opened.chat("Ines")
    await opened.talk(chat, [("Ines", "Is the piano tuned?"), (None, "On Monday")])
    await index_messages(database, owner, HashEmbedder())
    return opened


async def test_a_batch_is_answered_line_by_line_in_order(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ['{"id": "a", "question": "piano"}', "", "{", '{"id": 2}', '{"id": 3, "question": "Monday"}']
    asked = Ask(reader=Reader.owner(), limit=1)
    clean = await answer_batch(
        history.database, history.owner_id, HashEmbedder(), asked, lines, Console(stderr=True)
    )
    assert not clean
    captured = capsys.readouterr()
    first, broken, missing, last = [json.loads(line) for line in captured.out.splitlines()]
    assert first["id"] == "a"
    assert (first["hits"][0]["message_id"], first["hits"][0]["chat_id"]) == ("m1", "Ines")
    assert first["hits"][0]["score"] > 0
    assert broken == {
        "id": None,
        "error": "line 3: not JSON: Expecting property name enclosed in double quotes",
    }
    assert missing == {"id": None, "error": 'line 4: needs "id" and a text "question"'}
    assert last["hits"][0]["message_id"] == "m2"
    assert "line 3" in captured.err


@pytest.mark.parametrize("raw", ["[]", "7", "null", '"x"', '{"id": 1, "question": 5}'])
def test_a_line_that_is_no_question_says_so(raw: str) -> None:
    assert read_line(1, raw).error


async def test_a_reader_is_a_name_a_platform_id_or_a_number(history: History) -> None:
    ines = await history.contact("Ines")
    async with history.database.owner(history.owner_id) as connection:
        for name in ("Ines", "ines", str(ines)):
            assert await find_reader(connection, history.owner_id, name) == Reader.contact(ines)
        assert await find_reader(connection, history.owner_id, "owner") == Reader.owner()
        with pytest.raises(BadInput, match="No contact is called 'Uwe'"):
            await find_reader(connection, history.owner_id, "Uwe")
        with pytest.raises(BadInput, match="No chat"):
            await find_chat(connection, history.owner_id, "nowhere")


async def test_an_ambiguous_name_is_answered_with_its_candidates(history: History) -> None:
    ines = await history.contact("Ines")
    await history.run("INSERT INTO contacts (owner_id, display_name) VALUES (%s, 'INES')", history.owner_id)
    async with history.database.owner(history.owner_id) as connection:
        with pytest.raises(BadInput, match=rf"may be INES \(\d+\), Ines \({ines}\)"):
            await find_reader(connection, history.owner_id, "ines")


def test_a_time_without_a_zone_is_on_the_owners_clock() -> None:
    parsed = parse_time("--since", "2026-03-01", "Europe/Stockholm")
    assert parsed is not None
    assert parsed.isoformat() == "2026-03-01T00:00:00+01:00"
    with pytest.raises(BadInput, match="--since takes"):
        parse_time("--since", "yesterday", "UTC")
