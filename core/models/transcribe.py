"""Speech to text at an OpenAI-compatible server: what `POST /audio/transcriptions` takes and gives."""

from typing import Self

import httpx
from pydantic import BaseModel, ValidationError

from core.errors import ModelError, ModelUnavailable
from core.models.remote import api_address
from core.settings import Settings

SECONDS = 60.0
MOST_CHARACTERS = 20_000
"""Of one transcript; what is longer is no message."""

ENDINGS = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/webm": "webm",
}


class _Answer(BaseModel):
    text: str


class RemoteTranscriber:
    """A `core.bot.Transcriber` on a server."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client, self._model = client, model

    @classmethod
    def open(cls, url: str, *, model: str, key: str, seconds: float = SECONDS) -> Self:
        """A server that is asked when there is something to hear; nothing is sent before."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        client = httpx.AsyncClient(
            base_url=api_address(url), headers=headers, timeout=httpx.Timeout(seconds, connect=5.0)
        )
        return cls(client, model)

    async def transcribe(self, audio: bytes, media_type: str) -> str:
        """The words that are said. Raises `ModelError`, without a word of the answer, where it fails."""
        kind = media_type.split(";", maxsplit=1)[0].strip().lower()
        name = f"voice.{ENDINGS.get(kind, 'ogg')}"
        kind = kind if kind in ENDINGS else "application/octet-stream"  # its sender chose it
        try:
            answer = await self._client.post(
                "audio/transcriptions",
                data={"model": self._model, "response_format": "json"},
                files={"file": (name, audio, kind)},
            )
            answer.raise_for_status()
            text = _Answer.model_validate_json(answer.content).text
        except httpx.HTTPStatusError as error:
            raise ModelError(f"The transcriber answered {error.response.status_code}.") from None
        except httpx.HTTPError as error:
            raise ModelUnavailable(f"The transcriber cannot be reached ({type(error).__name__}).") from None
        except ValidationError:
            raise ModelError("The transcriber's answer is no transcript.") from None
        return text.strip()[:MOST_CHARACTERS]

    async def close(self) -> None:
        await self._client.aclose()


def open_transcriber(settings: Settings) -> RemoteTranscriber | None:
    """The one that the settings name; None where they name none."""
    if not settings.transcriber_url:
        return None
    return RemoteTranscriber.open(
        settings.transcriber_url,
        model=settings.transcriber_name,
        key=settings.transcriber_key.get_secret_value(),
    )
