"""No State, authority, executing body, agency, subscriber or request type stands in any code: read from its trees."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from shared.law import Law, load_law
from shared.partners import load_partners

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared", "services", "cli", "deploy", "simulate")
LAW_FILES = tuple(sorted(path for path in (ROOT / "laws").glob("*.yaml") if not path.name.endswith(".cases.yaml")))

EXEMPT = {
    ("shared/states.py", "az"): "the closed list of ISO 3166-1 names every State, and none before another",
    ("shared/vocabulary.py", "central authority"): "a channel, not the agency that is called after it",
    ("shared/vocabulary.py", "contact point"): "a channel, not the agency that is called after it",
}
"""What may stand where, and why: nothing else may, anywhere."""


def words_of(text: str) -> str:
    """A name, however it is written: `state-guard`, `STATE_GUARD` and `StateGuard` are all `state guard`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return " ".join(re.findall(r"[a-z0-9]+", apart.casefold()))


@cache
def laws() -> tuple[Law, ...]:
    return tuple(load_law(path) for path in LAW_FILES)


@cache
def names() -> dict[str, str]:
    """Every name that belongs to data, in words, and what it is."""
    partners = load_partners(ROOT / "partners.yaml")
    found: dict[str, str] = {}
    for law in laws():
        found |= {words_of(law.name): "a State", words_of(law.text.state): "a State's code"}
        for what, bodies in (("an authority", law.authorities), ("an executing body", law.executing_bodies)):
            found |= {words_of(code): what for code in bodies}
            found |= {words_of(body.name): what for body in bodies.values()}
        found |= {words_of(code): "a request type" for code in law.request_types}
    found |= {words_of(agency): "an agency" for agency in partners.agencies}
    return found | {words_of(subscriber): "a subscriber" for subscriber in partners.subscribers}


def said_in(source: str) -> Iterator[tuple[int, str, bool]]:
    """Every string and every identifier with its line, docstrings left out; True: it is an identifier."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, documented)]
    # A string that stands alone says something to the reader and nothing to the program.
    alone = {id(one.value) for body in bodies for one in body if isinstance(one, ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=str() as text) if id(node) not in alone:
                yield line, text, False
            case ast.Constant(value=bytes() as raw):
                yield line, raw.decode("latin-1"), False
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.ClassDef(name=name):
                yield line, name, True
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield line, name, True
            case ast.alias(name=name, asname=other):
                yield from ((line, one, True) for one in (name, other) if one)
            case ast.keyword(arg=str() as name):
                yield line, name, True


def names_in(source: str, file: str = "") -> list[str]:
    """What code says of data: a name of several words (or a State's) anywhere, a name of one word only alone."""
    found = []
    for line, text, is_identifier in said_in(source):
        words = words_of(text)
        for name, what in names().items():
            anywhere = " " in name or (what == "a State" and not is_identifier)
            stands = f" {name} " in f" {words} " if anywhere else words == name
            if what == "a State's code":
                stands = re.search(rf"(?<![A-Za-z0-9]){name.upper()}(?![A-Za-z0-9])", text) is not None
            if stands and (file, name) not in EXEMPT:
                found.append(f"{file}:{line}: {text.strip()[:60]!r} names {what}, {name!r}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_code_names_what_belongs_to_data(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))

    found = [one for path in files for one in names_in(path.read_text(), str(path.relative_to(ROOT)))]

    assert files
    assert found == []


PLANTED = {
    "an authority": 'topic = "security-service.cases.v1"',
    "an authority by its name": 'said = f"ask the State Chancellery about {case}"',
    "an authority as a constant": "JUSTICE_MINISTRY = 1",
    "an executing body": 'body = "court"',
    "an executing body in camel case": "class FinancialMonitoring: ...",
    "a request type": 'if type == "extradition": ...',
    "a request type as a function": "def on_data_preservation(): ...",
    "a request type as a keyword": "Rule(provisional_arrest=1)",
    "a State": 'print("The law of Azerbaijan")',
    "a State's code": 'if state == "AZ": ...',
    "the other State": 'path = "laws/zedland.yaml"',
    "an agency": 'token = folder / "interpol-bureau.jwt"',
    "a subscriber": 'DUTY = "duty-officers"',
    "bytes": 'topic = b"interior-police.updates.v1"',
    "an import": "from services import cyber_prosecution",
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_name_is_found(what: str) -> None:
    assert names_in(PLANTED[what]), what


@pytest.mark.parametrize(
    "source",
    [
        '"""The law of Azerbaijan says what the security-service does with an extradition."""',
        'def decide() -> None:\n    """As `data_preservation` at the State Security Service."""',
        'LIMIT = 3\n"""What the Ministry of Justice may have at once."""',
        "# The prosecutor of Azerbaijan.",
        'said = "the desk decides; the courtyard is no court of ours, and az is a tail"',
    ],
)
def test_docstrings_comments_and_other_words_are_free(source: str) -> None:
    assert names_in(source) == []


def test_nothing_is_exempt_that_is_not_there() -> None:
    for (file, name), reason in EXEMPT.items():
        assert any(one.endswith(f"{name!r}") for one in names_in((ROOT / file).read_text())), (file, name)
        assert reason


def test_more_than_one_state_is_looked_for() -> None:
    assert len({law.text.state for law in laws()}) >= 2
    assert {law.name for law in laws()} == {path.stem for path in LAW_FILES}
