"""One file of applications → one file of scores, as a stream: no file needs to fit into memory.

One thread reads and encodes, others score, and the caller's writes, block by block. A file of scores says in its
metadata what it was made from, so that what is finished is known for finished, whoever asks.
"""

import json
import shlex
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pydantic_core import to_json

from model.errors import ScoringError
from model.places import CSV, Part, no_storage_errors, whole_file
from model.policy import TIERS
from preprocessing.columns import plain
from preprocessing.errors import InvalidBatch, MalformedBody, RisklineError
from preprocessing.tables import Block, Table, open_csv, open_parquet
from serving.scorer import Scorer
from serving.tables import as_columns, parquet_writer, row_groups, schema_of

BLOCK_ROWS = 16_384  # of a dozen float32 fields stay in a core's second-level cache
READ_AHEAD = 2  # blocks
METADATA = "riskline"  # the key in a file of scores under which it says what it was made from
Told = Callable[[int, float], None]  # how many more rows are scored and bytes of the input are done


class Scored(NamedTuple):
    """A block's rows of the file of scores, its refused rows as JSON Lines, and the counts of both."""

    columns: Any
    refusals: bytes
    counts: Counter[str]


@dataclass(frozen=True, slots=True)
class Run:
    """What every file is scored with. `reader` has one thread: a file is read from its start to its end."""

    scorer: Scorer
    keep: Sequence[str]
    explain: bool
    reader: ThreadPoolExecutor
    workers: ThreadPoolExecutor
    most_waiting: int  # blocks

    def complete(self, part: Part, told: Told) -> Counter[str]:
        """Scores one file unless that has been done; counts its rows by tier and verdict, and the earlier ones."""
        before = self.finished(part)
        if before is None:
            return self.score(part, told)
        told(0, part.size)
        return Counter({**before, "earlier rows": before["rows"]})

    def score(self, part: Part, told: Told) -> Counter[str]:
        """Scores one file. The refusals get their name first, so that where the scores are, everything is."""
        with no_storage_errors(f"{part.source} cannot be read"):
            file = part.source.files.open_input_file(part.source.path)
        with file:
            try:
                read = open_csv if part.source.path.endswith(CSV) else open_parquet
                table = read(file, self.keep, BLOCK_ROWS)
                with whole_file(part.scores) as scores, whole_file(part.refusals, unless_empty=True) as refusals:
                    return self._write(part, table, scores, refusals, told)
            except (InvalidBatch, MalformedBody) as error:
                raise _explained(part, error) from None
            finally:
                self.reader.submit(int).result()  # its turn comes when nobody reads the file any more

    def _write(self, part: Part, table: Table, scores: Any, refusals: Any, told: Told) -> Counter[str]:
        counts: Counter[str] = Counter()

        def columns() -> Iterator[Any]:
            for scored in self._scored(table):
                refusals.write(scored.refusals)
                counts.update(scored.counts)
                told(scored.counts["rows"], part.size * scored.counts["rows"] / table.rows if table.rows else 0)
                yield scored.columns

        with parquet_writer(scores, pa.schema([*table.kept, *schema_of(self.explain)])) as writer:
            for group in row_groups(columns()):
                writer.write_table(group)
            writer.add_key_value_metadata({METADATA: json.dumps({**self._made_from(part), "counts": counts})})
        return counts

    def _scored(self, table: Table) -> Iterator[Scored]:
        """The blocks in order, each scored while others are read, scored and written."""
        reading = deque(self.reader.submit(next, table.blocks, None) for _ in range(READ_AHEAD))
        scoring: deque[Future[Scored]] = deque()
        row = 1
        while block := reading.popleft().result():
            reading.append(self.reader.submit(next, table.blocks, None))
            scoring.append(self.workers.submit(_score, self.scorer, block, row, self.explain))
            row += len(block.batch.matrix)
            if len(scoring) > self.most_waiting:
                yield scoring.popleft().result()
        for future in scoring:
            yield future.result()

    def finished(self, part: Part) -> Counter[str] | None:
        """The counts of the scores that are there already, if they were made from the same; else None."""
        try:
            with part.scores.files.open_input_file(part.scores.path) as file:
                said = json.loads(pyarrow.parquet.ParquetFile(file).metadata.metadata[METADATA.encode()])
            counts = Counter[str](said.pop("counts"))
            if counts["refused"] and not part.refusals.files.get_file_info(part.refusals.path).is_file:
                return None
        except (OSError, pa.ArrowException, AttributeError, KeyError, TypeError, ValueError):
            return None  # nothing there, or nothing of ours
        return counts if said == self._made_from(part) else None

    def _made_from(self, part: Part) -> Mapping[str, object]:
        return {
            "model_version": self.scorer.artifact.model_version,
            "policy_version": self.scorer.artifact.policy_version,
            "input_bytes": part.size,
            "input_mtime_ns": part.mtime_ns,
            "kept": list(self.keep),
            "explained": self.explain,
        }


@contextmanager
def running(scorer: Scorer, keep: Sequence[str], explain: bool, threads: int) -> Iterator[Run]:
    """A Run with threads of its own, `threads` of which score side by side."""
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(threads, "score") as workers:
        yield Run(scorer, keep, explain, reader, workers, most_waiting=2 * threads)


def _score(scorer: Scorer, block: Block, first_row: int, explain: bool) -> Scored:
    scores = scorer.score(block.batch, range(len(block.batch.matrix)) if explain else None)
    columns = as_columns(scores)
    tiers = np.bincount(columns.column("tier").indices.drop_null().to_numpy(), minlength=len(TIERS)).tolist()
    counts = {"rows": len(scores), "refused": len(scores.refused), **dict(zip(TIERS, tiers, strict=True))}
    schema = pa.schema([*block.kept.schema, *columns.schema])
    together = pa.RecordBatch.from_arrays([*block.kept.columns, *columns.columns], schema=schema)
    return Scored(together, _as_lines(block.kept, scores.refused, first_row), Counter(counts))


def _as_lines(kept: Any, refused: Mapping[int, RisklineError], first_row: int) -> bytes:
    """A JSON object a line for each refused row: where it is, what was kept of it, and what is wrong with it."""
    rows = sorted(refused)
    of_refused = kept.take(pa.array(rows, pa.int64()))
    values = {name: plain(of_refused.column(name)) for name in kept.schema.names}
    lines = [
        {
            "row": first_row + row,
            "kept": {name: column[place] for name, column in values.items()},
            "error": refused[row].code,
            "message": refused[row].message,
            "detail": refused[row].detail,
        }
        for place, row in enumerate(rows)
    ]
    return b"".join([to_json(line, bytes_mode="hex", inf_nan_mode="strings", fallback=str) + b"\n" for line in lines])


def _explained(part: Part, error: RisklineError) -> ScoringError:
    """What is wrong with a file as a whole, in words for somebody who has it before them."""
    unknown = [problem.field for problem in error.detail if problem.rule == "unknown"]
    if unknown:
        return ScoringError(
            f"{part.source} has columns that are no field of an application: {', '.join(unknown)}; "
            f"copy them to the scores with --keep {shlex.join(unknown)}, or leave them out of the file"
        )
    if error.detail:
        return ScoringError(f"{part.source}: {'; '.join(f'{p.message} ({p.field})' for p in error.detail)}")
    return ScoringError(f"{part.source}: {error.message.replace('the body', 'this')}")
