"""CSV text held to its lines: a damaged or empty line becomes one of a single cell, which is refused in its place.

A CSV reader takes a quote that nobody closes for a cell that goes on, and what is no UTF-8 for the end of the file.
Where each line of a body is a record and must have its own answer, one such line may not cost the others anything.
"""

import codecs
import re
from typing import BinaryIO

LONGEST_LINE = 65_536  # bytes; no application comes near it
_READ_AT_ONCE = 2**18
_DAMAGED = b"?\n"  # of one cell, which no application has
_EMPTY = re.compile(rb"^\r?\n", re.MULTILINE)
_LINE = re.compile(rb"[^\n]*\n")
# A cell is quoted where it begins with a quote; inside, two quotes are one. Possessive, so that nothing is tried twice.
_CELL = rb'(?:"(?:[^"\n]|"")*+"[^,\n]*+|[^",\n][^,\n]*+|)'
_CELLS = re.compile(_CELL + rb"(?:," + _CELL + rb")*+\n")


class LineByLine:
    """Reads `source`, a CSV file, without lines that would harm others. Has what pyarrow asks of a file."""

    closed = False

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._ready = b""
        self._begun = b""  # a line whose end has not been read yet
        self._is_too_long = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; fewer do not mean the end, none do."""
        while not self._ready:
            chunk = self._source.read(_READ_AT_ONCE)
            if not chunk:
                self._ready, self._begun = self._last(), b""
                break
            self._ready = self._whole_lines(chunk)
        if size < 0:
            size = len(self._ready)
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken

    def close(self) -> None:
        """The source is its owner's to close."""

    def _whole_lines(self, chunk: bytes) -> bytes:
        lines, newline, begun = (self._begun + chunk).rpartition(b"\n")
        if self._is_too_long and newline:  # the rest of a line that was too long
            _, _, lines = (lines + newline).partition(b"\n")
            self._is_too_long, text = False, _DAMAGED + lines
        else:
            text = lines + newline
        self._begun = begun
        if len(begun) > LONGEST_LINE:
            self._begun, self._is_too_long = b"", True
        return _cleaned(text)

    def _last(self) -> bytes:
        if self._is_too_long:
            self._is_too_long = False
            return _DAMAGED
        return _cleaned(self._begun + b"\n") if self._begun else b""


class Utf8:
    """Reads `source`, and raises UnicodeDecodeError for what is no UTF-8; pyarrow would print it where it finds it."""

    closed = False

    def __init__(self, source: BinaryIO) -> None:
        self._source, self._decoder = source, codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._decoder.decode(chunk, final=not chunk)
        return chunk

    def close(self) -> None:
        """The source is its owner's to close."""


def _cleaned(text: bytes) -> bytes:
    if b'"' not in text and not _EMPTY.search(text) and _is_harmless(text):
        return text
    return b"".join([line if _is_sound(line) else _DAMAGED for line in _LINE.findall(text)])


def _is_harmless(text: bytes) -> bool:
    if text.count(b"\r") != text.count(b"\r\n"):
        return False  # alone it would end a row in the middle of a line
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_sound(line: bytes) -> bool:
    return _is_harmless(line) and line not in (b"\n", b"\r\n") and _CELLS.fullmatch(line) is not None
