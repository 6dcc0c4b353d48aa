"""The pages about all decisions: Overview, which goes on by itself, and Model with other thresholds."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from loadtest.waiting_cases import fill_queue
from tests.console.conftest import Open
from tests.generated import EXAMPLE

pytestmark = pytest.mark.slow
CASES = 60
A_LOOK_MS = 6000  # after which the page has looked again


@pytest.fixture(scope="module", autouse=True)
def cases(client: httpx.Client) -> int:
    return fill_queue(client, CASES, at_once=CASES)


def row(page: Page, table: str, name: str) -> Locator:
    return page.get_by_role("table", name=table).get_by_role("row", name=re.compile(rf"^{re.escape(name)}\b"))


def decided(client: httpx.Client, tier: str) -> int:
    page = client.get("/decisions", params={"tier": tier, "limit": 1000}).raise_for_status()
    return len(page.json()["decisions"])


def test_the_overview_goes_on_counting_by_itself_until_it_is_paused(open_page: Open, client: httpx.Client) -> None:
    watched = open_page("")
    page = watched.page
    page.clock.install()
    watched.go("#overview")
    medium = row(page, "Applications by tier", "Medium risk").get_by_role("cell").first
    before = decided(client, "medium")
    expect(medium).to_have_text(f"{before:,}")
    expect(row(page, "Requests by channel", "api")).to_be_visible()
    more = [client.post("/predict", json=EXAMPLE).raise_for_status() for _ in range(7)]
    page.clock.fast_forward(A_LOOK_MS)
    expect(medium).to_have_text(f"{before + len(more):,}")
    expect(page.get_by_role("img", name=re.compile("Applications scored a second"))).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    client.post("/predict", json=EXAMPLE).raise_for_status()
    looks = [url for url in watched.requested if url.endswith("/metrics")]
    page.clock.fast_forward(10 * A_LOOK_MS)
    # a look that was under way may still ask for the drift
    assert [url for url in watched.requested if url.endswith("/metrics")] == looks
    page.get_by_role("button", name="Go on").click()
    expect(medium).to_have_text(f"{before + len(more) + 1:,}")


def test_an_overview_whose_service_is_away_says_so_and_goes_on_when_it_is_back(open_page: Open) -> None:
    watched = open_page("")
    page = watched.page
    page.clock.install()
    watched.go("#overview")
    expect(row(page, "Applications by tier", "Medium risk")).to_be_visible()
    watched.away = True
    page.route("**/metrics", lambda route: route.abort("connectionrefused"))
    page.clock.fast_forward(A_LOOK_MS)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(row(page, "Applications by tier", "Medium risk")).to_be_visible()
    page.unroute("**/metrics")
    page.clock.fast_forward(A_LOOK_MS)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_other_thresholds_show_other_volumes_and_bad_rates_and_change_nothing(
    open_page: Open, client: httpx.Client
) -> None:
    page = open_page("#model").page
    told = client.get("/model/thresholds").raise_for_status().json()
    what_if = "What other thresholds would do"
    expect(page.get_by_role("table", name=what_if)).to_be_visible()
    for tier in ("Low", "Medium", "High"):
        cells = row(page, what_if, f"{tier} risk").get_by_role("cell").all_inner_texts()
        assert cells[0] == cells[1]
        assert cells[2] == cells[3]
    low = page.get_by_role("slider", name="Low below")
    low.focus()
    page.keyboard.press("Home")
    expect(row(page, what_if, "Low risk").get_by_role("cell").nth(1)).to_contain_text(re.compile(r"^0\.\d%"))
    page.get_by_role("slider", name="High from").focus()
    page.keyboard.press("End")
    shares = [row(page, what_if, f"{tier} risk").get_by_role("cell").nth(1).inner_text() for tier in ("Medium", "High")]
    assert float(shares[0].split("%")[0]) > 95
    assert float(shares[1].split("%")[0]) < 5
    all_bad = sum(group["bad"] for group in told["outcomes"])
    everybody = all_bad + sum(group["good"] for group in told["outcomes"])
    seen = float(row(page, what_if, "Medium risk").get_by_role("cell").nth(3).inner_text().rstrip("%"))
    assert abs(seen - 100 * all_bad / everybody) < 2
    page.get_by_role("button", name="Back to today").click()
    cells = row(page, what_if, "Low risk").get_by_role("cell").all_inner_texts()
    assert cells[0] == cells[1]
    assert client.get("/model/thresholds").json() == told


def test_the_model_page_names_what_answers_and_how_good_it_is(open_page: Open, client: httpx.Client) -> None:
    page = open_page("#model").page
    model = client.get("/model").raise_for_status().json()
    main = page.get_by_role("main")
    expect(main).to_contain_text(model["model_version"])
    expect(main).to_contain_text(model["policy_version"])
    auc = model["manifest"]["metrics"]["test"]["auc"]
    expect(row(page, "Quality on the test split", "AUC").first).to_contain_text(f"{auc:.3f}")
    with page.context.expect_page() as shown:
        page.get_by_role("link", name="Open the report").click()
    expect(shown.value.locator("h1").first).to_be_visible()
