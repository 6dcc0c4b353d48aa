"""A service that asks for keys: who has none is asked, and nobody loses what they have typed."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from loadtest.server import Server
from loadtest.waiting_cases import fill_queue
from serving.keys import Key, Scope, new_key, write_keys
from tests.console.conftest import Open, console
from tests.console.person import fill_in, given
from tests.generated import EXAMPLE
from tests.lab.browser import COLOURS, Watched
from tests.lab.waiting import until

pytestmark = pytest.mark.slow
CASES = 30
ALL: tuple[Scope, ...] = ("score", "review", "read")


class Ring:
    """The file of keys that the service reads, and the keys in it as callers have them."""

    def __init__(self, file: Path) -> None:
        self.file, self.texts, self._keys = file, dict[str, str](), list[Key]()

    def add(self, name: str, *scopes: Scope) -> str:
        self.texts[name], key = new_key(name, scopes)
        self._keys.append(key)
        write_keys(self.file, self._keys)
        return self.texts[name]

    def remove(self, name: str) -> str:
        self._keys = [key for key in self._keys if key.id != name]
        write_keys(self.file, self._keys)
        return self.texts.pop(name)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    made = Ring(tmp_path_factory.mktemp("keys") / "keys.json")
    made.add("desk", *ALL)
    made.add("scorer", "score")
    return made


@pytest.fixture(scope="module")
def server(model_folder: Path, ring: Ring) -> Iterator[Server]:
    with console(model_folder, RISKLINE_KEYS=str(ring.file)) as server:
        with _client(server, ring.texts["desk"]) as client:
            fill_queue(client, CASES, at_once=CASES)
        yield server


def _client(server: Server, key: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def status(server: Server, key: str) -> int:
    with _client(server, key) as client:
        return client.get("/model").status_code


def decided_here(server: Server, ring: Ring) -> list[str]:
    """The ids of what came by the channel that the page uses, oldest first."""
    with _client(server, ring.texts["desk"]) as client:
        page = client.get("/decisions", params={"channel": "api", "limit": 1000}).raise_for_status().json()
    return [decision["id"] for decision in page["decisions"]]


def use_key(page: Page, key: str) -> None:
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog.get_by_label("API key")).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")


def expecting(watched: Watched, *statuses: int) -> Page:
    watched.expected = set(statuses)
    return watched.page


def test_who_has_no_key_is_asked_until_one_fits_and_loses_nothing(open_page: Open, server: Server, ring: Ring) -> None:
    before = decided_here(server, ring)
    watched = open_page("#apply")
    page = expecting(watched, 401)
    fill_in(page, EXAMPLE)
    typed = given(page)
    page.get_by_role("button", name="Score").click()
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_be_visible()
    assert watched.violations() == []
    page.emulate_media(color_scheme="dark")
    assert watched.violations(only=COLOURS) == []
    use_key(page, "riskline_desk_wrong<b>")
    expect(dialog.get_by_role("alert")).to_be_visible()
    use_key(page, ring.texts["desk"])
    link = page.locator('main a[href^="#decision/"]')
    expect(link).to_be_visible()
    assert given(page) == typed
    stored = page.evaluate("() => JSON.stringify([Object.entries(localStorage), document.cookie, location.href])")
    assert ring.texts["desk"] not in stored
    assert all(ring.texts["desk"] not in url for url in watched.requested)
    since = decided_here(server, ring)[len(before) :]
    assert [f"#decision/{id_}" for id_ in since] == [link.get_attribute("href")]


def test_who_closes_the_dialog_can_give_a_key_later(open_page: Open, ring: Ring) -> None:
    page = expecting(open_page("#queue"), 401)
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    use_key(page, ring.texts["desk"])
    expect(page.get_by_role("listbox", name="Decisions").get_by_role("option").first).to_be_visible()


def test_a_page_that_is_open_while_keys_are_changed_keeps_what_was_typed(
    open_page: Open, server: Server, ring: Ring
) -> None:
    ring.add("old", *ALL)
    until(lambda: status(server, ring.texts["old"]) == 200)
    watched = open_page("#apply")
    page = expecting(watched, 401)
    fill_in(page, EXAMPLE)
    typed = given(page)
    page.get_by_role("link", name="Queue", exact=True).click()
    use_key(page, ring.texts["old"])
    page.get_by_label("Note").fill("payslip seen")
    new = ring.add("new", *ALL)
    old = ring.remove("old")
    until(lambda: (status(server, old), status(server, new)) == (401, 200))
    page.get_by_role("button", name="Approve").click()
    name = page.get_by_label("Your name")
    expect(name).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Enter")
    use_key(page, new)
    with _client(server, new) as client:
        until(lambda: bool(client.get("/decisions?state=approved").json()["decisions"]))
        [approved] = client.get("/decisions?state=approved").json()["decisions"]
        [review] = client.get(f"/decisions/{approved['id']}").json()["reviews"]
    assert (review["reviewer"], review["note"]) == ("ann", "payslip seen")
    page.get_by_role("link", name="Apply", exact=True).click()
    assert given(page) == typed


def test_a_key_that_may_not_review_is_told_so_and_scores_all_the_same(open_page: Open, ring: Ring) -> None:
    page = expecting(open_page("#queue"), 401, 403)
    use_key(page, ring.texts["scorer"])
    expect(page.get_by_role("alert").filter(has_text="scope review")).to_be_visible()
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="scope read")).to_be_visible()
    page.get_by_role("link", name="Apply", exact=True).click()
    page.get_by_role("button", name="Fill in the example").click()
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("heading", name="Reasons")).to_be_visible()
    page.get_by_role("link", name="Queue", exact=True).click()
    page.get_by_role("button", name="Use another key").click()
    use_key(page, ring.texts["desk"])
    expect(page.get_by_role("listbox", name="Decisions").get_by_role("option").first).to_be_visible()


def test_a_key_can_be_forgotten(open_page: Open, ring: Ring) -> None:
    page = expecting(open_page("#queue"), 401)
    use_key(page, ring.texts["desk"])
    expect(page.get_by_role("listbox", name="Decisions").get_by_role("option").first).to_be_visible()
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_role("dialog", name="API key")).to_be_visible()
    assert page.evaluate("() => sessionStorage.length") == 0
