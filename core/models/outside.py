"""Which models run on another machine: what is put before them leaves this one."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Of the models that drafts are made with, those elsewhere."""

    model: bool = False
    expert: bool = False


def leaves_machine(url: str) -> bool:
    """Whether what is sent to that address goes to another machine; a name that is no address may."""
    if not url:
        return False
    host = (urlsplit(url).hostname or "").lower()
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def outside_models(settings: Settings) -> Outside:
    """As the settings stand."""
    remote = settings.backend == "remote" or (settings.backend == "auto" and bool(settings.model_url))
    return Outside(
        model=remote and leaves_machine(settings.model_url), expert=leaves_machine(settings.expert_url)
    )
