"""A law file as a page that a lawyer reads: what is open first, then article by article, then what they share."""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import groupby

from cli.law.markdown import code, codes, plain, table
from cli.law.shared_parts import CLOCK_HEAD, CONTENT_HEAD, clock_row, content_row, days, for_every_type, shared_parts
from cli.law.words import listed
from shared.law.competence import Law
from shared.law.sources import STRENGTH, Certainty
from shared.law.text import NOBODY, PARENT, Clock, Content, RequestType, Row
from shared.vocabulary import Direction

WEAK = STRENGTH[Certainty.RECALLED_LOW]
"""From here on a lawyer should look before anybody relies on it."""


def law_page(law: Law, today: date) -> str:
    """The page, in Markdown."""
    return "\n".join((*_head(law), *_open_points(law, today), *_articles(law), *shared_parts(law)))


def _head(law: Law) -> Iterator[str]:
    yield f"# Who is competent for letters of request: {plain(law.name.capitalize())} ({plain(law.text.state)})\n"
    yield f"Version {code(law.version)}, sha256 {code(law.sha256[:16])}. Days begin at midnight in {plain(law.zone)}.\n"
    for assumed in law.assumptions:
        yield f"**Assumed, not recorded:** {code(assumed)}.\n"
    yield "The program obeys the law file, from which this page is made: what is wrong here is corrected there.\n"
    rows = [_certainty(law, *one) for one in _rows(law)]
    counted = [(certainty, rows.count(certainty)) for certainty in Certainty if certainty in rows]
    yield f"{len(rows)} rows say who is competent. How certainly, the strongest first:\n"
    yield from table(("certainty", "rows"), ((code(certainty), str(number)) for certainty, number in counted))


def _open_points(law: Law, today: date) -> Iterator[str]:
    yield "## Open points\n"
    for note in law.warnings(today):
        yield f"- {plain(note[:1].upper() + note[1:])}."
    yield ""
    yield "### Nobody is named\n"
    yield "The law names no authority; a duty lawyer of the 24/7 desk decides. A lean is a hint, never a route.\n"
    nobody = [one for one in _rows(law) if one[2].to == NOBODY]
    head = ("what", "direction", "from", "lean", "because")
    yield from table(head, (_open(law, *one, plain(one[2].lean or "")) for one in nobody))
    yield "### Named, but hardly known\n"
    weak = [one for one in _rows(law) if one[2].to != NOBODY and STRENGTH[_certainty(law, *one)] >= WEAK]
    head = ("what", "direction", "from", "certainty", "because")
    yield from table(head, (_open(law, *one, code(_certainty(law, *one))) for one in weak))


def _open(law: Law, type: str, direction: Direction, row: Row, told: str) -> tuple[str, ...]:
    title = law.request_types[type].title
    return (plain(title), str(direction), str(row.since), told, plain(_answer_because(law, type, direction, row)))


def _rows(law: Law) -> Iterator[tuple[str, Direction, Row]]:
    for type, request_type in law.request_types.items():
        for direction in Direction:
            for row in request_type.rows(direction):
                yield type, direction, row


def _certainty(law: Law, type: str, direction: Direction, row: Row) -> Certainty:
    return Certainty(law.decide(type, direction, row.since).certainty)


def _answer_because(law: Law, type: str, direction: Direction, row: Row) -> str:
    return row.because or law.decide(type, direction, row.since).because


def _articles(law: Law) -> Iterator[str]:
    """The request types under the article that each rests on first."""
    order = sorted(law.request_types.items(), key=lambda one: _place(law, one[1]))
    for (source, number), types in groupby(order, key=lambda one: _article(one[1])):
        title = law.text.sources[source].title.partition(" (")[0]
        yield f"## Article {plain(number)}, {plain(title)}\n" if number else f"## {plain(title)}\n"
        for type, request_type in types:
            yield from _type(law, type, request_type)


def _article(request_type: RequestType) -> tuple[str, str]:
    """`uncc 40(3)(d)` stands under article 40 of `uncc`."""
    source, _, article = request_type.article[0].partition(" ")
    return source, article.partition("(")[0]


def _place(law: Law, request_type: RequestType) -> tuple[int, int, str, str]:
    source, number = _article(request_type)
    return [*law.text.sources].index(source), int(number) if number.isdecimal() else 0, number, request_type.article[0]


def _type(law: Law, type: str, request_type: RequestType) -> Iterator[str]:
    yield f"### {plain(request_type.title)}\n"
    yield f"{code(type)}, on {codes(request_type.article)}.\n"
    if request_type.follows:
        yield f"Follows a case of {codes(request_type.follows)}.\n"
    rows = [(direction, row) for direction in Direction for row in request_type.rows(direction)]
    competence = ("direction", "days", "competent", "basis", "certainty", "because")
    yield from table(competence, (_competent(law, type, direction, row) for direction, row in rows))
    yield from table(CONTENT_HEAD, (content_row(*one) for one in _contents(law, request_type)))
    clocks = {name: law.text.clocks[name] for name in request_type.clocks}
    yield from table(CLOCK_HEAD, _clocks(clocks))
    if grounds := law.grounds(type):
        yield f"May be refused on no other grounds than: {codes(grounds)}.\n"
    if outcomes := law.outcomes(type):
        yield f"Usually ends with: {plain(listed((law.text.outcomes[one].says for one in outcomes), 'or'))}.\n"


def _competent(law: Law, type: str, direction: Direction, row: Row) -> tuple[str, ...]:
    because = plain(_answer_because(law, type, direction, row))
    certainty = code(_certainty(law, type, direction, row))
    return str(direction), days(row), _who(law, row), codes(row.basis), certainty, because


def _who(law: Law, row: Row) -> str:
    if row.to in (NOBODY, PARENT):
        who = "nobody is named: for the desk" if row.to == NOBODY else "whoever has the case that it follows"
        return f"{who} (lean: {plain(row.lean)})" if row.lean else who
    return f"**{plain(law.authorities[row.to].name)}**"


def _contents(law: Law, request_type: RequestType) -> Iterator[tuple[str, Content]]:
    """What only some types ask for; what all ask for is said once, with what they share."""
    own = [law.text.field_sets[name] for name in request_type.field_sets if name not in for_every_type(law)]
    for contents in (*own, request_type.must_contain):
        yield from ((word, one) for word, one in contents.items() if word not in request_type.without)


def _clocks(clocks: Mapping[str, Clock]) -> Iterator[tuple[str, ...]]:
    for name, clock in clocks.items():
        yield from (clock_row(name, clock, span) for span in clock.versions)
