"""What `python -m riskline_client.application_type` writes for the bundled table and for another one."""

from pathlib import Path
from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import pytest

from preprocessing.schema import Application as Bundled
from riskline_client import Client, Decision, InvalidApplication
from riskline_client.application_type import main, module
from serving.openapi import document
from tests.generated import EXAMPLE
from tests.riskline_client.application import Application
from tests.riskline_client.conftest import Guarded
from tests.second_table.schema import Application as Other

WRITTEN = Path(__file__).parent / "application.py"


def schema_of(application: Any) -> dict[str, Any]:
    return dict(application.model_json_schema())


def run(text: str) -> Any:
    """The class that the module has."""
    names: dict[str, Any] = {"__name__": "application"}
    exec(compile(text, "application.py", "exec"), names)  # noqa: S102 - what was just written
    return names["Application"]


def test_the_module_beside_this_test_is_the_bundled_tables() -> None:
    """mypy holds the function below to it: where that is no error any more, its comment is one."""
    schema = document()["components"]["schemas"]["Application"]
    assert schema == schema_of(Bundled)
    assert module(schema) == WRITTEN.read_text()


def scored(riskline: Client, application: Application) -> Decision:
    application["home"] = None
    application["home"] = "rented"  # type: ignore[typeddict-item]
    application["age"] = "30"  # type: ignore[typeddict-item]
    application["unheard_of"] = 1  # type: ignore[typeddict-unknown-key]
    return riskline.predict(application)


@pytest.mark.parametrize("table", [Bundled, Other])
def test_the_types_say_what_the_schema_says(table: Any) -> None:
    schema = schema_of(table)
    written = run(module(schema))
    assert written.__required_keys__ == set(schema["required"])
    hints = get_type_hints(written)
    assert list(hints) == list(schema["properties"])
    for name, field in schema["properties"].items():
        parts = {hints[name], *get_args(hints[name])}
        words = {word for part in parts if get_origin(part) is Literal for word in get_args(part)}
        assert words == set(field.get("enum", ())) - {None}, name
        assert (NoneType in parts) == (name not in schema["required"]), name
        for kind, python in (("number", float), ("integer", int)):
            assert (python in parts) == (kind in ([field["type"], *field["type"]])), name


def test_what_a_service_says_stays_a_word_or_a_comment() -> None:
    evil = 'x"]\nimport os  # \u2028\u202e\\'
    field = {"type": "string", "enum": [evil, "a'b", 'a"b'], "description": evil}
    text = module({"description": evil, "properties": {"x": field}, "required": ["x"]})
    assert get_args(get_type_hints(run(text))["x"]) == (evil, "a'b", 'a"b')
    assert "\u202e" not in text
    code = [line for line in text.splitlines() if not line.strip().startswith("#")]
    assert [line for line in code if "import" in line][1:] == [line for line in code if line.startswith("    x: ")]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"two words": {"type": "string"}}, "'two words' is no name in Python"),
        ({"class": {"type": "string"}}, "'class' is no name in Python"),
        ({"x": {"type": "array"}}, "the field x has a type that is none of"),
        ({"x": {}}, "the field x has a type that is none of"),
    ],
)
def test_what_no_typeddict_can_say_is_refused(properties: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        module({"properties": properties})


@pytest.mark.slow
def test_the_program_needs_no_key(guarded: Guarded, capsys: pytest.CaptureFixture[str]) -> None:
    main([guarded.url])
    assert capsys.readouterr().out == WRITTEN.read_text()
    with Client(guarded.url, guarded.key) as riskline, pytest.raises(InvalidApplication) as refused:
        scored(riskline, cast(Application, dict(EXAMPLE)))
    assert [problem.field for problem in refused.value.detail] == ["home", "age", "unheard_of"]


def test_the_program_says_what_went_wrong_in_a_line() -> None:
    for url, expected in (("nowhere", "must be http://"), ("https://localhost:1", "there is no answer")):
        with pytest.raises(SystemExit) as ended:
            main([url])
        assert isinstance(ended.value.code, str)
        assert expected in ended.value.code
        assert "\n" not in ended.value.code
