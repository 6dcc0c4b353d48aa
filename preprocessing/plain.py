"""The way back from codes to what an application says: what is recorded, and what a person reads.

Every way in ends in the same codes, so the same application is the same JSON here, however it was sent.
"""

from collections.abc import Iterator

import msgspec

from preprocessing.encode import FIELDS, Codes
from preprocessing.fields import Category

_WORDS: list[dict[float, str] | None] = [
    {code: word for word, code in field.kind.codes.items() if word is not None}
    if isinstance(field.kind, Category)
    else None
    for field in FIELDS
]
Plain = msgspec.defstruct(
    "Plain", [(field.name, str | None if words else float) for field, words in zip(FIELDS, _WORDS, strict=True)],
    gc=False,
)  # fmt: skip


def plain(codes: Codes) -> Iterator[msgspec.Struct]:
    """(fields, rows) in schema order → each row as a record of every field, None or NaN where it is missing.

    As JSON it is an object with every field, `null` where it is missing.
    """
    columns = (
        map(words.get, column) if words else column for words, column in zip(_WORDS, codes.tolist(), strict=True)
    )
    return map(Plain, *columns)
