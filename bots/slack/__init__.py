"""Slack: an internal app with the owner's own token, and cards in the app's direct messages."""
