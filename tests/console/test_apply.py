"""Apply: from the empty form to the explained answer, and what goes wrong on the way."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from preprocessing.encode import FIELDS
from preprocessing.fields import Category, Number
from tests.console.conftest import Open
from tests.console.person import controls, fill_in, give, given, tab_to, type_in
from tests.generated import EXAMPLE, NUMBER

pytestmark = pytest.mark.slow
MOST_INTERACTIONS = 15  # beside giving the fields their values
REQUIRED = next(field for field in FIELDS if field.required and field is not NUMBER)
WORDS = next(field for field in FIELDS if isinstance(field.kind, Category) and len(field.kind.values) > 2)
assert isinstance(NUMBER.kind, Number)
TOO_HIGH = int(NUMBER.kind.high) + 1


def answered(page: Page, client: httpx.Client) -> Any:
    """The decision that the page shows, as the service has recorded it."""
    link = page.locator('main a[href^="#decision/"]')
    expect(link).to_have_count(1)
    id_ = (link.get_attribute("href") or "").removeprefix("#decision/")
    return client.get(f"/decisions/{id_}").raise_for_status().json()


def test_the_keyboard_alone_leads_from_the_empty_form_to_the_explained_answer(
    open_page: Open, client: httpx.Client
) -> None:
    watched = open_page("#queue")
    page = watched.page
    tab_to(page, page.get_by_role("link", name="Apply", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Apply", exact=True)).to_be_focused()
    expect(controls(page, FIELDS[0]).first).to_be_visible()
    before = watched.interactions()
    type_in(page, EXAMPLE)
    page.keyboard.press("Enter")
    decision = answered(page, client)
    assert watched.interactions() - before <= MOST_INTERACTIONS
    assert decision["application"] == EXAMPLE
    assert decision["facts"]["channel"] == "api"
    tier, points = decision["facts"]["tier"], decision["facts"]["points"]
    answer = page.locator("main section.verdict")
    expect(answer).to_contain_text(f"{tier.capitalize()} risk")
    expect(answer).to_contain_text(f"{points} points")
    expect(answer).to_contain_text(f"{decision['facts']['probability']:.1%}")
    expect(page.get_by_role("status")).to_contain_text(f"{tier.capitalize()} risk")
    explained = client.post("/explain", json=EXAMPLE).raise_for_status().json()
    reasons = page.get_by_role("table", name="Reasons")
    expect(reasons.locator("tbody tr")).to_have_count(len(explained["contributions"]))
    for reason in explained["reasons"]:
        expect(reasons).to_contain_text(reason["text"])
    assert explained["changes"]
    expect(page.get_by_role("heading", name="What would change it")).to_be_visible()


def test_two_clicks_fill_in_the_example_and_score_it(open_page: Open, client: httpx.Client) -> None:
    page = open_page("#apply").page
    page.get_by_role("button", name="Fill in the example").click()
    page.get_by_role("button", name="Score").click()
    assert answered(page, client)["application"] == EXAMPLE


def test_an_optional_field_that_is_left_empty_is_left_out_and_named_as_missing(
    open_page: Open, client: httpx.Client
) -> None:
    page = open_page("#apply").page
    required = [field for field in FIELDS if field.required]
    for field in required:
        give(page, field, EXAMPLE[field.name])
    page.get_by_role("button", name="Score").click()
    decision = answered(page, client)
    left_out = [field.name for field in FIELDS if not field.required]
    assert {name for name, value in decision["application"].items() if value is None} == set(left_out)
    warnings = page.locator(".warnings li")
    expect(warnings).to_have_count(len(decision["warnings"]))


def test_what_breaks_a_rule_is_said_at_its_field_in_the_services_words(open_page: Open, client: httpx.Client) -> None:
    watched = open_page("#apply")
    watched.expected = {422}
    page = watched.page
    fill_in(page, EXAMPLE)
    give(page, NUMBER, TOO_HIGH)
    controls(page, REQUIRED).fill("")
    page.get_by_role("button", name="Score").click()
    wrong = {name: value for name, value in EXAMPLE.items() if name != REQUIRED.name} | {NUMBER.name: TOO_HIGH}
    told = client.post("/predict", json=wrong).json()["detail"]
    assert {problem["field"] for problem in told} == {NUMBER.name, REQUIRED.name}
    for problem in told:
        field = page.locator(f'main [name="{problem["field"]}"]')
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile(re.escape(problem["message"])))
    expect(page.locator(f'main [name="{told[0]["field"]}"]')).to_be_focused()
    assert page.locator('[aria-invalid="true"]').count() == 2
    give(page, NUMBER, EXAMPLE[NUMBER.name])
    give(page, REQUIRED, EXAMPLE[REQUIRED.name])
    page.keyboard.press("Enter")
    assert answered(page, client)["application"] == EXAMPLE
    assert page.locator('[aria-invalid="true"]').count() == 0


def test_what_is_no_number_is_refused_by_the_service_and_not_lost(open_page: Open) -> None:
    watched = open_page("#apply")
    watched.expected = {422}
    page = watched.page
    fill_in(page, EXAMPLE)
    give(page, NUMBER, "about <b>ten</b>")
    page.get_by_role("button", name="Score").click()
    expect(controls(page, NUMBER)).to_have_attribute("aria-invalid", "true")
    assert given(page)[NUMBER.name] == "about <b>ten</b>"
    assert page.locator("main b").count() == 0


def test_an_answer_that_was_lost_on_its_way_is_asked_for_again_and_decided_once(
    open_page: Open, client: httpx.Client
) -> None:
    watched = open_page("#apply")
    watched.away = True
    page = watched.page
    fill_in(page, EXAMPLE)
    decided: list[str] = []

    def lost(route: Route) -> None:
        decided.append(route.fetch().json()["decision_id"])
        route.abort("connectionreset")

    page.route("**/explain", lost)
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    page.unroute("**/explain")
    page.get_by_role("button", name="Try again").click()
    assert [answered(page, client)["facts"]["id"]] == decided


def test_a_service_that_has_too_much_to_do_is_asked_again_later(open_page: Open, client: httpx.Client) -> None:
    watched = open_page("#apply")
    watched.expected = {503}
    page = watched.page
    fill_in(page, EXAMPLE)
    busy = {"error": "overloaded", "message": "there is more to do than can be answered in time", "detail": []}
    page.route("**/explain", lambda route: route.fulfill(status=503, json=busy, headers={"Retry-After": "2"}))
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("alert").filter(has_text="more to do")).to_contain_text("2 s")
    page.unroute("**/explain")
    page.get_by_role("button", name="Try again").click()
    assert answered(page, client)["application"] == EXAMPLE


def test_what_was_typed_is_still_there_after_a_look_at_another_page(open_page: Open) -> None:
    page = open_page("#apply").page
    fill_in(page, EXAMPLE)
    typed = given(page)
    page.get_by_role("link", name="Queue", exact=True).click()
    expect(page.get_by_role("heading", name="Queue", exact=True)).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", name="Apply", exact=True)).to_be_focused()
    assert given(page) == typed


def test_the_form_is_the_schema(open_page: Open) -> None:
    page = open_page("#apply").page
    for field in FIELDS:
        found = controls(page, field)
        group = page.get_by_role("radiogroup", name=field.kind.label, exact=True)
        expect(group.or_(page.get_by_label(field.kind.label, exact=True)).first).to_be_visible()
        if isinstance(field.kind, Number):
            expect(found).to_have_accessible_description(re.compile(re.escape(field.kind.unit)))
            expect(found).to_have_attribute("aria-required", str(field.required).lower())
    assert isinstance(WORDS.kind, Category)
    assert controls(page, WORDS).locator("option").all_inner_texts()[1:] == list(WORDS.kind.values.values())
