"""Secrets of settings: written out, or in a file that is named."""

from pathlib import Path

from stillwatch.errors import SettingsError

_FILE = "file:"


def credential(told: str, where: str) -> str:
    """The secret: what `file:PATH` names, else the text itself. Errors name the setting, never the secret.

    Raises:
        SettingsError: the file cannot be read, or is empty.
    """
    if not told.startswith(_FILE):
        return told
    path = Path(told.removeprefix(_FILE))
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{where}: cannot read the secret in {path}. Check the path and who may read it."
        ) from error
    if not found:
        raise SettingsError(f"{where}: {path} is empty. Write the secret into it.")
    return found
