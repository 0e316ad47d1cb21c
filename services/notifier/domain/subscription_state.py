"""How a subscription stands: the fold of its history, and what of that is sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from shared.events import (
    ALERT_RAISED,
    SUBSCRIBER_LEFT,
    SUBSCRIPTION_ADDED,
    SUBSCRIPTION_GONE,
    SUBSCRIPTION_KEY_ROTATED,
    SUBSCRIPTION_PAUSED,
    SUBSCRIPTION_REMOVED,
    SUBSCRIPTION_RESUMED,
    Event,
)
from shared.records import State


class Status(StrEnum):
    """How a subscription stands."""

    ACTIVE = "active"
    PAUSED = "paused"
    GONE = "gone"
    REMOVED = "removed"


LIVE = (Status.ACTIVE, Status.PAUSED, Status.GONE)
LEFT = "left"
"""In the place of a status: an address of a subscriber of the partners file, which nobody answers for any more."""


def evolve(state: State, event: Event) -> State:
    """A subscription is what was added under its name, and how it stands."""
    data = event.data
    if event.type == ALERT_RAISED:
        return state
    if event.type == SUBSCRIBER_LEFT:
        return {"status": LEFT, "subscriber": data["subscriber"]}
    if event.type == SUBSCRIPTION_ADDED:
        keys = [{"seq": event.seq}] if data["signs"] else []
        return {**data, "status": Status.ACTIVE.value, "added_at": event.at, "address_seq": event.seq, "keys": keys}
    if event.type == SUBSCRIPTION_PAUSED:
        # One of before says neither until when nor, in its content, who and why.
        ends = {"paused_until": data["until"]} if data.get("until") else {}
        paused = {"status": Status.PAUSED.value, "paused_at": event.at, "paused_seq": event.seq}
        return {**_without_pause(state), **paused, **ends}
    if event.type == SUBSCRIPTION_RESUMED:
        moved = {"address_seq": event.seq} if data["moved"] else {}
        return {**_without_pause(state), "status": Status.ACTIVE.value, **moved}
    if event.type == SUBSCRIPTION_KEY_ROTATED:
        newest, older = state.get("keys", [])[:1], state.get("keys", [])[1:]
        old = [{**key, "until": data["until"]} for key in newest] + [key for key in older if key["until"] > event.at]
        return {**state, "keys": [{"seq": event.seq}, *old]}
    return {**_without_pause(state), "status": _AFTER[event.type]}


_AFTER = {
    SUBSCRIPTION_GONE: Status.GONE.value,
    SUBSCRIPTION_REMOVED: Status.REMOVED.value,
}


def _without_pause(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("paused_")}


def status_at(state: Mapping[str, Any], at: str) -> Status:
    """How it stands at a time: a pause that has an end is over by itself."""
    is_over = state["status"] == Status.PAUSED and state.get("paused_until", "~") <= at
    return Status.ACTIVE if is_over else Status(state["status"])


def signing_seqs(state: Mapping[str, Any], at: str) -> list[int]:
    """The events whose keys sign at a time, the newest first."""
    return [key["seq"] for key in state["keys"] if "until" not in key or key["until"] > at]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key and until when it signs; None for the newest."""

    key: str
    until: str | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """What only the sender may know of a recipient."""

    address: str
    keys: tuple[SigningKey, ...]
    """The newest first."""


def sealed_of(state: Mapping[str, Any], history: Sequence[Event]) -> Sealed:
    """The address and keys that a state points to, from the history with its content."""
    keys = tuple(SigningKey(_content(history, key["seq"])["key"], key.get("until")) for key in state["keys"])
    return Sealed(_content(history, state["address_seq"])["address"], keys)


@dataclass(frozen=True, slots=True)
class Paused:
    """Since when it is paused, by whom and why, and until when; None for what a pause of before did not say."""

    author: str | None
    reason: str | None
    since: str | None
    until: str | None


def pause_of(state: Mapping[str, Any], history: Sequence[Event]) -> Paused | None:
    """The pause that a state has, with the words that are sealed; None where it is not paused."""
    if state["status"] != Status.PAUSED:
        return None
    said = _content(history, state["paused_seq"]) if "paused_seq" in state else {}
    return Paused(said.get("author"), said.get("reason"), state.get("paused_at"), state.get("paused_until"))


def _content(history: Sequence[Event], seq: int) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(history[seq - 1].content or b"{}")
    return found
