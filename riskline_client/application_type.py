"""Writes the application of a service as a TypedDict, so that a type checker knows the lender's fields and words.

python -m riskline_client.application_type https://riskline.example.com > application.py

The service shows its schema without a key. Run it again when that changes; bounds are checked by the service alone.
"""

import argparse
import keyword
import sys
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from riskline_client.client import Client
from riskline_client.errors import RisklineError

_WIDTH = 110
_TYPES = {"string": "str", "integer": "int", "number": "float", "null": "None"}


def module(schema: Mapping[str, Any]) -> str:
    """The text of a module for the JSON Schema of an application; ValueError for a schema that it cannot say."""
    required = set(schema.get("required", ()))
    optional = any(name not in required for name in schema["properties"])
    types = {name: _type(name, field) for name, field in schema["properties"].items()}
    names = sorted(
        {"TypedDict"}
        | ({"NotRequired"} if optional else set())
        | ({"Literal"} if any("Literal[" in type_ for type_ in types.values()) else set())
    )
    lines = [
        '"""What the service takes. Written by `python -m riskline_client.application_type`; not to be edited."""',
        "",
        f"from typing import {', '.join(names)}",
        "",
        "",
        "class Application(TypedDict):",
        *(f"    # {line}" for line in _lines(schema.get("description", ""))),
        "",
    ]
    for name, field in schema["properties"].items():
        bounds = f" {field['minimum']} to {field['maximum']}." if {"minimum", "maximum"} <= field.keys() else ""
        lines += [f"    # {line}" for line in _lines(field.get("description", "") + bounds)]
        lines.append(f"    {name}: {types[name] if name in required else f'NotRequired[{types[name]}]'}")
    return "\n".join(lines) + "\n"


def _type(name: str, field: Mapping[str, Any]) -> str:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise ValueError(f"the field {name!a} is no name in Python, so no TypedDict can have it")
    kinds = field.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not kinds or not all(kind in _TYPES for kind in kinds):
        raise ValueError(f"the field {name} has a type that is none of {', '.join(_TYPES)}")
    if (words := field.get("enum")) is None:
        return " | ".join(_TYPES[kind] for kind in kinds)
    known = f"Literal[{', '.join(_quoted(word) for word in words if word is not None)}]"
    return f"{known} | None" if None in words else known


def _lines(text: str) -> Iterator[str]:
    """A comment's lines: whatever the service says stays in them."""
    yield from wrap("".join(letter if letter.isprintable() else " " for letter in text), _WIDTH)


def _quoted(word: object) -> str:
    text = repr(word)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m riskline_client.application_type",
        description="Writes the application as a TypedDict.",
    )
    parser.add_argument("url", help="where the service is, as https://riskline.example.com")
    url = parser.parse_args(arguments).url
    try:
        with Client(url) as riskline:
            text = module(riskline.schema())
    except (RisklineError, ValueError) as error:
        sys.exit(f"riskline: {error}")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
