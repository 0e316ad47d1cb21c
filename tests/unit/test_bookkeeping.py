"""Who keeps books on a loop is told before every write, and of what became of it."""

from collections.abc import Sequence

import pytest

from shared.failures import TryAgain
from shared.mongo import Change
from shared.records import Record
from tests.unit.test_loop import Fed, MemoryStore, loop, says


class Books:
    """Remembers what it was told; `away`: how often it says that it cannot note anything."""

    def __init__(self, store: MemoryStore, away: int = 0) -> None:
        self.store, self.away = store, away
        self.told: list[tuple[str, list[tuple[str, int]] | None, int]] = []
        """What it was told, of which records in which versions, and how many writes there had been by then."""

    def open(self) -> "Books":
        return self

    async def before(self, records: Sequence[Record]) -> None:
        self._tell("before", records)
        self.away -= 1
        if self.away >= 0:
            raise TryAgain("away")

    def close(self, landed: Sequence[Record] | None) -> None:
        self._tell("close", landed)

    def _tell(self, what: str, records: Sequence[Record] | None) -> None:
        told = None if records is None else [(record.id, record.version) for record in records]
        self.told.append((what, told, self.store.writes))


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.loop.random.uniform", lambda _low, _high: 0.0)


async def test_a_batch_is_noted_before_it_is_written_and_closed_once_it_has_landed() -> None:
    store = MemoryStore()
    cases, books = loop(store, Fed()), Books(store)
    cases.bookkeepers.append(books)

    await cases.handle([says("a", "1"), says("b", "2"), says("nothing", "3", "cas_2")], "kafka")

    assert books.told == [("before", [("cas_1", 2)], 0), ("close", [("cas_1", 2)], 1)]


async def test_what_cannot_be_noted_is_not_written() -> None:
    store = MemoryStore()
    cases, books = loop(store, Fed()), Books(store, away=2)
    cases.bookkeepers.append(books)

    await cases.handle([says("a", "1")], "kafka")

    assert [what for what, _, writes in books.told if writes == 0] == ["before"] * 3
    assert store.documents["cas_1"]["version"] == 1


async def test_what_an_earlier_try_wrote_has_landed_too() -> None:
    store = MemoryStore()
    cases, books = loop(store, Fed()), Books(store)
    cases.bookkeepers.append(books)

    def landed_unseen(changes: Sequence[Change]) -> bool:
        store.keep(changes)
        raise TryAgain("no answer")

    store.faults.append(landed_unseen)

    await cases.handle([says("a", "1")], "kafka")

    assert books.told[-1] == ("close", [("cas_1", 1)], 1)


async def test_an_outcome_that_stays_unknown_is_said() -> None:
    store = MemoryStore()
    cases, books = loop(store, Fed()), Books(store)
    cases.bookkeepers.append(books)

    def no_answer(_changes: Sequence[Change]) -> bool:
        raise TryAgain("no answer")

    store.faults.append(no_answer)
    with pytest.raises(TryAgain):
        await cases.handle([says("a", "1")], "http", patience=0)

    assert books.told == [("before", [("cas_1", 1)], 0), ("close", None, 1)]


async def test_nothing_to_write_is_nothing_to_note() -> None:
    store = MemoryStore()
    cases, books = loop(store, Fed()), Books(store)
    cases.bookkeepers.append(books)

    await cases.handle([says("nothing", "1")], "kafka")

    assert books.told == [("close", [], 0)]
