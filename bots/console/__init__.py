"""The console: a chat platform of our own on a web page, and the owner's desk beside it."""
