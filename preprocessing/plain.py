"""The way back from codes to what an application says, as JSON: what is recorded, and what a person reads.

Every way in ends in the same codes, so the same application is the same bytes here, however it was sent.
"""

import msgspec

from preprocessing.encode import FIELDS, Codes
from preprocessing.fields import Category

_WORDS: list[dict[float, str] | None] = [
    {code: word for word, code in field.kind.codes.items() if word is not None}
    if isinstance(field.kind, Category)
    else None
    for field in FIELDS
]
_Plain = msgspec.defstruct(
    "_Plain", [(field.name, str | None if words else float) for field, words in zip(FIELDS, _WORDS, strict=True)],
    gc=False,
)  # fmt: skip
_ENCODER = msgspec.json.Encoder()


def as_json(codes: Codes) -> list[str]:
    """(fields, rows) in schema order → each row as a JSON object with every field, `null` where it is missing."""
    columns = [
        map(words.get, column) if words else column for words, column in zip(_WORDS, codes.tolist(), strict=True)
    ]
    return _ENCODER.encode_lines(list(map(_Plain, *columns))).decode().split("\n")[:-1]
