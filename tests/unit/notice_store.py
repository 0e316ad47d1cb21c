"""The notices in memory, found as the notifier asks for them: the conditions of its queries, as MongoDB reads them."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from shared.failures import TryAgain
from shared.mongo import Change
from tests.unit.test_loop import MemoryStore


class NoticeStore(MemoryStore):
    """A stand-in for the collection of notices and ladders."""

    async def find(
        self,
        query: Mapping[str, Any],
        projection: Mapping[str, Any] | None,
        *,
        limit: int,
        sort: Sequence[str] = (),
        skip: int = 0,
        sure: bool = False,
    ) -> list[dict[str, Any]]:
        if self.is_away:
            raise TryAgain("away")
        assert limit > 0
        documents = self.documents if sure or not self.elected else self.elected.pop(0)
        found = [document for document in documents.values() if is_wanted(query, document)]
        if sort:
            (name,) = sort
            found.sort(key=lambda document: str(value_of(name, document)))
        return found[:limit]

    def keep(self, changes: Sequence[Change]) -> bool:
        landed = super().keep(changes)
        for document in self.documents.values():
            if "next_due" not in document["state"]:
                document.pop("next_due", None)
        return landed


def is_wanted(query: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a document meets all conditions."""
    return all(_meets(name, wanted, document) for name, wanted in query.items())


def value_of(name: str, document: Mapping[str, Any]) -> Any:
    """A member, however deep; None where there is none."""
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if value is not None else None
    return value


def _meets(name: str, wanted: Any, document: Mapping[str, Any]) -> bool:
    if name in ("$or", "$nor"):
        return any(is_wanted(one, document) for one in wanted) is (name == "$or")
    value = value_of(name, document)
    if not isinstance(wanted, dict):
        return bool(value == wanted)
    return all(_compares(how, of, value) for how, of in wanted.items())


def _compares(how: str, of: Any, value: Any) -> bool:
    if how in ("$in", "$nin"):
        return (value in of) is (how == "$in")
    if how == "$exists":
        return (value is not None) is of
    return value is not None and bool(_COMPARED[how](value, of))


_COMPARED = {"$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt}
