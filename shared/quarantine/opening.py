"""Opening an entry: its events with what is sealed in them."""

from collections.abc import Mapping
from typing import Any

from shared.events import Event
from shared.records import event_of
from shared.sealing import Sealer


def opened(document: Mapping[str, Any], sealer: Sealer) -> list[Event]:
    """The whole history of a stored entry; raises `sealing.Broken`."""
    wrapped: bytes | None = document.get("key")
    key = sealer.key_of(document["_id"], wrapped) if wrapped else None
    return [event_of(document["_id"], form, key) for form in document["history"]]
