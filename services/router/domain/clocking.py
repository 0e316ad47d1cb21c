"""A case's clocks: what starts, stops and moves them, and what happens when one rings.

The law's, the sender's and our own are three kinds and never shown as one another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.router.domain import events
from services.router.domain.rules import Rules
from shared import clocks
from shared.decisions import Decision, Message
from shared.events import CASE_CLOCK_MISSED, CASE_CLOCK_WARNED, CASE_LAPSED
from shared.law import ClockRule, Law
from shared.records import Record
from shared.times import read, text_of

OPENED = "opened"
STATUTORY = "statutory"
DUE, LAPSE = "due", "lapse"
HOLD = "hold"
Clock = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tick:
    """A step of one clock is due: a warning, or its end."""

    clock: str
    at: str
    """When it was due."""
    input_delayed: bool = False
    """It rings although not all that was said before has been read: a policy clock waits ten minutes, no longer."""


def at_opening(state: Mapping[str, Any], received_at: datetime, on: date, rules: Rules) -> list[Clock]:
    """The clocks that run from receipt."""
    return [
        _begun(rule, received_at, state, rules.law) for rule in rules.clocks(state, on) if _starts(rule, OPENED, state)
    ]


def after_update(
    state: Mapping[str, Any], update: str, said: Mapping[str, Any], now: datetime, rules: Rules
) -> list[Clock] | None:
    """The clocks after an update, None where it changes none; an end of the case stops them all."""
    field = rules.life.updates[update].text.happened_at
    happened_at = read(said[field]) if field is not None and field in said else now
    running: list[Clock] = list(state.get("clocks", ()))
    if state["status"] in rules.life.ends:
        after = [_stopped(clock, now) if clocks.is_running(clock) else clock for clock in running]
        return after if after != running else None
    known = {rule.name: rule for rule in rules.clocks(state)}
    after = []
    for clock in running:
        rule = known.get(clock["clock"])
        if rule and update in rule.span.stops:
            clock = _stopped(clock, now)
        elif rule and rule.span.ends in said and not _starts(rule, update, state) and clocks.is_running(clock):
            clock = _moved(rule, clock, said, now, rules.law)
        after.append(clock)
    for rule in known.values():
        if _starts(rule, update, said):
            after = [clock for clock in after if clock["clock"] != rule.name]
            after.append(_ahead(_begun(rule, happened_at, said, rules.law), now))
    if is_held(state):
        after = without_lapse({**state, "clocks": after}, now, rules)
    return after if after != running else None


def after_change_of_urgency(state: Mapping[str, Any], now: datetime, rules: Rules) -> list[Clock]:
    """Clocks that are not for the new urgency stop; those that are for it run from now, unless their end has come."""
    on, did = rules.day(state), state.get("did", {})
    wanted = {rule.name: rule for rule in rules.clocks(state, on)}
    kept = [clock if clock["clock"] in wanted else _stopped(clock, now) for clock in state.get("clocks", ())]
    there = {clock["clock"] for clock in kept if clock["clock"] in wanted}
    return kept + [
        _begun(rule, now, state, rules.law)
        for name, rule in wanted.items()
        if name not in there and _starts(rule, OPENED, state) and not did.keys() & set(rule.span.stops)
    ]


def after_move(
    state: Mapping[str, Any], before: Mapping[str, Any], now: datetime, on: date, rules: Rules
) -> list[Clock]:
    """Another authority has the case: its policy clocks begin anew, the law's and the sender's go on."""
    going_on = [
        clock for clock in before.get("clocks", ()) if clock["kind"] != "policy" or not clocks.is_running(clock)
    ]
    there = {clock["clock"] for clock in going_on if clocks.is_running(clock)}
    begun = [
        _begun(rule, now, state, rules.law)
        for rule in rules.clocks(state, on)
        if rule.name not in there and _starts(rule, OPENED, state)
    ]
    anew = {clock["clock"] for clock in begun}
    return [clock for clock in going_on if clock["clock"] not in anew] + begun


def is_held(state: Mapping[str, Any]) -> bool:
    """Whether preserved data wait for the decision on a request that followed (UNCC article 42(8))."""
    return bool((state.get("preservation") or {}).get("phase") == HOLD)


def without_lapse(state: Mapping[str, Any], now: datetime, rules: Rules) -> list[Clock]:
    """The clocks, with those stopped at whose end something would be let go."""
    lapsing = {rule.name for rule in rules.clocks(state) if rule.span.at_end == LAPSE}
    return [_stopped(clock, now) if clock["clock"] in lapsing else clock for clock in state.get("clocks", ())]


def decide(record: Record, message: Message, now: datetime, rules: Rules) -> Decision:
    """A step of a clock happens once: what was stopped, moved or has rung before rings no more."""
    tick: Tick = message.body
    state = record.state
    clock = next((c for c in state.get("clocks", ()) if c["clock"] == tick.clock and clocks.is_running(c)), None)
    step = next((step for step in clock["steps"] if step[0] == tick.at), None) if clock else None
    if clock is None or step is None:
        return Decision()
    rung = clocks.fired(clock, step, now)
    changes: dict[str, Any] = {"clocks": [rung if c is clock else c for c in state["clocks"]]}
    told = {
        "clock": clock["clock"],
        "kind": clock["kind"],
        "step": step[1],
        "due": clock["due"],
        "basis": clock["basis"],
    }
    if tick.input_delayed:
        told["input_delayed"] = True
    rule = _rule(state, clock["clock"], rules)
    kind = CASE_CLOCK_WARNED
    if step[1] == DUE:
        kind = CASE_CLOCK_MISSED
        if rule and rule.span.at_end == LAPSE:
            kind = CASE_LAPSED
            changes |= {"status": "lapsed", "preservation": {**state.get("preservation", {}), "phase": "lapsed"}}
            changes["clocks"] = [_stopped(c, now) for c in changes["clocks"]]
    drafts = [events.said_of_case(kind, record, changes, said=told)]
    if clock["kind"] == STATUTORY:
        # The other State hears of the law's own deadlines: it is the one who can extend or follow up.
        drafts.append(events.answer("warning", record, changes, told, None))
    return Decision(drafts)


def _rule(state: Mapping[str, Any], name: str, rules: Rules) -> ClockRule | None:
    return next((rule for rule in rules.clocks(state) if rule.name == name), None)


def _starts(rule: ClockRule, update: str, said: Mapping[str, Any]) -> bool:
    """Whether a clock starts with an update; one without a length of its own needs the end that was said."""
    return rule.span.starts == update and (rule.span.lasts is not None or said.get(rule.span.ends or "") is not None)


def _begun(rule: ClockRule, at: datetime, said: Mapping[str, Any], law: Law) -> Clock:
    ends = said.get(rule.span.ends) if rule.span.ends else None
    return clocks.started(rule, at, law.calendar, read(ends) if ends else None)


def _moved(rule: ClockRule, clock: Clock, said: Mapping[str, Any], now: datetime, law: Law) -> Clock:
    """A running clock gets another end: its steps are counted anew."""
    return _ahead(clocks.started(rule, read(clock["started_at"]), law.calendar, read(said[rule.span.ends or ""])), now)


def _ahead(clock: Clock, now: datetime) -> Clock:
    """Without the warnings that would have been given before now; its end stays, wherever it lies."""
    steps = [step for step in clock["steps"] if step[1] == DUE or step[0] > text_of(now)]
    return {**clock, "steps": steps}


def _stopped(clock: Clock, now: datetime) -> Clock:
    return clocks.stopped(clock, now)


def elapsed(state: Mapping[str, Any], now: datetime) -> tuple[float, float]:
    """Seconds since receipt, and those of them in which we did not wait for the sender."""
    received_at = read(state["received_at"])
    waited = sum(
        (min(read(until), now) if until else now).timestamp() - read(since).timestamp()
        for since, until in state.get("waits", ())
    )
    whole = (now - received_at).total_seconds()
    return whole, whole - waited
