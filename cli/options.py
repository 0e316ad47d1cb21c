"""Options that several commands share, and how a command ends that got no answer."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from shared.failures import BadStart
from shared.yaml_file import quoted

Token = Annotated[
    str | None,
    typer.Option("--token", help="A token; better in ROGATORY_TOKEN or in the file that ROGATORY_TOKEN_FILE names."),
]
Data = Annotated[Path | None, typer.Option("--data", metavar="FOLDER", help="The folder of the local stack.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NotifierUrl = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The notifier; ROGATORY_NOTIFIER_URL, or the local stack's.")
]
When = Annotated[
    list[str] | None,
    typer.Option("--when", metavar="FACT=VALUES", help="A fact and the values that match, such as lane=normal,urgent."),
]
Lasts = Annotated[str | None, typer.Option("--for", metavar="SPAN", help="How long, such as '2 hours'.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Or until when: 2026-11-24T16:00+04:00.")]
Because = Annotated[str, typer.Option("--reason", help="Why: for those who come after you.")]
By = Annotated[
    str | None, typer.Option("--by", "--author", metavar="NAME", help="Who answers for it; who is logged in.")
]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="2026-12-31 20:00 on the roster's clocks, or 2026-12-31T16:00Z; now unless told."
    ),
]


def time_of(option: str, text: str) -> datetime:
    """The time that an option gives; raises `BadStart` for one that is none, or has no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadStart(f"{option} takes a time with its zone, such as 2026-11-24T16:00+04:00, not {quoted(text)}")
    return at


def stop(failure: Exception) -> NoReturn:
    """Say the one sentence, and end with its code."""
    typer.echo(str(failure), err=True)
    raise typer.Exit(getattr(failure, "exit_code", 2))
