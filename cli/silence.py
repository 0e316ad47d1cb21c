"""`rogatory silence`: hold some notices back for a while, with who and why, over the notifier's HTTP."""

import getpass
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.of_notifier import ask, not_held_back, print_answer, when_in_words, when_of
from cli.options import AsJson, Data, NotifierUrl, Token, When
from cli.telling import moment, plain
from shared.failures import BadStart
from shared.times import text_of
from shared.yaml_file import quoted

silence = typer.Typer(help="Hold some notices back for a while, and see what is held back.", no_args_is_help=True)


@silence.command()
def add(
    reason: Annotated[str, typer.Option("--reason", help="Why: for those who come after you.")],
    when: When = None,
    lasts: Annotated[str | None, typer.Option("--for", metavar="SPAN", help="How long, such as '2 hours'.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Or until when: 2026-11-24T16:00+04:00.")
    ] = None,
    author: Annotated[str | None, typer.Option("--author", help="Who answers for it; who is logged in.")] = None,
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Begin a silence of at most 7 days; what no silence holds back is refused, or named."""
    if not when:
        raise BadStart("say what is held back: --when FACT=VALUES, at least once")
    if (lasts is None) == (until is None):
        raise BadStart("say how long: one of --for and --until")
    ends = datetime.now(UTC) + _span(lasts) if lasts is not None else _time(until or "")
    body = {
        "when": when_of(when),
        "author": author or getpass.getuser(),
        "reason": reason,
        "until": text_of(ends),
    }
    answer = ask((url, token, data), "POST", "silence", body=body)
    held = not_held_back(answer.data["not_held_back"], "hold back")
    print_answer(answer, as_json, _line(answer.data), held)


@silence.command("list")
def list_all(url: NotifierUrl = None, token: Token = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the silences in force: what they hold back, until when, by whom and why."""
    answer = ask((url, token, data), "GET", "silence")
    found = answer.data.get("silences", [])
    lines = [_line(one) for one in found]
    print_answer(answer, as_json, *lines, f"{len(found)} silence{'' if len(found) == 1 else 's'} in force.")


@silence.command()
def end(
    silence: Annotated[str, typer.Argument(metavar="ID", help="The silence, such as sil_...")],
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """End a silence before its time; one that has ended stays so."""
    print_answer(ask((url, token, data), "DELETE", "silence", silence), as_json, f"{plain(silence)} is ended.")


def _line(one: Mapping[str, Any]) -> str:
    """One silence as a sentence."""
    what, who = when_in_words(one["when"]), plain(one["author"])
    return f"{one['id']}: {what}; until {moment(one['until'])}, by {who}: {plain(one['reason'])}"


def _span(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from services.notifier.rules.members import SomeSpan

    try:
        span: timedelta = TypeAdapter(SomeSpan).validate_python(text)
    except ValidationError:
        raise BadStart(f"--for takes a time span such as 2 hours, not {quoted(text)}") from None
    return span


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadStart(f"--until takes a time with its zone, such as 2026-11-24T16:00+04:00, not {quoted(text)}")
    return at
