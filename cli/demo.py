"""`rogatory demo`: the whole system on this machine, and the sample letters through its real doors."""

import asyncio
import os
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared import times

if TYPE_CHECKING:
    from deploy.local.stack import Stack

_SAID = "Assumed for this demo: the UN Convention against Cybercrime is in force. Today it is not."
_TIME_SAID = "The time is simulated: it begins on the first letter's day and runs fast. No date shown is real."
_SIMULATION = {"ROGATORY_SIMULATION": "true"}
_SCRIPT = "authorities.yaml"
_ASSUMPTIONS = "ROGATORY_LAW_ASSUMPTIONS"


def demo(
    once: Annotated[bool, typer.Option("--once", help="One line per case, then stop: exit 0 if all is right.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the data of the last run.")] = False,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="A Kafka of your own.")] = None,
    mongo: Annotated[str | None, typer.Option(metavar="URI", help="A MongoDB of your own, a replica set.")] = None,
    data: Annotated[Path | None, typer.Option(hidden=True, help="Where data, tokens and logs go.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the cases as one line of JSON.")] = False,
    picture: Annotated[Path | None, typer.Option(hidden=True, help="Draw the table as SVG into this file.")] = None,
) -> None:
    """Start everything, file the fifteen sample letters in a simulated time, and show what becomes of each."""
    # Imported here, for the other commands do without the second that it takes.
    from cli.demo_letters import load_samples, samples_folder
    from cli.screen import terminal
    from deploy.local.processes import signals_interrupt
    from deploy.local.stack import Stack
    from simulate.script import load_script

    samples, screen = load_samples(samples_folder()), terminal()
    script = load_script(samples_folder() / _SCRIPT)
    _assume_in_force()
    stack = Stack(data, keep=keep, kafka=kafka, mongo=mongo, settings=_SIMULATION, screen=screen)
    fresh, right = not (keep or kafka or mongo), False
    try:
        with signals_interrupt(), ExitStack() as holds:
            typer.echo(_SAID, err=True)
            typer.echo(_TIME_SAID, err=True)
            with screen.shown():
                holds.enter_context(stack)
            from cli.demo_show import Show

            show = Show(stack, samples, script, fresh=fresh, once=once, as_json=as_json)
            began = times.now()
            right = asyncio.run(show.run())
            if once:
                right &= _verified(stack, None if fresh else began)
            if picture:
                from cli.demo_picture import drawn

                picture.write_text(drawn(show.rows()), encoding="utf-8")
    except KeyboardInterrupt:
        screen.note("stopped, nothing is left running")
        right = not once
    if not right:
        raise typer.Exit(1)


def _verified(stack: "Stack", since: datetime | None) -> bool:
    """Whether nothing was lost, counted a second time; where data were there before, of this run alone."""
    from cli.verify import run
    from verify.telling import sentences

    told = stack.deployment.settings(stack.kafka_address, stack.mongo_uri, stack.webhook_url)
    report = run(told, since=since)
    for line in sentences(report):
        typer.echo(line, err=True)
    return report.is_right


def _assume_in_force() -> None:
    """Without this assumption no sample but those under older treaties has a legal basis."""
    from deploy.local.jars import ROOT

    named = [name for name in os.environ.get(_ASSUMPTIONS, "").split(",") if name]
    assumed = str(ROOT / "laws" / "assumptions" / "in-force.yaml")
    os.environ[_ASSUMPTIONS] = ",".join(dict.fromkeys([*named, assumed]))
