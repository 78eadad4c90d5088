"""What the app must be allowed, and what it must hear of: the manifest asks for exactly this."""

OWNER_SCOPES = frozenset(
    {
        "channels:history",
        "channels:read",
        "chat:write",
        "files:read",
        "groups:history",
        "groups:read",
        "im:history",
        "im:read",
        "mpim:history",
        "mpim:read",
        "reactions:read",
        "reactions:write",
        "users:read",
    }
)
BOT_SCOPES = frozenset({"chat:write", "commands", "files:write", "im:history", "im:write", "users:read"})

OWNER_EVENTS = frozenset(
    {
        "member_joined_channel",
        "member_left_channel",
        "message.channels",
        "message.groups",
        "message.im",
        "message.mpim",
        "reaction_added",
        "reaction_removed",
    }
)
"""Of every chat that the owner is in."""
BOT_EVENTS = frozenset({"app_home_opened", "app_uninstalled", "message.im", "tokens_revoked"})
"""Of the app's own messages, home page and tokens."""
