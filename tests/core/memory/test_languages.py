# ruff: noqa: RUF001 -- letters that look alike are the point
"""Words are found in the language that a chat is in, through the search that is served."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audience import Reader
from core.ids import OwnerId
from core.memory import languages
from core.memory.index import index_messages
from core.memory.languages import settle_languages, tell_language
from core.memory.search import Hit, search_memory
from core.storage.database import Database
from tests.core.memory.history import History, open_history
from tests.standins import HashEmbedder

SWEDISH = [
    "Hej! Har du hört att pianot stämdes i förra veckan?",
    "Ja, jag var där när de kom med alla sina verktyg.",
    "Vi hade bokat klätterhallen till torsdag, men den är stängd.",
    "Då får vi ta det någon annan dag, kanske på lördag förmiddag.",
]
GERMAN = [
    "Wann kommen die neuen Bücher für unsere Bibliothek an?",
    "Die Kisten stehen schon seit gestern im Keller bei den Nachbarn.",
    "Ich habe den Schlüssel vergessen, kannst du mir deinen leihen?",
    "Klar, ich bringe ihn dir heute Abend nach der Arbeit vorbei.",
]
FRENCH = [
    "On a retrouvé ta clé derrière le théâtre ce matin.",
    "Merci beaucoup, je croyais que je l'avais perdue pour toujours.",
    "Les élèves répètent la pièce tous les mardis dans la grande salle.",
    "Alors je viendrai les voir mardi prochain avec ma sœur.",
]
RUSSIAN = [
    "Мы вчера купили новые книги для школьной библиотеки.",
    "А где вы их нашли, я давно ищу хороший магазин?",
    "На рынке возле вокзала, там ещё продают старые карты.",
    "Тогда в субботу поедем туда вместе, если будет погода.",
]
JAPANESE = [
    "来週の土曜日に図書館で会いましょう。",
    "ピアノの調律はもう終わりましたか。",
    "はい、先週の木曜日に終わりました。とてもいい音です。",
    "新幹線の切符をまだ買っていません。",
]
CHINESE = [
    "我们下个星期六在图书馆见面吧",
    "钢琴已经调好了吗",
    "上星期四就调好了，声音很好",
    "我还没有买火车票呢",
]
KOREAN = [
    "다음 주 토요일에 도서관에서 만나요",
    "피아노 조율은 벌써 끝났어요?",
    "네, 지난 목요일에 끝났어요. 소리가 아주 좋아요.",
    "아직 기차표를 사지 못했어요",
]


@pytest.fixture
async def history(database: Database, owner: OwnerId) -> History:
    return await open_history(database, owner)


async def indexed(history: History, name: str, lines: list[str]) -> list[int]:
    chat = await history.chat(name)
    ids = await history.talk(chat, [(name if n % 2 else None, line) for n, line in enumerate(lines)])
    await index_messages(history.database, history.owner_id, HashEmbedder())
    return [int(one) for one in ids]


async def by_words(history: History, query: str) -> list[Hit]:
    async with history.database.owner(history.owner_id) as connection:
        return await search_memory(
            connection, owner_id=history.owner_id, reader=Reader.owner(), query=query, vector=None,
            model="none", limit=4,
        )  # fmt: skip


async def language_of(history: History, name: str) -> str:
    rows = await history.run("SELECT language::text FROM chats WHERE platform_chat_id = %s", name)
    return str(rows[0][0])


@pytest.mark.parametrize(
    ("lines", "language", "query", "line"),
    [
        pytest.param(SWEDISH, "swedish", "När stämdes pianona?", 0, id="sv-inflected"),
        pytest.param(SWEDISH, "swedish", "var klatterhallarna bokade", 2, id="sv-without-accents"),
        pytest.param(GERMAN, "german", "Wo ist das Buch?", 0, id="de-umlaut-plural"),
        pytest.param(GERMAN, "german", "wer hat meine schlussel", 2, id="de-without-umlaut"),
        pytest.param(FRENCH, "french", "ou etaient les cles", 0, id="fr-without-accents"),
        pytest.param(FRENCH, "french", "Quand répétera l'élève ?", 2, id="fr-inflected"),
        pytest.param(RUSSIAN, "russian", "какую книгу купила школа", 0, id="ru-inflected"),
        pytest.param(RUSSIAN, "russian", "старая карта еще", 2, id="ru-yo"),
        pytest.param(JAPANESE, "simple", "調律はいつですか", 1, id="ja"),
        pytest.param(JAPANESE, "simple", "切符", 3, id="ja-one-word"),
        pytest.param(CHINESE, "simple", "火车票在哪里", 3, id="zh"),
        pytest.param(CHINESE, "simple", "钢琴", 1, id="zh-one-word"),
        pytest.param(KOREAN, "simple", "기차표는 어디에 있어요", 3, id="ko"),
    ],
)
async def test_words_are_found_in_the_chats_own_language(
    history: History, lines: list[str], language: str, query: str, line: int
) -> None:
    ids = await indexed(history, "Ines", lines)
    assert await language_of(history, "Ines") == language
    hits = await by_words(history, query)
    assert hits
    assert max(hits, key=lambda hit: hit.lexical or 0).id == ids[line]


async def test_each_chat_of_an_owner_has_a_language_of_its_own(history: History) -> None:
    german = await indexed(history, "Ines", GERMAN)
    swedish = await indexed(history, "Sven", SWEDISH)
    assert (await language_of(history, "Ines"), await language_of(history, "Sven")) == ("german", "swedish")
    assert (await by_words(history, "Schlüssels"))[0].id == german[2]
    assert (await by_words(history, "verktygen"))[0].id == swedish[1]


async def test_one_character_of_chinese_is_found(history: History) -> None:
    ids = await indexed(history, "Ines", CHINESE)
    assert ids[3] in {hit.id for hit in await by_words(history, "票") if hit.lexical}


async def test_a_chat_keeps_its_language_until_it_can_be_told(history: History) -> None:
    await indexed(history, "Ines", ["ok", "haha", "ok ok"])
    assert await language_of(history, "Ines") == "english"


async def test_what_comes_later_is_in_the_language_that_was_told(history: History) -> None:
    await indexed(history, "Ines", GERMAN)
    rows = await history.run("SELECT DISTINCT language::text FROM messages")
    assert rows == [("german",)]


async def test_a_rewriting_killed_in_the_middle_is_taken_up_again(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await history.chat("Ines")
    ids = await history.talk(chat, [(None, line) for line in GERMAN])
    monkeypatch.setattr(languages, "BATCH", 1)
    rewrite, calls = languages._rewrite, 0  # pyright: ignore[reportPrivateUsage]

    async def dies(database: Database, owner_id: OwnerId, chat_id: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionError
        return await rewrite(database, owner_id, chat_id)

    monkeypatch.setattr(languages, "_rewrite", dies)
    with pytest.raises(ConnectionError):
        await settle_languages(history.database, history.owner_id)
    told = await history.run("SELECT count(*) FROM messages WHERE language = 'german'::regconfig")
    assert told == [(2,)]
    # Half of the chat is in either language now, and each half is found.
    for query, line in (("Bücher", 0), ("Schlüssel", 2), ("Arbeit", 3)):
        assert (await by_words(history, query))[0].id == ids[line]
    monkeypatch.setattr(languages, "_rewrite", rewrite)
    await settle_languages(history.database, history.owner_id)
    told = await history.run("SELECT count(*) FROM messages WHERE language = 'german'::regconfig")
    assert told == [(4,)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(
        st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), max_size=60
    )
)
async def test_any_text_can_be_searched_for_and_comes_out_the_same_twice(history: History, text: str) -> None:
    (row,) = await history.run(
        "SELECT searchable(%s), to_tsvector('simple', searchable(%s)) = to_tsvector('simple', searchable(%s))",
        text, text, text,
    )  # fmt: skip
    assert row[1] is True
    assert text.isascii() <= (row[0] == text)
    await by_words(history, text)


@given(run=st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2, max_size=9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_pair_of_neighbours_in_a_run_is_a_word(history: History, run: str) -> None:
    (row,) = await history.run("SELECT tsvector_to_array(to_tsvector('simple', searchable(%s)))", run)
    words = row[0]
    assert isinstance(words, list)
    assert {run[n : n + 2] for n in range(len(run) - 1)} <= {str(word) for word in words}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def test_too_little_is_no_language() -> None:
    assert tell_language(["ok", "lol"]) is None
    assert tell_language(["https://example.org/eine/seite/auf/deutsch/und/noch/mehr/davon"]) is None
