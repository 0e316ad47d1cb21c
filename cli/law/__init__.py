"""`rogatory law`: check a law file, run its worked cases, compare two of them, show one to a lawyer."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.law.coverage import coverage
from cli.law.diff import diff as difference
from cli.law.files import AsJson, Assume, LawFile, assumptions, law_file, life_cycle_file
from cli.law.html import page_as_html
from cli.law.page import law_page
from cli.law.replay import letters_in, replay
from cli.law.report import cases_as_json, cases_as_table, diff_as_json, diff_in_words, untouched_in_words
from cli.law.schema import law_schema_text
from cli.law.worked_cases import run_cases
from shared.failures import BadStart
from shared.law import load_law
from shared.life_cycle import load_life_cycle

SAMPLES = Path("samples")
NO = 1

law = typer.Typer(help="Check, test, compare and show a law file.", no_args_is_help=True)


@law.command()
def check(file: LawFile = None, as_json: AsJson = False) -> None:
    """Say whether a law file is sound: whatever loading checks, and worked cases for every row and both sides of dates.

    Warnings do not make it unsound.
    """
    path = law_file(file)
    if not path.is_file():
        raise BadStart(f"{path}: this is no file" if path.exists() else f"{path}: there is no such file")
    defects, warnings, about = _checked(path)
    if as_json:
        typer.echo(json.dumps({"sound": not defects, **about, "defects": defects, "warnings": warnings}, indent=2))
    else:
        for sentence in defects:
            typer.echo(sentence)
        for sentence in warnings:
            typer.echo(f"note: {sentence}")
        typer.echo(f"{path}: {_verdict(len(defects), len(warnings))}")
    raise typer.Exit(NO if defects else 0)


def _checked(path: Path) -> tuple[list[str], list[str], dict[str, object]]:
    """The defects and warnings of a law file and its worked cases, and what was checked."""
    try:
        loaded = load_law(path)
        load_life_cycle(life_cycle_file(), loaded)
    except BadStart as defect:
        return [str(defect)], [], {"file": str(path)}
    about: dict[str, object] = {"file": str(path), "version": loaded.version, "sha256": loaded.sha256}
    warnings = list(loaded.warnings(loaded.day_of(datetime.now(UTC))))
    try:
        ran = run_cases(path)
    except BadStart as defect:
        return [str(defect)], warnings, about
    covered = coverage(loaded, ran)
    defects = [*covered.sentences(), *(f"a worked case fails: {one.case.case}" for one in ran if not one.passed)]
    return defects, warnings, about | {"rows": covered.rows, "cases": len(ran)}


def _verdict(defects: int, warnings: int) -> str:
    noted = f", {warnings} to note" if warnings else ""
    return f"not sound, {defects} to correct{noted}" if defects else f"sound{noted}"


@law.command("test")
def run_tests(file: LawFile = None, as_json: AsJson = False) -> None:
    """Run the worked cases beside a law file, and name the rows that none of them touches."""
    path = law_file(file)
    ran = run_cases(path)
    covered = coverage(load_law(path), ran)
    if as_json:
        typer.echo(json.dumps(cases_as_json(ran, covered), indent=2))
    else:
        Console().print(cases_as_table(ran))
        for sentence in untouched_in_words(ran, covered):
            typer.echo(sentence)
    raise typer.Exit(0 if covered.whole and all(one.passed for one in ran) else NO)


@law.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The law file as it was.")],
    new: Annotated[Path, typer.Argument(help="The law file as it is to be.")],
    letters: Annotated[
        Path | None, typer.Argument(metavar="[LETTERS]", help="A folder of letters (*.json) to run under both.")
    ] = None,
    replayed: Annotated[
        bool, typer.Option("--replay", help="Run letters under both, too: the samples, if no folder is named.")
    ] = False,
    assume: Assume = None,
    as_json: AsJson = False,
) -> None:
    """Say what two law files answer differently, over ranges of days; exit 1 if they do."""
    before, after = (load_law(path, assumptions(assume)) for path in (old, new))
    found = difference(before, after)
    folder = letters or (SAMPLES if replayed else None)
    ran = replay(letters_in(folder), before, after) if folder else None
    if as_json:
        typer.echo(json.dumps(diff_as_json(before, after, found, ran), indent=2, ensure_ascii=False))
    else:
        what = "Samples" if folder == SAMPLES else "Letters"
        typer.echo("\n".join(diff_in_words(before, after, found, ran, what)))
    raise typer.Exit(NO if found.differs or any(one.says for one in ran or ()) else 0)


@law.command()
def show(
    file: LawFile = None,
    as_html: Annotated[bool, typer.Option("--html", help="One HTML file instead of Markdown.")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write it into this file.")] = None,
    assume: Assume = None,
    as_json: AsJson = False,
) -> None:
    """Show a law file as a page that a lawyer reads, article by article; --json: the file's content as it was read."""
    loaded = load_law(law_file(file), assumptions(assume))
    if as_json and as_html:
        raise BadStart("a page is HTML or JSON, not both")
    if as_json:
        page = loaded.text.model_dump_json(by_alias=True, exclude_defaults=True, indent=2) + "\n"
    else:
        page = law_page(loaded, loaded.day_of(datetime.now(UTC))) + "\n"
        page = page_as_html(page, f"{loaded.name} {loaded.version}") if as_html else page
    if out is None:
        typer.echo(page, nl=False)
        return
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as failure:
        raise BadStart(f"{out}: the page cannot be written ({failure.strerror})") from None


@law.command()
def schema() -> None:
    """Print the JSON Schema by which an editor completes and checks law files (docs/law.schema.json)."""
    typer.echo(law_schema_text(), nl=False)
