"""A picture of rates: one bar for each part, on a scale where every step is ten times as much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _WIDTH, _RIGHT, _ROW, _TOP, _BOTTOM = 250, 500, 190, 30, 64, 34
_INK, _FAINT = "#57606a", "#8c959f"
"""Read on white and on black alike."""
_NOW, _MOST, _ASKED = "#2f81f7", "#2f81f755", "#d1242f"


@dataclass(frozen=True, slots=True)
class Bar:
    """One part: where it gives as it is, and where with as many as can be."""

    name: str
    now: float
    most: float | None


def drawn(title: str, bars: Sequence[Bar], asked: Sequence[int]) -> str:
    """The picture as SVG; `asked`: rates that are marked."""
    highest = max([*asked, *(max(bar.now, bar.most or 0) for bar in bars)])
    lowest = min([*asked, *(bar.now for bar in bars)])
    first, last = math.floor(math.log10(lowest) - 0.01), math.ceil(math.log10(highest))

    def at(rate: float) -> float:
        return round(_LEFT + _WIDTH * (math.log10(rate) - first) / (last - first), 1)

    height = _TOP + _ROW * len(bars) + _BOTTOM
    bottom = height - _BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        _text(16, 24, title, _INK, weight="600"),
    ]
    for power in range(first, last + 1):
        x = at(10**power)
        lines.append(f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{bottom}" stroke="{_FAINT}" stroke-opacity="0.35"/>')
        lines.append(_text(x, bottom + 20, f"{10**power:,}", _FAINT, anchor="middle"))
    for number, bar in enumerate(bars):
        y = _TOP + number * _ROW
        lines.append(_text(_LEFT - 12, y + 15, bar.name, _INK, anchor="end"))
        for rate, colour in ((bar.most, _MOST), (bar.now, _NOW)):
            if rate is not None:
                width = round(at(rate) - _LEFT, 1)
                lines.append(f'<rect x="{_LEFT}" y="{y + 2}" width="{width}" height="18" rx="3" fill="{colour}"/>')
        lines.append(_text(_LEFT + _WIDTH + 12, y + 15, _says(bar), _INK))
    for rate in asked:
        x = at(rate)
        lines.append(
            f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{bottom}" stroke="{_ASKED}" stroke-dasharray="4 3"/>'
        )
        lines.append(_text(x, _TOP - 14, f"{rate:,}/s", _ASKED, anchor="middle"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _says(bar: Bar) -> str:
    return f"{bar.now:,.0f}" + (f", at most {bar.most:,.0f}" if bar.most is not None else "")


def _text(x: float, y: float, says: str, colour: str, anchor: str = "start", weight: str = "400") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(says)}</text>'
