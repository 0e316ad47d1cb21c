"""`rogatory case`: one case as a person would tell it, or a list of them, over the router's HTTP."""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import AsJson, Data, Token, stop
from shared.failures import BadStart
from shared.vocabulary import DESK

Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The router; ROGATORY_ROUTER_URL, or the local stack's.")
]
Who = Annotated[str, typer.Option("--as", metavar="AUTHORITY", help="With the local stack's tokens: whose.")]

case = typer.Typer(help="Look at cases: one with its story, or a list.", no_args_is_help=True)


@case.command()
def show(
    case: Annotated[str, typer.Argument(metavar="ID", help="The case, such as cas_...")],
    url: Url = None,
    token: Token = None,
    who: Who = DESK,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Tell one case: how it stands and why, its clocks, what is missing, what happened, what could be done now."""
    from cli.case_router import NoAnswer
    from cli.case_story import told

    try:
        answer = _router(url, token, data, who).case(case)
    except (NoAnswer, BadStart) as failure:
        stop(failure)
    if as_json:
        typer.echo(json.dumps(answer.as_json(), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(told(answer.data, answer.simulated)))


@case.command("list")
def list_cases(
    status: Annotated[str | None, typer.Option("--status", help="Only in this status, such as triage.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only where a deadline has passed undone.")] = False,
    type: Annotated[str | None, typer.Option("--type", help="Only of this request type.")] = None,
    party: Annotated[str | None, typer.Option("--party", help="Only from or to this State (FR).")] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Only under this foreign reference.")] = None,
    authority: Annotated[str | None, typer.Option("--authority", help="Only with this authority.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="So many at most; all unless told.")] = None,
    url: Url = None,
    token: Token = None,
    who: Who = DESK,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List cases in the order in which their letters came, with what each waits for next."""
    from cli.case_router import NoAnswer

    named = {"status": status, "type": type, "party": party, "reference": reference, "authority": authority}
    query = {name: value for name, value in named.items() if value is not None}
    query |= {"overdue": "true"} if overdue else {}
    cases: list[dict[str, Any]] = []
    simulated: str | None = None
    try:
        for page in _router(url, token, data, who).pages(query):
            cases += page.data["cases"]
            simulated = page.simulated
            if limit is not None and len(cases) > limit:
                break
    except (NoAnswer, BadStart) as failure:
        stop(failure)
    shown = list(islice(cases, limit))
    if as_json:
        more = {"simulated_time": simulated} if simulated else {}
        typer.echo(json.dumps({"cases": shown, "more": len(cases) > len(shown), **more}, indent=2, ensure_ascii=False))
    else:
        _print_table(shown, len(cases) > len(shown), simulated)


def _print_table(cases: list[dict[str, Any]], are_more: bool, simulated: str | None) -> None:
    from rich.console import Console

    from cli.case_table import case_table
    from cli.telling import moment

    if cases:
        # Into a file or a pipe nothing is shortened.
        Console(width=None if sys.stdout.isatty() else 240).print(case_table(cases, simulated))
    count = "No case matches." if not cases else f"{len(cases)} case{'s' if len(cases) > 1 else ''}"
    typer.echo(count + ("; there are more." if are_more else "." if cases else ""))
    if simulated:
        typer.echo(f"* SIMULATED TIME, now {moment(simulated)}: nothing here is meant in earnest.")


def _router(url: str | None, token: str | None, data: Path | None, who: str) -> Any:
    from cli.case_router import Router, find_router

    return Router(*find_router(url, token, data, who))
