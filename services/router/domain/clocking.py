"""A case's clocks: what starts, stops and moves them, and what happens when one rings.

The law's, the sender's and our own are three kinds and never shown as one another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
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
STATUTORY, POLICY = "statutory", "policy"
APPEARANCE = "appearance"
"""The cycle of types for which a person comes to be heard."""
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
    state: Mapping[str, Any],
    update: str,
    said: Mapping[str, Any],
    now: datetime,
    rules: Rules,
    ends: Mapping[str, str] = MappingProxyType({}),
) -> list[Clock] | None:
    """The clocks after an update, None where it changes none. The end of a case stops all but those of a person.

    `ends`: what the update has set anew, by the field's name: a running clock moves with it. That a sender asks for an
    end sets none.
    """
    happened_at = _when(update, said, now, rules)
    before: list[Clock] = list(state.get("clocks", ()))
    ended = state["status"] in rules.life.ends
    known = {rule.name: rule for rule in rules.clocks(state)}
    on = rules.day(state)
    after = [_after(clock, rules.clock(clock["clock"], on), update, ends, now, rules) for clock in before]
    if ended:
        after = [c if _outlives(c, state) else _stopped(c, now) for c in after]
    for rule in known.values():
        if _starts(rule, update, said) and (rule.kind == STATUTORY or not ended):
            begun = _ahead(_begun(rule, happened_at or now, said, rules.law), now)
            if not _is_there(begun, after, says_when=happened_at is not None or rule.span.ends in said):
                after = [clock for clock in after if clock["clock"] != rule.name] + [begun]
    if is_held(state):
        after = without_lapse({**state, "clocks": after}, now, rules)
    return after if after != before else None


def _when(update: str, said: Mapping[str, Any], now: datetime, rules: Rules) -> datetime | None:
    """When it happened, if the update says so."""
    rule = rules.life.updates.get(update)
    field = rule.text.happened_at if rule else None
    return read(said[field]) if field is not None and field in said else None


def _after(
    clock: Clock, rule: ClockRule | None, update: str, ends: Mapping[str, str], now: datetime, rules: Rules
) -> Clock:
    if rule and update in rule.span.stops:
        return _stopped(clock, now)
    if rule and rule.span.ends in ends and rule.span.starts != update and clocks.is_running(clock):
        return _moved(rule, clock, ends, now, rules.law)
    return clock


def _outlives(clock: Clock, state: Mapping[str, Any]) -> bool:
    """A deadline of the law about a person goes on when the case has its answer: custody, safe conduct."""
    return clock["kind"] == STATUTORY and (is_in_custody(state) or state.get("cycle") == APPEARANCE)


def _is_there(begun: Clock, present: Sequence[Clock], *, says_when: bool) -> bool:
    """Whether a clock runs already and nothing new was said, or has rung at this very end."""
    for clock in present:
        if clock["clock"] == begun["clock"]:
            if clocks.is_running(clock):
                return not says_when or clock["due"] == begun["due"]
            return "missed_at" in clock and bool(clock["due"] == begun["due"])
    return False


def is_in_custody(state: Mapping[str, Any]) -> bool:
    """Whether a person is held for this case, and the documents have not come."""
    arrest = state.get("arrest") or {}
    return bool(arrest) and "released_at" not in arrest and "documents_at" not in arrest


def after_change_of_urgency(state: Mapping[str, Any], now: datetime, rules: Rules) -> list[Clock]:
    """Clocks that are not for the new urgency stop; those that are for it run from now, unless their end has come."""
    did = state.get("did", {})
    wanted = {rule.name: rule for rule in rules.clocks(state)}
    kept = [clock if clock["clock"] in wanted else _stopped(clock, now) for clock in state.get("clocks", ())]
    there = {clock["clock"] for clock in kept if clocks.is_running(clock) or "missed_at" in clock}
    begun = [
        _begun(rule, now, state, rules.law)
        for name, rule in wanted.items()
        if name not in there and _starts(rule, OPENED, state) and not did.keys() & set(rule.span.stops)
    ]
    anew = {clock["clock"] for clock in begun}
    return [clock for clock in kept if clock["clock"] not in anew] + begun


def after_move(
    state: Mapping[str, Any], before: Mapping[str, Any], now: datetime, on: date, rules: Rules
) -> list[Clock]:
    """Another authority has the case: our targets from receipt begin anew for it, everything else goes on."""
    from_receipt = {
        rule.name for rule in rules.clocks(before, on) if rule.kind == POLICY and rule.span.starts == OPENED
    }
    going_on = [clock for clock in before.get("clocks", ()) if clock["clock"] not in from_receipt]
    there = {clock["clock"] for clock in going_on}
    return going_on + [
        _begun(rule, now, state, rules.law)
        for rule in rules.clocks(state, on)
        if rule.name not in there and _starts(rule, OPENED, state)
    ]


def kept_again(state: Mapping[str, Any], now: datetime, rules: Rules) -> list[Clock]:
    """What was held waits for nothing more: it lapses when its time is over, if that lies ahead."""
    kept, after = state["preservation"], list(state.get("clocks", ()))
    for rule in rules.clocks(state):
        if rule.span.at_end == LAPSE and kept["until"] > text_of(now):
            begun = clocks.started(rule, read(kept["from"]), rules.law.calendar, read(kept["until"]))
            after = [clock for clock in after if clock["clock"] != rule.name] + [_ahead(begun, now)]
    return after_update({**state, "clocks": after}, "follow_up_decided", {}, now, rules) or after


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
    rule = rules.clock(clock["clock"], rules.day(state))
    kind = CASE_CLOCK_WARNED
    if step[1] == DUE:
        kind = CASE_CLOCK_MISSED
        if rule and rule.span.at_end == LAPSE:
            kind = CASE_LAPSED
            kept = {**state.get("preservation", {}), "phase": "lapsed", "lapsed_at": clock["due"]}
            changes |= {"status": "lapsed", "preservation": kept, "ended_at": text_of(now)}
            changes["clocks"] = [_stopped(c, now) if clocks.is_running(c) else c for c in changes["clocks"]]
    drafts = [events.said_of_case(kind, record, changes, said=told)]
    if rule and rule.tells_sender:
        # It is the other State that can extend, follow up or send the documents.
        drafts.append(events.answer("warning", record, changes, told, None))
    return Decision(drafts)


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


RETURNED = "returned_for_supplement"


def waiting(state: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """From now on the sender is waited for."""
    waits = state.get("waits", [])
    return {} if waits and waits[-1][1] is None else {"waits": [*waits, [text_of(now), None]]}


def waited(state: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The sender is waited for no longer."""
    waits = state.get("waits", [])
    return {"waits": [*waits[:-1], [waits[-1][0], text_of(now)]]} if waits and waits[-1][1] is None else {}


def elapsed(state: Mapping[str, Any], now: datetime) -> tuple[float, float]:
    """Seconds from receipt to the end of the case or to now; and those in which we did not wait for the sender."""
    end = min(read(state["ended_at"]), now) if "ended_at" in state else now
    waited = sum(
        max(0.0, (min(read(until), end) if until else end).timestamp() - read(since).timestamp())
        for since, until in state.get("waits", ())
    )
    whole = (end - read(state["received_at"])).total_seconds()
    return whole, whole - waited
