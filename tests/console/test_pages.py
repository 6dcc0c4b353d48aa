"""What holds for every page, whatever the screen, the colours and the keys; and what a browser may load."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from loadtest.waiting_cases import fill_queue
from tests.console.conftest import SCREENSHOTS, Open
from tests.generated import EXAMPLE
from tests.lab.browser import COLOURS, NARROW, Watched

pytestmark = pytest.mark.slow
NAMES = ("Apply", "Queue", "Decision", "Overview", "Model")
CASES = 30
SEES = "e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; }"
LONG_WORD = "anna" * 30  # which no screen of 320 pixels has room for
MOST_STOPS = 150  # of Tab, on one page
# of radio buttons Tab stops at the chosen one, else at the first
MARK_WHAT_CAN_BE_REACHED = """
main => {
    const stands = radio => {
        const group = [...main.querySelectorAll(`input[name="${radio.name}"]`)];
        return radio === (group.find(other => other.checked) ?? group[0]);
    };
    return [...main.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")]
        .filter(e => e.checkVisibility() && !e.disabled && (e.type !== "radio" || stands(e)))
        .map((e, number) => (e.dataset.stop = String(number)));
}
"""


@pytest.fixture(scope="module")
def routes(client: httpx.Client) -> Mapping[str, str]:
    """Each page's route by its name, in a service where something has happened."""
    fill_queue(client, CASES, at_once=CASES)
    made = client.post("/explain", json=EXAMPLE).raise_for_status().json()
    review = {"reviewer": LONG_WORD, "verdict": "approve", "note": f"{LONG_WORD} and so on"}
    client.post(f"/decisions/{made['decision_id']}/review", json=review).raise_for_status()
    return {name: f"#{name.lower()}" for name in NAMES} | {"Decision": f"#decision/{made['decision_id']}"}


def settle(page: Page, name: str) -> None:
    """Waits for the page of that name with all that it asks for."""
    expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible()
    page.wait_for_function("() => !document.querySelector('main [aria-busy=true]')")
    expect(page.locator("main h2, main [role=listbox], main form").first).to_be_visible()


def worked_on(watched: Watched, name: str) -> Watched:
    """The page as it looks with an answer on it."""
    settle(watched.page, name)
    if name == "Apply":
        watched.page.get_by_role("button", name="Fill in the example").click()
        watched.page.get_by_role("button", name="Score").click()
        expect(watched.page.get_by_role("heading", name="What would change it")).to_be_visible()
    if name == "Decision":
        for button in ("Check the proof", "Replay"):
            watched.page.get_by_role("button", name=button).click()
    settle(watched.page, name)
    return watched


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_no_barrier_and_nothing_is_cut_off_in_light_in_dark_and_on_320_pixels(
    open_page: Open, routes: Mapping[str, str], name: str
) -> None:
    watched = worked_on(open_page(routes[name]), name)
    page = watched.page
    picture(page, f"{name.lower()}-light")
    assert watched.violations() == []
    page.emulate_media(color_scheme="dark")
    picture(page, f"{name.lower()}-dark")
    assert watched.violations(only=COLOURS) == []
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": NARROW, "height": 640})
    picture(page, f"{name.lower()}-{NARROW}")
    width, wide = page.evaluate("() => [innerWidth, document.scrollingElement.scrollWidth]")
    assert wide <= width == NARROW
    assert watched.violations() == []


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("name", NAMES)
def test_tab_reaches_everything_and_shows_where_it_is(open_page: Open, routes: Mapping[str, str], name: str) -> None:
    page = open_page(routes[name]).page
    settle(page, name)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    wanted = set(page.locator("main").evaluate(MARK_WHAT_CAN_BE_REACHED))
    reached = set(stops(page))
    assert wanted
    assert wanted <= reached


def stops(page: Page) -> Iterator[str]:
    """The marks of what Tab stops at, once around the page."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        focus = page.evaluate_handle("() => document.activeElement")
        if focus.evaluate("e => e === document.body"):
            return
        assert focus.evaluate(f"e => ({SEES})(e) || [...e.parentElement.children].some({SEES})"), focus.evaluate(
            "e => e.outerHTML.slice(0, 200)"
        )
        yield focus.evaluate("e => e.dataset.stop ?? ''")
    raise AssertionError("Tab comes to no end")


def test_the_skip_link_leads_past_the_navigation(open_page: Open) -> None:
    page = open_page("#apply").page
    settle(page, "Apply")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.querySelector('main').contains(document.activeElement)")
    assert page.url.endswith("#apply")


def test_every_page_is_named_and_marked_in_the_navigation(open_page: Open) -> None:
    page = open_page("").page
    for name in NAMES:
        link = page.get_by_role("navigation").get_by_role("link", name=name, exact=True)
        link.click()
        expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_focused()
        expect(page).to_have_title(re.compile(f"^{name} .* Riskline$"))
        expect(link).to_have_attribute("aria-current", "page")
        assert page.locator("[aria-current=page]").count() == 1


def test_the_files_come_with_a_policy_that_lets_nothing_in(open_page: Open) -> None:
    watched = open_page("#apply")
    settle(watched.page, "Apply")
    files = [url for url in watched.requested if "/console/" in url and "#" not in url.rsplit("/", 1)[1]]
    assert len(files) > 3
    for url in dict.fromkeys(files):
        headers = httpx.get(url).headers
        policy = dict(rule.split(maxsplit=1) for rule in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert {urlsplit(url).netloc for url in watched.requested if url.startswith("http")} == {
        urlsplit(watched.origin).netloc
    }


def test_a_script_that_got_into_the_page_would_be_stopped_and_whatever_goes_wrong_is_seen(open_page: Open) -> None:
    """Without this, that nothing was seen would say nothing."""
    watched = open_page("#apply")
    page = watched.page
    settle(page, "Apply")
    page.evaluate("() => document.body.setAttribute('onclick', 'window.ran = true')")
    page.locator("h1").click()
    assert page.evaluate("() => window.ran") is None
    page.evaluate("async () => { console.error('oh'); await fetch('/nothing'); }")
    with page.expect_event("pageerror"):
        page.evaluate("() => { setTimeout(() => { throw new Error('alas'); }); }")
    with pytest.raises(AssertionError) as seen:
        watched.check()
    for trouble in ("refused by the policy: script-src-attr", "console: error: oh", "404: GET", "page error: alas"):
        assert trouble in str(seen.value)
    watched.forgive()


def test_a_page_whose_files_do_not_come_says_so_and_comes_when_asked_again(open_page: Open) -> None:
    watched = open_page("")
    watched.away = True
    page = watched.page
    page.route("**/console/queue.js", lambda route: route.abort("connectionrefused"))
    watched.go("#apply")
    settle(page, "Apply")
    page.get_by_role("link", name="Queue", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    expect(page.get_by_role("heading", name="Queue", exact=True, level=1)).to_be_focused()
    page.unroute("**/console/queue.js")
    page.get_by_role("button", name="Try again").click()
    settle(page, "Queue")
