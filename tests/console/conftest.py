"""What the console's tests share: a browser, and pages on which nothing unexpected may go wrong."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from loadtest.browser import running_browser
from loadtest.server import ROOT, Server, running_server
from tests.lab.browser import HEIGHT, WIDE, Scheme, Watched, installed, watched_page
from tests.lab.debian import LabError
from tests.lab.lacking import cannot_run

SCREENSHOTS = ROOT / "build/screenshots"


# of a module, since whoever drives a browser has an event loop, and other tests want their own
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        program = installed()
    except LabError as error:
        cannot_run(error)
    with running_browser(program) as browser:
        yield browser


@contextmanager
def console(model_folder: Path, **settings: str) -> Iterator[Server]:
    """A server with one worker and the tests' model, which asks for no key unless it is told to."""
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1", **settings}) as server:
        yield server


@pytest.fixture(scope="module")
def server(model_folder: Path) -> Iterator[Server]:
    with console(model_folder) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


Open = Callable[..., Watched]


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Open]:
    """Opens the console at a route; each call is a person of their own, with an empty profile."""
    with ExitStack() as stack:

        def open_(route: str, width: int = WIDE, height: int = HEIGHT, scheme: Scheme = "light") -> Watched:
            page = stack.enter_context(watched_page(browser, server.url, width=width, height=height, scheme=scheme))
            page.go(route)
            return page

        yield open_
