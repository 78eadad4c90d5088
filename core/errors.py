"""Every error that Locum raises on purpose; each class says what its reader should do.

LocumError
├── BadInput            what was given is wrong: change it and try again
├── NotConfigured       a setting or a package is missing: the message names it
├── StorageError        Postgres or Redis is not usable: the message says how to mend it
│   └── SchemaTooNew    the database was migrated by a newer Locum: upgrade Locum
├── ModelError          a model failed or answered nonsense: try again, or another model
│   ├── ModelUnavailable    it cannot be reached or loaded
│   └── Unsupported         this model lacks the capability that was asked for
├── PlatformError       a chat platform failed or refused: it is tried again by itself
│   └── AccessRevoked   the platform does not know us any more: the message names the cure
└── NotAllowed          policy forbids it: the message names the rule
"""


class LocumError(Exception):
    """Anything that Locum raises on purpose. Its text is a sentence for the person at the screen."""


class BadInput(LocumError):
    """What was given is wrong; the text says what would be right."""


class NotConfigured(LocumError):
    """A setting, a package or a file is missing; the text names it and its cure."""


class StorageError(LocumError):
    """Postgres or Redis is not usable; the text says how to mend it."""


class SchemaTooNew(StorageError):
    """The database was migrated by a newer Locum than this one."""


class ModelError(LocumError):
    """A model failed; another try or another model may do."""


class ModelUnavailable(ModelError):
    """A model cannot be loaded or reached."""


class Unsupported(ModelError):
    """This model lacks an optional capability that was asked of it."""


class PlatformError(LocumError):
    """A chat platform failed, or refused what was asked; `retry_after` in seconds, where it said so."""

    def __init__(self, sentence: str, *, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class AccessRevoked(PlatformError):
    """A token or a right is gone; the text says how to get it back. Asked again now and then."""


class NotAllowed(LocumError):
    """Policy forbids it; the text names the rule."""
