"""Text as Postgres can store it, whatever a platform or an export holds."""


def clean(text: str) -> str:
    """The text without NUL, and without half of a surrogate pair."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
