"""The law as data: loads a law file with its assumptions, and decides who is competent.

law = load_law(Path("laws/azerbaijan.yaml"))
law.decide("extradition", Direction.INCOMING, date(2026, 3, 1), party="FR").authority
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from shared.law.answers import ClockRule, Required
from shared.law.checks import check_assumption, check_law
from shared.law.competence import Competence, Law, Rejected
from shared.law.gate import NOT_CHECKED
from shared.law.sources import Certainty
from shared.law.text import Assumption, Authority, Ground, LawText, RequestType
from shared.yaml_file import read_yaml

__all__ = [
    "NOT_CHECKED",
    "Authority",
    "Certainty",
    "ClockRule",
    "Competence",
    "Ground",
    "Law",
    "Rejected",
    "RequestType",
    "Required",
    "load_law",
]


def load_law(path: Path, assumptions: Sequence[Path] = ()) -> Law:
    """The law in this file, checked whole, with what the assumption files put in place of its treaty records."""
    file = read_yaml(path)
    text = file.typed(LawText)
    check_law(file, text)
    content = [file.content]
    names = []
    for assumed in assumptions:
        second = read_yaml(assumed)
        assumption = second.typed(Assumption)
        check_assumption(second, text, assumption)
        text = _assume(text, assumption)
        content.append(second.content)
        names.append(assumption.assumption)
    return Law(
        name=text.law,
        version=text.version,
        sha256=hashlib.sha256(b"".join(content)).hexdigest(),
        zone=text.zone,
        authorities=MappingProxyType(dict(text.authorities)),
        executing_bodies=MappingProxyType(dict(text.executing_bodies)),
        request_types=MappingProxyType(dict(text.request_types)),
        assumptions=tuple(names),
        text=text,
    )


def _assume(text: LawText, assumption: Assumption) -> LawText:
    treaties = dict(text.treaties)
    for name, assumed in assumption.treaties.items():
        treaties[name] = treaties[name].model_copy(
            update={"in_force": assumed.in_force, "parties": assumed.parties},
        )
    return text.model_copy(update={"treaties": treaties})
