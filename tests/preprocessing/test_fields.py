from typing import Annotated

import pytest
from pydantic import ValidationError

from preprocessing.encode import FIELDS, MODEL_FIELDS
from preprocessing.fields import UNKNOWN_UNIT, ApplicationModel, Category, Number, fields_of
from preprocessing.schema import Application
from tests.generated import EXAMPLE


class Loan(ApplicationModel):
    years: Annotated[float, Number(label="Years", unit="years", low=0, high=10, whole=True, example=3)]
    share: Annotated[float | None, Number(label="Share", unit="part", low=0, high=1, example=0.5)] = None
    kind: Annotated[str | None, Category(label="Kind", values={"a": "the first", "b": "the second"}, example="a")] = (
        None
    )


def test_a_field_may_be_missing_exactly_where_its_type_says_so() -> None:
    assert [(field.name, field.required) for field in fields_of(Loan)] == [
        ("years", True),
        ("share", False),
        ("kind", False),
    ]


def test_a_field_of_no_known_kind_is_refused_when_the_schema_is_read() -> None:
    class Undeclared(ApplicationModel):
        note: str

    with pytest.raises(TypeError, match="'note' needs a Number or a Category"):
        fields_of(Undeclared)


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert Loan.model_validate_json('{"years": 3.0}') == Loan.model_validate_json('{"years": 3}')


@pytest.mark.parametrize("value", ["3", True, [3], {"years": 3}, None, 3.5, -1, 11, float("inf"), float("nan")])
def test_a_number_is_neither_converted_nor_clipped(value: object) -> None:
    with pytest.raises(ValidationError):
        Loan.model_validate({"years": value})


def test_the_json_schema_tells_range_meaning_and_whether_null_is_allowed() -> None:
    properties = Loan.model_json_schema()["properties"]
    assert properties["years"]["type"] == "integer"
    assert (properties["years"]["minimum"], properties["years"]["maximum"]) == (0, 10)
    assert properties["share"]["type"] == ["number", "null"]
    assert properties["kind"]["enum"] == ["a", "b", None]
    assert "a: the first; b: the second" in properties["kind"]["description"]


def test_the_json_schema_tells_a_program_unit_words_and_protection() -> None:
    class Shown(Loan):
        secret: Annotated[str | None, Category(label="Secret", values={"y": "yes"}, example="y", protected=True)] = None

    properties = Shown.model_json_schema()["properties"]
    told = {
        name: {key: value for key, value in told.items() if key.startswith("x-")} for name, told in properties.items()
    }
    assert told == {
        "years": {"x-unit": "years"},
        "share": {"x-unit": "part"},
        "kind": {"x-words": {"a": "the first", "b": "the second"}},
        "secret": {"x-words": {"y": "yes"}, "x-protected": True},
    }


def test_no_caller_is_told_of_a_unit_that_nobody_has_decided() -> None:
    class Starter(ApplicationModel):
        count: Annotated[float, Number(label="Count", unit=UNKNOWN_UNIT, low=0, high=10, example=1)]

    [field] = fields_of(Starter)
    assert field.kind.rule == "a number from 0 to 10"
    told = Starter.model_json_schema()["properties"][field.name]
    assert told["description"] == "Count."
    assert "x-unit" not in told


def test_the_schemas_own_example_is_a_valid_application() -> None:
    assert Application.model_validate(EXAMPLE).model_dump() == EXAMPLE


def test_protected_fields_are_collected_and_kept_from_the_model() -> None:
    protected = {field.name for field in FIELDS if field.kind.protected}
    assert protected == {"marital"}
    assert protected.isdisjoint(field.name for field in MODEL_FIELDS)


def test_the_fingerprint_changes_with_the_order_of_a_categorys_words() -> None:
    [*_, kind] = fields_of(Loan)
    assert isinstance(kind.kind, Category)
    turned = Category(label="Kind", values={"b": "the second", "a": "the first"}, example="a")
    assert kind.fingerprint() != type(kind)(kind.name, turned, kind.required).fingerprint()
