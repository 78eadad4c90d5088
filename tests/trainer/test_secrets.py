# ruff: noqa: E501 -- templates of secrets are read on one line
"""What was told to few is in no example: two hundred planted secrets, in chats and in facts, as people write them."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from core.events import Person
from core.ids import OwnerId
from core.memory.people import ensure_account, ensure_audience, ensure_contact_account, ensure_source, realm
from core.storage.database import Connection, Database
from core.vocabulary import SourceKind
from trainer.dataset import build_dataset, read_windows
from trainer.preparation import Making, filter_all, make_examples, read_memory_of

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
SAYING: dict[str, Sequence[str]] = {
    "name": ("met {} again yesterday", "{} says hi", "jag träffade {} igår", "ich war bei {}", "il y a {} aussi", "tell {} i said thanks lol"),
    "place": ("we are moving to {} soon", "im in {} all week", "vi bor i {} nu", "wir fahren nach {}", "on part à {}", "been to {} before?"),
    "product": ("bought the {} after all", "the new {} is so good", "har köpt en {}", "hab jetzt einen {}"),
    "street": ("its {} street, second door", "{}gatan, tredje våningen", "in der {}straße", "rue {} comme avant", "{} road i think"),
    "number": ("it was {} in the end", "they want {} for it", "den kostade {}", "{} people came"),
    "phone": ("ring me on {}", "new number {} btw", "mitt nummer är {}"),
    "date": ("it is on {} then", "not before {}", "vi ses {}"),
    "code": ("the code is {} ok", "{} is your verification code", "koden är {}", "use otp {}"),
    "codeword": ("the codeword is {} ok", "our safe word is {}", "passphrase: {}"),
    "account": ("send it to {} please", "my iban is {}", "card {} lol"),
    "mail": ("write to {} instead", "its {} now"),
    "employer": ("i start at {} next month", "{} offered me the job", "jag jobbar på {} nu"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    kind: str
    value: str
    line: str

    def is_in(self, text: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(self.value.casefold())}(?!\w)", text.casefold()) is not None


def made_word(chance: random.Random) -> str:
    return "".join(
        chance.choice(CONSONANTS) + chance.choice(VOWELS) for _ in range(chance.randint(2, 4))
    ) + chance.choice(["", "n", "r", "s"])


def secrets(count: int, seed: int = 11) -> list[Secret]:
    """Secrets of every kind in turn, in lower case and upper, alone and as a burst of words."""
    chance = random.Random(seed)  # noqa: S311 -- made secrets
    made: list[Secret] = []
    taken: set[str] = set()
    while len(made) < count:
        kind = list(SAYING)[len(made) % len(SAYING)]
        word = made_word(chance)
        value = {
            "number": f"{chance.randint(1000, 99999)}",
            "phone": f"07{chance.randint(0, 9)}-{chance.randint(100, 999)} {chance.randint(10, 99)} {chance.randint(10, 99)}",
            "date": f"{chance.randint(1, 28)}/{chance.randint(1, 12)}/{chance.randint(2024, 2031)}",
            "code": f"{chance.randint(100000, 999999)}",
            "account": f"SE{chance.randint(10, 99)} {chance.randint(1000, 9999)} {chance.randint(1000, 9999)} {chance.randint(1000, 9999)} {chance.randint(1000, 9999)} {chance.randint(1000, 9999)}",
            "mail": f"{word}@{made_word(chance)}.example",
            "codeword": f"{word} {made_word(chance)}",
        }.get(kind, word.capitalize() if chance.random() < 0.3 else word)
        if value.casefold() in taken:
            continue
        taken.add(value.casefold())
        made.append(Secret(kind=kind, value=value, line=chance.choice(SAYING[kind]).format(value)))
    return made


async def place_of(
    connection: Connection, owner: OwnerId, name: str, number: str, audience: Literal["owner", "anyone"]
) -> tuple[int, int, int, int]:
    """(chat, sender, audience, source) of a direct chat with that person."""
    source = await ensure_source(connection, owner, SourceKind.EXPORT, "telegram", "given", may_train=True)
    account = await ensure_account(connection, owner, "telegram", "mara")
    _, sender = await ensure_contact_account(
        connection, owner, "telegram", realm("telegram", "mara"), Person(id=number, name=name)
    )
    reach = await ensure_audience(connection, owner, audience)
    cursor = await connection.execute(
        """
        INSERT INTO chats (owner_id, account_id, platform_chat_id, kind, audience_id)
        VALUES (%s, %s, %s, 'direct', %s) RETURNING id""",
        [owner, account, number, reach],
    )
    row = await cursor.fetchone()
    assert row
    return int(row[0]), sender, reach, source


async def say(
    connection: Connection,
    owner: OwnerId,
    place: tuple[int, int, int, int],
    number: int,
    text: str,
    *,
    mine: bool,
) -> int:
    chat, sender, reach, source = place
    cursor = await connection.execute(
        """
        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_id, sender_name, origin, sent_at, text,
                              audience_id, source_id)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id""",
        [
            owner, chat, str(number), None if mine else sender, "Mara" if mine else "Tomás",
            "typed" if mine else "contact", MONDAY + timedelta(hours=number), text, reach, source,
        ],
    )  # fmt: skip
    row = await cursor.fetchone()
    assert row
    return int(row[0])


async def fact(connection: Connection, owner: OwnerId, statement: str, reach: int, source: int) -> None:
    cursor = await connection.execute(
        """
        INSERT INTO facts (owner_id, subject_kind, subject, kind, slot, statement, confidence, audience_id, valid_from,
                           extractor)
        VALUES (%s, 'owner', 'Mara', 'home', 'home_city', %s, 0.9, %s, %s, 'rules') RETURNING id""",
        [owner, statement, reach, MONDAY],
    )
    row = await cursor.fetchone()
    assert row
    await connection.execute(
        "INSERT INTO fact_sources (owner_id, fact_id, message_id) VALUES (%s, %s, %s)",
        [owner, row[0], source],
    )


async def test_of_two_hundred_secrets_told_to_few_none_is_in_any_example(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    planted = secrets(200)
    async with database.owner(owner) as connection:
        place = await place_of(connection, owner, "Tomás", "7", "owner")
        for number, secret in enumerate(planted):
            # Every other one is said by the owner, and every third is noted as a fact besides.
            mine = number % 2 == 0
            await say(connection, owner, place, 2 * number, "and?" if mine else secret.line, mine=False)
            told = secret.line if mine else "haha ok, thanks for telling me"
            message = await say(connection, owner, place, 2 * number + 1, told, mine=True)
            if number % 3 == 0:
                await fact(connection, owner, f"Mara noted {secret.value}", place[2], message)
    file = tmp_path / "dataset.jsonl"
    counts = await build_dataset(database, owner, file)
    assert counts.turns_learned > 90
    memory = await read_memory_of(database, owner)
    real = read_windows(file)
    made, _ = await make_examples(memory, real, Making())
    assert made == []  # no fact of these may be known to anyone
    done = await filter_all(memory, [*real, *made], Making())
    text = "\n".join(turn.text for window in done.kept for turn in window.turns)
    assert [secret for secret in planted if secret.is_in(text)] == []
    assert [secret for secret in planted if secret.is_in(file.read_text(encoding="utf-8"))] == []


async def test_a_secret_that_was_said_where_anyone_reads_keeps_its_place_but_for_passwords_and_numbers(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    planted = secrets(60, seed=5)
    async with database.owner(owner) as connection:
        place = await place_of(connection, owner, "Tomás", "7", "anyone")
        for number, secret in enumerate(planted):
            await say(connection, owner, place, 2 * number, "and?", mine=False)
            await say(connection, owner, place, 2 * number + 1, secret.line, mine=True)
    file = tmp_path / "dataset.jsonl"
    await build_dataset(database, owner, file)
    text = file.read_text(encoding="utf-8")
    found = {secret.kind for secret in planted if secret.is_in(text)}
    assert {"name", "place", "number"} <= found
    assert found.isdisjoint({"phone", "code", "codeword", "account", "mail"})


async def test_a_word_of_several_chats_is_everyday_and_a_name_of_several_chats_is_not(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async with database.owner(owner) as connection:
        for number in range(5):
            place = await place_of(connection, owner, f"Friend {number}", f"{number}", "owner")
            for hour, (text, mine) in enumerate(
                [
                    ("så?", False),
                    ("ska vi käka plättar", True),
                    ("vem?", False),
                    (f"jag och {'Brunte' if number else 'brunte'}", True),
                ]
            ):
                await say(connection, owner, place, hour, text, mine=mine)
    file = tmp_path / "dataset.jsonl"
    await build_dataset(database, owner, file)
    text = file.read_text(encoding="utf-8").casefold()
    assert "käka plättar" in text
    assert "brunte" not in text


@pytest.mark.parametrize(
    "line",
    [
        "im pregnant, dont tell anyone",
        "they gave me the diagnosis today",
        "my salary is the same",
        "i am vegan now",
        "between us: i will quit",
    ],
)
def test_what_is_kept_private_goes_whole(line: str) -> None:
    from trainer.placeholders import Known, conceal  # noqa: PLC0415 -- beside what it is about

    assert conceal(line, Known()).text == "[private]"


def test_the_planted_secrets_are_what_they_are_said_to_be() -> None:
    planted = secrets(200)
    assert len({secret.value for secret in planted}) == 200
    assert all(secret.is_in(secret.line.replace("gatan", " ").replace("straße", " ")) for secret in planted)
    assert json.dumps([secret.kind for secret in planted]).count("codeword") > 10
