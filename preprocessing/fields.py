"""The two kinds of field that an application is made of, and what follows from a field's declaration.

A schema declares `name: Annotated[float | None, Number(...)] = None`; `| None` means that the value may be missing.
Everything else in the project (validation, encoding, error messages, OpenAPI, training constraints) is derived here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

Direction = Literal[-1, 0, 1]
UNKNOWN_UNIT = "?"  # of a number of which nobody has said yet what it counts: no caller is told of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A measured quantity.

    `low` and `high` are the bounds of what is possible (inclusive; outside is an error), not of what is usual.
    `risk` is the direction the domain demands: +1 more never lowers the risk, -1 more never raises it, 0 no demand.
    `change`: how an applicant can change it: +1 up, -1 down, 0 either way; None: not at all.
    `adverse` and `favourable` say in a sentence why the value raised or lowered the risk, without naming it.
    `protected`: collected for the fairness report, never given to the model.
    `also`: other names that channels send it under, as a caption on paper or an older form's input. The same name in
    another spelling, and the label, need not be among them.
    `before`: what versions of the mobile app before the given one called it.
    `groups`: edges of the groups that the fairness report compares; the model gets the field all the same, unless it is
    protected. They are no part of the fingerprint, since no model depends on them.
    """

    label: str
    unit: str
    low: float
    high: float
    example: float
    whole: bool = False
    risk: Direction = 0
    change: Direction | None = None
    adverse: str = ""
    favourable: str = ""
    protected: bool = False
    also: tuple[str, ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[float, ...] = ()

    @property
    def rule(self) -> str:
        """What a valid value looks like, to end the sentence '<label> must be …'."""
        kind = "a whole number" if self.whole else "a number"
        unit = "" if self.unit == UNKNOWN_UNIT else f" ({self.unit})"
        return f"{kind} from {_written(self.low)} to {_written(self.high)}{unit}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.float_schema(
            strict=True,
            allow_inf_nan=False,
            ge=self.low,
            le=self.high,
            multiple_of=1 if self.whole else None,
        )
        return core_schema.nullable_schema(number) if _may_be_missing(source) else number

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        kind = "integer" if self.whole else "number"
        rules: dict[str, Any] = {"type": kind, "minimum": self.low, "maximum": self.high}
        if self.unit == UNKNOWN_UNIT:
            return _described(self, schema, f"{self.label}.", rules)
        return _described(self, schema, f"{self.label}, in {self.unit}.", {**rules, "x-unit": self.unit})


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One of a closed list of words: `values` maps each word to its plain-language label.

    The model sees a word as its index in `values`, so the order is part of the model; `risk` speaks of that order.
    `words`: what people say instead → the word that it means. All else is as for a `Number`.
    """

    label: str
    values: Mapping[str, str]
    example: str
    risk: Direction = 0
    adverse: str = ""
    favourable: str = ""
    protected: bool = False
    also: tuple[str, ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str | None, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if unknown := set(self.words.values()) - set(self.values):
            raise ValueError(f"{self.label}: {', '.join(sorted(unknown))} is no word of it, so nobody can mean that")
        codes: dict[str | None, float] = {value: float(index) for index, value in enumerate(self.values)}
        codes[None] = float("nan")
        object.__setattr__(self, "codes", codes)

    @property
    def rule(self) -> str:
        """What a valid value looks like, to end the sentence '<label> must be …'."""
        return "one of " + ", ".join(self.values)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        word = core_schema.literal_schema(list(self.values))
        return core_schema.nullable_schema(word) if _may_be_missing(source) else word

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        meanings = "; ".join(f"{value}: {label}" for value, label in self.values.items())
        rules = {"type": "string", "enum": list(self.values), "x-words": dict(self.values)}
        return _described(self, schema, f"{self.label} ({meanings}).", rules)


def sentences(kind: Number | Category) -> tuple[str, str]:
    """Why a field raised the risk and why it lowered it: as declared, else in words that follow from its kind."""
    adverse, favourable = f"{kind.label} speaks against the application", f"{kind.label} speaks for the application"
    if isinstance(kind, Number) and kind.risk:
        low, high = f"{kind.label} is low", f"{kind.label} is high"
        adverse, favourable = (high, low) if kind.risk > 0 else (low, high)
    return kind.adverse or adverse, kind.favourable or favourable


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field: its name in the body, its kind, and whether a caller must send it."""

    name: str
    kind: Number | Category
    required: bool

    def fingerprint(self) -> dict[str, Any]:
        """What a trained model depends on, as JSON: two schemas with equal fingerprints fit the same model."""
        kind = self.kind
        return {
            "name": self.name,
            "kind": type(kind).__name__.lower(),
            "required": self.required,
            "protected": kind.protected,
            "whole": isinstance(kind, Number) and kind.whole,
            "values": list(kind.values) if isinstance(kind, Category) else None,
            "range": [kind.low, kind.high] if isinstance(kind, Number) else None,
            "unit": kind.unit if isinstance(kind, Number) else None,
        }


class ApplicationModel(BaseModel):
    """The base of a schema's `Application`: frozen, closed to unknown fields, silent about values in its errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def fields_of(application: type[ApplicationModel]) -> tuple[Field, ...]:
    """The declared fields in schema order; TypeError for one that is declared without `Number` or `Category`."""
    return tuple(
        Field(name, _kind_of(name, info.metadata), info.is_required())
        for name, info in application.model_fields.items()
    )


def _kind_of(name: str, metadata: list[Any]) -> Number | Category:
    for item in metadata:
        if isinstance(item, (Number, Category)):
            return item
    raise TypeError(f"schema field {name!r} needs a Number or a Category in its Annotated type")


def _written(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:,}"


def _may_be_missing(source: Any) -> bool:
    return NoneType in get_args(source)


def _described(kind: Number | Category, schema: CoreSchema, description: str, rules: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a field: its rules, widened by null where the value may be missing, and its words.

    `x-unit`, `x-words` and `x-protected` say once more what the description says, for a program that draws a form.
    """
    if schema["type"] == "nullable":
        description += " May be left out or null."
        rules["type"] = [rules["type"], "null"]
        if "enum" in rules:
            rules["enum"].append(None)
    if kind.protected:
        description += " Protected: never given to the model."
        rules["x-protected"] = True
    return {**rules, "title": kind.label, "description": description, "examples": [kind.example]}
