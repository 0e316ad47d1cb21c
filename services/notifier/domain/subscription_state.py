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
    if event.type == SUBSCRIPTION_RESUMED:
        return {**state, "status": Status.ACTIVE.value} | ({"address_seq": event.seq} if data["moved"] else {})
    if event.type == SUBSCRIPTION_KEY_ROTATED:
        newest, older = state.get("keys", [])[:1], state.get("keys", [])[1:]
        old = [{**key, "until": data["until"]} for key in newest] + [key for key in older if key["until"] > event.at]
        return {**state, "keys": [{"seq": event.seq}, *old]}
    return {**state, "status": _AFTER[event.type]}


_AFTER = {
    SUBSCRIPTION_PAUSED: Status.PAUSED.value,
    SUBSCRIPTION_GONE: Status.GONE.value,
    SUBSCRIPTION_REMOVED: Status.REMOVED.value,
}


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

    def content(seq: int) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(history[seq - 1].content or b"{}")
        return found

    keys = tuple(SigningKey(content(key["seq"])["key"], key.get("until")) for key in state["keys"])
    return Sealed(content(state["address_seq"])["address"], keys)
