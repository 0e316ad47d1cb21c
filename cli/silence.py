"""`rogatory silence`: hold some notices back for a while, with who and why, over the notifier's HTTP."""

import getpass
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.of_notifier import ask, end_of, not_held_back, print_answer, when_in_words, when_of
from cli.options import AsJson, Because, By, Data, Lasts, NotifierUrl, Token, Until, When
from cli.telling import moment, plain
from shared.failures import BadStart

silence = typer.Typer(help="Hold some notices back for a while, and see what is held back.", no_args_is_help=True)


@silence.command()
def add(
    reason: Because,
    when: When = None,
    lasts: Lasts = None,
    until: Until = None,
    author: By = None,
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Begin a silence of at most 7 days; what no silence holds back is refused, or named."""
    if not when:
        raise BadStart("say what is held back: --when FACT=VALUES, at least once")
    ends = end_of(lasts, until)
    if ends is None:
        raise BadStart("say how long: one of --for and --until")
    body = {
        "when": when_of(when),
        "author": author or getpass.getuser(),
        "reason": reason,
        "until": ends,
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
