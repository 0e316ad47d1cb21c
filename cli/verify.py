"""`rogatory verify`: counts a second time, from MongoDB and the topics themselves, that nothing was lost or doubled."""

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, time_of
from shared.failures import BadStart

if TYPE_CHECKING:
    from verify.findings import Report

RIGHT, WRONG = 0, 1
PAUSE = 10.0
"""Seconds between two tries to reach a server that is away."""


def verify(
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only what came since: 2026-11-24T16:00+04:00.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAMES", help="Only these collections, such as letters,cases.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", "--resume", metavar="FOLDER", help="Keep how far it is, and go on from there."),
    ] = None,
    wait: Annotated[
        int, typer.Option("--wait", metavar="MINUTES", min=0, help="How long to wait for a server that is away.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="The folder of the local stack; its settings.")
    ] = None,
    mend_totals: Annotated[
        bool, typer.Option("--mend-totals", help="Only count the running totals anew, and put right what differs.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who puts the totals right.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a deployment: the one that ROGATORY_... names, or the local stack. It writes nothing but mended totals."""
    from verify.telling import sentences

    if mend_totals or by:
        others = {"--since": since, "--only": only, "--state": state, "--wait": wait}
        if told := [name for name, value in others.items() if value]:
            raise BadStart(f"--mend-totals mends all totals and verifies nothing: leave out {', '.join(told)}")
        _mend(settings_of(data), by if mend_totals else None, as_json)
        return

    begin = time_of("--since", since) if since else None
    report = run(settings_of(data), since=begin, only=only, state=state, wait=timedelta(minutes=wait), progress=True)
    if as_json:
        # A line of its own where it is logged.
        typer.echo(json.dumps(report.as_json(), indent=2 if sys.stdout.isatty() else None))
    else:
        for line in sentences(report):
            typer.echo(line)
    if not report.is_right:
        raise typer.Exit(WRONG)


def run(
    environment: Mapping[str, str],
    *,
    since: datetime | None = None,
    only: str | None = None,
    state: Path | None = None,
    wait: timedelta = timedelta(0),
    progress: bool = False,
) -> "Report":
    """Verify what an environment names; raises `BadStart` for wrong use, and where a server is away for too long."""
    # Imported here, for the other commands do without the moment that it takes.
    from cli.verify_progress import shown
    from shared.failures import TryAgain
    from verify.command import verified
    from verify.running import Asked
    from verify.world import COLLECTIONS

    names = tuple(dict.fromkeys(name.strip() for name in only.split(",") if name.strip())) if only else ()
    if unknown := sorted(set(names) - COLLECTIONS.keys()):
        raise BadStart(f"--only knows {', '.join(COLLECTIONS)}, not {', '.join(unknown)}")
    asked = Asked(since, names or tuple(COLLECTIONS))
    until = time.monotonic() + wait.total_seconds()
    with ExitStack() as held:
        kept = state or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="rogatory-verify-")))
        while True:
            try:
                with shown(progress) as told:
                    return verified(environment, asked, kept, told)
            except TryAgain as away:
                if time.monotonic() >= until:
                    again = f"; go on with --state {state}" if state else ""
                    raise BadStart(f"the verification was cut short: {away}{again}") from None
            time.sleep(PAUSE)


def _mend(environment: Mapping[str, str], by: str | None, as_json: bool) -> None:
    """Put the running totals right, and say what they were."""
    from shared.failures import TryAgain
    from verify.command import mended

    if not by:
        raise BadStart("who puts the totals right? Say --mend-totals --by NAME; both stand in what is kept")
    try:
        found = mended(environment, by)
    except TryAgain as away:
        raise BadStart(f"the totals could not be put right: {away}") from None
    if as_json:
        told = {name: {term: list(both) for term, both in differs.items()} for name, differs in found.items()}
        typer.echo(json.dumps({"by": by, "mended": told}, indent=2))
        return
    for name, differs in found.items():
        for term, (was, there_are) in differs.items():
            typer.echo(f"{name}: {term} was {was:,}, and is {there_are:,} now")
    typer.echo("The running totals agree with the records." if not found else f"Put right by {by}.")


def settings_of(data: Path | None) -> Mapping[str, str]:
    """The settings of the local stack in a folder, or the environment's, which wins where no folder is told."""
    from cli.asking import FOLDERS

    folders = (data,) if data else () if "ROGATORY_MONGO" in os.environ else FOLDERS
    for folder in folders:
        file = folder / "environment" / "router.env"
        if file.is_file():
            lines = (shlex.split(line) for line in file.read_text().splitlines())
            return {**os.environ, **dict(one.partition("=")[::2] for line in lines for one in line)}
    if data:
        raise BadStart(f"{data} holds no settings of a local stack")
    if not folders:
        return os.environ
    raise BadStart("what is to be verified? Set ROGATORY_MONGO and the rest, or start a local stack: `rogatory up`")
