"""`rogatory simulate ROLE`: an authority, the desk, an agency or the gateways, as a script plays them over Kafka."""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.failures import BadStart

if TYPE_CHECKING:
    from simulate.play import Play

SCRIPT = Path("samples/authorities.yaml")
_QUIET = 1.0
"""Seconds of silence after which `--once` has nothing more to wait for."""


def simulate(
    role: Annotated[str, typer.Argument(help="An authority of the law file, `desk`, an agency, or `gateway` for all.")],
    kafka: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", envvar="ROGATORY_KAFKA", help="Where Kafka is.")
    ] = None,
    script: Annotated[Path, typer.Option(help="What it says when it hears what.")] = SCRIPT,
    pace: Annotated[float, typer.Option(min=0.0, help="By what the script's pauses are multiplied.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Answer what is there, then stop.")] = False,
) -> None:
    """Answer as an authority, the desk or a gateway would, by a script: for demonstrations and rehearsals."""
    # Imported here, for the other commands do without the moment that it takes.
    from deploy.local.processes import signals_interrupt
    from shared.law import load_law
    from shared.partners import load_partners
    from shared.topics import all_topics
    from simulate.actor import Actor
    from simulate.play import Play
    from simulate.roles import role_of
    from simulate.script import load_script

    if kafka is None:
        raise BadStart("where is Kafka? Say --kafka HOST:PORT or set ROGATORY_KAFKA")
    partners = load_partners(Path(os.environ.get("ROGATORY_PARTNERS", "partners.yaml")))
    law = load_law(Path(os.environ.get("ROGATORY_LAW", partners.law_file)))
    part, rules = role_of(role, law, partners), load_script(script).get(role)
    if rules is None:
        raise BadStart(f"{script} has no part for {role}")
    partitions = all_topics(law.authorities, partners.agencies, partners.subscribers)
    play = Play([Actor(part, rules)], lambda line: print(line, flush=True), pace)
    try:
        with signals_interrupt():
            asyncio.run(_run(play, kafka, partitions, once))
    except KeyboardInterrupt:
        print("stopped", flush=True)


async def _run(play: "Play", kafka: str, partitions: Mapping[str, int], once: bool) -> None:
    def is_enough() -> bool:
        return once and not play.is_speaking() and time.monotonic() - play.stirred_at > _QUIET

    async with play.speaking(kafka):
        await play.listen(kafka, partitions, is_enough)
