"""How much one column tells of the verdict, and whether the bad rate keeps to one direction along it."""

import numpy as np
import numpy.typing as npt

from preprocessing.fields import Direction

Places = npt.NDArray[np.int64]
Bad = npt.NDArray[np.bool_]
_BINS, _STEPS = 20, 10
_PRIOR = 2.0  # applications of the usual bad rate that each group is given, so that a rare word says little
# what a direction must have to be proposed: distance from chance, in AUC and in standard errors, and how much of the
# bad rates' differences between tenths of the applicants remains if they may only rise or only fall
_CLEAR, _ERRORS, _ORDERLY = 0.02, 5.0, 0.95


def binned(values: npt.NDArray[np.float64], bins: int = _BINS) -> Places:
    """(rows,) numbers → in which of so many equal groups each is; missing values are the last group."""
    present = values[~np.isnan(values)]
    edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left")).astype(np.int64)


def rates(groups: Places, bad: Bad, count: int) -> npt.NDArray[np.float64]:
    """(count,) bad rates of the groups, drawn to the overall rate where there are few."""
    rows = np.bincount(groups, minlength=count)
    bads = np.bincount(groups, weights=bad, minlength=count)
    found: npt.NDArray[np.float64] = (bads + _PRIOR * bad.mean()) / (rows + _PRIOR)
    return found


def strength(groups: Places, bad: Bad) -> float:
    """AUC of the groups' bad rates alone, each half of the rows judged by the rates of the other."""
    count = int(groups.max()) + 1
    odd = np.arange(bad.size) % 2 == 1
    scores = np.empty(bad.size)
    for half in (odd, ~odd):
        scores[half] = rates(groups[~half], bad[~half], count)[groups[half]]
    return auc(scores, bad)


def auc(scores: npt.NDArray[np.float64], bad: Bad) -> float:
    """How often a bad one has the higher score; half where they are equal."""
    _, place = np.unique(scores, return_inverse=True)
    bads, goods = np.bincount(place, weights=bad), np.bincount(place, weights=~bad)
    below = np.cumsum(goods) - goods
    return float((bads * (below + goods / 2)).sum() / (bads.sum() * goods.sum()))


def direction(values: npt.NDArray[np.float64], bad: Bad) -> Direction:
    """+1 if the bad rate rises with the numbers, -1 if it falls, 0 where that is not clear enough to be proposed."""
    present = ~np.isnan(values)
    values, bad = values[present], bad[present]
    if bad.all() or not bad.any():
        return 0
    found = auc(values, bad)
    error = np.sqrt((1 / bad.sum() + 1 / (~bad).sum()) / 12)
    if abs(found - 0.5) < max(_CLEAR, _ERRORS * error):
        return 0
    sign: Direction = 1 if found > 0.5 else -1
    groups = np.unique(binned(values, _STEPS), return_inverse=True)[1]
    weights = np.bincount(groups).astype(np.float64)
    by_group = sign * np.bincount(groups, weights=bad) / weights
    fitted = _rising(by_group, weights)
    spread = float((weights * (by_group - np.average(by_group, weights=weights)) ** 2).sum())
    left = float((weights * (by_group - fitted) ** 2).sum())
    return sign if left <= (1 - _ORDERLY) * spread else 0


def _rising(heights: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The nearest heights that never fall: neighbours that do are drawn together (Ayer et al. 1955)."""
    blocks: list[tuple[float, float, int]] = []  # height, weight, how many
    for height, weight in zip(heights.tolist(), weights.tolist(), strict=True):
        block = (height, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            before = blocks.pop()
            both = before[1] + block[1]
            block = ((before[0] * before[1] + block[0] * block[1]) / both, both, before[2] + block[2])
        blocks.append(block)
    return np.concatenate([np.full(count, height) for height, _, count in blocks])
