"""`rogatory roster`: whether the duty roster is sound, who is on duty, and what the next weeks look like."""

import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import At
from shared.failures import BadStart
from shared.yaml_file import did_you_mean, quoted

if TYPE_CHECKING:
    from rich.console import Console

    from services.notifier.duty.roster import Roster

ROSTER = Path("roster.yaml")
NO = 1
IN_A_FILE = 120
"""Columns where nobody's window says how many there are."""

Rota = Annotated[str | None, typer.Argument(metavar="[ROTA]", help="One rota; all of them unless told.")]
File = Annotated[Path | None, typer.Option("--file", help="The roster; ROGATORY_ROSTER or roster.yaml unless told.")]
From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day; today unless told.")]
Days = Annotated[int, typer.Option("--days", min=1, max=3660, help="How many days to look at.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

roster = typer.Typer(help="Check the duty roster, and see who is on duty and who is next.", no_args_is_help=True)


@roster.command()
def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The roster; ROGATORY_ROSTER or roster.yaml unless told."),
    ] = None,
    first: From = None,
    days: Days = 90,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a roster, when nobody is on duty, and how many hours each person is; exit 1 for either."""
    from cli.roster_table import gap_in_words, gaps_as_json, hours, hours_as_json, hours_table
    from services.notifier.duty.roster import load_roster

    path = roster_file(file)
    if not path.is_file():
        raise BadStart(f"{path}: this is no file" if path.exists() else f"{path}: there is no such file")
    try:
        loaded = load_roster(path)
    except BadStart as faults:
        _print_faults(path, str(faults).splitlines(), as_json)
        raise typer.Exit(NO) from None
    since, until = _span(loaded, first, days)
    gaps, held = loaded.gaps(since, until), hours(loaded, since, until)
    if as_json:
        found = {"gaps": gaps_as_json(loaded, gaps), "hours": hours_as_json(held)}
        _print_json({"file": str(path), "sound": True, "faults": [], **_span_as_json(since, until), **found})
    else:
        _console().print(hours_table(loaded, held))
        for gap in gaps:
            typer.echo(gap_in_words(loaded, gap))
        counted = f"{len(gaps)} gap{'s' if len(gaps) > 1 else ''}" if gaps else "no gap"
        many = f"{days} days" if days > 1 else "day"
        typer.echo(f"{path}: sound, {counted} in the {many} from {since.astimezone(loaded.zone):%Y-%m-%d}")
    raise typer.Exit(NO if gaps else 0)


def _print_faults(path: Path, faults: Sequence[str], as_json: bool) -> None:
    if as_json:
        _print_json({"file": str(path), "sound": False, "faults": faults})
        return
    for fault in faults:
        typer.echo(fault)
    typer.echo(f"{path}: not sound, {len(faults)} to correct")


@roster.command()
def who(
    rota: Rota = None,
    at: At = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Say who is on duty, until when, and who is next; exit 1 if that is somebody who stands in because nobody is."""
    from cli.roster_table import on_duty_as_json, on_duty_table

    loaded, rotas = _loaded(file, rota)
    moment = moment_of(loaded, at)
    turns = {name: loaded.on_duty(name, moment) for name in rotas}
    if as_json:
        _print_json(on_duty_as_json(loaded, turns, moment))
    else:
        typer.echo(f"{moment.astimezone(loaded.zone):%a %Y-%m-%d %H:%M} in {loaded.zone}")
        _console().print(on_duty_table(loaded, turns))
    raise typer.Exit(NO if any(turn.stands_in for turn in turns.values()) else 0)


@roster.command()
def show(rota: Rota = None, first: From = None, days: Days = 14, file: File = None, as_json: AsJson = False) -> None:
    """Show the turns of the next days as a calendar: one band for each rota, one colour for each person."""
    from cli.roster_picture import picture
    from cli.roster_table import turns_as_json

    loaded, rotas = _loaded(file, rota)
    since, until = _span(loaded, first, days)
    if as_json:
        _print_json({**_span_as_json(since, until), "turns": turns_as_json(loaded, rotas, since, until)})
        return
    console = _console()
    start = since.astimezone(loaded.zone).date()
    for line in picture(loaded, rotas, start, days, datetime.now(UTC), console.width):
        console.print(line, no_wrap=True, crop=False)


def roster_file(told: Path | None) -> Path:
    """The roster that is meant: what a command is told, or else the environment's, or the project's."""
    if told or (told := Path(named) if (named := os.environ.get("ROGATORY_ROSTER")) else None):
        return told
    if not ROSTER.is_file():
        raise BadStart(f"{ROSTER} not found: run it in the project's folder or set ROGATORY_ROSTER")
    return ROSTER


def _loaded(file: Path | None, rota: str | None) -> "tuple[Roster, Sequence[str]]":
    from services.notifier.duty.roster import load_roster

    loaded = load_roster(roster_file(file))
    if rota is not None and rota not in loaded.rotas:
        raise BadStart(f"the roster has no rota {quoted(rota)}{did_you_mean(rota, loaded.rotas)}")
    return loaded, [rota] if rota else list(loaded.rotas)


def _span(loaded: "Roster", first: str | None, days: int) -> tuple[datetime, datetime]:
    """Whole days of the roster's zone, in UTC."""
    from services.notifier.duty.roster import wall_clock

    try:
        day = date.fromisoformat(first) if first else datetime.now(loaded.zone).date()
    except ValueError:
        raise BadStart(f"--from takes a day such as 2026-02-23, not {quoted(first)}") from None
    try:
        since, until = (datetime.combine(one, time()) for one in (day, day + timedelta(days=days)))
        return wall_clock(since, loaded.zone), wall_clock(until, loaded.zone)
    except OverflowError:
        raise BadStart(f"--from takes a day that has days after it, not {quoted(first)}") from None


def moment_of(loaded: "Roster", at: str | None) -> datetime:
    """What --at means: a moment with its zone, or what the roster's clocks show; now unless told."""
    from services.notifier.duty.roster import wall_clock

    if at is None:
        return datetime.now(UTC)
    try:
        if not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", at):
            raise ValueError
        moment = datetime.fromisoformat(at)
        return moment.astimezone(UTC) if moment.tzinfo else wall_clock(moment, loaded.zone)
    except (ValueError, OverflowError):
        raise BadStart(f"--at takes a time such as 2026-12-31 20:00, not {quoted(at)}") from None


def _span_as_json(since: datetime, until: datetime) -> dict[str, str]:
    from shared.times import text_of

    return {"since": text_of(since), "until": text_of(until)}


def _print_json(answer: Any) -> None:
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else IN_A_FILE)
