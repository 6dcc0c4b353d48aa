"""What an application that was collected on its way here says of itself, in SageMaker's custom attributes.

channel=mail;source=<sha256 of the payload>;unsure=<fields that were read with little confidence>
"""

import re
from typing import NamedTuple

from preprocessing.encode import FIELDS

MOST_CHARACTERS = 1024  # SageMaker's limit
_ATTRIBUTES = re.compile(rb"channel=([a-z]{1,16});source=([0-9a-f]{64})(?:;unsure=([!-:<-~]+))?")
_NAMES = {field.name for field in FIELDS}


class Attributes(NamedTuple):
    """`sha256` is the payload's, `unsure` are names of the schema."""

    channel: str
    sha256: str
    unsure: tuple[str, ...] = ()


def written(attributes: Attributes) -> str:
    """As a header; where not all fields fit, those that do, since one is enough for a person to look."""
    text = f"channel={attributes.channel};source={attributes.sha256}"
    between = ";unsure="
    for name in attributes.unsure:
        if name.isascii() and len(text) + len(between) + len(name) <= MOST_CHARACTERS:
            text, between = text + between + name, ","
    return text


def read(header: bytes) -> Attributes | None:
    """What a header says; None where it is another's."""
    if (said := _ATTRIBUTES.fullmatch(header)) is None:
        return None
    channel, sha256, unsure = (part.decode() for part in said.groups(b""))
    return Attributes(channel, sha256, tuple(name for name in unsure.split(",") if name in _NAMES))
