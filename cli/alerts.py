"""`rogatory alerts`: whether the alerts file is sound, and who would hear of an event, by the function that decides."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.law.files import AsJson, assumptions, law_file, life_cycle_file
from cli.options import At
from cli.roster import moment_of, roster_file
from shared.failures import BadStart
from shared.yaml_file import quoted

if TYPE_CHECKING:
    from services.notifier.duty.roster import Roster
    from services.notifier.rules.alert_rules import AlertRules
    from shared.law import Law
    from shared.partners import Partners

ALERTS = Path("alerts.yaml")
NO = 1

File = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="The alerts file; ROGATORY_ALERTS or alerts.yaml unless told.")
]

alerts = typer.Typer(help="Check the alerts file, and see who would hear of an event and why.", no_args_is_help=True)


def _fact(name: str, help: str) -> Any:
    return typer.Option(f"--{name.replace('_', '-')}", help=help)


@alerts.command()
def check(file: File = None, as_json: AsJson = False) -> None:
    """Say whether an alerts file is sound, with the roster, the partners and the law beside it; exit 1 if it is not.

    Warnings do not make it unsound.
    """
    path = alerts_file(file)
    if not path.is_file():
        raise BadStart(f"{path}: this is no file" if path.exists() else f"{path}: there is no such file")
    beside = _beside()
    try:
        rules, defects = _load(path, *beside), []
    except BadStart as defect:
        rules, defects = None, str(defect).splitlines()
    warnings = list(rules.warnings) if rules else []
    if as_json:
        about = {"rules": len(rules.rules), "audiences": [*rules.audiences]} if rules else {}
        _print_json({"sound": not defects, "file": str(path), **about, "defects": defects, "warnings": warnings})
    else:
        for sentence in (*defects, *(f"note: {warning}" for warning in warnings)):
            typer.echo(sentence)
        noted = f", {len(warnings)} to note" if warnings else ""
        typer.echo(f"{path}: {'not sound' if defects else 'sound'}{noted}")
    raise typer.Exit(NO if defects else 0)


@alerts.command("test")
def run_test(
    context: typer.Context,
    event: Annotated[str, _fact("event", "What happened: case.assigned, case.clock_warned, alert.raised, ...")],
    file: File = None,
    type: Annotated[str | None, _fact("type", "A request type of the law.")] = None,
    authority: Annotated[str | None, _fact("authority", "Whose case it is, or desk.")] = None,
    status: Annotated[str | None, _fact("status", "Of the life cycle.")] = None,
    lane: Annotated[str | None, _fact("lane", "normal or urgent.")] = None,
    urgency: Annotated[str | None, _fact("urgency", "normal, urgent or emergency.")] = None,
    direction: Annotated[str | None, _fact("direction", "incoming or outgoing.")] = None,
    party: Annotated[str | None, _fact("party", "The other State, such as FR.")] = None,
    clock: Annotated[str | None, _fact("clock", "A clock of the law file; says its kind too.")] = None,
    clock_kind: Annotated[str | None, _fact("clock_kind", "statutory, requested or policy.")] = None,
    step: Annotated[str | None, _fact("step", "due, or what was left: 7 days.")] = None,
    kind: Annotated[str | None, _fact("kind", "Of an alert.raised: quarantine, roster-gap, technical, ...")] = None,
    service: Annotated[str | None, _fact("service", "Which service raised it.")] = None,
    severity: Annotated[str | None, _fact("severity", "Of a technical alert: critical, warning, info, none.")] = None,
    rota: Annotated[str | None, _fact("rota", "Of a roster-gap.")] = None,
    alertname: Annotated[str | None, _fact("alertname", "Of a technical alert.")] = None,
    left: Annotated[str | None, typer.Option("--left", help="How much time the clock has left: 3 hours.")] = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Say who would hear of an event and why: the rules that fire, who is on duty then, the ladder, what holds it back.

    A fact that is not given is one that the event does not have; a sentence shows it as <fact>. Exit 1 if nobody would
    hear.
    """
    from cli.alerts_heard import heard
    from cli.alerts_words import lines
    from services.notifier.domain.facts import FACTS

    told = {fact: value for fact in FACTS if (value := context.params[fact]) is not None}
    partners, law, _, roster = beside = _beside()
    rules = _load(alerts_file(file), *beside)
    facts = _checked(rules, law, told)
    answer = heard(rules, roster, partners.subscribers, facts, _span(left), moment_of(roster, at))
    if as_json:
        _print_json(answer)
    else:
        typer.echo("\n".join(lines(answer)))
    raise typer.Exit(0 if any(rule["tells"] or rule["ladder"] for rule in answer["fires"]) else NO)


def alerts_file(told: Path | None) -> Path:
    """The alerts file that is meant: what a command is told, or else the environment's, or the project's."""
    if told or (told := Path(named) if (named := os.environ.get("ROGATORY_ALERTS")) else None):
        return told
    if not ALERTS.is_file():
        raise BadStart(f"{ALERTS} not found: run it in the project's folder or set ROGATORY_ALERTS")
    return ALERTS


def _beside() -> "tuple[Partners, Law, Any, Roster]":
    """What an alerts file is checked against."""
    from services.notifier.duty.roster import load_roster
    from shared.law import load_law
    from shared.life_cycle import load_life_cycle
    from shared.partners import load_partners

    law = load_law(law_file(None), assumptions(None))
    partners = load_partners(Path(os.environ.get("ROGATORY_PARTNERS", "partners.yaml")))
    return partners, law, load_life_cycle(life_cycle_file(), law), load_roster(roster_file(None))


def _load(path: Path, partners: "Partners", law: "Law", life: Any, roster: "Roster") -> "AlertRules":
    from services.notifier.rules.alert_file import load_rules

    return load_rules(path, partners, law, life, roster)


def _checked(rules: "AlertRules", law: "Law", told: dict[str, str]) -> dict[str, str]:
    """The facts, each with a value that there can be; a clock brings its kind along."""
    for fact, value in told.items():
        if wrong := rules.values.wrong_with(fact, [value]):
            raise BadStart(f"--{fact.replace('_', '-')}: {wrong}")
    if "clock" not in told:
        return told
    kind = law.text.clocks[told["clock"]].kind
    if told.setdefault("clock_kind", kind) != kind:
        raise BadStart(f"--clock-kind: the clock '{told['clock']}' is {kind}")
    return told


def _span(text: str | None) -> timedelta | None:
    from pydantic import TypeAdapter, ValidationError

    from services.notifier.rules.members import Span

    try:
        return None if text is None else TypeAdapter(Span).validate_python(text)
    except ValidationError:
        raise BadStart(f"--left takes a time span such as 3 hours, not {quoted(text)}") from None


def _print_json(answer: Any) -> None:
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
