"""What was forgotten, counted in words."""

from core.memory.forgetting import Forgotten


def test_one_is_told_as_one_and_more_as_more() -> None:
    assert Forgotten().told == "nothing"
    assert (
        Forgotten(messages=1, summaries=1, training_examples=1).told
        == "1 message, 1 summary, 1 training example"
    )
    assert (
        Forgotten(facts=2, summaries=3, adapters_retired=1).told == "2 facts, 3 summaries, 1 adapter retired"
    )
    assert Forgotten(sent_replies_that_stay=1).told == "1 sent reply that stays"
