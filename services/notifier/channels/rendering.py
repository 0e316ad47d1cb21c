"""What people read: one notice or a digest of many, as the two parts of a mail and as a short text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.notifier.channels import Parcel, Shown
from services.notifier.channels.cards import Card, card_of, facts_of, in_order, is_never_held, kind_of, subject_of
from services.notifier.channels.wording import FOLDER, Language, Wording, one_line

SHOWN = 50
"""Notices of a digest that are shown one by one; all are counted."""
MOST_GROUPS = 40
TITLE = 60
"""Characters of a short text's title."""
SUBJECT = 160
"""Characters of what a subject says before the reference."""
DASH = " – "
"""Between the parts of a heading: unlike a colon it is set the same in every language."""


@dataclass(frozen=True)
class Group:
    """So many notices of one type with one kind of deadline."""

    title: str
    kind_of_clock: str
    count: str


@dataclass(frozen=True)
class Digest:
    """Many notices: counts of all, and the first one by one."""

    heading: str
    waits_not: str | None
    groups: tuple[Group, ...]
    first: str | None
    cards: tuple[Card, ...]
    more: str | None


@dataclass(frozen=True)
class Mail:
    """A mail, ready to be sent."""

    subject: str
    text: str
    html: str
    language: str
    must_not_wait: bool


@dataclass(frozen=True)
class Short:
    """For channels that carry a few words: SMS, a call, a pager."""

    title: str
    body: str
    must_not_wait: bool


class Rendering:
    """Makes mails and short texts from parcels."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def mail(self, parcel: Parcel) -> Mail:
        """The mail of a parcel, in its reader's language."""
        language = self._wording.of(parcel.to.language)
        if len(parcel.shown) == 1:
            card, digest = card_of(parcel.shown[0], language), None
            subject = _heading(card)
        else:
            card, digest = None, _digest(parcel.shown, language)
            subject = DASH.join(part for part in (digest.heading, digest.waits_not) if part)
        names = {"language": language, "words": language.words, "page": language.page, "subject": subject}
        text, html = (
            one_of.render(**names, card=card, digest=digest)
            for one_of in (self._templates.get_template("mail.txt"), self._templates.get_template("mail.html"))
        )
        return Mail(subject, text, html, language.words.language, any(map(is_never_held, parcel.shown)))

    def short(self, parcel: Parcel) -> Short:
        """The few words of a parcel, in its reader's language."""
        language, shown = self._wording.of(parcel.to.language), in_order(parcel.shown)
        first = card_of(shown[0], language)
        parts = [first.says, *((first.due,) if first.due else ()), *((first.link,) if first.link else ())]
        if len(shown) == 1:
            title = DASH.join(part for part in (first.mark, first.title, first.subject) if part) or first.says
        else:
            digest = _digest(shown, language)
            title = digest.heading
            parts = [digest.waits_not + "." if digest.waits_not else "", *parts]
        return Short(_cut(title, TITLE), "\n".join(part for part in parts if part), any(map(is_never_held, shown)))


def _digest(shown: Sequence[Shown], language: Language) -> Digest:
    words, number = language.words, language.number
    ordered = in_order(shown)
    waits_not = sum(map(is_never_held, shown))
    rest = len(ordered) - SHOWN
    groups = _groups(shown, language)
    return Digest(
        heading=words.digest.format(count=number(len(shown))),
        waits_not=words.digest_waits_not.format(count=number(waits_not)) if waits_not else None,
        groups=groups if rest > 0 or 1 < len(groups) <= len(shown) // 2 else (),
        first=words.digest_first.format(count=SHOWN) if rest > 0 else None,
        cards=tuple(card_of(one, language) for one in ordered[:SHOWN]),
        more=words.digest_more.format(count=number(rest)) if rest > 0 else None,
    )


def _groups(shown: Sequence[Shown], language: Language) -> tuple[Group, ...]:
    """How many of each type (of each happening, where there is no type) and kind of deadline, the most first."""
    counted = Counter(tuple(one.data.get("facts", {}).get(fact) for fact in _GROUPED_BY) for one in shown)
    named: Counter[tuple[str, str]] = Counter()
    for values, count in counted.items():
        facts = facts_of({fact: value for fact, value in zip(_GROUPED_BY, values, strict=True) if value is not None})
        named[subject_of(facts, language) or language.happened(facts) or "–", kind_of(facts, language)] += count
    found = named.most_common()
    groups = [Group(title, kind, language.number(count)) for (title, kind), count in found[:MOST_GROUPS]]
    if rest := sum(count for _, count in found[MOST_GROUPS:]):
        groups.append(Group("…", "", language.number(rest)))
    return tuple(groups)


_GROUPED_BY = ("type", "clock_kind", "event", "kind", "alertname", "rota")


def _heading(card: Card) -> str:
    """What a list of mails shows: the mark, what happened, about what; the case, so that it is found again."""
    said = DASH.join(part for part in (card.mark, card.title, card.subject) if part)
    return f"{_cut(said if card.title or card.subject else card.says, SUBJECT)} [{card.reference}]"


def _cut(text: str, most: int) -> str:
    line = one_line(text)
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
