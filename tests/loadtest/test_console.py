"""What the console's figures are made of, without a browser."""

import pytest

from loadtest.console_figures import Answered, Load, Scroll, Task, table

SIZES = {"/console/": 1500, "/docs.json": 9000}


@pytest.mark.parametrize(
    ("tasks", "interactive_ms"),
    [
        ([], 400),
        ([Task(100, 90)], 400),
        ([Task(350, 100)], 450),
        ([Task(900, 60), Task(420, 80)], 960),
        ([Task(901, 60)], 400),  # after half a second without any
    ],
)
def test_a_page_is_interactive_once_it_is_usable_and_at_rest(tasks: list[Task], interactive_ms: float) -> None:
    assert Load(SIZES, 400, tasks).interactive_ms == interactive_ms


def test_the_table_has_the_middle_load_and_names_what_was_measured() -> None:
    loads = [Load(SIZES, usable, ()) for usable in (300, 1200, 500)]
    text = table(loads, [90, 70, 80], 4, Scroll(10_000, 41, 0.0), Answered(13, 1, 14))
    assert "| first load, compressed, heads included | 10.5 KB in 2 answers |" in text
    assert "| time to interactive, processor 4 times slower, middle of 3 | 500 ms |" in text
    assert "| … of that, what a page with nothing on it takes | 80 ms |" in text
    assert "| longest task while scrolling through 10,000 queued cases | below 50 ms |" in text
    assert text.endswith("beside giving 13 values | 1 click, or 14 key presses |")


def test_a_long_task_is_shown_as_long_as_it_was() -> None:
    assert "cases | 81 ms |" in table([Load(SIZES, 1, ())], [1], 4, Scroll(100, 41, 81.2), Answered(13, 1, 14))
