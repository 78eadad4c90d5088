"""Telegram: a business connection in the owner's name, and a private chat with the owner for the cards."""
