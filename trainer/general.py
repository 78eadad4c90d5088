"""The frozen general text: what any assistant is asked. An adapter must not have unlearned it.

Written for this purpose, and never trained on. A change here makes figures of different nights
incomparable: append nothing, correct nothing.
"""

from trainer.windows import WindowTurn

_CHATS = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("How many days are there in a leap year?", "A leap year has 366 days."),
    ("Translate 'good morning' into Spanish.", "Good morning in Spanish is buenos días."),
    (
        "Why is the sky blue?",
        (
            "Air scatters the short waves of sunlight more than the long ones, "
            "so that blue light reaches us from every direction."
        ),
    ),
    (
        "Give me three tips for sleeping better.",
        "Go to bed at the same hour every day, keep the room dark and cool, and put screens away an hour before.",
    ),
    ("What is 17 plus 25?", "17 plus 25 is 42."),
    (
        "Write a polite email that declines a meeting.",
        (
            "Thank you for the invitation. Unfortunately I cannot attend on that day. "
            "Could we find another time next week?"
        ),
    ),
    ("What does a bee collect from flowers?", "A bee collects nectar and pollen from flowers."),
    (
        "Explain what a database index is.",
        (
            "An index is a sorted structure beside a table that lets the database find rows "
            "by a column's value without reading every row."
        ),
    ),
    ("Name the four seasons.", "The four seasons are spring, summer, autumn and winter."),
    (
        "How do I boil an egg?",
        "Put the egg into boiling water, wait seven to ten minutes, and cool it under cold water before you peel it.",
    ),
    (
        "Summarise: The meeting was moved from Monday to Thursday because two people were ill.",
        "The meeting was moved to Thursday because of illness.",
    ),
    ("What is the opposite of 'expensive'?", "The opposite of expensive is cheap."),
    (
        "Who wrote Romeo and Juliet?",
        "William Shakespeare wrote Romeo and Juliet.",
    ),
    (
        "What should I pack for a day of hiking?",
        "Take water, food, a map, a rain jacket, sun protection and a small first aid kit.",
    ),
    (
        "What is a prime number?",
        "A prime number is a whole number greater than one that can be divided only by one and by itself.",
    ),
)

GENERAL: tuple[tuple[WindowTurn, ...], ...] = tuple(
    (
        WindowTurn(role="system", text="You are a helpful assistant.", learn=False, no_loss=()),
        WindowTurn(role="user", text=question, learn=False, no_loss=()),
        WindowTurn(role="assistant", text=answer, learn=True, no_loss=()),
    )
    for question, answer in _CHATS
)
"""Each ends with the answer whose likelihood is measured."""
