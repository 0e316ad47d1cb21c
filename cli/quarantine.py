"""`rogatory quarantine`: what the services have set aside: list it, look at it, try it again, discard it."""

import base64
import hashlib
import json
import os
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.of_quarantine import PATH, Where, filter_of, not_all, of_all, of_entry, said
from cli.options import AsJson, Data, Token, stop
from shared.failures import BadStart

if TYPE_CHECKING:
    from cli.asking import Asking

quarantine = typer.Typer(help="What was set aside: list, show, replay, discard, export.", no_args_is_help=True)

Service = Annotated[
    str | None, typer.Option("--service", help="Only this one of intake, router and notifier; without it all three.")
]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who answers for it; who is logged in.")]
Reason = Annotated[str, typer.Option("--because", metavar="WHY", help="Why: it stays in the entry's history.")]
Topic = Annotated[str | None, typer.Option("--topic", help="Only records of this topic.")]
OfReason = Annotated[str | None, typer.Option("--reason", help="Only what is held for this reason.")]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="SPAN", help="Only what was set aside longer ago, as '2 hours'.")
]
Entry = Annotated[str, typer.Argument(metavar="ID", help="The entry, such as qua_...")]
_ANY = "any"
_AGAIN = 1.0
"""Seconds between two looks at what came of a replay."""


@quarantine.command("list")
def list_entries(
    topic: Topic = None,
    reason: OfReason = None,
    status: Annotated[str, typer.Option("--status", help="held, replaying, replayed, discarded, or any.")] = "held",
    older_than: OlderThan = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many at most.")] = 100,
    service: Service = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List what is set aside in all services, the oldest first."""
    query = filter_of(topic, reason, older_than) | ({} if status == _ANY else {"status": status})
    told, silent = of_all(Where(service, token, data), lambda one: _pages(one, query, limit))
    entries = sorted((entry for found in told.values() for entry in found), key=lambda one: str(one["kept_at"]))
    shown, are_more = list(islice(entries, limit)), len(entries) > limit
    if as_json:
        _print_json({"entries": shown, "more": are_more, "not_answered": silent})
    else:
        _print_table(shown, are_more, are_all=not silent)
    not_all(silent)


def _pages(service: "Asking", query: dict[str, str], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while len(found) <= limit:
        page = service.ask("GET", PATH, "This service has no quarantine.", query={**query, **after, "limit": "500"})
        found += page.data["entries"]
        if page.data["next"] is None:
            break
        after = {"after": page.data["next"]}
    return found


@quarantine.command()
def show(
    entry: Entry,
    clear: Annotated[
        bool, typer.Option("--clear", help="Show what was sent, in the clear: that you looked and why is kept.")
    ] = False,
    by: By = None,
    because: Annotated[str | None, typer.Option("--because", metavar="WHY", help="Why, with --clear.")] = None,
    service: Service = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Tell one entry: why it is held, what a replay would do now, what was sent (masked), and its story."""
    from cli.quarantine_words import told

    if clear and because is None:
        raise BadStart("say why you look: --because WHY")

    def ask(one: "Asking") -> dict[str, Any]:
        if clear:
            return one.ask("POST", f"{PATH}/{entry}/look", "", body=said(by, because or "")).data
        return one.ask("GET", f"{PATH}/{entry}", "").data

    found = of_entry(Where(service, token, data), entry, ask)
    if as_json:
        _print_json(found)
    else:
        for line in told(found):
            typer.echo(line)


@quarantine.command()
def replay(
    entry: Annotated[str | None, typer.Argument(metavar="ID", help="The entry; without it, all that match.")] = None,
    because: Annotated[
        str | None, typer.Option("--because", metavar="WHY", help="Why; needed but for --dry-run.")
    ] = None,
    by: By = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do now.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is heard or held again; exit 1 if it is held again.")
    ] = False,
    edited: Annotated[
        Path | None, typer.Option("--edited", metavar="FILE", help="Try this file instead; if urgent, two people must.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="NAME=TEXT", help="In the place of its own; no TEXT: none.")
    ] = None,
    topic: Topic = None,
    reason: OfReason = None,
    older_than: OlderThan = None,
    everything: Annotated[bool, typer.Option("--all", help="Without a filter: whatever is held.")] = False,
    service: Service = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Try one entry again, or all held ones that match, as if they had just come; exit 1 where a dry run is refused."""
    from cli.quarantine_words import became
    from cli.telling import plain

    if because is None and not dry_run:
        raise BadStart("say why: --because WHY")
    where = Where(service, token, data)
    act = {name: value for name, value in said(by, because or "").items() if value}
    chosen = filter_of(topic, reason, older_than)
    if entry is None:
        if edited or header:
            raise BadStart("an edited copy is one entry's: name it")
        if wait:
            raise BadStart("--wait waits for one entry: name it")
        if not chosen and not everything:
            raise BadStart("name an entry, or say which: --topic, --reason, --older-than, or --all")
        _replay_all(where, {"filter": chosen, "dry_run": dry_run, **act}, as_json)
        return
    if chosen or everything:
        raise BadStart("name an entry, or say which, but not both")
    body = {**act, "dry_run": dry_run, **_edit(edited, header)}
    found = of_entry(where, entry, lambda one: one.ask("POST", f"{PATH}/{entry}/replay", "", body=body).data)
    waits = wait and found.get("status") == "replaying"
    while waits and found["status"] == "replaying":
        time.sleep(_AGAIN)
        found = of_entry(where, entry, lambda one: one.ask("GET", f"{PATH}/{entry}", "").data)
    if as_json:
        _print_json(found)
    else:
        typer.echo(plain(found["says"]) if dry_run else f"{entry}: {became(found)}.")
    if dry_run and any(one["what"] == "refused" for one in found["would"]):
        raise typer.Exit(1)
    if waits and found["status"] == "held":
        raise typer.Exit(1)


def _edit(edited: Path | None, header: list[str] | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if edited is not None:
        try:
            told["edited"] = base64.b64encode(edited.read_bytes()).decode()
        except OSError as failure:
            raise BadStart(f"{edited}: cannot be read ({type(failure).__name__})") from None
    headers: dict[str, str | None] = {}
    for one in header or ():
        name, equals, text = one.partition("=")
        headers[name] = text if equals else None
    return told | ({"headers": headers} if headers else {})


def _replay_all(where: Where, body: dict[str, Any], as_json: bool) -> None:
    from cli.quarantine_words import forecast

    broke_off: list[str] = []
    told, silent = of_all(where, lambda one: _replay_in(one, body, broke_off))
    silent += broke_off
    if as_json:
        _print_json({**told, "not_answered": silent})
    else:
        for name, answer in told.items():
            for line in forecast(name, answer):
                typer.echo(line)
    not_all(silent)


def _replay_in(service: "Asking", body: dict[str, Any], broke_off: list[str]) -> dict[str, Any]:
    """Ask on until there are no more: all calls are one asking. `broke_off`: gets why there are more all the same."""
    from cli.asking import NoAnswer

    told: dict[str, Any] = service.ask("POST", f"{PATH}/replay", "", body=body).data
    while told.get("next"):
        try:
            found = service.ask("POST", f"{PATH}/replay", "", body={**body, "after": told["next"]}).data
        except NoAnswer as failure:
            is_over = "/after" in failure.wrong
            why = "That took more than an hour." if is_over else str(failure)
            broke_off.append(why or "What it was to go on after is gone.")
            break  # what was marked so far is said, and that there are more
        told = found | {name: told[name] + found[name] for name in ("marked", "cut", "refused")}
    return told


@quarantine.command()
def discard(
    entry: Entry,
    because: Reason,
    by: By = None,
    service: Service = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Discard one entry; what may be urgent only once a second person does the same. Its bytes stay kept."""
    from cli.quarantine_words import became

    body = said(by, because)
    found = of_entry(
        Where(service, token, data),
        entry,
        lambda one: one.ask("POST", f"{PATH}/{entry}/discard", "", body=body).data,
    )
    _print_json(found) if as_json else typer.echo(f"{entry}: {became(found)}.")


@quarantine.command()
def export(
    entry: Entry,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; - prints it, but never to a terminal.")],
    because: Reason,
    by: By = None,
    service: Service = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write the bytes that were sent into a new file that only you may read; who took them and why is kept."""
    to_output = str(file) == "-"
    if to_output and as_json:
        raise BadStart("what is printed are the bytes: with --json name a file")
    if to_output and sys.stdout.isatty():
        raise BadStart("a terminal may obey what is in there: name a file")
    if not to_output and file.exists():
        raise BadStart(f"{file} exists already")
    query = said(by, because)
    raw = of_entry(Where(service, token, data), entry, lambda one: one.fetch(f"{PATH}/{entry}/export", "", query))
    if to_output:
        sys.stdout.buffer.write(raw)
        return
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(raw)
    except OSError as failure:
        stop(BadStart(f"{file}: cannot be written ({type(failure).__name__})"))
    if as_json:
        _print_json({"entry": entry, "file": str(file), "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()})
    else:
        typer.echo(f"{len(raw)} bytes in {file}.")


def _print_json(told: Any) -> None:
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _print_table(shown: list[dict[str, Any]], are_more: bool, *, are_all: bool) -> None:
    from rich.console import Console

    from cli.quarantine_words import NARROWEST, entry_table

    if shown:
        # Into a file or a pipe nothing is shortened.
        width = max(Console().width, NARROWEST) if sys.stdout.isatty() else 240
        Console(width=width).print(entry_table(shown, width))
    number = "1 entry" if len(shown) == 1 else f"{len(shown)} entries"
    nothing = "Nothing matches" if are_all else "Nothing found"
    more = "; there are more: --limit" if are_more else ""
    typer.echo((number if shown else nothing) + more + ("." if are_all else ", but not every service answered."))
