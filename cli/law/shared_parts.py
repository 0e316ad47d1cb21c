"""The parts of a law's page that all request types share: authorities, clocks, grounds, treaties, sources."""

from collections.abc import Iterator

from cli.law.markdown import code, codes, plain, table
from cli.law.words import clock_in_words
from shared.law.competence import Law
from shared.law.sources import InForce, Treaty
from shared.law.text import Clock, Content, Dated, Span

KINDS = {
    "statutory": "Statutory: set by law",
    "requested": "Requested: set by the sender, with a reason",
    "policy": "Policy: set by the authorities for themselves, never a legal deadline",
}
CLOCK_HEAD = ("clock", "kind", "what for", "how it runs", "basis", "from")
CONTENT_HEAD = ("the letter must contain", "word", "when", "asked for by", "days")


def shared_parts(law: Law) -> Iterator[str]:
    """All of them, in Markdown."""
    yield from _authorities(law)
    yield from _every_letter(law)
    yield from _clocks(law)
    yield from _grounds(law)
    yield from _treaties(law)
    yield from _lanes(law)
    yield from _sources(law)


def for_every_type(law: Law) -> tuple[str, ...]:
    """The field sets that every request type has."""
    types = law.request_types.values()
    return tuple(name for name in law.text.field_sets if all(name in one.field_sets for one in types))


def days(row: Dated) -> str:
    """On which days something holds."""
    return f"from {row.since} through {row.through}" if row.through else f"from {row.since}"


def content_row(word: str, content: Content) -> tuple[str, ...]:
    """What a letter must contain, as a row of a table."""
    return plain(content.says), code(word), plain(content.need), codes(content.basis), days(content)


def clock_row(name: str, clock: Clock, span: Span) -> tuple[str, ...]:
    """A clock as a row of a table: its kind always beside it."""
    spoken = plain(clock_in_words(clock, span))
    return code(name), code(clock.kind), plain(clock.says), spoken, codes(span.basis), str(span.since)


def _authorities(law: Law) -> Iterator[str]:
    yield "## Authorities and executing bodies\n"
    rows = [
        (plain(one.name), code(name), codes(one.never.types) if one.never else "")
        for name, one in law.authorities.items()
    ]
    yield from table(("authority", "in the file", "never has"), rows)
    yield "An authority may forward a case to:\n"
    bodies = ((plain(one.name), code(name)) for name, one in law.executing_bodies.items())
    yield from table(("executing body", "in the file"), bodies)


def _every_letter(law: Law) -> Iterator[str]:
    if names := for_every_type(law):
        yield "## What every letter must contain\n"
        yield from table(
            CONTENT_HEAD, (content_row(*one) for name in names for one in law.text.field_sets[name].items())
        )


def _clocks(law: Law) -> Iterator[str]:
    yield "## Clocks\n"
    if law.text.standard_clocks:
        yield f"These run for every type: {codes(law.text.standard_clocks)}.\n"
    for kind, says in KINDS.items():
        clocks = [(name, clock) for name, clock in law.text.clocks.items() if clock.kind == kind]
        yield f"### {says}\n"
        yield from table(
            CLOCK_HEAD, (clock_row(name, clock, span) for name, clock in clocks for span in clock.versions)
        )
    yield f"Nobody works on: {plain(', '.join(law.text.weekend) or 'no day of the week')}.\n"
    holidays = ((str(one.since), str(one.last), plain(one.says), codes(one.basis)) for one in law.text.holidays)
    yield from table(("holiday from", "through", "what", "basis"), holidays)


def _grounds(law: Law) -> Iterator[str]:
    yield "## Grounds of refusal\n"
    rows = [
        (plain(one.says), code(name), "enough alone" if one.alone else "never alone", codes(one.basis))
        for name, one in law.text.refusal_grounds.items()
    ]
    yield from table(("ground", "in the file", "weight", "basis"), rows)


def _treaties(law: Law) -> Iterator[str]:
    basis = law.text.legal_basis
    yield "## Treaties\n"
    yield f"{plain(basis.says)} ({codes(basis.basis)}) Where a type says nothing else: {codes(basis.rests_on)}.\n"
    head = ("treaty", "in the file", f"in force for {plain(law.text.state)}", "and for", "certainty of the days")
    yield from table(head, (_treaty(law, name, treaty) for name, treaty in law.text.treaties.items()))


def _treaty(law: Law, name: str, treaty: Treaty) -> tuple[str, ...]:
    source = law.text.sources[treaty.source]
    here = "; ".join(_in_force(row) for row in treaty.in_force) or "never"
    others = "; ".join(f"{', '.join(row.states)} {_in_force(row)}" for row in treaty.parties) or "nobody recorded"
    return (
        plain(source.title),
        codes((name, *treaty.also_called)),
        here,
        others,
        code(treaty.certainty or source.certainty),
    )


def _in_force(row: InForce) -> str:
    since = f"from {row.since}" if row.since else "from a day that is not known"
    return f"{since} through {row.through}" if row.through else since


def _lanes(law: Law) -> Iterator[str]:
    yield "## What goes first\n"
    head = ("from", "urgent whatever they say", "urgent when the letter says", "basis")
    rows = (
        (str(row.since), codes(row.urgent_types), codes(row.urgent_when), codes(row.basis)) for row in law.text.lanes
    )
    yield from table(head, rows)


def _sources(law: Law) -> Iterator[str]:
    yield "## Sources\n"
    head = ("source", "in the file", "certainty", "kind", "seen", "last checked")
    yield from table(
        head,
        (
            (plain(one.title), code(name), code(one.certainty), one.kind, plain(one.seen or ""), str(one.checked))
            for name, one in law.text.sources.items()
        ),
    )
