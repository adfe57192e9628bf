"""Where watched files lie: folders of this machine, and prefixes of object stores, which are fetched one at a time.

An object is told apart by its name, its size and the time of its last change. It is copied into a folder that only the
service may read, taken in, and deleted; so for that long its text lies on the disk, as it does in the store.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import fs

from stillwatch.errors import InputError, ServiceError, SettingsError
from stillwatch.ingest import input_files

Look = tuple[int, int]  # bytes, and the time of the last change in nanoseconds
_UNFINISHED = (".partial", ".tmp")
_PIECE_BYTES = 1 << 20


class Place(Protocol):
    """Somewhere that files appear."""

    def found(self) -> dict[str, Look]:
        """The files that are there, by name.

        Raises:
            ServiceError: the place does not answer.
        """

    def fetched(self, name: str) -> Any:
        """A context that holds the file on this machine.

        Raises:
            ServiceError: it cannot be had now.
        """


def place_of(told: str, work: Path) -> Place:
    """The place that a setting names: a path, a glob, or the address of a prefix.

    Raises:
        SettingsError: nothing can read such an address.
    """
    if "://" not in told:
        return Folder(told)
    try:
        system, path = fs.FileSystem.from_uri(told)
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        scheme = told.partition("://")[0]
        raise SettingsError(
            f"[intake] watch: an address of {scheme}:// that cannot be read; give s3://, gs:// or abfs://"
        ) from error
    return Store(told.partition("://")[0], system, path, work)


@dataclass(frozen=True, slots=True)
class Folder:
    """A path or glob of this machine."""

    pattern: str

    def found(self) -> dict[str, Look]:
        """The files below it that are not hidden and not being written."""
        try:
            paths = input_files([self.pattern])
        except InputError:  # nothing is there yet
            return {}
        looks = {str(path): _look(path) for path in paths if _is_whole(path.name)}
        return {name: look for name, look in looks.items() if look is not None}

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """The file where it lies."""
        yield Path(name)


@dataclass(frozen=True, slots=True)
class Store:
    """A prefix of an object store."""

    scheme: str
    system: fs.FileSystem
    path: str
    work: Path

    def found(self) -> dict[str, Look]:
        """The objects below it, by their address without credentials."""
        selector = fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        try:
            listed = self.system.get_file_info(selector)
        except (pa.ArrowException, OSError) as error:
            raise ServiceError(f"the object store does not list what is watched ({type(error).__name__})") from error
        files = [info for info in listed if info.type == fs.FileType.File and self._is_taken(info.path)]
        return {f"{self.scheme}://{info.path}": (info.size or 0, info.mtime_ns or 0) for info in files}

    def _is_taken(self, path: str) -> bool:
        parts = PurePosixPath(path.removeprefix(self.path)).parts
        return _is_whole(path) and not any(part.startswith((".", "_")) for part in parts)

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A copy of the object, deleted afterwards."""
        self.work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".fetched-", dir=self.work))  # for its owner alone
        try:
            path = name.removeprefix(f"{self.scheme}://")
            copy = folder / PurePosixPath(path).name
            try:
                with self.system.open_input_stream(path, compression=None) as stream, copy.open("wb") as file:
                    while piece := stream.read(_PIECE_BYTES):
                        file.write(piece)
            except (pa.ArrowException, OSError) as error:
                raise ServiceError(f"an object could not be fetched ({type(error).__name__})") from error
            yield copy
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def is_object(name: str) -> bool:
    """Whether it is the name of an object; to fetch all of those again after a restart would cost time and money."""
    return "://" in name


def remove_copies(work: Path) -> None:
    """Delete what a process that was killed had fetched."""
    for folder in work.glob(".fetched-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _is_whole(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name[0] != "." and path.suffix not in _UNFINISHED


def _look(path: Path) -> Look | None:
    try:
        found = path.stat()
    except OSError:  # gone meanwhile
        return None
    return found.st_size, found.st_mtime_ns
