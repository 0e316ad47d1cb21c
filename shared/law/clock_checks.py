"""What a law file's days, clocks and calendar must satisfy."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from shared.law.text import Clock, Dated, LawText, Span, holding
from shared.vocabulary import DESK
from shared.yaml_file import Place, YamlFile, did_you_mean, quoted

ONE_DAY = timedelta(days=1)
MINUTES = {"minutes": 1, "hours": 60, "days": 24 * 60}


def check_clocks(file: YamlFile, text: LawText) -> None:
    """What we have set ourselves is never shown as the law's, and every clock says how it ends and is counted."""
    all_known(file, ("standard_clocks",), text.standard_clocks, text.clocks, "clock")
    for name, clock in text.clocks.items():
        place: Place = ("clocks", name)
        all_known(file, (*place, "for", "treaty"), clock.runs_for.treaty, text.treaties, "treaty")
        all_known(file, (*place, "for", "holder"), clock.runs_for.holder, [*text.authorities, DESK], "authority")
        check_days(file, (*place, "versions"), f"the clock '{name}'", clock.versions)
        for number, span in enumerate(clock.versions):
            check_span(file, (*place, "versions", number), name, clock, span)
            _check_basis(file, text, (*place, "versions", number), name, clock, span)
            if span.counted == "working" and not text.weekend:
                raise file.bad((*place, "versions", number), f"'{name}' counts working days, but no weekend is named")


def check_span(file: YamlFile, place: Place, name: str, clock: Clock, span: Span) -> None:
    """A clock has an end, what is counted says how, and no warning comes before the start."""
    if span.lasts is None and span.ends is None:
        raise file.bad(place, f"the {clock.kind} clock '{name}' says neither how long it lasts nor which field ends it")
    if clock.kind == "requested" and (span.ends is None or span.lasts):
        raise file.bad(
            place, f"the requested clock '{name}' must end with a field of the letter (ends) and nothing else"
        )
    for key in ("counted", "rounding") if span.lasts else ():
        if key not in span.model_fields_set:
            raise file.bad(place, f"'{key}' is missing")
    if span.counted == "working" and span.lasts and not span.lasts.endswith("days"):
        raise file.bad(place, f"'{name}' counts working {span.lasts.split()[1]}; only days can be working days")
    if span.starts in span.stops:
        raise file.bad((*place, "stops"), f"'{name}' is started and stopped by {quoted(span.starts)}")
    for number, step in enumerate(span.warn):
        if span.lasts and _minutes(step) >= _minutes(span.lasts):
            raise file.bad(
                (*place, "warn", number), f"'{name}' lasts {span.lasts} and cannot warn {step} before its end"
            )


def check_calendar(file: YamlFile, text: LawText) -> None:
    """No holiday ends before it begins, and none is written twice."""
    taken: dict[date, int] = {}
    for number, row in enumerate(text.holidays):
        if row.last < row.since:
            raise file.bad(("holidays", number), f"a holiday ends on {row.last} before it begins on {row.since}")
        if (row.last - row.since).days > 30:
            raise file.bad(("holidays", number), f"a holiday of {(row.last - row.since).days + 1} days is too long")
        for n in range((row.last - row.since).days + 1):
            day = row.since + n * ONE_DAY
            if day in taken:
                raise file.bad(("holidays", number), f"{day} is a holiday already")
            taken[day] = number


def check_days(file: YamlFile, place: Place, what: str, rows: Sequence[Dated]) -> None:
    """Exactly one row holds on every boundary day, the day before and the day after; none before the first."""
    first = min((row.since for row in rows), default=date.max)
    for on in sorted({day for row in rows for day in _around(row)}):
        holds = holding(rows, on)
        if len(holds) > 1:
            raise file.bad((*place, rows.index(holds[-1])), f"two rows for {what} both hold on {on}")
        if not holds and on >= first:
            raise file.bad(place, f"no row for {what} holds on {on}, although one held before")


def all_known(
    file: YamlFile, place: Place, words: Iterable[str], known: Iterable[str], what: str, *, listed: bool = True
) -> None:
    """Refuses the first word that the file does not have, with the one that was meant."""
    known = list(known)
    for number, word in enumerate(words):
        if word not in known:
            where = (*place, number) if listed else place
            raise file.bad(where, f"there is no {what} {quoted(word)}{did_you_mean(word, known)}")


def _check_basis(file: YamlFile, text: LawText, place: Place, name: str, clock: Clock, span: Span) -> None:
    for reference in span.basis if clock.kind == "statutory" else ():
        source = reference.partition(" ")[0]
        if text.sources[source].kind == "policy":
            raise file.bad(place, f"the statutory clock '{name}' rests on '{source}', which is policy")


def _minutes(length: str) -> int:
    number, unit = length.split()
    return int(number) * MINUTES[unit]


def _around(row: Dated) -> Iterator[date]:
    for boundary in (row.since, row.through):
        if boundary is not None:
            yield from (boundary - ONE_DAY, boundary, boundary + ONE_DAY)
