"""Quarantined entries as people read them: a table with a row each, one with its story, and what a replay would do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.demo_table import clean
from cli.telling import moment, paragraph, plain, words

Entry = Mapping[str, Any]
_COLUMN = 14
_TITLES = ("entry", "service", "status", "reason", "where", "bytes", "lane", "kept at")
_NARROW = ("entry", "status", "reason", "lane")
NARROWEST, _WIDE = 80, 140
"""Columns of a terminal: below the first it breaks the lines itself, from the second on there is room for all."""
_FOLDED = ("status", "reason", "where")
"""All else stands in one line: an id is there to be copied."""
_ACTS = {"discard": "discard", "replay": "a copy"}
_COLOURS = {"held": "bold red", "replaying": "magenta", "replayed": "green"}


def entry_table(entries: Sequence[Entry], width: int) -> Table:
    """One row per entry, as they came; where there is no room, what `show` tells is left out, never part of an id."""
    titles = _TITLES if width >= _WIDE else _NARROW
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=title not in _FOLDED, overflow="fold")
    for one in entries:
        cells = {
            "entry": one["entry"],
            "service": one["service"],
            "status": Text(_status(one), _COLOURS.get(one["status"], "")),
            "reason": Text(plain(one["reason"])),
            "where": Text(_place(one)),
            "bytes": str(one["size"]),
            "lane": "may be urgent" if one["urgent"] else one["lane"],
            "kept at": moment(one["kept_at"]),
        }
        table.add_row(*(cells[title] for title in titles))
    return table


def _status(entry: Entry) -> str:
    """How it stands, and what is under way or was tried."""
    proposal = entry["proposal"]
    tried = [f"tried again {moment(entry['failed_at'])}"] if _has_failed(entry) else []
    proposed = [f"{_ACTS[proposal['act']]} proposed"] if proposal else []
    return ", ".join([entry["status"], *tried, *proposed])


def _has_failed(entry: Entry) -> bool:
    return entry["status"] == "held" and bool(entry.get("failed_at"))


def became(entry: Entry) -> str:
    """What an act made of an entry, in a sentence's rest."""
    proposal = entry["proposal"]
    if entry["status"] == "held" and proposal:
        same = "discard it too" if proposal["act"] == "discard" else "try the same copy too"
        return f"proposed; it may be urgent: to confirm it somebody else must {same}"
    if entry["status"] == "held":
        return f"held again: {plain(_why(entry))}"
    if entry["status"] == "replaying":
        return f"replaying; `rogatory quarantine show {entry['entry']}` tells what comes of it"
    return f"{entry['status']}, {plain(entry['outcome'])}" if entry["outcome"] else str(entry["status"])


def _why(entry: Entry) -> str:
    return f"behind {entry['behind']}" if entry["behind"] else str(entry["reason"])


def told(entry: Entry) -> Iterator[str]:
    """One entry: how it stands, what was sent, its story."""
    yield f"{entry['entry']}: {entry['status']} in {entry['service']}"
    for name, value in _stands(entry).items():
        if value:
            yield from paragraph(f"{name:<{_COLUMN}}{value}", 2, _COLUMN)
    yield from paragraph(f"{'a replay now':<{_COLUMN}}{plain(entry['replay']['says'])}", 2, _COLUMN)
    for copy in (entry["original"], *entry["edited"]):
        yield ""
        yield from _copy(copy, entry["masked"])
    yield ""
    for event in entry["story"]:
        said = plain({name: value for name, value in event["said"].items() if value not in (None, "", [])})
        yield from paragraph(f"{moment(event['at'])}  {event['event']}  {said}".rstrip(), 2, 4)


def _stands(entry: Entry) -> Mapping[str, str]:
    proposal = entry["proposal"]
    return {
        "reason": plain(entry["reason"]),
        "behind": plain(entry["behind"] or ""),
        "where": _place(entry),
        "lane": "may be urgent: two people are needed to discard it" if entry["urgent"] else entry["lane"],
        "bytes": f"{entry['size']}" + (", of which only the beginning is kept" if entry["cut"] else ""),
        "kept": moment(entry["kept_at"]),
        "tried again": f"{moment(entry['failed_at'])}, and held again" if _has_failed(entry) else "",
        "outcome": plain(entry["outcome"] or ""),
        "proposed": _proposed(proposal) if proposal else "",
    }


def _proposed(proposal: Mapping[str, str]) -> str:
    what = "to discard it" if proposal["act"] == "discard" else "to try the edited copy"
    return f"{what}, by {plain(proposal['by'])}: {plain(proposal['reason'])}; somebody else must confirm it"


def _copy(copy: Mapping[str, Any], is_masked: bool) -> Iterator[str]:
    what = f"an edited copy, brought {moment(copy['brought_at'])}" if copy["brought_at"] else "what was sent"
    yield f"  {what}{' (masked)' if is_masked else ''}:"
    if copy["timestamp"]:
        yield f"    timestamp: {plain(copy['timestamp'])}"
    for name, text in copy["headers"]:
        yield f"    {plain(name)}: {'null' if text is None else plain(text)}"
    key, value = copy["key"], copy["value"]
    yield f"    key: {key['bytes']} bytes, {key['kind']}"
    if key["text"]:
        yield f"    {clean(key['text'])}"
    yield f"    value: {value['bytes']} bytes, {value['kind']}, sha256 {value['sha256']}"
    if value["text"]:
        # The text itself: the tree that was read from it has lost doubled members, forms of numbers, white space.
        yield f"    {clean(value['text'])}"
    elif value["tree"] is not None:
        for line in json.dumps(value["tree"], indent=2, ensure_ascii=False).splitlines():
            yield f"    {plain_line(line)}"
    difference = copy["difference"] or {}
    for header in difference.get("headers", ()):
        before, after = (plain(", ".join(map(str, header[name] or ()))) for name in ("was", "value"))
        yield f"    header {plain(header['name'])}  {before} -> {after}"
    for change in difference.get("changes", ()):
        before, after = (plain(json.dumps(change[name])) if name in change else "" for name in ("was", "value"))
        yield f"    {change['op']} {plain(change['path'])}  {before} -> {after}".rstrip(" ->")


def plain_line(line: str) -> str:
    """A line of JSON that keeps its indent."""
    return line[: len(line) - len(line.lstrip())] + plain(line)


def forecast(service: str, answer: Mapping[str, Any]) -> Iterator[str]:
    """What a replay of many did, or would do, in one service."""
    cut = answer.get("cut", 0)
    if "marked" in answer:
        more = "; there are more: run it again" if answer["more"] else ""
        yield f"{service}: {answer['marked']} to be tried again{more}."
    elif not answer["counts"] and not cut:
        yield f"{service}: nothing matches."
    if refused := answer.get("refused", 0):
        yield f"{service}: {refused} stay held: `rogatory quarantine show` says why."
    if cut:
        yield f"{service}: {cut} left out, of which only the beginning is kept: send the whole of each with --edited."
    if "marked" in answer:
        return
    for what, number in sorted(answer["counts"].items(), key=lambda one: -one[1]):
        yield f"{service}: {number} would {_would(what)}."
    if answer["more"]:
        yield f"{service}: there are more, which were not looked at."


def _would(what: str) -> str:
    return {"heard before": "stay as they are: heard before", "nothing": "change nothing"}.get(
        what, f"be {plain(what)}" if what.startswith("refused") else words(what)
    )


def _place(entry: Entry) -> str:
    return f"{plain(entry['topic'])}/{entry['partition']}/{entry['offset']}"
