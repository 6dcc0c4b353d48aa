"""An invented table, adopted in a copy of the project without an edit by hand, and served.

The smallest of the five that `python -m loadtest.adopt` judges; another is adopted by docs/your-own-table.md.
"""

from pathlib import Path

import pytest

from loadtest.adopt import FORMS, adopt

# how far below XGBoost with default settings an adopted table's AUC may lie
NEAR = 0.01
ROWS = 1500


@pytest.mark.slow
def test_a_table_that_nobody_has_described_is_adopted_and_served(tmp_path: Path) -> None:
    one = adopt("shops", ROWS, tmp_path)
    assert one.auc >= one.default - NEAR
    assert one.served == FORMS
    assert one.refused <= ROWS / 500  # what nobody had sent before
