"""What people do with decisions, in the embedded store: pages, reviews, outcomes."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from decisions.errors import Forgotten, Outdated, UnknownDecision
from decisions.log import Log
from decisions.places import STORE
from decisions.record import BEFORE_ALL, Entry, Place, State, chained, opening
from decisions.review import Outcome, Query, Review, Reviewed, Verdict, state_of
from decisions.sqlite import Head, SQLiteStore
from decisions.sqlite_review import SQLiteReviews, page_statement
from model.artifact import Artifact
from preprocessing.schema import BAD
from tests.decisions.decided import EXAMPLE, OTHER, decided, recorded

BEGUN = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(tmp_path / STORE)
    opened.put("chain", [opening("chain", BEGUN, {})], Head(Place(0, BEFORE_ALL), 0))
    yield opened
    opened.close()


@pytest.fixture
def reviews(store: SQLiteStore) -> Iterator[SQLiteReviews]:
    opened = SQLiteReviews(store.path)
    yield opened
    opened.close()


def put(store: SQLiteStore, numbers: Sequence[int], chain: str = "chain") -> None:
    """Decisions d1, d2, … a second apart: each third medium and queued, each fifth by phone, each tenth of model b."""
    lines = []
    for number in numbers:
        tier = "low" if number % 3 else "medium"
        state: State = "" if number % 3 else "queued"
        time = (BEGUN + timedelta(seconds=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        channel, model = ("api", "phone")[number % 5 == 0], "ab"[number % 10 == 0]
        entry = Entry(f"d{number}", time, channel, tier, model, state, f'{{"id":"d{number}"}}'.encode(), b"{}")
        lines.append(chained(BEFORE_ALL, entry))
    head = store.head(chain)
    assert head is not None
    store.put(chain, lines, Head(Place(head.place.number + len(lines), BEFORE_ALL), 0))


def listed(reviews: SQLiteReviews, query: Query) -> list[int]:
    """The decisions of all pages, by their numbers."""
    found: list[int] = []
    while True:
        page = reviews.page(query)
        assert len(page.decisions) <= query.limit
        found += [int(decision.facts.split('"d')[1].rstrip('"}')) for decision in page.decisions]
        if page.next is None:
            return found
        assert len(page.decisions) == query.limit
        query = query.model_copy(update={"cursor": page.next})


def at(number: float) -> datetime:
    return BEGUN + timedelta(seconds=number)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), range(1, 61)),
        (Query(tier="medium"), range(3, 61, 3)),
        (Query(channel="phone"), range(5, 61, 5)),
        (Query(model_version="b"), range(10, 61, 10)),
        (Query(model_version="b", tier="medium", channel="phone"), range(30, 61, 30)),
        (Query(state="queued"), range(3, 61, 3)),
        (Query(state="queued", channel="phone"), range(15, 61, 15)),
        (Query(state="reviewed"), ()),
        (Query(since=at(20)), range(20, 61)),
        (Query(until=at(20)), range(1, 20)),
        (Query(since=at(10), until=at(20), tier="medium"), range(12, 20, 3)),
        (Query(since=at(10), until=at(20), state="queued"), range(12, 20, 3)),
        (Query(since=at(100)), ()),
        (Query(since=at(20), until=at(10)), ()),
        (Query(channel="mail"), ()),
    ],
)
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_page_has_what_was_asked_for_in_either_order(
    store: SQLiteStore, reviews: SQLiteReviews, query: Query, expected: Sequence[int], limit: int
) -> None:
    put(store, range(1, 61))
    for order in ("oldest", "newest"):
        asked = query.model_copy(update={"limit": limit, "order": order})
        assert listed(reviews, asked) == sorted(expected, reverse=order == "newest")


def test_decisions_that_came_late_are_found_by_their_time(store: SQLiteStore, reviews: SQLiteReviews) -> None:
    put(store, [*range(20, 30), *range(1, 10), *range(30, 40)])
    assert listed(reviews, Query(since=at(5), until=at(25), limit=3)) == [*range(20, 25), *range(5, 10)]
    assert listed(reviews, Query(since=at(5), until=at(25), limit=3, order="newest")) == [
        *range(9, 4, -1), *range(24, 19, -1),
    ]  # fmt: skip


def test_pages_of_a_table_that_grows_have_every_row_once(store: SQLiteStore, reviews: SQLiteReviews) -> None:
    last = 10
    put(store, range(1, last + 1))
    seen: list[str] = []
    query = Query(limit=4)
    while True:
        page = reviews.page(query)
        seen += [decision.facts for decision in page.decisions]
        if page.next is None:
            break
        query = query.model_copy(update={"cursor": page.next})
        put(store, [last + 1, last + 2])
        last += 2
    assert seen == [f'{{"id":"d{number}"}}' for number in range(1, last + 1)]
    assert last > 10


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (Query(cursor=9), "SEARCH decisions USING INTEGER PRIMARY KEY (rowid>?)"),
        (Query(cursor=9, order="newest"), "SEARCH decisions USING INTEGER PRIMARY KEY (rowid<?)"),
        (Query(since=at(1)), "SEARCH decisions USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (Query(tier="high", cursor=9), "SEARCH decisions USING INTEGER PRIMARY KEY (rowid>?)"),
        (Query(channel="mail"), "SEARCH decisions USING INDEX decisions_by_channel (channel=?)"),
        (
            Query(model_version="a", tier="low", since=at(1)),
            "SEARCH decisions USING INDEX decisions_by_model_version (model_version=? AND rowid>? AND rowid<?)",
        ),
        (Query(state="queued", tier="medium"), "SCAN decisions USING INDEX decisions_queued"),
        (Query(state="queued", cursor=9), "SEARCH decisions USING INDEX decisions_queued (n>?)"),
        (Query(state="conflict"), "SCAN decisions USING INDEX decisions_reviewed"),
        (Query(state="reviewed", order="newest"), "SCAN decisions USING INDEX decisions_reviewed"),
    ],
)
def test_a_page_is_read_along_an_index_and_never_sorted(reviews: SQLiteReviews, query: Query, plan: str) -> None:
    values = {**query.model_dump(mode="json"), "low": 1, "high": 9, "most": 9}
    assert [row[3] for row in reviews._run("EXPLAIN QUERY PLAN " + page_statement(query), values)] == [plan]


def test_the_time_of_a_page_is_looked_up_in_an_index(reviews: SQLiteReviews) -> None:
    plan = reviews._run(
        "EXPLAIN QUERY PLAN SELECT min(n), max(n) FROM decisions WHERE time >= ? AND time < ?", ("a", "b")
    )
    assert [row[3] for row in plan] == ["SEARCH decisions USING COVERING INDEX decisions_by_time (time>? AND time<?)"]


def said(*verdicts: tuple[str, Verdict]) -> list[Reviewed]:
    return [Reviewed(reviewer, verdict, None, "2026") for reviewer, verdict in verdicts]


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        (said(("ann", "approve")), "approved"),
        (said(("ann", "decline"), ("bob", "decline")), "declined"),
        (said(("ann", "approve"), ("bob", "decline")), "conflict"),
        (said(("ann", "approve"), ("ann", "decline")), "declined"),
        (said(("ann", "approve"), ("bob", "decline"), ("ann", "decline")), "declined"),
        (said(("ann", "approve"), ("bob", "decline"), ("carl", "decline")), "conflict"),
    ],
)
def test_the_newest_verdict_of_each_reviewer_counts(verdicts: list[Reviewed], state: State) -> None:
    assert state_of(verdicts) == state


def test_a_review_takes_a_decision_out_of_the_queue_and_leaves_the_models_tier(
    store: SQLiteStore, reviews: SQLiteReviews
) -> None:
    put(store, range(1, 10))
    before = reviews.get("d3").record
    whole = reviews.review("d3", Review(reviewer="ann", verdict="decline", note="no payslip"))
    assert whole == reviews.get("d3")
    assert whole.record == before
    assert (whole.state, [review[:3] for review in whole.reviews]) == ("declined", [("ann", "decline", "no payslip")])
    assert listed(reviews, Query(state="queued")) == [6, 9]
    assert listed(reviews, Query(state="reviewed")) == listed(reviews, Query(state="declined")) == [3]
    assert listed(reviews, Query(tier="medium")) == [3, 6, 9]


def test_reviewers_who_contradict_each_other_are_both_kept(store: SQLiteStore, reviews: SQLiteReviews) -> None:
    put(store, [3])
    reviews.review("d3", Review(reviewer="ann", verdict="approve", seen=0))
    whole = reviews.review("d3", Review(reviewer="bob", verdict="decline"))
    assert whole.state == "conflict"
    assert [review.reviewer for review in whole.reviews] == ["ann", "bob"]
    assert listed(reviews, Query(state="conflict")) == [3]


def test_a_reviewer_who_has_not_seen_all_reviews_is_told(store: SQLiteStore, reviews: SQLiteReviews) -> None:
    put(store, [3])
    reviews.review("d3", Review(reviewer="ann", verdict="approve", seen=0))
    with pytest.raises(Outdated, match="1 reviews and not 0"):
        reviews.review("d3", Review(reviewer="bob", verdict="decline", seen=0))
    assert len(reviews.get("d3").reviews) == 1
    assert reviews.review("d3", Review(reviewer="bob", verdict="decline", seen=1)).state == "conflict"


def test_a_review_that_is_sent_again_is_not_added_again(store: SQLiteStore, reviews: SQLiteReviews) -> None:
    put(store, [3])
    review = Review(reviewer="ann", verdict="approve", seen=0)
    assert reviews.review("d3", review) == reviews.review("d3", review)
    assert len(reviews.review("d3", Review(reviewer="ann", verdict="approve", note="sure")).reviews) == 2


def forget(store: SQLiteStore, id_: str) -> None:
    with store.writing():
        store._run("UPDATE decisions SET personal = NULL WHERE id = ?", (id_,))


def test_what_is_forgotten_is_shown_without_its_applicant_and_can_no_longer_be_reviewed(
    store: SQLiteStore, reviews: SQLiteReviews
) -> None:
    put(store, [3, 6])
    forget(store, "d3")
    whole = reviews.get("d3")
    assert (whole.record.personal, whole.state) == (None, "")
    assert listed(reviews, Query(state="queued")) == [6]
    [gone, stays] = reviews.page(Query()).decisions
    assert ((gone.state, gone.is_forgotten), (stays.state, stays.is_forgotten)) == (("", True), ("queued", False))
    with pytest.raises(Forgotten):
        reviews.review("d3", Review(reviewer="ann", verdict="approve"))


def test_an_unknown_decision_is_an_error(reviews: SQLiteReviews) -> None:
    for ask in (reviews.get, lambda id_: reviews.review(id_, Review(reviewer="ann", verdict="approve"))):
        with pytest.raises(UnknownDecision):
            ask("d1")


def outcome(id_: str, word: str = "bad", day: str = "2027-01-31") -> Outcome:
    return Outcome.model_validate_strings({"decision_id": id_, "outcome": word, "date": day})


def test_each_outcome_has_its_own_result_and_is_kept_once(store: SQLiteStore, reviews: SQLiteReviews) -> None:
    put(store, range(1, 4))
    forget(store, "d2")
    results = reviews.add_outcomes([outcome("d1"), outcome("d2"), outcome("d9"), outcome("d1"), outcome("d1", "good")])
    assert [getattr(result, "code", result) for result in results] == [
        True, "forgotten", "unknown_decision", False, True,
    ]  # fmt: skip
    kept = reviews.get("d1").outcomes
    assert [(one.outcome, one.date) for one in kept] == [("bad", "2027-01-31"), ("good", "2027-01-31")]


def test_an_outcome_may_have_the_training_datas_word() -> None:
    assert outcome("d1", BAD) == outcome("d1", "bad")
    assert outcome("d1").date == date(2027, 1, 31)


def test_what_the_policy_wants_reviewed_is_queued_by_journal_and_memory_alike(
    artifact: Artifact, tmp_path: Path
) -> None:
    batch = decided(artifact, [EXAMPLE, OTHER])
    log = Log(tmp_path)
    recorded(log, batch)
    other = Log(tmp_path)  # reads the first one's journal
    reviews = SQLiteReviews(tmp_path / STORE)
    records = [reviews.get(id_) for id_ in batch.ids]
    assert [whole.record.fact["review"] for whole in records] == [list(why) for why in batch.review]
    assert [whole.state for whole in records] == ["queued" if why else "" for why in batch.review]
    for opened in (other, log, reviews):
        opened.close()


def test_a_review_is_on_disk_when_it_is_acknowledged(reviews: SQLiteReviews) -> None:
    assert reviews._run("PRAGMA synchronous", ()) == [(2,)], "FULL: a commit waits for the disk"


def test_reading_waits_for_nobody_who_writes(store: SQLiteStore, reviews: SQLiteReviews) -> None:
    put(store, [3])
    with sqlite3.connect(store.path, isolation_level=None) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        assert listed(reviews, Query()) == [3]
        elsewhere.execute("ROLLBACK")
    elsewhere.close()
