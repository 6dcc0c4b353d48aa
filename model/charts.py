"""Data → an inline SVG, as a string. No plotting library: a chart is lines, bars or intervals between two axes.

Lines differ by dash and bars by shade, so that a chart reads in black and white. What is not finite is left out, and
what lies outside an axis is drawn at its edge: no input makes a chart that a browser cannot draw.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from model.intervals import Interval
from model.page import plain

WIDTH, HEIGHT = 420, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 24, 44  # margins; the legend stands in the one at the top
_CHARACTER = 5.8  # width of an average one at the charts' font size
_ROW = 20  # height of a row of intervals
_HUGE = 1e300  # beyond it, differences are no numbers any more
# like size and background for charts that stand alone, in a file or a notebook; a page's style goes before attributes
_FONT = 'font-family="Helvetica Neue, Arial, sans-serif" font-size="11"'
DASHES = ("", "6 3", "2 3", "9 3 2 3")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SHADES = ("#444", "#999", "#ccc")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures and from where to where; `percent` writes 0.25 as 25 %."""

    label: str
    low: float
    high: float
    percent: bool = False

    @classmethod
    def over(cls, label: str, values: Iterable[float], percent: bool = False, zero: bool = False) -> "Axis":
        """An axis that holds all finite values, and 0 if it must."""
        finite = [min(max(value, -_HUGE), _HUGE) for value in _finite(values)] + ([0.0] if zero else [])
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        if not high / 2 - low / 2 > abs(high) * 1e-9:  # nothing to tell apart
            low, high = low - max(abs(low) * 0.1, 0.5), high + max(abs(high) * 0.1, 0.5)
        return cls(label, low, high, percent)

    def place(self, value: float) -> float:
        """0 at the axis' start, 1 at its end, and never beyond."""
        span = self.high / 2 - self.low / 2
        return min(1.0, max(0.0, (value / 2 - self.low / 2) / span)) if span > 0 else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """Round values on the axis, four to eight of them, with their text."""
        span = self.high / 2 - self.low / 2
        power = 10.0 ** math.floor(math.log10(span / 2)) if span > 1e-290 else 0.0
        step = next((power * factor for factor in (1, 2, 2.5, 5, 10) if span * 2 <= 6 * power * factor), 0.0)
        first = math.ceil(self.low / step - 1e-9) if step else 0
        last = math.floor(self.high / step + 1e-9) if step else -1
        return [(number * step, self.text(number * step)) for number in range(first, min(last, first + 8) + 1)]

    def text(self, value: float) -> str:
        return f"{value:.0%}" if self.percent else plain(value)


class Line(NamedTuple):
    """`label` appears in the legend unless empty; `whiskers` are (x, low, high); `marks` draws a dot at each point."""

    label: str
    points: Points
    marks: bool = False
    joined: bool = True
    whiskers: Sequence[tuple[float, float, float]] = ()
    light: bool = False


def lines(title: str, x: Axis, y: Axis, drawn: Sequence[Line], rug: Sequence[float] = ()) -> str:
    """Lines between two axes; `rug` marks values on the horizontal one."""
    parts = _axes(x, y)
    dashes = 0
    legend = []
    for line in drawn:
        stroke = "#999" if line.light else "#000"
        dash = DASHES[dashes % len(DASHES)] if not line.light else "1 3"
        dashes += not line.light
        points = [(_across(x, a), _up(y, b)) for a, b in line.points if math.isfinite(a) and math.isfinite(b)]
        if line.joined and len(points) > 1:
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-dasharray="{dash}"/>')
        if line.marks:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in points]
        for a, low, high in line.whiskers:
            if math.isfinite(a) and math.isfinite(low) and math.isfinite(high):
                at = _across(x, a)
                parts.append(_line(at, _up(y, low), at, _up(y, high)))
        if line.label:
            legend.append((line.label, dash, stroke))
    parts += [_line(_across(x, value), _up(y, y.low), _across(x, value), _up(y, y.low) - 6) for value in _finite(rug)]
    room = (WIDTH - _LEFT - _RIGHT) / max(1, len(legend))
    for number, (label, dash, stroke) in enumerate(legend):
        at = _LEFT + room * number
        parts.append(
            f'<line x1="{at:.1f}" y1="8" x2="{at + 20:.1f}" y2="8" stroke="{stroke}" stroke-dasharray="{dash}"/>'
            + _text(at + 24, 12, _cut(label, room - 28))
        )
    return _svg(title, WIDTH, HEIGHT, parts)


def bars(title: str, label: str, y: Axis, names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Groups of bars, a group for each name (of one or two rows of text) and a bar in it for each series."""
    parts = _axes(None, y, label)
    room = (WIDTH - _LEFT - _RIGHT) / max(1, len(names))
    wide = min(40.0, room * 0.8 / max(1, len(series)))
    floor = _up(y, max(y.low, min(0.0, y.high)))
    for place, name in enumerate(names):
        middle = _LEFT + room * (place + 0.5)
        for number, (_, values) in enumerate(series):
            if not math.isfinite(values[place]):
                continue
            top = _up(y, values[place])
            left = middle + wide * (number - len(series) / 2)
            parts.append(
                f'<rect x="{left:.1f}" y="{min(top, floor):.1f}" width="{wide:.1f}" height="{abs(floor - top):.1f}" '
                f'fill="{SHADES[number % len(SHADES)]}" stroke="#000" stroke-width="0.5"/>'
            )
            if len(names) * len(series) <= 12:
                parts.append(_text(left + wide / 2, max(_TOP - 3, top - 4), y.text(values[place]), "middle"))
        for row, text in enumerate(name.split("\n")[:2]):
            parts.append(_text(middle, HEIGHT - _BOTTOM + 12 + 11 * row, _cut(text, room), "middle"))
    for number, (name, _) in enumerate(series if len(series) > 1 else ()):
        at, shade = _LEFT + 110 * number, SHADES[number % len(SHADES)]
        parts.append(f'<rect x="{at}" y="3" width="9" height="9" fill="{shade}"/>{_text(at + 14, 12, _cut(name, 92))}')
    return _svg(title, WIDTH, HEIGHT, parts)


def intervals(title: str, x: Axis, rows: Sequence[tuple[str, Interval]], references: Iterable[float] = ()) -> str:
    """A row for each name with its value and interval; each of `references` is a dotted line through all of them."""
    left, top = 150, 6
    height = top + _ROW * max(1, len(rows)) + _BOTTOM
    floor = height - _BOTTOM

    def across(value: float) -> float:
        return left + x.place(value) * (WIDTH - left - _RIGHT)

    parts = [_line(left, floor, WIDTH - _RIGHT, floor)]
    for value, text in x.ticks():
        parts += [
            _line(across(value), floor, across(value), floor + 4),
            _text(across(value), floor + 15, text, "middle"),
        ]
    parts.append(_text((left + WIDTH - _RIGHT) / 2, height - 8, x.label, "middle"))
    for at in map(across, _finite(references)):
        parts.append(
            f'<line x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{floor}" stroke="#000" stroke-dasharray="2 3"/>'
        )
    for number, (name, (value, low, high)) in enumerate(rows):
        at = top + _ROW * (number + 0.5)
        parts.append(_text(left - 8, at + 4, _cut(name, left - 12), "end"))
        if math.isfinite(low) and math.isfinite(high):
            parts.append(_line(across(low), at, across(high), at))
        if math.isfinite(value):
            parts.append(f'<circle cx="{across(value):.1f}" cy="{at:.1f}" r="3"/>')
    return _svg(title, WIDTH, height, parts)


def _axes(x: Axis | None, y: Axis, x_label: str = "") -> list[str]:
    floor, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = [_line(_LEFT, floor, right, floor), _line(_LEFT, _TOP, _LEFT, floor)]
    for value, text in y.ticks():
        at = _up(y, value)
        parts += [_line(_LEFT - 4, at, _LEFT, at), _text(_LEFT - 7, at + 4, text, "end")]
    for value, text in x.ticks() if x else ():
        at = _across(x, value) if x else 0
        parts += [_line(at, floor, at, floor + 4), _text(at, floor + 15, text, "middle")]
    parts.append(_text((_LEFT + right) / 2, HEIGHT - 8, x.label if x else x_label, "middle"))
    middle = (_TOP + floor) / 2
    parts.append(_text(12, middle, y.label, "middle", f' transform="rotate(-90 12 {middle:.1f})"'))
    return parts


def _across(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (WIDTH - _LEFT - _RIGHT)


def _up(axis: Axis, value: float) -> float:
    return HEIGHT - _BOTTOM - axis.place(value) * (HEIGHT - _BOTTOM - _TOP)


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _cut(text: str, room: float) -> str:
    most = max(2, int(room / _CHARACTER))
    return text if len(text) <= most else text[: most - 1] + "…"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#000"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    size = f'width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} {_FONT} role="img">'
        f'<title>{_escaped(title)}</title><rect x="0" y="0" {size} fill="#fff"/>{"".join(parts)}</svg>'
    )
