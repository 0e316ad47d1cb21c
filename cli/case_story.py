"""One case as a person would tell it: how it stands, what it waits for, and what happened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cli.telling import KINDS, moment, paragraph, plain, span, words
from shared.events import (
    CASE_ASSIGNED,
    CASE_CLOCK_MISSED,
    CASE_CLOCK_WARNED,
    CASE_LAPSED,
    CASE_REASSIGNED,
    UPDATE_REJECTED,
)

View = Mapping[str, Any]

_GAP = timedelta(days=1)
"""A silence as long as this is a line of the story of its own."""


def told(view: View, simulated: str | None) -> Iterator[str]:
    """The lines that tell of a case."""
    mark = "*" if simulated else ""
    if simulated:
        yield f"* SIMULATED TIME, now {moment(simulated)}: nothing here is meant in earnest."
    yield from _head(view, mark)
    for title, lines in (
        ("Clocks", clock_lines(view["clocks"], mark)),
        ("Missing", _missing(view["missing"])),
        ("Not usable as it stands", (f"{words(one['field'])}: {one['says']}" for one in view["defects"])),
        ("To note", map(words, view["marks"])),
        ("Linked", _links(view)),
        ("What is asked", _asked(view["content"])),
    ):
        yield from _section(title, lines)
    yield ""
    yield "What happened"
    yield from _story(view["story"], mark)
    yield from _section("Could be done now", [", ".join(map(words, view["allowed"]))] if view["allowed"] else [])


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    written = [line for text in lines for line in paragraph(text, 2, 4)]
    if written:
        yield from ("", title, *written)


def _since(view: View) -> str:
    """Time stops with the case: what has ended long ago is not told as if it had just come."""
    return "from then to its end" if view["ended"] else "ago"


def _head(view: View, mark: str) -> Iterator[str]:
    to = "to" if view["direction"] == "outgoing" else "from"
    yield f"{view['case']}: {words(view['type'])}, {view['direction']}, {to} {view['party']} by {view['channel']}"
    with_whom = f", {words(view['executing_body'])} carries it out" if view["executing_body"] else ""
    yield f"  status       {words(view['status'])}, with {view['authority']}{with_whom}"
    lane = "" if view["lane"] == view["urgency"] else f", {view['lane']} lane"
    yield f"  urgency      {view['urgency']}{lane}"
    if view["content"]:
        yield f"  reference    {plain(view['content'].get('reference', ''))}"
    yield f"  received     {moment(view['received_at'])}{mark}, {span(view['elapsed_seconds'])} {_since(view)}"
    waited = view["elapsed_seconds"] - view["net_seconds"]
    if waited:
        yield f"  net          {span(view['net_seconds'])}: the other State was waited for during {span(waited)}"
    yield f"  because      {view['because']}"
    yield f"  rule         {view['rule']}, law {view['law']} {view['version']}"
    yield f"  basis        {', '.join(view['basis'])} (certainty: {view['certainty']})"
    yield f"  legal basis  {view['gate']}"
    if view["lean"]:
        yield f"  lean         {view['lean']} (a hint for the desk, never a route)"
    for name in ("preservation", "arrest"):
        if view[name]:
            yield f"  {name:<12} {_kept(view[name], mark)}"


def _kept(kept: Mapping[str, str], mark: str) -> str:
    said = {name: f"{moment(text)}{mark}" if text[4:5] == "-" else text for name, text in kept.items()}
    return ", ".join(f"{words(name)} {text}" if name != "phase" else text for name, text in said.items())


def clock_lines(clocks: Sequence[Mapping[str, Any]], mark: str = "") -> Iterator[str]:
    """The clocks, the law's first, each plainly by its kind."""
    for kind, whose in KINDS.items():
        for clock in clocks:
            if clock["kind"] == kind:
                basis = f" ({', '.join(clock['basis'])})" if clock["basis"] else ""
                yield f"{kind}, {whose}: {words(clock['clock'])}: {_state_of(clock, mark)}{basis}"


def _state_of(clock: Mapping[str, Any], mark: str) -> str:
    due, left, stopped = f"{moment(clock['due'])}{mark}", clock["left_seconds"], clock["stopped_at"]
    if clock["status"] == "missed":
        if stopped:
            late = datetime.fromisoformat(stopped) - datetime.fromisoformat(clock["due"])
            return f"MISSED, it was due {due}; done {span(late.total_seconds())} late"
        return f"MISSED, it was due {due}, {span(left or 0)} ago"
    if clock["status"] == "stopped":
        return f"stopped {moment(stopped)}{mark}, in time" if stopped else "stopped"
    return f"due {due}, {span(left)} left" if left >= 0 else f"OVERDUE since {due}, {span(left)} ago"


def _missing(missing: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in missing:
        yield f"{words(one['field'])}: {one['says']} ({', '.join(one['basis'])})"


def _links(view: View) -> Iterator[str]:
    for link in view["links"]:
        yield f"{link['relation']}: {link['case']} ({words(link['type'])})"
    for one in view["duplicates"]:
        yield f"perhaps the same, by another letter: {one['case']} ({words(one['type'])})"


def _asked(content: Mapping[str, Any] | None) -> Iterator[str]:
    """The measure's own words; the rest of the letter follows by name."""
    if content is None:
        return
    for name, value in content["measure"]["contents"].items():
        yield f"{words(name)}: {plain(value)}"
    for name in ("urgency_reason", "requested_deadline", "prior_reference", "contact", "translation", "attachments"):
        if content.get(name):
            yield f"{words(name)}: {plain(content[name])}"


def _story(story: Sequence[Mapping[str, Any]], mark: str) -> Iterator[str]:
    before: datetime | None = None
    width = max((len(one["by"]) for one in story), default=0)
    for one in story:
        at = datetime.fromisoformat(one["at"])
        if before and at - before >= _GAP:
            yield f"  ... {span((at - before).total_seconds())} later"
        before = at
        head = f"{moment(one['at'])}{mark}  {one['by']:<{width}}  "
        yield from paragraph(head + _sentence(one), 2, len(head))
        for line in _details(one):
            yield from paragraph(line, 2 + len(head), 4)


def _sentence(one: Mapping[str, Any]) -> str:
    tell = _SENTENCES.get(one["event"])
    return tell(one["said"]) if tell else str(one["what"]).partition("; content:")[0].rstrip(".") + "."


def _details(one: Mapping[str, Any]) -> Iterator[str]:
    """What was said with it, as far as the sentence does not say it."""
    said = {} if one["event"] in _SENTENCES else one["said"]
    content = {} if one["event"] == CASE_ASSIGNED else one["content"] or {}
    for name, value in {**said, **content}.items():
        is_time = isinstance(value, str) and value[10:11] == "T" and value.endswith("Z")
        yield f"{words(name)}: {moment(value) if is_time else plain(value)}"


def _assigned(said: Mapping[str, Any]) -> str:
    lacks = said.get("missing") or ()
    missing = f" Missing: {', '.join(words(one['field']) for one in lacks)}." if lacks else ""
    return f"Given to {said.get('authority', '?')}: {said.get('because', '')}{missing}"


def _reassigned(said: Mapping[str, Any]) -> str:
    why = "".join(
        f" {words(name)}: {plain(value)}." for name, value in said.items() if name not in ("from", "authority")
    )
    return f"{said.get('from', 'Its holder')} has it no longer; it goes to {said.get('authority', '?')}.{why}"


def _rejected(said: Mapping[str, Any]) -> str:
    basis = f" ({', '.join(said['basis'])})" if said.get("basis") else ""
    bad = "".join(f" {error['pointer'] or 'the update'}: {error['detail']}" for error in said.get("errors", ()))
    allowed = f" Allowed then: {', '.join(map(words, said['allowed']))}." if said.get("allowed") else ""
    return f"'{words(said['update'])}' was REJECTED by the rule '{said['rule']}': {said['says']}{basis}{bad}{allowed}"


def _warned(said: Mapping[str, Any]) -> str:
    return f"{said['step']} left of '{words(said['clock'])}' ({said['kind']}, {KINDS[said['kind']]}), {_until(said)}"


def _missed(said: Mapping[str, Any]) -> str:
    return f"MISSED: '{words(said['clock'])}' ({said['kind']}, {KINDS[said['kind']]}), {_until(said)}"


def _lapsed(said: Mapping[str, Any]) -> str:
    return f"LAPSED: '{words(said['clock'])}' ({said['kind']}, {KINDS[said['kind']]}) came to its end, {_until(said)}"


def _until(said: Mapping[str, Any]) -> str:
    delayed = " Not all that was said before it had been read." if said.get("input_delayed") else ""
    return f"due {moment(said['due'])}.{delayed}"


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    CASE_ASSIGNED: _assigned,
    CASE_REASSIGNED: _reassigned,
    UPDATE_REJECTED: _rejected,
    CASE_CLOCK_WARNED: _warned,
    CASE_CLOCK_MISSED: _missed,
    CASE_LAPSED: _lapsed,
}
