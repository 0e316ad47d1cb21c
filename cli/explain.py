"""`rogatory explain`: who is competent for a request type, and why."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from shared.failures import BadStart
from shared.law import Competence, Law, load_law
from shared.partners import load_partners
from shared.states import STATES
from shared.vocabulary import DESK, Direction
from shared.yaml_file import did_you_mean, quoted

PARTNERS = Path("partners.yaml")
WRONG_USE = 2

_CONVENTION_IS_NOT_IN_FORCE = "uncc is not recorded as in force"
_HINT = "`--assume laws/assumptions/in-force.yaml` answers as the samples do"


def explain(
    type: Annotated[str, typer.Option("--type", help="A request type, as the law file calls it.")],
    direction: Annotated[Direction, typer.Option("--direction", help="Whether the letter comes from or goes abroad.")],
    party: Annotated[
        str | None, typer.Option("--party", help="The other State (FR): checks the legal basis between the two.")
    ] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="DAY", help="The day; today unless told.")] = None,
    treaty: Annotated[
        list[str] | None, typer.Option("--treaty", help="A treaty that the letter cites; may be given again.")
    ] = None,
    law: Annotated[
        Path | None,
        typer.Option(
            "--law", envvar="ROGATORY_LAW", help="The law file; ROGATORY_PARTNERS, or partners.yaml, names it."
        ),
    ] = None,
    assume: Annotated[
        list[Path] | None,
        typer.Option(
            "--assume",
            help="A file of assumptions; may be given again. ROGATORY_LAW_ASSUMPTIONS (comma separated) unless told.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which authority the law names for a request type, by which rule, on what basis and how certainly."""
    try:
        loaded = load_law(law or load_partners(_partners_file()).law_file, assume or _assumptions())
    except BadStart as failure:
        _wrong_use(str(failure))
    day = _day(on, loaded)
    if type not in loaded.request_types:
        _wrong_use(f"the law file has no request type {quoted(type)}{did_you_mean(type, loaded.request_types)}")
    if party is not None and party not in STATES:
        _wrong_use(f"--party takes the two capital letters of a State such as FR, not {quoted(party)}")
    answer = loaded.decide(type, direction, day, party=party, treaty_basis=treaty or ())
    if as_json:
        typer.echo(json.dumps({**answer.as_json(), "sha256": loaded.sha256, "on": day.isoformat()}, indent=2))
    else:
        typer.echo("\n".join(_lines(loaded, answer, day)))


def _lines(law: Law, answer: Competence, day: date) -> Iterator[str]:
    name = "the 24/7 desk" if answer.authority == DESK else law.authorities[answer.authority].name
    yield f"{answer.authority} ({name})"
    yield f"  because      {answer.because}"
    yield f"  rule         {answer.rule}, asked for {day}"
    yield f"  basis        {', '.join(answer.basis)}"
    yield f"  certainty    {answer.certainty}"
    yield f"  legal basis  {answer.gate}"
    if answer.lean:
        yield f"  lean         {answer.lean} (a hint for the desk, never a route)"
    for row in answer.rejected:
        yield f"  rejected     {row.rule}: {row.why}"
    yield f"  law          {law.name} {law.version}, sha256 {law.sha256[:16]}"
    for assumption in law.assumptions:
        yield f"  assumed      {assumption}"
    for warning in law.warnings(_today(law)):
        yield f"  note         {warning}"
    if _CONVENTION_IS_NOT_IN_FORCE in answer.gate and not law.assumptions:
        yield f"  hint         {_HINT}"


def _partners_file() -> Path:
    if told := os.environ.get("ROGATORY_PARTNERS"):
        return Path(told)
    if not PARTNERS.is_file():
        raise BadStart(f"{PARTNERS} not found: run it in the project's folder or set ROGATORY_PARTNERS")
    return PARTNERS


def _assumptions() -> list[Path]:
    return [Path(name) for name in os.environ.get("ROGATORY_LAW_ASSUMPTIONS", "").split(",") if name]


def _day(on: str | None, law: Law) -> date:
    if on is None:
        return _today(law)
    try:
        return date.fromisoformat(on)
    except ValueError:
        _wrong_use(f"--on takes a day such as 2026-02-23, not {quoted(on)}")


def _today(law: Law) -> date:
    return law.day_of(datetime.now(UTC))


def _wrong_use(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(WRONG_USE)
