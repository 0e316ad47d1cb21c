"""`rogatory notices`: who was told or is still to be told, over the notifier's HTTP; what waits longest comes first."""

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.of_notifier import ask, print_answer
from cli.options import AsJson, Data, NotifierUrl, Token

if TYPE_CHECKING:
    from cli.asking import Answer

Where = tuple[str | None, str | None, Path | None]

notices = typer.Typer(help="Look at notices: one with its story, or a list.", no_args_is_help=True)


@notices.command("list")
def list_notices(
    status: Annotated[
        str | None, typer.Option("--status", help="Only in this status, such as waiting, failed or delivered.")
    ] = None,
    about: Annotated[str | None, typer.Option("--about", metavar="ID", help="Only about this case or alert.")] = None,
    acknowledged: Annotated[
        bool | None, typer.Option("--acknowledged/--unacknowledged", help="Only those that somebody has acknowledged.")
    ] = None,
    unsent: Annotated[
        bool | None, typer.Option("--unsent/--sent", help="Only what is still to be sent, or only the rest.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many at most.")] = 100,
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List notices: first what is still to be sent, then the rest, each the oldest first."""
    query = {name: value for name, value in (("status", status), ("about", about)) if value is not None}
    query |= {"acknowledged": str(acknowledged).lower()} if acknowledged is not None else {}
    parts = (True, False) if unsent is None else (unsent,)
    found: dict[str, dict[str, Any]] = {}
    simulated: str | None = None
    for page in _pages((url, token, data), query, parts):
        simulated = page.simulated
        for one in page.data["notices"]:
            found.setdefault(one["notice"], one)  # one that is sent while we ask stands in both parts
        if len(found) > limit:
            break
    shown, are_more = list(islice(found.values(), limit)), len(found) > limit
    if as_json:
        more = {"simulated_time": simulated} if simulated else {}
        typer.echo(json.dumps({"notices": shown, "more": are_more, **more}, indent=2, ensure_ascii=False))
    else:
        _print_table(shown, are_more, simulated)


@notices.command()
def show(
    notice: Annotated[str, typer.Argument(metavar="ID", help="The notice, such as not_...")],
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Tell one notice: whom it tells what, how its sending went, who took it, and everything that happened to it."""
    from cli.notices_words import told

    answer = ask((url, token, data), "GET", "notice", notice)
    print_answer(answer, as_json, *told(answer.data))


def _pages(where: Where, query: Mapping[str, str], parts: tuple[bool, ...]) -> Iterator["Answer"]:
    for unsent in parts:
        asked: dict[str, str] = {**query, "unsent": str(unsent).lower()}
        while True:
            page = ask(where, "GET", "notice", query=asked)
            yield page
            if page.data["next"] is None:
                break
            asked["after"] = page.data["next"]


def _print_table(shown: list[dict[str, Any]], are_more: bool, simulated: str | None) -> None:
    from rich.console import Console

    from cli.notices_words import notice_table
    from cli.telling import moment

    if shown:
        # Into a file or a pipe nothing is shortened.
        Console(width=None if sys.stdout.isatty() else 240).print(notice_table(shown))
    count = f"{len(shown)} notice{'' if len(shown) == 1 else 's'}" if shown else "No notice matches"
    typer.echo(count + ("; there are more: --limit." if are_more else "."))
    if simulated:
        typer.echo(f"* SIMULATED TIME, now {moment(simulated)}: nothing here is meant in earnest.")
