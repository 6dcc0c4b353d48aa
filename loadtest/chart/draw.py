"""Draws results.json as bars: one application a request, a thousand a request, millions from file to file.

python draw.py results.json results.png
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS, OTHERS = "#1f6f5c", "#b4b9be"


def main(results: str, out: str) -> None:
    rows = json.loads(Path(results).read_text())
    singles = [(row["contender"], row, "req_per_s") for row in rows if row["workload"] == "single"]
    batches = [
        (f"{row['contender']}, {row['workload'].removeprefix('batch1000-')}", row, "rows_per_s")
        for row in rows
        if row["workload"].startswith("batch1000-")
    ]
    offline = [(row["contender"], row, "rows_per_s") for row in rows if row["workload"] == "offline-parquet"]
    panels = [
        ("One application a request: requests per second", singles),
        ("1,000 applications a request: rows per second", batches),
        ("From file to file: rows per second", offline),
    ]
    drawn = [(title, [bar for bar in bars if bar[1][bar[2]] is not None]) for title, bars in panels]
    drawn = [(title, bars) for title, bars in drawn if bars] or [("Nothing was measured", [])]
    figure, axes = plt.subplots(
        len(drawn),
        1,
        figsize=(9, 1.2 * len(drawn) + 0.32 * sum(len(bars) for _, bars in drawn)),
        squeeze=False,
        height_ratios=[len(bars) + 1.5 for _, bars in drawn],
        layout="constrained",
    )
    for axis, (title, bars) in zip(axes[:, 0], drawn, strict=True):
        panel(axis, title, bars)
    figure.savefig(out, dpi=120, metadata={"Software": None})


def panel(axis: Any, title: str, bars: list[tuple[str, dict[str, Any], str]]) -> None:
    """The fastest on top; a whisker from the slowest round to the fastest."""
    bars = sorted(bars, key=lambda bar: bar[1][bar[2]])
    values = [row[figure] for _, row, figure in bars]
    spread = [
        [row[figure] - (row[f"{figure}_min"] or row[figure]) for _, row, figure in bars],
        [(row[f"{figure}_max"] or row[figure]) - row[figure] for _, row, figure in bars],
    ]
    colours = [OURS if name.startswith("riskline") else OTHERS for name, *_ in bars]
    drawn = axis.barh([name for name, *_ in bars], values, xerr=spread, color=colours, ecolor="#55595d", capsize=2)
    axis.bar_label(drawn, [f"{value:,.0f}" for value in values], padding=6, fontsize=8)
    axis.set_title(title, loc="left", fontsize=10)
    axis.margins(x=0.16)
    axis.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(*sys.argv[1:])
