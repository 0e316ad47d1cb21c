"""The words of mails and short texts: codes, deadlines and numbers as people read them, in each language that we have.

The names of facts and of the kinds of clocks are those of the acknowledgement page, so that nobody learns two.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints

from services.notifier.acknowledgement.words import DEFAULT, Said, load_words
from shared.clocks import DUE
from shared.events import ALERT_RAISED
from shared.law.competence import Law
from shared.times import read
from shared.yaml_file import Strict, Words, read_yaml

FOLDER = Path(__file__).parent.parent / "templates"
LANGUAGES = ("az", "en", "ru", "fr")
NO_BREAK = "\u00a0"
ONE_OR_MORE = Annotated[tuple[Words, ...], Field(min_length=2, max_length=2)]


class Marks(Strict):
    """What stands in capitals above a notice that is urgent."""

    life: Words
    must_not_wait: Words
    urgent: Words


class Labels(Strict):
    """What stands before a fact, beside those that the acknowledgement page names."""

    happened: Words
    state: Words
    left: Words
    alert: Words
    service: Words
    rota: Words
    severity: Words


class Spans(Strict):
    """Units of time, one and more of each."""

    minute: ONE_OR_MORE
    hour: ONE_OR_MORE
    day: ONE_OR_MORE
    due: Words
    due_by: Words


class WordsOfMail(Strict):
    """The words of one language; `words.en.yaml` says what each is for."""

    language: Literal["az", "en", "ru", "fr"]
    thousands: Annotated[str, StringConstraints(min_length=1, max_length=1)]
    weekdays: Annotated[tuple[Words, ...], Field(min_length=7, max_length=7)]
    marks: Marks
    labels: Labels
    open: Words
    open_one: Words
    digest: Words
    digest_waits_not: Words
    digest_counts: Words
    digest_first: Words
    digest_more: Words
    privacy: Words
    automatic: Words
    directions: Mapping[str, Words]
    urgencies: Mapping[str, Words]
    severities: Mapping[str, Words]
    spans: Spans
    events: Mapping[str, Words]
    kinds: Mapping[str, Words]
    clocks: Mapping[str, Words]
    authorities: Mapping[str, Words]
    types: Mapping[str, Words]


@dataclass(frozen=True)
class Language:
    """One language, ready to name what stands in a notice; a code that has no name here is shown as it is."""

    words: WordsOfMail
    page: Said
    """The words of the acknowledgement page."""
    zone: ZoneInfo
    titles: Mapping[str, Mapping[str, str]]
    """The English names of the law file, by kind of code: for what this language does not name."""

    def type(self, code: str) -> str:
        """The name of a request type."""
        return self._named("types", code)

    def authority(self, code: str) -> str:
        """The name of an authority."""
        return self._named("authorities", code)

    def clock(self, code: str) -> str:
        """The name of a clock."""
        return self._named("clocks", code)

    def kind_of_clock(self, kind: str) -> str:
        """Whose deadline a kind of clock is."""
        return self.page.whose_clock(kind)

    def step(self, code: str) -> str:
        """`7 days` or `due`."""
        if code == DUE:
            return self.words.spans.due
        found = re.fullmatch(r"([1-9][0-9]*) (minute|hour|day)s?", code)
        if found is None:
            return code
        one, more = getattr(self.words.spans, found[2])
        return f"{found[1]}{NO_BREAK}{one if found[1] == '1' else more}"

    def happened(self, facts: Mapping[str, str]) -> str:
        """What happened, in a few words; nothing where there are none for it."""
        event = facts.get("event", "")
        if event == ALERT_RAISED:
            return self.words.kinds.get(facts.get("kind", ""), facts.get("kind", ""))
        # Whose deadline it is belongs into the name of what happened.
        of_kind = self.words.events.get(f"{event}.{facts.get('clock_kind', '')}")
        return of_kind or self.words.events.get(event, event)

    def mark(self, facts: Mapping[str, str], *, never_held: bool) -> str | None:
        """What stands in capitals above it."""
        marks = self.words.marks
        if facts.get("urgency") == "emergency":
            return marks.life
        if never_held:
            return marks.must_not_wait
        return marks.urgent if "urgent" in (facts.get("lane"), facts.get("urgency")) else None

    def moment(self, at: str) -> str:
        """A time of the office, with weekday, zone and its distance to UTC."""
        day, offset = self._local(at)
        return f"{day} ({self.zone.key}, {offset})"

    def due_by(self, at: str) -> str:
        """When a deadline ends, in words that say that it is one."""
        return self.words.spans.due_by.format(at=at)

    def number(self, count: int) -> str:
        """A number with its thousands apart."""
        return f"{count:,}".replace(",", self.words.thousands)

    def plain(self, says: str, facts: Mapping[str, str], due: str | None = None) -> str:
        """A sentence of a rule on one line, with names in the place of its facts' codes; `due`: when its clock ends."""
        line = one_line(says)
        named = {facts[fact]: name(self, facts) for fact, name in _NAMES.items() if facts.get(fact)}
        if facts.get("step") == DUE and due:
            named[DUE] = self.due_by(self._shortly(due))
        if not named:
            return line
        codes = "|".join(re.escape(code) for code in sorted(named, key=len, reverse=True))
        return re.sub(rf"(?<![\w.-])({codes})(?![\w-])", lambda found: named[found[0]], line)

    def _shortly(self, at: str) -> str:
        """The same, where the name of the zone would be too much."""
        day, offset = self._local(at)
        return f"{day}{NO_BREAK}{offset}"

    def _local(self, at: str) -> tuple[str, str]:
        """Weekday, day and time, and the distance to UTC."""
        local = read(at).astimezone(self.zone)
        offset = f"{local:%z}"
        day = f"{self.words.weekdays[local.weekday()]} {local:%Y-%m-%d %H:%M}".replace(" ", NO_BREAK)
        return day, f"UTC{offset[:3]}:{offset[3:5]}"

    def _named(self, kind: str, code: str) -> str:
        ours: Mapping[str, str] = getattr(self.words, kind)
        return ours.get(code) or self.titles.get(kind, {}).get(code) or code


_NAMES: Mapping[str, Callable[[Language, Mapping[str, str]], str]] = {
    "event": lambda language, facts: language.happened(facts),
    "type": lambda language, facts: language.type(facts["type"]),
    "authority": lambda language, facts: language.authority(facts["authority"]),
    "clock": lambda language, facts: language.clock(facts["clock"]),
    "step": lambda language, facts: language.step(facts["step"]),
    "direction": lambda language, facts: language.words.directions.get(facts["direction"], facts["direction"]),
    "urgency": lambda language, facts: language.words.urgencies.get(facts["urgency"], facts["urgency"]),
    "kind": lambda language, facts: language.words.kinds.get(facts["kind"], facts["kind"]),
    "severity": lambda language, facts: language.words.severities.get(facts["severity"], facts["severity"]),
}
"""The facts whose codes a sentence may hold, and how each is named."""


class Wording:
    """Every language of a deployment."""

    def __init__(self, law: Law, zone: ZoneInfo) -> None:
        """`zone`: the office's, in which times are shown. Raises `BadStart` where a word is missing."""
        titles = {
            "types": {code: one.title for code, one in law.text.request_types.items()},
            "authorities": {code: one.name for code, one in law.text.authorities.items()},
            "clocks": {code: one.says for code, one in law.text.clocks.items()},
        }
        page = load_words()
        self._languages = {
            name: Language(read_yaml(FOLDER / f"words.{name}.yaml").typed(WordsOfMail), page[name], zone, titles)
            for name in LANGUAGES
        }

    def of(self, language: str) -> Language:
        """A reader's language, or English."""
        return self._languages.get(language, self._languages[DEFAULT])


def one_line(text: str) -> str:
    """A text without line breaks and without characters that steer a terminal or turn the direction of reading."""
    # `isprintable` is false for controls, for marks of direction and for every space but the plain one.
    return re.sub(" +", " ", "".join(c if c.isprintable() or c in _KEPT_SPACES else " " for c in text)).strip()


_KEPT_SPACES = frozenset("\u00a0\u202f")
