"""A real Chromium, and pages that are watched: what goes wrong on one, unexpected, fails the test that opened it.

Chromium is the machine's own; as root on a Debian-like machine without one, it is installed.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect

from loadtest.browser import NoBrowserError, chromium
from loadtest.console_pages import INTERACTIONS
from tests.lab.debian import LabError, run

AXE = files("axe_playwright_python") / "axe.min.js"
COLOURS = ("color-contrast", "link-in-text-block")  # what can hold in light and not in dark
Scheme = Literal["light", "dark"]
WIDE, NARROW = 1280, 320  # CSS pixels
HEIGHT = 900
WITHIN_MS = 30_000.0  # for whatever a test waits for
# Chromium writes a line for each answer that is an error, and does not say which
ANSWER_IN_CONSOLE = "Failed to load resource: the server responded with a status of"
# before any script of the page: what the content security policy has refused
NOTE_REFUSALS = """
window.refused = [];
document.addEventListener("securitypolicyviolation", event => window.refused.push(
    `${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


def installed() -> Path:
    """Chromium's program; LabError where it cannot be had here."""
    try:
        return chromium()
    except NoBrowserError as error:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise LabError(str(error)) from None
    run("apt-get", "-qq", "update")
    run("apt-get", "-qq", "install", "--yes", "--no-install-recommends", "chromium")
    return chromium()


class Watched:
    """A page of the service at `origin`, and everything about it that a test must have expected.

    `expected` holds the statuses of errors that the test provokes; with `away` the service may be unreachable.
    """

    def __init__(self, page: Page, origin: str) -> None:
        self.page, self.origin = page, origin
        self.expected: set[int] = set()
        self.away = False
        self.requested: list[str] = []
        self.troubles: list[str] = []
        page.set_default_timeout(WITHIN_MS)
        expect.set_options(timeout=WITHIN_MS)
        page.add_init_script(NOTE_REFUSALS + INTERACTIONS)
        page.on("console", self._wrote)
        page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        page.on("request", self._requests)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def go(self, route: str) -> None:
        """Opens the console at a route such as `#apply`, as from a bookmark."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.origin}/console/{route}")

    def check(self) -> None:
        """AssertionError that names what went wrong without being expected."""
        if not self.page.is_closed() and self.page.url.startswith(self.origin):
            refused: list[str] = self.page.evaluate("window.refused")
            self.troubles += [f"refused by the policy: {what}" for what in refused]
        assert not self.troubles, "\n".join(self.troubles)

    def forgive(self) -> None:
        """For a test that has made the troubles to see them."""
        self.page.evaluate("() => { window.refused = []; }")
        self.troubles.clear()

    def violations(self, only: Sequence[str] = ()) -> list[str]:
        """What axe calls serious or critical on the page as it stands, by all of its rules or `only` some."""
        if self.page.evaluate("window.axe === undefined"):
            self.page.evaluate(AXE.read_text())
        options = {"resultTypes": ["violations"], **({"runOnly": list(only)} if only else {})}
        results: Mapping[str, Any] = self.page.evaluate("options => axe.run(document, options)", options)
        return [
            f"{violation['impact']}: {violation['id']} at {node['target']}: {node['failureSummary']}"
            for violation in results["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    def interactions(self) -> int:
        """Key presses and clicks since the page was loaded, without those that give a field its value."""
        count: int = self.page.evaluate("window.interactions")
        return count

    def _wrote(self, message: ConsoleMessage) -> None:
        answer = message.text.startswith(ANSWER_IN_CONSOLE)  # `_answered` judges it
        if message.type in ("error", "warning") and not answer and not (self.away and "net::ERR_" in message.text):
            self.troubles.append(f"console: {message.type}: {message.text}")

    def _requests(self, request: Request) -> None:
        self.requested.append(request.url)
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:", "about:")):
            self.troubles.append(f"a request to elsewhere: {request.url}")

    def _failed(self, request: Request) -> None:
        aborted = request.failure is not None and "ERR_ABORTED" in request.failure  # by the page, which has moved on
        if not aborted and not self.away:
            self.troubles.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.troubles.append(f"{response.status}: {response.request.method} {response.url}")


@contextmanager
def watched_page(
    browser: Browser, origin: str, *, width: int = WIDE, height: int = HEIGHT, scheme: Scheme = "light"
) -> Iterator[Watched]:
    """A page of a new, empty profile; checked when the block ends well."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    try:
        watched = Watched(context.new_page(), origin)
        yield watched
        watched.check()
    finally:
        context.close()
