"""Why a score is what it is: each row's contributions, compared with a reference and ranked, in the policy's words.

What raised the risk comes first, the most first; then what lowered it. The reference is all applicants, which is what
TreeSHAP counts from, or those just on the better side of the cut-off (both are named in Regulation B's commentary on
12 CFR 1002.9(b)(2), paragraph 5).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic_core import to_json

from model.artifact import Artifact
from model.policy import DIGITS
from preprocessing.encode import MODEL_FIELDS
from serving.settings import Against

MOST_REASONS = 4  # the number that Regulation B's commentary calls sufficient
_ADVERSE_FIRST = 1e6  # more than any contribution

Ranked = tuple[tuple[int, float], ...]  # index into MODEL_FIELDS and contribution, best reason first


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a score."""

    field: Annotated[str, Field(description="The field that it is about.")]
    contribution: Annotated[float, Field(description="To the log-odds of going bad; above 0 it raised the risk.")]
    code: Annotated[str, Field(description="The policy's code for this field and direction.")]
    text: Annotated[str, Field(description="The reason in the policy's words.")]


class Reasoning:
    """Ranks contributions against a reference and puts them into words."""

    def __init__(self, artifact: Artifact, against: Against = "all") -> None:
        reference, policy = artifact.reference, artifact.policy
        fields = len(MODEL_FIELDS)
        self.reference = np.zeros(fields) if against == "all" else reference.just_passed(policy.high_from)
        texts = [policy.reasons[field.name] for field in MODEL_FIELDS]
        self._wordings = [(text.favourable, text.adverse) for text in texts]
        self._codes = [[(wording.code,) for wording in wordings] for wordings in self._wordings]
        self._starts = [
            [
                (
                    f'{{"field":{_quoted(field.name)},"contribution":',
                    f',"code":{_quoted(wording.code)},"text":{_quoted(wording.text)}}}',
                )
                for wording in wordings
            ]
            for field, wordings in zip(MODEL_FIELDS, self._wordings, strict=True)
        ]

    def rank(self, contributions: npt.NDArray[np.float32]) -> list[Ranked]:
        """(rows, fields) float32 → for each row its reasons; a field that contributed nothing is none."""
        relative = (contributions - self.reference).round(DIGITS)
        place = np.where(relative > 0, -_ADVERSE_FIRST - relative, relative)
        order = place.argsort(axis=1, kind="stable")[:, :MOST_REASONS]
        values = relative[np.arange(len(relative))[:, None], order]
        return [
            tuple([(field, value) for field, value in zip(fields, row, strict=True) if value])
            for fields, row in zip(order.tolist(), values.tolist(), strict=True)
        ]

    def words(self, ranked: Ranked) -> tuple[Reason, ...]:
        """The reasons of one row as objects."""
        wordings = [self._wordings[field][value > 0] for field, value in ranked]
        return tuple(
            Reason(MODEL_FIELDS[field].name, value, wording.code, wording.text)
            for (field, value), wording in zip(ranked, wordings, strict=True)
        )

    def codes(self, reasons: Mapping[int, Ranked], without: Collection[int] = ()) -> list[tuple[str]]:
        """The policy's code of each reason of each row, in a tuple as labels are; rows in `without` have none."""
        codes = self._codes
        return [
            codes[field][value > 0] for row, ranked in reasons.items() if row not in without for field, value in ranked
        ]

    def as_json(self, ranked: Ranked) -> str:
        """The same as a JSON array."""
        parts = [(self._starts[field][value > 0], value) for field, value in ranked]
        return "[" + ",".join([f"{start}{value}{end}" for (start, end), value in parts]) + "]"

    def in_short(self, ranked: Ranked) -> str:
        """The same as `code:contribution`, separated by spaces: a cell of a table."""
        return " ".join([f"{self._wordings[field][value > 0].code}:{value}" for field, value in ranked])


def _quoted(text: str) -> str:
    return to_json(text).decode()
