"""Files of applications → files of scores, as a stream: `serving/offline.py` as a program.

    python -m model.score applications.parquet scores.parquet --keep loan_id
    python -m model.score s3://lender/applications s3://lender/scores
    python -m model.score s3://lender/applications s3://lender/scores --engine ray

The engine is this process with a thread for each core or, with Ray, many processes on one machine or on several. A file
has its name when it is whole, so that the same command, run again, does only what is left to do.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from model.artifact import open_artifact
from model.places import Part, find_parts
from model.policy import TIERS
from model.promotion import Promotions
from preprocessing.errors import RisklineError
from serving import offline_ray
from serving.cores import cores
from serving.offline import Told, running
from serving.scorer import Scorer
from serving.settings import settings
from serving.tables import schema_of

CODES = """exit codes:
  0  every row has its score
  2  finished, but some rows were refused: a file beside the scores, ending in .refused.jsonl, says which and why
  1  could not finish: a line on stderr says why; the same command goes on where this one stopped
"""


def run(
    parts: Sequence[Part], scorer: Scorer, keep: Sequence[str], threads: int, told: Told, explain: bool = False
) -> Counter[str]:
    """Scores what is not finished yet; counts rows by tier and verdict, and the earlier ones among them."""
    counts: Counter[str] = Counter()
    with running(scorer, keep, explain, threads) as this:
        for part in parts:
            counts.update(this.complete(part, told))
    return counts


@contextmanager
def shown(parts: Sequence[Part]) -> Iterator[Told]:
    """On a terminal, a bar of the bytes that are done, and the rows and their rate."""
    console = Console(file=sys.stdout)  # as it is now: an engine may turn it away
    texts = ("{task.fields[rows]:,} rows", "{task.fields[rate]:,.0f} rows/s")
    with Progress(
        BarColumn(), TaskProgressColumn(), *map(TextColumn, texts), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal, transient=True,
    ) as progress:  # fmt: skip
        bar = progress.add_task("", total=sum(part.size for part in parts), rows=0, rate=0)
        started, rows = time.perf_counter(), 0

        def told(more_rows: int, more_bytes: float) -> None:
            nonlocal rows
            rows += more_rows
            progress.update(bar, advance=more_bytes, rows=rows, rate=rows / (time.perf_counter() - started))

        yield told


def _summary(counts: Counter[str], seconds: float, target: object) -> str:
    rows, refused, earlier = counts["rows"], counts["refused"], counts["earlier rows"]
    total = f"{rows:,} row{'' if rows == 1 else 's'}" + (f" ({earlier:,} of them earlier)" if earlier else "")
    tiers = ", ".join(f"{tier} {counts[tier] / max(rows - refused, 1):.1%}" for tier in TIERS)
    return f"{total}, {refused:,} refused; {tiers}; {seconds:.1f} s, {(rows - earlier) / seconds:,.0f} rows/s; {target}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """argparse itself exits with 2, which says here that rows were refused."""
        self.exit(1, f"riskline: {message}; --help shows how\n")


def arguments() -> argparse.Namespace:
    parser = _Parser(
        prog="python -m model.score",
        description="Score a file of applications, or a folder of them, into Parquet.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", metavar="IN", help="Parquet or CSV file, folder of Parquet files, or s3:// or gs:// URL"
    )
    parser.add_argument("target", metavar="OUT", help="a .parquet file; for a folder a folder, with a file for each")
    parser.add_argument(
        "--keep", nargs="+", action="extend", default=[], metavar="COLUMN", help="copy such as an id to the scores"
    )
    parser.add_argument("--explain", action="store_true", help="give each score its reasons in a column of its own")
    parser.add_argument(
        "--model", help="folder, archive or tag (default: RISKLINE_MODEL, else the one promoted, else the newest)"
    )
    parser.add_argument(
        "--threads", type=int, help="that score side by side in a process (default: a core each; ray: 1)"
    )
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="this process, or Ray's workers")
    parser.add_argument("--workers", type=int, help="of Ray: processes (default: as many as there are cores for)")
    parser.add_argument(
        "--address", help="of Ray: a running cluster's (default: RAY_ADDRESS; without it, Ray runs on this machine)"
    )
    chosen = parser.parse_args()
    chosen.keep = list(dict.fromkeys(chosen.keep))
    if taken := [name for name in chosen.keep if name in schema_of(chosen.explain).names]:
        parser.error(f"--keep {taken[0]}: the scores have a column of that name themselves")
    for name in ("threads", "workers"):
        if (number := getattr(chosen, name)) is not None and number < 1:
            parser.error(f"--{name} must be at least 1")
    for name in ("workers", "address"):
        if chosen.engine != "ray" and getattr(chosen, name) is not None:
            parser.error(f"--{name} needs --engine ray")
    return chosen


def main() -> None:
    chosen = arguments()
    started = time.perf_counter()
    try:
        parts, target = find_parts(chosen.source, chosen.target)
        artifact = open_artifact(chosen.model or settings().model or Promotions().model())
        against = settings().reasons_against
        with shown(parts) as told:
            if chosen.engine == "ray":
                task = offline_ray.Task(
                    artifact.files, against, chosen.keep, chosen.explain, chosen.threads or 1, parts, target
                )
                address = chosen.address or os.environ.get("RAY_ADDRESS")
                counts = offline_ray.run(task, address, chosen.workers, told)
            else:
                scorer, threads = Scorer(artifact, against=against), chosen.threads or cores()
                counts = run(parts, scorer, chosen.keep, threads, told, chosen.explain)
    except RisklineError as error:
        sys.exit(f"riskline: {error.message}")
    except KeyboardInterrupt:
        sys.exit("riskline: interrupted; the same command goes on where this one stopped")
    print(_summary(counts, time.perf_counter() - started, target))  # noqa: T201
    sys.exit(2 if counts["refused"] else 0)


if __name__ == "__main__":
    main()
