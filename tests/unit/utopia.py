"""A small invented law with its worked cases and one assumption, for tests that change a thing in it."""

from pathlib import Path

from tests.unit.test_law_files import SMALL

CASES = """\
- case: The last day before the law
  given: {type: data_preservation, direction: incoming, received: 2025-12-31}
  expect: {to: nobody}
- case: The first day, without a reason
  given: {type: data_preservation, direction: incoming, received: 2026-01-01, missing: [necessity]}
  expect: {to: police, certainty: press, lane: urgent, ask_for: ["uncc 42"], clocks: [kept]}
- case: The last day of the police
  given: {type: data_preservation, direction: incoming, received: 2026-12-31, party: FR, assume: [friends]}
  expect: {to: police, treaty: uncc, gate: "passed: uncc"}
- case: The day of the repeal
  given: {type: data_preservation, direction: incoming, received: 2027-01-01}
  expect: {to: nobody, lean: police}
- case: Abroad
  given: {type: data_preservation, direction: outgoing, received: 2026-03-01}
  expect: {to: nobody}
"""
FRIENDS = """\
assumption: friends
says: The Convention binds France.
treaties: {uncc: {in_force: [{from: 2025-01-01}], parties: [{from: 2025-01-01, states: [FR]}]}}
"""
Replace = tuple[str, str]


def utopia(folder: Path, *changes: Replace, name: str = "utopia") -> Path:
    """The law file, each change made once."""
    path = folder / f"{name}.yaml"
    path.write_text(_changed(SMALL, changes))
    return path


def with_cases(folder: Path, *changes: Replace, law: tuple[Replace, ...] = ()) -> Path:
    """The law file with its worked cases and the assumption beside it; the changes are made in the cases."""
    (folder / "utopia.cases.yaml").write_text(_changed(CASES, changes))
    (folder / "assumptions").mkdir(exist_ok=True)
    (folder / "assumptions" / "friends.yaml").write_text(FRIENDS)
    return utopia(folder, *law)


def _changed(text: str, changes: tuple[Replace, ...]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text
