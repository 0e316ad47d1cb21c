"""What a notice and a ladder count for, each by how it stands."""

from collections.abc import Mapping
from typing import Any

from services.notifier.domain.ladders import LADDER

_OPEN = dict.fromkeys(("waiting", "attempting", "handing_on"), "open")


def terms(state: Mapping[str, Any]) -> Mapping[str, int]:
    """The terms of a notice or a ladder."""
    status = state.get("status")
    if status is None:
        return {}
    if state.get("record") == LADDER:
        return {"ladder/begun": 1, f"ladder/{status}": 1}
    return {"notice/raised": 1, f"notice/{_OPEN.get(status, status)}": 1}
