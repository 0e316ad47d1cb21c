"""The demo's table as a picture for the README: `rogatory demo --once --picture docs/make-run.svg`."""

import io
import re
from collections.abc import Sequence

from rich.console import Console

from cli.demo_board import Row
from cli.demo_table import table

_WIDTH, _HEIGHT = 150, 50


def drawn(rows: Sequence[Row]) -> str:
    """What a terminal of 150 columns shows, as SVG in whatever monospaced font the reader has: it loads nothing."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO())
    console.print(table(rows, _WIDTH, _HEIGHT))
    svg = console.export_svg(title="make run", unique_id="make-run")
    without_fonts = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r" +$", "", without_fonts, flags=re.MULTILINE)
