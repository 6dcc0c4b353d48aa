"""Hypothesis strategies derived from the schema: applications as they should be and as they should not."""

from typing import Any

from hypothesis import strategies as st

from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Field, Number

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"  # as a caller sends it (W3C Trace Context)


def valid_value(field: Field) -> st.SearchStrategy[Any]:
    kind = field.kind
    if isinstance(kind, Category):
        return st.sampled_from(list(kind.values))
    bounds = st.sampled_from([kind.low, kind.high])
    if kind.whole:
        return (
            bounds | st.integers(int(kind.low), int(kind.high)) | st.integers(int(kind.low), int(kind.high)).map(float)
        )
    return bounds | st.floats(kind.low, kind.high, allow_nan=False)


def invalid_value(field: Field) -> st.SearchStrategy[Any]:
    """Values of the right JSON type for the field's kind that break one of its rules."""
    kind = field.kind
    if isinstance(kind, Category):
        return st.text(max_size=8).filter(lambda word: word not in kind.values)
    outside = st.floats(max_value=kind.low, exclude_max=True) | st.floats(min_value=kind.high, exclude_min=True)
    if kind.whole:
        outside |= st.integers(int(kind.low), int(kind.high) - 1).map(lambda whole: whole + 0.5)
    return outside


def _application(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Required fields always, the others now and then left out or null."""
    required = {field.name: values[field.name] for field in FIELDS if field.required}
    optional = {field.name: values[field.name] | st.none() for field in FIELDS if not field.required}
    return st.fixed_dictionaries(required, optional=optional)


valid_applications = _application({field.name: valid_value(field) for field in FIELDS})

# any mixture of right and wrong values, as a JSON object that names only known fields
doubtful_applications = st.fixed_dictionaries(
    {},
    optional={
        field.name: valid_value(field) | valid_value(field) | invalid_value(field) | st.none() for field in FIELDS
    },
)

# what a caller may send as one element of a batch
anything = (
    valid_applications
    | doubtful_applications
    | st.none()
    | st.text(max_size=5)
    | st.integers()
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=5), st.integers(), max_size=3)
)


def _writable(field: Field) -> st.SearchStrategy[Any]:
    kind = field.kind
    if isinstance(kind, Category):
        return st.sampled_from(list(kind.values))
    if kind.whole:
        return st.integers(int(kind.low), int(kind.high)).map(float)
    thousandths = st.integers(int(kind.low * 1000), int(kind.high * 1000))
    return thousandths.map(lambda n: n / 1000)


# valid applications whose numbers have at most three decimals
writable_applications = st.fixed_dictionaries(
    {field.name: _writable(field) if field.required else _writable(field) | st.none() for field in FIELDS}
)

EXAMPLE: dict[str, Any] = {field.name: field.kind.example for field in FIELDS}
NUMBER = next(field for field in FIELDS if isinstance(field.kind, Number) and field.required)
CATEGORY = next(field for field in FIELDS if isinstance(field.kind, Category))
OPTIONAL = next(field for field in FIELDS if not field.required and not field.kind.protected)
