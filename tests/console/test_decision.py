"""One decision: its whole record, proved and scored again; and the pages about all of them, overview and model."""

import re
import subprocess
import sys
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from loadtest.server import ROOT, Server
from preprocessing.encode import FIELDS
from tests.console.conftest import Open
from tests.generated import EXAMPLE

pytestmark = pytest.mark.slow
HTML = '<img src="x" onerror="window.ran = true"><b>bold</b>'


@pytest.fixture
def decided(client: httpx.Client) -> str:
    """The id of a decision with a review and an outcome."""
    answer = client.post("/predict?explain=true", json=EXAMPLE, headers={"X-Channel": "phone"}).raise_for_status()
    id_ = str(answer.json()["decision_id"])
    review = {"reviewer": HTML, "verdict": "decline", "note": HTML}
    client.post(f"/decisions/{id_}/review", json=review).raise_for_status()
    outcomes = [{"decision_id": id_, "outcome": "good", "date": "2027-01-31"}]
    client.post("/outcomes", json={"outcomes": outcomes}).raise_for_status()
    return id_


def whole(client: httpx.Client, id_: str) -> Any:
    return client.get(f"/decisions/{id_}").raise_for_status().json()


def test_a_decision_is_found_by_its_id_and_shown_whole(open_page: Open, client: httpx.Client, decided: str) -> None:
    page = open_page("#decision").page
    page.get_by_label("Decision id").fill(decided)
    page.keyboard.press("Enter")
    decision = whole(client, decided)
    main = page.get_by_role("main")
    for text in (decided, decision["record"]["hash"], decision["facts"]["model_version"], "phone", "2027-01-31"):
        expect(main).to_contain_text(text)
    for field in FIELDS:
        expect(page.get_by_role("table", name="Application")).to_contain_text(field.kind.label)
    for reason in decision["reasons"]:
        expect(main).to_contain_text(reason["text"])
    assert page.url.endswith(f"#decision/{decided}")


def test_what_a_reviewer_wrote_is_text_and_no_html(open_page: Open, decided: str) -> None:
    watched = open_page(f"#decision/{decided}")
    expect(watched.page.get_by_text(HTML).first).to_be_visible()
    assert watched.page.get_by_text(HTML).count() >= 2
    assert watched.page.locator("main img, main b").count() == 0
    assert watched.page.evaluate("() => window.ran") is None


def test_what_a_channel_has_sent_is_shown_beside_what_it_was_taken_for_as_text(
    open_page: Open, client: httpx.Client
) -> None:
    sent = {field.kind.label.upper(): str(EXAMPLE[field.name]) for field in FIELDS} | {HTML: "yes"}
    made = client.post("/channels/webform", data=sent).raise_for_status().json()
    decision = whole(client, made["decision_id"])
    assert decision["source"]["unused"] == [HTML]
    page = open_page(f"#decision/{made['decision_id']}").page
    table = page.get_by_role("table", name="As it came")
    for field in FIELDS:
        row = table.get_by_role("row", name=field.kind.label.upper())
        expect(row).to_contain_text(field.kind.label)
        expect(row).to_contain_text(str(EXAMPLE[field.name]))
    expect(page.get_by_text(HTML)).to_be_visible()
    assert page.locator("main img, main b").count() == 0


def test_a_decision_proves_itself_and_is_scored_again(open_page: Open, client: httpx.Client, decided: str) -> None:
    page = open_page(f"#decision/{decided}").page
    page.get_by_role("button", name="Check the proof").click()
    proof = client.get(f"/decisions/{decided}?proof=true").raise_for_status().json()["proof"]
    expect(page.get_by_role("heading", name="Proof")).to_contain_text("holds")
    expect(page.get_by_role("heading", name="Proof")).not_to_contain_text("not")
    for check in proof["checks"]:
        expect(page.get_by_role("main")).to_contain_text(re.compile(re.escape(check["says"]), re.IGNORECASE))
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("heading", name="Replay")).to_contain_text("✓ equal")


def test_a_forgotten_decision_says_so_and_still_holds(
    open_page: Open, server: Server, client: httpx.Client, decided: str
) -> None:
    folder = str(server.log.parent / "decisions")
    command = [sys.executable, "-m", "decisions.forget", decided, "--decisions", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert whole(client, decided)["forgotten"]
    page = open_page(f"#decision/{decided}").page
    expect(page.get_by_text("personal data of this decision were erased")).to_be_visible()
    page.get_by_role("button", name="Check the proof").click()
    expect(page.get_by_role("heading", name="Proof")).to_contain_text("✓ holds")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("heading", name="Replay")).not_to_contain_text("equal")


@pytest.mark.parametrize("id_", ["no-such-id", f"{HTML}", "%"])
def test_an_id_that_nobody_has_is_said_in_the_services_words(open_page: Open, id_: str) -> None:
    watched = open_page("#decision")
    watched.expected = {404}
    page = watched.page
    page.get_by_label("Decision id").fill(id_)
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.locator("main img, main b").count() == 0
