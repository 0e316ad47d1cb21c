"""`rogatory explain`: who is competent for a request type, or what becomes of a whole letter, and why."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.law.files import AsJson, Assume, assumptions, law_file
from shared.failures import BadStart
from shared.law import Competence, Law, load_law
from shared.states import STATES
from shared.vocabulary import DESK, Direction
from shared.yaml_file import did_you_mean, quoted

NO, WRONG_USE = 1, 2

_CONVENTION_IS_NOT_IN_FORCE = "uncc is not recorded as in force"
_HINT = "`--assume laws/assumptions/in-force.yaml` answers as the samples do"


def explain(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A whole letter as JSON, `-` for standard input.")
    ] = None,
    type: Annotated[str | None, typer.Option("--type", help="A request type, as the law file calls it.")] = None,
    direction: Annotated[
        Direction | None, typer.Option("--direction", help="Whether the letter comes from or goes abroad.")
    ] = None,
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
    assume: Assume = None,
    as_json: AsJson = False,
) -> None:
    """Say which authority the law names for a request type, by which rule, on what basis and how certainly.

    Of a whole letter: its measures, who gets each, what is missing, which clocks would run.
    """
    try:
        loaded = load_law(law_file(law), assumptions(assume))
    except BadStart as failure:
        _wrong_use(str(failure))
    if file is not None:
        if type or direction or party or treaty:
            _wrong_use("a letter says itself what it asks for: FILE goes with --on, --law, --assume and --json alone")
        _explain_letter(file, on, loaded, as_json)
        return
    if type is None or direction is None:
        _wrong_use("say a letter's FILE, or --type and --direction")
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
    yield from _about(law, [answer.gate])


def _about(law: Law, gates: Sequence[str]) -> Iterator[str]:
    """By which law the answer was given, on what assumptions, and what to know of it."""
    yield f"  law          {law.name} {law.version}, sha256 {law.sha256[:16]}"
    for assumption in law.assumptions:
        yield f"  assumed      {assumption}"
    for warning in law.warnings(_today(law)):
        yield f"  note         {warning}"
    if any(_CONVENTION_IS_NOT_IN_FORCE in gate for gate in gates) and not law.assumptions:
        yield f"  hint         {_HINT}"


def _explain_letter(file: Path, on: str | None, law: Law, as_json: bool) -> None:
    # Imported here: a type alone is explained without what decides on cases.
    from cli.explain_letter import Refused, letter_as_json, letter_lines, read_letter, received_on

    received_at = datetime.now(UTC) if on is None else received_on(_day(on, law), law)
    try:
        measures = read_letter(file, received_at, law)
    except Refused as refused:
        typer.echo(json.dumps(refused.problem, indent=2) if as_json else str(refused), err=not as_json)
        raise typer.Exit(NO) from None
    except BadStart as failure:
        _wrong_use(str(failure))
    if as_json:
        typer.echo(json.dumps(letter_as_json(measures, law), indent=2, ensure_ascii=False))
        return
    typer.echo("\n".join(letter_lines(measures, law)))
    gates = [measure.state["gate"] for measure in measures]
    typer.echo("\n".join(("", *_about(law, gates))))


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
