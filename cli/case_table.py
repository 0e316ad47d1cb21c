"""Cases as a table: one row each, with what it waits for next."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.telling import KINDS, moment, span, words


def case_table(cases: Sequence[Mapping[str, Any]], simulated: str | None) -> Table:
    """One row per case, in the order in which they came."""
    mark = "*" if simulated else ""
    table = Table(box=None, pad_edge=False)
    for title in ("case", "State", "type", "urgency", "status", "with", f"received{mark}", "next clock", "missing"):
        table.add_column(title, no_wrap=title in ("case", "status", "with"))
    for case in cases:
        arrow = "→" if case["direction"] == "outgoing" else ""
        table.add_row(
            case["case"],
            f"{arrow}{case['party']}",
            words(case["type"]),
            case["urgency"],
            Text(words(case["status"]), "magenta" if case["status"] == "triage" else ""),
            case["authority"],
            moment(case["received_at"]),
            next_clock(case),
            str(len(case["missing"]) or ""),
        )
    return table


def next_clock(case: Mapping[str, Any]) -> Text:
    """What was missed and is not done yet, or else what is due next; always with its kind."""
    missed = [clock for clock in case["clocks"] if clock["status"] == "missed" and clock["stopped_at"] is None]
    missed = missed if case["overdue"] else []
    running = [clock for clock in case["clocks"] if clock["status"] == "running"]
    if not (found := missed or running):
        return Text("")
    first = min(found, key=lambda clock: clock["due"])
    left = first["left_seconds"] or 0
    when = f"OVERDUE {span(left)}" if missed or left < 0 else f"in {span(left)}"
    more = f" (+{len(found) - 1})" if missed and len(found) > 1 else ""
    return Text(
        f"{words(first['clock'])} {when}, {KINDS[first['kind']]}{more}", "bold red" if "OVERDUE" in when else ""
    )
