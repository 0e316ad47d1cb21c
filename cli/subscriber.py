"""`rogatory subscriber`: recipients of notices that are added while everything runs, over the notifier's HTTP."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cli.of_notifier import ask, end_of, not_held_back, print_answer, when_in_words, when_of
from cli.options import AsJson, Because, Data, Lasts, NotifierUrl, Token, Until, When
from cli.telling import moment, plain, span
from shared.failures import BadStart

Name = Annotated[str, typer.Argument(metavar="NAME", help="The subscription, such as ministry-duty.")]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Where it is told; '-' reads it from standard input, so that no list shows it."),
]

subscriber = typer.Typer(help="Add recipients of notices, hold them back, try them, remove them.", no_args_is_help=True)


@subscriber.command()
def add(
    name: Name,
    channel: Annotated[str, typer.Option("--channel", help="webhook, email or alertmanager.")],
    address: Address,
    audience: Annotated[str | None, typer.Option("--audience", help="Hears what this audience is told.")] = None,
    when: When = None,
    everything: Annotated[bool, typer.Option("--everything", help="Hears of every event.")] = False,
    language: Annotated[str, typer.Option("--language", help="A language of the notices; en unless told.")] = "en",
    group: Annotated[
        str | None, typer.Option("--group", metavar="SPAN", help="One e-mail for what comes within 10 minutes.")
    ] = None,
    rate: Annotated[int | None, typer.Option("--rate", help="Messages a minute at most.")] = None,
    signs: Annotated[
        str | None, typer.Option("--signs", help="How webhooks are signed: v1 (HMAC) or v1a (Ed25519).")
    ] = None,
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add a recipient; its secret is printed this once. The same again changes nothing."""
    if (audience is not None) + bool(when) + everything != 1:
        raise BadStart("say what it hears: one of --audience, --when and --everything")
    body: dict[str, Any] = {"name": name, "channel": channel, "address": _read(address), "language": language}
    body["hears"] = {"audience": audience} if audience is not None else {"when": when_of(when or [])}
    body |= {name: value for name, value in (("group", group), ("rate", rate), ("signs", signs)) if value is not None}
    answer = ask((url, token, data), "POST", "subscription", body=body)
    stands = "stands already, as it was added" if answer.status == 200 else "is added"
    print_answer(answer, as_json, f"{answer.data['name']} {stands}: {_line(answer.data)}.", *_shown_once(answer.data))


@subscriber.command("list")
def list_all(url: NotifierUrl = None, token: Token = None, data: Data = None, as_json: AsJson = False) -> None:
    """List the subscriptions: how each stands, where it is told (not the whole address) and what it hears."""
    answer = ask((url, token, data), "GET", "subscription")
    found = answer.data.get("subscriptions", [])
    lines = [f"{one['name']}: {_state(one)}, {_line(one)}" for one in found]
    print_answer(answer, as_json, *lines, f"{len(found)} subscription{'' if len(found) == 1 else 's'}.")


@subscriber.command()
def pause(
    name: Name,
    reason: Because,
    lasts: Lasts = None,
    until: Until = None,
    author: Annotated[
        str | None, typer.Option("--by", "--author", help="Who answers for it; whose token it is unless told.")
    ] = None,
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Hold back what may be held back, until it is resumed or a time has come.

    What nothing holds back is told all the same, and named.
    """
    body = {"reason": reason, "author": author, "until": end_of(lasts, until)}
    said = {name: value for name, value in body.items() if value is not None}
    answer = ask((url, token, data), "POST", "subscription", name, "pause", body=said)
    held = not_held_back(answer.data["not_held_back"], "hold back")
    print_answer(answer, as_json, f"{answer.data['name']} is {_state(answer.data)}.", held)


@subscriber.command()
def resume(
    name: Name,
    address: Address = None,
    url: NotifierUrl = None,
    token: Token = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Serve it again; one whose system said that it is gone needs a new address."""
    body = {"address": _read(address)} if address is not None else None
    answer = ask((url, token, data), "POST", "subscription", name, "resume", body=body)
    print_answer(answer, as_json, f"{answer.data['name']} is {answer.data['state']}: {_line(answer.data)}.")


@subscriber.command("test")
def try_out(
    name: Name, url: NotifierUrl = None, token: Token = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Send a test notice now and say what became of it; exit 1 where it was not taken."""
    answer = ask((url, token, data), "POST", "subscription", name, "test")
    taken = answer.data["delivered"]
    says = "Taken." if taken else f"Not taken: {plain(str(answer.data['reason']))}."
    print_answer(answer, as_json, says, "Trying again cannot help." if answer.data["for_good"] else "")
    raise typer.Exit(0 if taken else 1)


@subscriber.command("rotate-key")
def rotate_key(
    name: Name, url: NotifierUrl = None, token: Token = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Sign with a new key, printed this once; for 24 hours the old one signs too."""
    answer = ask((url, token, data), "POST", "subscription", name, "rotate-key")
    until = answer.data["old_keys_sign_until"]
    old = f"The old key signs too until {moment(until)}." if until else ""
    print_answer(answer, as_json, f"{answer.data['name']} has a new key.", *_shown_once(answer.data), old)


@subscriber.command()
def remove(
    name: Name, url: NotifierUrl = None, token: Token = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Take it away; its name may be used anew."""
    print_answer(ask((url, token, data), "DELETE", "subscription", name), as_json, f"{plain(name)} is removed.")


def _read(address: str | None) -> str:
    return sys.stdin.readline().strip() if address == "-" else address or ""


def _state(one: Mapping[str, Any]) -> str:
    """`active`, or `paused (until 2026-11-24 12:00:00Z, by leyla: They move)`."""
    pause = one.get("pause")
    if not pause:
        return str(one["state"])
    ends = f"until {moment(pause['until'])}" if pause["until"] else "until it is resumed"
    by = f", by {plain(pause['author'])}: {plain(pause['reason'])}" if pause["author"] else ""
    return f"{one['state']} ({ends}{by})"


def _line(one: Mapping[str, Any]) -> str:
    """`by webhook to https://host, hears the audience duty, in en`."""
    hears = one["hears"]
    what = f"the audience {hears['audience']}" if "audience" in hears else when_in_words(hears["when"])
    parts = [f"by {one['channel']} to {plain(one['address'])}", f"hears {what}", f"in {one['language']}"]
    if one["group_seconds"]:
        parts.append(f"one message for what comes within {span(one['group_seconds'])}")
    if one["rate"]:
        parts.append(f"at most {one['rate']} a minute")
    return ", ".join(parts)


def _shown_once(one: Mapping[str, Any]) -> list[str]:
    shown = []
    if one.get("secret"):
        shown.append(f"Its secret, shown this once: {one['secret']}")
    if one.get("public_key"):
        shown.append(f"Its public key: {one['public_key']}")
    return shown
