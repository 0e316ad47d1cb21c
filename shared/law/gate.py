"""The legal basis of a letter: which treaty binds the two States for such a request, or why none does."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from shared.law.text import LawText, RequestType

NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Gate:
    """Whether a treaty binds the two States: which one, or why none does."""

    says: str
    treaty: str | None = None
    closed: bool = False


def gate_for(text: LawText, request_type: RequestType, party: str | None, on: date, cited: tuple[str, ...]) -> Gate:
    """A treaty that this type may rest on must be in force between the two; what the letter cites decides which."""
    if party is None:
        return Gate(NOT_CHECKED)
    why_not: list[str] = []
    for name in _considered(text, request_type, cited):
        obstacle = _obstacle(text, name, request_type, party, on)
        if obstacle is None:
            return Gate(f"passed: {name}", name)
        if obstacle not in why_not:
            why_not.append(obstacle)
    return Gate("; ".join(why_not), closed=True)


def _considered(text: LawText, request_type: RequestType, cited: tuple[str, ...]) -> tuple[str | None, ...]:
    """The treaties that the letter cites (None for one unknown to the law file), or else all that may serve."""
    if not cited:
        return _serving(text, request_type)
    names = dict(_treaty_names(text))
    return tuple(names.get(name.casefold()) for name in cited)


def _serving(text: LawText, request_type: RequestType) -> tuple[str, ...]:
    return request_type.rests_on or text.legal_basis.rests_on


def _treaty_names(text: LawText) -> Iterator[tuple[str, str]]:
    for name, treaty in text.treaties.items():
        for called in (name, *treaty.also_called):
            yield called.casefold(), name


def _obstacle(text: LawText, name: str | None, request_type: RequestType, party: str, on: date) -> str | None:
    if name is None:
        return "a cited basis is not among the law file's treaties"
    if name not in _serving(text, request_type):
        return f"{name} is not a basis on which the named authority acts for this type"
    if not text.treaties[name].in_force_here(on):
        return f"{name} is not recorded as in force for {text.state}"
    if not text.treaties[name].in_force_for(party, on):
        return f"{party} is not recorded as a party to {name}"
    return None
