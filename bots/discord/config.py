"""What the Discord bot is told: whose it is, and where Discord is."""

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordConfig:
    token: SecretStr
    owner_id: str
    """The owner's own Discord user id. Nobody else is obeyed, and it names the account."""
    api_url: str = "https://discord.com/api/v10"
    gateway_url: str = "wss://gateway.discord.gg/"
    message_content: bool = False
    """Ask for the privileged intent. Without it, what is said in servers comes without its words, unless it
    mentions the bot; direct messages to the bot and messages the owner points at are whole either way."""
    patience: float = 1.0
    """Seconds before a broken connection is tried again; doubled each time it fails once more."""
    back_fill: int = 500
    """How many messages of one chat are read at most after a gap."""
