"""Letters and updates full of marked personal data: each sealed field holds a word that stands nowhere else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from shared.law import Law
from shared.letter_model import Attachment, Contact, Letter, Measure, RequestedDeadline
from shared.life_cycle import LifeCycle
from shared.life_cycle_fields import SEALED
from shared.times import text_of

_FOUND = re.compile(rb"qzmark\d{7}|facade0{40}\d{18}", re.IGNORECASE)
EVERY_TYPE = (
    *("acknowledged", "supplement_requested", "supplement_received", "status_inquired", "status_answered"),
    *("urgency_changed", "confidentiality_breached", "withdrawn"),
)
"""What can be said of a case of whatever type, wherever it is."""


@dataclass(frozen=True)
class Story:
    """What is said of one case, in an order in which it is taken."""

    kind: str
    updates: tuple[str, ...]
    letter: Mapping[str, str] = field(default_factory=dict)


STORIES = (
    Story(
        "records_copies",
        (
            *("acknowledged", "check_begun", "officer_assigned", "forwarded", "authorisation_requested", "authorised"),
            *("consultation_opened", "condition_offered", "condition_accepted", "postponed", "resumed"),
            *("partially_executed", "executed", "consented", "reuse_recorded", "closed"),
        ),
    ),
    Story("records_copies", ("check_begun", "authorisation_requested", "authorisation_denied", "misdirected")),
    Story("records_copies", ("consultation_opened", "refused", "closed")),
    Story("records_copies", ("confirmed_in_writing",), {"channel": "phone"}),
    Story("asset_freeze", ("triage_decided", "begun"), {"urgency": "urgent"}),
    Story("data_preservation", ("preserved", "extended", "endangered", "extension_requested")),
    Story("provisional_arrest", ("arrested", "documents_received", "released")),
    Story("extradition", ("not_sent",), {"direction": "outgoing"}),
    Story(
        "extradition",
        ("dispatched", "transmitted", "acknowledged_abroad", "asked_abroad", "supplement_received"),
        {"direction": "outgoing"},
    ),
    Story("extradition", ("dispatched", "transmitted", "refused_abroad"), {"direction": "outgoing"}),
)
ELSEWHERE = {"linked"}
"""Updates that are in no story."""


@dataclass
class Marks:
    """Makes marked values, and finds their marks again."""

    made: dict[str, str] = field(default_factory=dict)
    """Each mark, and where it was put."""

    def text(self, where: str) -> str:
        """Words about a person."""
        return f"Leyla {self._mark(where)} Məmmədova, +994 50 000 00 00"

    def name(self, where: str) -> str:
        """The same where it must be short and plain."""
        return self._mark(where)

    def digest(self, where: str) -> str:
        """The digest of somebody's file."""
        mark = f"facade{len(self.made):058d}"
        self.made[mark] = where
        return mark

    def found_in(self, *places: bytes) -> dict[str, str]:
        """The marks that stand in these bytes, in whatever case, and where each was put."""
        found = {mark.decode().lower() for place in places for mark in _FOUND.findall(place)}
        return {mark: self.made.get(mark, "nowhere") for mark in sorted(found)}

    def of(self, prefix: str) -> set[str]:
        """The marks that were put into one thing."""
        return {mark for mark, where in self.made.items() if where.startswith(prefix)}

    def _mark(self, where: str) -> str:
        mark = f"qzmark{len(self.made):07d}"
        self.made[mark] = where
        return mark.title()


def marked_letter(
    marks: Marks, law: Law, kind: str, number: int, reference: str | None = None, **members: Any
) -> dict[str, Any]:
    """A letter of a type that holds something in every field in which it can; `number` tells letters apart."""
    place = f"letter {number} {kind}"

    def text(name: str) -> str:
        return marks.text(f"{place} {name}")

    asked = [one.word for one in law.required(kind, date.today()) if one.pointer is None]  # noqa: DTZ011
    contents: dict[str, Any] = {word: text(word) for word in asked}
    contents["whatever_else"] = [text("whatever_else"), 1, True]
    file = marks.name(f"{place} attachment") + ".pdf"
    return {
        "reference": reference or marks.name(f"{place} reference"),
        "party": "FR",
        "direction": "incoming",
        "channel": "24/7",
        "language": "fr",
        "sent_at": "2026-03-10T08:00:00+01:00",
        "urgency": "normal",
        "urgency_reason": text("urgency_reason"),
        "requested_deadline": {"at": text_of(datetime.now(UTC) + timedelta(days=90)), "reason": text("deadline")},
        "treaty_basis": ["uncc"],
        "prior_reference": marks.name(f"{place} prior_reference"),
        "contact": {name: text(name) for name in Contact.model_fields},
        "translation": text("translation"),
        "confidential": True,
        "attachments": [{"name": file, "sha256": marks.digest(f"{place} sha256"), "size": 4711}],
        "measures": [{"type": kind, "contents": contents, "attachments": [file]}],
        **members,
    }


OPEN = {"agency", "party", "direction", "channel", "sent_at", "language", "urgency", "treaty_basis", "confidential"}
"""Members of a letter that are codes and times, or its sender."""
PARTS: Mapping[type[BaseModel], set[str]] = {
    Letter: OPEN | {"measures", "requested_deadline", "contact", "attachments"},
    Contact: set(),
    RequestedDeadline: {"at"},
    Attachment: {"size"},
    Measure: {"type", "attachments"},
}
"""Of which models a letter is made, and what of each can hold no words."""


@dataclass
class Teller:
    """Tells one case's story, each update with every field that may hold personal data."""

    marks: Marks
    law: Law
    life: LifeCycle
    kind: str
    number: int
    days: int = 400

    def speaker(self, name: str) -> str:
        """Who says an update: of those who may, now the first and now the last."""
        by = self.life.updates[name].text.by
        return by[0] if self.number % 2 else by[-1]

    def fields(self, name: str) -> dict[str, Any]:
        """All that an update must say, and all that is sealed."""
        fields = self.life.updates[name].text.fields
        wanted = {word: one for word, one in fields.items() if one.kind in SEALED or one.need == "required"}
        return {word: self._value(name, word, one.kind, one.of, one.one_of) for word, one in wanted.items()}

    def _value(self, name: str, word: str, kind: str, of: str | None, one_of: tuple[str, ...]) -> Any:
        where = f"update {self.number} {name} {word}"
        if kind == "moment":
            return self._moment(name, word)
        if kind in ("code", "codes"):
            codes = list(one_of) or self._codes(of or "")
            return codes[0] if kind == "code" else codes[:2]
        if kind == "files":
            link = f"https://files.example.org/{self.marks.name(where)}"
            return [{"sha256": self.marks.digest(where), "link": link, "name": self.marks.name(where), "size": 1}]
        if kind == "contents":
            return {"facts": self.marks.text(where), "names": [self.marks.text(where)]}
        return {"words": ["facts"], "flag": True, "case": "cas_" + "0" * 32}.get(kind) or self.marks.text(where)

    def _moment(self, name: str, word: str) -> str:
        now = datetime.now(UTC)
        if self.life.updates[name].text.happened_at == word:
            return text_of(now - timedelta(minutes=1))
        self.days += 1  # each end is later than the one before it
        return text_of(now + timedelta(days=self.days))

    def _codes(self, of: str) -> list[str]:
        found: Mapping[str, list[str]] = {
            "executing_bodies": [*self.law.executing_bodies],
            "grounds": [one for one in self.law.grounds(self.kind) if self.law.text.refusal_grounds[one].alone],
            "outcomes": [*self.law.outcomes(self.kind)],
            "authorities": [one for one in self.law.authorities if self.law.may_hold(one, self.kind)],
            "types": [*self.law.request_types],
            "urgencies": ["emergency"],
        }
        return found[of]


def sealed_updates(life: LifeCycle) -> set[str]:
    """The updates by which something personal can be said."""
    return {name for name, rule in life.updates.items() if any(one.kind in SEALED for one in rule.text.fields.values())}
