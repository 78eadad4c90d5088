"""Made people of a made room, each with their own way of answering, as a history file."""

import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

SAYS = {"mara": ("yep ok", "nah no"), "tom": ("Certainly, Sir.", "By no means.")}


def write_room(file: Path, exchanges: int = 120) -> Path:
    """Somebody asks every few hours; Mara and Tom answer by turns, each in their own words."""
    chance = random.Random(3)  # noqa: S311 -- made chats
    begun = datetime(2026, 1, 5, 8, tzinfo=UTC)
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wt", encoding="utf-8") as lines:
        for number in range(exchanges):
            at = begun + timedelta(hours=7 * number)
            who = ("mara", "tom")[number % 2]
            asks = chance.choice(("ann", "bob", "cat"))
            answer = SAYS[who][chance.randrange(2)] + " " + "".join(chance.choices("abcdefg", k=4))
            for sender, text, minute in ((asks, f"coming {number}?", 0), (who, answer, 1)):
                lines.write(
                    json.dumps(
                        {
                            "platform": "irc",
                            "account": "room",
                            "chat": {"id": "#room", "kind": "group", "title": "#room"},
                            "id": f"{number}-{minute}",
                            "sender": {"id": sender, "name": sender},
                            "sent_at": (at + timedelta(minutes=minute)).isoformat(),
                            "text": text,
                            "reply_to": None,
                            "thread": None,
                        }
                    )
                    + "\n"
                )
    return file
