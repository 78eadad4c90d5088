"""What a look at a platform's tokens found: `locum connect` and `locum doctor` tell it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Whom the tokens stand for, and what they lack."""

    account: str
    """The account's name, as core knows it."""
    owner_id: str
    owner_name: str
    workspace: str
    missing: tuple[str, ...] = ()
    """Sentences: what is missing, and how to get it. Empty when all is well."""
