"""Many records beside a few: each that rests is copied under other ids, as if years had gone by."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo

from shared.sealing import Sealer, place_of
from shared.times import read, text_of

Document = dict[str, Any]

RECORDS = (
    *("letters", "cases", "notices", "subscriptions", "silences"),
    *("intake_quarantine", "router_quarantine", "notifier_quarantine"),
)
_ID = re.compile(r"\b([a-z]{3})_[0-9a-f]{32}\b")
_PAST = frozenset({"received_at", "raised_at", "kept_at", "began_at", "asked_at", "failed_at", "delivered_at"})
_SOON = timedelta(hours=1)
_OTHERWISE = {"topic": "agency.another.letters.v1", "reason": "not a letter", "party": "FR", "lane": "urgent"}
"""Of every second copy: what all have in common no index can tell apart."""
_LIVE = frozenset({"replaying", "active", "paused", "gone"})


def crowd(uri: str, database: str, sealer: Sealer, most: int) -> dict[str, int]:
    """Fill every collection of records up to about so many; how many each has now."""
    with pymongo.MongoClient[Document](uri, tz_aware=True) as client:
        counts = {}
        for name in RECORDS:
            collection = client[database][name]
            resting = [one for one in collection.find() if _rests(one)]
            times = range(1, 1 + most // max(1, len(resting)))
            copies = [copy_of(one, number, sealer) for number in times for one in resting]
            if copies:
                collection.insert_many(copies, ordered=False)
            counts[name] = collection.count_documents({})
        return counts


def copy_of(document: Mapping[str, Any], number: int, sealer: Sealer) -> Document:
    """The same record of so many days earlier, under other ids; it opens as the first does."""
    copy: Document = _other(document, "", number)
    if "key" in document:
        old, new = sealer.key_of(document["_id"], document["key"]), sealer.new_key(copy["_id"])
        copy["key"] = new.wrapped
        copy["history"] = [
            {
                **form,
                "sealed": new.seal(
                    old.open(form["sealed"], place_of(document["_id"], form["seq"])), place_of(copy["_id"], form["seq"])
                ),
            }
            if form.get("sealed") is not None
            else form
            for form in document["history"]
        ]
    return copy


def _rests(document: Mapping[str, Any]) -> bool:
    """Whether nobody would do anything about a copy now."""
    now, state = datetime.now(UTC), document["state"]
    soon = text_of(now + _SOON)
    is_live = state.get("status") in _LIVE or state.get("ends", "") > text_of(now)
    has_work = "unsent_since" in document or document.get("next_due", soon) < soon or "follow_at" in state
    return not (is_live or has_work)


def _other(value: Any, name: str, number: int) -> Any:
    if isinstance(value, Mapping):
        return {key: inner if key == "history" else _other(inner, key, number) for key, inner in value.items()}
    if isinstance(value, list):
        return [_other(inner, name, number) for inner in value]
    if not isinstance(value, str):
        return value
    if name in _OTHERWISE and number % 2:
        return _OTHERWISE[name]
    if name in _PAST:
        return text_of(read(value) - timedelta(days=number))
    return _ID.sub(lambda found: f"{found[1]}_{hashlib.md5(f'{found[0]}{number}'.encode()).hexdigest()}", value)
