"""A queue of 10,000: its end is reached by scrolling, a case there is reviewed, and the page stays small."""

import httpx
import pytest
from playwright.sync_api import expect

from loadtest.console_pages import to_the_end
from loadtest.waiting_cases import fill_queue
from tests.console.conftest import Open

pytestmark = pytest.mark.slow
CASES = 10_000
MOST_ROWS, MOST_ELEMENTS = 500, 2000  # at any time
STATE = {"state": "queued", "tier": "medium"}


def test_a_queue_of_ten_thousand_is_scrolled_to_its_end_and_its_last_case_reviewed(
    open_page: Open, client: httpx.Client
) -> None:
    cases = fill_queue(client, CASES)
    watched = open_page("#queue")
    page = watched.page
    rows = page.get_by_role("listbox", name="Decisions").get_by_role("option")
    expect(rows.first).to_be_visible()
    found, most_rows = to_the_end(page, far=True)
    assert found == cases >= CASES
    assert most_rows < MOST_ROWS
    assert page.locator("*").count() < MOST_ELEMENTS
    page.get_by_role("listbox", name="Decisions").focus()
    page.keyboard.press("End")
    [newest] = client.get("/decisions", params={**STATE, "order": "newest", "limit": 1}).json()["decisions"]
    expect(page.get_by_role("heading", name=f"Case {newest['id']}")).to_be_attached()
    page.keyboard.press("a")
    page.keyboard.type("ann")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{cases - 1:,} decisions").first).to_be_visible()
    assert client.get(f"/decisions/{newest['id']}").json()["state"] == "approved"
    expect(rows.last).to_have_attribute("aria-setsize", str(cases - 1))
    asked = [url for url in watched.requested if "/decisions?" in url]
    assert len(asked) == -(-cases // 100)


def test_the_button_loads_more_for_who_does_not_scroll(open_page: Open, client: httpx.Client) -> None:
    assert client.get("/decisions", params=STATE).json()["next"]
    watched = open_page("#queue")
    page = watched.page
    expect(page.get_by_text("100 decisions, and more").first).to_be_visible()
    page.get_by_role("button", name="Load more").click()
    expect(page.get_by_text("200 decisions, and more").first).to_be_visible()
