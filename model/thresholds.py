"""The program around the policy: what other thresholds would do, and another policy for a trained model.

    python -m model.policy                          # the newest model of the store
    python -m model.policy model.tar.gz --bad-costs 5 --plot build/thresholds.svg
    python -m model.policy --show > policy.json     # to be edited …
    python -m model.policy --use policy.json        # … and given to the model, which stays as it is

Outcomes are those of the test split, which no tree and no threshold has seen.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from model.artifact import Artifact, open_artifact, with_policy
from model.charts import Axis, Line, lines
from model.errors import PolicyError
from model.intervals import Interval, share
from model.policy import Policy
from model.reference import Outcomes
from model.storage import STORE_NAME, save
from preprocessing.errors import RisklineError

BAR = 10  # characters: the table fits into 80


class CutOff(NamedTuple):
    """What happens if applicants up to this probability are accepted. Costs are per applicant, of all applicants."""

    probability: float
    points: int
    accepted: float
    bad_rate: Interval
    good_lost: float
    cost: float


def cut_offs(policy: Policy, outcomes: Sequence[Outcomes], bad_costs: float, good_costs: float) -> list[CutOff]:
    """One for each group of `outcomes`: a bad applicant who is accepted costs `bad_costs`, a good one who is not
    `good_costs`."""
    all_good, all_bad = (sum(getattr(group, name) for group in outcomes) for name in ("good", "bad"))
    sums = accumulate(outcomes, lambda total, group: (total[0] + group.good, total[1] + group.bad), initial=(0, 0))
    found = []
    for group, (good, bad) in zip(outcomes, list(sums)[1:], strict=True):
        lost = all_good - good
        found.append(
            CutOff(
                group.up_to,
                policy.points([group.up_to])[0],
                (good + bad) / (all_good + all_bad),
                share(bad, good + bad),
                lost / all_good if all_good else 0.0,
                (bad * bad_costs + lost * good_costs) / (all_good + all_bad),
            )
        )
    return found


def show(artifact: Artifact, rows: Sequence[CutOff], console: Console) -> None:
    policy = artifact.policy
    cheapest = min(row.cost for row in rows)
    applicants = sum(group.good + group.bad for group in artifact.reference.outcomes)
    table = Table(
        title=f"Accepting up to a probability: {applicants} applicants of the test split",
        box=SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("up to", "points", "accepted", "bad rate, 95 %", "good lost", "cost", "", "tier"):
        table.add_column(name, justify="left" if name in ("", "tier") else "right", no_wrap=True)
    dearest = max(row.cost for row in rows) or 1
    for row in rows:
        table.add_row(
            f"{row.probability:.3f}",
            str(row.points),
            f"{row.accepted:.0%}",
            f"{row.bad_rate.value:.1%} {100 * row.bad_rate.low:4.1f}-{100 * row.bad_rate.high:4.1f}",
            f"{row.good_lost:.0%}",
            f"{row.cost:.3f}",
            "█" * round(BAR * row.cost / dearest) + (" least" if row.cost == cheapest else ""),
            policy.tier(row.probability),
        )
    console.print(table)
    console.print(
        f"The policy: low below {policy.low_below:.6f}, high from {policy.high_from:.6f}; {policy.points_scale.at:g} "
        f"points at odds of {policy.points_scale.odds:g}:1, {policy.points_scale.doubling:g} to double them."
    )


def plot(rows: Sequence[CutOff]) -> str:
    """The table as an SVG: bad rate among the accepted, good applicants lost and cost, over the share accepted."""
    costs = [(row.accepted, row.cost) for row in rows]
    dearest = max(cost for _, cost in costs) or 1
    drawn = [
        Line("bad rate", [(row.accepted, row.bad_rate.value) for row in rows]),
        Line("good lost", [(row.accepted, row.good_lost) for row in rows]),
        Line("relative cost", [(accepted, cost / dearest) for accepted, cost in costs]),
    ]
    accepted_axis = Axis("share of applicants accepted", 0, 1, percent=True)
    return lines("What other thresholds would do", accepted_axis, Axis("share", 0, 1, percent=True), drawn)


def _write(path: Path, svg: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"{path} cannot be written: {error.strerror}") from None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.policy", description="Weigh thresholds; change a policy.")
    parser.add_argument("model", nargs="?", default=f"{STORE_NAME}:latest", help="folder, archive or tag of the store")
    parser.add_argument(
        "--bad-costs", type=_cost, default=5, help="cost of a bad applicant who is accepted (default 5)"
    )
    parser.add_argument("--good-costs", type=_cost, default=1, help="of a good one who is not (default 1)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw bad rate and cost over volume, as SVG")
    parser.add_argument("--show", action="store_true", help="print the model's policy.json")
    parser.add_argument("--use", type=Path, metavar="FILE", help="give the model this policy.json; nothing is trained")
    parser.add_argument("--out", type=Path, help="write to this folder or .tar.gz instead of the BentoML model store")
    arguments = parser.parse_args()
    try:
        artifact = open_artifact(arguments.model)
        if arguments.show:
            print(json.dumps(artifact.policy.to_json(), indent=1))  # noqa: T201
        elif arguments.use:
            files = with_policy(artifact, _read(arguments.use))
            print(f"Saved {save(files, arguments.out)}")  # noqa: T201
        else:
            rows = cut_offs(artifact.policy, artifact.reference.outcomes, arguments.bad_costs, arguments.good_costs)
            show(artifact, rows, Console())
            if arguments.plot:
                _write(arguments.plot, plot(rows))
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")


def _cost(text: str) -> float:
    cost = float(text)
    if not 0 <= cost < float("inf"):
        raise ValueError("a cost is a number of 0 or more")
    return cost


def _read(path: Path) -> Policy:
    try:
        return Policy.from_json(path.read_bytes())
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}") from None
