"""The history that ships with Locum is whole, and rich enough to show what Locum does."""

from collections import Counter

import pytest

from core.errors import BadInput
from core.sample.compile import compile_sample, read_scripts
from core.sample.script import read_script


def test_it_compiles_to_the_same_records_each_time() -> None:
    assert compile_sample(read_scripts()) == compile_sample(read_scripts())


def test_it_has_three_platforms_eight_months_and_enough_messages() -> None:
    records = compile_sample(read_scripts()).records
    owner = [record for record in records if record["sender"]["id"] == record["account"]]
    assert {record["platform"] for record in records} == {"telegram", "slack", "discord"}
    assert len(records) >= 1500
    assert len(owner) >= 600
    assert (records[0]["sent_at"][:7], records[-1]["sent_at"][:7]) == ("2026-02", "2026-10")


def test_ids_are_unique_in_their_chat_and_references_lead_somewhere() -> None:
    records = compile_sample(read_scripts()).records
    keys = Counter((r["platform"], r["chat"]["id"], r["id"]) for r in records)
    assert max(keys.values()) == 1
    for record in records:
        for reference in (record["reply_to"], record["thread"]):
            assert reference is None or (record["platform"], record["chat"]["id"], reference) in keys


def test_it_hardly_ever_repeats_itself() -> None:
    texts = [r["text"] for r in compile_sample(read_scripts()).records if len(r["text"].split()) > 3]
    assert len(set(texts)) / len(texts) > 0.92


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("== 2026-02-03 Mon", "is a Tue"),
        ("== 2026-02-03 Tue\n10:00 X hello", "not a message"),
        ("== 2026-02-03 Tue\nM hello", "needs a time"),
        ("== 2026-02-03 Tue\n10:00 M hello\n09:00 M again", "back in time"),
    ],
)
def test_a_mistake_in_a_script_is_named_with_its_line(line: str, complaint: str) -> None:
    header = "platform: slack\naccount: U1\nchat: C1 group #x\nM: U1 Mara\n"
    with pytest.raises(BadInput, match=f"x.txt:[0-9]+.*{complaint}"):
        read_script("x.txt", header + line)
