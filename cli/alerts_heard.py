"""Who would hear of an event at a moment, and why: decided by the notifier's own functions, told as data."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from services.notifier.channels import WAKES
from services.notifier.domain.facts import FACTS, TOLD
from services.notifier.duty.roster import Roster
from services.notifier.rules.alert_rules import AlertRules, Rule
from services.notifier.rules.members import Member
from shared.partners import Subscriber
from shared.times import text_of

NOT_LOOKED_AT = ("subscriptions in MongoDB", "silences in MongoDB")


def heard(
    rules: AlertRules,
    roster: Roster,
    subscribers: Mapping[str, Subscriber],
    facts: Mapping[str, str],
    left: timedelta | None,
    at: datetime,
) -> dict[str, Any]:
    """The rules that fire with whom they tell, those passed over with the first thing that differs.

    In the sentences a fact that was not given stands as `<fact>`.
    """
    fires = rules.choose(facts, left)
    looked_at = rules.rules[: rules.rules.index(fires[-1]) + 1] if fires else rules.rules
    resolved = _Resolved(rules, roster, subscribers, is_held=not rules.is_never_held(facts))
    return {
        "facts": dict(facts),
        "left": _seconds(left),
        "at": text_of(at),
        "zone": str(roster.zone),
        "never_held": [one.says for one in rules.kept if one.matches(facts)],
        "fires": [resolved.rule(rule, facts, at) for rule in fires],
        "passed_over": [
            {"rule": rule.name, "why": why_not(rule, facts, left)} for rule in looked_at if rule not in fires
        ],
        "not_reached": len(rules.rules) - len(looked_at),
        "not_looked_at": list(NOT_LOOKED_AT),
    }


def why_not(rule: Rule, facts: Mapping[str, str], left: timedelta | None) -> str:
    """The first thing in which an event differs from what a rule is for."""
    for fact, accepted in rule.when.items():
        if (value := facts.get(fact)) not in accepted:
            asked = f"{len(accepted)} others" if len(accepted) > 3 else " or ".join(accepted)
            return f"{fact} is {value}, not {asked}" if value else f"there is no {fact}; it asks for {asked}"
    if left is None:
        return "it asks how much time the clock has left, and nobody says"
    return "the clock has more time left than it asks for"


class _Resolved:
    """Turns members into people and systems."""

    def __init__(
        self, rules: AlertRules, roster: Roster, subscribers: Mapping[str, Subscriber], *, is_held: bool
    ) -> None:
        self._rules, self._roster, self._subscribers, self._is_held = rules, roster, subscribers, is_held

    def rule(self, rule: Rule, facts: Mapping[str, str], at: datetime) -> dict[str, Any]:
        """A rule that fires."""
        ladder = self._rules.ladder_of(rule)
        return {
            "rule": rule.name,
            "because": [f"{fact} is {facts[fact]}" for fact in rule.when],
            "headroom_under": _seconds(rule.headroom_under),
            "says": rule.words({fact: f"<{fact}>" for fact in (*FACTS, *TOLD)} | dict(facts)),
            "tells": list(self._tells(rule, at)),
            "ladder": self._ladder(ladder, at) if ladder else None,
        }

    def _tells(self, rule: Rule, at: datetime) -> Iterator[dict[str, Any]]:
        """The members that the rules name for it, each under the audience that brings it."""
        left = {member.key: member for member in self._rules.members(rule)}
        for name in rule.tell:
            audience = self._rules.audiences.get(name)
            keys = [member.key for member in audience.members] if audience else [name]
            told = [left.pop(key) for key in keys if key in left]
            yield {
                "name": name,
                "title": audience.title if audience else self._subscribers[name].title,
                "is": "audience" if audience else "subscriber",
                "wakes": audience is not None and audience.wakes,
                "members": [self._member(member, at) for member in told],
            }

    def _ladder(self, name: str, at: datetime) -> dict[str, Any]:
        ladder = self._rules.ladders[name]
        steps = [
            {
                "after": step.after.total_seconds(),
                "at": text_of(at + step.after),
                "tells": [self._member(member, at + step.after) for member in step.tell],
            }
            for step in ladder.steps
        ]
        return {
            "ladder": name,
            "steps": steps,
            "again": _seconds(ladder.again),
            "rounds": ladder.rounds,
            "remind_after": _seconds(ladder.remind_after),
        }

    def _member(self, member: Member, at: datetime) -> dict[str, Any]:
        if member.subscriber is not None:
            subscriber = self._subscribers[member.name]
            ways = [str(channel) for channel in subscriber.channels]
            return {"recipient": member.name, "title": subscriber.title, "by": ways, "rings": False}
        if member.system is not None:
            return {"recipient": member.key, "by": [str(one) for one in member.by], "rings": False}
        told = self._on_duty(member, at) if member.duty else {"title": self._roster.people[member.name].name}
        person = told.pop("person", member.name)
        by = [channel for channel in member.by if channel in self._roster.people[person].contacts]
        return {
            "recipient": f"person.{person}",
            **told,
            "by": [str(channel) for channel in by],
            "patience": member.patience.total_seconds(),
            "rings": bool(WAKES & {*by}),
            "holds": self._holds(member, at) if self._is_held else {},
        }

    def _on_duty(self, member: Member, at: datetime) -> dict[str, Any]:
        turn = self._roster.on_duty(member.name, at)
        return {
            "person": turn.person.id,
            "title": turn.person.name,
            "rota": member.name,
            "until": turn.until and text_of(turn.until),
            "next": turn.next and turn.next.id,
            "stands_in": turn.stands_in,
        }

    def _holds(self, member: Member, at: datetime) -> dict[str, Any]:
        """What may hold it back a while, or gather it with others."""
        quiet = member.quiet.end(at, self._roster.zone) if member.quiet else None
        held = {"quiet_until": quiet and text_of(quiet), "group": _seconds(member.group), "rate": member.rate}
        return {name: value for name, value in held.items() if value is not None}


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
