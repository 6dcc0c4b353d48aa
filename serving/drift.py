"""How applications move away from those of training: counted beside the requests, added up over all workers.

    a scored batch → Drift.take (the answer goes on) → (housekeeping) Drift.gather → this worker's file
    all workers' files → Drift.seen → serving/drift_report.py → metrics and GET /drift

Scored applications are counted by hour, channel and bin, the bins being those that the artefact's reference.json has
counts of training for. Refused ones are not, and no protected field is: the model is not given it.
"""

import mmap
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from decisions.record import CHANNELS, Origin
from model.artifact import REFERENCE, Artifact
from model.storage import sha256
from preprocessing.encode import MODEL_FIELDS, Batch, Matrix
from serving.scorer import Scores

HOUR_S = 3600
SLOTS = 25  # hours: the current one, of which a part has passed, and 24 before
WINDOWS = {"1h": 1, "24h": 24}  # whole hours before the current one
MOST_OF_BLOCK = 512  # rows of a batch that are counted
MOST_WAITING = 100_000  # rows; what comes while so many wait to be counted is not counted
PROBABILITY_BINS = 100  # of equal width
_CODE = {channel: code for code, channel in enumerate(CHANNELS)}

Counts = npt.NDArray[np.int64]


class _Taken(NamedTuple):
    matrix: Matrix
    probability: Sequence[float]
    origins: Sequence[Origin]
    refused: Collection[int]


class Bins:
    """Where in a row of counts each thing is: the bins of the score, those of each field with the missing last, how
    many were outside each field's range, and the probability in `PROBABILITY_BINS` bins of equal width."""

    def __init__(self, artifact: Artifact) -> None:
        bins = artifact.reference.bins
        self._edges = [np.array(part.edges) for part in (bins.score, *(bins.fields[f.name] for f in MODEL_FIELDS))]
        self._fine = np.arange(1, PROBABILITY_BINS) / PROBABILITY_BINS
        self._low, self._high = artifact.ranges
        ends = np.cumsum([len(edges) + 2 for edges in self._edges]).tolist()
        self.score = slice(0, ends[0])
        self.fields = [slice(*ends_of) for ends_of in pairwise(ends)]
        self.outside = slice(ends[-1], ends[-1] + len(MODEL_FIELDS))
        self.probability = slice(self.outside.stop, self.outside.stop + PROBABILITY_BINS)
        self.width: int = self.probability.stop

    def count(self, matrix: Matrix, probability: npt.NDArray[np.float64], channel: npt.NDArray[np.int64]) -> Counts:
        """(rows, fields), (rows,), (rows,) → (channels, width); a channel is its place in `CHANNELS`."""
        first = channel * self.width  # of the row's channel, in one long row of all counts
        places = [first + np.searchsorted(self._edges[0], probability, side="right")]
        for values, edges, part in zip(matrix.T, self._edges[1:], self.fields, strict=True):
            # NaN is sorted above every number; it has to go one bin further
            places.append(first + part.start + np.searchsorted(edges, values, side="right") + np.isnan(values))
        rows, columns = np.nonzero((matrix < self._low) | (matrix > self._high))
        places.append(first[rows] + self.outside.start + columns)
        places.append(first + self.probability.start + np.searchsorted(self._fine, probability, side="right"))
        counted = np.bincount(np.concatenate(places), minlength=len(CHANNELS) * self.width)
        return counted.reshape(len(CHANNELS), self.width)


class Drift:
    """What one worker has scored with one model, in a file of its own in `folder`, and what all of them have.

    Files are told apart by server, model, bins and process, so one of another model is never read. Those of workers
    that have ended still count: their applications were scored. `now` is the wall clock, in seconds; where it is put
    back, the newest hour goes on. Of a batch of more than `MOST_OF_BLOCK` rows, as large bodies have, as many are
    counted, at equal distances: binning all of them would take half as long again as scoring them.
    """

    def __init__(self, artifact: Artifact, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.artifact = artifact
        self.bins = Bins(artifact)
        self._folder, self._now = folder, now
        self._files = f"drift-{os.getppid()}-{_bins_version(artifact)}-"
        self._hours, self._counts = self._mapped(folder / f"{self._files}{os.getpid()}.counts")
        self._hour = int(self._hours.max())
        self._waiting: list[_Taken] = []
        self.rows_waiting = 0
        self._taking, self._gathering = threading.Lock(), threading.Lock()

    def for_model(self, artifact: Artifact) -> "Drift":
        """Itself for the same model, whatever its policy, since the bins are the same; else a new one beside it."""
        if _bins_version(artifact) == _bins_version(self.artifact):
            return self
        self.gather()
        return Drift(artifact, self._folder, self._now)

    def take(self, batch: Batch, scores: Scores, origins: Sequence[Origin]) -> None:
        """Takes a scored batch, with the origin of each row, and returns at once."""
        rows = len(scores.probability)
        if self.rows_waiting > MOST_WAITING:
            return
        matrix, probability, refused = batch.matrix, scores.probability, scores.refused
        if rows > MOST_OF_BLOCK:
            step = -(-rows // MOST_OF_BLOCK)
            # a copy: the slice alone would keep the whole block
            matrix, probability, origins = matrix[::step].copy(), probability[::step], origins[::step]
            refused = {row // step: error for row, error in refused.items() if row % step == 0}
        with self._taking:
            self.rows_waiting += len(probability)
            self._waiting.append(_Taken(matrix, probability, origins, refused))

    def gather(self) -> None:
        """Counts what waits; safe to call from any thread."""
        with self._gathering:
            with self._taking:
                taken, self._waiting, self.rows_waiting = self._waiting, [], 0
            if not taken:
                return
            origins = [origin for one in taken for origin in one.origins]
            probability = np.array([value for one in taken for value in one.probability])
            kept = np.ones(len(probability), dtype=np.bool_)
            first = 0
            for one in taken:
                if one.refused:
                    kept[[first + row for row in one.refused]] = False
                first += len(one.probability)
            channel = np.array([_CODE[origin.channel] for origin in origins], dtype=np.int64)
            matrix = np.concatenate([one.matrix for one in taken])
            self._counts[self._slot()] += self.bins.count(matrix[kept], probability[kept], channel[kept]).astype(
                np.uint32
            )

    def seen(self) -> dict[str, Counts]:
        """Window → (channels, width): what all workers have counted in the current hour and the whole ones before."""
        hour = self._this_hour()
        sums = {window: np.zeros((len(CHANNELS), self.bins.width), dtype=np.int64) for window in WINDOWS}
        for file in self._folder.glob(f"{self._files}*.counts"):
            hours, counts = self._mapped(file)
            for window, before in WINDOWS.items():
                slots = np.flatnonzero((hours >= hour - before) & (hours <= hour))
                sums[window] += counts[slots].sum(axis=0, dtype=np.int64)
        return sums

    def _slot(self) -> int:
        """The newest hour's, emptied where it was an older hour's."""
        self._hour = self._this_hour()
        slot = self._hour % SLOTS
        if self._hours[slot] != self._hour:
            self._hours[slot] = 0  # nobody reads it while it is emptied
            self._counts[slot] = 0
            self._hours[slot] = self._hour
        return slot

    def _this_hour(self) -> int:
        """The clock's, or the newest that was counted where the clock is behind it by less than the windows are long.
        One that is further behind had run ahead before: what it counted then belongs to no hour."""
        hour = int(self._now() // HOUR_S)
        return max(self._hour, hour) if self._hour - hour < SLOTS else hour

    def _mapped(self, file: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        """(slots,) the hour that each slot counts, since 1970, 0 for none, and (slots, channels, width) the counts."""
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, self._size)
            mapped = mmap.mmap(descriptor, self._size)
        finally:
            os.close(descriptor)
        hours = np.frombuffer(mapped, dtype=np.int64, count=SLOTS)
        counts = np.frombuffer(mapped, dtype=np.uint32, offset=hours.nbytes)
        return hours, counts.reshape(SLOTS, len(CHANNELS), self.bins.width)

    @cached_property
    def _size(self) -> int:
        return SLOTS * (np.dtype(np.int64).itemsize + len(CHANNELS) * self.bins.width * np.dtype(np.uint32).itemsize)


def _bins_version(artifact: Artifact) -> str:
    """Of the model and of what it remembers of its training; another policy changes neither."""
    return f"{artifact.model_version}-{sha256(artifact.files[REFERENCE])[:12]}"
