"""Who would hear of an event, and why, as people read it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cli.telling import paragraph, plain, span
from shared.times import read

Told = Mapping[str, Any]
_COLUMN = 14


def lines(answer: Told) -> Iterator[str]:
    """The rules that fire first, then what was passed over."""
    zone = ZoneInfo(answer["zone"])
    left = f", {span(answer['left'])} left on its clock" if answer["left"] is not None else ""
    facts = ", ".join(f"{name} {value}" for name, value in answer["facts"].items())
    yield from paragraph(f"{facts}{left}; on {_moment(answer['at'], zone)} in {zone}", 0, 2)
    for fired in answer["fires"]:
        yield ""
        yield from _fired(fired, answer, zone)
    yield ""
    if answer["passed_over"]:
        yield "passed over"
        widest = max(len(one["rule"]) for one in answer["passed_over"])
        for one in answer["passed_over"]:
            yield from paragraph(f"{one['rule']:<{widest}}  {one['why']}", 2, widest + 2)
    if answer["not_reached"]:
        yield f"not reached    {answer['not_reached']} rules below: the first that matches wins"
    yield f"not looked at  {', '.join(answer['not_looked_at'])}"


def _fired(fired: Told, answer: Told, zone: ZoneInfo) -> Iterator[str]:
    yield f"{fired['rule']} fires"
    asked = [*fired["because"]]
    if fired["headroom_under"]:
        asked.append(f"less than {span(fired['headroom_under'])} are left")
    yield from _line("because", ", ".join(asked) or "it catches what no other rule took")
    for language, sentence in fired["says"].items():
        yield from _line(f"says ({language})", plain(sentence))
    if not fired["tells"]:
        yield from _line("tells", "nobody")
        return
    for audience in fired["tells"]:
        yield from _audience(audience, zone)
    if fired["ladder"]:
        yield from _ladder(fired["ladder"], zone)
    if answer["never_held"]:
        held = " and ".join(answer["never_held"])
        yield from _line("never held", f"{held}: no silence, pause, group, quiet hours or rate holds this back")
    else:
        yield from _line("never held", "no: silences and pauses hold this back, and what is said above")


def _audience(audience: Told, zone: ZoneInfo) -> Iterator[str]:
    wakes = ", wakes" if audience["wakes"] else ""
    yield from _line("tells", f"{audience['name']} ({audience['is']}: {audience['title']}{wakes})")
    for member in audience["members"]:
        yield from paragraph(f"- {_member(member, zone)}", _COLUMN + 2, 2)


def _ladder(ladder: Told, zone: ZoneInfo) -> Iterator[str]:
    yield from _line("ladder", f"{ladder['ladder']}, until somebody acknowledges or the case moves on")
    for step in ladder["steps"]:
        when = f"after {span(step['after'])}" if step["after"] else "at once"
        for member in step["tells"]:
            yield from paragraph(f"- {when} ({_moment(step['at'], zone)}): {_member(member, zone)}", _COLUMN + 2, 2)
    if ladder["again"]:
        again = f"- then the last step again every {span(ladder['again'])}, {ladder['rounds']} times at most"
        yield from paragraph(again, _COLUMN + 2, 2)
    if ladder["remind_after"]:
        again = f"- acknowledged, and nothing done for {span(ladder['remind_after'])}: from the first step again"
        yield from paragraph(again, _COLUMN + 2, 2)


def _member(member: Told, zone: ZoneInfo) -> str:
    said = [f"{member['recipient']}" + (f" ({plain(member['title'])})" if "title" in member else "")]
    if "rota" in member:
        until = f" until {_moment(member['until'], zone)}" if member["until"] else ""
        said.append(f"{'stands in for nobody on' if member['stands_in'] else 'on'} {member['rota']}{until}")
    said.append(_ways(member))
    holds = member.get("holds", {})
    if "quiet_until" in holds:
        said.append(f"quiet until {_moment(holds['quiet_until'], zone)}")
    if "group" in holds:
        said.append(f"with what else comes within {span(holds['group'])}")
    if "rate" in holds:
        said.append(f"{holds['rate']} a minute at most")
    return ", ".join(said)


def _ways(member: Told) -> str:
    if "patience" not in member:
        return f"by {' and '.join(member['by'])}"
    first, *rest = member["by"]
    after = f"not taken within {span(member['patience'])}, by "
    return f"by {first}" + "".join(f"; {after}{way}" for way in rest)


def _line(name: str, text: str) -> Iterator[str]:
    yield from paragraph(f"{name:<{_COLUMN}}{text}", 2, _COLUMN)


def _moment(text: str, zone: ZoneInfo) -> str:
    at: datetime = read(text).astimezone(zone)
    return f"{at:%a %Y-%m-%d %H:%M}"
