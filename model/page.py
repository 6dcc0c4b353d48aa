"""HTML of the reports: a page that needs nothing but itself, on a screen and on paper. Every text is escaped here."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

NOTHING = "\N{EN DASH}"  # in a cell that has no number
_STYLE = """
body { font: 15px/1.5 Georgia, 'Times New Roman', serif; color: #111 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.9rem; margin-bottom: .2rem } h2 { border-bottom: 1px solid #111; margin-top: 2.6rem }
h1, h2, h3, th, nav, svg, figcaption { font-family: 'Helvetica Neue', Arial, sans-serif }
table { border-collapse: collapse; margin: .8rem 0; font-size: .87rem; width: 100% }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #bbb; vertical-align: top }
th { border-bottom: 1px solid #111 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
td { white-space: pre-line } .hashes td { overflow-wrap: anywhere }
tr, figure { break-inside: avoid } a { color: inherit } .lead { color: #444 }
figure { margin: .6rem 0 } figcaption { font-size: .8rem; font-weight: bold }
.figures { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem 1.4rem }
svg { width: 100%; height: auto; font-size: 11px } nav { font-size: .87rem; columns: 3 } nav a { display: block }
.sign td { height: 2.6rem; vertical-align: bottom }
@media (max-width: 40rem) { .figures { grid-template-columns: 1fr } nav { columns: 1 } body { margin: 1rem auto } }
@media print { body { font-size: 10pt; max-width: none; margin: 0; padding: 0 } h2, h3 { break-after: avoid } }
@page { margin: 18mm 16mm }
"""


class Section(NamedTuple):
    """`body` is HTML that this module's functions made."""

    name: str
    title: str
    body: str


def page(title: str, lead: str, sections: Sequence[Section]) -> bytes:
    """The whole document in UTF-8, with a table of contents."""
    contents = "".join(f'<a href="#{escape(section.name)}">{escape(section.title)}</a>' for section in sections)
    bodies = "".join(
        f'<section id="{escape(section.name)}"><h2>{escape(section.title)}</h2>{section.body}</section>\n'
        for section in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f'<body><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p><nav>{contents}</nav>\n{bodies}'
        "</body></html>\n"
    ).encode()


def number(value: float | None, form: str) -> str:
    """The value in a format of Python's, or a dash where there is none."""
    return NOTHING if value is None or not math.isfinite(value) else format(value, form)


def plain(value: float) -> str:
    """A number as people write it: whole ones in full, others to four digits."""
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):,}" if abs(value) >= 10_000 else f"{round(value)}"
    return f"{value:.4g}"


def paragraph(*sentences: str) -> str:
    text = " ".join(sentences).replace(" %", "\N{NO-BREAK SPACE}%")
    return f"<p>{escape(text)}</p>"


def heading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def listing(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1, kind: str = "") -> str:
    """The first `words` columns are text, the others numbers, set to the right."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        kinds = ["" if column < words else ' class="n"' for column in range(len(texts))]
        return "".join(f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in zip(kinds, texts, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<table class="{escape(kind)}"><thead><tr>{cells("th", header)}</tr></thead><tbody>{body}</tbody></table>'


def figures(*charts: tuple[str, str]) -> str:
    """Charts (caption, SVG of model/charts.py) side by side."""
    drawn = "".join(f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>" for caption, svg in charts)
    return f'<div class="figures">{drawn}</div>'
