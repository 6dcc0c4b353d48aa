"""JSON → the values of `answers.py`, by their annotations. What does not fit is a ValueError that says where.

Words of a closed set are handed on also where a newer service has more of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Reader = Callable[[Any], Any]


@cache
def reader_of(kind: Any) -> Reader:
    """What makes a value of this annotation out of parsed JSON."""
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _object_reader(kind)
    if origin in (Union, UnionType):
        return _choice_reader(parts)
    if origin is tuple:
        return _items_reader(reader_of(parts[0]))
    if origin is Mapping:
        return _mapping_reader(reader_of(parts[1]))
    if kind is Any:
        return lambda value: value
    return _plain_reader(str if origin is Literal else kind)


def _object_reader(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    parts = [
        (each.name, reader_of(hints[each.name]), each.default is MISSING and each.default_factory is MISSING)
        for each in fields(kind)
    ]

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("is no object")
        made = {}
        for name, reader, required in parts:
            if name in value:
                try:
                    made[name] = reader(value[name])
                except ValueError as error:
                    raise ValueError(f"{name} {error}") from None
            elif required:
                raise ValueError(f"has no {name}")
        return kind(**made)

    return read


def _choice_reader(kinds: tuple[Any, ...]) -> Reader:
    """None, or one of plain kinds, or one other."""
    present = [kind for kind in kinds if kind is not NoneType]
    plain = tuple(kind for kind in present if isinstance(kind, type) and not is_dataclass(kind))
    reader = _plain_reader(*plain) if len(plain) == len(present) else reader_of(present[0])
    return lambda value: None if value is None else reader(value)


def _items_reader(reader: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError("is no array")
        return tuple([reader(item) for item in value])

    return read


def _mapping_reader(reader: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("is no object")
        return {name: reader(item) for name, item in value.items()}

    return read


def _plain_reader(*kinds: Any) -> Reader:
    allowed = frozenset(kinds) | (frozenset({int}) if float in kinds else frozenset())  # 1.0 may be written 1

    def read(value: Any) -> Any:
        if type(value) not in allowed:
            raise ValueError(f"is no {' or '.join(kind.__name__ for kind in kinds)}")
        return value

    return read
