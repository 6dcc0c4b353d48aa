"""Where files of applications are and where their scores go: on this machine or in an object store.

A file is written under another name and gets its own when it is whole, so what is there under its own name is whole.
"""

import posixpath
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from model.errors import ScoringError

PARQUET, CSV = ".parquet", ".csv"
_PARTIAL = re.compile(r"(.*/)\.([^/]+)\.[0-9a-f]{8}\.partial")


class Place(NamedTuple):
    """A path and the pyarrow FileSystem that it is a path of."""

    files: Any
    path: str

    def __str__(self) -> str:
        """Never the address as it was given: there may be a password in it."""
        name = self.files.type_name
        return self.path if name == "local" else f"{name}://{self.path}"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of applications with what tells its contents from others, and where its scores go."""

    source: Place
    size: int
    mtime_ns: int | None
    scores: Place

    @property
    def refusals(self) -> Place:
        return self.scores._replace(path=self.scores.path.removesuffix(PARQUET) + ".refused.jsonl")


def find_parts(source: str, target: str) -> tuple[list[Part], Place]:
    """The files at `source`, sorted, each with its place in `target`, and the place that `target` names.

    ScoringError if there are none, or their scores cannot go there. What a run that was killed has left is removed.
    """
    read, write = place_of(source), place_of(target)
    with no_storage_errors(f"{read} cannot be read"):
        found = read.files.get_file_info(read.path)
        if found.type == FileType.NotFound:
            raise ScoringError(f"there is no {read}; name a Parquet or CSV file, or a folder of Parquet files")
        is_folder = found.type == FileType.Directory
        infos = read.files.get_file_info(FileSelector(read.path, recursive=True)) if is_folder else [found]
    if is_folder:
        infos = sorted((info for info in infos if _is_part(info, read)), key=lambda info: info.path)
    if not infos:
        raise ScoringError(f"there is no {PARQUET} file in {read}")
    _check_target(read, write, is_folder)
    parts = [
        Part(
            Place(read.files, info.path), info.size, info.mtime_ns,
            Place(write.files, write.path + info.path.removeprefix(read.path)),
        )
        for info in infos
    ]  # fmt: skip
    remove_partials(write, parts)
    return parts, write


@contextmanager
def whole_file(place: Place, unless_empty: bool = False) -> Iterator[Any]:
    """A stream whose file gets its name at the end: never if anything goes wrong, or `unless_empty`."""
    folder, aside = posixpath.dirname(place.path), partial(place)
    with no_storage_errors(f"{place._replace(path=folder)} cannot be written to"):
        try:
            place.files.create_dir(folder, recursive=True)
            with place.files.open_output_stream(aside.path) as stream:
                yield stream
                empty = stream.tell() == 0
            if empty and unless_empty:
                _remove(aside)
                _remove(place)
            else:
                place.files.move(aside.path, place.path)
        except BaseException:
            _remove(aside)
            raise


def partial(place: Place) -> Place:
    """A new name beside it, which whoever comes next knows for one of something unfinished and removes."""
    folder, name = posixpath.split(place.path)
    return place._replace(path=f"{folder}/.{name}.{secrets.token_hex(4)}.partial")


@contextmanager
def no_storage_errors(sentence: str) -> Iterator[None]:
    """What the file system says, as a ScoringError that starts with `sentence`."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ScoringError(f"{sentence}: {str(error).splitlines()[0]}") from None


def place_of(address: str) -> Place:
    """What a path or URL names, there or not; ScoringError where it cannot name anything."""
    try:
        place = Place(*FileSystem.from_uri(address)) if "://" in address else Place(LocalFileSystem(), address)
    except (OSError, pa.ArrowException):
        scheme = address.split("://")[0]
        raise ScoringError(f"no file is named by this {scheme}:// address; write s3://bucket/path, or a path") from None
    path = str(Path(place.path).resolve()) if place.files.type_name == "local" else place.path.rstrip("/")
    return place._replace(path=path)


def _is_part(info: Any, folder: Place) -> bool:
    """Names that start with a dot or an underscore are other programs' notes, as everybody in the trade has it."""
    names = info.path.removeprefix(folder.path).strip("/").split("/")
    return info.is_file and info.path.endswith(PARQUET) and not any(name.startswith((".", "_")) for name in names)


def _check_target(read: Place, write: Place, is_folder: bool) -> None:
    with no_storage_errors(f"{write} cannot be written to"):
        there = write.files.get_file_info(write.path).type
    inside = read.files.equals(write.files) and f"{write.path}/".startswith(f"{read.path}/")
    if inside:
        raise ScoringError(f"{write} is, or lies in, what is to be scored; name another place for the scores")
    if is_folder and there == FileType.File:
        raise ScoringError(f"{write} is a file, but the scores of a folder need a folder; name another one")
    if not is_folder and there == FileType.Directory:
        raise ScoringError(f"{write} is a folder, but the scores of one file need a file; name one in it")
    if not is_folder and not write.path.endswith(PARQUET):
        raise ScoringError(f"scores are written as Parquet: let the name of {write} end in {PARQUET}")


def partials(place: Place) -> Iterator[Place]:
    """What `whole_file` has left of a file each time it was killed; an object store keeps nothing of it."""
    return _partials(place._replace(path=posixpath.dirname(place.path)), False, {place.path})


def remove_partial(place: Place) -> None:
    """Removes these."""
    for left in partials(place):
        _remove(left)


def remove_partials(target: Place, parts: Sequence[Part]) -> None:
    """Removes what was left by runs, or workers, that were killed while they wrote the scores of `parts`."""
    is_folder = parts[0].scores.path != target.path
    folder = target if is_folder else target._replace(path=posixpath.dirname(target.path))
    ours = {place.path for part in parts for place in (part.scores, part.refusals)}
    for left in _partials(folder, is_folder, ours):
        _remove(left)


def _partials(folder: Place, recursive: bool, ours: Collection[str]) -> Iterator[Place]:
    """Only what would have become one of our files: the folder may be others' too."""
    with no_storage_errors(f"{folder} cannot be written to"):
        selector = FileSelector(folder.path, recursive=recursive, allow_not_found=True)
        for info in folder.files.get_file_info(selector):
            partial = _PARTIAL.fullmatch(info.path)
            if partial and partial[1] + partial[2] in ours:
                yield folder._replace(path=info.path)


def _remove(place: Place) -> None:
    with suppress(OSError):
        place.files.delete_file(place.path)
