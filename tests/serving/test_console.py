"""The console as files: what a browser is given, and what it is told with it."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtest.server import running_server
from preprocessing.encode import FIELDS
from serving.console import CONSOLE, FOLDER, console_files, takes_gzip
from serving.gate import scope_of
from serving.keys import new_key, write_keys
from serving.openapi import document

SCRIPTS = sorted(FOLDER.glob("*.js"))
MOST_BYTES = 100 * 1024  # of all files and of the document, as they are sent
LONGEST = 300  # lines


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast", "bentoml"])
def browser(
    request: pytest.FixtureRequest, model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Somebody without a key, in front of a service that wants one."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    write_keys(keys, [new_key("somebody", ["score"])[1]])
    environment = {
        "RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1", "RISKLINE_FAST_LANE": request.param,
        "RISKLINE_KEYS": str(keys),
    }  # fmt: skip
    with running_server(environment) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        yield http


@pytest.mark.slow
def test_everybody_gets_the_page_and_all_that_it_loads(browser: httpx.Client) -> None:
    page = browser.get(CONSOLE)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name in re.findall(r'(?:href|src)="([\w.]+)"', page.text):
        file = browser.get(CONSOLE + name)
        assert file.content == (FOLDER / name).read_bytes()
        assert file.headers["content-type"].startswith("text/css" if name.endswith(".css") else "text/javascript")
        assert file.headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_a_page_may_load_nothing_from_elsewhere_and_run_nothing_that_stands_in_it(browser: httpx.Client) -> None:
    policy = browser.get(CONSOLE).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.slow
def test_who_has_a_file_already_is_told_so(browser: httpx.Client) -> None:
    for encoding in ("gzip", "identity"):
        first = browser.get(f"{CONSOLE}app.js", headers={"accept-encoding": encoding})
        assert first.headers["cache-control"] == "no-cache"
        for held in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
            again = browser.get(f"{CONSOLE}app.js", headers={"accept-encoding": encoding, "if-none-match": held})
            assert (again.status_code, again.content) == (304, b"")
        assert browser.get(f"{CONSOLE}app.js", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.slow
def test_files_come_compressed_to_who_wants_it(browser: httpx.Client) -> None:
    with browser.stream("GET", f"{CONSOLE}app.js", headers={"accept-encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(sent) == (FOLDER / "app.js").read_bytes()
    plain = browser.get(f"{CONSOLE}app.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != answer.headers["etag"]


@pytest.mark.slow
def test_the_document_is_the_one_that_the_form_is_made_from(browser: httpx.Client) -> None:
    assert browser.get("/docs.json").json() == document()


@pytest.mark.slow
def test_the_paths_around_the_page_answer_in_our_form(browser: httpx.Client) -> None:
    assert browser.get("/console", follow_redirects=True).url.path == CONSOLE
    head = browser.head(CONSOLE)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    posted = browser.post(CONSOLE)
    assert (posted.status_code, posted.json()["error"], posted.headers["allow"]) == (
        405, "method_not_allowed", "GET, HEAD",
    )  # fmt: skip
    for path in (f"{CONSOLE}nothing.js", f"{CONSOLE}%2e%2e/serving/keys.py", f"{CONSOLE}sub/app.js"):
        missing = browser.get(path)
        assert (missing.status_code, missing.json()["error"]) == (404, "not_found")


def test_what_the_page_loads_is_small() -> None:
    files = {path.name: gzip.compress(path.read_bytes()) for path in FOLDER.iterdir()}
    assert sum(map(len, files.values())) + len(gzip.compress(httpx.Response(200, json=document()).content)) < MOST_BYTES


def test_only_files_that_a_browser_knows_are_served(tmp_path: Path) -> None:
    for name in ("index.html", "a.js", "notes.txt", ".hidden.swp"):
        (tmp_path / name).write_text(name)
    assert set(console_files(tmp_path)) == {CONSOLE, f"{CONSOLE}index.html", f"{CONSOLE}a.js"}


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True), ("deflate, GZIP;q=0.5, br", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("", False),
        ("identity", False), ("x-gzip-like", False),
    ],
)  # fmt: skip
def test_compressed_only_for_who_takes_it(accepted: str, zipped: bool) -> None:
    assert takes_gzip(accepted) is zipped


def needed(script: str) -> set[str]:
    """A script with all that it imports straight away."""
    imported = re.findall(r'^(?:import|\}) .*from "\./([\w.]+)";$', (FOLDER / script).read_text(), re.MULTILINE)
    return {script}.union(*(needed(name) for name in imported))


def test_the_page_loads_at_once_what_its_first_form_needs_and_nothing_else() -> None:
    """Otherwise a browser learns of each script only from the one that imports it."""
    page = (FOLDER / "index.html").read_text()
    named = re.findall(r'(?:modulepreload" href|module" src)="([\w.]+)"', page)
    assert sorted(named) == sorted(needed("app.js") | needed("apply.js"))
    assert 'href="../docs.json" as="fetch" crossorigin' in page


def test_every_script_is_one_that_a_page_of_the_console_needs() -> None:
    pages = re.findall(r'import\("\./([\w.]+)"\)', (FOLDER / "app.js").read_text())
    assert set.union(*map(needed, ["app.js", *pages])) == {path.name for path in SCRIPTS}


def test_the_page_loads_nothing_from_elsewhere_and_has_no_style_or_script_of_its_own() -> None:
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"\sstyle=|<style|<script(?! type=\"module\" src)|\son\w+=", page)
    for path in (*SCRIPTS, FOLDER / "style.css"):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", path.read_text()), path.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_sets_text_as_text_and_knows_no_field(script: Path) -> None:
    source = script.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\"style\"", source
    )
    assert not re.search(rf"[\"'`]({'|'.join(field.name for field in FIELDS)})[\"'`]", source)
    assert len(source.splitlines()) < LONGEST


def test_the_page_asks_only_for_what_is_served() -> None:
    routes = {path.strip("/") for path in document()["paths"]}
    asked = {
        path
        for script in SCRIPTS
        for path in re.findall(r"\b(?:ask|askText|urlOf)\([\"`]([\w/.]+?)/?[?\"`$]", script.read_text())
    }
    assert {"explain", "docs.json"} <= asked <= routes
    assert scope_of("GET", CONSOLE) is None
