"""What the commands that work with the quarantine have in common: they ask all three services."""

import getpass
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from cli.of_notifier import span_of
from cli.options import stop
from shared.failures import BadStart
from shared.times import text_of

if TYPE_CHECKING:
    from cli.asking import Asking

PATH = "/v1/quarantine"
NAMES = ("intake", "router", "notifier")
T = TypeVar("T")


@dataclass(frozen=True)
class Where:
    """Which services are meant, with whose token."""

    service: str | None
    token: str | None
    data: Path | None


def asking(name: str, where: Where) -> "Asking":
    """One service, asked with the desk's token."""
    from cli.asking import INTAKE, NOTIFIER, ROUTER, Asking, find

    service = next(one for one in (INTAKE, ROUTER, NOTIFIER) if one.name == name)
    return Asking(service, *find(service, None, where.token, where.data))


def services(where: Where) -> Iterator[tuple[str, "Asking"]]:
    """The services that are meant."""
    if where.service is not None and where.service not in NAMES:
        raise BadStart(f"--service is one of {', '.join(NAMES)}, not {where.service!r}")
    for name in NAMES:
        if where.service in (None, name):
            yield name, asking(name, where)


def of_entry(where: Where, entry: str, ask: Callable[["Asking"], T]) -> T:
    """What the service says that has the entry; without an answer the command ends."""
    from cli.asking import NoAnswer, NotReached, NotThere

    why: NoAnswer = NotThere(f"No service has set aside {entry!r}.")
    for _, service in services(where):
        try:
            return ask(service)
        except NotThere:
            continue
        except NotReached as failure:
            why = failure
        except NoAnswer as failure:
            stop(failure)
    return stop(why)


def of_all(where: Where, ask: Callable[["Asking"], T]) -> tuple[dict[str, T], list[str]]:
    """What each service says, and the sentences of those that say nothing."""
    from cli.asking import NoAnswer

    told: dict[str, T] = {}
    silent: list[str] = []
    for name, service in services(where):
        try:
            told[name] = ask(service)
        except NoAnswer as failure:
            if failure.exit_code == 2:
                stop(failure)
            silent.append(str(failure))
    return told, silent


def said(by: str | None, reason: str) -> dict[str, str]:
    """Who does it and why."""
    return {"by": by or getpass.getuser(), "reason": reason}


def filter_of(topic: str | None, reason: str | None, older_than: str | None) -> dict[str, Any]:
    """Which entries are meant, as the services take it."""
    before = None if older_than is None else text_of(datetime.now(UTC) - span_of(older_than, "--older-than"))
    told: Mapping[str, str | None] = {"topic": topic, "reason": reason, "older_than": before}
    return {name: value for name, value in told.items() if value is not None}


def not_all(silent: list[str]) -> None:
    """Say who did not answer, and end with 1 where somebody did not."""
    for sentence in silent:
        typer.echo(sentence, err=True)
    if silent:
        raise typer.Exit(1)
