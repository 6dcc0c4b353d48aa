import json
import re

import numpy as np
import numpy.typing as npt
import pytest

from model.errors import PolicyError
from model.policy import FEW, LOW_TARGET, Points, Policy, Review, answered, choose, choose_nearest
from preprocessing.encode import MODEL_FIELDS

POLICY = Policy(low_below=0.2, high_from=0.5, low_bad_rate=0.05, high_bad_rate=0.6)


def from_json(data: object) -> Policy:
    return Policy.from_json(json.dumps(data).encode())


@pytest.mark.parametrize(
    ("probability", "tier"),
    [(0.0, "low"), (0.199999, "low"), (0.2, "medium"), (0.499999, "medium"), (0.5, "high"), (1.0, "high")],
)
def test_a_threshold_belongs_to_the_riskier_tier(probability: float, tier: str) -> None:
    assert POLICY.tier(probability) == tier


def test_a_policy_survives_the_way_through_json() -> None:
    assert from_json(POLICY.to_json()) == POLICY


@pytest.mark.parametrize("thresholds", [(0.6, 0.5), (0.0, 0.5), (0.2, 1.0), (float("nan"), 0.5), (-0.1, 2)])
def test_crossing_or_impossible_thresholds_are_refused(thresholds: tuple[float, float]) -> None:
    low, high = thresholds
    with pytest.raises(PolicyError, match="low_below"):
        from_json({**POLICY.to_json(), "low_below": low, "high_from": high})


@pytest.mark.parametrize("data", [{}, {**POLICY.to_json(), "more": 1}, {**POLICY.to_json(), "high_from": "much"}])
def test_a_policy_file_that_does_not_fit_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(PolicyError, match=r"policy\.json does not fit"):
        from_json(data)


def applicants(rows: int = 20_000) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    random = np.random.default_rng(5)
    probability = random.beta(1, 3, rows)
    return probability, random.random(rows) < probability


def test_the_chosen_groups_meet_their_targets_and_could_not_be_larger() -> None:
    probability, bad = applicants()
    policy = choose(probability, bad, low_bad_rate=0.08, high_bad_rate=0.6)
    low, high = bad[probability < policy.low_below], bad[probability >= policy.high_from]
    assert low.mean() <= 0.08
    assert high.mean() >= 0.6
    assert bad[probability < policy.low_below + 0.01].mean() > 0.08
    assert bad[probability >= policy.high_from - 0.01].mean() < 0.6


def test_groups_that_would_overlap_leave_the_overlap_to_medium() -> None:
    probability, bad = applicants()
    policy = choose(probability, bad, low_bad_rate=0.22, high_bad_rate=0.3)
    assert policy.low_below < policy.high_from
    assert bad[probability < policy.low_below].mean() <= 0.22
    assert bad[probability >= policy.high_from].mean() >= 0.3


def test_targets_that_no_group_meets_are_refused_with_the_option_to_change() -> None:
    _, bad = applicants()
    with pytest.raises(PolicyError, match="--low-bad-rate or --high-bad-rate"):
        choose(np.full(bad.size, 0.3), bad, low_bad_rate=0.1, high_bad_rate=0.9)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.5, 0.4), (0.1, 1.5)])
def test_targets_that_contradict_each_other_are_refused(low: float, high: float) -> None:
    with pytest.raises(PolicyError, match="0 < low < high < 1"):
        choose(*applicants(), low_bad_rate=low, high_bad_rate=high)


def test_a_handful_of_applicants_without_a_bad_one_is_no_group() -> None:
    probability = np.concatenate([np.full(10, 0.01), np.full(990, 0.4)])
    bad = np.arange(1000) % 3 == 0
    bad[:10] = False
    with pytest.raises(PolicyError, match="no group"):
        choose(probability, bad, low_bad_rate=0.1, high_bad_rate=0.34)


def test_few_rows_in_plain_python_come_to_what_many_come_to_in_numpy() -> None:
    random = np.random.default_rng(1)
    exact = np.concatenate([random.random(20_000), np.arange(0, 1, 1e-4) + 5e-7, [0, 1]]).astype(np.float32)
    many = answered(exact)
    few = [answer for start in range(0, len(exact), FEW) for answer in answered(exact[start : start + FEW])]
    assert few == many
    assert POLICY.tiers(many) == [tier for answer in few for tier in POLICY.tiers([answer])]


def test_a_missing_probability_does_not_pass_for_one() -> None:
    with pytest.raises(ValueError, match="NaN"):
        answered(np.array([np.nan], dtype=np.float32))


def test_points_are_what_the_scale_says() -> None:
    scale = Points(at=600, odds=50, doubling=20)
    policy = POLICY.model_copy(update={"points_scale": scale})
    assert policy.points([1 / 51, 1 / 101, 1 / 26]) == [600, 620, 580]
    assert policy.points([0.0]) == policy.points([0.000001])
    assert policy.points([1.0]) == policy.points([0.999999])


def test_few_and_many_rows_get_the_same_points() -> None:
    probabilities = (np.arange(0, 10**6 + 1, 7) / 10**6).tolist()
    many = POLICY.points(probabilities)
    assert many == [POLICY.points([probability])[0] for probability in probabilities]
    assert many == sorted(many, reverse=True)


def test_every_field_has_words_of_its_own() -> None:
    reasons = POLICY.reasons
    assert list(reasons) == [field.name for field in MODEL_FIELDS]
    codes = [wording.code for texts in reasons.values() for wording in (texts.adverse, texts.favourable)]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reasons": {}}, f"no text for the field '{MODEL_FIELDS[0].name}'"),
        ({"reasons": {**POLICY.to_json()["reasons"], "shoe_size": POLICY.to_json()["reasons"]["age"]}}, "'shoe_size'"),
        ({"reasons": {**POLICY.to_json()["reasons"], "age": {}}}, "reasons.age.adverse: Field required"),
        ({"points_scale": {"at": 600, "odds": 0, "doubling": 20}}, "points_scale.odds: Input should be greater than 0"),
        ({"review": {"tiers": ["large"]}}, "review.tiers.0: Input should be 'low', 'medium' or 'high'"),
        ({"review": {"near_threshold": -0.1}}, "review.near_threshold: Input should be greater than or equal to 0"),
        ({"review": {"all": True}}, "review.all: Extra inputs are not permitted"),
        ({"low_below": 0.7}, "0 < low_below <= high_from < 1, not 0.7 and 0.5"),
    ],
)
def test_what_does_not_fit_in_a_policy_file_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(said)):
        from_json({**POLICY.to_json(), **change})


def reviewing(**review: object) -> Policy:
    return from_json({**POLICY.to_json(), "review": review})


def test_a_policy_from_before_there_was_a_queue_sends_the_medium_tier_to_it() -> None:
    older = {name: part for name, part in POLICY.to_json().items() if name != "review"}
    assert from_json(older).review == Review()
    assert from_json(older).to_review([0.1, 0.3, 0.6], [0, 1, 2], outside=[0]) == [(), ("tier",), ()]


def test_each_switch_of_the_policy_sends_its_own_decisions_to_the_queue() -> None:
    probabilities, tiers, outside = [0.1, 0.195, 0.2, 0.505, 0.52, 1.0], [0, 0, 1, 2, 2, 2], {0, 2}
    assert reviewing(tiers=[]).to_review(probabilities, tiers, outside) == [()] * 6
    assert reviewing(tiers=["high", "low"]).to_review([0.1, 0.3, 0.6], [0, 1, 2], ()) == [("tier",), (), ("tier",)]
    every = reviewing(tiers=["medium"], outside_training_range=True, near_threshold=0.005)
    assert every.to_review(probabilities, tiers, outside) == [
        ("range",), ("threshold",), ("tier", "range", "threshold"), ("threshold",), (), (),
    ]  # fmt: skip


def test_few_and_many_rows_are_queued_alike() -> None:
    policy = reviewing(tiers=["medium", "high"], outside_training_range=True, near_threshold=0.02)
    probabilities = [round(number / 1000, 3) for number in range(1001)]
    tiers, outside = policy.tiers(probabilities), set(range(0, 1001, 7))
    many = policy.to_review(probabilities, tiers, outside)
    alone = [
        policy.to_review([probability], [tier], [0] if row in outside else [])
        for row, (probability, tier) in enumerate(zip(probabilities, tiers, strict=True))
    ]
    assert many == [why for [why] in alone]
    assert len(set(many)) == 8, "every combination"


def test_targets_that_no_group_meets_move_until_one_does() -> None:
    probability, bad = applicants()
    assert choose_nearest(probability, bad) == choose(probability, bad)
    is_other = np.random.default_rng(6).random(bad.size) < 0.4 + 0.2 * bad
    weak = np.where(is_other, 0.27, 0.25).astype(np.float64)  # tells hardly anything
    with pytest.raises(PolicyError, match="--nearest-targets"):
        choose(weak, bad)
    moved = choose_nearest(weak, bad)
    assert LOW_TARGET * bad.mean() < moved.low_bad_rate < bad.mean() < moved.high_bad_rate
    with pytest.raises(PolicyError):
        choose_nearest(np.full(bad.size, 0.3), bad)
