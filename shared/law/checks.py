"""What a law file must satisfy beyond its types; each refusal is one sentence with file, line and the word meant."""

import hashlib
from collections.abc import Iterator

from shared.law.clock_checks import all_known, check_calendar, check_clocks, check_days
from shared.law.sources import STRENGTH, weakest
from shared.law.text import NOBODY, PARENT, Assumption, Content, LawText, RequestType, Row
from shared.vocabulary import Direction
from shared.yaml_file import Place, YamlFile, did_you_mean, quoted


def check_law(file: YamlFile, text: LawText) -> None:
    """Refuses the file at the first thing that a lawyer or an operator must correct."""
    check_sources(file, text)
    for place, references in _all_references(text):
        for number, reference in enumerate(references):
            check_reference(file, text, (*place, number), reference)
    check_treaties(file, text)
    check_clocks(file, text)
    check_calendar(file, text)
    check_grounds(file, text)
    check_never(file, text)
    check_days(file, ("lanes",), "the lanes", text.lanes)
    for number, lane in enumerate(text.lanes):
        all_known(file, ("lanes", number, "urgent_types"), lane.urgent_types, text.request_types, "request type")
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
    all_known(file, ("legal_basis", "rests_on"), text.legal_basis.rests_on, text.treaties, "treaty")
    taken: dict[str, str] = {}
    for name, treaty in text.treaties.items():
        all_known(file, ("treaties", name, "source"), [treaty.source], text.sources, "source", listed=False)
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
        all_known(file, ("treaties", name), [name], text.treaties, "treaty", listed=False)


def check_type(file: YamlFile, text: LawText, code: str, request_type: RequestType) -> None:
    """A type names only what the file has, and gives exactly one answer on every day in both directions."""
    place: Place = ("request_types", code)
    all_known(file, (*place, "rests_on"), request_type.rests_on, text.treaties, "treaty")
    all_known(file, (*place, "clocks"), request_type.clocks, text.clocks, "clock")
    all_known(file, (*place, "field_sets"), request_type.field_sets, text.field_sets, "field set")
    all_known(file, (*place, "grounds"), request_type.grounds, text.ground_sets, "ground set")
    all_known(file, (*place, "outcomes"), request_type.outcomes, text.outcomes, "outcome")
    all_known(file, (*place, "follows"), request_type.follows, text.request_types, "request type")
    if request_type.holds_parent and not request_type.follows:
        raise file.bad((*place, "holds_parent"), f"'{code}' holds its parent case but follows none (follows)")
    check_contents(file, text, code, request_type)
    for direction in Direction:
        rows = request_type.rows(direction)
        for number, row in enumerate(rows):
            check_row(file, text, (*place, direction.value, number), row)
            check_need_to_know(file, text, (*place, direction.value, number), code, request_type, row)
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
    all_known(file, (*place, "without"), request_type.without, words, "field")
    asked = [word for word in words if word not in request_type.without]
    for word, content in words.items():
        other = content.need.removeprefix("unless ")
        if word in asked and other != content.need and (other == word or other not in asked):
            raise file.bad(place, f"'{code}' needs {quoted(word)} unless {quoted(other)}, which it does not ask for")


def check_grounds(file: YamlFile, text: LawText) -> None:
    """A set names known grounds, and at least one of them may stand alone: otherwise nothing could be refused by it."""
    for name, codes in text.ground_sets.items():
        all_known(file, ("ground_sets", name), codes, text.refusal_grounds, "refusal ground")
        if not any(text.refusal_grounds[code].alone for code in codes):
            raise file.bad(("ground_sets", name), f"no ground of {quoted(name)} may stand alone")


def check_never(file: YamlFile, text: LawText) -> None:
    """What an authority may never have is a request type of the file."""
    for name, authority in text.authorities.items():
        if authority.never:
            place: Place = ("authorities", name, "never", "types")
            all_known(file, place, authority.never.types, text.request_types, "request type")


def check_need_to_know(
    file: YamlFile, text: LawText, place: Place, code: str, request_type: RequestType, row: Row
) -> None:
    """No row gives an authority what it may never have, and what follows a parent says which types that may be."""
    authority = text.authorities.get(row.to)
    if authority and authority.never and code in authority.never.types:
        raise file.bad((*place, "to"), f"'{row.to}' may never have a case of '{code}'")
    if row.to == PARENT and not request_type.follows:
        raise file.bad(place, f"'{code}' follows its parent case, but no type that it follows is named (follows)")


def check_row(file: YamlFile, text: LawText, place: Place, row: Row) -> None:
    """A row names a known authority or nobody, says why where it names nobody, and is no surer than its basis."""
    if row.to not in (NOBODY, PARENT):
        known = [*text.authorities, NOBODY, PARENT]
        all_known(file, (*place, "to"), [row.to], known, "authority", listed=False)
    elif row.to == NOBODY and row.because is None:
        raise file.bad(place, "a row that names nobody must say why (because)")
    if row.lean is not None:
        known = [*text.authorities, *text.executing_bodies]
        all_known(file, (*place, "lean"), [row.lean], known, "authority or executing body", listed=False)
    proven = weakest(text.certainty_of(reference) for reference in row.basis)
    if row.certainty and STRENGTH[row.certainty] < STRENGTH[proven]:
        raise file.bad((*place, "certainty"), f"a row cannot be {row.certainty} when its basis is {proven}")


def _all_references(text: LawText) -> Iterator[tuple[Place, tuple[str, ...]]]:
    yield ("legal_basis", "basis"), text.legal_basis.basis
    for number, lane in enumerate(text.lanes):
        yield ("lanes", number, "basis"), lane.basis
    for name, clock in text.clocks.items():
        for number, span in enumerate(clock.versions):
            yield ("clocks", name, "versions", number, "basis"), span.basis
    for number, holiday in enumerate(text.holidays):
        yield ("holidays", number, "basis"), holiday.basis
    for name, authority in text.authorities.items():
        if authority.never:
            yield ("authorities", name, "never", "basis"), authority.never.basis
    for code, ground in text.refusal_grounds.items():
        yield ("refusal_grounds", code, "basis"), ground.basis
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
