"""What a look at a platform's account found: who it is, and what is missing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An account that can be reached. What cannot even be asked raises `PlatformError`."""

    account: str
    """The account's name, as the bot will use it."""
    owner_id: str
    owner_name: str
    workspace: str
    """Where the account lives, in the platform's own words."""
    opens: bool = True
    """Whether it can be hosted as it is; without, it is not worth keeping."""
    next_steps: tuple[str, ...] = ()
    """What its owner does on the platform, once it is connected."""
    missing: tuple[str, ...] = ()
    """Sentences, each of what is missing and how to get it."""
