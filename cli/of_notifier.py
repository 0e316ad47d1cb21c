"""What the commands that speak to the notifier as the desk have in common."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import typer

from cli.options import stop, time_of
from cli.telling import plain, words
from shared.failures import BadStart
from shared.times import text_of
from shared.yaml_file import quoted

if TYPE_CHECKING:
    from cli.asking import Answer, Asking


def notifier(url: str | None, token: str | None, data: Path | None) -> "Asking":
    """The notifier that is meant, asked with the desk's token."""
    from cli.asking import NOTIFIER, Asking, find

    return Asking(NOTIFIER, *find(NOTIFIER, url, token, data))


def ask(
    where: tuple[str | None, str | None, Path | None],
    method: str,
    what: str,
    name: str | None = None,
    verb: str | None = None,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> "Answer":
    """What the notifier says of a subscription, a silence or a notice, or of all; without an answer the command ends.

    `where`: `--url`, `--token` and `--data`.
    """
    from cli.asking import NoAnswer

    path = "/".join(["", "v1", f"{what}s", *(quote(part, safe="") for part in (name, verb) if part is not None)])
    missing = f"There is no {what} {name!r}." if name else f"This notifier has no {what}s."
    try:
        return notifier(*where).ask(method, path, missing, query=query, body=body)
    except (NoAnswer, BadStart) as failure:
        stop(failure)


def when_of(told: Sequence[str]) -> dict[str, list[str]]:
    """`lane=normal,urgent` as a fact and its values."""
    when: dict[str, list[str]] = {}
    for one in told:
        fact, equals, values = one.partition("=")
        found = [value.strip() for value in values.split(",") if value.strip()]
        if not (equals and fact.strip() and found):
            raise BadStart(f"--when is like lane=normal,urgent, not {one!r}")
        when.setdefault(fact.strip(), []).extend(found)
    return when


def end_of(lasts: str | None, until: str | None) -> str | None:
    """When it ends, by `--for` or by `--until`; None where neither is told."""
    if lasts is not None and until is not None:
        raise BadStart("say how long by one of --for and --until")
    if lasts is not None:
        return text_of(datetime.now(UTC) + span_of(lasts, "--for"))
    return None if until is None else text_of(time_of("--until", until))


def span_of(text: str, option: str) -> timedelta:
    """A time span that was told by an option."""
    from pydantic import TypeAdapter, ValidationError

    from services.notifier.rules.members import SomeSpan

    try:
        span: timedelta = TypeAdapter(SomeSpan).validate_python(text)
    except ValidationError:
        raise BadStart(f"{option} takes a time span such as 2 hours, not {quoted(text)}") from None
    return span


def when_in_words(when: Mapping[str, Iterable[str]]) -> str:
    """`lane normal or urgent, and type asset freeze`."""
    each = (f"{words(fact)} {' or '.join(plain(value) for value in values)}" for fact, values in when.items())
    return ", and ".join(each) or "everything"


def not_held_back(told: Sequence[str], verb: str) -> str:
    """The sentence about what nothing holds back, or nothing."""
    return f"It does not {verb}: {'; '.join(map(plain, told))}." if told else ""


def print_answer(answer: "Answer", as_json: bool, *sentences: str) -> None:
    """The answer for programs, or the sentences for people."""
    if as_json:
        typer.echo(json.dumps(answer.as_json(), indent=2, ensure_ascii=False))
    else:
        for sentence in filter(None, sentences):
            typer.echo(sentence)
