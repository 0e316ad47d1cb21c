"""One notice as it is read: what it says, and its facts with their names.

A notice carries reference, type, authority, State, clock and link; nothing else of a case is here to be shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.notifier.acknowledgement.words import in_language
from services.notifier.channels import Shown
from services.notifier.channels.wording import Language, one_line
from shared.clocks import DUE

Facts = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One fact of a notice: its name and its value."""

    name: str
    value: str
    is_code: bool = False


@dataclass(frozen=True)
class Card:
    """One notice as it is read."""

    mark: str | None
    title: str
    """What happened, in a few words."""
    says: str
    says_language: str
    subject: str
    """What it is about: the type, or what alerts have instead."""
    holder: str
    """The authority and the State, on one line."""
    due: str
    """When the deadline ends and whose it is, where no name stands before it."""
    reference: str
    rows: tuple[Row, ...]
    link: str | None

    @property
    def headline(self) -> str:
        """In a digest: the sentence where it matters, few words else."""
        return self.says if self.mark or not self.title else self.title


def card_of(shown: Shown, language: Language) -> Card:
    """A notice in its reader's language."""
    facts = facts_of(shown.data.get("facts", {}))
    says, says_language = in_language(shown.says, language.words.language)
    due = language.moment(shown.data["due"]) if shown.data.get("due") else ""
    return Card(
        mark=language.mark(facts, never_held=is_never_held(shown)),
        title=language.happened(facts),
        says=language.plain(says, facts, shown.data.get("due")),
        says_language=says_language,
        subject=subject_of(facts, language),
        holder=" · ".join(part for part in (_authority(facts, language), _state(facts, language)) if part),
        due=" · ".join(part for part in (language.due_by(due) if due else "", kind_of(facts, language)) if part),
        reference=one_line(str(shown.data["about"])),
        rows=_rows(shown, facts, due, language),
        link=shown.link,
    )


def is_never_held(shown: Shown) -> bool:
    """Whether nothing may hold it back."""
    return bool(shown.data.get("never_held"))


def in_order(shown: Sequence[Shown]) -> list[Shown]:
    """What must not wait first; then what is due first, by type."""

    def place(one: Shown) -> tuple[bool, str, str, str]:
        facts = one.data.get("facts", {})
        return (not is_never_held(one), one.data.get("due") or "~", facts.get("type", "~"), one.raised_at)

    return sorted(shown, key=place)


def _rows(shown: Shown, facts: Facts, due: str, language: Language) -> tuple[Row, ...]:
    """The facts in the order in which they are needed; a clock never stands without whose deadline it is."""
    labels, named = language.words.labels, language.page.facts
    kind, severity, step = kind_of(facts, language), facts.get("severity", ""), facts.get("step", "")
    clock = f"{language.clock(facts['clock'])} ({kind})" if facts.get("clock") and kind else kind
    rows = (
        Row(labels.happened, language.happened(facts)),
        Row(named.due, due),
        Row(named.clock, clock),
        Row(labels.left, language.step(step) if step not in ("", DUE) else ""),
        Row(named.type, language.type(facts["type"]) if facts.get("type") else ""),
        Row(named.authority, _authority(facts, language)),
        Row(labels.state, _state(facts, language)),
        Row(labels.alert, facts.get("alertname", "")),
        Row(labels.severity, language.words.severities.get(severity, severity)),
        Row(labels.service, facts.get("service", "")),
        Row(labels.rota, facts.get("rota", "")),
        Row(named.reference, one_line(str(shown.data["about"])), is_code=True),
        Row(named.raised_at, language.moment(shown.raised_at)),
    )
    return tuple(row for row in rows if row.value)


def facts_of(facts: Mapping[str, Any]) -> Facts:
    """The facts of a notice; those of a technical alert are a stranger's words."""
    return {name: one_line(str(value)) for name, value in facts.items()}


def subject_of(facts: Facts, language: Language) -> str:
    """What it is about: the type of the case; of an alert, what it names."""
    return language.type(facts["type"]) if facts.get("type") else facts.get("alertname") or facts.get("rota") or ""


def kind_of(facts: Facts, language: Language) -> str:
    """Whose deadline it is."""
    return language.kind_of_clock(facts["clock_kind"]) if facts.get("clock_kind") else ""


def _authority(facts: Facts, language: Language) -> str:
    return language.authority(facts["authority"]) if facts.get("authority") else ""


def _state(facts: Facts, language: Language) -> str:
    direction = facts.get("direction", "")
    return ", ".join(part for part in (facts.get("party"), language.words.directions.get(direction, direction)) if part)
