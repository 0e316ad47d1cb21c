"""What a case counts for: it is open or has ended, and each of its clocks runs, was stopped, or was missed."""

from collections.abc import Collection, Mapping
from typing import Any

from shared.accounts import Terms


def terms_by(ends: Collection[str]) -> Terms:
    """The terms of a case, where these statuses end it."""

    def terms(state: Mapping[str, Any]) -> Mapping[str, int]:
        if "status" not in state:
            return {}
        counts = {"case/opened": 1, "case/ended" if state["status"] in ends else "case/open": 1}
        for clock in state.get("clocks", ()):
            # Missed first: what stops a missed clock shows only how late it came.
            how = "missed" if "missed_at" in clock else "stopped" if "stopped_at" in clock else "running"
            counts["clock/started"] = counts.get("clock/started", 0) + 1
            counts[f"clock/{how}"] = counts.get(f"clock/{how}", 0) + 1
        return counts

    return terms
