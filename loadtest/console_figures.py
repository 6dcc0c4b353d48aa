"""What the console's figures are made of: a load and a long scroll as they were measured, and the table of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

LONG_MS = 50.0  # what a browser calls a long task
QUIET_MS = 500.0  # without a long task, before the page counts as interactive


@dataclass(frozen=True, slots=True)
class Task:
    """A long task of the page's main thread, in milliseconds since the page was asked for."""

    start: float
    duration: float


@dataclass(frozen=True, slots=True)
class Load:
    """`sizes` in bytes as they came over the wire, heads included, by path; `usable_ms`: the form can be filled in."""

    sizes: Mapping[str, int]
    usable_ms: float
    tasks: Sequence[Task]

    @property
    def interactive_ms(self) -> float:
        """When the form was there and the main thread had come to rest."""
        end = self.usable_ms
        for task in sorted(self.tasks, key=lambda task: task.start):
            if task.start > end + QUIET_MS:
                break
            end = max(end, task.start + task.duration)
        return end


@dataclass(frozen=True, slots=True)
class Scroll:
    """From the first queued case to the last: `longest_ms` is 0 where no task was long."""

    cases: int
    most_rows: int
    longest_ms: float


@dataclass(frozen=True, slots=True)
class Answered:
    """From the empty form to the explained answer, beside giving each field its value."""

    fields: int
    by_mouse: int
    by_keyboard: int


def table(loads: Sequence[Load], empty_ms: Sequence[float], slowdown: int, scroll: Scroll, answered: Answered) -> str:
    """The figures as Markdown; of several loads the middle one, on a processor that is so many times slower.

    `empty_ms` is what a page with nothing on it took there.
    """
    sizes = loads[0].sizes
    interactive_ms = median(load.interactive_ms for load in loads)
    longest = f"{scroll.longest_ms:,.0f} ms" if scroll.longest_ms else f"below {LONG_MS:.0f} ms"
    rows = {
        "first load, compressed, heads included": f"{sum(sizes.values()) / 1000:.1f} KB in {len(sizes)} answers",
        f"time to interactive, processor {slowdown} times slower, middle of {len(loads)}": f"{interactive_ms:,.0f} ms",
        "… of that, what a page with nothing on it takes": f"{median(empty_ms):,.0f} ms",
        f"longest task while scrolling through {scroll.cases:,} queued cases": longest,
        "rows in the page at most, meanwhile": str(scroll.most_rows),
        f"from the empty form to the answer, beside giving {answered.fields} values": (
            f"{answered.by_mouse} click, or {answered.by_keyboard} key presses"
        ),
    }
    return "\n".join(["| what | seen |", "|---|---|", *(f"| {what} | {seen} |" for what, seen in rows.items())])
