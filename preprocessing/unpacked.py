"""What a columnar body would unpack to, by what stands in it, before any is unpacked: a few bytes may fill the memory.

A Parquet file's footer is read here too (parquet.thrift, in Thrift's compact protocol), since pyarrow's own way to a
column's part of it ends the process where that part is damaged. It may lie about its pages, so their headers are read.
An Arrow message says how large each of its compressed buffers becomes (Message.fbs, flatbuffers).
"""

import struct
from collections.abc import Collection, Iterable, Sequence
from typing import Any, BinaryIO, NamedTuple

from preprocessing.errors import MalformedBody

LARGEST_PAGE = 2**24  # bytes; writers make pages of one MiB
LARGEST_MESSAGE = 2**26  # bytes; half a million applications
_LARGEST_ROW = 4096  # bytes: no application comes near it, and a file made to fill the memory is far above
_SMALL = 2**20  # bytes that do no harm, whatever their rows
_HEADER = 2**16  # bytes; statistics make it the longest
_DELTA_BYTE_ARRAY = 7  # each word by what it has in common with the one before
_DATA, _DATA_V2 = 0, 3
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_LEFT_AS_IT_IS = -1
_LARGEST_FOOTER = 2**22  # bytes, and pages in all: many times as many as ten million applications have
_MOST_PAGES = 100_000
# what reading damaged bytes may raise
_DAMAGED = (struct.error, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, OSError)
_NO_PARQUET = "the body is not a valid Parquet file"


class Chunk(NamedTuple):
    """Where a column of a row group lies in its file, how many values it has and, in bytes, what it becomes."""

    start: int
    size: int
    values: int
    unpacked: int


def chunks_of(source: BinaryIO, fields: Collection[str]) -> list[Chunk]:
    """Those of the fields' columns, by the file's footer.

    Raises MalformedBody where there is no footer, and where it says that rows are far larger than they can be.
    """
    try:
        groups = _footer(source)[4]
        found: list[Chunk] = []
        for group in groups:
            columns = [column[3] for column in group[1]]
            chunks = [_chunk(column) for column in columns if column[3][0].decode() in fields]
            if sum(chunk.unpacked for chunk in chunks) > _LARGEST_ROW * max(group[3], 1) + _SMALL:
                raise MalformedBody("the Parquet file would unpack to far more than its rows can hold")
            found += chunks
    except _DAMAGED:
        raise MalformedBody(_NO_PARQUET) from None
    return found


def check_pages(source: BinaryIO, chunks: Iterable[Chunk]) -> None:
    """Raises MalformedBody for a page that would unpack to too much, and for what is no page."""
    try:
        pages = 0
        for chunk in chunks:
            pages += _check_chunk(source, chunk, _MOST_PAGES - pages)
    except _DAMAGED:
        raise MalformedBody(_NO_PARQUET) from None


def _footer(source: BinaryIO) -> dict[int, Any]:
    source.seek(-8, 2)
    size, end = struct.unpack("<I4s", source.read(8))
    if end != b"PAR1" or size > _LARGEST_FOOTER:
        raise ValueError(
            "no Parquet file, an encrypted one, or one of far more columns and parts than applications need"
        )
    source.seek(-8 - size, 2)
    return _Thrift(source.read(size)).struct()


def _chunk(column: dict[int, Any]) -> Chunk:
    return Chunk(min(column[9], column.get(11) or column[9]), column[7], column[5], column[6])


def _check_chunk(source: BinaryIO, chunk: Chunk, most_pages: int) -> int:
    """How many pages it has."""
    place, values, pages = chunk.start, 0, 0
    while values < chunk.values and place < chunk.start + chunk.size:
        pages += 1
        if pages > most_pages:
            raise ValueError("far more pages than applications need")
        source.seek(place)
        header = _Thrift(source.read(_HEADER))
        page = header.struct()
        if page[2] > LARGEST_PAGE:
            raise MalformedBody("the Parquet file has a page that would unpack to far more than its rows can hold")
        if page[1] in (_DATA, _DATA_V2):
            of_data, encoding = (page[5], 2) if page[1] == _DATA else (page[8], 4)
            if of_data[encoding] == _DELTA_BYTE_ARRAY:
                raise MalformedBody("the Parquet file has a column in the encoding DELTA_BYTE_ARRAY: use another one")
            values += of_data[1]
        if page[3] < 0:
            raise ValueError("a page of less than nothing")
        place += header.place + page[3]
    return pages


class _Thrift:
    """Reads structs of the compact protocol; `place` is how far it has come."""

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Field numbers with their values; ValueError for one that comes twice, as readers differ in which counts."""
        if depth > 8:
            raise ValueError("nothing in a Parquet file is as deep")
        fields: dict[int, Any] = {}
        number = 0
        while byte := self._byte():
            number = number + (byte >> 4) if byte >> 4 else self._signed()
            if number in fields:
                raise ValueError("a field comes twice")
            kind = byte & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._unsigned())
        if kind == 9:
            return self._list(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError("nothing of this kind is in a Parquet file")

    def _list(self, depth: int) -> Sequence[Any]:
        if depth > 8:
            raise ValueError("nothing in a Parquet file is as deep")
        byte = self._byte()
        size = byte >> 4 if byte >> 4 < 15 else self._unsigned()
        return [self._value(byte & 15, depth + 1) for _ in range(size)]

    def _byte(self) -> int:
        byte = self._data[self.place]
        self.place += 1
        return byte

    def _bytes(self, size: int) -> bytes:
        found = self._data[self.place : self.place + size]
        if len(found) < size:
            raise IndexError("text that goes beyond its end")
        self.place += size
        return found

    def _unsigned(self) -> int:
        number = shift = 0
        while shift < 70:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
        raise ValueError("a number of more than 64 bits")

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)


class Declared(NamedTuple):
    """What a message of an Arrow stream says of itself; `rows` 0 where it has words of a dictionary."""

    rows: int
    unpacked: int
    is_dictionary: bool


def check_messages(messages: Iterable[Any]) -> int:
    """The rows of an Arrow stream by its messages; MalformedBody where one, or all words, would unpack to too much."""
    rows = words = 0
    for message in messages:
        try:
            says = _declared(message.metadata, message.body)
        except _DAMAGED:
            raise MalformedBody("the body is not a valid Arrow stream") from None
        rows += says.rows
        words += says.unpacked if says.is_dictionary else 0
        if max(says.unpacked, words) > LARGEST_MESSAGE:
            limit = LARGEST_MESSAGE >> 20
            raise MalformedBody(f"the Arrow stream has a compressed batch of more than {limit} MiB; send smaller ones")
    return rows


def _declared(metadata: Any, body: Any) -> Declared:
    message = _Table.root(memoryview(metadata))
    kind = message.number(1, "<B")
    if kind not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return Declared(0, 0, False)
    header = message.table(2)
    batch = header.table(1) if kind == _DICTIONARY_BATCH else header
    rows = 0 if kind == _DICTIONARY_BATCH else batch.number(0, "<q")
    unpacked = 0
    if batch.has(3):
        data = memoryview(body)
        for offset, length in batch.pairs(2):
            if length:
                (size,) = struct.unpack_from("<q", data, offset)
                unpacked += length if size == _LEFT_AS_IT_IS else size
    return Declared(rows, unpacked, kind == _DICTIONARY_BATCH)


class _Table:
    """A table of a flatbuffer. struct.error where it points out of it."""

    def __init__(self, data: memoryview, place: int) -> None:
        self._data, self._place = data, place
        self._slots = place - self._at("<i", place)

    @classmethod
    def root(cls, data: memoryview) -> "_Table":
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def has(self, field: int) -> bool:
        return self._slot(field) != 0

    def number(self, field: int, form: str) -> int:
        slot = self._slot(field)
        return self._at(form, self._place + slot) if slot else 0

    def table(self, field: int) -> "_Table":
        return _Table(self._data, self._target(field))

    def pairs(self, field: int) -> Iterable[tuple[int, int]]:
        """A vector of two 64-bit numbers each."""
        if not self.has(field):
            return []
        start = self._target(field)
        end = start + 4 + 16 * self._at("<I", start)
        if end > len(self._data):
            raise struct.error("a vector that goes beyond its end")
        return struct.iter_unpack("<qq", self._data[start + 4 : end])

    def _slot(self, field: int) -> int:
        return self._at("<H", self._slots + 4 + 2 * field) if 4 + 2 * field < self._at("<H", self._slots) else 0

    def _target(self, field: int) -> int:
        place = self._place + self._slot(field)
        return place + self._at("<I", place)

    def _at(self, form: str, place: int) -> int:
        if place < 0:
            raise struct.error("a place before the beginning")
        number: int = struct.unpack_from(form, self._data, place)[0]
        return number
