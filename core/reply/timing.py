"""The reply path's durations and its disclosure line, as they are set."""

from datetime import timedelta

from core.reply.apply import Timing
from core.settings import Settings


def timing(settings: Settings) -> Timing:
    return Timing(
        settle=timedelta(seconds=settings.settle_seconds),
        takeover=timedelta(minutes=settings.takeover_minutes),
        card=timedelta(hours=settings.card_hours),
    )


def disclosure(settings: Settings) -> str:
    """The line under the first reply that nobody pressed; empty where the owner wants none."""
    if settings.disclosure.strip() == "-":
        return ""
    return settings.disclosure.replace("{owner}", settings.owner_name or settings.owner)
