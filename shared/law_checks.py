"""What a law file must satisfy beyond its types; each refusal is one sentence with file, line and the word meant."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from shared.law_text import NOBODY, STRENGTH, Assumption, Content, Dated, LawText, RequestType, Row, holding, weakest
from shared.vocabulary import Direction
from shared.yaml_file import Place, YamlFile, did_you_mean, quoted

ONE_DAY = timedelta(days=1)


def check_law(file: YamlFile, text: LawText) -> None:
    """Refuses the file at the first thing that a lawyer or an operator must correct."""
    check_sources(file, text)
    for place, references in _all_references(text):
        for number, reference in enumerate(references):
            check_reference(file, text, (*place, number), reference)
    check_treaties(file, text)
    check_clocks(file, text)
    check_days(file, ("lanes",), "the lanes", text.lanes)
    for number, lane in enumerate(text.lanes):
        _all_known(file, ("lanes", number, "urgent_types"), lane.urgent_types, text.request_types, "request type")
    for code, request_type in text.request_types.items():
        check_type(file, text, code, request_type)


def check_sources(file: YamlFile, text: LawText) -> None:
    """A verified source shows the words that were read, and no article is better known than its source."""
    for name, source in text.sources.items():
        place: Place = ("sources", name)
        if source.certainty == "verified" and source.quote is None:
            raise file.bad(place, f"{quoted(name)} is called verified without a quote, its sha256 and who read it")
        if source.quote and hashlib.sha256(source.quote.text.encode()).hexdigest() != source.quote.sha256:
            raise file.bad((*place, "quote", "sha256"), f"the quote of {quoted(name)} has another sha256")
        for certainty in source.articles:
            if STRENGTH[certainty] < STRENGTH[source.certainty]:
                raise file.bad(
                    (*place, "articles", certainty),
                    f"an article of {quoted(name)} cannot be {certainty} when its source is {source.certainty}",
                )


def check_reference(file: YamlFile, text: LawText, place: Place, reference: str) -> None:
    """`uncc 42(8)` names a source of the file and an article that the source lists."""
    name, _, article = reference.partition(" ")
    if name not in text.sources:
        raise file.bad(place, f"there is no source {quoted(name)}{did_you_mean(name, text.sources)}")
    listed = [one for articles in text.sources[name].articles.values() for one in articles]
    if article and listed and article not in listed:
        raise file.bad(place, f"the source '{name}' lists no article {quoted(article)}{did_you_mean(article, listed)}")


def check_treaties(file: YamlFile, text: LawText) -> None:
    """Each treaty has a known source and names of its own, and the days are no surer than the source."""
    _all_known(file, ("legal_basis", "rests_on"), text.legal_basis.rests_on, text.treaties, "treaty")
    taken: dict[str, str] = {}
    for name, treaty in text.treaties.items():
        _all_known(file, ("treaties", name, "source"), [treaty.source], text.sources, "source", listed=False)
        source = text.sources[treaty.source].certainty
        if treaty.certainty and STRENGTH[treaty.certainty] < STRENGTH[source]:
            raise file.bad(("treaties", name, "certainty"), f"'{name}' cannot be surer than its source, {source}")
        for called in (name, *treaty.also_called):
            if called.casefold() in taken:
                raise file.bad(("treaties", name), f"{quoted(called)} already names '{taken[called.casefold()]}'")
            taken[called.casefold()] = name


def check_assumption(file: YamlFile, text: LawText, assumption: Assumption) -> None:
    """An assumption speaks only of treaties that the law file has."""
    for name in assumption.treaties:
        _all_known(file, ("treaties", name), [name], text.treaties, "treaty", listed=False)


def check_clocks(file: YamlFile, text: LawText) -> None:
    """What we have set ourselves is never shown as the law's."""
    for name, clock in text.clocks.items():
        if not clock.versions and clock.kind != "requested":
            raise file.bad(("clocks", name), f"the {clock.kind} clock '{name}' does not say how long it lasts")
        check_days(file, ("clocks", name, "versions"), f"the clock '{name}'", clock.versions)
        for number, span in enumerate(clock.versions):
            for reference in span.basis if clock.kind == "statutory" else ():
                source = reference.partition(" ")[0]
                if text.sources[source].kind == "policy":
                    raise file.bad(
                        ("clocks", name, "versions", number),
                        f"the statutory clock '{name}' rests on '{source}', which is policy",
                    )


def check_type(file: YamlFile, text: LawText, code: str, request_type: RequestType) -> None:
    """A type names only what the file has, and gives exactly one answer on every day in both directions."""
    place: Place = ("request_types", code)
    _all_known(file, (*place, "rests_on"), request_type.rests_on, text.treaties, "treaty")
    _all_known(file, (*place, "clocks"), request_type.clocks, text.clocks, "clock")
    _all_known(file, (*place, "field_sets"), request_type.field_sets, text.field_sets, "field set")
    check_contents(file, text, code, request_type)
    for direction in Direction:
        rows = request_type.rows(direction)
        for number, row in enumerate(rows):
            check_row(file, text, (*place, direction.value, number), row)
        check_days(file, (*place, direction.value), f"{direction} {code}", rows)


def check_contents(file: YamlFile, text: LawText, code: str, request_type: RequestType) -> None:
    """No two sets of one type define the same word, and what a type goes without stands in one of its sets."""
    place: Place = ("request_types", code)
    words: dict[str, Content] = {}
    for contents in (*(text.field_sets[name] for name in request_type.field_sets), request_type.must_contain):
        for word in contents:
            if word in words:
                raise file.bad(place, f"'{code}' asks for {quoted(word)} twice, by two field sets")
        words.update(contents)
    _all_known(file, (*place, "without"), request_type.without, words, "field")


def check_row(file: YamlFile, text: LawText, place: Place, row: Row) -> None:
    """A row names a known authority or nobody, says why where it names nobody, and is no surer than its basis."""
    if row.to != NOBODY:
        _all_known(file, (*place, "to"), [row.to], [*text.authorities, NOBODY], "authority", listed=False)
    elif row.because is None:
        raise file.bad(place, "a row that names nobody must say why (because)")
    if row.lean is not None:
        known = [*text.authorities, *text.executing_bodies]
        _all_known(file, (*place, "lean"), [row.lean], known, "authority or executing body", listed=False)
    proven = weakest(text.certainty_of(reference) for reference in row.basis)
    if row.certainty and STRENGTH[row.certainty] < STRENGTH[proven]:
        raise file.bad((*place, "certainty"), f"a row cannot be {row.certainty} when its basis is {proven}")


def check_days(file: YamlFile, place: Place, what: str, rows: Sequence[Dated]) -> None:
    """Exactly one row holds on every boundary day, the day before and the day after; none before the first."""
    first = min((row.since for row in rows), default=date.max)
    for on in sorted({day for row in rows for day in _around(row)}):
        holds = holding(rows, on)
        if len(holds) > 1:
            raise file.bad((*place, rows.index(holds[-1])), f"two rows for {what} both hold on {on}")
        if not holds and on >= first:
            raise file.bad(place, f"no row for {what} holds on {on}, although one held before")


def _around(row: Dated) -> Iterator[date]:
    for boundary in (row.since, row.through):
        if boundary is not None:
            yield from (boundary - ONE_DAY, boundary, boundary + ONE_DAY)


def _all_known(
    file: YamlFile, place: Place, words: Iterable[str], known: Iterable[str], what: str, *, listed: bool = True
) -> None:
    known = list(known)
    for number, word in enumerate(words):
        if word not in known:
            where = (*place, number) if listed else place
            raise file.bad(where, f"there is no {what} {quoted(word)}{did_you_mean(word, known)}")


def _all_references(text: LawText) -> Iterator[tuple[Place, tuple[str, ...]]]:
    yield ("legal_basis", "basis"), text.legal_basis.basis
    for number, lane in enumerate(text.lanes):
        yield ("lanes", number, "basis"), lane.basis
    for name, clock in text.clocks.items():
        for number, span in enumerate(clock.versions):
            yield ("clocks", name, "versions", number, "basis"), span.basis
    for name, contents in text.field_sets.items():
        for word, content in contents.items():
            yield ("field_sets", name, word, "basis"), content.basis
    for code, request_type in text.request_types.items():
        yield from _type_references(("request_types", code), request_type)


def _type_references(place: Place, request_type: RequestType) -> Iterator[tuple[Place, tuple[str, ...]]]:
    yield (*place, "article"), request_type.article
    for word, content in request_type.must_contain.items():
        yield (*place, "must_contain", word, "basis"), content.basis
    for direction in Direction:
        for number, row in enumerate(request_type.rows(direction)):
            yield (*place, direction.value, number, "basis"), row.basis
