"""Every error stillwatch raises on purpose.

    StillwatchError
    ├── SettingsError      a flag, a file of settings, a policy or a key is wrong
    ├── InputError         a file cannot be used at all, or too many of its rows were rejected
    ├── StoreError         state or output cannot be read or written, or was made under another key
    │   └── HeldError      a legal hold forbids it
    ├── EngineError        the engine could not run what it was given
    ├── SharingError       an object must not, or cannot, leave
    └── ServiceError       the running service, or its database, cannot do what was asked

One unreadable line is not an error: it goes to the `rejected` table with its reason and the run goes on.
A message says what failed, where (file, line, table or key), and what to do. It never holds prompt text.
"""


class StillwatchError(Exception):
    """Base of the tree: catch this to catch everything we raise on purpose."""


class SettingsError(StillwatchError):
    """A flag, a file of settings, a policy or a key is wrong."""


class InputError(StillwatchError):
    """A file cannot be used at all, or too many of its rows were rejected."""


class StoreError(StillwatchError):
    """State or output cannot be read or written, or was made under another key."""


class HeldError(StoreError):
    """A legal hold forbids it."""


class EngineError(StillwatchError):
    """The engine could not run what it was given."""


class SharingError(StillwatchError):
    """An object must not, or cannot, leave."""


class ServiceError(StillwatchError):
    """The running service, or its database, cannot do what was asked."""
