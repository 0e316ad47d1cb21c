"""Parts of a law file in the words of people."""

from collections.abc import Iterable, Iterator

from shared.law.text import Clock, RunsFor, Span

FOR = {
    "urgency": "for {} letters",
    "lane": "in the {} lane",
    "direction": "for {} cases",
    "treaty": "where {} is the basis",
    "holder": "while the {} has it",
}
AT_END = {"lapse": "the case lapses at the end"}


def listed(words: Iterable[object], last: str = "and") -> str:
    """`a, b and c`."""
    *most, final = [str(word).replace("_", " ") for word in words] or [""]
    return f"{', '.join(most)} {last} {final}" if most else final


def clock_in_words(clock: Clock, span: Span) -> str:
    """How a clock runs, in one sentence without its kind and its basis."""
    return "; ".join((_length(span), *_rest(span), *_for(clock.runs_for)))


def _length(span: Span) -> str:
    start = "the opening of the case" if span.starts == "opened" else f"“{listed([span.starts])}”"
    if span.lasts is None:
        return f"until the “{listed([span.ends or ''])}” that is given with {start}"
    counted = f"working {_unit(span)}" if span.counted == "working" else _unit(span)
    length = f"{span.lasts.split()[0]} {counted} from {start}"
    return (
        f"{length}, or until the “{listed([span.ends])}” that is given with it if that is later"
        if span.ends
        else length
    )


def _unit(span: Span) -> str:
    return span.lasts.split()[1] if span.lasts else ""


def _rest(span: Span) -> Iterator[str]:
    if span.rounding == "to the end of the day":
        yield "runs to the end of its last day"
    if span.stops:
        yield f"stopped by {listed(span.stops, 'or')}"
    if span.warn:
        yield f"warns {listed(span.warn)} before"
    if span.at_end in AT_END:
        yield AT_END[span.at_end]


def _for(runs_for: RunsFor) -> Iterator[str]:
    for name, value in runs_for:
        if value:
            yield FOR.get(name, name + " {}").format(listed(value, "or"))
