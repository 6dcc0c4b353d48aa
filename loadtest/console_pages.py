"""Measures the console in a browser: one first load, one way from the empty form to the answer, one long scroll."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, CDPSession, Page

from loadtest.console_figures import LONG_MS, QUIET_MS, Answered, Load, Scroll, Task
from preprocessing.encode import FIELDS

WITHIN_MS = 120_000.0
WIDE, HEIGHT = 1120, 680
# These run before any script of the page. What a person does beside giving fields their values: other keys, and clicks
INTERACTIONS = """
window.interactions = 0;
const gives = event => event.target.closest?.("input, select, textarea, main form label") &&
    (event.type === "pointerdown" || event.key.length === 1 || /^(Arrow|Home|End|Backspace|Delete)/.test(event.key));
for (const type of ["keydown", "pointerdown"]) {
    addEventListener(type, event => { if (!gives(event) && event.key !== "Shift") window.interactions++; }, true);
}
"""
LONG_TASKS = """
window.tasks = [];
new PerformanceObserver(list => list.getEntries().forEach(task => window.tasks.push([task.startTime, task.duration])))
    .observe({type: "longtask", buffered: true});
"""
# In the page, since whatever is asked of it from outside is work for its processor too; once the form is painted
USABLE = """
window.usable = null;
new MutationObserver((_, observer) => {
    if (!document.querySelector("main form input")) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window.usable = performance.now(); }));
}).observe(document, {childList: true, subtree: true});
"""
# A screen further with every frame, as fast as a wheel can be turned; `far` at once to the end of what is there
SCROLL = """
far => new Promise(done => {
    const list = document.querySelector("main [role=listbox]");
    let most = 0;
    const on = () => {
        const rows = list.querySelectorAll("[role=option]");
        most = Math.max(most, rows.length);
        const last = rows[rows.length - 1];
        if (last && last.getAttribute("aria-posinset") === last.getAttribute("aria-setsize")) {
            return done([Number(last.getAttribute("aria-setsize")), most]);
        }
        list.scrollTop += far ? list.scrollHeight : list.clientHeight;
        requestAnimationFrame(on);
    };
    on();
})
"""


def new_page(browser: Browser, slowdown: int = 1) -> tuple[Page, CDPSession]:
    """A page of an empty profile, on a processor that is so many times slower."""
    page = browser.new_context(viewport={"width": WIDE, "height": HEIGHT}).new_page()
    page.set_default_timeout(WITHIN_MS)
    page.add_init_script(INTERACTIONS + LONG_TASKS + USABLE)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    return page, session


def first_load(browser: Browser, url: str, slowdown: int) -> Load:
    """From nothing to a form that can be filled in."""
    page, session = new_page(browser, slowdown)
    paths, sizes = dict[str, str](), dict[str, int]()
    session.on("Network.requestWillBeSent", lambda event: paths.update({event["requestId"]: event["request"]["url"]}))
    session.on("Network.loadingFinished", lambda event: _came(event, paths, sizes))
    session.send("Network.enable")
    page.goto(f"{url}/console/#apply", wait_until="networkidle")
    page.wait_for_timeout(QUIET_MS)
    usable_ms: float = page.evaluate("() => window.usable")
    load = Load(sizes, usable_ms, long_tasks(page))
    page.context.close()
    return load


def empty_load_ms(browser: Browser, url: str, slowdown: int) -> float:
    """What a page with nothing on it takes, from nothing: no page is there sooner."""
    page, _ = new_page(browser, slowdown)
    page.goto(f"{url}/livez")
    took: float = page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd")
    page.context.close()
    return took


def _came(event: dict[str, Any], paths: dict[str, str], sizes: dict[str, int]) -> None:
    address = urlsplit(paths[event["requestId"]])
    if address.scheme.startswith("http"):
        sizes[address.path] = sizes.get(address.path, 0) + int(event["encodedDataLength"])


def long_tasks(page: Page) -> Sequence[Task]:
    return [Task(start, duration) for start, duration in page.evaluate("() => window.tasks")]


def answered(browser: Browser, url: str) -> Answered:
    """The example, given field by field: once with clicks, once with keys alone."""
    counts = []
    for by_mouse in (True, False):
        page, _ = new_page(browser)
        page.goto(f"{url}/console/#queue")
        page.get_by_role("link", name="Apply", exact=True).click()
        page.locator("main form").wait_for()
        page.evaluate("() => { window.interactions = 0; }")
        for field in FIELDS:
            control = page.locator(f'main [name="{field.name}"]')
            if not by_mouse:
                page.keyboard.press("Tab")
            if control.first.evaluate("control => control.type") == "radio":
                page.locator(f'main [name="{field.name}"][value="{field.kind.example}"]').set_checked(True)
            elif control.evaluate("control => control.tagName") == "SELECT":
                control.select_option(str(field.kind.example))
            else:
                control.fill(json.dumps(field.kind.example))
        if by_mouse:
            page.get_by_role("button", name="Score").click()
        else:
            page.keyboard.press("Enter")
        page.get_by_role("heading", name="Reasons").wait_for()
        counts.append(int(page.evaluate("() => window.interactions")))
        page.context.close()
    return Answered(len(FIELDS), *counts)


def scrolled(browser: Browser, url: str) -> Scroll:
    """Through the queue from its first case to its last."""
    page, _ = new_page(browser)
    page.goto(f"{url}/console/#queue")
    page.locator("main [role=option]").first.wait_for()
    page.evaluate("() => { window.tasks = []; }")
    cases, most_rows = to_the_end(page)
    longest = max((task.duration for task in long_tasks(page)), default=0.0)
    page.context.close()
    return Scroll(cases, most_rows, longest if longest >= LONG_MS else 0.0)


def to_the_end(page: Page, far: bool = False) -> tuple[int, int]:
    """Scrolls the list to its end while it grows; how many cases it has then, and how many rows it had at most."""
    cases, most_rows = page.evaluate(SCROLL, far)
    return cases, most_rows
