"""What a training run shows in the terminal when it is done."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from model import artifact
from model.storage import MANIFEST


def show(console: Console, files: Mapping[str, bytes]) -> None:
    """The tiers and measures of the test split, read from the artefact's files."""
    manifest = json.loads(files[MANIFEST])
    test, chosen = manifest["metrics"]["test"], json.loads(files[artifact.POLICY])
    table = Table(title=f"Test split: {test['rows']} applications the model never saw")
    for name in ("tier", "probability", "applications", "share", "bad rate"):
        table.add_column(name, justify="left" if name == "tier" else "right")
    bounds = {
        "low": f"< {chosen['low_below']:.3f}",
        "medium": f"< {chosen['high_from']:.3f}",
        "high": f">= {chosen['high_from']:.3f}",
    }
    for tier, held in test["tiers"].items():
        rate = "-" if held["bad_rate"] is None else f"{held['bad_rate']:.1%}"
        table.add_row(tier, bounds[tier], str(held["good"] + held["bad"]), f"{held['share']:.1%}", rate)
    console.print(table)
    names = ("auc", "ks", "brier", "log_loss", "calibration_error")
    console.print("  ".join(f"{name} {test[name]:.4f}" for name in names))
    if cv := manifest["metrics"].get("cross_validation"):
        console.print(f"5-fold auc {cv['auc']:.4f} (by seed: {', '.join(f'{auc:.4f}' for auc in cv['auc_by_seed'])})")


def told(decisions: Mapping[str, Any]) -> str:
    """One sentence about the service's own decisions among the training data."""
    tiers = ", ".join(
        f"{sum(labels.values())} {tier} ({labels['outcome']} by outcome, {labels['review']} by review)"
        for tier, labels in decisions["by_tier"].items()
    )
    return f"{decisions['rows']} decisions of the service with a label: {tiers}"
