"""A page of the console whose files do not come: it says so, and comes when they do. No service is asked."""

import pytest
from playwright.sync_api import Browser, expect

from serving.console import CONSOLE
from tests.console.test_reckoning import ORIGIN, from_disk

pytestmark = pytest.mark.slow


def test_a_page_whose_files_do_not_come_says_so_and_is_asked_for_again(browser: Browser) -> None:
    page = browser.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.route(f"{ORIGIN}/**", from_disk)
    away = f"{ORIGIN}{CONSOLE}review.js"  # of which the queue is not made without
    page.route(away, lambda route: route.abort())
    page.goto(ORIGIN + CONSOLE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Apply")
    page.get_by_role("link", name="Queue", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queue")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.unroute(away)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("listbox", name="Decisions")).to_be_visible()
    assert wrong == []
    page.close()
