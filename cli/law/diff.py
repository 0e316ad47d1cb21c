"""What two law files answer differently, over ranges of days: answers are compared, never the text of the files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cli.law.days import Range, days_of_change, days_of_treaties, ranges
from cli.law.subjects import Said, Subject, about_all, about_subject, about_treaty, changed, names_of, sentences
from cli.law.wording import wording_only
from shared.law.competence import Law
from shared.vocabulary import Direction


@dataclass(frozen=True)
class Change:
    """What differs on these days, for these subjects: one sentence per thing."""

    days: Range | None
    subjects: tuple[str, ...]
    says: tuple[str, ...]

    def __str__(self) -> str:
        when = f"{self.days} " if self.days else ""
        return f"{when}{' and '.join(self.subjects)}: {' '.join(f'{one}.' for one in self.says)}"

    def as_json(self) -> dict[str, object]:
        """With days as text; null where there is no first or no last day."""
        first, last = (self.days.first, self.days.last) if self.days else (None, None)
        return {
            "from": first and first.isoformat(),
            "through": last and last.isoformat(),
            "subjects": list(self.subjects),
            "says": list(self.says),
        }


@dataclass(frozen=True)
class Difference:
    """All that two law files answer differently, and how many texts differ without changing an answer."""

    changes: tuple[Change, ...]
    wording: int

    @property
    def differs(self) -> bool:
        return bool(self.changes)


def diff(old: Law, new: Law) -> Difference:
    """What the new law answers differently from the old one."""
    return Difference((*_of_the_file(old, new), *_treaties(old, new), *_subjects(old, new)), wording_only(old, new))


def _of_the_file(old: Law, new: Law) -> Iterator[Change]:
    """What holds on every day."""
    known, known_now = names_of(old), names_of(new)
    for what, before in known.items():
        after = known_now[what]
        for name in (*before, *(name for name in after if name not in before)):
            if name not in after:
                yield Change(None, (f"the {what} {name}",), ("It is no longer there",))
            elif name not in before:
                yield Change(None, (f"the {what} {name}",), ("It is new",))
    if says := sentences(changed(about_all(old), about_all(new))):
        yield Change(None, ("every case",), says)


def _treaties(old: Law, new: Law) -> Iterator[Change]:
    cuts = ranges((*days_of_treaties(old), *days_of_treaties(new)))
    for name in old.text.treaties:
        if name in new.text.treaties:
            said = [(days, changed(about_treaty(old, name, days), about_treaty(new, name, days))) for days in cuts]
            for days, says in _by_range(said).items():
                yield Change(days, (f"the treaty {name}",), sentences(says))


def _subjects(old: Law, new: Law) -> Iterator[Change]:
    cuts = ranges((*days_of_change(old), *days_of_change(new)))
    subjects = [Subject(code, way) for code in old.request_types if code in new.request_types for way in Direction]
    alike: dict[tuple[Range, Said], list[Subject]] = {}
    for subject in subjects:
        said = [(days, changed(about_subject(old, subject, days), about_subject(new, subject, days))) for days in cuts]
        for days, things in _by_range(said).items():
            for thing in things:
                alike.setdefault((days, thing), []).append(subject)
    together: dict[tuple[Range, tuple[Subject, ...]], list[Said]] = {}
    for (days, thing), those in alike.items():
        together.setdefault((days, tuple(those)), []).append(thing)
    for (days, group), things in sorted(together.items(), key=lambda one: one[0][0].first or date.min):
        yield Change(days, _told(group, subjects), sentences(things))


def _by_range(said: Sequence[tuple[Range, tuple[Said, ...]]]) -> Mapping[Range, list[Said]]:
    """Each thing once for all days that follow one another, and what holds on the same days together."""
    found: dict[Range, list[Said]] = {}
    for thing in dict.fromkeys(thing for _, things in said for thing in things):
        begun: Range | None = None
        for days, things in (*said, (Range(None, None), ())):
            if thing in things:
                begun = Range(begun.first if begun else days.first, days.last)
            elif begun:
                found.setdefault(begun, []).append(thing)
                begun = None
    return found


def _told(alike: Sequence[Subject], all_: Sequence[Subject]) -> tuple[str, ...]:
    """The subjects by name, those of the same directions together; all of them in three words."""
    if len(alike) == len(all_) > len(Direction):
        return ("every request type",)
    ways: dict[str, list[str]] = {}
    for subject in alike:
        ways.setdefault(subject.type, []).append(subject.direction.value)
    types: dict[str, list[str]] = {}
    for type, directions in ways.items():
        types.setdefault(" and ".join(directions), []).append(type)
    return tuple(f"{directions} {', '.join(named)}" for directions, named in types.items())
