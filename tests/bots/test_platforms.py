"""From a login to a bot: what its owner allows is asked each time, and secrets show in no repr."""

from datetime import UTC, datetime

import pytest

from bots.discord.tickets import Ticket
from bots.platforms import Allowed
from core.errors import ModelError


class Writer:
    async def transcribe(self, audio: bytes, media_type: str) -> str:
        return f"{len(audio)} bytes of {media_type}"


async def test_a_consent_that_was_taken_back_ends_the_transcribing_at_once() -> None:
    answers = iter((True, False))

    async def may_hear() -> bool:
        return next(answers)

    allowed = Allowed(Writer(), may_hear)
    assert await allowed.transcribe(b"12345", "audio/ogg") == "5 bytes of audio/ogg"
    with pytest.raises(ModelError, match="may not be sent"):
        await allowed.transcribe(b"12345", "audio/ogg")


def test_a_ticket_shows_no_token() -> None:
    given = {"id": "1", "application": "2", "token": "very-secret", "chat": "3", "left": 5}
    ticket = Ticket.model_validate(given | {"until": datetime.now(UTC)})
    assert "very-secret" not in repr(ticket)
    assert "very-secret" in ticket.model_dump_json()
