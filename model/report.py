"""The model report that people sign: one HTML file of the artefact that needs nothing but itself.

python -m model.report                       # of the newest model: writes build/report.html and opens it
python -m model.report MODEL --out FILE --no-open

Written by the training run from a `Study`, without a date or a path in it, so that the same input gives the same bytes.
"""

import argparse
import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from model import report_fairness
from model import report_quality as quality
from model import report_trust as trust
from model.artifact import GRAPH, POLICY, REPORT, open_artifact
from model.errors import ArtifactError
from model.page import Section, page
from model.promotion import Promotions
from model.study import Study

OUT = Path("build/report.html")


def render(study: Study, files: Mapping[str, str]) -> bytes:
    """The page. `files` are the sha256 of the artefact's other files, by name."""
    lead = (
        f"Model {files[GRAPH][:12]}, policy {files[POLICY][:12]}: the probability that an application goes bad, and "
        "its tier. Every number is computed by the training run that made the model."
    )
    return page(
        "Model report",
        lead,
        [
            Section("summary", "Summary", trust.summary(study)),
            Section("data", "Data and label", quality.data(study)),
            Section("discrimination", "ROC and KS", quality.discrimination(study)),
            Section("calibration", "Calibration", quality.calibration(study)),
            Section("gain", "Gain", quality.gain(study)),
            Section("tiers", "Tiers", quality.tiers(study)),
            Section("psi", "Stability between splits (PSI)", quality.drift(study)),
            Section("effects", "Effects of the fields", quality.field_effects(study)),
            Section("monotonicity", "Monotonicity, proved", trust.monotonicity(study)),
            Section("seeds", "Stability over seeds", trust.seeds(study)),
            Section("scorecard", "Against a transparent scorecard", trust.scorecard(study)),
            Section("parity", "Parity certificate", trust.parity(study)),
            Section("fairness", "Fairness", report_fairness.fairness(study)),
            Section("limits", "Limits of use", trust.limits(study)),
            Section("hashes", "Hashes and provenance", trust.hashes(study, files)),
            Section("signatures", "Signatures", trust.signatures()),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.report", description="Write a model's report and open it.")
    newest = os.environ.get("RISKLINE_MODEL") or Promotions().model()
    parser.add_argument("model", nargs="?", default=newest, help="folder, archive or tag of the store")
    parser.add_argument("--out", type=Path, default=OUT, help=f"where to write it (default: {OUT})")
    parser.add_argument("--no-open", action="store_true", help="do not open it in a browser")
    arguments = parser.parse_args()
    try:
        artifact = open_artifact(arguments.model)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_bytes(artifact.files[REPORT])
    except ArtifactError as error:
        sys.exit(f"riskline: {error.message}")
    except OSError as error:
        sys.exit(f"riskline: the report cannot be written to {arguments.out}: {error.strerror}")
    opened = not arguments.no_open and _has_screen() and webbrowser.open(arguments.out.resolve().as_uri())
    print(f"{'Opened' if opened else 'The report is'} {arguments.out}")  # noqa: T201


def _has_screen() -> bool:
    """Without one, `webbrowser` may start a browser of the terminal, which takes the terminal over."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    main()
