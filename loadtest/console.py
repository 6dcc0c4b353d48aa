"""The figures of docs/console.md: how the console loads, scrolls and answers in a real Chromium; or pictures of it.

python -m loadtest.console
python -m loadtest.console --screenshots docs    # docs/console-apply.png and docs/console-queue.png
"""

import argparse
import sys
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page

from loadtest.browser import NoBrowserError, chromium, running_browser
from loadtest.console_figures import Load, table
from loadtest.console_pages import answered, empty_load_ms, first_load, new_page, scrolled
from loadtest.server import ServerNotReadyError, running_server
from loadtest.waiting_cases import fill_queue

CASES, SHOWN = 10_000, 60  # for figures and for pictures
LOADS = 5
SLOWDOWN = 4  # what Chromium's own tools take for a middling telephone


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.console", description="The console in a real Chromium.")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="leave pictures there instead of figures")
    parser.add_argument("--cases", type=int, default=CASES, help="that wait in the queue (%(default)s)")
    arguments = parser.parse_args()
    try:
        program = chromium()
        with (
            running_server({"RISKLINE_WORKERS": "1"}) as server,
            httpx.Client(base_url=server.url, timeout=60) as client,
            running_browser(program) as browser,
        ):
            if arguments.screenshots:
                fill_queue(client, SHOWN, at_once=3)  # so that several channels are in sight
                _take(browser, server.url, arguments.screenshots)
            else:
                fill_queue(client, arguments.cases)
                print(_measured(browser, server.url))  # noqa: T201
    except (NoBrowserError, ServerNotReadyError) as error:
        sys.exit(f"console: {error}")


def _measured(browser: Browser, url: str) -> str:
    loads, empty_ms = list[Load](), list[float]()
    for _ in range(LOADS):  # in turn, since others may be at work here
        empty_ms.append(empty_load_ms(browser, url, SLOWDOWN))
        loads.append(first_load(browser, url, SLOWDOWN))
    return table(loads, empty_ms, SLOWDOWN, scrolled(browser, url), answered(browser, url))


def _take(browser: Browser, url: str, folder: Path) -> None:
    page, _ = new_page(browser)
    page.goto(f"{url}/console/#apply")
    page.get_by_role("button", name="Fill in the example").click()
    page.get_by_role("button", name="Score").click()
    page.get_by_role("heading", name="Reasons").wait_for()
    _picture(page, folder / "console-apply.png")
    page.get_by_role("link", name="Queue", exact=True).click()
    page.get_by_role("button", name="Approve").wait_for()
    _picture(page, folder / "console-queue.png")
    page.context.close()


def _picture(page: Page, file: Path) -> None:
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file)


if __name__ == "__main__":
    main()
