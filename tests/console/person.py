"""What a person does on the console's pages, with the mouse or with the keyboard alone."""

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Locator, Page, expect

from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Field

MOST_KEYS = 60  # to reach a thing or a value by


def controls(page: Page, field: Field) -> Locator:
    """The field's input or list; of a choice that is laid open, all its inputs."""
    return page.locator(f'main [name="{field.name}"]')


def fill_in(page: Page, application: Mapping[str, Any]) -> None:
    for field in FIELDS:
        give(page, field, application[field.name])


def give(page: Page, field: Field, value: Any) -> None:
    found = controls(page, field)
    if not isinstance(field.kind, Category):
        found.fill(str(value))
    elif found.first.evaluate("control => control.tagName") == "SELECT":
        found.select_option(value)
    else:
        page.locator(f'main [name="{field.name}"][value="{value}"]').check()


def given(page: Page) -> dict[str, str]:
    """The text of each field as it stands; empty where there is none."""
    expect(page.get_by_role("button", name="Score", exact=True)).to_be_visible()
    return dict(page.evaluate("() => Object.fromEntries(new FormData(document.querySelector('main form')))"))


def type_in(page: Page, application: Mapping[str, Any]) -> None:
    """Gives the fields their values by keys alone, going from each to the next by Tab; the first is the next."""
    for field in FIELDS:
        page.keyboard.press("Tab")
        assert focused(page, "name") == field.name
        if isinstance(field.kind, Category):
            _choose(page, field, application[field.name])
        else:
            page.keyboard.type(str(application[field.name]))


def _choose(page: Page, field: Field, word: str) -> None:
    if focused(page, "type") == "radio":
        page.keyboard.press(" ")
    for _ in range(MOST_KEYS):
        if page.evaluate("() => document.activeElement.value") == word:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"the keyboard finds no {word} in {field.name}")


def tab_to(page: Page, target: Locator) -> None:
    """Goes on with Tab until the target has the focus."""
    for _ in range(MOST_KEYS):
        if target.evaluate("target => target === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {target}")


def focused(page: Page, property_: str) -> Any:
    return page.evaluate("property => document.activeElement[property]", property_)
