"""The reply path's durations, as they are set."""

from datetime import timedelta

from core.reply.apply import Timing
from core.settings import Settings


def timing(settings: Settings) -> Timing:
    return Timing(
        settle=timedelta(seconds=settings.settle_seconds),
        takeover=timedelta(minutes=settings.takeover_minutes),
        card=timedelta(hours=settings.card_hours),
    )
