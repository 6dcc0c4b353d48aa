"""The queue: reviewed by keys, by people who work at the same time, with whatever they write into their notes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from loadtest.server import ROOT
from loadtest.waiting_cases import fill_queue
from tests.console.conftest import Open
from tests.console.person import tab_to
from tests.lab.browser import COLOURS, Watched

pytestmark = pytest.mark.slow
CASES = 60
HTML = '<img src="x" onerror="window.ran = true"><b>bold</b>'


@pytest.fixture(scope="module", autouse=True)
def cases(client: httpx.Client) -> int:
    return fill_queue(client, CASES, at_once=CASES)


def waiting(client: httpx.Client) -> list[str]:
    """The ids of those that the page shows at first, in its order."""
    page = client.get("/decisions", params={"state": "queued", "tier": "medium", "limit": CASES}).raise_for_status()
    return [decision["id"] for decision in page.json()["decisions"]]


def decision(client: httpx.Client, id_: str) -> Any:
    return client.get(f"/decisions/{id_}").raise_for_status().json()


def verdicts(client: httpx.Client, id_: str) -> Sequence[Mapping[str, Any]]:
    return [
        {name: review[name] for name in ("reviewer", "verdict", "note")} for review in decision(client, id_)["reviews"]
    ]


def opened(watched: Watched, id_: str) -> Page:
    """Once the case is there to be judged."""
    expect(watched.page.get_by_role("heading", name=f"Case {id_}")).to_be_attached()
    expect(watched.page.get_by_role("button", name="Approve")).to_be_enabled()
    return watched.page


def selected(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Decisions").get_by_role("option", selected=True)


def as_reviewer(watched: Watched, name: str) -> None:
    """Gives the name that is asked for once."""
    dialog = watched.page.get_by_role("dialog")
    expect(dialog.get_by_label("Your name")).to_be_focused()
    watched.page.keyboard.type(name)
    watched.page.keyboard.press("Enter")


def test_cases_are_reviewed_by_the_keyboard_alone(open_page: Open, client: httpx.Client) -> None:
    first, second, third, fourth = waiting(client)[:4]
    watched = open_page("#queue")
    page = opened(watched, first)
    tab_to(page, page.get_by_role("listbox", name="Decisions"))
    page.keyboard.press("a")
    as_reviewer(watched, "ann")
    opened(watched, second)
    assert decision(client, first)["state"] == "approved"
    page.keyboard.press("n")
    expect(page.get_by_label("Note")).to_be_focused()
    page.keyboard.type("jar ?/ n")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    opened(watched, third)
    assert verdicts(client, second) == [{"reviewer": "ann", "verdict": "decline", "note": "jar ?/ n"}]
    page.keyboard.press("j")
    opened(watched, fourth)
    page.keyboard.press("k")
    opened(watched, third)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Case {third}")).to_be_focused()
    assert waiting(client)[:2] == [third, fourth]


def test_a_verdict_never_goes_to_a_case_that_has_been_left(open_page: Open, client: httpx.Client) -> None:
    first, _, third = waiting(client)[:3]
    watched = open_page("#queue")
    page = opened(watched, first)
    page.evaluate("() => localStorage.setItem('riskline-reviewer', 'ann')")
    page.reload()
    opened(watched, first)
    page.get_by_role("listbox", name="Decisions").focus()
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.keyboard.press("j")
    opened(watched, third)
    assert decision(client, first)["reviews"] == []
    assert decision(client, third)["reviews"] == []


def test_a_review_that_has_missed_another_is_shown_it_and_asked_again(open_page: Open, client: httpx.Client) -> None:
    first = waiting(client)[0]
    watched = open_page("#queue")
    watched.expected = {409}
    page = opened(watched, first)
    bobs = {"reviewer": "bob", "verdict": "decline", "note": HTML, "seen": 0}
    client.post(f"/decisions/{first}/review", json=bobs).raise_for_status()
    page.get_by_label("Note").fill("payslip seen")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert watched.violations() == []
    as_reviewer(watched, "ann")
    conflict = page.get_by_role("alert").filter(has_text="bob")
    expect(conflict).to_contain_text(HTML)
    assert verdicts(client, first) == [{name: bobs[name] for name in ("reviewer", "verdict", "note")}]
    assert page.get_by_label("Note").input_value() == "payslip seen"
    assert watched.violations() == []
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").filter(has_text="differ").first).to_be_attached()
    assert decision(client, first)["state"] == "conflict"
    assert verdicts(client, first)[1] == {"reviewer": "ann", "verdict": "approve", "note": "payslip seen"}
    assert page.locator("main img").count() == 0
    assert page.evaluate("() => window.ran") is None


def test_filters_find_what_has_been_reviewed(open_page: Open, client: httpx.Client) -> None:
    first = waiting(client)[0]
    review = {"reviewer": f"{HTML} eve", "verdict": "approve", "note": HTML}
    client.post(f"/decisions/{first}/review", json=review).raise_for_status()
    watched = open_page("#queue")
    page = watched.page
    page.get_by_label("State").select_option("approved")
    opened(watched, client.get("/decisions?state=approved&tier=medium").json()["decisions"][0]["id"])
    page.get_by_role("listbox", name="Decisions").focus()
    page.keyboard.press("End")
    opened(watched, first)
    expect(page.get_by_text(review["reviewer"]).first).to_be_visible()
    assert page.locator("main img, main b").count() == 0
    page.get_by_label("Channel").select_option("phone")
    expect(page.get_by_text("Nothing here")).to_be_visible()


def test_a_record_that_cannot_be_read_is_named_beside_the_others(open_page: Open) -> None:
    watched = open_page("#model")

    def damaged(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "unreadable": ["loan-4711"]})

    watched.page.route("**/decisions?*", damaged)
    watched.go("#queue")
    expect(watched.page.get_by_text("Changed, and cannot be read: loan-4711.")).to_be_visible()
    expect(selected(watched.page)).to_be_visible()


def test_the_list_of_keys_can_be_read_and_leaves_no_trap(open_page: Open, client: httpx.Client) -> None:
    watched = open_page("#queue")
    page = opened(watched, waiting(client)[0])
    page.keyboard.press("/")
    expect(page.get_by_label("State")).to_be_focused()
    page.get_by_role("listbox", name="Decisions").focus()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    listed = [row.inner_text().split("\n", 1) for row in dialog.locator("dl > div").all()]
    assert [[keys, does.strip()] for keys, does in listed] == documented_keys()
    assert watched.violations() == []
    page.emulate_media(color_scheme="dark")
    assert watched.violations(only=COLOURS) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("listbox", name="Decisions")).to_be_focused()


def documented_keys() -> list[list[str]]:
    """The rows of docs/console.md, without marks."""
    rows = re.findall(r"^\| (<kbd>.*) \| (.*) \|$", (ROOT / "docs/console.md").read_text(), re.MULTILINE)
    return [[re.sub("</?kbd>", "", keys), does] for keys, does in rows]


def test_letters_do_nothing_where_they_are_switched_off(open_page: Open, client: httpx.Client) -> None:
    """Who speaks to a computer, or has shaky hands, can switch them off."""
    first = waiting(client)[0]
    watched = open_page("#queue")
    page = opened(watched, first)
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Single letters do something").uncheck()
    page.keyboard.press("Escape")
    page.get_by_role("listbox", name="Decisions").focus()
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    opened(watched, waiting(client)[1])
    assert selected(page).get_attribute("aria-posinset") == "2"
    assert decision(client, first)["reviews"] == []
