"""Notices as people read them: a table with a row each, or one with everything that happened to it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.telling import moment, paragraph, plain, words

Notice = Mapping[str, Any]
_COLUMN = 14
_COLOURS = {"failed": "bold red", "waiting": "magenta", "attempting": "magenta"}


def notice_table(notices: Sequence[Notice]) -> Table:
    """One row per notice, as they came."""
    table = Table(box=None, pad_edge=False)
    titles = ("notice", "recipient", "channel", "status", "attempts", "next attempt", "last reason", "raised at")
    for title in titles:
        table.add_column(title, no_wrap=title not in ("recipient", "last reason"))
    for one in notices:
        table.add_row(
            one["notice"],
            Text(plain(one["subscriber"])),
            one["channel"],
            Text(words(one["status"]), _COLOURS.get(one["status"], "")),
            str(one["attempts"] or ""),
            _moment(one["next_attempt_at"]),
            Text(plain(one["last_reason"] or "")),
            moment(one["raised_at"]),
        )
    return table


def told(notice: Notice) -> Iterator[str]:
    """One notice: how it stands, then its story."""
    yield f"{notice['notice']}: {words(notice['status'])}, to {plain(notice['subscriber'])} by {notice['channel']}"
    for name, value in _stands(notice).items():
        if value:
            yield from paragraph(f"{name:<{_COLUMN}}{value}", 2, _COLUMN)
    yield ""
    for event in notice["story"]:
        said = {name: value for name, value in event["said"].items() if name not in _KNOWN and value is not None}
        yield from paragraph(f"{moment(event['at'])}  {event['event']}  {plain(said)}".rstrip(), 2, 4)


_KNOWN = ("notice", "alert", "about")


def _stands(notice: Notice) -> Mapping[str, str]:
    by = f", by {plain(notice['taken_by'])}" if notice["taken_by"] else ""
    return {
        "says": plain(notice["says"]),
        "about": plain(notice["about"]),
        "alert": f"{notice['alert']}, by the rule {notice['rule']}",
        "facts": plain(notice["facts"]),
        "clock ends": _moment(notice["due"]),
        "raised": moment(notice["raised_at"]),
        "attempts": str(notice["attempts"] or ""),
        "next attempt": _moment(notice["next_attempt_at"]),
        "last reason": plain(notice["last_reason"] or ""),
        "delivered": _moment(notice["delivered_at"]),
        "acknowledged": f"{_moment(notice['taken_at'])}{by}" if notice["taken_at"] else "",
        "over": plain(notice["ended"] or ""),
    }


def _moment(text: str | None) -> str:
    return moment(text) if text else ""
