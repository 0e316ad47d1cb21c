"""What a verification says to people: what was counted, what is wrong, and what could not be told."""

from collections.abc import Iterator

from verify.findings import SAYS, Kind, Report

SHOWN = 20
"""Findings of each kind that are shown; the number is always said."""


def verdict(report: Report) -> str:
    """The one line."""
    counts = report.tally.counts
    seen = f"{_records(report):,} records, {counts['events']:,} events, {counts['events on topics']:,} on topics"
    if report.is_right:
        return f"verified: nothing is wrong ({seen})."
    number = sum(report.numbers.values())
    return f"verified: {number:,} thing{'s are' if number > 1 else ' is'} wrong ({seen})."


def sentences(report: Report) -> Iterator[str]:
    """All of it: what was verified first, the verdict last."""
    counts = report.tally.counts
    if report.of:
        yield "Kafka at {kafka}, the database {database} of MongoDB at {mongo}.".format(**report.of)
    yield from _accounts(report)
    for name, says in _APART.items():
        if counts[name] and (name != "unanchored" or _may_be_anchored(report)):
            yield f"{counts[name]:,} {says}"
    for kind, number in report.numbers.items():
        yield ""
        yield f"{kind}: {number:,}. {SAYS.get(kind, '')}".rstrip()
        for one in [one for one in report.tally.findings if one.kind == kind][:SHOWN]:
            place = " on ".join(part for part in (one.record, one.topic) if part)
            yield f"  {place}: {one.says}"
        if number > SHOWN:
            yield f"  and {number - SHOWN:,} more"
    if report.numbers:
        yield ""
    yield verdict(report)


_APART = {
    "beyond_retention": "events lie before what the topics still hold: they were not looked for.",
    "erased": "times an event's content was erased with its key: its bytes are not compared.",
    "in flight": "messages were on their way to their reader.",
    "measures that wait": "measures wait for a record that is still to be read, or that stands in quarantine.",
    "quarantined": "messages stand in quarantine, or stood there until they were replayed or discarded.",
    "discarded": "times a letter was accepted and its record discarded by a person: no case came of it.",
    "discarded news": "times the news of a case's end was discarded by a person: its letter does not know.",
    "signatures_unchecked": "checkpoints, whose signatures were not checked: set ROGATORY_CHECKPOINT_PUBLIC_KEYS.",
    "unanchored": "records are, as they stand, under no checkpoint that was read: they changed since, or are older.",
    "cannot_tell": "times nothing can be told: a topic or rules that are gone, content without the sealing key, "
    "or whether what a topic no longer holds was read.",
}


def _may_be_anchored(report: Report) -> bool:
    """Whether there are checkpoints, or were: where none is made, that nothing is anchored is no news."""
    counts = report.tally.counts
    return bool(counts["checkpoints"] or counts["beyond_retention"] or Kind.MISSING in report.numbers)


def _records(report: Report) -> int:
    from verify.world import COLLECTIONS

    return sum(report.tally.counts[name] for name in COLLECTIONS)


def _accounts(report: Report) -> Iterator[str]:
    if not report.accounts:
        return
    width = max(map(len, report.accounts))
    for quantity, terms in report.accounts.items():
        yield f"{quantity:<{width}}  " + "  ".join(f"{name} {number:,}" for name, number in terms.items())
    if report.totals:
        yield report.totals
    yield ""
