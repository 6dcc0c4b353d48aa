"""Debian's Chromium, or another one that the machine has, driven by Playwright, which brings none of its own here.

with running_browser(chromium()) as browser:
    page = browser.new_page()
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


class NoBrowserError(RuntimeError):
    """Why there is no browser here, in one line."""


def chromium() -> Path:
    """The machine's own; NoBrowserError where it has none."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return Path(found)
    raise NoBrowserError("there is no Chromium here: apt-get install chromium")


@contextmanager
def running_browser(program: Path) -> Iterator[Browser]:
    """Without a window, until the block ends. The thread that opened it may run no event loop of its own meanwhile."""
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium has none for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=sandbox)
        try:
            yield browser
        finally:
            browser.close()
