"""What the page reckons itself, against the code that reckons it elsewhere. No service is asked: files alone."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from model.policy import TIERS, Policy
from serving.console import CONSOLE, FOLDER

pytestmark = pytest.mark.slow
ORIGIN = "http://console.test"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
BUCKETS = (0.001, 0.01, 0.1, 1.0)
TOLERANCE = 1e-9  # of doubles added up in another order


def from_disk(route: Route) -> None:
    name = urlsplit(route.request.url).path.removeprefix(CONSOLE) or "index.html"
    file = FOLDER / name
    if file.is_file():
        route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])
    else:
        route.fulfill(status=404, body="{}")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.route(f"{ORIGIN}/**", from_disk)
    page.goto(ORIGIN + CONSOLE)
    yield page
    page.close()


def called(page: Page, module: str, function: str, *arguments: Any) -> Any:
    script = "async ([module, name, given]) => (await import(`./${module}`))[name](...given)"
    return page.evaluate(script.replace("./", f"{ORIGIN}{CONSOLE}"), [module, function, list(arguments)])


def scraped(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
def test_quantiles_are_those_of_prometheus(page: Page, share: float) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("x_seconds", "Some.", ["route"], registry=registry, buckets=BUCKETS)
    chance = np.random.default_rng(7)
    before = chance.lognormal(-4, 1, 300)
    since = chance.lognormal(-3, 1.5, 1000)
    for seconds in before:
        histogram.labels('/a"b\\').observe(seconds)
    earlier = called(page, "prometheus.js", "parsed", scraped(registry), "x_")
    for index, seconds in enumerate(since):
        histogram.labels(("/c", '/a"b\\')[index % 2]).observe(seconds)
    now = called(page, "prometheus.js", "parsed", scraped(registry), "x_")
    # as histogram_quantile does: within the bucket in which the share is reached, evenly
    below = [0, *(int((since <= bucket).sum()) for bucket in BUCKETS), len(since)]
    at = next(index for index, count in enumerate(below) if index and count >= share * len(since))
    low = (0.0, *BUCKETS)[at - 1]
    high = (0.0, *BUCKETS, None)[at]
    expected = (
        low if high is None else low + (high - low) * (share * len(since) - below[at - 1]) / (below[at] - below[at - 1])
    )
    assert {sample["labels"]["route"] for sample in now} == {"/c", '/a"b\\'}
    found = page.evaluate(
        f"async ([now, share, before]) => (await import('{ORIGIN}{CONSOLE}prometheus.js'))"
        ".quantile(now, 'x_seconds', share, () => true, before)",
        [now, share, earlier],
    )
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_of_nothing_there_is_no_quantile(page: Page) -> None:
    assert called(page, "prometheus.js", "quantile", [], "x_seconds", 0.5) is None


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.3), (0.2, 0.2), (0.9, 0.95)])
def test_other_thresholds_at_the_edge_of_a_group_do_what_the_policy_would(page: Page, low: float, high: float) -> None:
    edges = sorted({*np.linspace(0.05, 1.0, 20).round(6).tolist(), low, high})
    chance = np.random.default_rng(3)
    groups = [
        {"up_to": edge, "good": int(good), "bad": int(bad)}
        for edge, (good, bad) in zip(edges, chance.integers(0, 50, (len(edges), 2)), strict=True)
    ]
    found = called(page, "policy.js", "effect", groups, low, high)
    # everybody in a group has a probability a little below its edge
    policy = Policy(low_below=low, high_from=high, low_bad_rate=0.1, high_bad_rate=0.5)
    tiers = policy.tiers([edge - 1e-6 for edge in edges])
    for index, tier in enumerate(TIERS):
        own = [group for group, of in zip(groups, tiers, strict=True) if of == index]
        assert found["tiers"][tier]["bad"] == pytest.approx(sum(group["bad"] for group in own), abs=TOLERANCE)
        everybody = sum(group["good"] + group["bad"] for group in own)
        assert found["tiers"][tier]["all"] == pytest.approx(everybody, abs=TOLERANCE)
    assert found["applicants"] == sum(group["good"] + group["bad"] for group in groups)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("", None), ("  ", None), ("12", 12), (" 1.50 ", 1.5), (".5", 0.5), ("-3e2", -300), ("1,5", "1,5"),
        ("1e999", "1e999"), ("0x10", "0x10"), ("Infinity", "Infinity"), ("twelve", "twelve"),
    ],
)  # fmt: skip
def test_what_is_typed_is_sent_as_a_number_only_where_it_is_one(page: Page, typed: str, sent: Any) -> None:
    assert called(page, "form.js", "numberIn", typed) == sent
