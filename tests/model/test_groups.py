import csv

import numpy as np
import pytest

from model.data import Labelled
from model.groups import MISSING, grouped, is_audited
from model.train import BUNDLED
from preprocessing.encode import COLUMN, FIELDS
from preprocessing.fields import Category, Field, Number

NAN = float("nan")


def number(groups: tuple[float, ...] = (), protected: bool = False) -> Field:
    kind = Number(label="Age", unit="years", low=0, high=120, groups=groups, protected=protected, example=1)
    return Field("years", kind, required=False)


def names_of(field: Field, codes: list[float]) -> list[str]:
    grouping = grouped(field, np.array(codes))
    return [grouping.names[index] for index in grouping.index]


def test_a_number_is_grouped_between_its_edges_and_an_edge_belongs_above() -> None:
    assert names_of(number((25, 62)), [24, 25, 61.5, 62, NAN]) == [
        "below 25", "25 to below 62", "25 to below 62", "62 and above", MISSING,
    ]  # fmt: skip


def test_a_number_without_edges_is_grouped_at_its_quartiles() -> None:
    grouping = grouped(number(protected=True), np.arange(100.0))
    assert np.bincount(grouping.index).tolist() == [25, 25, 25, 25]


@pytest.mark.parametrize("codes", [[NAN, NAN], [5.0, 5.0, NAN], [5.0]])
def test_few_different_values_make_few_groups(codes: list[float]) -> None:
    grouping = grouped(number(protected=True), np.array(codes))
    assert len(grouping.names) == len(set(grouping.index.tolist()))
    assert (grouping.names[-1] == MISSING) is bool(np.isnan(codes).any())


def test_words_are_groups_in_the_schemas_order_and_an_absent_one_is_none() -> None:
    kind = Category(label="Kind", values={"a": "first", "b": "second", "c": "third"}, protected=True, example="a")
    grouping = grouped(Field("kind", kind, required=False), np.array([2.0, 0.0, NAN]))
    assert grouping.names == ["first", "third", MISSING]
    assert grouping.index.tolist() == [1, 0, 2]


def test_fields_are_audited_where_protected_or_given_groups() -> None:
    assert is_audited(number((25,)))
    assert is_audited(number(protected=True))
    assert not is_audited(number())


def test_the_groups_do_not_change_the_fingerprint() -> None:
    assert number((25, 62)).fingerprint() == number().fingerprint()


def test_the_rows_are_grouped_as_the_file_says_also_where_the_matrix_leaves_the_field_out(labelled: Labelled) -> None:
    with BUNDLED.open() as source:
        rows = list(csv.DictReader(source))
    rows = [row for position, row in enumerate(rows, start=1) if position not in (1023, 2930)]  # repeat earlier ones
    assert [grouping.field.name for grouping in labelled.groups] == [f.name for f in FIELDS if is_audited(f)]
    for grouping in labelled.groups:
        kind = grouping.field.kind
        if isinstance(kind, Category):
            expected = [kind.values.get(row[grouping.field.name], MISSING) for row in rows]
            assert [grouping.names[index] for index in grouping.index] == expected
        else:
            codes = labelled.matrix[:, COLUMN[grouping.field.name]]
            np.testing.assert_array_equal(grouping.index, np.searchsorted(kind.groups, codes, side="right"))
