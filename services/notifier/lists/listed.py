"""Subscriptions and silences as the directory holds them, and the pure functions that match them to an event."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from services.notifier.domain.subscription_state import Paused, SigningKey, Status, pause_of, sealed_of
from services.notifier.domain.subscriptions import Hears, HearsOnlyNeverHeld
from services.notifier.rules.alert_rules import AlertRules
from services.notifier.rules.never_held import Matcher
from shared import times
from shared.events import Event
from shared.partners import NoticeChannel
from shared.records import Record

Facts = Mapping[str, str]
When = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A recipient that the desk added."""

    record: str
    name: str
    channel: NoticeChannel
    hears: Hears
    state: Status
    address: str
    address_seq: int
    """Which of its addresses this is; see `domain.subscriptions.Gone`."""
    signs: str | None
    signing: tuple[SigningKey, ...]
    """What signs now, the newest first."""
    language: str
    group: timedelta | None
    rate: int | None
    added_at: str
    pause: Paused | None = None

    @property
    def recipient(self) -> str:
        """What stands in a notice."""
        return f"subscription.{self.name}"

    @property
    def keys(self) -> tuple[str, ...]:
        """What signs now, the newest first."""
        return tuple(one.key for one in self.signing)

    def at(self, at: str) -> "Subscription":
        """The same without the keys that have run out by then, and without a pause that has."""
        left = tuple(one for one in self.signing if one.until is None or one.until > at)
        one = self if len(left) == len(self.signing) else replace(self, signing=left)
        is_over = one.pause is not None and one.pause.until is not None and one.pause.until <= at
        return replace(one, state=Status.ACTIVE, pause=None) if is_over else one


@dataclass(frozen=True, slots=True)
class Silence:
    """What is held back, until when, by whom and why."""

    id: str
    when: When
    author: str
    reason: str
    begun_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """Who hears of an event: who is told, and whom a pause or a dead address keeps from it."""

    told: tuple[Subscription, ...]
    held: tuple[Subscription, ...]


def subscription_of(record: Record, history: Sequence[Event]) -> Subscription:
    """The subscription of a record and its opened history."""
    state, sealed = record.state, sealed_of(record.state, history)
    return Subscription(
        record=record.id,
        name=state["name"],
        channel=NoticeChannel(state["channel"]),
        hears=state["hears"],
        state=Status(state["status"]),
        address=sealed.address,
        address_seq=state["address_seq"],
        signs=state["signs"],
        signing=sealed.keys,
        language=state["language"],
        group=timedelta(seconds=state["group"]) if state["group"] is not None else None,
        rate=state["rate"],
        added_at=state["added_at"],
        pause=pause_of(state, history),
    )


def silence_of(record: Record, history: Sequence[Event]) -> Silence:
    """The silence of a record and its opened history."""
    state = record.state
    said = orjson.loads(history[state["begun_seq"] - 1].content or b"{}")
    begun_at, until = times.read(state["begun_at"]), times.read(state["ends"])
    return Silence(record.id, state["when"], said["author"], said["reason"], begun_at, until)


def matches(when: When, facts: Facts) -> bool:
    """Whether every fact that is named has one of its values."""
    return all(facts.get(name) in accepted for name, accepted in when.items())


def hears_of(hears: Hears, facts: Facts, audiences: Collection[str]) -> bool:
    """Whether an event, which the rules tell to these audiences, is for who hears so."""
    return hears["audience"] in audiences if "audience" in hears else matches(hears["when"], facts)


def heard_by(
    subscriptions: Iterable[Subscription], facts: Facts, audiences: Collection[str], is_never_held: bool
) -> Heard:
    """Who hears: a pause holds back what may be held back, and to a dead address nothing is sent.

    What nothing may hold back is owed to the dead address too: it fails at once, and somebody hears of that.
    """
    hearing = [one for one in subscriptions if hears_of(one.hears, facts, audiences)]
    told = [one for one in hearing if one.state == Status.ACTIVE or is_never_held]
    return Heard(tuple(told), tuple(one for one in hearing if one not in told))


def silenced_by(silences: Iterable[Silence], facts: Facts) -> tuple[Silence, ...]:
    """The silences that match."""
    return tuple(one for one in silences if matches(one.when, facts))


def never_held_of(hears: Hears, rules: AlertRules) -> tuple[Matcher, ...]:
    """What of all that somebody hears nothing may hold back."""
    if "when" in hears:
        return rules.touches(hears["when"])
    telling = [rule for rule in rules.rules if hears["audience"] in rule.tell]
    touched = [one for rule in telling for one in rules.touches(rule.when)]
    return tuple(one for one in rules.kept if one in touched)


def hears_only_never_held(rules: AlertRules) -> HearsOnlyNeverHeld:
    """Whether somebody hears nothing that may be held back."""

    def only(hears: Hears) -> bool:
        if "when" in hears:
            return rules.can_only_be_never_held(hears["when"])
        return rules.hears_only_never_held(hears["audience"])

    return only
