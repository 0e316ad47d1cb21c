"""What a letter counts for: it arrived, was accepted or refused, and each of its measures is open or has ended."""

from collections.abc import Collection, Mapping
from typing import Any

from shared.accounts import Terms


def terms_by(ends: Collection[str]) -> Terms:
    """The terms of a letter, where these statuses end a case."""

    def terms(state: Mapping[str, Any]) -> Mapping[str, int]:
        status = state.get("status")
        if status == "refused":
            return {"letter/arrived": 1, "letter/refused": 1}
        if status != "received":
            return {}
        measures = len(state["measures"])
        ended = sum(case.get("status") in ends for case in state["cases"])
        counts = {
            "letter/arrived": 1,
            "letter/accepted": 1,
            "letter/ended" if ended == measures else "letter/open": 1,
            "measure/accepted": measures,
        }
        if ended:
            counts["measure/ended"] = ended
        if ended < measures:
            counts["measure/open"] = measures - ended
        return counts

    return terms
